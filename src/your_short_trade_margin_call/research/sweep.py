"""Every parameter set of a grid over the same candles: the table of all, the best of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research.account_kernel import SUMMARY
from your_short_trade_margin_call.research.metrics import COUNTS, Metrics, metric_columns, metrics_row
from your_short_trade_margin_call.research.path_kernel import Field
from your_short_trade_margin_call.research.running import Progress, run_trials, trace
from your_short_trade_margin_call.research.selection import rank
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.trials import AXES, Trials
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.terms import Contract, Terms

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

TOP_ROWS = 20
"""The table gives drawdown and Sharpe for so many of its first rows at least, and for those that tie with the last."""
TRACED_CANDLES = 5_000_000
"""It gives them for all rows where trials times candles are no more than this."""

Trace = Callable[["Integers"], "Floats"]
"""Drawdown (a fraction) and Sharpe of the trials of these numbers, a row each."""


@dataclass(frozen=True)
class Sweep:
    """All trials of a grid, in grid order, with their results.

    Drawdown and Sharpe need every candle. They are there for the best trials (`order[0]` and what ties with it, in
    `table` the first TOP_ROWS), and for all of them in a small sweep; elsewhere they are NaN, in the table null.
    """

    params: Trials
    columns: dict[str, Floats]
    blocked: Integers
    order: Integers
    _trace: Trace = field(repr=False, compare=False)

    @property
    def trials(self) -> int:
        """How many parameter sets were tried."""
        return len(self.params)

    @property
    def best(self) -> StrategyParams:
        """The winner in its own window: a choice, not a promise."""
        return self.params[int(self.order[0])]

    @property
    def best_metrics(self) -> Metrics:
        """What the winner made in its own window."""
        return metrics_row(self.columns, int(self.order[0]))

    def blocked_of(self, row: int) -> dict[str, int]:
        """Blocked trades of one trial by reason, only those that occurred."""
        return blocked_by_reason(self.blocked[row])

    @cached_property
    def table(self) -> polars.DataFrame:
        """One row a trial, best first: parameters, metrics, blocked trades by reason.

        Drawdown and Sharpe are null where they were not reckoned; rows of equal profit without a drawdown stand
        below those with one, in grid order.
        """
        import polars as pl

        columns = dict(self.columns)
        columns["drawdown"], columns["sharpe"] = with_curves(columns, self._trace, TOP_ROWS)
        order = rank(columns["pnl_pct"], columns["drawdown"])
        data: dict[str, Any] = {
            **self._parameters(order),
            **{name: pl.Series(column[order], nan_to_null=True) for name, column in columns.items()},
            **{f"blocked_{reason}": self.blocked[order, reason.code] for reason in BlockReason},
        }
        return pl.DataFrame(data).with_columns(pl.col(name).cast(pl.Int64) for name in COUNTS)

    def _parameters(self, rows: Integers) -> dict[str, Any]:
        """The columns of the parameters of some trials."""
        import polars as pl

        places = np.unravel_index(rows, self.params.shape)
        types = (pl.Int64, pl.String, pl.Float64, pl.Float64, pl.Float64, pl.Int64)
        axes = (getattr(self.params, name) for name in AXES)
        return {
            name: pl.Series([str(x) if name == "exit_type" else x for x in axis], dtype=dtype)[place]
            for name, axis, dtype, place in zip(AXES, axes, types, places, strict=True)
        }


def blocked_by_reason(counts: Integers) -> dict[str, int]:
    """Counts by BlockReason code as a dictionary of those that occurred."""
    return {str(reason): int(counts[reason.code]) for reason in BlockReason if counts[reason.code]}


def run_sweep(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    trials: Trials,
    starting_balance: float,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Sweep:
    """Try every parameter set, on all cores or so many of them. An interruption (Ctrl-C) is honoured at once."""
    ground = make_field(market, contract, terms, min(trials.highest_high_lookback))
    summary = np.zeros(len(trials), dtype=SUMMARY)
    blocked = np.zeros((len(trials), len(BlockReason)), dtype=np.int64)
    for chunk in run_trials(ground, trials, starting_balance, progress, workers):
        summary[chunk.trials] = chunk.summary
        blocked[chunk.trials] = chunk.blocked
    return conclude(ground, trials, summary, blocked, starting_balance)


def conclude(
    ground: Field, trials: Trials, summary: NDArray[np.void], blocked: Integers, starting_balance: float
) -> Sweep:
    """The sweep of trials that have all been run: their metrics, the curves of the best, the order."""
    columns = metric_columns(summary, np.full((len(trials), 2), np.nan), starting_balance)
    is_small = len(trials) * len(ground.market.time_ms) <= TRACED_CANDLES
    tracer = _tracer(ground, trials, starting_balance)
    columns["drawdown"], columns["sharpe"] = with_curves(columns, tracer, len(trials) if is_small else 1)
    return Sweep(trials, columns, blocked, rank(columns["pnl_pct"], columns["drawdown"]), tracer)


def _tracer(ground: Field, trials: Trials, start_wallet: float) -> Trace:
    def curves(numbers: Integers) -> Floats:
        return trace(ground, trials, numbers, start_wallet).curves

    return curves


def with_curves(columns: dict[str, Floats], tracer: Trace, top: int) -> tuple[Floats, Floats]:
    """Drawdown in percent and Sharpe, reckoned for the `top` most profitable trials and all that tie with the last.

    Those that are there already stay, and a trial without trades has none of either.
    """
    pnl, trades = columns["pnl_pct"], columns["trades"]
    drawdown, sharpe = columns["drawdown"].copy(), columns["sharpe"].copy()
    drawdown[trades == 0] = sharpe[trades == 0] = 0.0
    last = np.partition(pnl, len(pnl) - top)[len(pnl) - top] if top < len(pnl) else -np.inf
    wanted = np.flatnonzero((pnl >= last) & np.isnan(drawdown))
    if len(wanted):
        curves = tracer(wanted)
        drawdown[wanted] = curves[:, 0] * 100.0
        sharpe[wanted] = curves[:, 1]
    return drawdown, sharpe
