"""Other people's clients read the market: ccxt and pybit, as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.bybit_server.serving import HISTORY, T0, Client, small_world, with_server
from your_short_trade_margin_call.domain.spans import CANDLE_MS

pytestmark = pytest.mark.filterwarnings("default")
"""What those packages warn about is theirs."""


def test_ccxt_reads_the_market() -> None:
    import ccxt

    def read(url: str) -> dict[str, Any]:
        exchange = ccxt.bybit({"options": {"fetchMarkets": {"types": ["linear"]}}})
        exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], url)
        markets = exchange.load_markets()
        return {
            "market": markets["BTC/USDT:USDT"],
            "time": exchange.fetch_time(),
            "candles": exchange.fetch_ohlcv("BTC/USDT:USDT", "3m", since=T0, limit=5),
            "ticker": exchange.fetch_ticker("BTC/USDT:USDT"),
            "book": exchange.fetch_order_book("BTC/USDT:USDT", limit=1),
            "funding": exchange.fetch_funding_rate_history("BTC/USDT:USDT"),
            "trades": exchange.fetch_trades("BTC/USDT:USDT"),
            "tiers": exchange.fetch_market_leverage_tiers("BTC/USDT:USDT"),
        }

    async def talk(client: Client) -> None:
        seen = await asyncio.to_thread(read, client.server.url)
        market = seen["market"]
        assert (market["swap"], market["precision"]["price"], market["limits"]["amount"]["min"]) == (True, 0.1, 0.001)
        assert seen["time"] == T0 + HISTORY * CANDLE_MS
        assert [row[0] for row in seen["candles"]] == [T0 + k * CANDLE_MS for k in range(5)]
        assert seen["candles"][0][1:] == [60000, 60005, 59997, 60001, 1]
        assert (seen["ticker"]["last"], seen["ticker"]["high"]) == (60010, 60014)
        assert (seen["book"]["bids"][0][0], seen["book"]["asks"][0][0]) == (60004, 60016)
        assert [row["fundingRate"] for row in seen["funding"]] == [0.001]
        assert seen["trades"][-1]["price"] == 60010
        assert (seen["tiers"][0]["maintenanceMarginRate"], len(seen["tiers"])) == (0.005, 35)

    with_server(small_world(), talk)


def test_pybit_reads_the_market_and_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    from pybit import unified_trading

    def read(url: str) -> list[Any]:
        session = unified_trading.HTTP()
        session.endpoint = url
        kline = session.get_kline(category="linear", symbol="BTCUSDT", interval=3, limit=2)
        page = session.get_instruments_info(category="linear")
        return [session.get_server_time()["time"], kline["result"]["list"], page["result"]["list"]]

    def listen(url: str, hear: Callable[[Any], None]) -> Any:
        monkeypatch.setattr(unified_trading, "PUBLIC_WSS", url.replace("http", "ws") + "/v5/public/{CHANNEL_TYPE}")
        stream = unified_trading.WebSocket(testnet=False, channel_type="linear")
        stream.kline_stream(interval=3, symbol="BTCUSDT", callback=hear)
        stream.ticker_stream(symbol="BTCUSDT", callback=hear)
        return stream

    async def talk(client: Client) -> None:
        now, rows, instruments = await asyncio.to_thread(read, client.server.url)
        assert now == T0 + HISTORY * CANDLE_MS
        assert [int(row[0]) for row in rows] == [now, now - CANDLE_MS]
        assert [row["symbol"] for row in instruments] == ["BTCUSDT"]

        heard: asyncio.Queue[Any] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        hear = partial(loop.call_soon_threadsafe, heard.put_nowait)
        stream = await asyncio.to_thread(listen, client.server.url, hear)
        snapshots = [await heard.get() for _ in range(2)]
        assert {message["type"] for message in snapshots} == {"snapshot"}
        client.server.world.step()
        news = [await heard.get() for _ in range(3)]
        klines = [message["data"][0] for message in news if message["topic"] == "kline.3.BTCUSDT"]
        assert [(row["confirm"], row["close"]) for row in klines] == [(True, "60011.00"), (False, "60011.00")]
        assert [m["data"]["lastPrice"] for m in news if m["topic"] == "tickers.BTCUSDT"] == ["60011.00"]
        await asyncio.to_thread(stream.exit)

    with_server(small_world(), talk)
