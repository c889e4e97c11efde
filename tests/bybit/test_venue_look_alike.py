"""The venue and the look-alike: orders there and back, candles in order whatever goes wrong on the way."""

from __future__ import annotations

import asyncio

import pytest

from tests.bybit.look_alike import CALM, HISTORY, SYMBOL, Bench, calm_world, open_of, serving, trading, with_venue
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import SocketFault
from your_short_trade_margin_call.domain.errors import OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import (
    CandleClosed,
    ConditionChanged,
    Executed,
    OrderChanged,
    OrderRequest,
    QuoteArrived,
    StreamLost,
    StreamRestored,
)
from your_short_trade_margin_call.domain.words import BlockReason, ExecutionKind, OrderStatus, OrderType, Purpose, Side
from your_short_trade_margin_call.trading.ids import link_id

ENTRY = link_id(SYMBOL, open_of(HISTORY), Purpose.ENTRY)
TARGET, CLOSE = (link_id(SYMBOL, open_of(HISTORY), purpose) for purpose in (Purpose.TARGET, Purpose.CLOSE))
SELL = OrderRequest(ENTRY, Purpose.ENTRY, Side.SELL, OrderType.MARKET, 10, attached_stop_ticks=700_000, leverage=3.0)
REST_AT = OrderRequest(TARGET, Purpose.TARGET, Side.BUY, OrderType.LIMIT, 10, 590_000, reduce_only=True)
BUY_BACK = OrderRequest(CLOSE, Purpose.CLOSE, Side.BUY, OrderType.MARKET, 10, reduce_only=True)
CREATE = "/v5/order/create"


def executions(bench: Bench) -> list[Executed]:
    return [event for event in bench.told if isinstance(event, Executed)]


