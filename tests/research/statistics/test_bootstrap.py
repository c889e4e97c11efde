"""The stationary bootstrap: blocks, variance in closed form, arch as oracle, and how often the interval is right."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.research.statistics.processes import Floats, autoregressive, luck
from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.bootstrap import (
    bootstrap_means,
    mean_interval,
    optimal_block,
    stationary_indices,
)

NO_ARCH = "arch is not installed: it comes with the development packages"


def slow_indices(n: int, block: float, repetitions: int, seed: int) -> list[list[int]]:
    """One index after the other, from the same draws."""
    rng, rows, begun = luck(seed), [], 0
    restarts = rng.random((repetitions, n)) * block < 1.0
    restarts[:, 0] = True
    drawn = rng.integers(n, size=int(restarts.sum()))
    for restart in restarts:
        row: list[int] = []
        for anew in restart:
            row.append(int(drawn[begun]) if anew else (row[-1] + 1) % n)
            begun += bool(anew)
        rows.append(row)
    return rows


def variance_of_means(values: Floats, block: float) -> float:
    """Politis & Romano 1994, lemma 1: the bootstrap variance of the mean, without resampling."""
    n, deviations = len(values), values - values.mean()
    keep = 1.0 - 1.0 / block
    total = float(deviations @ deviations) / n
    for lag in range(1, n):
        weight = (1 - lag / n) * keep**lag + lag / n * keep ** (n - lag)
        total += 2.0 * weight * float(deviations[lag:] @ deviations[: n - lag]) / n
    return total / n


# ---- indices ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(1.0, 30.0), st.integers(1, 8), st.integers(0, 99))
def test_indices_equal_their_slow_twin(n: int, block: float, repetitions: int, seed: int) -> None:
    assert stationary_indices(n, block, repetitions, luck(seed)).tolist() == slow_indices(n, block, repetitions, seed)


def test_every_observation_is_drawn_equally_often() -> None:
    """The last ones too: blocks go round the end."""
    counts = np.bincount(stationary_indices(20, 6.0, 20_000, luck(1)).ravel(), minlength=20)
    assert np.abs(counts / 20_000 - 1.0).max() < 0.04


def test_blocks_are_as_long_as_asked() -> None:
    indices = stationary_indices(1000, 8.0, 300, luck(2))
    follows = np.diff(indices, axis=1) % 1000 == 1
    assert 1.0 / (1.0 - follows.mean()) == pytest.approx(8.0, rel=0.03)


def test_one_generator_one_result() -> None:
    first, again = (stationary_indices(30, 3.0, 5, luck(3)) for _ in range(2))
    assert (first == again).all()
    assert (first != stationary_indices(30, 3.0, 5, luck(4))).any()


@pytest.mark.parametrize(
    ("n", "block", "repetitions"), [(0, 1.0, 1), (5, 0.5, 1), (5, math.inf, 1), (5, math.nan, 1), (5, 1.0, 0)]
)
def test_no_resamples(n: int, block: float, repetitions: int) -> None:
    with pytest.raises(StatisticError):
        stationary_indices(n, block, repetitions, luck(1))


# ---- means ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1.0, 4.0, 15.0])
def test_means_spread_as_theory_says(block: float) -> None:
    values = autoregressive(luck(5), 1, 80, 0.5)[0]
    means = bootstrap_means(values, block, 20_000, luck(6))
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.var() == pytest.approx(variance_of_means(values, block), rel=0.05)


def test_means_spread_as_those_of_arch() -> None:
    bootstrap = pytest.importorskip("arch.bootstrap", reason=NO_ARCH)
    values = autoregressive(luck(7), 1, 120, 0.4)[0]
    theirs = bootstrap.StationaryBootstrap(6.0, values, seed=luck(8)).apply(np.mean, 4000).ravel()
    ours = bootstrap_means(values, 6.0, 20_000, luck(9))
    assert ours.std() == pytest.approx(theirs.std(), rel=0.06)
    assert np.quantile(ours, (0.05, 0.95)) == pytest.approx(np.quantile(theirs, (0.05, 0.95)), abs=0.1 * theirs.std())


def test_large_series_are_drawn_in_parts() -> None:
    values = luck(10).normal(1.0, 1.0, 300_000)
    means = bootstrap_means(values, 50.0, 9, luck(11))
    assert means.shape == (9,)
    assert np.abs(means - 1.0).max() < 0.02


# ---- block length -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [9, 10, 12, 30, 60, 250, 1000, 3_000])
def test_block_length_equals_that_of_arch(n: int) -> None:
    """Patton's estimate; arch's may fall below one, which is no length."""
    bootstrap = pytest.importorskip("arch.bootstrap", reason=NO_ARCH)
    for seed, phi in enumerate((-0.8, -0.3, 0.0, 0.2, 0.5, 0.9, 0.97)):
        values = autoregressive(luck(seed), 1, n, phi)[0] * 0.01 + 0.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 0 / 0 at the last lags of the shortest
            theirs = float(bootstrap.optimal_block_length(values)["stationary"].iloc[0])
        assert optimal_block(values) == pytest.approx(max(theirs, 1.0), rel=1e-9)


def test_dependence_asks_for_longer_blocks() -> None:
    lengths = [np.median([optimal_block(x) for x in autoregressive(luck(12), 40, 400, phi)]) for phi in (0.0, 0.3, 0.7)]
    assert lengths[0] < lengths[1] < lengths[2]


def test_block_length_does_not_depend_on_units() -> None:
    values = autoregressive(luck(13), 1, 200, 0.5)[0]
    assert optimal_block(1e-6 * values + 3e-6) == pytest.approx(optimal_block(values))


@pytest.mark.parametrize("values", [[1.0], [1.0] * 50, [1.0, 2.0] * 4])
def test_block_length_of_what_shows_no_dependence(values: list[float]) -> None:
    assert optimal_block(values) == 1.0


# ---- the interval -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("phi", "least", "most"), [(0.0, 0.83, 0.95), (0.3, 0.78, 0.93), (0.6, 0.72, 0.92)])
def test_how_often_the_interval_covers_the_truth(phi: float, least: float, most: float) -> None:
    """Of 120 values each, at 90 %."""
    hits = [
        interval.low <= 0.0 <= interval.high
        for values in autoregressive(luck(14), 400, 120, phi)
        for interval in [mean_interval(values, luck(15), repetitions=250)]
    ]
    assert least < np.mean(hits) < most


def test_blocks_are_what_makes_it_wide_enough() -> None:
    """Drawn one by one, strongly dependent values give an interval that is wrong four times in ten."""
    runs = autoregressive(luck(16), 250, 240, 0.6)

    def coverage(block: float | None) -> float:
        intervals = [mean_interval(x, luck(17), repetitions=250, block=block) for x in runs]
        return float(np.mean([i.low <= 0.0 <= i.high for i in intervals]))

    assert coverage(1.0) < 0.66 < 0.72 < coverage(None)


def test_an_interval_by_hand() -> None:
    """Two values, drawn independently: a quarter of the means at each end, half in the middle."""
    interval = mean_interval([1.0, 3.0], luck(18), level=0.6, block=1.0)
    assert interval == (1.0, 2.0, 3.0, 1.0)
    assert mean_interval([1.0, 3.0], luck(18), level=0.4, block=1.0) == (2.0, 2.0, 2.0, 1.0)


def test_an_interval_of_what_never_varies() -> None:
    assert mean_interval([0.5] * 20, luck(19)) == (0.5, 0.5, 0.5, 1.0)


@pytest.mark.parametrize(
    ("values", "level"),
    [([1.0], 0.9), ([1.0, math.nan], 0.9), ([1.0, 2.0], 90.0), ([1.0, 2.0], 0.0), ([[1.0, 2.0]], 0.9)],
)
def test_no_interval(values: list[float], level: float) -> None:
    with pytest.raises(StatisticError):
        mean_interval(values, luck(1), level)
