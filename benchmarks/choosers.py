"""Ways of choosing a parameter set every step, to be compared by what was delivered after each choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.record import Record
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


def middle_set(engine: BacktestEngine, candles: Candles) -> Record:
    """No choice: the middle of each axis of the grid, every time. It still pauses after a window that it lost in."""
    axes = {name: (values[len(values) // 2],) for name, values in ParameterGrid().__dict__.items()}
    return engine.walk_forward(candles, ParameterGrid(**axes))


CHOOSERS = (
    Chooser("highest profit (the default)", by_profit),
    Chooser("no choice: the middle of the grid", middle_set),
)


@dataclass(frozen=True)
class Compared:
    """What one way of choosing did over many histories. Percent are of equity, a fold each."""

    name: str
    promised_pct: float
    delivered_pct: float
    best_frac: float
    """In which share of the folds it delivered most; a tie counts for each."""
    folds: int
    trades: int
    margin_calls: int


def compare(records: dict[str, Sequence[Record]]) -> list[Compared]:
    """Fold by fold: the records of each chooser are of the same histories, in the same order."""
    delivered = {name: _all_returns(own) for name, own in records.items()}
    most = np.max(np.stack(list(delivered.values())), axis=0)
    return [
        Compared(
            name=name,
            promised_pct=float(np.nanmean([choice.promised_pct for one in own for choice in one.walk.choices])),
            delivered_pct=100.0 * float(delivered[name].mean()),
            best_frac=float((delivered[name] >= most - 1e-12).mean()),
            folds=len(most),
            trades=sum(one.evidence.trades for one in own),
            margin_calls=sum(one.evidence.risk.margin_calls + one.evidence.risk.liquidations for one in own),
        )
        for name, own in records.items()
    ]


def _all_returns(records: Sequence[Record]) -> NDArray[np.float64]:
    return np.concatenate([record.walk.returns for record in records])
