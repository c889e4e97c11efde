"""Small parts by themselves: the source of events, patience, stray executions, how the loop is left."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.patience import PATIENCE_S
from tests.trading.rough import QUIET, OrderedClock, RoughVenue, Watcher, context_of, make_engine, world
from your_short_trade_margin_call.adapters.bybit.inbox import Inbox
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import ExchangeError, ForbiddenError, OrderRefusedError
from your_short_trade_margin_call.domain.messages import Event, Executed, Execution, QuoteArrived
from your_short_trade_margin_call.domain.params import params_as_dict
from your_short_trade_margin_call.domain.words import ExecutionKind, Purpose, Side
from your_short_trade_margin_call.rules.entry import new_tally
from your_short_trade_margin_call.trading.books import Books
from your_short_trade_margin_call.trading.decide import decide
from your_short_trade_margin_call.trading.event_source import EventSource
from your_short_trade_margin_call.trading.ids import is_ours, link_id
from your_short_trade_margin_call.trading.patience import ASK_AGAIN_MS, Patience
from your_short_trade_margin_call.trading.reconcile import fold_journal
from your_short_trade_margin_call.trading.state import EngineState
from your_short_trade_margin_call.trading.steadfast_journal import SteadfastJournal

MARKET = world(*[QUIET] * 4)


def execution(number: int, side: Side, lots: int, price: float, fee: float) -> Execution:
    return Execution(f"x{number}", "", ExecutionKind.TRADE, side, lots, price, fee, False, 1_000 + number, 0)


trades = st.lists(
    st.tuples(
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 50),
        st.floats(100.0, 5_000.0),
        st.floats(-1.0, 5.0),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(trades)
def test_i6_whatever_others_trade_the_wallet_follows_the_account(made: list[tuple[Side, int, float, float]]) -> None:
    """Closed to flat in the end, the wallet's change is what was sold less what was bought, less all fees."""
    context, state = context_of(MARKET), EngineState(1_000.0, new_tally(1_000.0))
    held = sum(int(side) * lots for side, lots, _, _ in made)
    if held:
        made = [*made, (Side.SELL if held > 0 else Side.BUY, abs(held), 1_000.0, 0.5)]
    for number, (side, lots, price, fee) in enumerate(made):
        state, _ = decide(context, state, Executed(execution(number, side, lots, price, fee)))
    tick_value = context.contract.tick_size * context.contract.lot_size
    change = math.fsum(-int(side) * lots * price * tick_value - fee for side, lots, price, fee in made)
    assert state.stray.lots == 0
    assert state.wallet == pytest.approx(1_000.0 + change, abs=1e-6)


def test_a_purchase_beyond_every_short_is_a_note_and_no_execution_of_a_short_accounts_journal() -> None:
    journal = SqliteJournal(":memory:")
    state = EngineState(1_000.0, new_tally(1_000.0))
    books = Books(context_of(MARKET), SteadfastJournal(journal), None, state)
    books.book(execution(1, Side.SELL, 3, 2_000.0, 1.0))
    for command in books.book(execution(2, Side.BUY, 5, 2_010.0, 2.0)):
        books.record(command)  # type: ignore[arg-type]
    assert [(row.side, row.lots) for row in journal.executions()] == [(Side.SELL, 3), (Side.BUY, 3)]
    assert books.state.stray.lots == 2
    assert books.state.halted
    assert books.book(execution(2, Side.BUY, 5, 2_010.0, 2.0)) == ()
    assert len(journal.events_of("foreign_execution")) == 1


def test_a_long_that_others_opened_and_closed_leaves_no_short_in_the_journal() -> None:
    """What stands in the journal is what the next start believes: neither half of the stranger's trade, or both."""
    journal, context = SqliteJournal(":memory:"), context_of(MARKET)
    start = EngineState(1_000.0, new_tally(1_000.0))
    books = Books(context, SteadfastJournal(journal), None, start)
    for number, (side, lots) in enumerate([(Side.BUY, 3), (Side.SELL, 2), (Side.SELL, 4), (Side.BUY, 3)]):
        books.book(execution(number, side, lots, 2_000.0, 1.0))
    assert books.state.stray.lots == 0
    assert [(row.side, row.lots) for row in journal.executions()] == [(Side.SELL, 3), (Side.BUY, 3)]
    assert journal.open_lots() == 0
    again, _ = fold_journal(context, start, journal.intents(), journal.executions())
    assert again.stray.lots == 0


def test_ids_of_others_are_not_ours() -> None:
    ours = link_id("BTCUSDT", 180_000, Purpose.ENTRY)
    assert is_ours("BTCUSDT", ours)
    assert not is_ours("ETHUSDT", ours)
    assert not is_ours("BTCUSDT", "")
    assert not is_ours("BTCUSDT", "by-hand")


def test_the_timer_loses_no_event() -> None:
    clock = OrderedClock(0)

    async def stream() -> AsyncIterator[Event]:
        for moment in (1_000, 5_000, 5_500):
            await clock.sleep_until_ms(moment)
            yield QuoteArrived(moment, 1.0)

    async def walk() -> list[int | None]:
        source, seen = EventSource(stream), []
        while not source.has_ended:
            event = await source.next(partial(clock.sleep_until_ms, clock.now_ms() + 1_500))
            seen.append(event.time_ms if isinstance(event, QuoteArrived) else None)
        await source.close()
        return seen

    assert asyncio.run(walk()) == [1_000, None, None, 5_000, 5_500, None]


