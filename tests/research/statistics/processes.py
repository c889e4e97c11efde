"""Series with known properties: fair games that look good, and series whose neighbours resemble each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WORST_LOSS = 0.1
"""No return of the fair games below is worse, except those of `steamroller`."""
SIZE = 0.015
"""A usual return: large enough that 1,500 of them could make somebody rich."""
STEAMROLLERS = 0.002 / (0.002 + 0.79)
"""How often one comes, so that the game is fair."""


def luck(seed: int) -> Generator:
    return default_rng(seed)


def normal(rng: Generator, runs: int, n: int) -> Floats:
    """Of SIZE, cut at WORST_LOSS; symmetric."""
    return np.clip(rng.normal(0.0, SIZE, (runs, n)), -WORST_LOSS, WORST_LOSS)


def heavy_tails(rng: Generator, runs: int, n: int) -> Floats:
    """Student's t with 3 degrees of freedom, cut where it would lose more than WORST_LOSS; symmetric."""
    return np.clip(0.01 * rng.standard_t(3, (runs, n)), -WORST_LOSS, WORST_LOSS)


def skewed(rng: Generator, runs: int, n: int) -> Floats:
    """Nineteen small gains for a loss nineteen times as large."""
    return np.where(rng.random((runs, n)) < 0.05, -0.095, 0.005)


def changing_size(rng: Generator, runs: int, n: int) -> Floats:
    """GARCH(1, 1): big returns come in clusters, none can be foretold."""
    returns, variance = np.empty((runs, n)), np.full(runs, SIZE**2)
    for i in range(n):
        returns[:, i] = np.clip(np.sqrt(variance) * rng.standard_normal(runs), -WORST_LOSS, WORST_LOSS)
        variance = 0.03 * SIZE**2 + 0.12 * returns[:, i] ** 2 + 0.85 * variance
    return returns


def martingale(rng: Generator, runs: int, n: int) -> Floats:
    """The account doubles the size after a loss, up to eight times, and goes back after a gain."""
    returns, size = np.empty((runs, n)), np.ones(runs)
    for i in range(n):
        gained = rng.random(runs) < 0.5
        returns[:, i] = np.where(gained, 0.01, -0.01) * size
        size = np.where(gained, 1.0, np.minimum(size * 2.0, 8.0))
    return returns


def steamroller(rng: Generator, runs: int, n: int) -> Floats:
    """Pennies before a steamroller: 0.2 % again and again, and once in 396 times 79 % of the account."""
    return np.where(rng.random((runs, n)) < STEAMROLLERS, -0.79, 0.002)


FAIR_GAMES: tuple[Callable[[Generator, int, int], Floats], ...] = (
    normal,
    heavy_tails,
    skewed,
    changing_size,
    martingale,
)


def autoregressive(rng: Generator, runs: int, n: int, phi: float) -> Floats:
    """Mean 0; each value is `phi` of the one before plus a standard normal; the first is as any other."""
    values = rng.standard_normal((runs, n))
    values[:, 0] /= np.sqrt(1.0 - phi * phi)
    for i in range(1, n):
        values[:, i] += phi * values[:, i - 1]
    return values
