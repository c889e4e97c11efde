"""Every parameter set of a grid over the same candles: the table of all, the best of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research.account_kernel import SUMMARY
from your_short_trade_margin_call.research.best_rows import BestRows, Trace, some_of
from your_short_trade_margin_call.research.metrics import Metrics, metric_columns, metrics_row
from your_short_trade_margin_call.research.running import Chunk, run_trials, trace
from your_short_trade_margin_call.research.selection import rank
from your_short_trade_margin_call.research.survey import Field, Listing, make_field
from your_short_trade_margin_call.research.table import Column, Table, as_polars, make_table
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.research.trials import Trials
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
MOST_KEPT_TRIALS = 50_000
"""A sweep of more trials is *wide*: its rows are handed on as they come, and only the best stay in memory."""
KEPT_ROWS = 1_000
"""So many of them."""

Curves = Literal["table", "needed"]
"""Drawdown and Sharpe for all rows of a small table, or for no more than it takes to tell who wins."""

_TRACED_AT_ONCE, _HANDED_AT_ONCE = 256, 16_384

Take = Callable[[Table], None]
"""What becomes of the rows of a wide sweep, some at a time. They begin with `trial`, their place in the grid."""


@dataclass(frozen=True)
class Sweep:
    """All trials of a grid, in grid order, with their results; of a wide sweep only the best (`numbers`, KEPT_ROWS).

    Drawdown and Sharpe need every candle. They are there for the best trials (`order[0]` and what ties with it, in
    `table` the first TOP_ROWS), and for all of them in a small sweep; elsewhere they are NaN, in the table null.
    """

    params: Trials
    numbers: Integers
    """Which trials the rows of `columns` and `blocked` are about: places in `params`."""
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
        return self.params[int(self.numbers[self.order[0]])]

    @property
    def best_metrics(self) -> Metrics:
        """What the winner made in its own window."""
        return metrics_row(self.columns, int(self.order[0]))

    def blocked_of(self, row: int) -> dict[str, int]:
        """Blocked trades in a row of `columns` by reason, only those that occurred."""
        return blocked_by_reason(self.blocked[row])

    @cached_property
    def table(self) -> polars.DataFrame:
        """One row a trial, best first: parameters, metrics, blocked trades by reason (`rows`, for polars)."""
        return as_polars(self.rows)

    @cached_property
    def rows(self) -> Table:
        """One row a trial, best first: parameters, metrics, blocked trades by reason.

        Drawdown and Sharpe are absent where they were not reckoned; rows of equal profit without a drawdown stand
        below those with one, in grid order.
        """
        columns = dict(self.columns)
        columns["drawdown"], columns["sharpe"] = with_curves(columns, self._trace, TOP_ROWS)
        order = rank(columns["pnl_pct"], columns["drawdown"])
        ranked = {name: column[order] for name, column in columns.items()}
        return make_table(self.params, self.numbers[order], ranked, self.blocked[order])


def blocked_by_reason(counts: Integers) -> dict[str, int]:
    """Counts by BlockReason code as a dictionary of those that occurred."""
    return {str(reason): int(counts[reason.code]) for reason in BlockReason if counts[reason.code]}


def is_wide(trials: int) -> bool:
    """Whether a sweep of so many trials hands its rows on instead of keeping them all."""
    return trials > MOST_KEPT_TRIALS


def run_sweep(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    trials: Trials,
    starting_balance: float,
    progress: Progress | None = None,
    workers: int | None = None,
    curves: Curves = "table",
    take: Take | None = None,
) -> Sweep:
    """Try every parameter set, on all cores or so many of them. An interruption (Ctrl-C) is honoured at once.

    With one worker everything happens in the calling thread. Where only the winner matters, `curves="needed"` reckons
    the drawdown and Sharpe of the most profitable trials alone; who wins is the same. With `take` the sweep is treated
    as a wide one. Without it, a wide sweep's rows are lost but for the best.
    """
    ground = make_field(market, contract, terms, min(trials.highest_high_lookback))
    report = None if progress is None else _Report(progress, len(trials))
    listing = Listing(ground)
    chunks = run_trials(ground, trials, starting_balance, report, workers, listing)
    run = _Run(ground, trials, starting_balance, report, listing)
    if take is not None or is_wide(len(trials)):
        return _wide(run, chunks, take)
    wants_all = curves == "table" and len(trials) * len(market.time_ms) <= TRACED_CANDLES
    return _whole(run, chunks, len(trials) if wants_all else 1)


class _Report:
    """A progress that can be told again, so that it may interrupt where no trial was finished."""

    def __init__(self, progress: Progress, trials: int) -> None:
        self._progress, self._last = progress, (0, trials)

    def __call__(self, done: int, trials: int) -> None:
        self._last = (done, trials)
        self._progress(done, trials)

    def again(self) -> None:
        self._progress(*self._last)


@dataclass(frozen=True)
class _Run:
    """What the trials of a sweep are run on."""

    ground: Field
    trials: Trials
    start_wallet: float
    report: _Report | None = None
    listing: Listing | None = None

    def heed(self) -> None:
        """Let whoever watches interrupt."""
        if self.report is not None:
            self.report.again()

    def trace(self, numbers: Integers) -> Floats:
        """Curves of some trials, a few at a time."""
        made = np.empty((len(numbers), 2))
        for start in range(0, len(numbers), _TRACED_AT_ONCE):
            some = slice(start, start + _TRACED_AT_ONCE)
            traced = trace(self.ground, self.trials, numbers[some], self.start_wallet, listing=self.listing)
            made[some] = traced.curves
            self.heed()
        return made


def _whole(run: _Run, chunks: Iterable[Chunk], top: int) -> Sweep:
    """A sweep with all its rows, the `top` of them with their curves."""
    summary = np.zeros(len(run.trials), dtype=SUMMARY)
    blocked = np.zeros((len(run.trials), len(BlockReason)), dtype=np.int64)
    for chunk in chunks:
        summary[chunk.trials] = chunk.summary
        blocked[chunk.trials] = chunk.blocked
    return _made(run, Chunk(np.arange(len(run.trials)), summary, blocked), top)


def conclude(ground: Field, trials: Trials, rows: Chunk, starting_balance: float, take: Take | None = None) -> Sweep:
    """The sweep of trials that have all been run elsewhere (see `run_sweep`): metrics, curves of the best, order."""
    run = _Run(ground, trials, starting_balance)
    if take is not None or is_wide(len(trials)):
        return _wide(run, [rows], take)
    is_small = len(trials) * len(ground.market.time_ms) <= TRACED_CANDLES
    return _made(run, rows, len(trials) if is_small else 1)


def _wide(run: _Run, chunks: Iterable[Chunk], take: Take | None) -> Sweep:
    """A sweep with its best rows; all of them are handed on."""
    best = BestRows(KEPT_ROWS, TOP_ROWS, run.start_wallet, run.trace)
    for chunk in chunks:
        best.add(chunk)
        if take is not None:
            _hand_on(run, chunk, take)
    return _made(run, best.chunk, 1)


def _hand_on(run: _Run, chunk: Chunk, take: Take) -> None:
    """The rows of a chunk in grid order, some at a time."""
    in_grid_order = np.argsort(chunk.trials)
    for start in range(0, len(in_grid_order), _HANDED_AT_ONCE):
        take(_numbered(run, some_of(chunk, in_grid_order[start : start + _HANDED_AT_ONCE])))
        run.heed()


def _numbered(run: _Run, rows: Chunk) -> Table:
    """Rows with their place in the grid; drawdown and Sharpe only of trials without trades, which have none."""
    numbers, summary, blocked = rows
    columns = metric_columns(summary, np.full((len(numbers), 2), np.nan), run.start_wallet)
    for name in ("drawdown", "sharpe"):
        columns[name][columns["trades"] == 0] = 0.0
    return {"trial": Column(numbers), **make_table(run.trials, numbers, columns, blocked)}


def _made(run: _Run, rows: Chunk, top: int) -> Sweep:
    columns = metric_columns(rows.summary, np.full((len(rows.trials), 2), np.nan), run.start_wallet)
    columns["drawdown"], columns["sharpe"] = with_curves(columns, lambda at: run.trace(rows.trials[at]), top)
    order = rank(columns["pnl_pct"], columns["drawdown"])
    later = replace(run, report=None, listing=None)  # nobody watches any more when the table is asked for
    return Sweep(run.trials, rows.trials, columns, rows.blocked, order, lambda at: later.trace(rows.trials[at]))


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
