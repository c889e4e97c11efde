"""Does the best of a grid stay good where it was not chosen? Combinatorially symmetric cross-validation (CSCV)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.numbers import table

Score = Literal["mean", "sharpe"]
"""What the best is best by, per observation; the Sharpe ratio with ddof 1, and 0 where nothing varies."""
_AT_ONCE = 50_000
"""Scores worked on at a time: 0.4 MB an array, which stays in the processor's cache."""
_TIE = 1e-12
"""Sharpe ratios closer than this are equal, means closer than this share of the largest return: rounding."""
_MOST_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What became of the in-sample winner of every split, out of sample.

    `pbo`: the share of splits whose winner ranked no better than the median (0.5 is what noise gives, not 0).
    `logits`: ``ln(w / (1 - w))`` of its relative rank w, one a split, in lexicographic order of out-of-sample blocks.
    `slope`: by how much the out-of-sample score rises with the winner's in-sample score (least squares; 0 where all
    splits score the same): below 0, the better it looked the worse it did. `loss_share`: how often it scored below 0.
    """

    pbo: float
    logits: NDArray[np.float64]
    slope: float
    loss_share: float


def backtest_overfitting(returns: ArrayLike, n_blocks: int = 16, score: Score = "sharpe") -> Overfitting:
    """PBO, the probability of backtest overfitting.

    Bailey, Borwein, Lopez de Prado & Zhu 2017, "The probability of backtest overfitting": cut time into S blocks; for
    each choice J of half of them the winner is the trial with the best score over J; r is its rank (1 worst to N
    best, ties share their mean) among the scores over the other half, w = r / (N + 1), and PBO the share of choices
    with ``ln(w / (1 - w)) <= 0``. On one short record it wobbles too much to print as one number (sd 0.22 over a day).

    Args:
        returns: one row a time, one column a trial. If S does not divide the rows, the oldest ones left over are
            dropped.
        n_blocks: S, even, from 2 to 20; 16 makes 12,870 splits.
        score: "mean" or "sharpe".

    Raises:
        StatisticError: fewer than two trials, NaN, S odd or out of range, an unknown score, or blocks too short for it
            (one row for the mean, and two rows in each half for the Sharpe ratio).
    """
    grid = table(returns, "returns")
    rows = _check(grid, n_blocks, score)
    sums, squares, level = _block_sums(grid[len(grid) - rows :], n_blocks)
    tie = _TIE * (1.0 if score == "sharpe" else float(np.abs(grid).max()))
    chosen, half = _halves(n_blocks), rows // 2
    n_splits = 2 * len(chosen)
    rank, inside, outside = np.empty(n_splits), np.empty(n_splits), np.empty(n_splits)
    at_once = max(1, _AT_ONCE // grid.shape[1])
    for begin in range(0, len(chosen), at_once):
        here = chosen[begin : begin + at_once]
        first = _scores(here @ sums, here @ squares, half, level, score)
        second = _scores((1.0 - here) @ sums, (1.0 - here) @ squares, half, level, score)
        place = np.arange(begin, begin + len(here))
        for where, one, other in ((place, second, first), (n_splits - 1 - place, first, second)):
            rank[where], inside[where], outside[where] = _follow_winner(one, other, tie)
    share = rank / (grid.shape[1] + 1)
    logits = np.log(share / (1.0 - share))
    pbo = float(np.mean(2.0 * rank <= grid.shape[1] + 1))
    return Overfitting(pbo, logits, _slope(inside, outside), float(np.mean(outside < 0.0)))


def _check(grid: NDArray[np.float64], n_blocks: int, score: str) -> int:
    """How many rows are used."""
    if n_blocks % 2 or not 2 <= n_blocks <= _MOST_BLOCKS:
        raise StatisticError(f"{n_blocks} blocks.", f"Their number is even, from 2 to {_MOST_BLOCKS}.")
    if score not in ("mean", "sharpe"):
        raise StatisticError(f"No score is called {score}.", 'Say "mean" or "sharpe".')
    rows = len(grid) // n_blocks * n_blocks
    if grid.shape[1] < 2 or rows == 0 or (score == "sharpe" and rows < 4):
        raise StatisticError(
            f"{len(grid)} times of {grid.shape[1]} trials are too few for {n_blocks} blocks.",
            "Two trials at least, and a row a block; halves of two rows for the Sharpe ratio.",
        )
    return rows


@lru_cache(maxsize=4)
def _halves(n_blocks: int) -> NDArray[np.float64]:
    """The first half of all choices in lexicographic order, those with block 0. The others, reversed, are the rest."""
    rest = np.array(list(combinations(range(1, n_blocks), n_blocks // 2 - 1)), dtype=np.intp)
    chosen = np.zeros((len(rest), n_blocks))
    chosen[:, 0] = 1.0
    np.put_along_axis(chosen, rest, 1.0, axis=1)
    chosen.flags.writeable = False
    return chosen


def _block_sums(
    grid: NDArray[np.float64], n_blocks: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums and sums of squares of each block (row) and trial (column), of deviations from the trials' means: exact."""
    level = grid.mean(axis=0)
    blocks = (grid - level).reshape(n_blocks, -1, grid.shape[1])
    return blocks.sum(axis=1), (blocks**2).sum(axis=1), level


def _scores(
    sums: NDArray[np.float64], squares: NDArray[np.float64], n: int, level: NDArray[np.float64], score: str
) -> NDArray[np.float64]:
    """Score of each trial (column) in each choice of blocks (row)."""
    deviation = sums / n
    mean = deviation + level
    if score == "mean":
        return mean
    variance = (squares - sums * deviation) / (n - 1)
    varies = variance > 1e-14 * (mean**2 + squares / n)
    return np.divide(mean, np.sqrt(np.maximum(variance, 0.0)), out=np.zeros_like(mean), where=varies)


def _follow_winner(
    inside: NDArray[np.float64], outside: NDArray[np.float64], tie: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of the winner of each row inside: its rank outside (ties share their mean), and its two scores."""
    best = inside.max(axis=1, keepdims=True)
    winner = np.argmax(inside >= best - tie, axis=1)
    row = np.arange(len(inside))
    held = outside[row, winner][:, None]
    worse = (outside < held - tie).sum(axis=1)
    equal = (outside <= held + tie).sum(axis=1) - worse
    return worse + (equal + 1) / 2.0, inside[row, winner], held[:, 0]


def _slope(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    deviation = inside - inside.mean()
    spread = float(deviation @ deviation)
    if math.isclose(spread, 0.0, abs_tol=1e-24 * len(inside) * max(1e-300, float(np.abs(inside).max()) ** 2)):
        return 0.0
    return float(deviation @ outside) / spread
