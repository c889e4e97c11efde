"""Numbers as Bybit writes them: decimal strings, never scientific."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

MOST_PLACES = 10
"""Digits after the point of computed figures (turnover, rates, money)."""
MOST_DIGITS = 18
"""No number of a request has more digits in front of its point, or zeros behind it: sums with larger ones overflow."""
_WHOLE = re.compile(rf"-?[0-9]{{1,{MOST_DIGITS}}}")


def number_text(value: float | Decimal, places: int = MOST_PLACES) -> str:
    """A computed figure, rounded to at most `places` decimals, without trailing zeros."""
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    text = f"{number:.{places}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def padded(number: Decimal, places: int) -> str:
    """An exact number with all its digits, and at least `places` of them after the point."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent <= places:
        return f"{number:.{places}f}"
    return f"{number.normalize():f}" if number else "0"


def decimal_of(text: object) -> Decimal | None:
    """The finite number of a sensible size that a request's text stands for, or None."""
    if isinstance(text, bool) or not isinstance(text, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < MOST_DIGITS else None


def whole_of(text: object) -> int | None:
    """The whole number that a request's number or text stands for, or None; plain digits only."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        return None
    try:
        return int(text) if _WHOLE.fullmatch(str(text)) else None
    except ValueError:  # an int too long to be written down
        return None
