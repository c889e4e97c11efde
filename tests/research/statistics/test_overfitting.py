"""PBO by CSCV: a slow twin, purgedcv as oracle, published cases, and what must not change it."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.research.statistics.processes import Floats, luck
from tests.shares import late
from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.overfitting import Score, backtest_overfitting

NO_PURGEDCV = "purgedcv is not installed: it comes with the development packages"


def slow_logits(rows: list[list[float]], n_blocks: int, score: str) -> list[float]:
    """The paper, word by word; one split after the other, in the order of the out-of-sample blocks."""
    size, logits = len(rows) // n_blocks, []
    rows = rows[len(rows) - size * n_blocks :]

    def scores(blocks: tuple[int, ...]) -> list[float]:
        picked = [row for b in blocks for row in rows[b * size : (b + 1) * size]]
        columns = list(zip(*picked, strict=True))
        means = [fmean(column) for column in columns]
        if score == "mean":
            return means
        spreads = [stdev(column) for column in columns]
        return [m / s if s > 1e-9 else 0.0 for m, s in zip(means, spreads, strict=True)]

    for outside in combinations(range(n_blocks), n_blocks // 2):
        ins, outs = scores(tuple(b for b in range(n_blocks) if b not in outside)), scores(outside)
        best = max(ins)
        held = outs[next(i for i, x in enumerate(ins) if math.isclose(x, best, rel_tol=1e-9, abs_tol=1e-12))]
        equal = sum(math.isclose(x, held, rel_tol=1e-9, abs_tol=1e-12) for x in outs)
        worse = sum(x < held and not math.isclose(x, held, rel_tol=1e-9, abs_tol=1e-12) for x in outs)
        share = (worse + (equal + 1) / 2) / (len(outs) + 1)
        logits.append(math.log(share / (1 - share)))
    return logits


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 9999),
    n_trials=st.integers(2, 6),
    n_rows=st.integers(8, 21),
    n_blocks=st.sampled_from([2, 4, 6]),
    score=st.sampled_from(["mean", "sharpe"]),
)
def test_it_equals_its_slow_twin_ties_and_idle_trials_included(
    seed: int, n_trials: int, n_rows: int, n_blocks: int, score: Score
) -> None:
    """Whole numbers from -2 to 2 tie often; zeros are trials that did not trade."""
    rows = luck(seed).integers(-2, 3, (n_rows, n_trials)).astype(float)
    rows[:, luck(seed + 1).random(n_trials) < 0.2] = 0.0
    found = backtest_overfitting(rows, n_blocks, score)
    logits = slow_logits(rows.tolist(), n_blocks, score)
    assert found.logits == pytest.approx(logits, abs=1e-9)
    assert found.pbo == pytest.approx(fmean(x <= 1e-12 for x in logits))


@pytest.mark.parametrize(("seed", "n_rows", "n_trials", "n_blocks"), [(1, 40, 8, 4), (2, 96, 15, 8), (3, 60, 31, 6)])
def test_it_equals_purgedcv(seed: int, n_rows: int, n_trials: int, n_blocks: int) -> None:
    purgedcv = pytest.importorskip("purgedcv", reason=NO_PURGEDCV)
    returns = luck(seed).standard_t(4, (n_rows, n_trials)) + luck(seed + 1).normal(0.0, 0.2, n_trials)
    theirs = purgedcv.probability_of_backtest_overfitting(returns.T, n_blocks)
    ours = backtest_overfitting(returns, n_blocks)
    assert ours.pbo == theirs.pbo
    assert ours.logits == pytest.approx(theirs.logits, abs=1e-9)
    assert ours.slope == pytest.approx(theirs.slope, rel=1e-6)
    assert ours.loss_share == float(np.mean(theirs.is_oos_performance[:, 1] < 0.0))


# ---- published cases --------------------------------------------------------------------------------


def test_a_hand_check() -> None:
    """Computed by hand; equal to purgedcv 0.1.11."""
    found = backtest_overfitting([[3, 1, 2], [1, 2, 0], [2, 0, 4], [0, 3, 1]], 4, "mean")
    low, tied = math.log(1 / 3), math.log(3 / 5)
    assert found.logits == pytest.approx([low, low, tied, low, tied, low], abs=1e-8)
    assert (found.pbo, found.loss_share) == (1.0, 0.0)


@pytest.mark.parametrize(("n_blocks", "splits"), [(4, 6), (8, 70), (10, 252), (12, 924), (16, 12_870)])
def test_all_splits_are_made(n_blocks: int, splits: int) -> None:
    """Bailey et al. 2017, section 2."""
    assert len(backtest_overfitting(luck(1).standard_normal((2 * n_blocks, 3)), n_blocks).logits) == splits


def centred(seed: int, n_rows: int, n_trials: int) -> Floats:
    """Columns of mean exactly 0, as far as floats go."""
    columns = luck(seed).standard_normal((n_rows, n_trials))
    return columns - columns.mean(axis=0)


def test_the_vignette_of_the_r_package() -> None:
    """CRAN pbo 1.3.5: 100 columns of mean 0, Sharpe ratio above 0.03 / 252: PBO 1, every winner loses.

    Equal means force it: what is gained inside is lost outside. (What the package prints as the slope, -0.003, is the
    intercept: the slope of such data is -1.)
    """
    columns = centred(2, 2400, 100)
    columns *= 1.0 / math.sqrt(252) / columns.std(axis=0, ddof=1)
    found = backtest_overfitting(columns - 0.03 / 252, 8)
    assert (found.pbo, found.loss_share) == (1.0, 1.0)
    assert found.slope == pytest.approx(-1.0, abs=0.1)


def test_noise_is_one_half_give_or_take() -> None:
    """Published for 1,000 times 200 by 16: 0.476, sd 0.137 (pbo.marketmaker.cc); recomputed 0.496."""
    found = [backtest_overfitting(luck(seed).standard_normal((1000, 200))).pbo for seed in range(12)]
    assert 0.37 < np.mean(found) < 0.63
    assert 0.05 < np.std(found) < 0.25


def test_a_planted_edge_survives() -> None:
    """20 of 200 columns are better by 0.15 standard deviations: 0.001 (pbo.marketmaker.cc)."""
    columns = luck(3).standard_normal((1000, 200))
    columns[:, :20] += 0.15
    found = backtest_overfitting(columns)
    assert found.pbo < 0.02
    assert found.loss_share < 0.02


@pytest.mark.parametrize(
    ("sharpe", "n_rows", "n_trials", "pbo"),
    [
        (0, 500, 100, 1.0),
        late(1, 500, 100, 0.917),
        late(1, 1000, 100, 0.711),
        late(1, 2500, 100, 0.281),
        (1, 1000, 10, 0.353),
        (2, 500, 100, 0.392),
        late(2, 1000, 100, 0.087),
        late(3, 500, 100, 0.063),
        (3, 1000, 100, 0.001),
    ],
)
def test_one_good_column_among_zeros(sharpe: float, n_rows: int, n_trials: int, pbo: float) -> None:
    """The design of the paper's table: all means exactly 0 but one, of a Sharpe ratio a year (of 250); 12 draws."""
    found = []
    for seed in range(12):
        columns = centred(100 + seed, n_rows, n_trials)
        columns[:, 0] += sharpe / math.sqrt(250) * columns[:, 0].std(ddof=1)
        found.append(backtest_overfitting(columns).pbo)
    assert np.mean(found) == pytest.approx(pbo, abs=0.09)


