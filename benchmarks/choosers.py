"""Ways of choosing a parameter set every step, to be compared by what was delivered after each choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.words import Adopt, Objective
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.evidence import LEVEL
from your_short_trade_margin_call.research.record import Record
from your_short_trade_margin_call.research.seeds import generator
from your_short_trade_margin_call.research.statistics.bootstrap import mean_interval
from your_short_trade_margin_call.settings import ParameterGrid

Walk = Callable[[BacktestEngine, Candles], Record]


@dataclass(frozen=True)
class Chooser:
    """A name, and the record of a history in which parameters are chosen this way."""

    name: str
    walk: Walk


def by_profit(engine: BacktestEngine, candles: Candles) -> Record:
    """What the program does by itself: the set of the grid that made most in its window."""
    return engine.walk_forward(candles, ParameterGrid())


def by_objective(objective: Objective) -> Walk:
    """Another objective than the profit of the latest window; those that pool look at the five latest."""
    return lambda engine, candles: engine.walk_forward(candles, ParameterGrid(), objective=objective)


def if_better(engine: BacktestEngine, candles: Candles) -> Record:
    """The highest profit, but what runs stays where it made as much on candles that neither was chosen on."""
    settings = engine.settings.model_copy(update={"adopt": Adopt.BETTER})
    return BacktestEngine(settings).walk_forward(candles, ParameterGrid())


def middle_set(engine: BacktestEngine, candles: Candles) -> Record:
    """No choice: the middle of each axis of the grid, every time. It still pauses after a window that it lost in."""
    axes = {name: (values[len(values) // 2],) for name, values in ParameterGrid().__dict__.items()}
    return engine.walk_forward(candles, ParameterGrid(**axes))


CHOOSERS = (
    Chooser("highest profit (the default)", by_profit),
    Chooser("mean of it and its neighbours", by_objective(Objective.PLATEAU)),
    Chooser("mean of five windows", by_objective(Objective.POOLED)),
    Chooser("growth over five windows", by_objective(Objective.GROWTH)),
    Chooser("highest profit, adopted if better", if_better),
    Chooser("no choice: the middle of the grid", middle_set),
)
"""The first is what the others are compared with."""


@dataclass(frozen=True)
class Compared:
    """What one way of choosing did over many histories. Percent are of equity, a fold each."""

    name: str
    promised_pct: float
    delivered_pct: float
    folds: int
    trades: int
    margin_calls: int
    beyond_pct: float
    """Delivered beyond the first way of choosing, and where that likely lies; 0 for the first itself."""
    low_pct: float
    high_pct: float

    @property
    def is_better(self) -> bool:
        """Whether it delivers more than the first, beyond luck."""
        return self.low_pct > 0.0


def compare(records: dict[str, Sequence[Record]]) -> list[Compared]:
    """Fold by fold: the records of each chooser are of the same histories, in the same order.

    What one delivered beyond the first is paired by fold, all histories after another, with the interval that verdicts
    print too.
    """
    delivered = {name: _all_returns(own) for name, own in records.items()}
    first = next(iter(delivered.values()))
    beyond = {name: mean_interval(own - first, generator(0, name), level=LEVEL) for name, own in delivered.items()}
    return [
        Compared(
            name=name,
            promised_pct=float(np.nanmean([choice.promised_pct for one in own for choice in one.walk.choices])),
            delivered_pct=100.0 * float(delivered[name].mean()),
            folds=len(first),
            trades=sum(one.evidence.trades for one in own),
            margin_calls=sum(one.evidence.risk.margin_calls + one.evidence.risk.liquidations for one in own),
            beyond_pct=100.0 * beyond[name].mean,
            low_pct=100.0 * beyond[name].low,
            high_pct=100.0 * beyond[name].high,
        )
        for name, own in records.items()
    ]


def _all_returns(records: Sequence[Record]) -> NDArray[np.float64]:
    return np.concatenate([record.walk.returns for record in records])
