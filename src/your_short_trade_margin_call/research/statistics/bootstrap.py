"""How far a mean may be off when what is averaged hangs together in time: the stationary bootstrap."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.numbers import series, share

_AT_ONCE = 2_000_000
"""How many indices are drawn at a time: 16 MB of them."""


class Interval(NamedTuple):
    """A mean, between where it likely lies, in the units of what was averaged; and the block length used."""

    low: float
    mean: float
    high: float
    block: float


def stationary_indices(n: int, block: float, repetitions: int, luck: Generator) -> NDArray[np.int64]:
    """Resamples of n observations in blocks of random length (Politis & Romano 1994, "The Stationary Bootstrap").

    Each index follows the one before it (after the last comes the first), but with chance ``1 / block`` it is
    drawn anew: block lengths are geometric with mean `block`, and a resample of a stationary series is stationary.

    Args:
        n: how many observations there are.
        block: mean block length, 1 (independent draws) or more.
        repetitions: how many resamples.
        luck: a seeded generator.

    Returns:
        `repetitions` rows of n indices.

    Raises:
        StatisticError: n or `repetitions` is below 1, or `block` is below 1 or not finite.
    """
    if n < 1 or repetitions < 1 or not 1.0 <= block < math.inf:
        raise StatisticError(f"No {repetitions} resamples of {n} in blocks of {block}.", "All are at least 1.")
    anew = luck.random((repetitions, n)) * block < 1.0
    anew[:, 0] = True
    begins = np.flatnonzero(anew)
    lengths = np.diff(begins, append=repetitions * n)
    shift = luck.integers(n, size=len(begins)) - begins % n
    indices = np.repeat(shift, lengths).reshape(repetitions, n) + np.arange(n)
    return np.where(indices < 0, indices + n, np.where(indices >= n, indices - n, indices))


def optimal_block(values: ArrayLike) -> float:
    """The mean block length for which the stationary bootstrap of the mean is most exact.

    ``b = (G / LR)^(2/3) n^(1/3)``, with ``G = sum lam(k/M) |k| R(k)`` and ``LR = sum lam(k/M) R(k)`` over lags
    ``-M..M``, R the autocovariance and lam the flat-top window. M is twice the first lag of a run of
    ``max(5, log10 n)`` autocorrelations below ``2 sqrt(log10(n) / n)``. Politis & White 2004, corrected by
    Patton, Politis & White 2009, as in Patton's own code and `arch`. At most ``min(3 sqrt n, n/3)``, rounded up.

    Returns:
        A length of at least 1; 1 where nothing varies, or for fewer than 9 numbers: too few to see dependence.

    Raises:
        StatisticError: there are none, or one is NaN or infinite.
    """
    row = series(values, "values", at_least=1)
    n, deviations = len(row), row - row.mean()
    if n < 9 or not np.any(deviations):
        return 1.0
    covariance, correlation = _autocovariance(deviations)
    reach = _reach(correlation, n)
    lags = np.arange(1, reach + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lags / reach)) * covariance[1 : reach + 1]
    long_run = covariance[0] + 2.0 * float(window.sum())
    if long_run == 0.0:
        return 1.0
    ratio = abs(2.0 * float(window @ lags) / long_run)
    longest = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    return float(min(max(ratio ** (2.0 / 3.0) * n ** (1.0 / 3.0), 1.0), longest))


def _run_length(n: int) -> int:
    return max(5, int(math.log10(n)))


def _autocovariance(deviations: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Autocovariances, and absolute autocorrelations (each lag scaled by what is left of the series there)."""
    n = len(deviations)
    lags = min(math.ceil(math.sqrt(n)) + _run_length(n), n - 1) + 1
    products = np.array([float(deviations[lag:] @ deviations[: n - lag]) for lag in range(lags)])
    squares = np.concatenate(([0.0], np.cumsum(deviations**2)))
    ahead = squares[n] - squares[1 : lags + 1]
    behind = squares[n - lags : n][::-1]
    scale = np.sqrt(np.maximum(ahead * behind, 0.0))
    return products / n, np.divide(np.abs(products), scale, out=np.ones(lags), where=scale > 0.0)


def _reach(correlation: NDArray[np.float64], n: int) -> int:
    """M: how many lags are told from noise, twice."""
    run, last = _run_length(n), len(correlation) - 1
    silent = correlation < 2.0 * math.sqrt(math.log10(n) / n)
    for first in range(1, last - run + 1):
        if silent[first : first + run].all():
            return min(2 * first, last)
    return last


def bootstrap_means(values: ArrayLike, block: float, repetitions: int, luck: Generator) -> NDArray[np.float64]:
    """Means of `repetitions` resamples of `stationary_indices`, in the order drawn.

    Raises:
        StatisticError: as `stationary_indices`, or a value is NaN or infinite.
    """
    row = series(values, "values", at_least=1)
    most = max(1, _AT_ONCE // len(row))
    parts = [min(most, repetitions - done) for done in range(0, repetitions, most)] or [repetitions]
    return np.concatenate([row[stationary_indices(len(row), block, part, luck)].mean(axis=1) for part in parts])


def mean_interval(
    values: ArrayLike, luck: Generator, level: float = 0.9, repetitions: int = 2000, block: float | None = None
) -> Interval:
    """Where the mean likely lies: the percentile interval of the stationary bootstrap (Efron 1979).

    Neighbours that resemble each other are resampled together, so dependence widens the interval as it should.
    It is too short for short or strongly dependent series, as all such intervals are. Measured on normal returns, the
    90 % interval covers the truth in 87 % of samples of 60 without autocorrelation, 81 % with one of 0.3; of 480, in
    90 and 87 %.

    Args:
        values: returns in order of time, two at least.
        luck: a seeded generator.
        level: the share of cases that the interval covers, between 0 and 1.
        repetitions: resamples; the ends wobble by about 3 % of the width with 2,000.
        block: mean block length; `optimal_block` if None.

    Raises:
        StatisticError: fewer than two values, one NaN or infinite, or `level` not strictly between 0 and 1.
    """
    row = series(values, "values", at_least=2)
    tail = (1.0 - share(level, "level")) / 2.0
    length = optimal_block(row) if block is None else block
    low, high = np.quantile(bootstrap_means(row, length, repetitions, luck), (tail, 1.0 - tail))
    return Interval(float(low), float(row.mean()), float(high), length)
