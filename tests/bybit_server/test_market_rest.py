"""The public market requests: shapes as recorded, paging, candles, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bybit_server.serving import HISTORY, T0, Client, invented_world, plenty_of_pairs, small_world, with_server
from tests.bybit_server.shapes import differences, needs_samples, sample
from your_short_trade_margin_call.adapters.bybit_server.building import make_world
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.settings import Settings

NOW = T0 + HISTORY * CANDLE_MS
KLINE = "/v5/market/kline"
PAIR: dict[str, Any] = {"category": "linear", "symbol": "BTCUSDT"}

NEWER = frozenset({"singleOpenInterest", "singleOpenInterestValue", "nextPageCursor"})


@needs_samples
@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("/v5/market/time", {}, "market_time_0"),
        (KLINE, {**PAIR, "interval": "3"}, "market_kline_0"),
        ("/v5/market/mark-price-kline", {**PAIR, "interval": "3"}, "mark_price_kline_0"),
        ("/v5/market/instruments-info", PAIR, "instruments_info_0"),
        ("/v5/market/risk-limit", PAIR, "risk_limit_0"),
        ("/v5/market/tickers", PAIR, "tickers_0"),
        ("/v5/market/orderbook", PAIR, "orderbook_0"),
        ("/v5/market/funding/history", PAIR, "funding_history_0"),
        ("/v5/market/price-limit", PAIR, "price_limit_0"),
        ("/v5/market/recent-trade", PAIR, "recent_trade_0"),
    ],
)
def test_shapes_are_the_recorded_ones(path: str, query: dict[str, Any], name: str) -> None:
    async def talk(client: Client) -> None:
        document, _ = await client.answer(path, **query)
        recorded = sample(name)
        if name == "recent_trade_0":  # recorded of spot; contracts name their trades otherwise
            recorded["result"]["list"][0]["execId"] = ""
        assert differences(document, recorded, may_add=NEWER) == []
        assert document["retMsg"] == sample(name)["retMsg"]
        rows = document["result"].get("list")
        assert rows is None or rows, "an empty list proves nothing"

    with_server(small_world(), talk)


def test_the_clock_and_what_every_answer_announces() -> None:
    async def talk(client: Client) -> None:
        document, headers = await client.answer("/v5/market/time")
        assert document["time"] == NOW
        assert document["result"] == {"timeSecond": str(NOW // 1000), "timeNano": f"{NOW}000000"}
        assert headers["X-Look-Alike-Speed"] == "0"
        assert headers["Timenow"] == str(NOW)
        assert len(headers["Traceid"]) == 32

    with_server(small_world(), talk)


# ---- candles ------------------------------------------------------------------------------------------


def starts(result: dict[str, Any]) -> list[int]:
    """Which candles were answered, as places in the small candles."""
    return [(int(row[0]) - T0) // CANDLE_MS for row in result["list"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, list(range(10, -1, -1))),  # newest first, the running one included
        ({"limit": 3}, [10, 9, 8]),
        ({"start": T0 + 2 * CANDLE_MS, "end": T0 + 4 * CANDLE_MS}, [4, 3, 2]),  # the end is inclusive
        ({"start": T0 + 2 * CANDLE_MS + 1, "end": T0 + 4 * CANDLE_MS - 1}, [3, 2]),  # the start is floored
        ({"start": T0 + 2 * CANDLE_MS, "limit": 2}, [3, 2]),  # a start alone: the first ones
        ({"end": T0 + 4 * CANDLE_MS, "limit": 2}, [4, 3]),
        ({"start": T0, "end": T0 + 9 * CANDLE_MS, "limit": 2}, [9, 8]),  # both: the newest ones
        ({"start": T0 + 11 * CANDLE_MS}, []),  # nothing of the future
        ({"end": T0 - 1}, []),
    ],
)
def test_which_candles_are_answered(query: dict[str, int], expected: list[int]) -> None:
    async def talk(client: Client) -> None:
        for path in (KLINE, "/v5/market/mark-price-kline"):
            assert starts(await client.get(path, **PAIR, interval=3, **query)) == expected

    with_server(small_world(), talk)


def test_candles_have_their_recorded_numbers() -> None:
    async def talk(client: Client) -> None:
        rows = (await client.get(KLINE, **PAIR, interval=3))["list"]
        running, closed = rows[0], rows[1]
        assert running == [str(NOW), "60010.00", "60010.00", "60010.00", "60010.00", "0", "0"]
        assert closed[1:6] == ["60009.00", "60014.00", "60006.00", "60010.00", "10"]
        assert float(closed[6]) == pytest.approx(10 * (60009 + 60014 + 60006 + 60010) / 4)
        marks = (await client.get("/v5/market/mark-price-kline", **PAIR, interval=3))["list"]
        assert marks[1][1:] == ["60011.00", "60016.00", "60008.00", "60012.00"]

    with_server(small_world(), talk)


def test_longer_candles_are_put_together() -> None:
    async def talk(client: Client) -> None:
        newest, older, _ = (await client.get(KLINE, **PAIR, interval=15))["list"]
        assert newest[:6] == [str(T0 + 10 * CANDLE_MS), *["60010.00"] * 4, "0"]
        assert older[:6] == [str(T0 + 5 * CANDLE_MS), "60005.00", "60014.00", "60002.00", "60010.00", "40"]
        day = (await client.get(KLINE, **PAIR, interval="D"))["list"]
        assert [row[:5] for row in day] == [[str(T0), "60000.00", "60014.00", "59997.00", "60010.00"]]

    with_server(small_world(), talk)


def test_minutes_exist_where_they_were_recorded() -> None:
    async def without(client: Client) -> None:
        assert await client.refusal(KLINE, **PAIR, interval=1) == (10001, "Invalid period!")

    async def with_them(client: Client) -> None:
        pair = client.server.world.pairs["BTCUSDT"]
        rows = (await client.get(KLINE, **PAIR, interval=1, limit=1000))["list"]
        assert len(rows) == 181
        assert rows[0][0] == str(pair.open_ms(60))
        assert pair.candles.minutes is not None
        assert [float(row[2]) for row in reversed(rows[1:])] == pair.candles.minutes.high[:180].tolist()
        assert len((await client.get(KLINE, **PAIR, interval=5))["list"]) == 37

    with_server(small_world(), without)
    with_server(invented_world(), with_them)


def test_a_price_between_two_ticks_keeps_its_decimals() -> None:
    world = small_world()
    pair = world.pairs["BTCUSDT"]
    assert pair.usdt_text(60_000.123456) == "60000.123456"
    assert pair.price_text(600_001.23456) == "60000.123456"
    assert pair.ticks_of("60000.123456") == pytest.approx(600_001.23456, abs=1e-9)
    assert (pair.price_text(600_000), pair.ticks_of("60000")) == ("60000.00", 600_000.0)
    assert (pair.qty_text(7), pair.lots_of("0.007"), pair.lots_of("0.0071")) == ("0.007", 7, None)
    assert pair.lots_of("many") is None


# ---- the rest of the market ---------------------------------------------------------------------------


def test_the_mean_of_the_book_is_the_mid_and_the_day_is_summed_up() -> None:
    async def talk(client: Client) -> None:
        row = (await client.get("/v5/market/tickers", **PAIR))["list"][0]
        assert (float(row["bid1Price"]) + float(row["ask1Price"])) / 2 == 60_010.0
        assert (row["lastPrice"], row["markPrice"], row["prevPrice24h"]) == ("60010.00", "60012.00", "60000.00")
        assert (row["highPrice24h"], row["lowPrice24h"], row["volume24h"]) == ("60014.00", "59997.00", "55")
        assert row["price24hPcnt"] == "0.000167"
        assert (row["fundingRate"], row["nextFundingTime"]) == ("0.002", str(T0 + 20 * CANDLE_MS))
        book = await client.get("/v5/market/orderbook", **PAIR, limit=2)
        assert [level[0] for level in book["b"]] == ["60004.00", "60003.90"]
        assert [level[0] for level in book["a"]] == ["60016.00", "60016.10"]
        assert book["ts"] == NOW
        limits = await client.get("/v5/market/price-limit", **PAIR)
        assert (limits["buyLmt"], limits["sellLmt"]) == ("63012.60", "57009.40")

    with_server(small_world(), talk)


def test_funding_is_history_only_once_it_is_settled() -> None:
    async def talk(client: Client) -> None:
        path = "/v5/market/funding/history"
        assert [row["fundingRate"] for row in (await client.get(path, **PAIR))["list"]] == ["0.001"]
        client.server.world.step(10)
        rows = (await client.get(path, **PAIR))["list"]
        assert [row["fundingRate"] for row in rows] == ["0.002", "0.001"]
        until = await client.get(path, **PAIR, startTime=T0, endTime=T0 + 11 * CANDLE_MS)
        assert [row["fundingRateTimestamp"] for row in until["list"]] == [str(NOW)]
        assert (await client.refusal(path, **PAIR, startTime=T0))[0] == 10001

    with_server(small_world(), talk)


def test_instruments_and_risk_limits_come_in_pages() -> None:
    world = make_world(plenty_of_pairs(40), Settings(), history_ms=10 * CANDLE_MS)

    async def pages(client: Client, path: str, **query: object) -> list[list[str]]:
        found, cursor = [], ""
        while True:
            result = await client.get(path, category="linear", cursor=cursor, **query)
            found.append(list(dict.fromkeys(row["symbol"] for row in result["list"])))
            cursor = result["nextPageCursor"]
            if not cursor:
                return found

    async def talk(client: Client) -> None:
        found = await pages(client, "/v5/market/instruments-info", limit=25)
        assert [len(page) for page in found] == [25, 15]
        assert [symbol for page in found for symbol in page] == sorted(world.pairs)
        assert [len(page) for page in await pages(client, "/v5/market/risk-limit")] == [15, 15, 10]
        one = await client.get("/v5/market/risk-limit", category="linear", symbol="COIN003USDT")
        assert {row["symbol"] for row in one["list"]} == {"COIN003USDT"}
        assert len(one["list"]) > 20
        chosen = await client.get("/v5/market/instruments-info", category="linear", baseCoin="COIN007")
        assert [row["symbol"] for row in chosen["list"]] == ["COIN007USDT"]
        waiting = await client.get("/v5/market/instruments-info", category="linear", status="PreLaunch")
        assert waiting["list"] == []
        for category in ("spot", "inverse", "option"):
            assert (await client.get("/v5/market/instruments-info", category=category))["list"] == []

    with_server(world, talk)


def test_the_instrument_can_be_read_back() -> None:
    from your_short_trade_margin_call.market.instruments import find_instrument, parse_instrument

    pair = small_world().pairs["BTCUSDT"]
    known = find_instrument("BTCUSDT")
    assert parse_instrument(pair.item, pair.tiers, "package") == known


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (KLINE, {"symbol": "NOPEUSDT", "interval": "3"}),
        (KLINE, {"interval": "3"}),
        (KLINE, {"symbol": "BTCUSDT"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "4"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "3", "category": "spot"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "3", "limit": "0"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "3", "limit": "1001"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "3", "limit": "ten"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "3", "start": "-1"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "3", "start": "2", "end": "1"}),
        (KLINE, {"symbol": "BTCUSDT", "interval": "3", "start": "1" * 30}),
        ("/v5/market/tickers", {}),
        ("/v5/market/tickers", {"category": "linear", "symbol": "btcusdt"}),
        ("/v5/market/instruments-info", {"category": "future"}),
        ("/v5/market/instruments-info", {"category": "linear", "cursor": "last%3DNOPEUSDT"}),
        ("/v5/market/orderbook", {**PAIR, "limit": "1001"}),
        ("/v5/market/tickers", {"category": "option", "symbol": "BTCUSDT"}),
        ("/v5/market/recent-trade", {"symbol": "BTCUSDT"}),
    ],
)
def test_what_cannot_be_answered_is_a_10001(path: str, query: dict[str, str]) -> None:
    async def talk(client: Client) -> None:
        code, text = await client.refusal(path, **query)
        assert code == 10001
        assert text

    with_server(small_world(), talk)


def test_a_path_nobody_knows_is_a_404() -> None:
    async def talk(client: Client) -> None:
        assert await client.status("/v5/market/nothing") == 404

    with_server(small_world(), talk)
