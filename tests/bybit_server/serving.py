"""A small world for the server's tests, served on a free port, and a client without any cleverness."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import numpy as np

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates, MarkCandles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

T0 = 1_767_225_600_000
"""Open time of the first candle: a midnight, UTC."""
HISTORY = 10
"""Candles that have closed when a small world begins."""


def small_candles(count: int = 40, symbol: str = "BTCUSDT", price: float = 60_000.0) -> Candles:
    """Candles a person can check: candle k opens at price + k, moves 5 up and 3 down, and closes 1 higher.

    Volume k + 1; marks are 2 higher; a settlement of 0.0001 * k belongs before each tenth candle.
    """
    k = np.arange(count, dtype=np.float64)
    time_ms = T0 + CANDLE_MS * np.arange(count, dtype=np.int64)
    prices = (price + k, price + k + 5, price + k - 3, price + k + 1)
    tenth = np.arange(10, count, 10)
    candles = Candles.from_columns(symbol, time_ms, *prices, volume=k + 1, timeframe_ms=CANDLE_MS)
    return replace(
        candles,
        mark=MarkCandles(time_ms, *(column + 2 for column in prices)),
        funding=FundingRates(time_ms[tenth], tenth / 10_000.0),
    )


def small_world(count: int = 40, *, symbols: tuple[str, ...] = ("BTCUSDT",), **options: Any) -> World:
    """A stepped world of small candles, standing at the opening of candle 10."""
    markets = [Market(find_instrument(symbol), small_candles(count, symbol)) for symbol in symbols]
    return make_world(markets, Settings(), **{"history_ms": HISTORY * CANDLE_MS, **options})


def invented_world(candles: int = 60, *, symbols: tuple[str, ...] = ("BTCUSDT",), **options: Any) -> World:
    """A world of invented candles with minutes, marks and funding; `candles` follow the first 60."""
    markets = [
        Market(find_instrument(symbol), generate(SyntheticMarket(symbol=symbol, minutes=180 + 3 * candles)))
        for symbol in symbols
    ]
    return make_world(markets, Settings(), **{"history_ms": 60 * CANDLE_MS, **options})


def plenty_of_pairs(count: int, candles: int = 20) -> list[Market]:
    """So many pairs that nobody knows, each with small candles."""
    bitcoin = find_instrument("BTCUSDT")
    names = [f"COIN{k:03}USDT" for k in range(count)]
    return [Market(_renamed(bitcoin, name), small_candles(candles, name)) for name in names]


def _renamed(instrument: Instrument, symbol: str) -> Instrument:
    return replace(instrument, symbol=symbol)


# ---- a server and its client --------------------------------------------------------------------------


class Stream:
    """A WebSocket that hears everything, in order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, message: dict[str, Any]) -> None:
        await self.socket.send_str(json.dumps(message))

    async def hear(self, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The next message; fails when the connection ends or nothing comes."""
        async with asyncio.timeout(seconds):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, f"the connection ended: {message}"
        heard = json.loads(message.data)
        assert isinstance(heard, dict)
        return heard

    async def hear_all(self, seconds: float = 0.2) -> list[dict[str, Any]]:
        """Everything until it is silent for so long."""
        heard = []
        while True:
            try:
                heard.append(await self.hear(seconds))
            except TimeoutError:
                return heard

    async def subscribe(self, *topics: str) -> dict[str, Any]:
        """Subscribe; the acknowledgement. Snapshots follow it."""
        await self.say({"op": "subscribe", "args": list(topics), "req_id": "1"})
        return await self.hear()

    async def is_cut(self, seconds: float = PATIENCE_S) -> bool:
        """Whether the connection ends (whatever is heard before)."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)


@dataclass
class Client:
    """Requests without retries."""

    server: Server
    session: aiohttp.ClientSession

    async def answer(self, path: str, /, **query: object) -> tuple[Any, dict[str, str]]:
        """The JSON of an answer, and its headers."""
        params = {name: str(value) for name, value in query.items()}
        async with self.session.get(self.server.url + path, params=params) as response:
            assert response.status == 200, response.status
            return await response.json(), dict(response.headers)

    async def get(self, path: str, **query: object) -> Any:
        """The `result` of an answer that says OK."""
        document, _ = await self.answer(path, **query)
        assert document["retCode"] == 0, document
        return document["result"]

    async def refusal(self, path: str, **query: object) -> tuple[int, str]:
        """Code and text of an answer that says no."""
        document, _ = await self.answer(path, **query)
        assert document["result"] == {}
        return document["retCode"], document["retMsg"]

    async def status(self, path: str) -> int:
        """The HTTP status alone."""
        async with self.session.get(self.server.url + path) as response:
            return response.status

    async def admin(self, method: str, path: str, /, **wish: object) -> Any:
        """What the admin answers."""
        async with self.session.request(method, self.server.admin_url + path, json=wish or None) as response:
            document = await response.json()
            return document if response.status == 200 else {"status": response.status, **document}

    @asynccontextmanager
    async def stream(self, path: str = "/v5/public/linear") -> AsyncIterator[Stream]:
        """A stream, for as long as the block runs."""
        async with self.session.ws_connect(self.server.url + path, autoping=False) as socket:
            yield Stream(socket)


@asynccontextmanager
async def served(world: World) -> AsyncIterator[Client]:
    """The world on a free port, and a client of it."""
    server = Server(world)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            session._retry_connection = False  # a cut connection must not be hidden by a quiet retry
            yield Client(server, session)
    finally:
        await server.stop()


def with_server(world: World, talk: Callable[[Client], Awaitable[None]]) -> None:
    """Run one conversation with a server of its own."""

    async def run() -> None:
        async with asyncio.timeout(60):
            async with served(world) as client:
                await talk(client)

    asyncio.run(run())
