"""Reads are repeated until there is an answer, a few times, and end in an error that says what to do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

import pytest
from msgspec import Struct

from tests.bybit.core_server import (
    KEYS,
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
from your_short_trade_margin_call.adapters.bybit import wire
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.domain.errors import ExchangeError, ForbiddenError, KeyRefusedError
from your_short_trade_margin_call.domain.words import Account

PATH = "/v5/order/realtime"


class Number(Struct):
    n: int


def expected_signature(timestamp: str, window: str, payload: bytes) -> str:
    message = f"{timestamp}{KEYS.key}{window}".encode() + payload
    return hmac.new(KEYS.secret.encode(), message, hashlib.sha256).hexdigest()


def test_a_signed_read_is_signed_over_the_query_as_it_arrives() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, ok({"n": 1}))
            cursor = "page_args%3Dfd4300ae%26symbol%3D6%26"
            params = {"category": "linear", "symbol": None, "limit": 50, "note": "a b+c&d=é", "cursor": cursor}
            found = await rest.get(PATH, params, Number, signed=True)
            assert found == Number(1)
            [heard] = server.to(PATH)
            assert heard.query == "category=linear&limit=50&note=a%20b%2Bc%26d=%C3%A9&cursor=" + cursor
            assert heard.body == b""
            assert "Content-Type" not in heard.headers
            headers = heard.headers
            assert headers["X-BAPI-API-KEY"] == KEYS.key
            assert headers["X-BAPI-RECV-WINDOW"] == "5000"
            assert headers["X-BAPI-TIMESTAMP"] == str(server.now_ms())
            assert headers["X-BAPI-SIGN"] == expected_signature(
                headers["X-BAPI-TIMESTAMP"], "5000", heard.query.encode()
            )

    asyncio.run(run())


def test_a_signed_read_without_parameters_signs_the_empty_string() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            await rest.get("/v5/user/query-api", {}, wire.Empty, signed=True)
            [heard] = server.heard
            assert heard.query == ""
            stamp = heard.headers["X-BAPI-TIMESTAMP"]
            assert heard.headers["X-BAPI-SIGN"] == expected_signature(stamp, "5000", b"")

    asyncio.run(run())


def test_an_unsigned_read_shows_no_key_even_when_there_is_one() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            await rest.get("/v5/market/time", {}, wire.Empty)
            assert not [name for name in server.heard[0].headers if name.upper().startswith("X-BAPI")]
            assert "Cookie" not in server.heard[0].headers

    asyncio.run(run())


@pytest.mark.parametrize(
    "trouble",
    [
        cut_off,
        silent,
        body(b'{"retCode":0,"retMsg":"OK","result":{"n":'),
        body(b""),
        body(b"<html>please log in</html>"),
        body(b'{"retCode":"0"}'),
        status(500),
        status(502, "<html>"),
        status(429),
        status(302),
        code(10000, "Server Timeout"),
        code(10016, "Server error"),
        code(10019),
        code(123456, "nobody knows"),
    ],
)
def test_what_may_pass_is_asked_again(trouble: Answerer) -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, trouble, trouble, ok({"n": 7}))
            assert await rest.get(PATH, {"a": 1}, Number) == Number(7)
            assert server.stopwatch.slept == [0.2, 0.5]

    asyncio.run(run())


def test_a_dropped_connection_is_asked_again() -> None:
    """How often the HTTP library repeats a read by itself is its own affair."""

    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, dropped, dropped, dropped, ok({"n": 7}))
            assert await rest.get(PATH, {"a": 1}, Number) == Number(7)
            assert server.stopwatch.slept[0] == 0.2

    asyncio.run(run())


def test_waits_grow_and_then_it_gives_up_with_a_cure() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, code(10016, "Server error"))
            with pytest.raises(ExchangeError, match=r"Server error \(code 10016\)") as caught:
                await rest.get(PATH, {}, Number)
            assert caught.value.cure
            assert server.stopwatch.slept == [0.2, 0.5, 1.0, 2.0]
            assert len(server.heard) == 5

    asyncio.run(run())


def test_nobody_there_is_an_error_not_a_hang() -> None:
    async def run() -> None:
        async with talking() as (server, _):
            quick = Timing(retry_s=(0.01,), connect_timeout_s=0.2)
            watch = server.stopwatch
            clock = ServerClock(watch.wall_ms, watch, watch.sleep)
            nowhere = endpoint_for(Account.PAPER, "http://127.0.0.1:1")
            async with Rest.open(nowhere, quick, clock) as rest:
                with pytest.raises(ExchangeError, match="cannot be reached"):
                    await rest.get("/v5/market/time", {}, wire.Empty)

    asyncio.run(run())


def test_a_refused_read_is_not_repeated() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, code(10001, "params error:\n symbol"))
            with pytest.raises(ExchangeError, match=r"params error: symbol \(code 10001\)"):
                await rest.get(PATH, {}, Number)
            assert len(server.heard) == 1

    asyncio.run(run())


def test_an_answer_of_a_wrong_shape_says_where_and_shows_no_value() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, ok({"n": "private"}))
            with pytest.raises(ExchangeError, match=r"\$\.n") as caught:
                await rest.get(PATH, {}, Number)
            assert "private" not in str(caught.value)
            assert len(server.heard) == 1

    asyncio.run(run())


@pytest.mark.parametrize("ret_code", [10003, 33004, 10004, 10005, 10010, 10007, 10008, -2015])
def test_a_key_that_is_refused_stops_with_a_cure(ret_code: int) -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, code(ret_code, "no"))
            with pytest.raises(KeyRefusedError) as caught:
                await rest.get(PATH, {}, Number, signed=True)
            assert caught.value.cure
            assert len(server.heard) == 1

    asyncio.run(run())


def test_http_401_is_a_refused_key_and_404_a_wrong_address() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, status(401))
            with pytest.raises(KeyRefusedError, match="HTTP 401") as refused:
                await rest.get(PATH, {}, Number, signed=True)
            assert "API key" in refused.value.cure
            server.plan(PATH, status(404))
            with pytest.raises(ExchangeError, match="HTTP 404") as caught:
                await rest.get(PATH, {}, Number)
            assert "--endpoint" in caught.value.cure

    asyncio.run(run())


def test_signed_reads_without_keys_are_refused_here() -> None:
    async def run() -> None:
        async with talking(keys=None) as (server, rest):
            with pytest.raises(KeyRefusedError):
                await rest.get(PATH, {}, Number, signed=True)
            assert server.heard == []

    asyncio.run(run())


@pytest.mark.parametrize("refusal", [status(403), code(10018, "ip"), code(0, "OK", status=403)])
def test_after_403_everything_stops_for_ten_minutes(refusal: Answerer) -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, refusal, ok({"n": 1}))
            with pytest.raises(ForbiddenError, match="rate limit, or Bybit refuses this country"):
                await rest.get(PATH, {}, Number)
            server.stopwatch.now_s += 599
            with pytest.raises(ForbiddenError):
                await rest.get(PATH, {}, Number)
            assert len(server.heard) == 1
            assert rest.budget.would_block()
            server.stopwatch.now_s += 2
            assert not rest.budget.would_block()
            assert await rest.get(PATH, {}, Number) == Number(1)

    asyncio.run(run())


def test_after_403_an_exit_may_ask_every_half_minute_and_its_answer_ends_the_ban() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan(PATH, status(403), status(403), ok({"n": 1}))
            for wait_s in (0, 29.9, 0.2, 29.9):  # at once, too early, one probe, too early again
                server.stopwatch.now_s += wait_s
                with pytest.raises(ForbiddenError):
                    await rest.get(PATH, {}, Number, is_exit=True)
            assert len(server.heard) == 2
            server.stopwatch.now_s += 0.2
            assert await rest.get(PATH, {}, Number, is_exit=True) == Number(1)
            assert await rest.get(PATH, {}, Number) == Number(1)

    asyncio.run(run())


def test_10002_asks_for_the_time_and_signs_anew() -> None:
    async def run() -> None:
        async with talking(offset_ms=7_000) as (server, rest):
            server.plan(PATH, code(10002, "check your server timestamp"), ok({"n": 1}))
            assert await rest.get(PATH, {}, Number, signed=True) == Number(1)
            first, second = (int(each.headers["X-BAPI-TIMESTAMP"]) for each in server.to(PATH))
            assert second - first == 7_000
            assert len(server.to("/v5/market/time")) == 5
            assert rest.clock.offset_ms == 7_000

    asyncio.run(run())


def test_10006_waits_for_the_moment_that_the_answer_names() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            reset = str(server.now_ms() + 800)
            limits = {"X_Bapi_Limit": "50", "X_Bapi_Limit_Status": "0", "X_Bapi_Limit_Reset_Timestamp": reset}
            server.plan(PATH, code(10006, "Too many visits!", **limits), ok({"n": 1}))
            assert await rest.get(PATH, {}, Number) == Number(1)
            assert sum(server.stopwatch.slept) == pytest.approx(1.1, abs=0.31)

    asyncio.run(run())


def test_a_real_clock_reads_the_time_of_a_server_next_door() -> None:
    async def run() -> None:
        async with talking(offset_ms=-5_000) as (server, _):
            clock = ServerClock(server.stopwatch.wall_ms, stopwatch_s)
            async with Rest.open(endpoint_for(Account.PAPER, server.url), Timing(), clock) as rest:
                await rest.sync_clock()
                assert clock.is_synced
                assert abs(clock.offset_ms + 5_000) < 1_000
                assert len(server.heard) == 5

    asyncio.run(run())


def test_no_time_no_sync() -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan("/v5/market/time", status(500))
            with pytest.raises(ExchangeError, match=r"did not tell its time: HTTP 500\."):
                await rest.sync_clock()
            server.plan("/v5/market/time", status(403))
            with pytest.raises(ForbiddenError):
                await rest.sync_clock()

    asyncio.run(run())


@pytest.mark.parametrize(("told", "speed"), [("600", 600.0), ("0", 0.0), ("nonsense", 1.0), ("-1", 1.0), ("inf", 1.0)])
def test_the_speed_of_a_look_alike_is_heard_on_this_computer(told: str, speed: float) -> None:
    async def run() -> None:
        async with talking(headers={"X-Look-Alike-Speed": told}) as (_, rest):
            await rest.get("/v5/market/time", {}, wire.Empty)
            assert rest.clock.speed == speed

    asyncio.run(run())


def test_an_answer_without_end_is_cut() -> None:
    async def run() -> None:
        async with talking(timing=Timing(largest_answer_bytes=1_000, retry_s=())) as (server, rest):
            server.plan(PATH, body(b" " * 100_000))
            with pytest.raises(ExchangeError, match="cut off"):
                await rest.get(PATH, {}, Number)

    asyncio.run(run())
