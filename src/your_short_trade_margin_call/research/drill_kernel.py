"""How the drill's prices come about, candle by candle, where one candle depends on those before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.jit import jit
from your_short_trade_margin_call.rules.signal import is_failed_peak


class Falls(NamedTuple):
    """What is planted after failed peaks of `lookback` candles; a `size` of 0 plants nothing.

    The price is expected to fall by the fraction `size` over the next `candles` candles. All the while it wins back
    what it fell, a share `give_back` of it a candle: over time there is no drift.
    """

    size: float
    lookback: int
    candles: int
    give_back: float


@jit
def cluster(shocks: NDArray[np.float64], news: float, memory: float, levels: NDArray[np.float64]) -> None:
    """Fill `levels` with the volatility of each candle, of mean square 1: GARCH(1, 1) driven by `shocks`.

    `shocks` are a candle's return over its volatility, of variance 1. `news` and `memory` are the weights of the last
    squared return and of the last variance.
    """
    variance = 1.0
    for k in range(len(shocks)):
        levels[k] = np.sqrt(variance)
        variance = (1.0 - news - memory) + variance * (news * shocks[k] * shocks[k] + memory)


@jit
def fade(shocks: NDArray[np.float64], keep: float) -> None:
    """Replace each shock by the sum of all so far, each fading by `keep` a step."""
    level = 0.0
    for k in range(len(shocks)):
        level = keep * level + shocks[k]
        shocks[k] = level


@jit
def walk(
    opening: NDArray[np.float64], steps: NDArray[np.float64], falls: Falls, start: float,
    ticks: NDArray[np.float64], falling: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Fill `ticks` (open, high, low and close of each candle, whole ticks) with the path that begins at `start` ticks.

    `opening[n]` is the jump between a candle's open and the close before, `steps[n, s]` its moves after the open, all
    of them fractions of the price. `falling[n]` notes where a planted fall was under way.
    """
    price, owed, left, n_steps = start, 0.0, 0, steps.shape[1]
    for k in range(len(steps)):
        falling[k] = left > 0
        push = owed * falls.give_back - (falls.size / falls.candles if left > 0 else 0.0)
        owed -= push
        left = max(0, left - 1)
        price *= 1.0 + opening[k]
        open_ = high = low = price
        for s in range(n_steps):
            price = max(price * (1.0 + steps[k, s] + push / n_steps), 1.0)
            high = max(high, price)
            low = min(low, price)
        ticks[k, 0], ticks[k, 1], ticks[k, 2], ticks[k, 3] = np.rint(open_), np.rint(high), np.rint(low), np.rint(price)
        if falls.size != 0.0 and k >= falls.lookback and _is_peak(ticks, k, falls.lookback):
            left = falls.candles


@jit
def _is_peak(ticks: NDArray[np.float64], k: int, lookback: int) -> bool:
    """Whether candle `k` is a failed peak over the `lookback` candles before it (DESIGN 3)."""
    high = ticks[k, 1]
    if not is_failed_peak(ticks[k, 0], high, ticks[k, 3], high):
        return False
    for j in range(k - lookback, k):  # noqa: SIM110  # compiled
        if ticks[j, 1] > high:
            return False
    return True
