"""Every pair of faults through sockets, begun at several moments each (`make storm`). Prints what broke."""

from __future__ import annotations

import sys
import time

from tests.parity.storm import FAULTS_FROM, FAULTS_UNTIL, MENU
from tests.parity.test_socket_faults import PAIRS, tell

MOMENTS = 3


def main() -> int:
    """0 when every invariant held."""
    started, broken = time.perf_counter(), {}
    span = FAULTS_UNTIL - FAULTS_FROM
    plots = [
        (pair, (FAULTS_FROM + (number + 3 * turn) % span, FAULTS_FROM + (number * 7 + 5 * turn) % span))
        for turn in range(MOMENTS)
        for number, pair in enumerate(PAIRS)
    ]
    for first in range(0, len(plots), 50):
        broken |= tell(plots[first : first + 50])
        seconds = time.perf_counter() - started
        print(f"{first + len(plots[first : first + 50])}/{len(plots)} stories, {seconds:.0f} s", flush=True)
    for name, what in broken.items():
        print(f"{name}: {'; '.join(what)}")
    print(f"{len(MENU)} faults in {len(PAIRS)} pairs, {len(plots)} stories, {len(broken)} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
