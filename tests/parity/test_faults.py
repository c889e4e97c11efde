"""Whatever goes wrong between engine and exchange: never naked, never long, no order twice, books that balance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import combinations
from typing import Any

import pytest

from tests.parity.replay import make_engine, make_venue, replay
from tests.shares import late
from tests.worlds import World, random_world
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.messages import CandleClosed, Event, OrderRequest, QuoteArrived
from your_short_trade_margin_call.domain.words import Purpose, Side
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.trading.state import Flat

FAULTS = (
    "lost_answer",
    "late_answer",
    "never_arrived",
    "duplicate_event",
    "reordered_event",
    "reject",
    "late_reject",
    "partial_fill",
    "partial_then_cancel",
    "outage",
    "disconnect",
)
RATE = 0.15
TRADERS = (2_001, 2_003, 2_006, 2_007)
"""Worlds of the ten in which most of the trades are."""


class WatchedVenue:
    """Looks at the account whenever the engine has nothing left to do, before the market goes on."""

    def __init__(self, world: World, venue: ReplayVenue, exchange: SimulatedExchange) -> None:
        self._world, self._venue, self._exchange = world, venue, exchange
        self.looks = 0
        self.without_target = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def place(self, request: OrderRequest) -> str:
        assert request.side is Side.SELL or request.reduce_only
        return await self._venue.place(request)

    async def events(self) -> AsyncIterator[Event]:
        async for event in self._venue.events():
            if isinstance(event, QuoteArrived | CandleClosed):
                self._look()
            yield event

    def _look(self) -> None:
        position = self._exchange.position
        if position is None:
            return
        assert position.lots < 0
        if self._world.settings.margin_call_at is not None:
            assert position.stop_ticks is not None, "naked"
        self.looks += 1
        self.without_target += not any(order.price_ticks for order in self._exchange.account(0).open_orders)


def run_with(world: World, **rates: float) -> tuple[float, SimulatedExchange, SqliteJournal]:
    venue, exchange = make_venue(world, FaultPlan(seed=world.seed, **rates))
    journal = SqliteJournal(":memory:")
    engine = make_engine(world, WatchedVenue(world, venue, exchange), journal)  # type: ignore[arg-type]
    state = asyncio.run(engine.run())
    assert isinstance(state.book, Flat)
    return state.wallet, exchange, journal


def assert_in_order(world: World, **rates: float) -> int:
    wallet, exchange, journal = run_with(world, **rates)
    where = f"world {world.seed} with {rates}"
    assert exchange.position is None, where
    assert exchange.account(0).open_orders == (), where
    assert wallet == pytest.approx(exchange.wallet_usdt, abs=1e-6), where
    change = journal.wallet_change(float(world.instrument.tick_size), float(world.instrument.qty_step))
    assert world.settings.starting_balance + change == pytest.approx(wallet, abs=1e-6), where
    entries = [row["entry_time"] for row in journal.trades()]
    assert len(entries) == len(set(entries)), where
    sells = [e for e in journal.executions() if e.side is Side.SELL and e.kind == "trade"]
    # One intent, at most one order: all lots sold in a candle are those of one request.
    for request, _, _, _ in journal.intents():
        if request.purpose is Purpose.ENTRY:
            assert sum(e.lots for e in sells if e.link_id == request.link_id) <= request.lots, where
    return len(entries)


@pytest.mark.parametrize("seeds", [TRADERS, late(range(2_000, 2_010))], ids=["traders", "all"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone(fault: str, seeds: Sequence[int]) -> None:
    trades = sum(assert_in_order(random_world(seed, 150), **{fault: RATE}) for seed in seeds)
    assert trades > 10


def test_faults_in_pairs() -> None:
    trades = 0
    for place, (one, other) in enumerate(combinations(FAULTS, 2)):
        trades += assert_in_order(random_world(2_100 + place, 150), **{one: RATE, other: RATE})
    assert trades > 50


@pytest.mark.parametrize("fault", [Fault.NEVER_ARRIVED, Fault.REJECT, Fault.LOST_ANSWER])
def test_a_target_that_did_not_arrive_is_placed_again(fault: Fault) -> None:
    """Writes 1, 2 and 3 are the entry, its stop and its target."""
    world = random_world(1_004, 150)
    honest = replay(world)
    venue, exchange = make_venue(world, FaultPlan.script({3: fault}))
    journal = SqliteJournal(":memory:")
    watched = WatchedVenue(world, venue, exchange)
    asyncio.run(make_engine(world, watched, journal).run())  # type: ignore[arg-type]
    assert honest.trades
    assert journal.trades() == honest.trades
    assert watched.looks > 0
    assert watched.without_target == 0


def test_the_same_faults_give_the_same_journal() -> None:
    world = random_world(2_007, 150)
    rates = dict.fromkeys(FAULTS[:-2], 0.1)
    _, _, one = run_with(world, **rates)
    _, _, two = run_with(world, **rates)
    assert one.trades() == two.trades()
    assert one.executions() == two.executions()
    assert one.intents() == two.intents()
