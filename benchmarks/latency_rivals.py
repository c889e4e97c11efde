"""ccxt.pro and pybit in the latency benchmark: each hears all pairs and sells the one that signals, by REST or stream.

Their clock is the exchange's: the newest moment they have heard of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.latency_exchange import HISTORY, SIGNALS, T0, names
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.domain.spans import CANDLE_MS

QUANTITY = "0.1"
SUBSCRIBING_S = 1.0
Served = Callable[[], Awaitable[None]]
"""Says that the client is ready, and returns when it has served its time."""


class Known:
    """The exchange's time as far as a client knows it (UTC ms)."""

    def __init__(self) -> None:
        self.ms = T0 + HISTORY * CANDLE_MS

    def now_ms(self) -> int:
        """The newest moment heard of."""
        return self.ms

    def saw(self, moment_ms: int) -> None:
        """The market's time is at least this."""
        self.ms = max(self.ms, moment_ms)


# ---- ccxt.pro --------------------------------------------------------------------------------------------


async def ccxt_pro(url: str, pairs: int, served: Served, *, by_stream: bool) -> None:
    """Watches each pair's candles; it hides that one has closed, so the next one's first word is what it sells at."""
    exchange, known = _ccxt_exchange(url), Known()
    exchange.milliseconds = known.now_ms
    exchange.handle_pong = _ponged
    await exchange.load_markets()
    symbols = {exchange.markets_by_id[name][0]["symbol"]: name for name in names(pairs)}
    sell = exchange.create_order_ws if by_stream else exchange.create_order

    async def watch(symbol: str) -> None:
        newest = 0
        while True:
            for candle in await exchange.watch_ohlcv(symbol, "3m"):
                known.saw(candle[0])
                if symbols[symbol] == SIGNALS and 0 < newest < candle[0]:
                    await sell(symbol, "market", "sell", float(QUANTITY), None, {"positionIdx": 0})
                newest = max(newest, candle[0])

    watching = [asyncio.create_task(watch(symbol)) for symbol in symbols]
    await asyncio.sleep(SUBSCRIBING_S)
    await served()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    await exchange.close()


def _ponged(client: Any, message: Any) -> Any:
    """It would note the exchange's time, compare it with this computer's, and hang up when they are minutes apart."""
    import ccxt

    client.lastPong = ccxt.Exchange.milliseconds()
    return message


def _ccxt_exchange(url: str) -> Any:
    import ccxt.pro

    stream = url.replace("http://", "ws://")
    options = {
        "fetchMarkets": {"types": ["linear"]},
        "enableUnifiedMargin": False,
        "enableUnifiedAccount": True,
        "unifiedMarginStatus": 5,
        "defaultType": "swap",
    }
    keys = {"apiKey": DEMO_KEY, "secret": DEMO_SECRET, "enableRateLimit": False}
    exchange = ccxt.pro.bybit({**keys, "options": options})
    private = dict.fromkeys(("usdc", "contract", "unified"), f"{stream}/v5/private")
    exchange.urls["api"] = {name: url if isinstance(at, str) else at for name, at in exchange.urls["api"].items()}
    exchange.urls["api"]["ws"] = {
        "public": {"linear": f"{stream}/v5/public/linear"},
        "private": {**private, "trade": f"{stream}/v5/trade"},
    }
    return exchange


# ---- pybit -----------------------------------------------------------------------------------------------


async def pybit(url: str, pairs: int, served: Served, *, by_stream: bool) -> None:
    """Sells from the callback of the confirmed candle."""
    import logging

    import pybit._helpers as helpers
    import pybit._websocket_trading as trading
    import pybit.unified_trading as unified

    # It registers who takes an answer after it has asked: on a wire this short the answer is often there before.
    logging.getLogger("pybit").setLevel(logging.ERROR)
    known, stream_url = Known(), url.replace("http://", "ws://")
    unified.PUBLIC_WSS = stream_url + "/v5/public/{CHANNEL_TYPE}"
    trading.TRADE_WSS = f"{stream_url}/v5/trade"
    helpers.generate_timestamp = known.now_ms
    keys = {"api_key": DEMO_KEY, "api_secret": DEMO_SECRET}
    session = unified.HTTP(**keys)
    session.endpoint = url
    session.get_server_time()
    desk = unified.WebSocketTrading(testnet=False, **keys) if by_stream else None
    order: dict[str, Any] = {
        **{"category": "linear", "symbol": SIGNALS, "side": "Sell", "orderType": "Market"},
        **{"qty": QUANTITY, "positionIdx": 0},
    }

    def heard(message: dict[str, Any]) -> None:
        row = message["data"][0]
        known.saw(row["start"] + (CANDLE_MS if row["confirm"] else 0))
        if not (row["confirm"] and message["topic"].endswith(SIGNALS)):
            return
        if desk is None:
            session.place_order(**order)
        else:
            desk.place_order(_answered, _answered, **order)

    stream = unified.WebSocket(testnet=False, channel_type="linear")
    stream.kline_stream(interval=3, symbol=names(pairs), callback=heard)
    await asyncio.sleep(SUBSCRIBING_S)
    await served()
    stream.exit()
    if desk is not None:
        desk.exit()


def _answered(_message: dict[str, Any]) -> None:
    """That the order has arrived is what is measured, at the exchange."""
