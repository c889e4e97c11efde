"""The envelope around every answer, and the keys under which the application keeps its world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.streams import Streams
    from your_short_trade_margin_call.adapters.bybit_server.world import World

WORLD: web.AppKey[World] = web.AppKey("WORLD")
STREAMS: web.AppKey[Streams] = web.AppKey("STREAMS")

SPEED_HEADER = "X-Look-Alike-Speed"


def ok(
    request: web.Request,
    result: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    text: str = "OK",
) -> web.Response:
    """An answer to a request that was understood and accepted; `extra` is its `retExtInfo`."""
    return _answer(request, 0, text, {} if result is None else result, extra)


def fail(request: web.Request, code: int, text: str, result: Mapping[str, Any] | None = None) -> web.Response:
    """An answer that says no: HTTP 200 with a retCode, as the exchange does."""
    return _answer(request, code, text, {} if result is None else result)


def _answer(
    request: web.Request, code: int, text: str, result: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> web.Response:
    world = request.app[WORLD]
    now_ms = world.answer_ms
    envelope = {"retCode": code, "retMsg": text, "result": result, "retExtInfo": extra or {}, "time": now_ms}
    headers = {
        "Timenow": str(now_ms),
        "Traceid": trace_id(world.requests.count),
        "ret_code": str(code),
        SPEED_HEADER: speed_text(world.timeline.speed),
    }
    body = msgspec.json.encode(envelope)
    return web.Response(body=body, content_type="application/json", charset="utf-8", headers=headers)


def speed_text(speed: float) -> str:
    """The speed as announced: 600, or 0 when the market is stepped."""
    return f"{speed:.10g}"


def trace_id(number: int) -> str:
    """The number of a request in the shape of the exchange's trace ids."""
    return f"{number:032x}"
