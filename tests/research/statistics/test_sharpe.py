"""Sharpe ratios against published numbers, other people's code, and simulated luck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.research.statistics.processes import Floats, luck
from tests.shares import shared
from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.sharpe import (
    deflated_sharpe,
    effective_trials,
    expected_max_sharpe,
    expected_max_z,
    min_backtest_length_years,
    moments,
    probabilistic_sharpe,
)

NO_SKFOLIO = "skfolio is not installed: it comes with the development packages"
NO_PURGEDCV = "purgedcv is not installed: it comes with the development packages"
NO_SCIPY = "scipy is not installed: it comes with the development packages"


# ---- the luckiest of many ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "expected", "digits"),
    [
        (10, 1.5745983, 7),  # Bailey et al. 2014 print 1.57
        (45, 2.2356402, 7),  # the same page: 45 trials need five years
        (100, 2.5306028932, 10),  # the tests of pypbo
        # computed from the formula with scipy 1.17.1
        (2, 0.519755, 6),
        (5, 1.192594, 6),
        (7, 1.386774, 6),
        (20, 1.900708, 6),
        (50, 2.276303, 6),
        (200, 2.765524, 6),
        (500, 3.052528, 6),
        (1000, 3.255122, 6),
        (5000, 3.687703, 6),
        (10_000, 3.860665, 6),
    ],
)
def test_expected_max_z(n: int, expected: float, digits: int) -> None:
    assert expected_max_z(n) == pytest.approx(expected, abs=0.6 * 10**-digits)


@settings(deadline=None)
@given(st.floats(2.0, 1e9))
def test_expected_max_z_equals_the_formula_in_scipy(n: float) -> None:
    norm = pytest.importorskip("scipy.stats", reason=NO_SCIPY).norm
    formula = (1 - np.euler_gamma) * norm.isf(1 / n) + np.euler_gamma * norm.isf(1 / (n * math.e))
    assert expected_max_z(n) == pytest.approx(formula, abs=1e-9)


@pytest.mark.parametrize(("n", "off"), [(2, 0.08), (5, 0.03), (10, 0.03), (100, 0.02), (1000, 0.02)])
def test_it_is_what_the_luckiest_shows(n: int, off: float) -> None:
    best = luck(1).standard_normal((200_000 // n if n > 50 else 40_000, n)).max(axis=1)
    assert expected_max_z(n) == pytest.approx(best.mean(), rel=off + 0.02)


@pytest.mark.parametrize("n", [1, 1.0, 1.1, 1.25])
def test_one_trial_is_no_choice(n: float) -> None:
    assert expected_max_z(n) == 0.0


@pytest.mark.parametrize("n", [0, 0.99, -3, math.inf, math.nan])
def test_no_trials(n: float) -> None:
    with pytest.raises(StatisticError):
        expected_max_z(n)


@pytest.mark.parametrize(
    ("n", "years"),
    [
        (7, 1.923143),  # Bailey et al. 2014: about two years
        (45, 4.9980870044),  # five years; the tests of pypbo
        (2, 0.2701),
        (10, 2.4794),
        (20, 3.6127),
        (50, 5.1816),
        (100, 6.404),
        (200, 7.6481),
        (500, 9.3179),
        (1000, 10.5958),
        (10_000, 14.9047),
    ],
)
def test_min_backtest_length(n: int, years: float) -> None:
    assert min_backtest_length_years(n) == pytest.approx(years, abs=6e-5)
    assert min_backtest_length_years(n, 2.0) == pytest.approx(years / 4.0, abs=2e-5)
    assert min_backtest_length_years(n) < 2.0 * math.log(n)


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan, math.inf])
def test_no_target(target: float) -> None:
    with pytest.raises(StatisticError):
        min_backtest_length_years(10, target)


# ---- PSR and DSR ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sharpe", "than", "n", "skew", "kurtosis", "expected"),
    [
        # Bailey & Lopez de Prado 2012 print 0.913 and 0.982; more digits in the tests of pypbo
        (1.585 / math.sqrt(12), 0.0, 24, -2.448, 10.164, 0.9132343069),
        (1.585 / math.sqrt(12), 0.0, 24, 0.0, 3.0, 0.9815912361),
        (1.14, 1.0, 250, 0.0, 3.0, 0.95727),  # the tests of mlfinlab
    ],
)
def test_probabilistic_sharpe(
    sharpe: float, than: float, n: int, skew: float, kurtosis: float, expected: float
) -> None:
    assert probabilistic_sharpe(sharpe, than, n, skew, kurtosis) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("n_trials", "skew", "kurtosis", "bar", "expected"),
    [  # Bailey & Lopez de Prado 2014, worked example: 0.1132, 0.9004; 0.9505 with 46, and with 88 normal ones
        (100, -3.0, 10.0, 0.113172, 0.90039683444939),
        (46, -3.0, 10.0, 0.100362, 0.950502),
        (88, 0.0, 3.0, 0.111146, 0.950491),
    ],
)
def test_deflated_sharpe(n_trials: int, skew: float, kurtosis: float, bar: float, expected: float) -> None:
    sharpe, variance = 2.5 / math.sqrt(250), 0.5 / 250
    assert expected_max_sharpe(variance, n_trials) == pytest.approx(bar, abs=6e-7)
    assert deflated_sharpe(sharpe, variance, n_trials, 1250, skew, kurtosis) == pytest.approx(expected, abs=6e-7)


def test_a_sharpe_ratio_at_the_benchmark_is_even_odds() -> None:
    assert probabilistic_sharpe(0.1, 0.1, 50, -1.0, 5.0) == 0.5
    assert deflated_sharpe(0.1, 0.0, 336, 50) == probabilistic_sharpe(0.1, 0.0, 50)
    assert deflated_sharpe(0.1, 0.04, 1, 50) == probabilistic_sharpe(0.1, 0.0, 50)


@pytest.mark.parametrize(
    ("sharpe", "than", "n", "skew", "kurtosis"),
    [
        (0.1, 0.0, 1, 0.0, 3.0),
        (math.nan, 0.0, 10, 0.0, 3.0),
        (0.1, math.nan, 10, 0.0, 3.0),
        (1.0, 0.0, 10, 2.0, 3.0),  # a skew of 2 takes a kurtosis of 5
    ],
)
def test_no_certainty(sharpe: float, than: float, n: int, skew: float, kurtosis: float) -> None:
    with pytest.raises(StatisticError):
        probabilistic_sharpe(sharpe, than, n, skew, kurtosis)


@pytest.mark.parametrize("variance", [-0.1, math.nan, math.inf])
def test_no_variance(variance: float) -> None:
    with pytest.raises(StatisticError):
        expected_max_sharpe(variance, 10)


def skewed_returns(seed: int, n: int) -> Floats:
    return 0.003 - 0.01 * (luck(seed).gamma(2.0, 1.0, n) - 2.0)


@pytest.mark.parametrize(("seed", "n"), [(1, 20), (2, 60), (3, 1000)])
def test_moments_psr_and_dsr_equal_those_of_skfolio(seed: int, n: int) -> None:
    theirs = pytest.importorskip("skfolio.measures", reason=NO_SKFOLIO)
    returns, benchmark = skewed_returns(seed, n), 0.05
    ours = moments(returns)
    assert ours.n == n
    assert ours.sharpe == pytest.approx(theirs.mean(returns) / theirs.standard_deviation(returns), rel=1e-12)
    assert ours.skew == pytest.approx(theirs.skew(returns), rel=1e-10)
    assert ours.kurtosis == pytest.approx(theirs.kurtosis(returns), rel=1e-10)
    psr = probabilistic_sharpe(ours.sharpe, benchmark, n, ours.skew, ours.kurtosis)
    assert psr == pytest.approx(theirs.probabilistic_sharpe_ratio(returns, benchmark), abs=1e-9)
    trials = luck(seed).normal(0.0, 0.1, 40)
    dsr = deflated_sharpe(ours.sharpe, trials.var(ddof=1), 40, n, ours.skew, ours.kurtosis)
    assert dsr == pytest.approx(theirs.deflated_sharpe_ratio(returns, trials), abs=1e-9)


@pytest.mark.parametrize("n_trials", [1, 7, 336])
def test_dsr_equals_that_of_purgedcv(n_trials: int) -> None:
    """Which takes other estimates of the moments: ours is given them."""
    theirs = pytest.importorskip("purgedcv", reason=NO_PURGEDCV).deflated_sharpe_ratio_full(
        skewed_returns(4, 80), n_trials, 0.02
    )
    ours = deflated_sharpe(theirs.observed_sr, 0.02, n_trials, 80, theirs.skew, theirs.kurt)
    assert ours == pytest.approx(theirs.dsr, abs=1e-9)


def test_moments_by_hand() -> None:
    assert moments([0.0, 0.0, 0.0, 4.0]) == pytest.approx((4, 0.5, 2.0 / math.sqrt(3.0), 7.0 / 3.0))
    assert moments([1e-200, 3e-200]) == pytest.approx((2, math.sqrt(2.0), 0.0, 1.0))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e8])
def test_moments_of_what_never_varies(value: float) -> None:
    assert moments([value] * 7) == (7, 0.0, 0.0, 3.0)


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, math.nan], [[0.1, 0.2]]])
def test_no_moments(returns: list[float]) -> None:
    with pytest.raises(StatisticError):
        moments(returns)


# ---- an honest number of trials ---------------------------------------------------------------------


def neighbours(n: int, correlation: float) -> Floats:
    """Trials along a parameter: the further apart, the less alike."""
    place = np.arange(n)
    return np.asarray(correlation ** np.abs(place[:, None] - place))


def alike(n: int, correlation: float) -> Floats:
    return np.full((n, n), correlation) + (1.0 - correlation) * np.eye(n)


def grid_like(lookback: float, exits: float, target: float) -> Floats:
    """7 lookbacks, 3 exits, 4 nearly equivalent sizes, 4 targets: 336 trials."""
    structure = np.kron(
        np.kron(neighbours(7, lookback), alike(3, exits)), np.kron(alike(4, 0.995), neighbours(4, target))
    )
    return np.asarray(structure)


def with_correlation(structure: Floats, times: int, seed: int) -> Floats:
    mixed = np.linalg.cholesky(structure + 1e-9 * np.eye(len(structure)))
    return luck(seed).standard_normal((times, len(structure))) @ mixed.T


STRUCTURES = {
    "independent": np.eye(200),
    "all alike, 0.5": alike(200, 0.5),
    "all alike, 0.9": alike(200, 0.9),
    "twelve groups of near twins": np.kron(np.eye(12), alike(20, 0.98)),
    "neighbours, 0.95": neighbours(300, 0.95),
    "grid, much alike": grid_like(0.8, 0.7, 0.9),
    "grid, little alike": grid_like(0.5, 0.4, 0.6),
}


@pytest.mark.parametrize("name", shared(STRUCTURES, 2))
def test_the_bar_is_what_the_luckiest_of_correlated_trials_shows(name: str) -> None:
    """SR0 from the estimated number of trials, against the winner of worthless trials with that correlation."""
    structure = STRUCTURES[name]
    n_trials = effective_trials(with_correlation(structure, 3000, seed=5))
    sharpes = with_correlation(structure, 1500, seed=6)  # as far as luck goes: normal, mean 0
    bar = expected_max_sharpe(float(sharpes.var(axis=1, ddof=1).mean()), n_trials)
    assert bar == pytest.approx(sharpes.max(axis=1).mean(), rel=0.08)


def test_a_grid_is_neither_all_its_trials_nor_one() -> None:
    assert 35 < effective_trials(with_correlation(STRUCTURES["grid, much alike"], 3000, seed=7)) < 70


def test_known_numbers_of_trials() -> None:
    draws = luck(8).standard_normal((4000, 12))
    assert effective_trials(draws) == pytest.approx(12.0, abs=0.6)
    assert effective_trials(np.repeat(draws[:, :1], 336, axis=1)) == pytest.approx(1.0)
    assert effective_trials(draws[:, :1]) == pytest.approx(1.0)
    assert effective_trials(draws[:, :2]) == pytest.approx(2.0, abs=0.05)
    assert 12.0 <= effective_trials(np.repeat(draws, 28, axis=1)) < 24.0


def test_neither_size_nor_order_of_trials_matters() -> None:
    returns = with_correlation(alike(30, 0.6), 300, seed=9)
    order = luck(10).permutation(30)
    assert effective_trials(returns[:, order]) == pytest.approx(effective_trials(returns))
    assert effective_trials(1e-7 * returns) == pytest.approx(effective_trials(returns))


def test_fewer_times_than_trials_agree_with_the_whole_matrix() -> None:
    """The smaller of the two products has the same eigenvalues."""
    returns = with_correlation(alike(60, 0.3), 40, seed=11)
    excess = returns - returns.mean(axis=1, keepdims=True)

    def count(columns: Floats) -> float:
        values = np.clip(np.linalg.eigvalsh(np.corrcoef(columns.T)), 0.0, None)
        return float(((values >= 1.0) + values - np.floor(values)).sum())

    assert effective_trials(returns) == pytest.approx(max(count(returns), count(excess)), abs=1e-6)


def test_trials_that_never_traded_are_one() -> None:
    draws = luck(12).standard_normal((500, 3))
    idle = np.hstack([draws, np.zeros((500, 40))])
    assert effective_trials(idle) == pytest.approx(effective_trials(draws) + 1.0)
    assert effective_trials(np.zeros((10, 5))) == 1.0


@pytest.mark.parametrize("returns", [[[1.0, 2.0]], [1.0, 2.0], np.zeros((0, 3)), np.zeros((3, 0)), [[math.nan], [1.0]]])
def test_no_number_of_trials(returns: Floats) -> None:
    with pytest.raises(StatisticError):
        effective_trials(returns)
