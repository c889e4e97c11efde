"""Planned faults of requests: what a client sees of each, and whether the request was carried out."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import Any

import aiohttp
import pytest

from tests.bybit_server.serving import Client, small_world, with_server
from your_short_trade_margin_call.adapters.bybit_server.auth import sign
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import PlannedFault, SocketFault, SocketFaults
from your_short_trade_margin_call.domain.errors import SettingError

TIME, TICKERS = "/v5/market/time", "/v5/market/tickers"
LINEAR = {"category": "linear"}


# ---- the plan ---------------------------------------------------------------------------------------------


def test_a_plan_skips_then_strikes_so_many_matching_requests() -> None:
    faults = SocketFaults()
    faults.plan("delay", path="/v5/order", after=1, times=2, account="me")
    asked = [("/v5/order/create", "me"), ("/v5/market/time", "me"), ("/v5/order/create", "you")]
    asked += [("/v5/order/cancel", "me")] * 4
    struck = [faults.take({SocketFault.DELAY}, path, account) is not None for path, account in asked]
    assert struck == [False, False, False, True, True, False, False]
    assert faults.waiting == ()
    assert faults.struck == [(SocketFault.DELAY, "/v5/order/cancel")] * 2


def test_faults_strike_one_at_a_time_in_the_order_they_were_planned() -> None:
    faults = SocketFaults()
    for name in ("internal", "forbidden"):
        faults.plan(name)
    both = {SocketFault.INTERNAL, SocketFault.FORBIDDEN}
    taken = [order.fault if (order := faults.take(both, "/x")) else None for _ in range(3)]
    assert taken == [SocketFault.INTERNAL, SocketFault.FORBIDDEN, None]


def test_without_a_number_of_times_it_lasts_until_cleared() -> None:
    faults = SocketFaults()
    faults.plan("internal", times=None)
    assert all(faults.take({SocketFault.INTERNAL}, "/x") for _ in range(50))
    faults.clear()
    assert faults.take({SocketFault.INTERNAL}, "/x") is None


@pytest.mark.parametrize(
    ("name", "details"), [("gremlins", {}), ("delay", {"often": 1}), ("delay", {"times": 0}), ("delay", {"after": -1})]
)
def test_a_plan_that_means_nothing_is_refused(name: str, details: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        SocketFaults().plan(name, **details)


def test_every_fault_is_explained() -> None:
    source = inspect.getsource(SocketFault)
    assert source.count('"""') == 2 * (len(SocketFault) + 1)
    assert PlannedFault(SocketFault.DELAY).times == 1


# ---- what a client sees ---------------------------------------------------------------------------------------


def planned(fault: str, **details: Any) -> Any:
    """A server with one fault planned for the second request of tickers."""

    def wrap(look: Any) -> None:
        async def talk(client: Client) -> None:
            client.server.faults.plan(fault, path=TICKERS, after=1, **details)
            await client.get(TICKERS, **LINEAR)
            await client.get(TIME)
            await look(client)
            await client.get(TICKERS, **LINEAR)

        with_server(small_world(), talk)

    return wrap


@pytest.mark.parametrize("fault", ["drop_request", "drop_answer"])
def test_a_dropped_connection(fault: str) -> None:
    async def look(client: Client) -> None:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(TICKERS, **LINEAR)
        row = client.server.world.requests.rows[-1]
        assert (row.path, row.status) == (TICKERS, None)

    planned(fault)(look)


@pytest.mark.parametrize(
    ("fault", "details", "is_carried_out"),
    [
        ("drop_request", {}, False),
        ("drop_answer", {}, True),
        ("truncated", {}, True),
        ("too_many", {}, False),
        ("forbidden", {}, False),
        ("restart", {}, False),
        ("server_error", {}, False),
        ("server_error", {"carried_out": True}, True),
        ("internal", {}, False),
        ("internal", {"carried_out": True}, True),
        ("missing_fields", {}, True),
        ("delay", {"ms": 1}, True),
    ],
)
def test_what_is_carried_out_in_spite_of_a_fault(fault: str, details: dict[str, Any], is_carried_out: bool) -> None:
    """Seen by the leverage that a signed request sets."""

    async def talk(client: Client) -> None:
        world = client.server.world
        account = world.accounts[DEMO_KEY]
        body = '{"category":"linear","symbol":"BTCUSDT","buyLeverage":"7","sellLeverage":"7"}'
        now = str(world.timeline.now_ms())
        headers = {"X-BAPI-API-KEY": DEMO_KEY, "X-BAPI-TIMESTAMP": now, "X-BAPI-RECV-WINDOW": "5000"}
        headers["X-BAPI-SIGN"] = sign(DEMO_SECRET, f"{now}{DEMO_KEY}5000{body}")
        client.server.faults.plan(fault, path="/v5/position/set-leverage", account=DEMO_KEY, **details)
        with contextlib.suppress(aiohttp.ClientError):
            async with client.session.post(
                client.server.url + "/v5/position/set-leverage", data=body, headers=headers
            ) as response:
                await response.read()
        assert (account.leverage_of("BTCUSDT") == 7.0) == is_carried_out
        assert [name for name, _ in client.server.faults.struck] == [fault]

    with_server(small_world(), talk)


