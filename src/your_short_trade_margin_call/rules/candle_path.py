"""What one candle does to an open short: the adverse move first (DESIGN 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.terms import NO_PRICE

NOTHING = 0
LIQUIDATED = 1
STOPPED = 2
TARGET_FILLED = 3


@jit_inline
def reaches_target(low: float, target: float, fill_on_touch: bool) -> bool:
    """Whether a resting buy at `target` fills: the candle trades through it (or touches it, as an option)."""
    return low < target or (fill_on_touch and low <= target)


@jit_inline
def adverse_level(liquidation: int, stop: int) -> int:
    """The price that ends the position on the loss side: its stop, or liquidation where there is none."""
    return stop if stop != NO_PRICE else liquidation


@jit_inline
def opening_event(mark_open: float, liquidation: int, stop: int) -> int:
    """What the opening quote alone does: LIQUIDATED, STOPPED or NOTHING."""
    if mark_open >= liquidation:
        return LIQUIDATED
    if stop != NO_PRICE and mark_open >= stop:
        return STOPPED
    return NOTHING


@jit
def minutes_say_target_first(
    minute_high: NDArray[np.float64], minute_low: NDArray[np.float64], level: int, target: int, fill_on_touch: bool
) -> bool:
    """Whether a doubtful candle's minutes show the target touched in a minute before the loss side was.

    Unknown minutes (NaN), both sides in one minute, or a loss side that only the mark price reached
    leave the doubt: then the adverse move comes first.
    """
    target_at = len(minute_low)
    for minute in range(len(minute_high)):
        if np.isnan(minute_high[minute]):
            return False
        if target_at == len(minute_low) and reaches_target(minute_low[minute], target, fill_on_touch):
            target_at = minute
    for minute in range(len(minute_high)):
        if minute_high[minute] >= level:
            return target_at < minute
    return False


@jit
def candle_event(
    mark_open: float,
    mark_high: float,
    low: float,
    liquidation: int,
    stop: int,
    target: int,
    fill_on_touch: bool,
    minute_high: NDArray[np.float64],
    minute_low: NDArray[np.float64],
) -> int:
    """What the whole candle does to the position: LIQUIDATED, STOPPED, TARGET_FILLED or NOTHING.

    Mark prices decide whether the loss side fires; last prices fill the target. Minutes, when given,
    decide only which side of a doubtful candle came first. `target` 0 means none is resting.
    """
    opening = opening_event(mark_open, liquidation, stop)
    if opening != NOTHING:
        return opening
    level = adverse_level(liquidation, stop)
    adverse = mark_high >= level
    reached = target > 0 and reaches_target(low, target, fill_on_touch)
    if adverse and reached and minutes_say_target_first(minute_high, minute_low, level, target, fill_on_touch):
        return TARGET_FILLED
    if adverse:
        return STOPPED if stop != NO_PRICE else LIQUIDATED
    return TARGET_FILLED if reached else NOTHING
