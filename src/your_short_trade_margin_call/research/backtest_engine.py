"""`BacktestEngine`: recorded candles in, trades and metrics out (DESIGN 8)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.trade_row import TRADE_COLUMNS, ClosedTrade
from your_short_trade_margin_call.domain.words import ExitReason, Objective, TargetSource
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research import account_kernel as books
from your_short_trade_margin_call.research.adoption import Adoption, Chosen, adoption
from your_short_trade_margin_call.research.many_sweeps import sweep_many
from your_short_trade_margin_call.research.metrics import Metrics, metric_columns, metrics_row
from your_short_trade_margin_call.research.running import trace
from your_short_trade_margin_call.research.sample import Sample, first_of, sample_of, timed
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.sweep import Sweep, Take, blocked_by_reason, run_sweep
from your_short_trade_margin_call.research.sweep_tasks import SweepTask, require_candles, sweep_inputs
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.research.trials import grid_params, only_trial, with_defaults
from your_short_trade_margin_call.rules.terms import NO_PRICE
from your_short_trade_margin_call.settings import ParameterGrid, Settings

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

    from your_short_trade_margin_call.research.record import Record


@dataclass(frozen=True)
class BacktestResult:
    """One parameter set over recorded candles."""

    params: StrategyParams
    metrics: Metrics
    equity: NDArray[np.float64]
    """Equity at each candle close, the open position marked at the last price, in USDT."""
    blocked: dict[str, int]
    rows: tuple[dict[str, Any], ...]
    facts: dict[str, Any]
    """What the result rests on: tiers, funding, mark, minutes, gaps; and notes in plain words."""

    @cached_property
    def trades(self) -> polars.DataFrame:
        """One row a trade (TRADE_COLUMNS); times are UTC ms of the candle the fill happened in."""
        import polars as pl

        text = {"target_source", "exit_reason"}
        types = {
            name: pl.String if name in text else pl.Int64 if name.endswith("_time") else pl.Float64
            for name in TRADE_COLUMNS
        }
        return pl.DataFrame(list(self.rows), schema=types, orient="row")


class BacktestEngine:
    """Backtests and sweeps under one `Settings`.

    Args:
        settings: costs, leverage, limits, seed.
        instrument: needed for pairs the package does not know.
        executor: where sweeps are made; None takes the cores of this machine.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        instrument: Instrument | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._instrument = instrument
        self._executor = executor

    def instrument(self, symbol: str) -> Instrument:
        """The instrument used for a pair.

        Raises:
            UnknownPairError: the package does not know it and none was given.
        """
        if self._instrument is not None and self._instrument.symbol == symbol:
            return self._instrument
        return find_instrument(symbol)

    def sweep(
        self,
        candles: Candles,
        grid: ParameterGrid | None = None,
        progress: Progress | None = None,
        take: Take | None = None,
    ) -> Sweep:
        """Try every parameter set of `grid` on `candles`.

        `take` is handed all rows, some at a time, and only the best stay in the sweep, as in every sweep of more than
        `sweep.MOST_KEPT_TRIALS` trials.

        Raises:
            TooFewCandlesError: not enough candles for the longest lookback.
        """
        params = grid_params(grid or ParameterGrid(), self.settings)
        task = SweepTask(self.settings, self.instrument(candles.symbol), params)
        if self._executor is not None:
            return next(sweep_many([(candles, task)], self._executor, progress, take=take))[1]
        return run_sweep(*task.inputs(candles), params, self.settings.starting_balance, progress, take=take)

    def sample(self, candles: Candles, grid: ParameterGrid, stopwatch_s: Callable[[], float]) -> Sample:
        """Run a small part of a grid's trials, to know what all of them would cost.

        Raises:
            TooFewCandlesError: not enough candles for the longest lookback.
        """
        part = sample_of(grid)
        self.sweep(candles, first_of(part))  # compiled and in memory before anything is measured
        sweep, seconds = timed(lambda: self.sweep(candles, part), stopwatch_s)
        return Sample(sweep.trials, seconds, sweep.rows)

    def backtest(self, candles: Candles, params: StrategyParams) -> BacktestResult:
        """One parameter set, with every trade and the equity curve.

        Raises:
            TooFewCandlesError: not enough candles for the lookback.
        """
        params = with_defaults(params, self.settings)
        require_candles(candles, params.highest_high_lookback)
        inputs = sweep_inputs(candles, self.instrument(candles.symbol), self.settings)
        start = self.settings.starting_balance
        trial = only_trial(params)
        field = make_field(*inputs, params.highest_high_lookback)
        made = trace(field, trial, np.zeros(1, dtype=np.int64), start, keep_equity=True)
        metrics = metrics_row(metric_columns(made.summary, made.curves, start), 0)
        instrument = self.instrument(candles.symbol)
        rows = tuple(_trade_row(made.trades[k], candles.time_ms, instrument, start) for k in range(metrics.trades))
        facts = self.facts(candles, any(_met_the_ladder(row, instrument) for row in rows))
        return BacktestResult(params, metrics, made.equity, blocked_by_reason(made.blocked[0]), rows, facts)

    def walk_forward(
        self,
        candles: Candles,
        grid: ParameterGrid | None = None,
        progress: Progress | None = None,
        *,
        alpha: float | None = None,
        objective: Objective = Objective.PNL_PCT,
        workers: int | None = None,
    ) -> Record:
        """The record of the procedure over `candles`, with its verdict: what `optimize` would have been worth.

        The sweep is repeated every `settings.reoptimize` (12 h where that is never) on the last `settings.window`,
        and one account trades its winners. `objective` chooses them. `alpha` is
        how often REAL may be false; None takes the share of one
        procedure in ten that are looked at again and again.

        Raises:
            TooFewCandlesError: the candles are fewer than a window and a step, or than the longest lookback needs.
        """
        # What a sweep does not need is loaded here.
        from your_short_trade_margin_call.research.procedure import STEP_MS, Procedure
        from your_short_trade_margin_call.research.record import make_record
        from your_short_trade_margin_call.research.walk_forward import walk_forward

        trials = grid_params(grid or ParameterGrid(), self.settings)
        require_candles(candles, max(trials.highest_high_lookback))
        step_ms = self.settings.reoptimize or STEP_MS
        procedure = Procedure(trials, self.settings.window, step_ms, self.settings.adopt, objective)
        inputs = sweep_inputs(candles, self.instrument(candles.symbol), self.settings)
        balance, seed = self.settings.starting_balance, self.settings.seed
        walk = walk_forward(*inputs, procedure, balance, progress, workers)
        return make_record(walk, alpha, seed)

    def adoption(self, candles: Candles, champion: Chosen | None, challenger: Chosen) -> Adoption:
        """Whether a new winner replaces what runs, by the settings' rule; `candles` end with its window."""
        inputs = sweep_inputs(candles, self.instrument(candles.symbol), self.settings)
        return adoption(self.settings.adopt, *inputs, champion, challenger, self.settings.starting_balance)

    def facts(self, candles: Candles, met_the_ladder: bool = False) -> dict[str, Any]:
        """What a result on these candles rests on, for artefacts and the screen."""
        instrument = self.instrument(candles.symbol)
        notes = list(candles.quality.notes)
        if met_the_ladder:
            notes.append("A liquidation above the lowest risk tier was simplified to losing the whole margin.")
        return {
            "tiers": instrument.tiers_source,
            "funding": "unknown" if candles.funding is None else "recorded",
            "mark": "last prices" if candles.mark is None else "recorded",
            "minutes": candles.minutes is not None,
            "gaps": candles.gaps,
            "missing": candles.missing,
            "notes": notes,
        }


