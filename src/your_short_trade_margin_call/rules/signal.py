"""The signal: a new peak that failed (DESIGN 3), and the levels before it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.jit import jit, jit_inline


class Levels(NamedTuple):
    """Levels over the lookback candles before the signal candle, in ticks."""

    highest_high: float
    highest_low: float
    lowest_high: float


@jit
def levels_before(high: NDArray[np.float64], low: NDArray[np.float64], index: int, lookback: int) -> Levels:
    """Levels of candles index-lookback .. index-1. The caller guarantees index >= lookback."""
    highest_high = high[index - lookback]
    lowest_high = highest_high
    highest_low = low[index - lookback]
    for j in range(index - lookback + 1, index):
        highest_high = max(highest_high, high[j])
        lowest_high = min(lowest_high, high[j])
        highest_low = max(highest_low, low[j])
    return Levels(highest_high, highest_low, lowest_high)


@jit_inline
def is_failed_peak(candle_open: float, high: float, close: float, highest_high: float) -> bool:
    """A candle that reached the highest high before it and closed below its own open."""
    return high >= highest_high and close < candle_open
