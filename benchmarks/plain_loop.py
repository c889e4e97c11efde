"""The yardstick: the strategy's bare bones as a compiled loop over every candle, without costs or margin.

It is deliberately naive (rolling maximum by hand, every candle visited) and does less than the product does.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@numba.njit(cache=False)
def plain_trial(open_: Floats, high: Floats, low: Floats, close: Floats, lookback: int, take_profit: float) -> float:
    """Profit in fractions of the entry price, summed; one position at a time."""
    profit = 0.0
    entry = 0.0
    for i in range(lookback, len(high) - 1):
        if entry > 0.0:
            if high[i] >= entry * 1.3:
                profit -= 0.3
                entry = 0.0
            elif low[i] < entry * (1.0 - take_profit):
                profit += take_profit
                entry = 0.0
        if entry == 0.0 and close[i] < open_[i]:
            top = high[i - 1]
            for j in range(i - lookback, i - 1):
                top = max(top, high[j])
            if high[i] >= top:
                entry = open_[i + 1]
    return profit
