"""`MainEngine`: optimise, write down, trade, and optimise again when the queue says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from your_short_trade_margin_call.adapters.storage.artefacts import save_best_params, write_sweep_table
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.storage.optimization_queue import Entry, OptimizationQueue, Owner, RunStatus
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.messages import ParametersAdopted
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.ports import Clock, Exchange
from your_short_trade_margin_call.domain.words import Account, MarketKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.running import Progress
from your_short_trade_margin_call.research.sweep import Sweep
from your_short_trade_margin_call.settings import ParameterGrid, Settings
from your_short_trade_margin_call.trading.entries import params_as_dict
from your_short_trade_margin_call.trading.schedule import next_due_ms

if TYPE_CHECKING:
    from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine, Observer
    from your_short_trade_margin_call.trading.state import EngineState

NOT_TESTED = {
    "verdict": "NOT TESTED",
    "reason": "The winner was chosen on the very candles it is judged by: nothing here says it is better than luck.",
}


class _StoppedError(Exception):
    """An optimisation was left because trading is to stop; never leaves this module."""


class CandleSource(Protocol):
    """Closed candles up to a moment."""

    def window(self, until_ms: int, window_ms: int) -> Candles:
        """Candles that closed in (until - window, until].

        Raises:
            CandleError: there are none.
        """


@dataclass(frozen=True)
class Optimization:
    """One optimisation: what was tried, what won, what was written."""

    sweep: Sweep
    document: dict[str, Any]
    written: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def params(self) -> StrategyParams:
        """The winner."""
        return self.sweep.best

    @property
    def has_edge(self) -> bool:
        """Whether the winner made money in its own window: the least one may ask."""
        return self.sweep.best_metrics.pnl_value > 0


@dataclass(frozen=True)
class TradingSummary:
    """What a trading run did. Money in USDT; `journal_wallet` is computed from the journal alone."""

    trades: int
    wins: int
    wallet: float
    journal_wallet: float
    equity: float
    open_position: bool
    blocked: dict[str, int]
    optimizations: int
    params: StrategyParams | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**self.__dict__, "params": params_as_dict(self.params) if self.params else None}


@dataclass
class Parts:
    """Everything a MainEngine is made of; `composition.py` builds them.

    `exchange`, `journal` and `clock` are only needed to trade. `owner` is this process, with a token of its own;
    `wall_now` is the real time as text, for `generated_at`; `stopwatch_s` measures real seconds;
    `takes_market_time` tells whether the market goes on while a sweep runs (a live one does, a replay does not).
    """

    symbol: str
    market: MarketKind
    account: Account
    settings: Settings
    grid: ParameterGrid
    paths: Paths
    engine: BacktestEngine
    source: CandleSource
    queue: OptimizationQueue
    owner: Owner
    version: str
    wall_now: Callable[[], str]
    stopwatch_s: Callable[[], float]
    exchange: Exchange | None = None
    journal: SqliteJournal | None = None
    clock: Clock | None = None
    controls: Callable[[], tuple[bool, bool]] | None = None
    observer: Observer | None = None
    on_optimized: Callable[[Optimization], None] | None = None
    on_problem: Callable[[str], None] | None = None
    takes_market_time: bool = False


class MainEngine:
    """The main job for one pair."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._optimizations = 0
        self._engine: LiveTradingEngine | None = None
        self._is_stopping = False

    # ---- optimise ----------------------------------------------------------------------------------

    def optimize(self, until_ms: int, progress: Progress | None = None) -> Optimization:
        """Sweep the window that ends at `until_ms`, write the artefacts.

        Raises:
            CandleError: no, or too few, candles.
            DiskError: an artefact could not be written.
        """
        parts = self.parts
        started = parts.stopwatch_s()
        candles = parts.source.window(until_ms, parts.settings.window)
        sweep = parts.engine.sweep(candles, parts.grid, progress)
        elapsed = parts.stopwatch_s() - started
        document = self._document(candles, sweep, elapsed)
        saved = save_best_params(parts.paths, document)
        table = parts.paths.sweep_table(parts.symbol, parts.market)
        write_sweep_table(table, sweep.table)
        self._optimizations += 1
        return Optimization(sweep, document, (*saved.written, table), saved.notes)

    def plan_next(self, now_ms: int) -> int | None:
        """Enqueue the next optimisation; returns its due moment, or None when it never re-optimises.

        A run that is overdue stays: it is made up for as soon as possible.
        """
        parts = self.parts
        if parts.settings.reoptimize is None:
            return None
        pending = parts.queue.next_due(parts.symbol, parts.market)
        if pending is not None and pending <= now_ms:
            return pending
        due = now_ms + parts.settings.reoptimize
        parts.queue.enqueue(parts.symbol, parts.market, due, now_ms)
        return due

    def claim(self, now_ms: int) -> Entry | None:
        """Take over a run that is due (or overdue), so that no other process makes it too."""
        return self.parts.queue.claim_due(self.parts.symbol, self.parts.market, now_ms, self.parts.owner)

    def optimize_first(self, now_ms: int, progress: Progress | None = None) -> Optimization:
        """The optimisation at the start: makes up for an overdue run, plans the next."""
        entry = self.claim(now_ms)
        try:
            result = self.optimize(now_ms, progress)
        except ShortestPeakError as error:
            if entry is not None:
                self.parts.queue.fail(entry.id, str(error), now_ms)
            raise
        if entry is not None:
            self.parts.queue.finish(entry.id, now_ms)
        self.plan_next(now_ms)
        return result

    def _document(self, candles: Candles, sweep: Sweep, elapsed_s: float) -> dict[str, Any]:
        parts = self.parts
        best = int(sweep.order[0])
        return {
            "schema_version": 1,
            "generated_at": parts.wall_now(),
            "symbol": parts.symbol,
            "market": str(parts.market),
            "candles": {
                "start_ms": candles.start_ms,
                "end_ms": candles.end_ms,
                "count": len(candles),
                "hash": candles.content_hash,
            },
            "settings_hash": parts.settings.fingerprint(),
            "settings": parts.settings.model_dump(mode="json"),
            "grid": parts.grid.model_dump(mode="json"),
            "seed": parts.settings.seed,
            "program_version": parts.version,
            "elapsed_s": round(elapsed_s, 3),
            "trials": sweep.trials,
            "params": params_as_dict(sweep.best),
            "results": sweep.best_metrics.as_dict(),
            "blocked": sweep.blocked_of(best),
            "facts": self._facts(candles, sweep),
            "evidence": dict(NOT_TESTED),
        }

    def _facts(self, candles: Candles, sweep: Sweep) -> dict[str, Any]:
        """What the winner's result rests on; one that was liquidated says how that was simplified."""
        engine = self.parts.engine
        if sweep.best_metrics.liquidations:
            return engine.backtest(candles, sweep.best).facts
        return engine.facts(candles)

    # ---- trade -------------------------------------------------------------------------------------

    async def trade(self, params: StrategyParams | None, has_edge: bool = True) -> TradingSummary:
        """Trade until the market ends or `stop` is called.

        Raises:
            ShortestPeakError: something stopped the engine; what is open is guarded on the exchange.
        """
        parts = self.parts
        # The trading rooms are entered here: a command that only optimises does not wait for them.
        from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
        from your_short_trade_margin_call.trading.state import make_context

        if parts.exchange is None or parts.journal is None or parts.clock is None:
            raise ValueError("a MainEngine without exchange, journal and clock can only optimise")
        longest = max(*parts.grid.highest_high_lookback, params.highest_high_lookback if params else 1)
        instrument = parts.engine.instrument(parts.symbol)
        self._engine = LiveTradingEngine(
            make_context(parts.settings, instrument, longest),
            parts.exchange,
            parts.journal,
            parts.clock,
            params=params,
            has_edge=has_edge,
            adviser=_Reoptimizer(self, parts),
            observer=parts.observer,
            controls=parts.controls,
        )
        state = await self._engine.run()
        return self._summary(state)

    def stop(self) -> None:
        """Leave the trading loop after the event at hand, and an optimisation after the trials at hand."""
        self._is_stopping = True
        if self._engine is not None:
            self._engine.stop()

    def heed_stop(self, _done: int, _trials: int) -> None:
        """A sweep's progress report that leaves it when trading is to stop.

        Raises:
            _StoppedError: `stop` was called.
        """
        if self._is_stopping:
            raise _StoppedError

    def _summary(self, state: EngineState) -> TradingSummary:
        parts = self.parts
        from your_short_trade_margin_call.trading.state import Open

        if parts.journal is None:
            raise ValueError("a summary needs a journal")
        instrument = parts.engine.instrument(parts.symbol)
        change = parts.journal.wallet_change(float(instrument.tick_size), float(instrument.qty_step))
        trades = parts.journal.trades()
        equity = parts.journal.equity_rows()
        is_open = isinstance(state.book, Open)
        return TradingSummary(
            trades=len(trades),
            wins=sum(row["pnl_value"] > 0 for row in trades),
            wallet=state.wallet,
            journal_wallet=parts.settings.starting_balance + change,
            equity=equity[-1][2] if is_open and equity else state.wallet,
            open_position=is_open,
            blocked=parts.journal.blocked_counts(),
            optimizations=self._optimizations,
            params=state.params,
        )