def _met_the_ladder(row: dict[str, Any], instrument: Instrument) -> bool:
    if row["exit_reason"] != ExitReason.LIQUIDATION or len(instrument.tiers) < 2:
        return False
    return bool(row["quantity"] * row["liquidation_price"] > instrument.tiers[0].limit_usdt)


def _trade_row(
    raw: NDArray[np.float64], time_ms: NDArray[np.int64], instrument: Instrument, start: float
) -> dict[str, Any]:
    """A kernel's trade row in USDT, base coin and UTC ms."""
    trade = dict(zip(books.TRADE_COLUMNS, raw.tolist(), strict=True))
    margin_call = trade["margin_call_ticks"]
    closed = ClosedTrade(
        entry_time=int(time_ms[int(trade["entry_index"])]),
        exit_time=int(time_ms[int(trade["exit_index"])]),
        entry_ticks=trade["entry_ticks"],
        exit_ticks=trade["exit_ticks"],
        lots=int(trade["lots"]),
        leverage=trade["leverage"],
        target_ticks=trade["target_ticks"],
        target_source=TargetSource.from_code(int(trade["target_source"])),
        liquidation_ticks=trade["liquidation_ticks"],
        margin_call_ticks=None if margin_call >= NO_PRICE else margin_call,
        entry_fee=trade["entry_fee"],
        exit_fee=trade["exit_fee"],
        funding=trade["funding"],
        pnl_value=trade["pnl_value"],
        exit_reason=ExitReason.from_code(int(trade["exit_reason"])),
        balance_after=trade["balance_after"],
    )
    return closed.as_row(instrument, start)
