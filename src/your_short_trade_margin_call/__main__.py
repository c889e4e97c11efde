"""``python -m your_short_trade_margin_call``, and the script ``shortest-peak``: the command line."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """The entry point. Ctrl-C is quiet from here on, also while the command line itself is loaded."""
    try:
        from your_short_trade_margin_call import cli
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    cli.main()


if __name__ == "__main__":
    main()
