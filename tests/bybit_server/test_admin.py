"""The admin's port: what it shows, how it steps, and what it lets happen."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.bybit_server.serving import Client, Stream, invented_world, plenty_of_pairs, small_world, with_server
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, make_world
from your_short_trade_margin_call.adapters.bybit_server.stepping import Stepper
from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.settings import Settings

TIME = "/v5/market/time"
KLINE, BOOK = "kline.3.BTCUSDT", "orderbook.1.BTCUSDT"


def test_the_state_shows_time_pairs_streams_and_faults() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(KLINE)
            await client.admin("POST", "/faults", fault="delay", path="/v5/order", ms=5)
            state = await client.admin("GET", "/state")
        assert state["time_ms"] == client.server.world.timeline.now_ms()
        assert (state["speed"], state["is_out"], state["accounts"]) == (0.0, False, [DEMO_KEY])
        assert state["pairs"]["BTCUSDT"]["phase"] == "QUOTE"
        assert [(s["path"], s["topics"], s["is_silent"]) for s in state["streams"]] == [
            ("/v5/public/linear", [KLINE], False)
        ]
        assert [(f["fault"], f["path"], f["ms"], f["times"]) for f in state["faults"]] == [("delay", "/v5/order", 5, 1)]

    with_server(small_world(), talk)


def test_steps_of_candles_and_of_phases() -> None:
    async def talk(client: Client) -> None:
        before = client.server.world.timeline.now_ms()
        stepped = await client.admin("POST", "/step", candles=2, quiet_ms=1)
        assert (stepped["candles"], stepped["time_ms"]) == (2, before + 2 * CANDLE_MS)
        phases = [(await client.admin("POST", "/step", phase=True, quiet_ms=1))["phase"] for _ in range(6)]
        assert phases == ["PATH", "CLOSE", "FUNDING", "GUARDS", "QUOTE", "PATH"]
        assert (await client.admin("POST", "/step", candles=99, quiet_ms=1))["candles"] == 26
        assert (await client.admin("POST", "/step", phase=True))["phase"] is None

    with_server(small_world(), talk)


def test_a_step_waits_for_clients_between_its_phases() -> None:
    """Whoever asks at every message has asked before the next phase is done, however slow it is to begin."""
    seen: list[tuple[str, int]] = []

    async def ask_at_every_message(client: Client, stream: Stream) -> None:
        while True:
            message = await stream.hear()
            topic = message["topic"].split(".")[0]
            await asyncio.sleep(0.01)
            document, _ = await client.answer("/v5/market/tickers", category="linear")
            seen.append((topic, int(float(document["result"]["list"][0]["lastPrice"]))))

    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(KLINE, BOOK)
            await stream.hear_all()
            asking = asyncio.create_task(ask_at_every_message(client, stream))
            await client.server.stepper().candles(2, quiet_ms=200)
            asking.cancel()
        assert seen == [
            ("kline", 60_011),
            ("orderbook", 60_011),
            ("kline", 60_011),
            ("kline", 60_012),
            ("orderbook", 60_012),
            ("kline", 60_012),
        ]

    with_server(small_world(), talk)


def test_a_running_market_is_not_stepped() -> None:
    world = invented_world(speed=600.0)

    async def talk(client: Client) -> None:
        assert (await client.admin("POST", "/step"))["status"] == 400
        assert (await client.admin("POST", "/push"))["status"] == 400
        with pytest.raises(SettingError):
            Stepper(world, client.server.streams)

    with_server(world, talk)


def test_planned_faults_can_be_cleared() -> None:
    async def talk(client: Client) -> None:
        await client.admin("POST", "/faults", fault="forbidden", path=TIME, times=None)
        assert await client.status(TIME) == 403
        assert await client.status(TIME) == 403
        await client.admin("DELETE", "/faults")
        assert await client.status(TIME) == 200
        state = await client.admin("GET", "/state")
        assert state["struck"] == [["forbidden", TIME]] * 2

    with_server(small_world(), talk)


def test_faults_of_the_exchange_are_handed_to_the_accounts() -> None:
    async def talk(client: Client) -> None:
        account = client.server.world.accounts[DEMO_KEY]
        assert await client.admin("POST", "/faults", fault="late_reject", times=2) == {"planned": "late_reject"}
        assert [fault.value for fault in account._armed] == ["late_reject"] * 2
        await client.admin("DELETE", "/faults")
        assert account._armed == []

    with_server(small_world(), talk)


def test_the_clock_can_be_put_off() -> None:
    async def talk(client: Client) -> None:
        now = client.server.world.timeline.now_ms()
        assert (await client.admin("POST", "/clock", offset_ms=700))["shown_ms"] == now + 700
        assert (await client.answer(TIME))[0]["time"] == now + 700
        assert (await client.admin("POST", "/clock"))["offset_ms"] == 0

    with_server(small_world(), talk)


def test_the_log_holds_writes_or_everything() -> None:
    async def talk(client: Client) -> None:
        await client.get(TIME)
        async with client.session.post(client.server.url + "/v5/order/create", json={"orderLinkId": "a"}):
            pass
        log = await client.admin("GET", "/log")
        assert [(row["path"], row["link_id"], row["status"]) for row in log["requests"]] == [
            ("/v5/order/create", "a", 401)
        ]
        assert log["now_ns"] > log["requests"][0]["arrived_ns"]
        assert len((await client.admin("GET", "/log?all=1"))["requests"]) == 2

    with_server(small_world(), talk)


def test_a_push_closes_pairs_at_once() -> None:
    world = make_world(plenty_of_pairs(20), Settings(), history_ms=10 * CANDLE_MS)

    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(*(f"kline.3.{symbol}" for symbol in world.pairs))
            await stream.hear_all()
            pushed = await client.admin("POST", "/push", pairs=15)
            heard = await stream.hear_all()
            assert [m["data"][0]["confirm"] for m in heard] == [True] * 15 + [False] * 15
            log = await client.admin("GET", "/log")
            assert 0 < log["now_ns"] - pushed["pushed_ns"] < 10**10
        assert [pair.cursor for pair in world.pairs.values()] == [11] * 15 + [10] * 5

    with_server(world, talk)


# ---- happenings ---------------------------------------------------------------------------------------------


def test_a_pair_may_stop_trading_or_be_delisted() -> None:
    async def talk(client: Client) -> None:
        pair = client.server.world.pairs["BTCUSDT"]
        assert pair.is_trading
        await client.admin("POST", "/happen", what="deliver", delivery_ms=1_800_000_000_000)
        row = (await client.get("/v5/market/instruments-info", category="linear"))["list"][0]
        assert (row["deliveryTime"], row["status"], pair.is_trading) == ("1800000000000", "Trading", False)
        await client.admin("POST", "/happen", what="not_trading", symbol="BTCUSDT")
        row = (await client.get("/v5/market/instruments-info", category="linear"))["list"][0]
        assert row["status"] == "Closed"

    with_server(small_world(), talk)


def test_keys_expire_and_accounts_change() -> None:
    async def talk(client: Client) -> None:
        config = client.server.world.accounts[DEMO_KEY].config
        await client.admin("POST", "/happen", what="key_expired")
        await client.admin("POST", "/happen", what="key_invalid", account=DEMO_KEY)
        assert (config.is_key_expired, config.is_key_invalid) == (True, True)
        turned = await client.admin("POST", "/account", margin_mode="REGULAR_MARGIN", is_master=True)
        assert (turned["margin_mode"], turned["is_master"], config.is_master) == ("REGULAR_MARGIN", True, True)

    with_server(small_world(), talk)


def test_others_may_act_on_the_account() -> None:
    async def talk(client: Client) -> None:
        account = client.server.world.accounts[DEMO_KEY]
        await client.admin("POST", "/happen", what="foreign_position", lots=5)
        assert account.own("BTCUSDT").lots == 5
        order = await client.admin("POST", "/happen", what="foreign_order", lots=1, price="70000")
        assert order["result"] in {record.order_id for record in account.orders.open()}
        await client.admin("POST", "/happen", what="adl", lots=2)
        assert account.own("BTCUSDT").lots == 3
        await client.admin("POST", "/happen", what="manual_close", lots=1)
        await client.admin("POST", "/happen", what="liquidation_now")
        assert account.own("BTCUSDT").lots == 0

    with_server(small_world(), talk)


def test_a_restart_happens() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(BOOK)
            assert await client.admin("POST", "/happen", what="restart") == {"happened": "restart"}
            assert await stream.is_cut()

    with_server(small_world(), talk)


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("/faults", {"fault": "gremlins"}),
        ("/faults", {"fault": "delay", "often": 2}),
        ("/happen", {"what": "a miracle"}),
        ("/happen", {"what": "adl", "account": "nobody"}),
        ("/happen", {"what": "deliver", "symbol": "NOPEUSDT"}),
        ("/happen", {"what": "manual_close", "symbol": "NOPEUSDT"}),
        ("/account", {"colour": "red"}),
        ("/step", {"candles": "many"}),
    ],
)
def test_what_cannot_be_granted_is_said(path: str, wish: dict[str, Any]) -> None:
    async def talk(client: Client) -> None:
        answer = await client.admin("POST", path, **wish)
        assert answer["status"] == 400
        assert answer["error"]["message"]

    with_server(small_world(), talk)


def test_a_body_that_is_no_object_is_said() -> None:
    async def talk(client: Client) -> None:
        for body in (b"nonsense", b"[1]"):
            async with client.session.post(client.server.admin_url + "/step", data=body) as response:
                assert response.status == 400

    with_server(small_world(), talk)


def test_the_admin_has_no_market_and_the_market_no_admin() -> None:
    async def talk(client: Client) -> None:
        assert await client.status("/state") == 404
        async with client.session.get(client.server.admin_url + TIME) as response:
            assert response.status == 404
        assert isinstance(client.session, aiohttp.ClientSession)

    with_server(small_world(), talk)
