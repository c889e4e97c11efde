"""Every signal of a lookback, compiled: one pass over the highs serves all lookbacks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.jit import jit
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.signal import is_failed_peak, levels_before


class Signals(NamedTuple):
    """All signals of one lookback: candle indices and the levels before them, in ticks."""

    at: NDArray[np.int64]
    highest_low: NDArray[np.float64]
    lowest_high: NDArray[np.float64]


@jit
def peak_ages(high: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many candles back the nearest strictly higher high lies (more than all of them: index + 1)."""
    ages = np.empty(len(high), dtype=np.int64)
    for i in range(len(high)):
        j = i - 1
        # Hop over candles already known to be topped by what comes further back.
        while j >= 0 and high[j] <= high[i]:
            j -= ages[j]
        ages[i] = i - j
    return ages


@jit
def find_signals(market: MarketArrays, lookback: int, ages: NDArray[np.int64]) -> Signals:
    """Every failed new peak of one lookback, oldest first. `ages` (see `peak_ages`) only finds candidates."""
    n = len(market.time_ms)
    index = np.empty(n, dtype=np.int64)
    highest_low = np.empty(n, dtype=np.float64)
    lowest_high = np.empty(n, dtype=np.float64)
    found = 0
    for i in range(lookback, n):
        if ages[i] <= lookback or market.run_length[i] <= lookback:
            continue
        if market.close[i] >= market.open[i]:
            continue
        levels = levels_before(market.high, market.low, i, lookback)
        if is_failed_peak(market.open[i], market.high[i], market.close[i], levels.highest_high):
            index[found] = i
            highest_low[found] = levels.highest_low
            lowest_high[found] = levels.lowest_high
            found += 1
    return Signals(index[:found].copy(), highest_low[:found].copy(), lowest_high[:found].copy())
