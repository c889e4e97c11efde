"""Runs LiveTradingEngine on an account of the look-alike exchange: every request and message crosses a socket.

The server is stepped phase by phase. The next phase begins only when the engine waits for news, the queue before it is
empty, and every message that was written to a stream has been read on the other side: nothing depends on time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.worlds import World as MarketWorld
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint, endpoint_for
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.venue import BybitVenue
from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET, Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.system_clock import SystemClock, pause_s, stopwatch_s
from your_short_trade_margin_call.domain.messages import Event, MarketEnded
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.research.trials import with_defaults
from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
from your_short_trade_margin_call.trading.state import make_context

HURRY = 200.0
"""Seconds of both sides' stopwatches in a real one: limits of requests and pauses cost next to nothing."""
STUCK_S = 30.0
MANY_TURNS = 200
"""Turns of the loop after which waiting is left to the clock."""
TIMING = Timing(silence_s=1e6, ping_every_s=1e6, request_timeout_s=1e4, connect_timeout_s=1e4, ack_timeout_s=1e4)


def hurried_stopwatch_s() -> float:
    return stopwatch_s() * HURRY


async def hurried_pause_s(seconds: float) -> None:
    await pause_s(seconds / HURRY)


class Watched:
    """A venue that knows whether its engine waits for news. Everything else is the venue's."""

    def __init__(self, venue: BybitVenue) -> None:
        self._venue = venue
        self.engine_waits = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def events(self) -> AsyncIterator[Event]:
        inbox = self._venue.events()
        while True:
            self.engine_waits = True
            event = await anext(inbox)
            self.engine_waits = False
            yield event


@dataclass
class Played:
    """What a replay through sockets came to; the same fields as `tests.parity.replay.Replay`."""

    trades: list[dict[str, Any]]
    blocked: dict[str, int]
    wallet: float
    exchange: SimulatedExchange
    journal: SqliteJournal
    equity: list[tuple[int, float, float]]
    requests: list[Any] = field(default_factory=list)


def make_server_world(world: MarketWorld) -> World:
    """The same market as the backtest's, standing in its first candle.

    Random worlds have marks far from the last price; the exchange's price band around the mark, which the rules do not
    know, would leave market orders unfilled there: it is made so wide that it never binds.
    """
    market = Market(world.instrument, world.candles)
    served = make_world([market], world.settings, history_ms=0, stopwatch_s=hurried_stopwatch_s)
    for pair in served.pairs.values():
        pair.item["riskParameters"] = {"priceLimitRatioX": "1000", "priceLimitRatioY": "1000"}
    return served


@asynccontextmanager
async def opened_venue(endpoint: Endpoint, world: MarketWorld) -> AsyncIterator[BybitVenue]:
    clock = ServerClock(SystemClock().now_ms, hurried_stopwatch_s, hurried_pause_s)
    keys = Keys(DEMO_KEY, DEMO_SECRET)
    async with Rest.open(endpoint, TIMING, clock, keys) as rest:
        venue = BybitVenue(rest, keys, world.instrument, late_confirm_s=0.01)
        await venue.open()
        try:
            yield venue
        finally:
            await venue.close()


def play(world: MarketWorld, account: Account = Account.DEMO) -> Played:
    """On mainnet's addresses (of this computer) entries go by stream, on those of a demo account by REST."""
    return asyncio.run(_play(world, account))


async def _play(world: MarketWorld, account: Account) -> Played:
    served = make_server_world(world)
    server = Server(served)
    await server.start()
    try:
        endpoint = endpoint_for(account, server.url)
        async with opened_venue(endpoint, world) as venue:
            await line_is_up(venue)
            return await _trade(world, served, server, venue)
    finally:
        await server.stop()


async def line_is_up(venue: BybitVenue) -> None:
    async with asyncio.timeout(STUCK_S):
        while venue.trade_line is not None and not venue.trade_line.is_up:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def _trade(world: MarketWorld, served: World, server: Server, venue: BybitVenue) -> Played:
    params = with_defaults(world.params, world.settings)
    context = make_context(world.settings, world.instrument, params.highest_high_lookback)
    journal = SqliteJournal(":memory:")
    watched = Watched(venue)
    engine = LiveTradingEngine(context, watched, journal, venue._clock, params=params)
    running = asyncio.create_task(engine.run())
    await settled(server, watched, running)
    while served.step_phase() is not None:
        await settled(server, watched, running)
    exchange = await _end(served, engine, watched, server, running)
    engine.stop()
    state = await running
    trades = [_named_by_candle(trade, context.candle_ms) for trade in journal.trades()]
    return Played(
        trades, journal.blocked_counts(), state.wallet, exchange, journal, journal.equity_rows(),
        list(served.requests.rows),
    )  # fmt: skip


def _named_by_candle(trade: dict[str, Any], candle_ms: int) -> dict[str, Any]:
    """An execution at the last close is known by its time here; a backtest names the candle that ended then."""
    if trade["exit_reason"] != "end_of_data":
        return trade
    return {**trade, "exit_time": trade["exit_time"] - candle_ms}


async def _end(
    served: World, engine: LiveTradingEngine, watched: Watched, server: Server, running: asyncio.Task[Any]
) -> SimulatedExchange:
    """The end of the recorded market, which no exchange announces: the last position is closed at the last close."""
    (pair,) = served.pairs.values()
    account = served.accounts[DEMO_KEY]
    exchange = account.sim(pair.symbol)
    exchange.on_market_end()
    watched._venue._inbox.put(MarketEnded(pair.close_ms(len(pair.candles) - 1)))
    await settled(server, watched, running)
    return exchange


async def settled(server: Server, watched: Watched, running: asyncio.Task[Any]) -> None:
    """Return when the engine has nothing left to do and nothing is on its way."""
    async with asyncio.timeout(STUCK_S):
        calm = turns = 0
        while calm < 2:
            await asyncio.sleep(0 if turns < MANY_TURNS else 0.001)
            turns += 1
            if running.done():
                running.result()
                return
            calm = calm + 1 if _is_calm(server, watched) else 0


def _is_calm(server: Server, watched: Watched) -> bool:
    venue = watched._venue
    line = venue.trade_line
    streams = (venue.market.public, venue.market.private, None if line is None else line.stream)
    seen = sum(stream.seen for stream in streams if stream is not None)
    sent = sum(connection.subscriber.queued for connection in server.streams.open())
    mending = venue.market.line._task
    is_mending = mending is not None and not mending.done()
    is_silent = seen == sent and not server.world.requests.in_work
    return watched.engine_waits and venue._inbox._queue.empty() and is_silent and not is_mending