def closed(bench: Bench) -> list[int]:
    return [(e.candle.open_time_ms - open_of(0)) // 180_000 for e in bench.told if isinstance(e, CandleClosed)]


def test_it_begins_with_the_opening_quote_of_the_running_candle_and_its_history() -> None:
    async def go(bench: Bench) -> None:
        await bench.heard(lambda: bench.openings)
        assert bench.openings == [QuoteArrived(open_of(HISTORY), 600_100.0, open_of(HISTORY))]
        history = await bench.venue.candles(5)
        assert [candle.open_time_ms for candle in history] == [open_of(j) for j in range(5, 10)]
        assert history[-1].high == 600_140.0

    with_venue(calm_world(), go)


def test_candle_after_candle_closes_and_the_next_one_opens_at_its_very_price() -> None:
    async def go(bench: Bench) -> None:
        await bench.step(6)
        await bench.heard(lambda: len(bench.openings) == 7)
        assert closed(bench) == [10, 11, 12, 13, 14, 15]
        assert [(q.time_ms, q.mid_ticks) for q in bench.openings] == [
            (open_of(j), 600_000.0 + 10 * j) for j in range(10, 17)
        ]
        order = [event for event in bench.told if event in bench.openings or isinstance(event, CandleClosed)]
        assert [type(event) for event in order[1:]] == [CandleClosed, QuoteArrived] * 6

    with_venue(calm_world(), go)


def test_a_short_from_entry_to_close() -> None:
    async def go(bench: Bench) -> None:
        venue = bench.venue
        assert await venue.place(SELL)
        await bench.heard(lambda: executions(bench))
        fill = executions(bench)[0].execution
        assert (fill.link_id, fill.side, fill.lots, fill.price_ticks) == (ENTRY, Side.SELL, 10, 600_100.0)
        assert (fill.kind, fill.candle_ms) == (ExecutionKind.TRADE, open_of(HISTORY))
        await venue.amend_stop(690_000)
        await venue.amend_stop(690_000)
        await venue.place(REST_AT)
        account = await venue.account(open_of(0))
        assert account.position is not None
        assert (account.position.lots, account.position.leverage) == (-10, 3.0)
        assert (account.position.stop_ticks, account.position.entry_ticks) == (690_000, 600_100.0)
        assert [(order.link_id, order.price_ticks) for order in account.open_orders] == [(TARGET, 590_000)]
        assert account.executions == (fill,)
        assert account.wallet_usdt == pytest.approx(CALM.starting_balance - fill.fee_usdt)
        await venue.cancel(TARGET)
        await venue.cancel(TARGET)
        found = await venue.find(TARGET)
        assert found is not None
        assert found.status is OrderStatus.CANCELLED
        await venue.place(BUY_BACK)
        await bench.heard(lambda: len(executions(bench)) == 2)
        flat = await venue.account(open_of(0))
        assert flat.position is None
        assert flat.open_orders == ()
        assert {e.execution for e in executions(bench)} == set(flat.executions)

    with_venue(calm_world(), go)


def test_refusals_keep_their_meaning() -> None:
    async def go(bench: Bench) -> None:
        venue = bench.venue
        with pytest.raises(OrderRefusedError) as caught:
            await venue.place(BUY_BACK)
        assert caught.value.code == "reduce_only"
        with pytest.raises(OrderRefusedError) as caught:
            await venue.amend_stop(700_000)
        assert caught.value.code == "no_position"
        await venue.place(SELL)
        with pytest.raises(OrderRefusedError) as caught:
            await venue.place(SELL)
        assert caught.value.code == "duplicate_link_id"
        with pytest.raises(OrderRefusedError) as caught:
            await venue.amend_stop(500_000)
        assert caught.value.code == "stop_wrong_side"
        assert await venue.find(CLOSE) is None

    with_venue(calm_world(), go)


@pytest.mark.parametrize(
    ("fault", "carried_out", "arrives"),
    [
        (SocketFault.DROP_ANSWER, False, True),
        (SocketFault.TRUNCATED, False, True),
        (SocketFault.SERVER_ERROR, True, True),
        (SocketFault.INTERNAL, False, False),
        (SocketFault.DROP_REQUEST, False, False),
    ],
)
def test_a_lost_answer_is_unknown_and_the_order_is_looked_up(
    fault: SocketFault, carried_out: bool, arrives: bool
) -> None:
    async def go(bench: Bench) -> None:
        bench.server.faults.plan(fault, path=CREATE, carried_out=carried_out)
        with pytest.raises(OutcomeUnknownError):
            await bench.venue.place(SELL)
        found = await bench.venue.find(ENTRY)
        assert (found is not None) == arrives
        assert len([r for r in bench.world.requests.rows if r.path == CREATE]) == 1

    with_venue(calm_world(), go)


def test_a_stop_that_was_moved_although_the_answer_was_lost_is_no_error() -> None:
    async def go(bench: Bench) -> None:
        await bench.venue.place(SELL)
        bench.server.faults.plan(SocketFault.DROP_ANSWER, path="/v5/position/trading-stop")
        await bench.venue.amend_stop(690_000)
        bench.server.faults.plan(SocketFault.DROP_REQUEST, path="/v5/position/trading-stop")
        with pytest.raises(OutcomeUnknownError):
            await bench.venue.amend_stop(680_000)

    with_venue(calm_world(), go)


def test_funding_is_an_execution_but_no_fill() -> None:
    async def go(bench: Bench) -> None:
        await bench.venue.place(SELL)
        await bench.step(6)
        await bench.heard(lambda: len(executions(bench)) == 2)
        settled = executions(bench)[1].execution
        assert settled.kind is ExecutionKind.FUNDING
        assert settled.fee_usdt < 0  # a positive rate pays the short
        account = await bench.venue.account(open_of(0))
        assert account.position is not None
        assert account.position.lots == -10
        assert set(account.executions) == {e.execution for e in executions(bench)}

    with_venue(calm_world(), go)


@pytest.mark.parametrize("fault", [SocketFault.LOST_CANDLE, SocketFault.LATE_CONFIRM, SocketFault.DUPLICATE_CONFIRM])
def test_every_candle_comes_once_and_in_order_whatever_happens_to_its_confirmation(fault: SocketFault) -> None:
    async def go(bench: Bench) -> None:
        for _ in range(3):
            bench.server.faults.plan(fault, after=1)
            await bench.step(3)
        await bench.heard(lambda: len(closed(bench)) == 9 and len(bench.openings) >= 4)
        assert closed(bench) == list(range(10, 19))

    with_venue(calm_world(), go)


@pytest.mark.parametrize("path", ["/v5/public", "/v5/private", "/v5"])
def test_cut_streams_come_back_and_nothing_is_missed(path: str) -> None:
    async def go(bench: Bench) -> None:
        await bench.venue.place(SELL)
        bench.server.streams.drop(path)
        await bench.heard(lambda: bench.of(StreamLost))
        await bench.step(2)
        await bench.heard(lambda: bench.of(StreamRestored))
        await bench.step(1)
        await bench.heard(lambda: closed(bench)[-1:] == [12])
        assert closed(bench) == [10, 11, 12]
        assert bench.openings[-1].opens_candle_ms == open_of(13)
        await bench.venue.place(BUY_BACK)
        await bench.heard(lambda: any(e.execution.link_id == CLOSE for e in executions(bench)))

    with_venue(calm_world(), go)


def test_streams_that_fall_silent_are_noticed() -> None:
    async def go(bench: Bench) -> None:
        bench.server.streams.silence()
        await bench.heard(lambda: bench.of(StreamLost))
        await bench.heard(lambda: bench.of(StreamRestored))
        await bench.step(1)
        await bench.heard(lambda: closed(bench) == [10])

    with_venue(calm_world(), go)


def test_an_outage_ends_with_everything_made_up_for() -> None:
    async def go(bench: Bench) -> None:
        bench.server.streams.begin_outage(0)
        await bench.heard(lambda: bench.of(StreamLost))
        await bench.step(3)
        await asyncio.sleep(0.1)
        assert closed(bench) == []
        bench.server.streams.end_outage()
        await bench.heard(lambda: bench.of(StreamRestored))
        assert closed(bench) == [10, 11, 12]

    with_venue(calm_world(), go)


def test_rows_without_their_optional_fields_say_the_same() -> None:
    async def go(bench: Bench) -> None:
        bench.server.faults.plan(SocketFault.MISSING_FIELDS, times=None)
        await bench.venue.place(SELL)
        await bench.venue.place(REST_AT)
        await bench.heard(lambda: executions(bench))
        account = await bench.venue.account(open_of(0))
        assert account.position is not None
        assert account.position.lots == -10
        assert [e.exec_id for e in account.executions] == [executions(bench)[0].execution.exec_id]
        assert [(order.lots, order.price_ticks) for order in account.open_orders] == [(10, 590_000)]
        assert bench.of(OrderChanged)

    with_venue(calm_world(), go)


def test_a_pair_that_leaves_is_told_within_the_hour() -> None:
    async def go(bench: Bench) -> None:
        bench.world.pairs[SYMBOL].item["deliveryTime"] = str(open_of(1_000))
        await bench.step(11)  # the hour is full at candle 20
        await bench.heard(lambda: bench.of(ConditionChanged))
        news = bench.of(ConditionChanged)[0]
        assert isinstance(news, ConditionChanged)
        assert (news.condition, news.is_on) == (BlockReason.INSTRUMENT_NOT_TRADING, True)

    with_venue(calm_world(), go)


def test_a_running_market_is_followed_at_many_times_its_speed() -> None:
    async def go() -> None:
        async with serving(calm_world(40, speed=600.0)) as server, trading(server) as bench:
            await bench.heard(lambda: len(closed(bench)) >= 6)
            got = closed(bench)
            assert got == list(range(got[0], got[0] + len(got)))
            assert bench.rest.clock.speed == 600.0

    asyncio.run(go())
