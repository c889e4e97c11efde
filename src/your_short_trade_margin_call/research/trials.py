"""The parameter sets of a grid, numbered in grid order and made only when somebody asks for one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.settings import ParameterGrid, Settings

AXES = ("highest_high_lookback", "exit_type", "risk_fraction", "take_profit_pct", "stop_loss_pct", "max_hold_ms")
"""The axes of a grid in grid order, as the columns of a sweep's table are called."""


@dataclass(frozen=True)
class Trials(Sequence[StrategyParams]):
    """Every combination of the axes' values, the last axis fastest."""

    highest_high_lookback: tuple[int, ...]
    exit_type: tuple[ExitType, ...]
    risk_fraction: tuple[float, ...]
    take_profit_pct: tuple[float, ...]
    stop_loss_pct: tuple[float | None, ...]
    max_hold_ms: tuple[int | None, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values of each axis."""
        return (
            len(self.highest_high_lookback),
            len(self.exit_type),
            len(self.risk_fraction),
            len(self.take_profit_pct),
            len(self.stop_loss_pct),
            len(self.max_hold_ms),
        )

    def __len__(self) -> int:
        """Number of trials."""
        return math.prod(self.shape)

    @overload
    def __getitem__(self, place: int) -> StrategyParams: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[StrategyParams, ...]: ...

    def __getitem__(self, place: int | slice) -> StrategyParams | tuple[StrategyParams, ...]:
        """The trial at a place of the grid order, or those of a slice."""
        if isinstance(place, slice):
            return tuple(self[k] for k in range(*place.indices(len(self))))
        lookback, exit_type, risk, take_profit, stop, hold = self.places(place)
        return StrategyParams(
            self.highest_high_lookback[lookback],
            self.exit_type[exit_type],
            self.risk_fraction[risk],
            self.take_profit_pct[take_profit],
            self.stop_loss_pct[stop],
            self.max_hold_ms[hold],
        )

    def places(self, trial: int) -> tuple[int, ...]:
        """Where a trial stands on each axis."""
        if not -len(self) <= trial < len(self):
            raise IndexError(f"there are {len(self)} trials, none is number {trial}")
        rest, places = trial % len(self), []
        for length in reversed(self.shape):
            rest, place = divmod(rest, length)
            places.append(place)
        return tuple(reversed(places))


def grid_params(grid: ParameterGrid, settings: Settings) -> Trials:
    """The grid's parameter sets in grid order; a stop-loss or longest hold it leaves open is the settings'."""
    return Trials(
        grid.highest_high_lookback,
        grid.exit_type,
        grid.risk_fraction,
        grid.take_profit_pct,
        tuple(settings.stop_loss_pct if value is None else value for value in grid.stop_loss_pct),
        tuple(settings.max_hold if value is None else value for value in grid.max_hold),
    )


def only_trial(params: StrategyParams) -> Trials:
    """A grid of one parameter set."""
    return Trials(
        (params.highest_high_lookback,),
        (params.exit_type,),
        (params.risk_fraction,),
        (params.take_profit_pct,),
        (params.stop_loss_pct,),
        (params.max_hold_ms,),
    )


def with_defaults(params: StrategyParams, settings: Settings) -> StrategyParams:
    """`params`, with the settings' stop-loss and longest hold where it has none of its own."""
    stop = settings.stop_loss_pct if params.stop_loss_pct is None else params.stop_loss_pct
    hold = settings.max_hold if params.max_hold_ms is None else params.max_hold_ms
    return StrategyParams(
        params.highest_high_lookback, params.exit_type, params.risk_fraction, params.take_profit_pct, stop, hold
    )
