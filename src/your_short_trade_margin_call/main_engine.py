"""`MainEngine`: optimise, write down, trade, and optimise again when the queue says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from your_short_trade_margin_call.adapters.storage.artefacts import (
    artefact_head,
    params_of,
    save_best_params,
    streamed_table,
    write_sweep_table,
)
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.params import StrategyParams, params_as_dict
from your_short_trade_margin_call.domain.words import Account, Adopt, Verdict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.evidence_text import untested
from your_short_trade_margin_call.research.adoption import JUDGED_MS, Chosen
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.sweep import Sweep, is_wide
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.settings import ParameterGrid, Settings

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
    from your_short_trade_margin_call.adapters.storage.optimization_queue import Entry, OptimizationQueue, Owner
    from your_short_trade_margin_call.domain.ports import Clock, Exchange
    from your_short_trade_margin_call.examiner import Examiner
    from your_short_trade_margin_call.reoptimizer import Reoptimizer
    from your_short_trade_margin_call.trading.books import Observer
    from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
    from your_short_trade_margin_call.trading.state import Context

WITHOUT_EVIDENCE = untested(
    "The winner was chosen on the very candles it is judged by: nothing here says it is better than luck."
)


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
    needs_real: bool = False

    @property
    def params(self) -> StrategyParams:
        """What is to be traded: the winner, or what ran before where that was kept."""
        return params_of(self.document)

    @property
    def made_money(self) -> bool:
        """Whether the parameters made money in the window they were chosen in: the least one may ask."""
        return not self.is_adopted or self.sweep.best_metrics.pnl_value > 0

    @property
    def is_adopted(self) -> bool:
        """Whether the new winner replaces what ran before."""
        return bool(self.document["adoption"]["adopted"])

    @property
    def is_real(self) -> bool:
        """Whether the evidence says that the procedure beats luck."""
        return bool(self.document["evidence"]["verdict"] == Verdict.REAL)

    @property
    def has_edge(self) -> bool:
        """Whether it may be traded: it made money, and where real money needs evidence, there is some."""
        return self.made_money and (self.is_real or not self.needs_real)


@dataclass(frozen=True)
class TradingSummary:
    """What a trading run did. Money in USDT; `journal_wallet` is computed from the journal's executions alone.

    `disturbed`: others moved money or traded in this account, so the two wallets may differ. It has been told.
    """

    trades: int
    wins: int
    wallet: float
    journal_wallet: float
    equity: float
    open_position: bool
    blocked: dict[str, int]
    optimizations: int
    params: StrategyParams | None
    starting_balance: float
    disturbed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**self.__dict__, "params": params_as_dict(self.params) if self.params else None}


@dataclass
class Parts:
    """Everything a MainEngine is made of; `composition.py` builds them.

    `exchange`, `journal` and `clock` are only needed to trade. `owner` is this process, with a token of its own;
    `wall_now` is the real time as text, for `generated_at`; `stopwatch_s` measures real seconds;
    `takes_market_time` tells whether the market goes on while a sweep runs (a live one does, a replay does not).
    `max_notional_usdt`, `verify_stop` and `turn_every_ms` are the engine's (`trading.state.Context`), and so is
    `heartbeat`. `lane` is whose runs of the queue are this one's: an account's on a live market, where each has its own
    fees and capital. `examiner` tests the procedure against luck (None: nobody does); where `needs_real`, entries
    wait for the verdict REAL.
    """

    symbol: str
    market: str
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
    max_notional_usdt: float | None = None
    verify_stop: bool = False
    turn_every_ms: int = 0
    heartbeat: Callable[[], None] | None = None
    lane: str | None = None
    examiner: Examiner | None = None
    needs_real: bool = False


class MainEngine:
    """The main job for one pair."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._optimizations = 0
        self._engine: LiveTradingEngine | None = None
        self._disturbances = 0
        self._is_stopping = False
        self._running: Chosen | None = None

    # ---- optimise ----------------------------------------------------------------------------------

    def optimize(
        self,
        until_ms: int,
        progress: Progress | None = None,
        examining: Progress | None = None,
        *,
        with_views: bool = False,
    ) -> Optimization:
        """Sweep the window that ends at `until_ms`, test the procedure against luck, write the artefacts.

        `progress` hears of trials, `examining` of the sweeps that the test repeats. `with_views` looks at the winner
        from other sides too: for whoever watches, since trading would wait for it.

        Raises:
            CandleError: no, or too few, candles.
            DiskError: an artefact could not be written.
        """
        parts = self.parts
        started = parts.stopwatch_s()
        candles = parts.source.window(until_ms, parts.settings.window)
        sweep, wide = self._swept(candles, progress)
        elapsed = parts.stopwatch_s() - started
        document = self._document(candles, sweep, elapsed)
        self._adopt(until_ms, candles, sweep, document)
        if parts.examiner is not None:
            examined = parts.examiner.examine(until_ms, examining or progress)
            document["evidence"] = examined.document
            if with_views:
                walked = None if examined.seen is None else examined.seen.candles
                views = parts.examiner.views(candles, walked, examining or progress)
                document["evidence"] = {**examined.document, "views": views}
        saved = save_best_params(parts.paths, document)
        table = parts.paths.sweep_table(parts.symbol, parts.market)
        write_sweep_table(table, sweep.rows)
        self._optimizations += 1
        return Optimization(sweep, document, (*saved.written, table, *wide), saved.notes, parts.needs_real)

    def _adopt(self, until_ms: int, candles: Candles, sweep: Sweep, document: dict[str, Any]) -> None:
        """Decide between the winner and what runs, and write the decision and its reason down."""
        parts, running = self.parts, self._running
        challenger = Chosen(sweep.best, until_ms - parts.settings.window, until_ms)
        known = candles
        if running is not None and parts.settings.adopt is Adopt.BETTER:
            known = parts.source.window(until_ms, parts.settings.window + JUDGED_MS)
        decision = parts.engine.adoption(known, running, challenger)
        document["adoption"] = {"rule": str(parts.settings.adopt), **decision._asdict()}
        document["adoption"]["challenger"] = params_as_dict(challenger.params)
        if decision.adopted:
            self._running = challenger if sweep.best_metrics.pnl_value > 0 else None
        elif running is not None:
            kept = parts.engine.backtest(candles, running.params)
            document |= {"params": params_as_dict(kept.params), "results": kept.metrics.as_dict()}
            document |= {"blocked": kept.blocked, "facts": kept.facts}

    def _swept(self, candles: Candles, progress: Progress | None) -> tuple[Sweep, tuple[Path, ...]]:
        """The sweep; a wide one's rows go to a file of their own as they come."""
        parts = self.parts
        if not is_wide(len(parts.grid)):
            return parts.engine.sweep(candles, parts.grid, progress), ()
        path = parts.paths.wide_table(parts.symbol, parts.market)
        with streamed_table(path) as take:
            return parts.engine.sweep(candles, parts.grid, progress, take), (path,)

    def plan_next(self, now_ms: int) -> int | None:
        """Enqueue the next optimisation; returns its due moment, or None when it never re-optimises.

        A run that is overdue stays: it is made up for as soon as possible.
        """
        parts = self.parts
        if parts.settings.reoptimize is None:
            return None
        pending = parts.queue.next_due(parts.symbol, parts.market, account=parts.lane)
        if pending is not None and pending <= now_ms:
            return pending
        due = now_ms + parts.settings.reoptimize
        parts.queue.enqueue(parts.symbol, parts.market, due, now_ms, account=parts.lane)
        return due

    def claim(self, now_ms: int) -> Entry | None:
        """Take over a run that is due (or overdue), so that no other process makes it too."""
        parts = self.parts
        return parts.queue.claim_due(parts.symbol, parts.market, now_ms, parts.owner, account=parts.lane)

    def optimize_first(
        self, now_ms: int, progress: Progress | None = None, examining: Progress | None = None
    ) -> Optimization:
        """The optimisation at the start: makes up for an overdue run, plans the next."""
        entry = self.claim(now_ms)
        try:
            result = self.optimize(now_ms, progress, examining, with_views=True)
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
        head = artefact_head(
            parts.symbol, str(parts.market), candles, parts.settings, parts.grid, elapsed_s,
            generated_at=parts.wall_now(), version=parts.version,
        )  # fmt: skip
        return {
            **head,
            "trials": sweep.trials,
            "params": params_as_dict(sweep.best),
            "results": sweep.best_metrics.as_dict(),
            "blocked": sweep.blocked_of(best),
            "facts": self._facts(candles, sweep),
            "evidence": dict(WITHOUT_EVIDENCE),
        }

    def _facts(self, candles: Candles, sweep: Sweep) -> dict[str, Any]:
        """What the winner's result rests on; one that was liquidated says how that was simplified."""
        engine = self.parts.engine
        if sweep.best_metrics.liquidations:
            return engine.backtest(candles, sweep.best).facts
        return engine.facts(candles)

    # ---- trade -------------------------------------------------------------------------------------

    async def trade(self, params: StrategyParams | None, has_edge: bool = True) -> TradingSummary:
        """Trade until the market ends or `stop` is called, with these parameters whatever the journal knew before.

        Raises:
            ShortestPeakError: something stopped the engine; what is open is guarded on the exchange.
        """
        parts = self.parts
        # The trading rooms are entered here: a command that only optimises does not wait for them.
        from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine

        if parts.exchange is None or parts.journal is None or parts.clock is None:
            raise ValueError("a MainEngine without exchange, journal and clock can only optimise")
        self._disturbances = _disturbances(parts.journal)
        self._engine = LiveTradingEngine(
            self._context(params),
            parts.exchange,
            parts.journal,
            parts.clock,
            params=params,
            has_edge=has_edge,
            are_chosen=True,
            adviser=self._reoptimizer(),
            observer=parts.observer,
            controls=parts.controls,
            heartbeat=parts.heartbeat,
        )
        await self._engine.run()
        return self.summary()

    def _context(self, params: StrategyParams | None) -> Context:
        """The engine's context; its window keeps enough candles for any lookback that may be adopted."""
        from your_short_trade_margin_call.trading.state import make_context

        parts = self.parts
        longest = max(*parts.grid.highest_high_lookback, params.highest_high_lookback if params else 1)
        return replace(
            make_context(parts.settings, parts.engine.instrument(parts.symbol), longest),
            max_notional_usdt=parts.max_notional_usdt,
            verify_stop=parts.verify_stop,
            turn_every_ms=parts.turn_every_ms,
        )

    def stop(self) -> None:
        """Leave the trading loop after the event at hand, and an optimisation after the trials at hand."""
        self._is_stopping = True
        if self._engine is not None:
            self._engine.stop()

    def heed_stop(self, _done: int, _trials: int) -> None:
        """A sweep's progress report that leaves it when trading is to stop.

        Raises:
            OptimizationLeftError: `stop` was called.
        """
        from your_short_trade_margin_call.reoptimizer import OptimizationLeftError

        if self._is_stopping:
            raise OptimizationLeftError

    def _reoptimizer(self) -> Reoptimizer[Optimization]:
        """The adviser that optimises again while trading goes on."""
        parts = self.parts
        from your_short_trade_margin_call.reoptimizer import Reoptimizer, Schedule

        every_ms = parts.settings.reoptimize or 0
        schedule = Schedule(parts.symbol, parts.market, every_ms, parts.takes_market_time, parts.lane)
        return Reoptimizer(self, parts.queue, schedule, parts.on_optimized, parts.on_problem)

    def summary(self) -> TradingSummary:
        """What the journal holds by now; the state is the engine's, also where it was left in the middle."""
        from your_short_trade_margin_call.trading.state import Flat

        parts = self.parts
        if parts.journal is None:
            raise ValueError("a summary needs a journal")
        state = None if self._engine is None else self._engine.state
        instrument = parts.engine.instrument(parts.symbol)
        change = parts.journal.wallet_change(float(instrument.tick_size), float(instrument.qty_step))
        trades = parts.journal.trades()
        equity = parts.journal.equity_rows()
        start = parts.settings.starting_balance
        wallet = start + change if state is None else state.wallet
        # The journal also books what somebody else sold: the engine knows which short is ours.
        is_open = parts.journal.open_lots() > 0 if state is None else not isinstance(state.book, Flat)
        return TradingSummary(
            trades=len(trades),
            wins=sum(row["pnl_value"] > 0 for row in trades),
            wallet=wallet,
            journal_wallet=start + change,
            equity=equity[-1][2] if is_open and equity else wallet,
            open_position=is_open,
            blocked=parts.journal.blocked_counts(),
            optimizations=self._optimizations,
            params=None if state is None else state.params,
            starting_balance=start,
            disturbed=_disturbances(parts.journal) > self._disturbances,
        )


def _disturbances(journal: SqliteJournal) -> int:
    """How often it was told that others moved money or traded here."""
    return sum(len(journal.events_of(kind)) for kind in ("wallet_adjusted", "foreign_execution"))
