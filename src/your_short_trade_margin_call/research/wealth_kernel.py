"""The wealth of bettors who stake a part of it on every candle's return, compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.jit import jit, jit_inline

_SMALL, _LARGE = 1e-100, 1e100
"""A product of growth factors between these is far from what a float cannot hold: its logarithm can wait."""


@jit
def _log_growth(returns: NDArray[np.float64], start: int, end: int, stake: float) -> float:
    """Logarithm of the product of ``1 + stake * return`` over candles `start` to `end`; -inf once a factor is <= 0."""
    total, product = 0.0, 1.0
    for i in range(start, end):
        factor = 1.0 + stake * returns[i]
        if factor <= 0.0:
            return -math.inf
        product *= factor
        if not _SMALL < product < _LARGE:
            total += math.log(product)
            product = 1.0
    return total + math.log(product)


@jit_inline
def _mix(log_priors: NDArray[np.float64], wealth: NDArray[np.float64]) -> float:
    """Logarithm of the prior-weighted mean of what the bettors own."""
    highest = -math.inf
    for k in range(len(wealth)):
        highest = max(highest, log_priors[k] + wealth[k])
    if math.isinf(highest):
        return highest
    total = 0.0
    for k in range(len(wealth)):
        total += math.exp(log_priors[k] + wealth[k] - highest)
    return highest + math.log(total)


@jit
def bet(
    returns: NDArray[np.float64], looks: NDArray[np.int64], stakes: NDArray[np.float64], tolls: NDArray[np.float64],
    log_priors: NDArray[np.float64], wealth: NDArray[np.float64], told: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill `told` with the log wealth of all bettors together, after as many candles as each of `looks` says.

    `looks` ascend. `tolls`, one a stake, go off its log wealth with every candle. `wealth`, one a stake, begins at
    zeros and ends as each bettor's log wealth at the last look.
    """
    seen = 0
    for j in range(len(looks)):
        for k in range(len(stakes)):
            wealth[k] += _log_growth(returns, seen, looks[j], stakes[k]) - tolls[k] * (looks[j] - seen)
        seen = looks[j]
        told[j] = _mix(log_priors, wealth)
