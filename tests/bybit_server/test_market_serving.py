"""The server as a whole: sockets, running time, and the command that serves it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.bybit_server.serving import (
    T0,
    Client,
    invented_world,
    plenty_of_pairs,
    small_candles,
    small_world,
    with_server,
)
from tests.cli.face import Face
from tests.patience import PATIENCE_S
from tests.real_candles import FILES, minutes_of, needs_recorded_candles, pair_of
from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import (
    DEMO_KEY,
    DEMO_SECRET,
    Market,
    invented_market,
    make_world,
)
from your_short_trade_margin_call.domain.errors import BusyError, SettingError
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import price_to_ticks
from your_short_trade_margin_call.settings import Settings

KLINE = "kline.3.BTCUSDT"


# ---- sockets ------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_or_none_is_said() -> None:
    async def talk(client: Client) -> None:
        port = int(client.server.url.rpartition(":")[2])
        other = Server(small_world())
        with pytest.raises(BusyError) as busy:
            await other.start(port=port)
        assert str(port) in busy.value.message
        assert "--port" in busy.value.cure
        with pytest.raises(SettingError):
            await Server(small_world()).start(port=70_000)

    with_server(small_world(), talk)


def test_stopping_cuts_streams_and_leaves_nothing_behind() -> None:
    async def run() -> None:
        server = Server(invented_world(speed=600.0))
        await server.start()
        port = int(server.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.wait_for(server.stop(), PATIENCE_S)
        writer.close()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_a_market_that_breaks_stops_the_server() -> None:
    async def run() -> None:
        world = invented_world(speed=100_000.0)
        server = Server(world)

        def fail(*_: Any) -> None:
            raise RuntimeError("broken")

        world.faces["BTCUSDT"].closed = fail  # type: ignore[method-assign]
        await server.start()
        with pytest.raises(RuntimeError, match="broken"):
            await server.wait()
        with pytest.raises(RuntimeError, match="broken"):
            await server.stop()

    asyncio.run(run())


# ---- running time -------------------------------------------------------------------------------------------


def test_at_600_times_real_time_candles_close_on_time() -> None:
    world = invented_world(speed=600.0)

    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(KLINE, "orderbook.1.BTCUSDT")
            began_s = time.monotonic()
            document, headers = await client.answer("/v5/market/time")
            assert headers["X-Look-Alike-Speed"] == "600"
            await asyncio.sleep(1.0)
            later, _ = await client.answer("/v5/market/time")
            assert 600_000 <= later["time"] - document["time"] <= 600_000 * (time.monotonic() - began_s) + 1
            heard = await stream.hear_all(0.001)
        closed = [m for m in heard if m["topic"] == KLINE and m["data"][0]["confirm"]]
        assert len(closed) >= 3
        assert all(m["ts"] == m["data"][0]["start"] + CANDLE_MS for m in closed)
        running = [m for m in heard if m["topic"] == KLINE and not m["data"][0]["confirm"]]
        assert len(running) > 2 * len(closed)
        stamps = [m["ts"] for m in heard if "ts" in m]
        assert stamps == sorted(stamps)

    with_server(world, talk)


def test_no_answer_is_behind_its_own_time() -> None:
    """A row is complete as soon as the time of the answer has passed its close."""
    world = invented_world(200, speed=20_000.0)
    pair = world.pairs["BTCUSDT"]

    async def talk(client: Client) -> None:
        for _ in range(60):
            document, _ = await client.answer(
                "/v5/market/kline", category="linear", symbol="BTCUSDT", interval=3, limit=2
            )
            for row in document["result"]["list"]:
                if int(row[0]) + CANDLE_MS <= document["time"]:
                    j = int(np.searchsorted(pair.market.time_ms, int(row[0])))
                    assert [float(text) for text in row[2:5]] == [
                        pair.candles.high[j],
                        pair.candles.low[j],
                        pair.candles.close[j],
                    ]
            if pair.is_over:
                return
            await asyncio.sleep(0.005)

    with_server(world, talk)


def test_fifty_pairs_at_600_times_real_time_keep_up() -> None:
    world = make_world(plenty_of_pairs(50, 40), Settings(), history_ms=10 * CANDLE_MS, speed=600.0)
    topics = [f"{kind}.{symbol}" for symbol in world.pairs for kind in ("kline.3", "orderbook.1", "tickers")]

    async def talk(client: Client) -> None:
        async with client.stream() as stream:
            await stream.subscribe(*topics)
            await asyncio.sleep(2.0)
            # A server that is too slow falls behind ever farther; one that a busy computer held up catches up.
            while world.timeline.now_ms() - max(p.open_ms(p.cursor) for p in world.pairs.values()) >= 4 * CANDLE_MS:
                assert not any(pair.is_over for pair in world.pairs.values())
                await asyncio.sleep(0.01)

    with_server(world, talk)


# ---- what is served -----------------------------------------------------------------------------------------


def test_an_invented_market_has_history_and_days_after_it() -> None:
    settings = Settings()
    market = invented_market("SOLUSDT", settings, 2)
    world = make_world([market], settings)
    pair = world.pairs["SOLUSDT"]
    assert world.timeline.now_ms() - market.candles.start_ms == settings.window
    assert len(market.candles) - pair.cursor == 2 * 480
    assert pair.rows.intervals[0] == "1"


def test_an_invented_market_of_today_follows_its_history_now() -> None:
    settings, now_ms = Settings(), 1_900_000_123_456
    market = invented_market("BTCUSDT", settings, 1, now_ms=now_ms)
    world = make_world([market], settings, speed=1.0, present_ms=lambda: now_ms)
    assert world.timeline.now_ms() == now_ms - now_ms % CANDLE_MS
    world.timeline.start()
    assert now_ms <= world.timeline.now_ms() < now_ms + CANDLE_MS
    pair = world.pairs["BTCUSDT"]
    assert pair.open_ms(pair.cursor) <= now_ms < pair.open_ms(pair.cursor) + CANDLE_MS


def test_at_real_speed_the_invented_market_is_of_today(face: Face) -> None:
    """A client that signs with its own clock is let in."""
    ports = ("--port", 0, "--admin-port", 0)
    with face.start("serve-exchange", "BTCUSDT", *ports, "--days", 0.1, "--speed", 1) as process:
        try:
            assert process.stdout is not None
            url = next(line.split()[-1] for line in process.stdout if " exchange " in line)
            before_ms = time.time() * 1_000.0
            with urllib.request.urlopen(f"{url}/v5/market/time") as response:
                shown_ms = json.load(response)["time"]
            assert before_ms - 50 <= shown_ms <= time.time() * 1_000.0 + 50
        finally:
            process.kill()


def test_accounts_are_built_with_the_world() -> None:
    world = make_world([Market(find_instrument("BTCUSDT"), small_candles())], Settings(), history_ms=CANDLE_MS)
    assert {key: account.secret for key, account in world.accounts.items()} == {DEMO_KEY: DEMO_SECRET}
    keys = {"a": "1", "b": "2"}
    world = make_world(
        [Market(find_instrument("BTCUSDT"), small_candles())], Settings(), history_ms=CANDLE_MS, keys=keys
    )
    assert list(world.accounts) == ["a", "b"]


@pytest.mark.real
@needs_recorded_candles
def test_served_prices_are_the_recorded_ones_to_the_last_bit() -> None:
    """Also where another venue's prices lie between two ticks: text and back gives the same ticks."""
    for path in FILES[:3] + FILES[-3:]:
        symbol = pair_of(path)
        candles = Candles.from_file(path, symbol=symbol, minutes=minutes_of(path)).rows(0, 400)
        instrument = find_instrument(symbol)
        world = make_world([Market(instrument, candles)], Settings(), history_ms=300 * CANDLE_MS)
        pair, tick = world.pairs[symbol], float(instrument.tick_size)
        market = make_market(candles, tick)
        for row in pair.rows.between("3", None, None, 300)[:-1]:
            j = int(np.searchsorted(market.time_ms, row.start_ms))
            ticks = [price_to_ticks(float(pair.usdt_text(price)), tick) for price in row[1:5]]
            assert ticks == [market.open[j], market.high[j], market.low[j], market.close[j]], (symbol, j)
        world.step(50)
        mid = (float(pair.price_text(pair.bid())) + float(pair.price_text(pair.ask()))) / 2 / tick
        assert mid == pytest.approx(market.open[pair.cursor], abs=1e-6)


