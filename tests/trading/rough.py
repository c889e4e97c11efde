"""A rough exchange: a replay on the simulated exchange, to which anything may be done at any moment.

The market is the usual short's (tests/scenarios/usual_short.py): sold 4 coins at 1000 at 12:09, target 990, stop 1085,
liquidation 1094.5. Ticks of 0.5 USDT, lots of one coin.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.scenarios.market_table import Scenario, at
from tests.worlds import World
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import ExchangeError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Candle,
    CandleClosed,
    Event,
    Order,
    OrderRequest,
    QuoteArrived,
)
from your_short_trade_margin_call.domain.words import OrderType, Purpose, Side
from your_short_trade_margin_call.exchange.faults import FaultPlan
from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
from your_short_trade_margin_call.trading.state import Context, EngineState, make_context

SIGNAL = ("990 1000 985 995", "995 1001 990 1000", "1000 1002 998 999")
QUIET = "999 1001 998 1000"
TARGET_HIT = "1000 1000.5 980 990"
STOP_HIT = "1000 1090 999 1050"
NEW_SIGNAL = "1000 1003 998 999"
ENTRY_AT = "12:09"

Hook = Callable[["RoughVenue"], Iterable[Event] | None]
Trouble = Callable[[str, Any], None]


def market(*rows: str) -> str:
    """Candles from 12:00 on, one every three minutes."""
    return "\n".join(f"{12 + k // 20}:{k % 20 * 3:02d} {row}" for k, row in enumerate(rows))


def world(*rows: str, settings: dict[str, Any] | None = None, params: dict[str, Any] | None = None) -> World:
    """The signal, then these candles; the first of them is the one of the entry."""
    return Scenario("", market(*SIGNAL, *rows), settings=settings or {}, params=params or {}).world()


class OrderedClock:
    """Virtual time in which nobody oversleeps: when all are asleep, the one who wakes first wakes.

    Implements `ports.Clock`.
    """

    HOPS = 6
    """Turns of the event loop that others get to fall asleep, too, before time moves on."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = 0
        self._is_moving = False

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_until_ms(self, moment_ms: int) -> None:
        if moment_ms <= self._now_ms:
            await asyncio.sleep(0)
            return
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._sleepers, (moment_ms, self._number, waking))
        self._move()
        await waking

    def _move(self, hops: int = HOPS) -> None:
        if not self._is_moving:
            self._is_moving = True
            asyncio.get_running_loop().call_soon(self._hop, hops)

    def _hop(self, left: int) -> None:
        if left:
            asyncio.get_running_loop().call_soon(self._hop, left - 1)
            return
        self._is_moving = False
        while self._sleepers:
            moment_ms, _, waking = heapq.heappop(self._sleepers)
            if not waking.done():
                self._now_ms = max(self._now_ms, moment_ms)
                waking.set_result(None)
                break
        if self._sleepers:
            self._move()


