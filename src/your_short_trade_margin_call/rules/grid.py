"""Prices on the tick grid, quantities on the lot grid.

Inside the rules a price is a number of ticks and a quantity a number of lots. What the engine makes
(fills, targets, stops) is a whole number of ticks; a candle's price may lie between two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.jit import jit, jit_inline

STEP_TOLERANCE = 1e-9
"""A number within this many steps of a step is on it."""


@jit
def snap(steps: float) -> float:
    """`steps`, moved onto the nearest whole step when it lies within the tolerance of it.

    Above some millions of steps a float cannot resolve 1e-9; there, four units in the last place count.
    """
    nearest = np.floor(steps + 0.5)
    is_near = abs(steps - nearest) <= max(STEP_TOLERANCE, 8.9e-16 * abs(steps))
    return float(nearest) if is_near else steps


@jit
def snap_prices(prices: NDArray[np.float64], step: float, steps: NDArray[np.float64]) -> None:
    """Fill `steps` with prices as numbers of steps; what lies between two steps, or is NaN, stays as it is."""
    for k in range(len(prices)):
        steps[k] = snap(prices[k] / step)


@jit_inline
def whole_steps(steps: float) -> float:
    """The whole step at or below `steps`, as a float: sizes of many accounts are reckoned in one vector."""
    return float(np.floor(snap(steps)))


@jit_inline
def floor_step(steps: float) -> int:
    """The whole step at or below `steps`."""
    return int(whole_steps(steps))


@jit_inline
def ceil_step(steps: float) -> int:
    """The whole step at or above `steps`."""
    return int(np.ceil(snap(steps)))
