"""Reading a request's parameters: each with the exchange's words when it cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError, RetCode, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.number_text import decimal_of, whole_of
from your_short_trade_margin_call.adapters.bybit_server.order_rows import CATEGORY
from your_short_trade_margin_call.domain.spans import DAY_MS

LONGEST_RANGE_MS = 7 * DAY_MS
NOT_A_PAIR = "Not supported symbols"


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object that a client said; None when it said none, or nested it too deeply to be read.

    Strict, as what is read is said back: a lone surrogate could not be.
    """
    try:
        said = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


class Fields:
    """The parameters of one request: the JSON object of its body, or its query.

    Every getter raises ApiError 10001 when the value cannot be read.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """A string; a number in its place is refused, as the exchange wants strings."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            bad_parameter(f"params error: {name} must be a string")
        return value

    def needed(self, name: str) -> str:
        """A string that must be there."""
        return self.text(name) or bad_parameter(f"params error: {name} is missing")

    def choice(self, name: str, choices: tuple[str, ...], default: str = "") -> str:
        """One of some words."""
        value = self.text(name, default)
        return value if value in choices else bad_parameter(f"{name} invalid")

    def whole(self, name: str, default: int | None = None) -> int | None:
        """A whole number, as number or text."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        found = whole_of(value)
        return bad_parameter(f"params error: {name} must be a whole number") if found is None else found

    def flag(self, name: str) -> bool:
        """True or false, as JSON or as text; false when absent."""
        value = self._values.get(name)
        if value in (None, "", False, "false"):
            return False
        return value in (True, "true") or bad_parameter(f"params error: {name} must be true or false")

    def number(self, name: str) -> float | None:
        """A number in a string; None when absent or empty."""
        text = self.text(name)
        if not text:
            return None
        found = decimal_of(text)
        return bad_parameter(f"params error: {name} is no number") if found is None else float(found)

    def check_category(self) -> None:
        """Only linear contracts exist here."""
        if self.needed("category") != CATEGORY:
            bad_parameter("Illegal category")

    def limit(self, default: int, most: int) -> int:
        """How many rows of a page."""
        asked = self.whole("limit", default) or default
        return asked if 1 <= asked <= most else bad_parameter(f"params error: limit must be between 1 and {most}")

    def time_range(self, now_ms: int, usual_ms: int = LONGEST_RANGE_MS) -> tuple[int, int]:
        """First and last moment asked for (UTC ms); not longer than seven days."""
        start, end = self.whole("startTime"), self.whole("endTime")
        if start is None and end is None:
            return now_ms - usual_ms, now_ms
        if start is None or end is None:
            return (start, start + usual_ms) if start is not None else ((end or 0) - usual_ms, end or 0)
        if not 0 <= end - start <= LONGEST_RANGE_MS:
            raise ApiError(RetCode.PARAMETER, "The time range between startTime and endTime cannot exceed 7 days")
        return start, end