def test_crossings_of_averages_on_a_random_walk() -> None:
    """170 of them: 0.463 (pbo.marketmaker.cc). One walk tells little, so the mean of eight."""
    found = []
    for seed in range(8):
        steps = luck(20 + seed).normal(0.0, 0.01, 1200)
        price = np.cumsum(steps)
        total = np.concatenate(([0.0], np.cumsum(price)))
        averages = {n: (total[n:] - total[:-n]) / n for n in (*range(2, 12), *range(20, 105, 5))}
        wishes = [
            np.sign(averages[fast][-1000:] - averages[slow][-1000:])
            for fast in range(2, 12)
            for slow in range(20, 105, 5)
        ]
        found.append(backtest_overfitting(np.array(wishes)[:, :-1].T * steps[-999:, None]).pbo)
    assert len(wishes) == 170
    assert 0.3 < np.mean(found) < 0.7


# ---- what must not change it ------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["mean", "sharpe"])
def test_units_and_the_oldest_rows_left_over_do_not_matter(score: Score) -> None:
    returns = luck(4).standard_normal((80, 9))
    found = backtest_overfitting(returns, 8, score)
    older = np.vstack([luck(5).standard_normal((7, 9)), 1e-6 * returns])
    again = backtest_overfitting(older, 8, score)
    assert (again.logits == found.logits).all()
    assert again.slope == pytest.approx(found.slope)


def test_identical_trials_share_their_rank() -> None:
    """Wherever they stand: the last digits of equal sums differ with the place in a matrix."""
    column = luck(6).standard_normal((160, 1))
    found = backtest_overfitting(np.repeat(column, 101, axis=1), 8)
    assert (found.logits == 0.0).all()
    assert found.pbo == 1.0


def test_many_trials_are_worked_on_in_parts() -> None:
    """Columns that are never best inside change no winner, and each stands below him outside."""
    returns = luck(7).normal(1.0, 1.0, (64, 5))
    many = np.hstack([returns, np.full((64, 9000), -100.0)])
    few = backtest_overfitting(returns, 8, "mean")
    found = backtest_overfitting(many, 8, "mean")
    rank = 6.0 / (1.0 + np.exp(-few.logits))
    assert 9006.0 / (1.0 + np.exp(-found.logits)) == pytest.approx(rank + 9000.0)
    assert found.slope == pytest.approx(few.slope)


def test_nothing_ever_moves() -> None:
    found = backtest_overfitting(np.zeros((32, 4)), 4)
    assert (found.pbo, found.slope, found.loss_share) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("shape", "n_blocks", "score"),
    [
        ((16, 1), 4, "mean"),
        ((16, 3), 5, "mean"),
        ((16, 3), 0, "mean"),
        ((100, 3), 22, "mean"),
        ((3, 3), 4, "mean"),
        ((2, 3), 2, "sharpe"),
        ((16, 3), 4, "median"),
        ((16,), 4, "mean"),
    ],
)
def test_no_splits(shape: tuple[int, ...], n_blocks: int, score: Score) -> None:
    with pytest.raises(StatisticError):
        backtest_overfitting(np.ones(shape), n_blocks, score)


def test_no_numbers() -> None:
    with pytest.raises(StatisticError, match="NaN"):
        backtest_overfitting(np.full((8, 3), math.nan), 4)
