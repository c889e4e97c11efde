"""What the venue asks of an account: the bodies it sends, what it makes of the answers, and of none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tests.bybit.core_server import ok, status, talking
from tests.bybit.fake_bybit import STEP, SYMBOL, T0, FakeBybit, client, serving
from tests.bybit.test_venue_rows import ENTRY, GRID, execution_row, order_row, position_row
from your_short_trade_margin_call.adapters.bybit.account_requests import AccountRequests
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.domain.errors import (
    ExchangeError,
    ForbiddenError,
    OrderRefusedError,
    OutcomeUnknownError,
)
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import OrderStatus, OrderType, Purpose, Side
from your_short_trade_margin_call.rules.terms import NO_PRICE
from your_short_trade_margin_call.trading.ids import link_id

CREATE, LEVERAGE, STOP = "/v5/order/create", "/v5/position/set-leverage", "/v5/position/trading-stop"
REALTIME, HISTORY, EXECUTIONS = "/v5/order/realtime", "/v5/order/history", "/v5/execution/list"
POSITION, WALLET = "/v5/position/list", "/v5/account/wallet-balance"
TARGET, CLOSE = link_id(SYMBOL, T0, Purpose.TARGET), link_id(SYMBOL, T0, Purpose.CLOSE)

SELL = OrderRequest(
    ENTRY, Purpose.ENTRY, Side.SELL, OrderType.MARKET, 10, attached_stop_ticks=1_220_000, leverage=3.0
)  # fmt: skip


def run(bybit: FakeBybit, test: Callable[[AccountRequests], Awaitable[None]]) -> None:
    async def go() -> None:
        async with serving(bybit), client(bybit, Timing().faster(20)) as rest:
            await rest.sync_clock()
            await test(AccountRequests(rest, SYMBOL, GRID, STEP))

    asyncio.run(go())


def rows(*found: dict[str, Any], cursor: str = "") -> dict[str, Any]:
    return {"list": list(found), "nextPageCursor": cursor, "category": "linear"}


def flat(bybit: FakeBybit) -> FakeBybit:
    """An account with nothing in it but money."""
    bybit.answers |= {
        REALTIME: lambda _: rows(),
        HISTORY: lambda _: rows(),
        EXECUTIONS: lambda _: rows(),
        POSITION: lambda _: rows({"symbol": SYMBOL, "side": "", "size": "0", "leverage": "3"}),
        WALLET: lambda _: {"list": [{"coin": [{"coin": "USDT", "walletBalance": "472.5"}]}]},
        CREATE: lambda body: {"orderId": "o-9", "orderLinkId": body["orderLinkId"]},
    }
    return bybit


def test_an_entry_carries_its_stop_and_sets_the_leverage_first() -> None:
    bybit = flat(FakeBybit())

    async def go(requests: AccountRequests) -> None:
        assert await requests.place(SELL) == "o-9"
        assert [path for path, _ in bybit.asked[-2:]] == [LEVERAGE, CREATE]
        assert bybit.questions(LEVERAGE) == [
            {"category": "linear", "symbol": SYMBOL, "buyLeverage": "3", "sellLeverage": "3"}
        ]
        assert bybit.questions(CREATE) == [
            {
                "category": "linear",
                "symbol": SYMBOL,
                "side": "Sell",
                "orderType": "Market",
                "qty": "0.01",
                "positionIdx": 0,
                "orderLinkId": ENTRY,
                "stopLoss": "122000",
                "slTriggerBy": "MarkPrice",
                "tpslMode": "Full",
            }
        ]
        await requests.place(SELL)
        assert len(bybit.questions(LEVERAGE)) == 1  # it is known now

    run(bybit, go)


def test_the_leverage_that_the_position_shows_needs_no_setting() -> None:
    bybit = flat(FakeBybit())

    async def go(requests: AccountRequests) -> None:
        await requests.position()
        await requests.place(SELL)
        assert bybit.questions(LEVERAGE) == []

    run(bybit, go)


def test_a_leverage_that_is_refused_or_unknown_opens_nothing() -> None:
    bybit = flat(FakeBybit())

    async def go(requests: AccountRequests) -> None:
        bybit.answers[LEVERAGE] = lambda _: (110013, "cannot set leverage gt maxLeverage")
        with pytest.raises(OrderRefusedError) as caught:
            await requests.place(SELL)
        assert caught.value.code == "leverage"
        bybit.answers[LEVERAGE] = lambda _: web.Response(status=502)
        with pytest.raises(OrderRefusedError):
            await requests.place(SELL)
        assert bybit.questions(CREATE) == []
        bybit.answers[LEVERAGE] = lambda _: (110043, "Set leverage has not been modified.")
        await requests.place(SELL)

    run(bybit, go)


def test_a_target_rests_reduce_only_and_a_close_is_a_market_buy() -> None:
    bybit = flat(FakeBybit())

    async def go(requests: AccountRequests) -> None:
        target = OrderRequest(TARGET, Purpose.TARGET, Side.BUY, OrderType.LIMIT, 10, 900_000, reduce_only=True)
        close = OrderRequest(CLOSE, Purpose.CLOSE, Side.BUY, OrderType.MARKET, 10, reduce_only=True)
        await requests.place(target)
        await requests.place(close)
        first, second = bybit.questions(CREATE)
        assert (first["orderType"], first["price"], first["timeInForce"]) == ("Limit", "90000", "GTC")
        assert first["reduceOnly"] is True
        assert (second["side"], second["orderType"], second["reduceOnly"]) == ("Buy", "Market", True)
        assert "stopLoss" not in first | second
        assert bybit.questions(LEVERAGE) == []

    run(bybit, go)


@pytest.mark.parametrize(
    ("kind", "direction", "price"),
    [(OrderType.STOP_MARKET, 1, "MarkPrice"), (OrderType.TAKE_PROFIT_MARKET, 2, "LastPrice")],
)
def test_what_waits_for_a_trigger_says_from_which_side(kind: OrderType, direction: int, price: str) -> None:
    bybit = flat(FakeBybit())

    async def go(requests: AccountRequests) -> None:
        order = OrderRequest(CLOSE, Purpose.CLOSE, Side.BUY, kind, 10, None, 900_000, reduce_only=True)
        await requests.place(order)
        (asked,) = bybit.questions(CREATE)
        assert (asked["orderType"], asked["triggerPrice"], asked["reduceOnly"]) == ("Market", "90000", True)
        assert (asked["triggerDirection"], asked["triggerBy"]) == (direction, price)

    run(bybit, go)


@pytest.mark.parametrize(
    ("code", "text", "refusal"),
    [
        (110007, "ab not enough for new order", "insufficient_balance"),
        (110072, "OrderLinkedID is duplicate", "duplicate_link_id"),
        (110017, "orderQty will be truncated to zero", "reduce_only"),
        (110094, "Order does not meet minimum order value 5USDT", "below_min_notional"),
    ],
)
def test_a_refusal_has_our_word_for_it(code: int, text: str, refusal: str) -> None:
    bybit = flat(FakeBybit())
    bybit.answers[CREATE] = lambda _: (code, text)

    async def go(requests: AccountRequests) -> None:
        with pytest.raises(OrderRefusedError, match=text) as caught:
            await requests.place(SELL)
        assert caught.value.code == refusal

    run(bybit, go)


def test_a_lost_answer_is_unknown_and_then_found() -> None:
    bybit = flat(FakeBybit())

    def carried_out(body: dict[str, Any]) -> web.Response:
        bybit.answers[REALTIME] = lambda _: rows(order_row(orderLinkId=body["orderLinkId"], orderStatus="New"))
        return web.Response(status=504)

    bybit.answers[CREATE] = carried_out

    async def go(requests: AccountRequests) -> None:
        with pytest.raises(OutcomeUnknownError):
            await requests.place(SELL)
        assert len(bybit.questions(CREATE)) == 1  # never sent again
        found = await requests.find(ENTRY)
        assert found is not None
        assert found.status is OrderStatus.NEW

    run(bybit, go)


@pytest.mark.parametrize("path", [REALTIME, HISTORY])
def test_an_order_is_found_among_the_open_and_the_old(path: str) -> None:
    bybit = flat(FakeBybit())
    bybit.answers[path] = lambda _: rows(order_row(orderLinkId="somebody"), order_row(orderId="it"))

    async def go(requests: AccountRequests) -> None:
        found = await requests.find(ENTRY)
        assert found is not None
        assert found.order_id == "it"
        assert all(question["orderLinkId"] == ENTRY for question in bybit.questions(path))

    run(bybit, go)


def test_an_order_is_none_only_when_nobody_knows_it() -> None:
    bybit = flat(FakeBybit())

    async def go(requests: AccountRequests) -> None:
        assert await requests.find(ENTRY) is None
        assert [path for path, _ in bybit.asked[-3:]] == [REALTIME, HISTORY, EXECUTIONS]
        bybit.answers[EXECUTIONS] = lambda _: rows(execution_row(orderQty="0.010"))
        found = await requests.find(ENTRY)
        assert found is not None
        assert found.filled_lots == 10
        bybit.answers[HISTORY] = lambda _: (10016, "Internal server error")
        with pytest.raises(ExchangeError):
            await requests.find(ENTRY)

    run(bybit, go)


def test_a_stop_is_moved_and_taken_away() -> None:
    bybit = flat(FakeBybit())

    async def go(requests: AccountRequests) -> None:
        for trigger in (1_220_000, 0, NO_PRICE):
            await requests.amend_stop(trigger)
        assert [body["stopLoss"] for body in bybit.questions(STOP)] == ["122000", "0", "0"]
        first = bybit.questions(STOP)[0]
        assert (first["tpslMode"], first["positionIdx"], first["slTriggerBy"]) == ("Full", 0, "MarkPrice")
        bybit.answers[STOP] = lambda _: (34040, "not modified")
        await requests.amend_stop(1_220_000)

    run(bybit, go)


def test_a_doubtful_answer_about_a_stop_is_checked_with_the_position() -> None:
    bybit = flat(FakeBybit())
    bybit.answers[STOP] = lambda _: web.Response(status=502)

    async def go(requests: AccountRequests) -> None:
        with pytest.raises(OutcomeUnknownError):
            await requests.amend_stop(1_220_000)
        bybit.answers[POSITION] = lambda _: rows(position_row(stopLoss="122000.0"))
        await requests.amend_stop(1_220_000)
        with pytest.raises(OutcomeUnknownError):
            await requests.amend_stop(1_210_000)

    run(bybit, go)


def test_a_stop_on_the_wrong_side_is_refused_without_further_questions() -> None:
    bybit = flat(FakeBybit())
    text = "StopLoss:900000000 set for Sell position should greater base_price:950000000??MarkPrice"
    bybit.answers[STOP] = lambda _: (10001, text)

    async def go(requests: AccountRequests) -> None:
        with pytest.raises(OrderRefusedError) as caught:
            await requests.amend_stop(900_000)
        assert caught.value.code == "stop_wrong_side"
        assert bybit.questions(POSITION) == []

    run(bybit, go)


def test_cancelling_what_is_gone_is_no_error_a_lost_answer_is_unknown() -> None:
    bybit = flat(FakeBybit())
    bybit.answers["/v5/order/cancel"] = lambda _: (110001, "order not exists or too late to cancel")

    async def go(requests: AccountRequests) -> None:
        await requests.cancel(TARGET)
        bybit.answers["/v5/order/cancel"] = lambda _: web.Response(status=502)
        with pytest.raises(OutcomeUnknownError):
            await requests.cancel(TARGET)

    run(bybit, go)


def test_an_account_is_its_money_position_orders_and_executions() -> None:
    bybit = flat(FakeBybit())
    stop = order_row(orderLinkId="", stopOrderType="StopLoss", orderStatus="Untriggered", side="Buy")
    bybit.answers |= {
        POSITION: lambda _: rows(position_row()),
        REALTIME: lambda _: rows(
            stop,
            order_row(orderLinkId=TARGET, orderStatus="New", orderType="Limit"),
            order_row(orderLinkId="web-1", orderStatus="New"),
            order_row(orderStatus="Filled"),
        ),
        EXECUTIONS: lambda _: rows(execution_row(), execution_row(execId="x0", execTime=str(T0))),
    }

    async def go(requests: AccountRequests) -> None:
        account = await requests.account(T0)
        assert account.wallet_usdt == 472.5
        assert account.position is not None
        assert (account.position.lots, account.position.stop_ticks) == (-10, 1_220_000)
        assert [each.link_id for each in account.open_orders] == [TARGET, "web-1"]
        assert [each.exec_id for each in account.executions] == ["x0", "x1"]

    run(bybit, go)


def test_a_flat_account_without_a_single_optional_field() -> None:
    bybit = flat(FakeBybit())
    bybit.answers[POSITION] = lambda _: {"list": []}
    bybit.answers[REALTIME] = bybit.answers[EXECUTIONS] = lambda _: {"list": []}
    bybit.answers[WALLET] = lambda _: {"list": [{"coin": []}]}

    async def go(requests: AccountRequests) -> None:
        account = await requests.account(0)
        assert (account.wallet_usdt, account.position, account.open_orders, account.executions) == (0.0, None, (), ())

    run(bybit, go)


def test_all_pages_are_read_and_long_times_are_cut_into_weeks() -> None:
    bybit = flat(FakeBybit())
    day_ms = 86_400_000

    def pages(params: dict[str, Any]) -> dict[str, Any]:
        page = int(params.get("cursor") or 0)
        name = f"{params['startTime']}-{page}"
        return rows(execution_row(execId=name, execTime=params["startTime"]), cursor=str(page + 1) if page < 2 else "")

    bybit.answers[EXECUTIONS] = pages

    async def go(requests: AccountRequests) -> None:
        account = await requests.account(T0 - 16 * day_ms)
        assert len(account.executions) == 9
        starts = sorted({int(question["startTime"]) for question in bybit.questions(EXECUTIONS)})
        assert starts == [T0 - 16 * day_ms, T0 - 9 * day_ms, T0 - 2 * day_ms]
        spans = {int(q["endTime"]) - int(q["startTime"]) for q in bybit.questions(EXECUTIONS)}
        assert spans == {7 * day_ms - 1}

    run(bybit, go)


def test_one_part_that_does_not_answer_is_an_error_of_the_whole() -> None:
    bybit = flat(FakeBybit())
    bybit.answers[WALLET] = lambda _: (10016, "Internal server error")

    async def go(requests: AccountRequests) -> None:
        with pytest.raises(ExchangeError):
            await requests.account(T0)

    run(bybit, go)


def test_after_403_a_look_at_the_account_probes_with_one_question_and_its_answer_ends_the_ban() -> None:
    """Of four at once the first may probe, the second is forbidden, and its failure would call the first one off."""
    wallet = {"list": [{"coin": [{"coin": "USDT", "walletBalance": "472.5"}]}]}
    nothing = rows({"symbol": SYMBOL, "side": "", "size": "0", "leverage": "3"})

    async def go() -> None:
        async with talking() as (server, rest):
            server.plan(POSITION, status(403), *[ok(nothing)] * 2)
            server.plan(WALLET, ok(wallet))
            server.plan(REALTIME, ok(rows()))
            server.plan(EXECUTIONS, ok(rows()))
            requests = AccountRequests(rest, SYMBOL, GRID, STEP)
            with pytest.raises(ForbiddenError):
                await requests.position()
            with pytest.raises(ForbiddenError):
                await requests.account(server.now_ms())
            assert len(server.heard) == 1
            server.stopwatch.now_s += 31
            assert (await requests.account(server.now_ms())).wallet_usdt == 472.5
            assert not rest.budget.would_block()

    asyncio.run(go())
