"""Sharpe ratios that know how long the record is, how its returns are spread, and how many trials were looked at.

The convention is that of 2012 and 2014 (Bailey & Lopez de Prado): the variance is evaluated at the observed Sharpe
ratio and divided by T - 1. That of 2025 (Lopez de Prado, Lipton & Zoonekynd) evaluates it at the null and gives other
numbers for the same returns: never mix them. All Sharpe ratios are per observation, not of a year, unless so named.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.numbers import series, table

_GAMMA = 0.5772156649015329
_NORMAL = NormalDist()


class Moments(NamedTuple):
    """The shape of a series of returns; `kurtosis` is raw, 3 for a normal distribution."""

    n: int
    sharpe: float
    skew: float
    kurtosis: float


def moments(returns: ArrayLike) -> Moments:
    """Number, Sharpe ratio (mean over standard deviation, ddof 1), skew ``m3 / m2^1.5`` and kurtosis ``m4 / m2^2``.

    Returns that never vary have Sharpe ratio 0, skew 0 and kurtosis 3: nothing is known of them.

    Raises:
        StatisticError: fewer than two returns, or one that is NaN or infinite.
    """
    row = series(returns, "returns", at_least=2)
    deviations = row - row.mean()
    # What is left of equal numbers after rounding is no variation.
    size = float(np.abs(deviations).max())
    if size <= 1e-14 * float(np.abs(row).max()):
        return Moments(len(row), 0.0, 0.0, 3.0)
    scaled = deviations / size
    second, third, fourth = (float(np.mean(scaled**power)) for power in (2, 3, 4))
    sharpe = float(np.mean(row / size)) / float(scaled.std(ddof=1))
    return Moments(len(row), sharpe, third / second**1.5, fourth / second**2)


def expected_max_z(n: float) -> float:
    """What the luckiest of n independent standard normal draws is expected to be.

    ``(1 - g) Z^-1(1 - 1/n) + g Z^-1(1 - 1/(n e))``, g = 0.5772..., Z^-1 the normal quantile (Bailey, Borwein, Lopez
    de Prado & Zhu 2014, "Pseudo-mathematics and financial charlatanism"). An approximation: 8 % too low for n = 2,
    within 3 % from n = 5. 0 for n = 1, and where the formula falls below it (n < 1.3).

    Args:
        n: how many; need not be whole, as an effective number is not.

    Raises:
        StatisticError: n is below 1 or not finite.
    """
    if not 1.0 <= n < math.inf:
        raise StatisticError(f"The best of {n} trials.", "One trial at least, and not infinitely many.")
    if n == 1.0:
        return 0.0
    # By symmetry -Z^-1(q) is Z^-1(1 - q), without losing the digits of a small q.
    z = -(1.0 - _GAMMA) * _NORMAL.inv_cdf(1.0 / n) - _GAMMA * _NORMAL.inv_cdf(1.0 / (n * math.e))
    return max(z, 0.0)


def min_backtest_length_years(n: float, target_annual_sharpe: float = 1.0) -> float:
    """Years of history below which the best of n worthless trials is expected to show the target Sharpe ratio.

    ``(expected_max_z(n) / target)^2`` (Bailey et al. 2014), always below ``2 ln n / target^2``.

    Raises:
        StatisticError: n is below 1, or the target is not positive.
    """
    if not 0.0 < target_annual_sharpe < math.inf:
        raise StatisticError(f"A target of {target_annual_sharpe}.", "It is a positive Sharpe ratio of a year.")
    return (expected_max_z(n) / target_annual_sharpe) ** 2


def probabilistic_sharpe(
    sharpe: float, benchmark: float, n_returns: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """How sure it is that the true Sharpe ratio exceeds a benchmark: PSR, convention of 2012.

    ``Z((SR - SR*) sqrt(T - 1) / sqrt(1 - skew SR + (kurtosis - 1)/4 SR^2))`` (Bailey & Lopez de Prado 2012, "The
    Sharpe ratio efficient frontier"). It takes returns to be independent: fold returns are nearly, candles are not.

    Args:
        sharpe: observed, per observation.
        benchmark: what it is compared with, per observation.
        n_returns: how many observations, 2 at least.
        skew: of the returns.
        kurtosis: of the returns, raw.

    Returns:
        Between 0 and 1; 0.5 where the two are equal.

    Raises:
        StatisticError: fewer than two returns, NaN, or moments no distribution has together (variance <= 0).
    """
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if n_returns < 2 or not 0.0 < variance < math.inf or not math.isfinite(benchmark):
        raise StatisticError(
            f"No certainty about a Sharpe ratio of {sharpe}: {n_returns} returns, skew {skew}, kurtosis {kurtosis}.",
            "Two returns at least, and the moments of one and the same series.",
        )
    return _normal_share((sharpe - benchmark) * math.sqrt(n_returns - 1) / math.sqrt(variance))


def expected_max_sharpe(sharpe_variance: float, n_trials: float) -> float:
    """SR0, the Sharpe ratio that the best of n worthless trials is expected to show.

    ``sqrt(sharpe_variance) * expected_max_z(n_trials)`` (Bailey & Lopez de Prado 2014, equation 1, mean 0).

    Args:
        sharpe_variance: variance of the trials' Sharpe ratios (ddof 1), per observation.
        n_trials: how many independent trials they amount to, see `effective_trials`.

    Raises:
        StatisticError: a negative or NaN variance, or fewer than one trial.
    """
    if not 0.0 <= sharpe_variance < math.inf:
        raise StatisticError(f"A variance of {sharpe_variance}.", "It is zero or more.")
    return math.sqrt(sharpe_variance) * expected_max_z(n_trials)


def deflated_sharpe(
    sharpe: float, sharpe_variance: float, n_trials: float, n_returns: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """How sure it is that the best trial is better than the luckiest of so many worthless ones: DSR, 2014.

    `probabilistic_sharpe` against the benchmark `expected_max_sharpe` (Bailey & Lopez de Prado 2014, "The deflated
    Sharpe ratio"), in the convention of 2012: the benchmark does not change the variance.

    Returns:
        Between 0 and 1; 0.95 is the usual bar.

    Raises:
        StatisticError: as the two functions named.
    """
    return probabilistic_sharpe(sharpe, expected_max_sharpe(sharpe_variance, n_trials), n_returns, skew, kurtosis)


def effective_trials(returns: ArrayLike) -> float:
    """To how many independent trials the trials of a grid amount: an honest N for the deflated Sharpe ratio.

    ``sum over eigenvalues l of the correlation matrix: [l >= 1] + (l - floor(l))`` (Li & Ji 2005, "Adjusting multiple
    testing in multilocus analyses using the eigenvalues of a correlation matrix", Heredity 95): identical trials count
    once, independent ones each. Taken of the returns, and of the returns in excess of the grid's mean at each time, and
    the larger of both: what all trials share moves all Sharpe ratios alike, so `sharpe_variance` has lost it already.

    Why this one: it predicts the luckiest. On a grid like ours (7 x 3 x 4 x 4, neighbours alike) whose best is as good
    as the best of 48 independent trials it says 56. The participation ratio ``(tr C)^2 / tr(C^2)`` says 4, which would
    call luck skill; the average-correlation formula ``r + (1 - r) N`` of the 2014 paper says 185, and 298 for ten
    groups of 33 identical trials, where 10 is right and this one says 10 to 16.

    Args:
        returns: one row a time, one column a trial. With fewer times than trials the number is too low (of 336
            independent ones over 480 times it sees 275, over 60 times 87): pass returns of candles or hours.

    Returns:
        Between 1 and the number of columns. Trials whose returns never vary (they never traded) count once, together.

    Raises:
        StatisticError: fewer than two times, no trials, or returns that are NaN or infinite.
    """
    grid = table(returns, "returns")
    if len(grid) < 2:
        raise StatisticError("There is one row of returns.", "Correlations need two times at least.")
    alive = grid[:, np.ptp(grid, axis=0) > 0.0]
    idle = float(alive.shape[1] < grid.shape[1])
    if alive.shape[1] == 0:
        return 1.0
    excess = alive - alive.mean(axis=1, keepdims=True)
    return float(min(max(_li_ji(alive), _li_ji(excess)) + idle, grid.shape[1]))


def _li_ji(returns: NDArray[np.float64]) -> float:
    """Li & Ji's count for the columns that vary; rounding of eigenvalues must not make a whole trial."""
    spread = returns - returns.mean(axis=0)
    lengths = np.sqrt((spread**2).sum(axis=0))
    varies = lengths > 1e-12 * max(float(lengths.max()), 1e-300)
    unit = spread[:, varies] / lengths[varies]
    gram = unit.T @ unit if unit.shape[1] <= len(unit) else unit @ unit.T
    eigenvalues = np.maximum(np.linalg.eigvalsh(gram), 0.0)
    whole = np.floor(eigenvalues + 1e-8)
    return float(((whole >= 1.0) + np.maximum(eigenvalues - whole, 0.0)).sum())


def _normal_share(z: float) -> float:
    """The normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