class _Reoptimizer:
    """Runs the optimisations that fall due while trading (`live_trading_engine.Adviser`).

    On virtual time the sweep takes no market time and its result applies from the next candle. On real time
    it runs beside the loop, and its result applies from the first close after it has finished. Whatever goes
    wrong with a run, the old parameters stay and trading goes on.
    """

    def __init__(self, main: MainEngine, parts: Parts) -> None:
        self._main = main
        self._parts = parts
        self._every_ms = parts.settings.reoptimize or 0
        self._due_ms: int | None = None
        self._running: asyncio.Task[Optimization | None] | None = None
        if self._every_ms:
            self._guarded(self._look_up_due)

    async def before_close(self, close_ms: int) -> ParametersAdopted | None:
        """The result of a run that finished since the last close: it applies to this one."""
        if self._running is None or not self._running.done():
            return None
        task, self._running = self._running, None
        return _adopted(task.result(), close_ms - 1)

    async def after_close(self, close_ms: int) -> ParametersAdopted | None:
        """Begin a run that is due; on virtual time, its result."""
        if not self._every_ms or self._running is not None:
            return None
        due_ms = self._due_ms = self._due_ms or close_ms + self._every_ms
        if due_ms > close_ms:
            return None
        entry = self._guarded(lambda: self._claim(due_ms, close_ms))
        self._due_ms = next_due_ms(due_ms, self._every_ms, close_ms)
        if entry is None:
            return None
        run = self._optimize(entry, close_ms)
        if not self._parts.takes_market_time:
            return _adopted(await run, close_ms)
        self._running = asyncio.create_task(run)
        return None

    def _look_up_due(self) -> None:
        self._due_ms = self._parts.queue.next_due(self._parts.symbol, self._parts.market)

    def _claim(self, due_ms: int, now_ms: int) -> Entry | None:
        """The run that is due, planned now if nobody did; None when another process has taken it."""
        parts = self._parts
        entry = self._main.claim(now_ms)
        lane = [e for e in parts.queue.entries() if (e.symbol, e.market) == (parts.symbol, str(parts.market))]
        taken = any(e.due_ms >= due_ms and e.status in (RunStatus.RUNNING, RunStatus.DONE) for e in lane)
        if entry is not None or taken:
            return entry
        parts.queue.enqueue(parts.symbol, parts.market, due_ms, now_ms)
        return self._main.claim(now_ms)

    async def _optimize(self, entry: Entry, close_ms: int) -> Optimization | None:
        try:
            result = await asyncio.to_thread(self._main.optimize, close_ms, self._main.heed_stop)
        except _StoppedError:
            self._guarded(lambda: self._settle(entry, close_ms, "left unfinished: trading was stopped"))
            return None
        except Exception as error:  # also a bug or too little memory: the position still needs its guard
            why = str(error) or type(error).__name__
            self._tell(f"Not re-optimised, the old parameters stay: {why}")
            self._guarded(lambda: self._settle(entry, close_ms, why))
            return None
        self._guarded(lambda: self._settle(entry, close_ms, None))
        if self._parts.on_optimized is not None:
            self._parts.on_optimized(result)
        return result

    def _settle(self, entry: Entry, now_ms: int, error: str | None) -> None:
        """Write down how a run ended, and plan the next."""
        queue = self._parts.queue
        if error is None:
            queue.finish(entry.id, now_ms)
        else:
            queue.fail(entry.id, error, now_ms)
        if self._due_ms is not None:
            queue.enqueue(self._parts.symbol, self._parts.market, self._due_ms, now_ms)

    def _guarded(self, act: Callable[[], Entry | None] | Callable[[], None]) -> Entry | None:
        """Use the queue; its failure is told, never raised into the trading loop."""
        try:
            return act()
        except ShortestPeakError as error:
            self._tell(f"The optimisation queue cannot be used: {error}")
            return None

    def _tell(self, text: str) -> None:
        if self._parts.on_problem is not None:
            self._parts.on_problem(text)


def _adopted(result: Optimization | None, moment_ms: int) -> ParametersAdopted | None:
    """The result as parameters for closes after `moment_ms`."""
    return None if result is None else ParametersAdopted(moment_ms, result.params, result.has_edge)
