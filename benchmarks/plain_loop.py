"""The yardstick: a compiled loop over every candle of a trial, handed its signals and targets ready, as rivals are.

It makes the same trades with a fraction of the product's work: one fee, no funding, no margin, no levels to find.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEE = 0.00055
SIZE = 0.5


@numba.njit(cache=False)
def plain_trial(
    open_: Floats, high: Floats, low: Floats, entries: NDArray[np.bool_], targets: Floats, stop: float
) -> tuple[float, int]:
    """Cash and trades of one trial; one position at a time, half of the cash in each.

    Args:
        open_: prices of candles, as `high` and `low`, shape (n,).
        high: as above.
        low: as above.
        entries: whether a short is wanted at the opening of a candle, shape (n,).
        targets: how far below the entry it is closed, as a fraction, where one is wanted, shape (n,).
        stop: how far above the entry it is closed.
    """
    cash, entry, target, barrier, trades = 1.0, 0.0, 0.0, 0.0, 0
    for i in range(len(high)):
        if entry == 0.0 and entries[i]:
            entry = open_[i]
            target, barrier = entry * (1.0 - targets[i]), entry * (1.0 + stop)
        if entry > 0.0:
            price = 0.0
            if high[i] >= barrier:
                price = barrier
            elif low[i] < target:
                price = target
            if price > 0.0:
                cash += cash * SIZE * (1.0 - price / entry - FEE * (1.0 + price / entry))
                trades += 1
                entry = 0.0
    return cash, trades
