"""A write is sent once. Only what certainly was not carried out is repeated, and only while it is young."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json

import pytest

from tests.bybit.core_server import (
    KEYS,
    TIMING,
    Answerer,
    body,
    code,
    cut_off,
    dropped,
    ok,
    silent,
    status,
    talking,
)
from your_short_trade_margin_call.adapters.bybit.budget import RequestKind
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.wire import Empty, OrderAck
from your_short_trade_margin_call.domain.errors import (
    ForbiddenError,
    KeyRefusedError,
    OrderRefusedError,
    OutcomeUnknownError,
)
from your_short_trade_margin_call.domain.words import Account

CREATE, AMEND, CANCEL = "/v5/order/create", "/v5/order/amend", "/v5/order/cancel"
LEVERAGE, STOP = "/v5/position/set-leverage", "/v5/position/trading-stop"
ORDER = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Sell",
    "qty": "0.001",
    "reduceOnly": None,
    "positionIdx": 0,
}
ACK = ok({"orderId": "c6f055d9", "orderLinkId": "mine"})


async def place(rest: Rest, path: str = CREATE, *, is_exit: bool = False) -> OrderAck:
    return await rest.post(path, ORDER, OrderAck, is_exit=is_exit)


def test_a_write_is_signed_over_the_bytes_that_arrive() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(CREATE, ACK)
            assert await place(rest) == OrderAck("c6f055d9", "mine")
            [heard] = server.heard
            assert heard.method == "POST"
            assert heard.query == ""
            assert heard.body == (
                b'{"category":"linear","symbol":"BTCUSDT","side":"Sell","qty":"0.001","positionIdx":0}'
            )
            assert heard.headers["Content-Type"] == "application/json"
            stamp = heard.headers["X-BAPI-TIMESTAMP"]
            message = f"{stamp}{KEYS.key}5000".encode() + heard.body
            sign = hmac.new(KEYS.secret.encode(), message, hashlib.sha256).hexdigest()
            assert heard.headers["X-BAPI-SIGN"] == sign

    asyncio.run(run())


@pytest.mark.parametrize("is_exit", [True, False])
@pytest.mark.parametrize(
    "lost",
    [
        dropped,
        cut_off,
        silent,
        body(b'{"retCode":0,"result":{"orderI'),
        body(b""),
        status(500),
        status(504),
        status(429),
        status(408),
        status(302),
        code(10000, "Server Timeout"),
        code(10016, "Server error"),
        code(10014, "duplicate request"),
        code(429),
        code(10429),
        code(10403),
        code(987654, "nobody knows"),
        code(0, "OK", {"orderId": 17}),
        code(0, "OK", status=503),
    ],
)
def test_a_lost_answer_is_unknown_and_never_sent_again(lost: Answerer, is_exit: bool) -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(CREATE, lost, ACK)
            with pytest.raises(OutcomeUnknownError) as caught:
                await place(rest, is_exit=is_exit)
            assert caught.value.cure
            assert len(server.to(CREATE)) == 1

    asyncio.run(run())


def test_a_connection_that_was_fine_before_does_not_make_a_write_travel_twice() -> None:
    """HTTP libraries repeat requests on a kept connection that turns out to be dead."""

    async def run() -> None:
        async with talking() as (server, rest):
            await rest.get("/v5/market/time", {}, Empty)
            server.plan(CREATE, dropped, ACK)
            with pytest.raises(OutcomeUnknownError, match="connection broke"):
                await place(rest)
            assert len(server.to(CREATE)) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("ret_code", "text", "refusal"),
    [
        (110072, "OrderLinkedID is duplicate", "duplicate_link_id"),
        (110017, "Reduce-only rule not satisfied", "reduce_only"),
        (110007, "ab not enough for new order", "insufficient_balance"),
        (110094, "Order does not meet minimum order value 5USDT", "below_min_notional"),
        (110090, "risk limit", "risk_limit"),
        (110013, "cannot set leverage", "leverage"),
        (110093, "expect Falling", "stop_wrong_side"),
        (110003, "price out of range", "order_rejected"),
        (110023, "can only close", "instrument_not_trading"),
        (110118, "no market price", "no_quote"),
        (110999, "new in 2027", "exchange_error"),
        (10027, "banned", "exchange_error"),
        (10001, "position idx not match position mode", "bad_request"),
        (10001, "The number of contracts exceeds minimum limit allowed", "below_min_qty"),
        (10001, "The number of contracts exceeds maximum limit allowed: too large", "above_max_qty"),
        (10001, "can not set tp/sl/ts for zero position", "no_position"),
        (10001, "StopLoss:195800 set for Sell position should greater base_price:195770??MarkPrice", "stop_wrong_side"),
    ],
)
def test_a_refusal_carries_the_words_and_codes_of_both_sides(ret_code: int, text: str, refusal: str) -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(CREATE, code(ret_code, text))
            with pytest.raises(OrderRefusedError) as caught:
                await place(rest)
            assert caught.value.code == refusal
            assert caught.value.ret_code == ret_code
            assert text in caught.value.message
            assert len(server.heard) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "ret_code"),
    [
        (LEVERAGE, 110043),
        (STOP, 34040),
        ("/v5/account/set-margin-mode", 110026),
        ("/v5/position/switch-mode", 110025),
        ("/v5/position/add-margin", 110027),
        (CANCEL, 110001),
        (CANCEL, 110008),
        (CANCEL, 110010),
    ],
)
def test_what_is_so_already_is_done(path: str, ret_code: int) -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(path, code(ret_code, "not modified"))
            assert await rest.post(path, {}, OrderAck, is_exit=True) == OrderAck()
            assert await rest.post(path, {}, Empty, is_exit=True) == Empty()

    asyncio.run(run())


def test_an_order_that_is_gone_cannot_be_amended() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(AMEND, code(110001, "order not exists or too late to replace"))
            with pytest.raises(OrderRefusedError) as caught:
                await place(rest, AMEND, is_exit=True)
            assert caught.value.code == "order_rejected"

    asyncio.run(run())


@pytest.mark.parametrize("is_exit", [True, False])
def test_10002_is_repeated_after_a_look_at_the_servers_clock(is_exit: bool) -> None:
    async def run() -> None:
        async with talking(offset_ms=-3_000) as (server, rest):
            server.plan(CREATE, code(10002, "check your server timestamp"), ACK)
            assert (await place(rest, is_exit=is_exit)).order_id == "c6f055d9"
            first, second = (int(each.headers["X-BAPI-TIMESTAMP"]) for each in server.to(CREATE))
            assert second - first == -3_000
            bodies = {each.body for each in server.to(CREATE)}
            assert len(bodies) == 1

    asyncio.run(run())


def test_10002_again_and_again_is_a_refusal_for_clock_skew() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(CREATE, code(10002, "check your server timestamp"))
            with pytest.raises(OrderRefusedError) as caught:
                await place(rest)
            assert caught.value.code == "clock_skew"
            assert len(server.to(CREATE)) == 3

    asyncio.run(run())


def test_10006_waits_for_the_reset_then_repeats() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            reset = {"X_Bapi_Limit_Reset_Timestamp": str(server.now_ms() + 700)}
            server.plan(CREATE, code(10006, "Too many visits!", **reset), ACK)
            assert (await place(rest)).order_id == "c6f055d9"
            assert sum(server.stopwatch.slept) == pytest.approx(0.7)

    asyncio.run(run())


def test_an_entry_that_waited_too_long_is_refused_while_an_exit_goes_on() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            reset = {"X_Bapi_Limit_Reset_Timestamp": str(server.now_ms() + 4_000)}
            server.plan(CREATE, code(10006, "Too many visits!", **reset), ACK)
            with pytest.raises(OrderRefusedError) as caught:
                await place(rest)
            assert caught.value.code == "rate_limited"
            assert rest.budget.would_block()
            assert (await place(rest, is_exit=True)).order_id == "c6f055d9"
            assert len(server.to(CREATE)) == 2

    asyncio.run(run())


def test_an_entry_finds_no_place_but_an_exit_does() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(CREATE, ACK)
            for _ in range(7):
                await place(rest)
            with pytest.raises(OrderRefusedError) as caught:
                await rest.post(CREATE, ORDER, OrderAck, is_exit=False, patience_s=0.5)
            assert caught.value.code == "rate_limited"
            assert len(server.heard) == 7
            for _ in range(3):
                await place(rest, is_exit=True)
            assert server.stopwatch.slept == []

    asyncio.run(run())


def test_the_exchange_tells_of_others_on_the_same_account() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            told = {"X_Bapi_Limit": "10", "X_Bapi_Limit_Status": "2"}
            server.plan(CREATE, code(0, "OK", {"orderId": "1"}, **told))
            await place(rest)
            assert rest.budget.would_block(RequestKind.CREATE)
            assert not rest.budget.would_block(RequestKind.CREATE, is_exit=True)
            assert not rest.budget.would_block(RequestKind.CANCEL)

    asyncio.run(run())


def test_what_never_left_may_be_sent_again_and_is_a_refusal_in_the_end() -> None:
    async def run() -> None:
        async with talking() as (server, _):
            watch = server.stopwatch
            clock = ServerClock(watch.wall_ms, watch, watch.sleep)
            nowhere = endpoint_for(Account.DEMO, "http://127.0.0.1:1")
            async with Rest.open(nowhere, TIMING, clock, KEYS) as rest:
                with pytest.raises(OrderRefusedError, match="cannot be reached") as caught:
                    await place(rest)
            assert caught.value.code == "exchange_error"
            assert caught.value.ret_code is None

    asyncio.run(run())


def test_403_and_refused_keys_are_errors_of_their_own() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(CREATE, code(33004, "Your api key has expired."))
            with pytest.raises(KeyRefusedError, match="expired"):
                await place(rest)
            server.plan(CREATE, status(403, "Forbidden"))
            with pytest.raises(ForbiddenError):
                await place(rest)
            with pytest.raises(ForbiddenError):
                await place(rest, is_exit=True)
            assert len(server.heard) == 2

    asyncio.run(run())


def test_an_http_error_with_a_code_is_judged_by_the_code() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(CREATE, code(110072, "duplicate", status=400))
            with pytest.raises(OrderRefusedError) as caught:
                await place(rest)
            assert caught.value.code == "duplicate_link_id"
            server.plan(CREATE, status(400))
            with pytest.raises(OrderRefusedError, match="HTTP 400"):
                await place(rest)

    asyncio.run(run())


def test_nothing_is_left_out_of_a_body_but_none() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            await rest.post(
                STOP, {"stopLoss": "0", "positionIdx": 0, "a": "", "b": None, "c": False}, Empty, is_exit=True
            )
            assert json.loads(server.heard[0].body) == {"stopLoss": "0", "positionIdx": 0, "a": "", "c": False}

    asyncio.run(run())
