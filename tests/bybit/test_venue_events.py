"""What the venue tells the engine: closed candles, opening quotes, our account's news, losses and conditions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from tests.bybit.fake_bybit import KEYS, QUICK, STEP, SYMBOL, T0, FakeBybit, client, serving, until
from tests.bybit.test_venue_rows import execution_row, order_row
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.venue import BybitVenue
from your_short_trade_margin_call.domain.errors import ExchangeError, KeyRefusedError
from your_short_trade_margin_call.domain.messages import (
    CandleClosed,
    Event,
    Executed,
    OrderChanged,
    QuoteArrived,
    StreamLost,
    StreamRestored,
)
from your_short_trade_margin_call.market.instruments import find_instrument

P = ("100", "101", "99", "100.5")
POSITION, KEY = "/v5/position/list", "/v5/user/query-api"


def new_bybit(now_ms: int = T0, closed: int = 5) -> FakeBybit:
    """An exchange whose last closed candles end at `T0`; the candle of T0 runs."""
    bybit = FakeBybit(now_ms=now_ms)
    bybit.candles = {T0 - i * STEP: P for i in range(1, closed + 1)}
    bybit.keep_candles()
    bybit.answers[POSITION] = lambda _: {"list": [{"symbol": SYMBOL, "side": "", "size": "0", "leverage": "3"}]}
    bybit.answers[KEY] = lambda _: {"readOnly": 0, "permissions": {"Wallet": []}}
    return bybit


@asynccontextmanager
async def trading(
    bybit: FakeBybit, *, timing: Timing = QUICK, quote_every_s: float = 1e9, late_confirm_s: float = 0.05
) -> AsyncIterator[BybitVenue]:
    async with serving(bybit), client(bybit, timing) as rest:
        instrument = find_instrument(SYMBOL)
        venue = BybitVenue(rest, KEYS, instrument, quote_every_s=quote_every_s, late_confirm_s=late_confirm_s)
        try:
            await venue.open()
            yield venue
        finally:
            await venue.close()


async def next_of(venue: BybitVenue, count: int = 1) -> list[Event]:
    """The next events that are no plain quotes."""
    found: list[Event] = []
    events = venue.events()
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            event = await anext(events)
            if not (isinstance(event, QuoteArrived) and event.opens_candle_ms is None):
                found.append(event)
    return found


async def nothing_more(venue: BybitVenue, seconds: float = 0.05) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await anext(venue.events())


async def shown(venue: BybitVenue, ts: int) -> None:
    """Wait until this book has been read."""
    await until(lambda: venue.market.feed.book is not None and venue.market.feed.book.ts_ms == ts)


async def begin(bybit: FakeBybit, venue: BybitVenue) -> None:
    """The book of the running candle arrives; its opening quote is the first event."""
    await bybit.book(bybit.now_ms, "100.0", "100.2")
    assert await next_of(venue) == [QuoteArrived(T0, 1001.0, T0)]


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_the_first_event_is_the_opening_quote_of_the_running_candle() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            assert [candle.open_time_ms for candle in await venue.candles(3)] == [T0 - i * STEP for i in (3, 2, 1)]

    run(go)


def test_a_close_and_then_the_first_book_of_its_time() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            await bybit.candle(T0, P, confirm=False, ts=T0 + 1_000)
            bybit.now_ms = T0 + STEP
            await bybit.candle(T0, P)
            [closed] = await next_of(venue)
            assert isinstance(closed, CandleClosed)
            assert closed.candle.open_time_ms == T0
            await bybit.book(T0 + STEP - 1, "100.0", "100.2")  # still of the old candle
            await bybit.book(T0 + STEP, "100.4", "100.6")
            assert await next_of(venue) == [QuoteArrived(T0 + STEP, 1005.0, T0 + STEP)]

    run(go)


def test_a_book_that_came_before_the_close_opens_at_once_with_the_newest_price() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            await bybit.book(T0 + STEP + 5, "100.4", "100.6")
            await bybit.book(T0 + STEP + 9, "100.6", "100.8")
            await bybit.candle(T0, P)
            closed, opening = await next_of(venue, 2)
            assert isinstance(closed, CandleClosed)
            assert opening == QuoteArrived(T0 + STEP + 9, 1007.0, T0 + STEP)

    run(go)


def test_a_quote_that_waited_is_as_new_as_the_moment_it_is_taken() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await bybit.book(T0, "100.0", "100.2")
            await bybit.book(T0 + 7, "90.0", "90.2")
            await shown(venue, T0 + 7)
            assert await next_of(venue) == [QuoteArrived(T0 + 7, 901.0, T0)]

    run(go)


def test_an_opening_that_waited_too_long_opens_the_candle_that_runs_then() -> None:
    """So a signal of the candle before is blocked as a gap, not traded late."""

    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await bybit.book(T0, "100.0", "100.2")
            await bybit.book(T0 + STEP + 3, "90.0", "90.2")
            await shown(venue, T0 + STEP + 3)
            assert await next_of(venue) == [QuoteArrived(T0 + STEP + 3, 901.0, T0 + STEP)]

    run(go)


def test_other_quotes_are_few() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit, quote_every_s=0.2) as venue:
            await begin(bybit, venue)
            for i in range(50):
                await bybit.book(T0 + i, "100.0", f"100.{i + 1:02d}")
            await shown(venue, T0 + 49)
            await asyncio.sleep(0.25)
            await bybit.book(T0 + 99, "100.0", "100.2")
            quotes = []
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    while True:
                        quotes.append(await anext(venue.events()))
            assert 1 <= len(quotes) <= 3
            assert quotes[-1] == QuoteArrived(T0 + 99, 1001.0, None)

    run(go)


def test_a_duplicate_confirmation_tells_nothing_and_a_lost_one_is_asked_for() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            await bybit.candle(T0, P)
            await bybit.candle(T0, P)
            await bybit.candle(T0 - STEP, P)
            bybit.now_ms = T0 + 2 * STEP
            bybit.candles |= {T0: P, T0 + STEP: P}
            await bybit.candle(T0 + 2 * STEP, P, confirm=False)  # the word about T0 + STEP never comes
            found = await next_of(venue, 2)
            assert [event.candle.open_time_ms for event in found if isinstance(event, CandleClosed)] == [T0, T0 + STEP]
            await bybit.book(T0 + 2 * STEP, "100.0", "100.2")
            assert await next_of(venue) == [QuoteArrived(T0 + 2 * STEP, 1001.0, T0 + 2 * STEP)]

    run(go)


def test_news_of_the_account_comes_as_it_happens() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            await bybit.private("order", order_row(orderStatus="New", cumExecQty="0"))
            await bybit.private("execution", execution_row(), execution_row())
            await bybit.private("order", order_row())
            found = await next_of(venue, 3)
            assert [type(event) for event in found] == [OrderChanged, Executed, OrderChanged]

    run(go)


@pytest.mark.parametrize("private", [False, True, None])
def test_whichever_stream_is_lost_it_is_told_and_told_when_both_are_back(private: bool | None) -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            bybit.accepts_connections = False
            await bybit.drop(private=private)
            [lost] = await next_of(venue)
            assert isinstance(lost, StreamLost)
            bybit.now_ms = T0 + 3 * STEP
            bybit.candles |= {T0 + i * STEP: P for i in range(4)}
            bybit.accepts_connections = True
            found = await next_of(venue, 4)
            assert [e.candle.open_time_ms for e in found if isinstance(e, CandleClosed)] == [
                T0, T0 + STEP, T0 + 2 * STEP,
            ]  # fmt: skip
            assert isinstance(found[3], StreamRestored)
            await bybit.book(T0 + 3 * STEP, "100.0", "100.2")
            assert await next_of(venue) == [QuoteArrived(T0 + 3 * STEP, 1001.0, T0 + 3 * STEP)]

    run(go)


def test_no_quote_of_before_the_loss_is_handed_out_after_it() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit, quote_every_s=0.0) as venue:
            await begin(bybit, venue)
            await bybit.book(T0 + 1, "100.0", "100.2")
            await shown(venue, T0 + 1)
            bybit.accepts_connections = False
            await bybit.drop(private=False)
            await until(lambda: not venue.market.is_up)
            event = await anext(venue.events())
            assert isinstance(event, StreamLost)

    run(go)


def test_the_line_comes_back_only_when_the_exchange_answers() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            answer = bybit.answers["/v5/market/kline"]
            bybit.answers["/v5/market/kline"] = lambda _: web.Response(status=502)
            await bybit.drop(private=False)
            assert isinstance((await next_of(venue))[0], StreamLost)
            await nothing_more(venue, 0.3)
            assert venue.market.public.is_up
            bybit.answers["/v5/market/kline"] = answer
            assert isinstance((await next_of(venue))[0], StreamRestored)

    run(go)


def test_an_unreadable_message_about_the_account_leads_to_a_reconciliation() -> None:
    """It may have been an execution: the engine is told that the line was lost and is back."""

    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            await bybit.push('{"topic":"execution","creationTime":1,"data":[{"execId":"x', private=True)
            lost, restored = (await next_of(venue, 3))[:2]
            assert isinstance(lost, StreamLost)
            assert isinstance(restored, StreamRestored)
            assert venue.market.private is not None
            assert venue.market.private.connections == 1

    run(go)


def test_an_unreadable_message_about_the_market_is_survived() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            await bybit.candle(T0, ("100", "nan", "99", "100"))
            await bybit.push('{"topic":"kline.3')
            await bybit.candle(T0, P)
            assert isinstance((await next_of(venue))[0], CandleClosed)

    run(go)


def test_the_waiting_may_be_cancelled_and_begun_again() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await nothing_more(venue, 0.02)
            await begin(bybit, venue)

    run(go)


def test_a_part_that_breaks_is_heard_by_the_engine_again_and_again() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            venue.market.broke(ZeroDivisionError("a bug"))
            for _ in range(2):
                with pytest.raises(ZeroDivisionError):
                    await anext(venue.events())

    run(go)


def test_a_key_that_is_refused_ends_the_opening_with_its_name() -> None:
    async def go() -> None:
        bybit = new_bybit()
        bybit.accepts_key = False
        with pytest.raises(KeyRefusedError):
            async with trading(bybit):
                pass
        bybit.answers[POSITION] = lambda _: (33004, "Your api key has expired.")
        with pytest.raises(KeyRefusedError):
            async with trading(bybit):
                pass
        assert not bybit.lines

    run(go)


def test_an_exchange_that_is_not_there_is_a_named_error() -> None:
    async def go() -> None:
        bybit = new_bybit()
        bybit.accepts_connections = False
        with pytest.raises(ExchangeError, match="cannot be reached"):
            async with trading(bybit, timing=Timing().faster(50)):
                pass

    run(go)
