"""A tiny server that answers as it is told, a stopwatch that only runs when someone sleeps, and a client on both."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.domain.words import Account

KEYS = Keys("aKeyNobodyMaySee", "aSecretNobodyMaySee")
WALL_MS = 1_700_000_000_000
TIMING = Timing(request_timeout_s=0.3, connect_timeout_s=0.3)

Answerer = Callable[["Server", web.Request], Awaitable[web.StreamResponse]]


class Stopwatch:
    """Seconds that pass when someone sleeps; `slept` keeps every sleep that took time."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
        self.now_s += max(0.0, seconds)
        await asyncio.sleep(0)

    def wall_ms(self) -> int:
        return WALL_MS + int((self.now_s - 1_000.0) * 1_000)


@dataclass(frozen=True)
class Heard:
    """A request as it arrived, byte for byte."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Server:
    """Answers the requests for a path with what was planned for it, in order; the last plan stays."""

    stopwatch: Stopwatch
    offset_ms: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    plans: dict[str, deque[Answerer]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    url: str = ""

    def plan(self, path: str, *answers: Answerer) -> None:
        self.plans[path] = deque(answers)

    def now_ms(self) -> int:
        return self.stopwatch.wall_ms() + self.offset_ms

    def to(self, path: str) -> list[Heard]:
        return [each for each in self.heard if each.path == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = request.raw_path.partition("?")
        self.heard.append(Heard(request.method, raw[0], raw[2], dict(request.headers), await request.read()))
        plans = self.plans.get(request.path)
        if not plans:
            return await ok({})(self, request)
        return await (plans.popleft() if len(plans) > 1 else plans[0])(self, request)


def ok(result: object, **headers: str) -> Answerer:
    return code(0, "OK", result, **headers)


def code(ret_code: int, text: str = "", result: object = None, status: int = 200, **headers: str) -> Answerer:
    async def answer(server: Server, request: web.Request) -> web.Response:
        envelope: dict[str, Any] = {"retCode": ret_code, "retMsg": text, "result": {} if result is None else result}
        envelope |= {"retExtInfo": {}, "time": server.now_ms()}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(
            body=json.dumps(envelope).encode(),
            status=status,
            content_type="application/json",
            headers={**server.headers, **named},
        )

    return answer


def status(number: int, text: str = "") -> Answerer:
    async def answer(server: Server, request: web.Request) -> web.Response:
        return web.Response(status=number, text=text)

    return answer


def body(content: bytes) -> Answerer:
    async def answer(server: Server, request: web.Request) -> web.Response:
        return web.Response(body=content)

    return answer


async def dropped(server: Server, request: web.Request) -> web.StreamResponse:
    """The connection closes without an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def cut_off(server: Server, request: web.Request) -> web.StreamResponse:
    """Half of the promised bytes arrive."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"retCode":0,"retMsg":"OK",')
    assert request.transport is not None
    request.transport.close()
    return response


async def silent(server: Server, request: web.Request) -> web.StreamResponse:
    """No answer comes in time."""
    await asyncio.sleep(2.0)
    return web.Response()


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Server]:
    server = Server(Stopwatch(), **options)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(
    timing: Timing = TIMING, keys: Keys | None = KEYS, **options: Any
) -> AsyncIterator[tuple[Server, Rest]]:
    """A server and a client of it; time passes only while somebody waits."""
    async with serving(**options) as server:
        watch = server.stopwatch
        clock = ServerClock(watch.wall_ms, watch, watch.sleep)
        endpoint = endpoint_for(Account.DEMO, server.url)
        async with Rest.open(endpoint, timing, clock, keys) as rest:
            yield server, rest
