"""Which trial is best: by profit, or by another objective.

`choose` picks one trial from the sweeps of one window or of several. Ties go to the lower drawdown where it is known
(a window's own, or the deepest of several), then to the one that comes first in the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.words import Objective
from your_short_trade_margin_call.research.plateau import surface
from your_short_trade_margin_call.research.trials import Trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_TIE_DECIMALS = 9
"""Means that agree so far are equal: what lies beyond depends on the order of adding up."""


class Swept(Protocol):
    """What all trials of a grid made in one window: a `Sweep`, or `Profits`."""

    @property
    def params(self) -> Trials:
        """The trials."""

    @property
    def columns(self) -> Mapping[str, Floats]:
        """`pnl_pct`, and `drawdown` where it is known: one value a trial, in grid order."""


def rank(pnl_pct: NDArray[np.float64], drawdown: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row numbers, best first: highest `pnl_pct`, ties by lower drawdown, then by grid order."""
    return np.lexsort((np.arange(len(pnl_pct)), drawdown, -pnl_pct)).astype(np.int64)


def choose(objective: Objective, windows: Sequence[Swept]) -> int:
    """The number of the trial that an objective prefers. `windows` are sweeps of one grid, the latest last.

    Raises:
        BadInputError: there is no window, or they were swept with different grids.
    """
    seen = _alike(objective.windows_of(windows))
    return int(np.lexsort((_drawdown(seen), *reversed(_scores(objective, seen))))[0])


def chosen_pct(objective: Objective, windows: Sequence[Swept]) -> float:
    """The `pnl_pct` of the chosen trial: its mean over the windows that the objective looks at.

    Raises:
        BadInputError: as `choose`.
    """
    trial = choose(objective, windows)
    return float(np.mean([swept.columns["pnl_pct"][trial] for swept in objective.windows_of(windows)]))


def score(objective: Objective, windows: Sequence[Swept]) -> Floats:
    """What an objective thinks of every trial, the more the better, in grid order.

    `pnl_pct`: its profit in the latest window. `plateau`: the mean profit there of it and its neighbours in the grid
    (then their worst, then its own). `pooled`: the mean profit over all windows, each started flat. `growth`: the mean
    over all windows of log(end / start), the end being all there is after closing what was open at its costs: what an
    account grows by that lives through them one after the other. A window that loses half weighs as much as one that
    doubles; one that loses everything is minus infinity. In one window growth ranks as `pnl_pct` does, hence several.

    Raises:
        BadInputError: as `choose`.
    """
    return -_scores(objective, _alike(objective.windows_of(windows)))[0]


def _scores(objective: Objective, windows: Sequence[Swept]) -> list[Floats]:
    """What decides, first things first, the lower the better."""
    pnl = np.stack([swept.columns["pnl_pct"] for swept in windows])
    if objective is Objective.PLATEAU:
        smooth = surface(windows[-1].params, pnl[-1])
        return [-np.round(smooth.mean, _TIE_DECIMALS), -smooth.worst, -pnl[-1]]
    if objective is Objective.GROWTH:
        with np.errstate(divide="ignore"):
            grown = np.log1p(np.maximum(pnl / 100.0, -1.0))
        return [-np.round(grown.mean(axis=0), _TIE_DECIMALS + 2)]
    return [-pnl[-1] if len(pnl) == 1 else -np.round(pnl.mean(axis=0), _TIE_DECIMALS)]


def _drawdown(windows: Sequence[Swept]) -> Floats:
    """The deepest drawdown of each trial; NaN, which comes last, where one is unknown."""
    unknown = np.full(len(windows[0].params), np.nan)
    deepest: Floats = np.stack([swept.columns.get("drawdown", unknown) for swept in windows]).max(axis=0)
    return deepest


def _alike(windows: Sequence[Swept]) -> Sequence[Swept]:
    if not windows:
        raise BadInputError("There is no window to choose from.", "Sweep at least one.")
    if any(swept.params != windows[0].params for swept in windows):
        raise BadInputError("The windows were swept with different grids.", "Sweep them all with one grid.")
    return windows