def test_a_truncated_answer() -> None:
    async def look(client: Client) -> None:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.get(TICKERS, **LINEAR)

    planned("truncated")(look)


@pytest.mark.parametrize(
    ("fault", "details", "code"),
    [
        ("too_many", {}, 10006),
        ("server_error", {}, 10016),
        ("server_error", {"carried_out": True}, 10016),
        ("internal", {}, 10000),
        ("internal", {"carried_out": True}, 10000),
    ],
)
def test_an_error_in_the_envelope(fault: str, details: dict[str, Any], code: int) -> None:
    async def look(client: Client) -> None:
        assert (await client.refusal(TICKERS, **LINEAR))[0] == code
        assert client.server.world.requests.rows[-1].ret_code == code

    planned(fault, **details)(look)


def test_too_many_says_when_to_come_back() -> None:
    async def look(client: Client) -> None:
        document, headers = await client.answer(TICKERS, **LINEAR)
        assert headers["X-Bapi-Limit-Status"] == "0"
        assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) == document["time"] + 250

    planned("too_many", ms=250)(look)


def test_forbidden_is_an_http_status() -> None:
    async def look(client: Client) -> None:
        assert await client.status(TICKERS + "?category=linear") == 403

    planned("forbidden")(look)


def test_a_delayed_request_is_looked_at_late() -> None:
    async def look(client: Client) -> None:
        watch = client.server.world.timeline.stopwatch_s
        begun = watch()
        await client.get(TICKERS, **LINEAR)
        assert watch() - begun >= 0.2

    planned("delay", ms=200)(look)


def test_optional_fields_are_missing() -> None:
    async def look(client: Client) -> None:
        row = (await client.get(TICKERS, **LINEAR))["list"][0]
        assert {"symbol", "lastPrice", "markPrice", "bid1Price", "ask1Price"} <= row.keys()
        assert not {"basisRate", "prevPrice1h", "curPreListingPhase"} & row.keys()

    planned("missing_fields")(look)


def test_named_fields_are_missing() -> None:
    async def look(client: Client) -> None:
        row = (await client.get(TICKERS, **LINEAR))["list"][0]
        assert "lastPrice" not in row
        assert "basisRate" in row

    planned("missing_fields", fields=("lastPrice",))(look)


def test_a_restart_cuts_everything_and_counts_books_anew() -> None:
    async def talk(client: Client) -> None:
        server = client.server
        async with client.stream() as stream:
            await stream.subscribe("orderbook.1.BTCUSDT")
            server.world.step(3)
            server.faults.plan("restart", path=TIME)
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get(TIME)
            assert await stream.is_cut()
        async with client.stream() as stream:
            await stream.subscribe("orderbook.1.BTCUSDT")
            assert (await stream.hear())["data"]["u"] == 1
            server.restart()
            assert await stream.is_cut()

    with_server(small_world(), talk)


def test_an_outage_lasts_its_time() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            client.server.faults.plan("outage", ms=200)
            assert await stream.is_cut()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(TIME)
        with pytest.raises(aiohttp.ClientError):
            async with client.stream():
                pass
        await asyncio.sleep(0.25)
        await client.get(TIME)

    with_server(small_world(), talk)


def test_an_outage_without_end_ends_when_the_plan_is_cleared() -> None:
    async def talk(client: Client) -> None:
        client.server.faults.plan("outage", path=TIME, after=1)
        await client.get(TIME)
        for path in (TIME, TICKERS):
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get(path, **LINEAR)
        client.server.faults.clear()
        await client.get(TIME)

    with_server(small_world(), talk)


def test_the_shown_clock_is_off_until_cleared() -> None:
    async def talk(client: Client) -> None:
        now = client.server.world.timeline.now_ms()
        client.server.faults.plan("clock_offset", ms=-1500)
        document, headers = await client.answer(TIME)
        assert document["time"] == int(headers["Timenow"]) == now - 1500
        client.server.faults.clear()
        assert (await client.answer(TIME))[0]["time"] == now

    with_server(small_world(), talk)


def test_the_log_knows_every_request() -> None:
    async def talk(client: Client) -> None:
        async with client.session.post(client.server.url + "/v5/nowhere", json={"orderLinkId": "mine"}) as response:
            assert response.status == 404
        await client.get(TICKERS, **LINEAR)
        first, second = client.server.world.requests.rows
        assert (first.method, first.path, first.link_id, first.status, first.is_write) == (
            "POST",
            "/v5/nowhere",
            "mine",
            404,
            True,
        )
        assert (second.query, second.status, second.ret_code, second.is_write) == ("category=linear", 200, 0, False)
        assert first.arrived_ns < second.arrived_ns
        assert client.server.world.requests.in_work == 0

    with_server(small_world(), talk)
