"""What trades: a MainEngine with its exchange, its clock and its journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from your_short_trade_margin_call.adapters.storage.controls import read_controls
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.system_clock import ScaledClock
from your_short_trade_margin_call.composition.parts import make_parts
from your_short_trade_margin_call.composition.request import SIMULATED_SPEED, Prepared
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.spans import HOUR_MS
from your_short_trade_margin_call.main_engine import MainEngine, Parts, TradingSummary
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.trading.books import Observer

LEAVING_S = 0.7
"""How long the event at hand may take to its end once trading is to stop; then it is left where it is."""

Connect = Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _nothing_to_connect() -> AsyncIterator[None]:
    yield


@dataclass
class TradingSession:
    """A MainEngine ready to trade, and what must be closed afterwards.

    `connect` opens the way to the exchange for as long as trading goes on.
    """

    main: MainEngine
    journal: SqliteJournal
    start_ms: int
    connect: Connect = _nothing_to_connect
    _task: asyncio.Task[Any] | None = field(default=None, init=False)
    _is_connected: bool = field(default=False, init=False)
    _is_stopping: bool = field(default=False, init=False)

    async def trade(self, params: StrategyParams | None, has_edge: bool = True) -> TradingSummary:
        """Connect, trade until the market ends or `stop` is called, and take leave.

        Raises:
            ShortestPeakError: something stopped it; what is open is guarded on the exchange.
        """
        self._task = asyncio.current_task()
        try:
            async with self.connect():
                self._is_connected = True
                return await self.main.trade(params, has_edge)
        except asyncio.CancelledError:
            if not self._is_stopping or self._task is None:
                raise
            # Left in the middle of something: the next start reads the journal and asks the exchange.
            self._task.uncancel()
            return self.main.summary()
        finally:
            self._task = None

    def stop(self) -> None:
        """Leave: at once while connecting, else after the event at hand, within `LEAVING_S` in any case."""
        self._is_stopping = True
        self.main.stop()
        if self._is_connected:
            asyncio.get_running_loop().call_later(LEAVING_S, self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Release the journal."""
        self.journal.close()


def make_trading_session(
    prepared: Prepared,
    observer: Observer | None = None,
    on_optimized: Callable[..., None] | None = None,
    on_problem: Callable[[str], None] | None = None,
) -> TradingSession:
    """Everything needed to trade.

    On Bybit the journal is continued. Otherwise the journal of the run before is kept beside the new one, the first
    window of the candles is history to optimise on, and trading begins after it.

    Raises:
        TooFewCandlesError: there is nothing left to trade on.
        BusyError: another process trades this pair.
    """
    parts = make_parts(prepared)
    parts.observer, parts.on_optimized, parts.on_problem = observer, on_optimized, on_problem
    controls = prepared.request.paths.controls(prepared.request.symbol)
    parts.controls = lambda: _wishes(controls)
    parts.max_notional_usdt = prepared.request.max_notional_usdt
    if prepared.live is not None:
        from your_short_trade_margin_call.composition.live_session import live_session

        return live_session(prepared, prepared.live, parts)
    return _replay_session(prepared, parts)


def _replay_session(prepared: Prepared, parts: Parts) -> TradingSession:
    # Loaded here: an optimisation must not wait for the exchange.
    from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
    from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange

    request, start_ms = prepared.request, prepared.start_ms
    settings = request.settings
    first = int(prepared.candles.time_ms.searchsorted(start_ms))
    prepared.candles.require(first + 2, f"trading after a first window of {settings.window // HOUR_MS} h")
    contract, terms = make_contract(prepared.instrument), make_terms(settings, request.symbol)
    exchange = SimulatedExchange(contract, terms, settings.starting_balance, settings.candle_ms)
    clock = ScaledClock(start_ms, _speed(prepared))
    market = make_market(prepared.candles, float(prepared.instrument.tick_size))
    journal = SqliteJournal(prepared.journal, afresh=True)
    parts.exchange = ReplayVenue(market, exchange, clock, start=first)
    parts.clock, parts.journal = clock, journal
    return TradingSession(MainEngine(parts), journal, start_ms)


def _speed(prepared: Prepared) -> float | None:
    if prepared.request.speed is not None:
        return prepared.request.speed
    return SIMULATED_SPEED if prepared.is_invented else None


def _wishes(path: Path) -> tuple[bool, bool]:
    controls = read_controls(path)
    return controls.paused, controls.flatten
