"""The public stream: acknowledgements as documented, snapshots, pings, and nothing that was not asked for."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.bybit_server.serving import Client, Stream, invented_world, plenty_of_pairs, small_world, with_server
from tests.bybit_server.shapes import differences, needs_samples, sample
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.building import make_world
from your_short_trade_margin_call.adapters.bybit_server.streams import ANSWERED_AFTER_S
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.settings import Settings

BOOK, TICKER, KLINE, TRADES = (f"{topic}.BTCUSDT" for topic in ("orderbook.1", "tickers", "kline.3", "publicTrade"))


def test_subscribing_is_acknowledged_and_followed_by_snapshots() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            ack = await stream.subscribe(BOOK, TICKER, KLINE, TRADES)
            assert ack.pop("conn_id")
            assert ack == {"success": True, "ret_msg": "", "req_id": "1", "op": "subscribe"}
            snapshots = await stream.hear_all()
            assert [message["topic"] for message in snapshots] == [BOOK, TICKER, KLINE]
            assert {message["type"] for message in snapshots} == {"snapshot"}
            assert {message["ts"] for message in snapshots} == {client.server.world.timeline.now_ms()}
            again = await stream.subscribe(BOOK)
            assert again["success"] is True
            assert await stream.hear_all() == [], "what is subscribed already is not told again"

    with_server(small_world(), talk)


def test_what_is_said_is_answered_after_a_while_and_news_come_at_once() -> None:
    """Clients that note who takes an answer once they have asked are not too late for it."""

    async def talk(client: Client) -> None:
        timeline, pauses = client.server.world.timeline, []
        stopped_s, honest = timeline.stopwatch_s(), timeline.nap

        async def nap(seconds: float) -> None:
            pauses.append(seconds)
            await honest(seconds)

        async with client.stream() as stream:
            timeline.nap, timeline.stopwatch_s = nap, lambda: stopped_s
            await stream.subscribe(KLINE, BOOK)
            assert len(await stream.hear_all()) == 2
            assert [seconds for seconds in pauses if seconds] == [pytest.approx(ANSWERED_AFTER_S)]

    with_server(small_world(), talk)


@pytest.mark.parametrize("depth", [200, 1000])
def test_a_deeper_book_has_the_levels_there_are(depth: int) -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            assert (await stream.subscribe(f"orderbook.{depth}.BTCUSDT"))["success"] is True
            book = (await stream.hear())["data"]
            assert (len(book["b"]), len(book["a"])) == (50, 50)
        assert (
            len((await client.get("/v5/market/orderbook", category="linear", symbol="BTCUSDT", limit=depth))["a"]) == 50
        )

    with_server(small_world(), talk)


@pytest.mark.parametrize("kind", ["spot", "inverse", "option"])
def test_other_kinds_of_markets_have_a_stream_about_nothing(kind: str) -> None:
    async def talk(client: Client) -> None:
        async with client.stream(f"/v5/public/{kind}") as stream:
            refusal = await stream.subscribe("tickers.BTCUSDT")
            assert (refusal["success"], refusal["ret_msg"]) == (False, "error:handler not found,topic:tickers.BTCUSDT")
            await stream.say({"op": "ping", "req_id": "1"})
            assert (await stream.hear())["ret_msg"] == "pong"

    with_server(small_world(), talk)


def test_the_exchanges_own_state_is_no_news() -> None:
    async def talk(client: Client) -> None:
        async with client.stream("/v5/public/misc/status") as stream:
            assert (await stream.subscribe("system.status"))["success"] is True
            assert (await stream.subscribe("orderbook.1.BTCUSDT"))["success"] is False

    with_server(small_world(), talk)


def test_no_order_is_for_retail_traders_only() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            assert (await stream.subscribe("orderbook.rpi.BTCUSDT"))["success"] is True
            told = await stream.hear()
            assert (told["topic"], told["type"]) == ("orderbook.rpi.BTCUSDT", "snapshot")
        asked = await client.get("/v5/market/rpi_orderbook", category="linear", symbol="BTCUSDT", limit=2)
        assert told["data"]["b"][:2] == asked["b"]
        assert [(len(level), level[2]) for level in (*asked["b"], *asked["a"])] == [(3, "0")] * 4

    with_server(small_world(), talk)


def test_the_limits_of_prices_are_told() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe("priceLimit.BTCUSDT")
            before = await stream.hear()
            client.server.world.step()
            (after,) = await stream.hear_all()
        asked = await client.get("/v5/market/price-limit", category="linear", symbol="BTCUSDT")
        assert after == {
            "topic": "priceLimit.BTCUSDT",
            "data": {name: asked[name] for name in ("symbol", "buyLmt", "sellLmt")},
            "ts": int(asked["ts"]),
        }
        assert float(before["data"]["buyLmt"]) < float(after["data"]["buyLmt"])

    with_server(small_world(), talk)


@pytest.mark.parametrize("topic", ["allLiquidation.BTCUSDT", "insurance.USDT", "adlAlert.USDT"])
def test_nobody_else_is_liquidated(topic: str) -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            assert (await stream.subscribe(topic))["success"] is True
            client.server.world.step()
            assert await stream.hear_all() == []

    with_server(small_world(), talk)


@pytest.mark.parametrize(
    "topic",
    [
        "orderbook.500.BTCUSDT",
        "orderbook.BTCUSDT",
        "kline.3.NOPEUSDT",
        "kline.4.BTCUSDT",
        "kline.1.BTCUSDT",  # there are no recorded minutes here
        "kline.BTCUSDT",
        "tickers.1.BTCUSDT",
        "tickers",
        "weather.BTCUSDT",
        "",
    ],
)
def test_one_unknown_topic_fails_the_whole_request(topic: str) -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            refusal = await stream.subscribe(KLINE, topic)
            assert refusal["success"] is False
            assert refusal["ret_msg"] == f"error:handler not found,topic:{topic}"
            assert refusal["op"] == "subscribe"
            client.server.world.step()
            assert await stream.hear_all() == []

    with_server(small_world(), talk)


def test_unsubscribing_ends_a_topic_alone() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(BOOK, KLINE)
            await stream.hear_all()
            await stream.say({"op": "unsubscribe", "args": [KLINE], "req_id": "x"})
            ack = await stream.hear()
            assert (ack["success"], ack["op"], ack["req_id"]) == (True, "unsubscribe", "x")
            client.server.world.step()
            assert {message["topic"] for message in await stream.hear_all()} == {BOOK}

    with_server(small_world(), talk)


def test_pings_of_both_kinds_are_answered() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.say({"op": "ping", "req_id": 100001})
            pong = await stream.hear()
            assert pong.pop("conn_id")
            assert pong == {"success": True, "ret_msg": "pong", "req_id": "100001", "op": "ping"}
            await stream.say({"op": "ping"})
            assert (await stream.hear())["req_id"] == ""
            await stream.socket.ping(b"there?")
            answer = await stream.socket.receive(timeout=PATIENCE_S)
            assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, b"there?")

    with_server(small_world(), talk)


@pytest.mark.parametrize("text", ["nonsense", "[1]", '{"op": "dance"}', '{"args": ["kline.3.BTCUSDT"]}', "5"])
def test_nonsense_is_answered_and_does_no_harm(text: str) -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.socket.send_str(text)
            assert (await stream.hear())["success"] is False
            assert (await stream.subscribe(KLINE))["success"] is True

    with_server(small_world(), talk)


def test_args_of_more_than_21000_letters_are_refused() -> None:
    world = make_world(plenty_of_pairs(80), Settings(), history_ms=10 * CANDLE_MS)

    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            kinds = [f"kline.{k}" for k in (3, 15, 30, 60, 120, 240, 360, 720, "D", "W", "M")]
            topics = [f"{kind}.{symbol}" for kind in kinds for symbol in world.pairs]
            assert (await stream.subscribe(*topics))["success"], "there is room for these"
            await stream.hear_all()
            kinds = ["tickers", "publicTrade", "orderbook.1", "orderbook.50"]
            more = [f"{kind}.{symbol}" for kind in kinds for symbol in world.pairs]
            assert len("".join(topics)) < 21_000 < len("".join((*topics, *more)))
            refusal = await stream.subscribe(*more)
            assert (refusal["success"], refusal["ret_msg"]) == (False, "error:args size >21000")

    with_server(world, talk)


def test_what_a_step_tells_arrives_in_order() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(KLINE, BOOK, TICKER, TRADES)
            await stream.hear_all()
            client.server.world.step()
            heard = await stream.hear_all()
            assert [(m["topic"], m["type"]) for m in heard] == [
                (KLINE, "snapshot"),
                (BOOK, "snapshot"),
                (TICKER, "delta"),
                (KLINE, "snapshot"),
                (TRADES, "snapshot"),
            ]
            assert [m["data"][0]["confirm"] for m in heard if m["topic"] == KLINE] == [True, False]
            book = heard[1]["data"]
            assert (float(book["b"][0][0]) + float(book["a"][0][0])) / 2 == 60_011.0
            assert heard[1]["ts"] == heard[3]["data"][0]["start"]

    with_server(small_world(), talk)


def test_a_newcomer_and_an_old_hand_end_up_with_the_same_ticker() -> None:
    async def state(stream: Stream, known: dict[str, Any]) -> dict[str, Any]:
        for message in await stream.hear_all():
            known = message["data"] if message["type"] == "snapshot" else known | message["data"]
        return known

    async def talk(client: Client) -> None:
        world = client.server.world
        async with client.stream() as old, client.stream() as new:
            await old.subscribe(TICKER)
            world.step(3)
            await new.subscribe(TICKER)
            world.step(2)
            assert await state(old, {}) == await state(new, {}) == world.pairs["BTCUSDT"].tape.ticker

    with_server(invented_world(), talk)


@needs_samples
def test_messages_have_the_recorded_shapes() -> None:
    recorded = {
        "kline": sample("ws_kline_0"),
        "tickers": sample("ws_tickers_0"),
        "orderbook": sample("ws_orderbook_0"),
        "publicTrade": sample("ws_trade_0"),
    }

    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            ack = await stream.subscribe(BOOK, TICKER, KLINE, TRADES)
            assert differences(ack, sample("ws_auth_and_control_11")) == []
            await stream.say({"op": "ping"})
            client.server.world.step()
            seen = set()
            for message in await stream.hear_all():
                if "topic" not in message:
                    assert differences(message, sample("ws_auth_and_control_3")) == []
                    continue
                kind = message["topic"].split(".")[0]
                if message["type"] == "snapshot":
                    assert differences(message, recorded[kind], may_add=frozenset({"RPI"})) == []
                    seen.add(kind)
            assert seen == recorded.keys()

    with_server(small_world(), talk)


def test_fifty_pairs_close_together() -> None:
    world = make_world(plenty_of_pairs(50), Settings(), history_ms=10 * CANDLE_MS)
    topics = [f"{kind}.{symbol}" for symbol in world.pairs for kind in ("kline.3", "orderbook.1", "tickers")]

    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(*topics)
            await stream.hear_all()
            world.step()
            heard = await stream.hear_all()
            assert len(heard) == 50 * 4
            closed = [m["topic"] for m in heard[:50] if m["data"][0]["confirm"]]
            assert closed == [f"kline.3.{symbol}" for symbol in world.pairs]

    with_server(world, talk)
