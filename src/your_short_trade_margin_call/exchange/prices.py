"""Prices as they come in: checked, and a last price where there is no mark."""

from __future__ import annotations

import math

from your_short_trade_margin_call.domain.errors import BadInputError


def known_mark(mark: float | None, last: float) -> float:
    """The mark price, or the last price where there is none (None or NaN)."""
    return float(last) if mark is None or math.isnan(mark) else float(mark)


def require_prices(*prices: float) -> None:
    """Return if all are prices.

    Raises:
        BadInputError: one is not finite and above 0.
    """
    if not all(math.isfinite(price) and price > 0 for price in prices):
        raise BadInputError(f"{prices} are not prices.", "They must be finite and above 0.")
