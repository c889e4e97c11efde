"""A trading session on Bybit: the journal goes on where it ended, time is the exchange's, what is open stays open."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from your_short_trade_margin_call.adapters.bybit.paper_account import PaperAccountFile
from your_short_trade_margin_call.adapters.bybit.paper_venue import PaperVenue
from your_short_trade_margin_call.adapters.bybit.preflight import ensure_leverage
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.venue import BybitVenue
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.supervisor import heartbeat_of
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.composition.capital import CapitalOnly, beside_capital
from your_short_trade_margin_call.composition.live import Live
from your_short_trade_margin_call.composition.ours import STARTING_BALANCE
from your_short_trade_margin_call.composition.request import Prepared
from your_short_trade_margin_call.composition.sessions import TradingSession
from your_short_trade_margin_call.domain.checks import CheckStatus
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.ports import Exchange
from your_short_trade_margin_call.main_engine import MainEngine, Parts

_CLOSING_S = 0.3
_TURN_MS = 1_000


def _keep_previous(account: Path) -> None:
    if account.exists():
        os.replace(account, account.with_suffix(".previous.json"))


class Venue(Exchange, Protocol):
    """An exchange that is connected for a while."""

    async def open(self) -> None:
        """Connect and subscribe."""

    async def close(self) -> None:
        """Leave; what rests on the exchange stays there."""


def live_session(prepared: Prepared, live: Live, parts: Parts) -> TradingSession:
    """Everything needed to trade on Bybit, on paper or for real; nothing is sent before the session trades.

    Raises:
        BusyError: another process trades this pair on this account.
    """
    journal = SqliteJournal(prepared.journal, afresh=live.begins_afresh)
    if live.begins_afresh:
        _keep_previous(prepared.request.paths.paper_account(prepared.request.symbol, prepared.name))
    if STARTING_BALANCE not in journal.meta():
        journal.set_meta(STARTING_BALANCE, repr(prepared.request.settings.starting_balance))
    parts.journal, parts.clock = journal, live.clock
    parts.heartbeat = heartbeat_of(os.environ, stopwatch_s)
    parts.takes_market_time, parts.verify_stop, parts.turn_every_ms = True, live.keys is not None, _TURN_MS

    @asynccontextmanager
    async def connect() -> AsyncIterator[None]:
        async with Rest.open(live.endpoint, live.timing, live.clock, live.keys) as rest:
            venue = _venue(prepared, live, rest)
            parts.exchange = venue
            try:
                if live.keys is not None:
                    await _set_leverage(rest, prepared)
                await venue.open()
                if live.keys is not None:
                    parts.exchange = await _with_capital(venue, journal, prepared)
                _settle_memory()
                yield
            finally:
                await _closed(venue)

    return TradingSession(MainEngine(parts), journal, prepared.start_ms, connect)


def _venue(prepared: Prepared, live: Live, rest: Rest) -> Venue:
    """The account itself where there are keys; else paper, on the same market."""
    if live.keys is not None:
        return BybitVenue(rest, live.keys, prepared.instrument)
    request = prepared.request
    store = PaperAccountFile(request.paths.paper_account(request.symbol, prepared.name))
    return PaperVenue(rest, prepared.instrument, request.settings, store)


async def _set_leverage(rest: Rest, prepared: Prepared) -> None:
    """See to it that the pair has the leverage that sizes and liquidation prices are worked out with.

    Raises:
        ExchangeError: it has another one, or it is not told.
    """
    wanted = min(prepared.request.settings.leverage, prepared.instrument.max_leverage)
    check = await ensure_leverage(rest, prepared.request.symbol, wanted)
    if check.status is CheckStatus.FAIL:
        raise ExchangeError(f"The pair's leverage is {check.found}.", check.cure)


async def _with_capital(venue: Venue, journal: SqliteJournal, prepared: Prepared) -> Exchange:
    """The venue as the program's capital sees it."""
    view = await venue.account(prepared.start_ms)
    return CapitalOnly(venue, beside_capital(journal, view.wallet_usdt, prepared.request.settings.starting_balance))


def _settle_memory() -> None:
    """What starting took stays: a search for rubbish among all of it must not come between a candle and its order."""
    gc.collect()
    gc.freeze()


async def _closed(venue: Venue) -> None:
    """Close the streams; whoever leaves does not wait for a peer that is silent."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSING_S):
            await venue.close()
