"""The venue against the look-alike exchange: a stepped world, both sides in one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np

from tests.bybit.fake_bybit import until
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.paper_account import PaperAccountFile
from your_short_trade_margin_call.adapters.bybit.paper_venue import PaperVenue
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.venue import BybitVenue
from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET, Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.messages import Event, QuoteArrived
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.settings import Settings

T0 = 1_767_225_600_000
SYMBOL = "BTCUSDT"
HISTORY = 10
INSTRUMENT = find_instrument(SYMBOL)
CALM = Settings(spread_bps=0.0, slippage_bps=0.0, order_reject_prob=0.0, starting_balance=1_000.0)
QUICK = Timing().faster(10)


def open_of(j: int) -> int:
    """Open time of candle j."""
    return T0 + j * CANDLE_MS


def calm_candles(count: int = 40) -> Candles:
    """Candle k opens at 60,000 + k, moves 5 up and 3 down, closes 1 higher; a settlement before each 15th."""
    k = np.arange(count, dtype=np.float64)
    time_ms = T0 + CANDLE_MS * np.arange(count, dtype=np.int64)
    prices = (60_000.0 + k, 60_005.0 + k, 59_997.0 + k, 60_001.0 + k)
    candles = Candles.from_columns(SYMBOL, time_ms, *prices, volume=k + 1, timeframe_ms=CANDLE_MS)
    settled = np.arange(15, count, 15)
    return replace(candles, funding=FundingRates(time_ms[settled], settled / 10_000.0))


def calm_world(count: int = 40, *, speed: float = 0.0, settings: Settings = CALM) -> World:
    """A world that stands in candle 10 (with a speed: runs from there)."""
    market = Market(INSTRUMENT, calm_candles(count))
    return make_world([market], settings, history_ms=HISTORY * CANDLE_MS, speed=speed)


@dataclass
class Bench:
    """A server, a venue on it, and everything the venue told so far."""

    world: World
    server: Server
    rest: Rest
    venue: BybitVenue | PaperVenue
    told: list[Event]

    async def step(self, candles: int = 1) -> None:
        """Cross boundaries, leaving time to read."""
        await self.server.stepper().candles(candles, 30)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]

    async def heard(self, condition: Callable[[], object]) -> None:
        await until(condition, 8.0)

    @property
    def openings(self) -> list[QuoteArrived]:
        return [e for e in self.told if isinstance(e, QuoteArrived) and e.opens_candle_ms is not None]


async def _read(venue: BybitVenue | PaperVenue, told: list[Event]) -> None:
    async for event in venue.events():
        told.append(event)


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Server]:
    server = Server(world)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def trading(
    server: Server,
    *,
    paper: PaperAccountFile | None = None,
    timing: Timing = QUICK,
    late_confirm_s: float = 0.1,
    settings: Settings = CALM,
    is_read: bool = True,
    account: Account = Account.DEMO,
) -> AsyncIterator[Bench]:
    """A venue on the server, its events read as they come (or left for an engine)."""
    keys = Keys(DEMO_KEY, DEMO_SECRET)
    clock = ServerClock(lambda: time.time_ns() // 1_000_000, time.monotonic)
    async with Rest.open(endpoint_for(account, server.url), timing, clock, keys) as rest:
        venue: BybitVenue | PaperVenue
        if paper is None:
            venue = BybitVenue(rest, keys, INSTRUMENT, late_confirm_s=late_confirm_s)
        else:
            venue = PaperVenue(rest, INSTRUMENT, settings, paper, late_confirm_s=late_confirm_s)
        told: list[Event] = []
        await venue.open()
        reader = asyncio.create_task(_read(venue, told) if is_read else asyncio.sleep(0))
        try:
            yield Bench(server.world, server, rest, venue, told)
            assert not reader.done() or reader.exception() is None
        finally:
            reader.cancel()
            await asyncio.wait([reader])
            await venue.close()


def with_venue(world: World, talk: Callable[[Bench], Awaitable[None]], **options: object) -> None:
    """One conversation with a server and a venue of its own."""

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), serving(world) as server, trading(server, **options) as bench:  # type: ignore[arg-type]
            await talk(bench)

    asyncio.run(run())