# ---- the command --------------------------------------------------------------------------------------------


def document_of(out: Any) -> dict[str, Any]:
    """The one JSON object that the command prints when it is ready."""
    lines = []
    for line in out:
        lines.append(line)
        if line.rstrip() == "}":
            break
    document = json.loads("".join(lines))
    assert isinstance(document, dict)
    return document


def fetched(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=PATIENCE_S) as answer:
        return json.load(answer)


@pytest.fixture
def face(tmp_path: Path) -> Face:
    return Face(tmp_path / "your")


def candle_file(path: Path) -> Path:
    candles = small_candles(600)
    columns = {name: getattr(candles, name) for name in ("open", "high", "low", "close", "volume")}
    pl.DataFrame({"ts": candles.time_ms, **columns}).write_parquet(path)
    return path


def test_the_command_serves_a_file_until_it_is_told_to_stop(face: Face, tmp_path: Path) -> None:
    file = candle_file(tmp_path / "btc.parquet")
    arguments = ["BTCUSDT", "--candles", file, "--step", "--port", 0, "--admin-port", 0, "--key", "k", "--secret", "s"]
    with face.start("serve-exchange", *arguments, "--json") as process:
        try:
            served = document_of(process.stdout)
            assert (served["key"], served["secret"], served["symbols"]) == ("k", "s", ["BTCUSDT"])
            assert (served["market"], served["speed"], served["time_ms"]) == ("replay", 0.0, T0 + 480 * CANDLE_MS)
            assert served["public_stream"] == served["url"].replace("http", "ws") + "/v5/public/linear"
            assert fetched(served["url"] + "/v5/market/time")["time"] == served["time_ms"]
            stepped = fetched(served["admin_url"] + "/step", {"candles": 3, "quiet_ms": 1})
            assert stepped["time_ms"] == served["time_ms"] + 3 * CANDLE_MS
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert out == ""
    assert "Stopped." in err
    assert "Traceback" not in err
    assert "SIMULATED" not in err


