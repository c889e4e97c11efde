"""Planned faults of streams: what a client hears, or does not."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.bybit_server.serving import Client, Stream, small_world, with_server

KLINE, BOOK = "kline.3.BTCUSDT", "orderbook.1.BTCUSDT"


async def silent(stream: Stream) -> bool:
    """Whether neither a word nor a ping is answered."""
    await stream.say({"op": "ping"})
    await stream.socket.ping()
    try:
        await stream.socket.receive(timeout=0.3)
    except TimeoutError:
        return True
    return False


def test_a_half_open_stream_stays_connected_and_says_nothing() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as deaf, client.stream("/v5/private") as other:
            await deaf.subscribe(KLINE)
            await deaf.hear_all()
            client.server.faults.plan("half_open", path="/v5/public")
            client.server.world.step()
            assert await silent(deaf)
            assert not await silent(other)
            assert not deaf.socket.closed
            assert (await other.hear())["op"] == "pong"
            assert client.server.streams.is_served, "nobody waits for the deaf"
            async with client.stream() as fresh:
                assert (await fresh.subscribe(KLINE))["success"]

    with_server(small_world(), talk)


def test_streams_are_dropped_at_once_or_at_a_message() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(KLINE)
            client.server.faults.plan("drop_streams")
            assert await stream.is_cut()
        async with client.stream() as stream:
            await stream.subscribe(KLINE)
            await stream.hear_all()
            client.server.faults.plan("drop_streams", path=KLINE, after=2)
            client.server.world.step()
            assert len(await stream.hear_all()) == 2
            client.server.world.step()
            assert await stream.is_cut()
        assert client.server.streams.open() == []

    with_server(small_world(), talk)


def test_a_dropped_client_is_forgotten_by_the_bus() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(KLINE)
            client.server.streams.drop()
            assert await stream.is_cut()
        await asyncio.sleep(0.05)
        assert not client.server.world.public.wants(KLINE)

    with_server(small_world(), talk)


async def confirms(client: Client, fault: str, candles: int = 3, **details: Any) -> list[tuple[int, bool]]:
    """Place and confirm of each candle message while some candles close, with a fault planned for the second."""
    async with client.stream() as stream:
        await stream.subscribe(KLINE, BOOK)
        await stream.hear_all()
        client.server.faults.plan(fault, path=KLINE, after=1, **details)
        start = client.server.world.timeline.now_ms()
        client.server.world.step(candles)
        heard = [message for message in await stream.hear_all(0.4) if message["topic"] == KLINE]
        return [((m["data"][0]["start"] - start) // 180_000, m["data"][0]["confirm"]) for m in heard]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("lost_candle", [(0, True), (1, False), (2, False), (2, True), (3, False)]),
        ("duplicate_confirm", [(0, True), (1, False), (1, True), (1, True), (2, False), (2, True), (3, False)]),
        ("late_confirm", [(0, True), (1, False), (2, False), (1, True), (2, True), (3, False)]),
        ("unconfirmed_last", [(0, True), (1, False), (1, True), (2, False), (2, True), (3, False)]),
    ],
)
def test_closed_candles_may_be_lost_doubled_or_late(fault: str, expected: list[tuple[int, bool]]) -> None:
    async def talk(client: Client) -> None:
        assert await confirms(client, fault) == expected

    with_server(small_world(), talk)


def test_a_closed_candle_may_be_late_by_real_time() -> None:
    async def talk(client: Client) -> None:
        heard = await confirms(client, "late_confirm", ms=150)
        assert heard[-1] == (1, True)
        assert heard[:-1] == [(0, True), (1, False), (2, False), (2, True), (3, False)]

    with_server(small_world(), talk)


def test_a_lost_candle_is_still_in_the_history() -> None:
    async def talk(client: Client) -> None:
        await confirms(client, "lost_candle")
        rows = (await client.get("/v5/market/kline", category="linear", symbol="BTCUSDT", interval=3))["list"]
        assert len(rows) == 14

    with_server(small_world(), talk)


def test_fields_may_be_missing_in_messages() -> None:
    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe("tickers.BTCUSDT")
            await stream.hear_all()
            client.server.faults.plan("missing_fields", path="tickers", fields=("lastPrice",))
            client.server.world.step(2)
            first, second = await stream.hear_all()
            assert "lastPrice" not in first["data"]
            assert "lastPrice" in second["data"]
            assert first["topic"] == "tickers.BTCUSDT"

    with_server(small_world(), talk)


def test_a_stream_may_be_refused() -> None:
    async def talk(client: Client) -> None:
        client.server.faults.plan("forbidden")
        client.server.faults.plan("forbidden", path="/v5/public")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with client.stream():
                pass
        assert refusal.value.status == 403
        async with client.stream() as stream:
            assert (await stream.subscribe(KLINE))["success"]
        assert await client.status("/v5/market/time") == 403

    with_server(small_world(), talk)
