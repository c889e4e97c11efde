"""Every parameter set of a grid over the same candles, on all cores."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research import trial_kernel as kernel
from your_short_trade_margin_call.research.metrics import COUNTS, Metrics, metric_columns, metrics_row
from your_short_trade_margin_call.research.selection import rank
from your_short_trade_margin_call.research.signal_kernel import Signals, find_signals, peak_ages
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial, make_trial
from your_short_trade_margin_call.settings import ParameterGrid, Settings

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

Progress = Callable[[int, int], None]
"""Called with (trials done, trials in all)."""

_CHUNK = 256


@dataclass(frozen=True)
class Sweep:
    """All trials of a grid, in grid order, with their results."""

    params: tuple[StrategyParams, ...]
    columns: dict[str, NDArray[np.float64]]
    blocked: NDArray[np.int64]
    order: NDArray[np.int64]

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
        """One row a trial, best first: parameters, metrics, blocked trades by reason."""
        import polars as pl

        data: dict[str, Any] = {
            "highest_high_lookback": [p.highest_high_lookback for p in self.params],
            "exit_type": [str(p.exit_type) for p in self.params],
            "risk_fraction": [p.risk_fraction for p in self.params],
            "take_profit_pct": [p.take_profit_pct for p in self.params],
            "stop_loss_pct": pl.Series([p.stop_loss_pct for p in self.params], dtype=pl.Float64),
            "max_hold_ms": pl.Series([p.max_hold_ms for p in self.params], dtype=pl.Int64),
            **self.columns,
            **{f"blocked_{reason}": self.blocked[:, reason.code] for reason in BlockReason},
        }
        frame = pl.DataFrame(data).with_columns(pl.col("rr_ratio").fill_nan(None))
        frame = frame.with_columns(pl.col(name).cast(pl.Int64) for name in COUNTS)
        return frame[self.order]


def blocked_by_reason(counts: NDArray[np.int64]) -> dict[str, int]:
    """Counts by BlockReason code as a dictionary of those that occurred."""
    return {str(reason): int(counts[reason.code]) for reason in BlockReason if counts[reason.code]}


def grid_params(grid: ParameterGrid, settings: Settings) -> tuple[StrategyParams, ...]:
    """The grid's parameter sets in grid order; a stop-loss or longest hold it leaves open is the settings'."""
    axes = itertools.product(
        grid.highest_high_lookback,
        grid.exit_type,
        grid.risk_fraction,
        grid.take_profit_pct,
        grid.stop_loss_pct,
        grid.max_hold,
    )
    return tuple(with_defaults(StrategyParams(*values), settings) for values in axes)


def with_defaults(params: StrategyParams, settings: Settings) -> StrategyParams:
    """`params`, with the settings' stop-loss and longest hold where it has none of its own."""
    stop = settings.stop_loss_pct if params.stop_loss_pct is None else params.stop_loss_pct
    hold = settings.max_hold if params.max_hold_ms is None else params.max_hold_ms
    return StrategyParams(
        params.highest_high_lookback, params.exit_type, params.risk_fraction, params.take_profit_pct, stop, hold
    )


def run_sweep(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    params: tuple[StrategyParams, ...],
    starting_balance: float,
    progress: Progress | None = None,
) -> Sweep:
    """Try every parameter set. Kernels release the GIL: threads share the candles, nothing is copied.

    An interruption (Ctrl-C) is honoured between chunks of trials.
    """
    summary = np.zeros((len(params), kernel.N_SUMMARY_COLUMNS), dtype=np.float64)
    blocked = np.zeros((len(params), len(BlockReason)), dtype=np.int64)
    trials = [make_trial(p) for p in params]
    done = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        pending = _submit(pool, market, contract, terms, trials, starting_balance, summary, blocked)
        try:
            for future in as_completed(pending):
                done += future.result()
                if progress is not None:
                    progress(done, len(params))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    columns = metric_columns(summary, starting_balance)
    return Sweep(params, columns, blocked, rank(columns["pnl_pct"], columns["drawdown"]))


def _submit(
    pool: ThreadPoolExecutor,
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    trials: list[Trial],
    starting_balance: float,
    summary: NDArray[np.float64],
    blocked: NDArray[np.int64],
) -> list[Future[int]]:
    ages = peak_ages(market.high)
    futures = []
    for lookback, rows in _by_lookback(trials):
        signals = find_signals(market, lookback, ages)
        for chunk in (rows[k : k + _CHUNK] for k in range(0, len(rows), _CHUNK)):
            chosen = [trials[row] for row in chunk]
            run = _chunk_runner(market, contract, terms, lookback, signals, chosen, starting_balance)
            futures.append(pool.submit(run, np.array(chunk), summary, blocked))
    return futures


def _by_lookback(trials: list[Trial]) -> Iterator[tuple[int, list[int]]]:
    rows: dict[int, list[int]] = {}
    for row, trial in enumerate(trials):
        rows.setdefault(trial.lookback, []).append(row)
    return iter(rows.items())


def _chunk_runner(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    lookback: int,
    signals: Signals,
    trials: list[Trial],
    starting_balance: float,
) -> Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]], int]:
    def run(rows: NDArray[np.int64], summary: NDArray[np.float64], blocked: NDArray[np.int64]) -> int:
        part, stopped, _, _ = simulate(market, contract, terms, lookback, signals, trials, starting_balance)
        summary[rows] = part
        blocked[rows] = stopped
        return len(rows)

    return run


def simulate(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    lookback: int,
    signals: Signals,
    trials: list[Trial],
    starting_balance: float,
    keep_trades: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Run trials that share a lookback: summaries, blocked counts, and trades and equity if kept."""
    summary = np.zeros((len(trials), kernel.N_SUMMARY_COLUMNS), dtype=np.float64)
    blocked = np.zeros((len(trials), len(BlockReason)), dtype=np.int64)
    trades = np.zeros((len(signals.at) if keep_trades else 0, kernel.N_TRADE_COLUMNS), dtype=np.float64)
    equity = np.zeros(len(market.time_ms) if keep_trades else 0, dtype=np.float64)
    kernel.run_trials(
        market,
        contract,
        terms,
        lookback,
        signals,
        np.array([t.exit_type for t in trials], dtype=np.int64),
        np.array([t.risk_fraction for t in trials], dtype=np.float64),
        np.array([t.take_profit_pct for t in trials], dtype=np.float64),
        np.array([t.stop_loss_pct for t in trials], dtype=np.float64),
        np.array([t.max_hold_ms for t in trials], dtype=np.int64),
        starting_balance,
        summary,
        blocked,
        trades,
        equity,
    )
    return summary, blocked, trades, equity
