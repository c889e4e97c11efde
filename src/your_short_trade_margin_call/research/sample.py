"""What a sweep will cost, found by running a small part of it: no figure here was written down by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from your_short_trade_margin_call.research.table import Table
from your_short_trade_margin_call.settings import ParameterGrid

SAMPLED_TRIALS = 2_048
"""About so many trials are run."""
_MOST = {"highest_high_lookback": 4, "exit_type": 5, "risk_fraction": 16, "stop_loss_pct": 3, "max_hold": 3}

Value = TypeVar("Value")


@dataclass(frozen=True)
class Sample:
    """A part of a sweep: how many trials it had, how long they took (real seconds), and their table."""

    trials: int
    seconds: float
    rows: Table

    def seconds_for(self, trials: int) -> float:
        """How long so many trials of that grid may take."""
        return self.seconds * trials / self.trials


def sample_of(grid: ParameterGrid) -> ParameterGrid:
    """A part of a grid from all over it: some values of each axis, its ends among them."""
    axes = {name: _spread(getattr(grid, name), most) for name, most in _MOST.items()}
    others = len(ParameterGrid(**{**axes, "take_profit_pct": grid.take_profit_pct[:1]}))
    axes["take_profit_pct"] = _spread(grid.take_profit_pct, max(4, SAMPLED_TRIALS // others))
    return ParameterGrid(**axes)


def first_of(grid: ParameterGrid) -> ParameterGrid:
    """The one trial at the head of a grid."""
    return ParameterGrid(**{name: getattr(grid, name)[:1] for name in ParameterGrid.model_fields})


def _spread(values: Sequence[Value], most: int) -> tuple[Value, ...]:
    """At most so many of the values, evenly spread."""
    if len(values) <= most:
        return tuple(values)
    return tuple(values[round(k * (len(values) - 1) / (most - 1))] for k in range(most))


def timed(work: Callable[[], Value], stopwatch_s: Callable[[], float]) -> tuple[Value, float]:
    """The result of some work, and how many seconds it took."""
    started = stopwatch_s()
    return work(), stopwatch_s() - started