def test_the_command_invents_markets_and_says_how_to_connect(face: Face) -> None:
    ports = ("--port", 0, "--admin-port", 0)
    with face.start("serve-exchange", "btc", "SOLUSDT", *ports, "--days", 0.1, "--speed", 6_000) as process:
        try:
            lines = []
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if "candles have run out" in line:
                    break
            time.sleep(0.3)  # not in the middle of that line
            process.send_signal(signal.SIGTERM)
            rest, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    said = "".join(lines)
    assert process.returncode == 0, err
    assert all(line.startswith("SIMULATED") for line in (*lines, *rest.splitlines()))
    for part in ("http://127.0.0.1:", "/v5/public/linear", "BTCUSDT, SOLUSDT", DEMO_KEY, DEMO_SECRET, "Ctrl-C"):
        assert part in said
    assert (said + rest).count("run out") == 1, "one line for a class of events"


def test_a_busy_port_is_a_named_error(face: Face) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = face.process("serve-exchange", "BTCUSDT", "--port", port, "--days", 0.1, "--json")
    assert answer.code == 3
    assert answer.json["error"]["kind"] == "BusyError"
    assert str(port) in answer.err
    assert "--port" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("BTCUSDT", "ETHUSDT", "--candles", "x.parquet"),
        ("--candles", "x.parquet"),
        ("BTCUSDT", "--candles", "nowhere.parquet"),
        ("BTCUSDT", "--mark", "x.parquet"),
        ("BTCUSDT", "--candles", "x.parquet", "--days", "2"),
        ("NOPEUSDT",),
        ("BTCUSDT", "--speed", "max"),
        ("BTCUSDT", "--speed", "0"),
        ("BTCUSDT", "--days", "-1"),
        ("BTCUSDT", "--set", "colour=red"),
        ("--instrument", "x.json"),
        ("BTCUSDT", "--port", "70000", "--days", "0.1"),
    ],
)
def test_wrong_use_is_said(face: Face, arguments: tuple[str, ...]) -> None:
    answer = face("serve-exchange", *arguments)
    assert answer.code == 2, answer.err
    assert answer.err.startswith("error: ")


def test_help_has_examples(face: Face) -> None:
    answer = face("serve-exchange", "--help")
    assert answer.code == 0
    assert "\n    shortest-peak serve-exchange" in answer.out
    assert max(map(len, answer.lines)) <= 80