class RoughVenue:
    """Implements `ports.Exchange`. `trouble(name, argument)` is called before each request and may raise.

    `after` is the same once the request was carried out: its answer is lost. `hooks` act before the opening quote of a
    candle and may bring events of their own. `is_silent`: nothing is carried out, nothing is answered.
    """

    def __init__(self, world: World, hooks: dict[str, Hook] | None = None, faults: FaultPlan | None = None) -> None:
        start_ms = int(world.candles.time_ms[0])
        self.clock = OrderedClock(start_ms)
        contract, terms = make_contract(world.instrument), make_terms(world.settings, world.candles.symbol)
        self.exchange = SimulatedExchange(contract, terms, world.settings.starting_balance, faults=faults)
        replayed = make_market(world.candles, float(world.instrument.tick_size))
        self.venue = ReplayVenue(replayed, self.exchange, self.clock)
        self.hooks = {at(clock): hook for clock, hook in (hooks or {}).items()}
        self.is_silent = False
        self.trouble: Trouble = lambda name, argument: None
        self.after: Trouble = lambda name, argument: None
        self.requests: list[tuple[str, Any]] = []
        self.wants_stop = True
        self.cap_usdt: float | None = None
        self.contract = contract
        self.longest_ms = 0
        """The longest time that one event kept the engine from taking the next."""

    async def place(self, request: OrderRequest) -> str:
        assert request.side is Side.SELL or request.reduce_only, "a buy that is not reduce-only"
        self._begin("place", request)
        self._check_cap(request)
        answer = await self.venue.place(request)
        self.after("place", request)
        return answer

    async def amend_stop(self, trigger_ticks: int) -> None:
        self._begin("amend_stop", trigger_ticks)
        await self.venue.amend_stop(trigger_ticks)
        self.after("amend_stop", trigger_ticks)

    async def cancel(self, link_id: str) -> None:
        self._begin("cancel", link_id)
        await self.venue.cancel(link_id)
        self.after("cancel", link_id)

    async def find(self, link_id: str) -> Order | None:
        self._begin("find", link_id)
        return await self.venue.find(link_id)

    async def account(self, executions_since_ms: int) -> AccountView:
        self._begin("account", executions_since_ms)
        return await self.venue.account(executions_since_ms)

    async def candles(self, count: int) -> tuple[Candle, ...]:
        self._begin("candles", count)
        return await self.venue.candles(count)

    async def events(self) -> AsyncIterator[Event]:
        async for event in self._told():
            given_ms = self.clock.now_ms()
            yield event
            self.longest_ms = max(self.longest_ms, self.clock.now_ms() - given_ms)

    async def _told(self) -> AsyncIterator[Event]:
        async for event in self.venue.events():
            if isinstance(event, QuoteArrived | CandleClosed):
                self._look()
            if isinstance(event, QuoteArrived) and event.opens_candle_ms in self.hooks:
                for extra in self.hooks.pop(event.opens_candle_ms)(self) or ():
                    yield extra
                for more in self.exchange.drain():
                    yield more
            yield event

    def sent(self, purpose: Purpose) -> list[OrderRequest]:
        """The orders that the engine tried to send."""
        orders = [argument for name, argument in self.requests if name == "place"]
        return [order for order in orders if order.purpose is purpose]

    def names(self) -> list[str]:
        """What was asked, in order."""
        return [name for name, _ in self.requests]

    def by_hand(self, side: Side, lots: int, *, reduce_only: bool = False, name: str = "by-hand") -> None:
        """Somebody else trades this account."""
        self.exchange.place(
            OrderRequest(name, Purpose.CLOSE, side, OrderType.MARKET, lots, reduce_only=reduce_only, leverage=10.0)
        )

    def _begin(self, name: str, argument: Any) -> None:
        self.requests.append((name, argument))
        if self.is_silent:
            writes = ("place", "amend_stop", "cancel")
            raise (OutcomeUnknownError if name in writes else ExchangeError)("nobody answers")
        self.trouble(name, argument)

    def _check_cap(self, request: OrderRequest) -> None:
        if self.cap_usdt is None or request.side is Side.BUY:
            return
        held = -self.exchange.position.lots if self.exchange.position else 0
        price = self.exchange.quote.mid_ticks * self.contract.tick_size if self.exchange.quote else 0.0
        assert (held + request.lots) * self.contract.lot_size * price <= self.cap_usdt

    def _look(self) -> None:
        position = self.exchange.position
        if position is None:
            return
        assert position.lots < 0, "long"
        assert position.stop_ticks is not None or not self.wants_stop, "naked"


@dataclass
class Watcher:
    """An observer that keeps what it is shown."""

    records: list[c.Record] = field(default_factory=list)

    def recorded(self, record: c.Record, state: EngineState) -> None:
        self.records.append(record)

    def moved(self, state: EngineState) -> None:
        pass

    def notes(self, kind: str) -> list[dict[str, Any]]:
        return [r.detail for r in self.records if isinstance(r, c.RecordNote) and r.kind == kind]

    def blocked(self) -> list[tuple[str, str]]:
        return [(str(r.reason), r.detail) for r in self.records if isinstance(r, c.RecordBlocked)]

    def trades(self) -> list[dict[str, Any]]:
        return [r.row for r in self.records if isinstance(r, c.RecordTrade)]


@dataclass
class Story:
    """How it went."""

    state: EngineState
    venue: RoughVenue
    journal: Any
    seen: Watcher

    @property
    def reasons(self) -> list[str]:
        """How the trades ended."""
        return [str(row["exit_reason"]) for row in self.seen.trades()]


def context_of(world: World, **changes: Any) -> Context:
    return replace(make_context(world.settings, world.instrument, world.params.highest_high_lookback), **changes)


def make_engine(
    world: World, venue: RoughVenue, journal: Any, observer: Any, context: dict[str, Any] | None = None, **extras: Any
) -> LiveTradingEngine:
    return LiveTradingEngine(
        context_of(world, **(context or {})),
        venue,
        journal,
        venue.clock,
        params=world.params,
        observer=observer,
        **extras,
    )


def play(
    world: World,
    venue: RoughVenue,
    journal: Any = None,
    context: dict[str, Any] | None = None,
    **extras: Any,
) -> Story:
    """Trade this market to its end."""
    seen = Watcher()
    journal = SqliteJournal(":memory:") if journal is None else journal
    engine = make_engine(world, venue, journal, seen, context, **extras)
    state = asyncio.run(engine.run())
    return Story(state, venue, journal, seen)


def assert_in_order(story: Story) -> None:
    """Flat on both sides, nothing rests, and the wallet is the same by engine, exchange and journal."""
    exchange = story.venue.exchange
    assert exchange.position is None
    assert exchange.account(0).open_orders == ()
    assert story.state.short_lots == 0
    assert abs(story.state.wallet - exchange.wallet_usdt) < 1e-8
    assert abs(1_000.0 + story.journal.wallet_change(0.5, 1.0) - exchange.wallet_usdt) < 1e-8
