"""The one JSON object on standard output."""

from __future__ import annotations

import sys
from typing import Any


def print_json(document: dict[str, Any]) -> None:
    """Print a document for machines: one object, and nothing else on standard output."""
    from your_short_trade_margin_call.adapters.storage.files import dump_json

    sys.stdout.write(dump_json(document))
