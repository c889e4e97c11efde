"""Does the winner stand on a plateau or on a needle? How its neighbours in the grid did.

Neighbours are one step away on any number of axes, diagonals included; at the border of the grid there are fewer.
Steps go by value, whatever order the grid lists them in. No stop-loss is the farthest of all, no longest hold the
longest. Exit types have no order: a trial's neighbours share its own, for another one is another strategy.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from your_short_trade_margin_call.research.trials import AXES, Trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

UNORDERED = ("exit_type",)
"""Axes along which nobody has neighbours."""


@dataclass(frozen=True)
class Surface:
    """For every trial, in grid order: mean and worst `pnl_pct` of itself and its neighbours, and how many these are."""

    mean: Floats
    worst: Floats
    size: Integers


@dataclass(frozen=True)
class Plateau:
    """How the neighbours of a trial did, itself left out; None without any.

    `kept_frac` is their median over the trial's own profit: near 1 on a plateau, 0 or less on a needle; None where
    the trial made none.
    """

    pnl_pct: float
    neighbours: int
    mean_pct: float | None
    median_pct: float | None
    worst_pct: float | None
    profitable_frac: float | None
    kept_frac: float | None

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def _ranks(trials: Trials) -> list[Integers]:
    """For each axis, its places in order of their values."""
    orders = []
    for name in AXES:
        values = getattr(trials, name)
        keys = [0.0 if name in UNORDERED else math.inf if value is None else float(value) for value in values]
        orders.append(np.argsort(np.array(keys), kind="stable").astype(np.int64))
    return orders


def _joined(values: Floats, axis: int, join: np.ufunc) -> Floats:
    """Every value joined with those one step before and after it on an axis."""
    made = values.copy()
    source, target = np.moveaxis(values, axis, 0), np.moveaxis(made, axis, 0)
    join(target[1:], source[:-1], out=target[1:])
    join(target[:-1], source[1:], out=target[:-1])
    return made


def surface(trials: Trials, pnl_pct: Floats) -> Surface:
    """Smooth the profits of a whole grid: a box of three steps on each ordered axis, cut off at the borders."""
    places = np.ix_(*_ranks(trials))
    total = worst = pnl_pct.reshape(trials.shape)[places]
    count = np.ones(trials.shape)
    for axis, name in enumerate(AXES):
        if name not in UNORDERED:
            total, count = _joined(total, axis, np.add), _joined(count, axis, np.add)
            worst = _joined(worst, axis, np.minimum)
    made = []
    for values in (total / count, worst, count):
        back = np.empty_like(values)
        back[places] = values
        made.append(back.reshape(-1))
    return Surface(made[0], made[1], made[2].astype(np.int64))


def neighbours(trials: Trials, trial: int) -> Integers:
    """The numbers of a trial's neighbours, itself left out, in grid order."""
    choices: list[list[int]] = []
    for name, order, place in zip(AXES, _ranks(trials), trials.places(trial), strict=True):
        if name in UNORDERED:
            choices.append([place])
            continue
        rank = int(np.flatnonzero(order == place)[0])
        choices.append(order[max(0, rank - 1) : rank + 2].tolist())
    numbers = [int(np.ravel_multi_index(places, trials.shape)) for places in product(*choices)]
    return np.array(sorted(set(numbers) - {trial % len(trials)}), dtype=np.int64)


def plateau_of(trials: Trials, pnl_pct: Floats, trial: int) -> Plateau:
    """How a trial's neighbours did in the same window; `pnl_pct` of all trials in grid order."""
    own, others = float(pnl_pct[trial]), pnl_pct[neighbours(trials, trial)]
    if not len(others):
        return Plateau(own, 0, None, None, None, None, None)
    median = float(np.median(others))
    return Plateau(
        own,
        len(others),
        float(others.mean()),
        median,
        float(others.min()),
        float(np.count_nonzero(others > 0.0) / len(others)),
        median / own if own > 0.0 else None,
    )
