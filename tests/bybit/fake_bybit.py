"""A small Bybit on loopback that says what a test tells it to: REST answers by path, and streams that misbehave."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.domain.words import Account

KEYS = Keys("aKeyNobodyMaySee", "aSecretNobodyMaySee")
SYMBOL = "BTCUSDT"
STEP = 180_000
T0 = 1_748_563_200_000
"""A moment on the candle grid, and at a settlement."""
QUICK = Timing().faster(10)

Answer = dict[str, Any] | tuple[int, str] | web.StreamResponse
Answerer = Callable[[dict[str, Any]], Answer]


@dataclass
class Line:
    """One connection of a client."""

    ws: web.WebSocketResponse
    is_private: bool
    topics: list[str] = field(default_factory=list)
    is_logged_in: bool = False
    pings: int = 0
    is_deaf: bool = False

    async def send(self, message: object) -> None:
        await self.ws.send_str(message if isinstance(message, str) else json.dumps(message))


@dataclass
class FakeBybit:
    """Time stands where `now_ms` says (`speed` 0), or runs as ours (`speed` 1)."""

    now_ms: int = T0
    speed: float = 0.0
    refused_topics: set[str] = field(default_factory=set)
    accepts_key: bool = True
    answers_pings: bool = True
    acknowledges: bool = True
    accepts_connections: bool = True
    url: str = ""
    lines: list[Line] = field(default_factory=list)
    connections: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    answers: dict[str, Answerer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    logins: list[int] = field(default_factory=list)
    candles: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Open, high, low, close by open time: what `keep_candles` answers with."""

    def questions(self, path: str) -> list[dict[str, Any]]:
        return [params for where, params in self.asked if where == path]

    # ---- streams -----------------------------------------------------------------------------------

    async def push(self, message: object, *, private: bool = False) -> None:
        """Send to every line of that kind (a topic only to those who subscribed)."""
        topic = message.get("topic") if isinstance(message, dict) else None
        for line in list(self.lines):
            if line.is_private == private and (topic is None or topic in line.topics):
                self.sent += 1
                await line.send(message)

    async def candle(self, start: int, prices: tuple[str, ...], *, confirm: bool = True, ts: int | None = None) -> None:
        open_, high, low, close = prices
        row = {
            "start": start,
            "end": start + STEP - 1,
            "interval": "3",
            "open": open_,
            "close": close,
            "high": high,
            "low": low,
            "volume": "1",
            "turnover": "1",
            "confirm": confirm,
            "timestamp": start,
        }
        moment = start + STEP if ts is None else ts
        await self.push({"topic": f"kline.3.{SYMBOL}", "type": "snapshot", "ts": moment, "data": [row]})

    async def book(self, ts: int, bid: str, ask: str, **extra: Any) -> None:
        data = {"s": SYMBOL, "b": [[bid, "1"]], "a": [[ask, "1"]], "u": 7, "seq": 1, **extra}
        await self.push({"topic": f"orderbook.1.{SYMBOL}", "type": "snapshot", "ts": ts, "data": data})

    async def ticker(self, ts: int, kind: str = "delta", **fields: str) -> None:
        message = {"topic": f"tickers.{SYMBOL}", "type": kind, "ts": ts, "cs": 1, "data": {"symbol": SYMBOL, **fields}}
        await self.push(message)

    async def private(self, topic: str, *rows: dict[str, Any]) -> None:
        message = {"id": "1", "topic": topic, "creationTime": self.now_ms, "data": list(rows)}
        await self.push(message, private=True)

    async def drop(self, *, private: bool | None = None) -> None:
        """Cut connections without a word."""
        for line in list(self.lines):
            if private is None or line.is_private == private:
                transport = line.ws._req.transport if line.ws._req is not None else None
                if transport is not None:
                    transport.abort()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        is_private = request.path.endswith("private")
        if not self.accepts_connections:
            return web.Response(status=503)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        line = Line(ws, is_private)
        self.connections["private" if is_private else "public"] += 1
        self.lines.append(line)
        try:
            async for frame in ws:
                if frame.type is WSMsgType.TEXT and not line.is_deaf:
                    await self._hear(line, json.loads(frame.data))
        finally:
            self.lines.remove(line)
        return ws

    async def _hear(self, line: Line, said: dict[str, Any]) -> None:
        reply: dict[str, Any] | None = None
        if said["op"] == "ping":
            line.pings += 1
            public = {"success": True, "ret_msg": "pong", "op": "ping"}
            reply = ({"op": "pong", "args": ["1"]} if line.is_private else public) if self.answers_pings else None
        elif said["op"] == "auth":
            self.logins.append(int(said["args"][1]))
            line.is_logged_in = self.accepts_key and said["args"][0] == KEYS.key
            text = "" if line.is_logged_in else f"API key {said['args'][0]} invalid"
            reply = {"success": line.is_logged_in, "ret_msg": text, "op": "auth"}
        elif said["op"] == "subscribe" and self.acknowledges:
            bad = [topic for topic in said["args"] if topic in self.refused_topics]
            line.topics += [topic for topic in said["args"] if topic not in bad]
            text = f"error:handler not found,topic:{bad[0]}" if bad else ""
            reply = {"success": not bad, "ret_msg": text, "req_id": said.get("req_id", ""), "op": "subscribe"}
        if reply is not None:
            self.sent += 1
            await line.send(reply)

    # ---- REST ------------------------------------------------------------------------------------------

    async def rest(self, request: web.Request) -> web.StreamResponse:
        params = dict(request.query) if request.method == "GET" else json.loads(await request.text())
        self.asked.append((request.path, params))
        answer = self.answers.get(request.path, lambda _: {})(params)
        if isinstance(answer, web.StreamResponse):
            return answer
        code, text, result = (0, "OK", answer) if isinstance(answer, dict) else (*answer, {})
        envelope = {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": self.now_ms}
        return web.json_response(envelope, headers={"X-Look-Alike-Speed": f"{self.speed:g}"})

    def keep_candles(self) -> None:
        """Answer questions for candles from the table, and other questions about the market with nothing."""

        def kline(params: dict[str, Any]) -> Answer:
            first, last, limit = int(params["start"]), int(params["end"]), int(params["limit"])
            known = [start for start in sorted(self.candles) if first <= start <= last]
            rows = [[str(start), *self.candles[start], "1", "1"] for start in known]
            return {"category": "linear", "symbol": SYMBOL, "list": rows[::-1][:limit]}

        self.answers["/v5/market/kline"] = kline
        self.answers.setdefault("/v5/market/mark-price-kline", lambda _: {"list": []})
        self.answers.setdefault("/v5/market/funding/history", lambda _: {"list": []})
        self.answers.setdefault("/v5/market/instruments-info", lambda _: {"list": [{"symbol": SYMBOL}]})


@asynccontextmanager
async def serving(bybit: FakeBybit) -> AsyncIterator[FakeBybit]:
    """The server, on a free port of this computer."""
    app = web.Application()
    app.router.add_get("/v5/public/linear", bybit.stream)
    app.router.add_get("/v5/private", bybit.stream)
    app.router.add_route("*", "/{tail:.*}", bybit.rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    bybit.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield bybit
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(bybit: FakeBybit, timing: Timing = QUICK) -> AsyncIterator[Rest]:
    """A connection to it, with keys."""
    clock = ServerClock(lambda: bybit.now_ms, time.monotonic)
    endpoint = endpoint_for(Account.DEMO, bybit.url)
    async with Rest.open(endpoint, timing, clock, KEYS) as rest:
        yield rest


async def until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it never was.
    """
    give_up_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_s, "it never happened"
        await asyncio.sleep(0.002)