def test_an_inbox_is_waited_for_with_a_timer_and_loses_no_event() -> None:
    """What came while nobody waited is handed over at once; a timer that goes off first takes nothing with it."""
    events = [QuoteArrived(moment, 1.0) for moment in (1_000, 5_000, 5_500)]

    async def walk() -> list[Event | None]:
        inbox, for_ever = Inbox(180_000, lambda: None), partial(asyncio.sleep, 10 * PATIENCE_S)
        source, seen = EventSource(lambda: inbox), list[Event | None]()
        inbox.put(events[0])
        seen.append(await source.next(for_ever))
        seen.append(await source.next(partial(asyncio.sleep, 0.01)))
        asyncio.get_running_loop().call_later(0.01, inbox.put, events[1])
        seen.append(await source.next(for_ever))
        cancelled = asyncio.ensure_future(source.next(for_ever))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        inbox.put(events[2])
        seen.append(await source.next(for_ever))
        await source.close()
        return seen

    seen = asyncio.run(asyncio.wait_for(walk(), PATIENCE_S))
    assert seen == [events[0], None, events[1], events[2]]


def test_a_broken_inbox_is_told_again_and_again() -> None:
    async def walk() -> None:
        inbox = Inbox(180_000, lambda: None)
        source = EventSource(lambda: inbox)
        inbox.put(QuoteArrived(7, 1.0))
        inbox.fail(ValueError("a bug"))
        assert await source.next(partial(asyncio.sleep, 10.0)) == QuoteArrived(7, 1.0)
        for _ in range(2):
            with pytest.raises(ValueError, match="a bug"):
                await source.next(partial(asyncio.sleep, 10.0))

    asyncio.run(walk())


def test_a_stream_that_raised_is_begun_anew() -> None:
    begun = []

    async def stream() -> AsyncIterator[Event]:
        begun.append(1)
        if len(begun) == 1:
            raise ExchangeError("gone")
        yield QuoteArrived(7, 1.0)

    async def walk() -> Event | None:
        source = EventSource(stream)
        with pytest.raises(ExchangeError):
            await source.next()
        return await source.next()

    assert asyncio.run(walk()) == QuoteArrived(7, 1.0)


@pytest.mark.parametrize("error", [ForbiddenError("no"), OrderRefusedError("no")])
def test_answers_are_not_asked_for_again(error: ExchangeError) -> None:
    asked = []

    async def question() -> None:
        asked.append(1)
        raise error

    with pytest.raises(type(error)):
        asyncio.run(Patience(OrderedClock(0)).ask(question))
    assert len(asked) == 1


@pytest.mark.parametrize(("slow_ms", "tries"), [(0, len(ASK_AGAIN_MS) + 1), (4_000, 3), (20_000, 1)])
def test_slow_silences_are_asked_fewer_times(slow_ms: int, tries: int) -> None:
    """Where each request takes its time to fail, fewer are made: events must not wait."""
    clock, asked = OrderedClock(0), []

    async def question() -> None:
        asked.append(1)
        await clock.sleep_until_ms(clock.now_ms() + slow_ms)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(Patience(clock).ask(question))
    assert len(asked) == tries
    assert clock.now_ms() <= 20_000


def test_stop_leaves_at_once_although_no_event_comes_and_timers_go_off() -> None:
    class Hanging(RoughVenue):
        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                yield event
                await asyncio.Event().wait()

    beats: list[int] = []
    holder: dict[str, Any] = {}

    def beat() -> None:
        beats.append(1)
        if len(beats) == 10:
            holder["engine"].stop()

    venue = Hanging(MARKET)
    context = {"turn_every_ms": 1_000}
    holder["engine"] = make_engine(MARKET, venue, SqliteJournal(":memory:"), Watcher(), context, heartbeat=beat)
    state = asyncio.run(asyncio.wait_for(holder["engine"].run(), PATIENCE_S))
    assert len(beats) == 10
    assert state == state._replace()


@pytest.mark.parametrize("are_chosen", [True, False])
def test_parameters_chosen_for_a_run_supersede_those_of_the_journal(are_chosen: bool) -> None:
    journal = SqliteJournal(":memory:")
    before = {"params": params_as_dict(replace(MARKET.params, take_profit_pct=0.09)), "has_edge": True}
    journal.adopt(5, json.dumps(before))
    engine = make_engine(MARKET, RoughVenue(MARKET), journal, Watcher(), are_chosen=are_chosen, has_edge=False)
    state = asyncio.run(engine.run())
    known = journal.last_adoption()
    assert known is not None
    if are_chosen:
        assert (state.params, state.has_edge) == (MARKET.params, False)
        assert json.loads(known[1]) == {"params": params_as_dict(MARKET.params), "has_edge": False}
    else:
        assert (state.params, state.has_edge) == (replace(MARKET.params, take_profit_pct=0.09), True)
        assert (known[0], json.loads(known[1])) == (5, before)


def test_the_same_parameters_again_keep_their_moment() -> None:
    journal = SqliteJournal(":memory:")
    journal.adopt(5, json.dumps({"params": params_as_dict(MARKET.params), "has_edge": True}))
    engine = make_engine(MARKET, RoughVenue(MARKET), journal, Watcher(), are_chosen=True)
    assert asyncio.run(engine.run()).adopted_ms == 5
