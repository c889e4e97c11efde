"""Ids of orders, derived and never drawn: the same wish always asks under the same name.

So asking twice is harmless, and after a crash the exchange can be asked what became of an intent.
"""

from __future__ import annotations

import hashlib

from your_short_trade_margin_call.domain.words import Purpose

MAX_LENGTH = 36
_LETTERS = {Purpose.ENTRY: "E", Purpose.TARGET: "T", Purpose.STOP: "S", Purpose.CLOSE: "C"}
_PURPOSES = {letter: purpose for purpose, letter in _LETTERS.items()}


def link_id(symbol: str, candle_ms: int, purpose: Purpose, attempt: int = 0) -> str:
    """The id of an order: pair, open time of the entry's candle, purpose, attempt. At most 36 characters."""
    tail = f"-{candle_ms}-{_LETTERS[purpose]}{attempt}"
    if len(symbol) + len(tail) <= MAX_LENGTH:
        return symbol + tail
    digest = hashlib.blake2b(symbol.encode(), digest_size=4).hexdigest()
    return symbol[: MAX_LENGTH - len(tail) - len(digest)] + digest + tail


def parse_link_id(text: str) -> tuple[int, Purpose, int] | None:
    """(candle, purpose, attempt) of an id of ours; None for anybody else's."""
    parts = text.rsplit("-", 2)
    if len(parts) != 3 or not parts[1].isdigit() or parts[2][:1] not in _PURPOSES or not parts[2][1:].isdigit():
        return None
    return int(parts[1]), _PURPOSES[parts[2][0]], int(parts[2][1:])


def is_ours(symbol: str, text: str) -> bool:
    """Whether an id is one that we would give an order of this pair."""
    parsed = parse_link_id(text)
    return parsed is not None and link_id(symbol, *parsed) == text
