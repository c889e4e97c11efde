"""Where planned faults meet requests and streams: the outermost layer of the application."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.bus import Message
from your_short_trade_margin_call.adapters.bybit_server.envelope import STREAMS, WORLD, fail
from your_short_trade_margin_call.adapters.bybit_server.optional_fields import message_without
from your_short_trade_margin_call.adapters.bybit_server.request_log import LoggedRequest
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import PlannedFault, SocketFault
from your_short_trade_margin_call.adapters.bybit_server.streams import Streams, cut_connection
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.spans import SECOND_MS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEY_HEADER = "X-BAPI-API-KEY"
_NO_STATUS = 502
"""Stands for "not answered" on its way to the log."""

_INSTEAD = {
    SocketFault.DROP_REQUEST,
    SocketFault.TOO_MANY,
    SocketFault.FORBIDDEN,
    SocketFault.RESTART,
    SocketFault.OUTAGE,
}
"""Strike before the request is carried out."""
ERRORS = {
    SocketFault.SERVER_ERROR: (10016, "Server error."),
    SocketFault.INTERNAL: (10000, "Server Timeout"),
}
TOO_MANY = (10006, "Too many visits!")
OF_REQUESTS = {*_INSTEAD, *ERRORS, SocketFault.DROP_ANSWER, SocketFault.TRUNCATED, SocketFault.MISSING_FIELDS}
_OF_STREAMS = (SocketFault.DROP_STREAMS, SocketFault.HALF_OPEN)


@web.middleware
async def fault_layer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log a request, let time catch up, and carry it out with whatever is planned for it."""
    world, streams = request.app[WORLD], request.app[STREAMS]
    world.advance()
    if _wants_stream(request):
        return await _stream(request, handler, world, streams)
    body = await request.read()
    account = request.headers.get(KEY_HEADER, "")
    text, shown_ms = body.decode(errors="replace"), world.timeline.shown_ms()
    row = world.requests.arrive(request.method, request.path, request.query_string, text, account, shown_ms)
    try:
        response = await _carried_out(request, handler, world, streams)
    except web.HTTPException as status:
        world.requests.leave(row, status.status, None)
        raise
    except BaseException:
        world.requests.leave(row, None, None)
        raise
    _note(world, row, response)
    return response


def _wants_stream(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def _stream(request: web.Request, handler: Handler, world: World, streams: Streams) -> web.StreamResponse:
    """A new connection. Faults of requests strike it only where their path names it."""
    faults = (SocketFault.DROP_REQUEST, SocketFault.FORBIDDEN)
    order = world.faults.take(faults, request.path, needs_path=True)
    if streams.is_out or (order is not None and order.fault is SocketFault.DROP_REQUEST):
        return _cut(request)
    if order is not None:
        raise web.HTTPForbidden(text="access too frequent")
    return await handler(request)


async def _carried_out(request: web.Request, handler: Handler, world: World, streams: Streams) -> web.StreamResponse:
    account, faults = request.headers.get(KEY_HEADER, ""), world.faults
    if delay := faults.take((SocketFault.DELAY,), request.path, account):
        await world.timeline.nap(delay.ms / 1_000.0)
        world.advance()
    if streams.is_out:
        return _cut(request)
    order = faults.take(OF_REQUESTS, request.path, account)
    if order is None:
        return await handler(request)
    if is_refused(order):
        return _instead(request, order, world, streams)
    return await _spoilt(request, order, await handler(request))


def is_refused(order: PlannedFault) -> bool:
    """Whether the request that it strikes is not carried out."""
    return order.fault in _INSTEAD or (order.fault in ERRORS and not order.carried_out)


def _instead(request: web.Request, order: PlannedFault, world: World, streams: Streams) -> web.StreamResponse:
    """What is answered to a request that is not carried out."""
    if order.fault is SocketFault.FORBIDDEN:
        raise web.HTTPForbidden(text="403 Forbidden: access too frequent, or this country is not served")
    if order.fault is SocketFault.TOO_MANY:
        return _too_many(request, order, world)
    if order.fault in ERRORS:
        return fail(request, *ERRORS[order.fault])
    break_service(order, world, streams)
    return _cut(request)


def break_service(order: PlannedFault, world: World, streams: Streams) -> None:
    """A restart or an outage, if that is what strikes."""
    if order.fault is SocketFault.RESTART:
        world.restart()
        streams.drop_everything()
    if order.fault is SocketFault.OUTAGE:
        streams.begin_outage(order.ms)


def _too_many(request: web.Request, order: PlannedFault, world: World) -> web.Response:
    """10006. The reset lies `ms` (a second) of real time ahead, said in the market's time."""
    answer = fail(request, *TOO_MANY)
    answer.headers.update(no_more_until(order, world))
    return answer


def no_more_until(order: PlannedFault, world: World) -> dict[str, str]:
    """The headers of 10006."""
    reset_ms = world.timeline.shown_ms() + round((order.ms or SECOND_MS) * max(1.0, world.timeline.speed))
    return {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(reset_ms)}


async def _spoilt(request: web.Request, order: PlannedFault, answer: web.StreamResponse) -> web.StreamResponse:
    """The request was carried out; this is what becomes of its answer."""
    if order.fault in ERRORS:
        return fail(request, *ERRORS[order.fault])
    body = answer.body if isinstance(answer, web.Response) else None
    if order.fault is SocketFault.DROP_ANSWER or not isinstance(body, bytes | bytearray):
        return _cut(request)
    if order.fault is SocketFault.TRUNCATED:
        return await _broken_off(request, answer, bytes(body))
    poorer = message_without(json.loads(body), "result", order.fields)
    headers = {name: value for name, value in answer.headers.items() if name not in ("Content-Length", "Content-Type")}
    return web.Response(body=msgspec.json.encode(poorer), content_type="application/json", headers=headers)


async def _broken_off(request: web.Request, answer: web.StreamResponse, body: bytes) -> web.StreamResponse:
    """Half of the body, although the whole was announced; then the connection is cut."""
    half = web.StreamResponse(headers={"Content-Type": "application/json"})
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()  # unlike `abort`, what was written still leaves
    return answer


def _cut(request: web.Request) -> web.StreamResponse:
    cut_connection(request)
    return web.Response(status=_NO_STATUS)  # never seen: there is no connection any more


def _note(world: World, row: LoggedRequest, response: web.StreamResponse) -> None:
    code, status = response.headers.get("ret_code"), response.status
    world.requests.leave(row, None if status == _NO_STATUS else status, None if code is None else int(code))


class StreamFaults:
    """Planned faults that are about streams or about the whole service."""

    def __init__(self, world: World, streams: Streams) -> None:
        self._world, self._streams = world, streams
        world.faults.on_plan, world.faults.on_clear = self.planned, self.cleared
        world.outgoing_hooks.append(self.outgoing)

    def planned(self, order: PlannedFault) -> bool:
        """Whether this happened at once: what waits for no request does, unless it is to pass some first."""
        if order.fault is SocketFault.UNCONFIRMED_LAST:
            return True
        if order.after:
            return False
        if order.fault is SocketFault.CLOCK_OFFSET:
            self._world.timeline.offset_ms = order.ms
        elif order.fault is SocketFault.OUTAGE:
            self._streams.begin_outage(order.ms)
        elif order.fault in _OF_STREAMS:
            self._strike(order)
        else:
            return False
        self._world.faults.struck.append((order.fault, order.path))
        return True

    def cleared(self) -> None:
        """The service is back, and its clock is right."""
        self._streams.end_outage()
        self._world.timeline.offset_ms = 0

    def outgoing(self, topic: str, message: Message) -> Message:
        """A message on its way to streams."""
        if order := self._world.faults.take(_OF_STREAMS, topic):
            self._strike(order)
        if poorer := self._world.faults.take((SocketFault.MISSING_FIELDS,), topic, needs_path=True):
            return message_without(message, "data", poorer.fields)
        return message

    def _strike(self, order: PlannedFault) -> None:
        """`path` is that of the connection, or a topic when the fault waited for messages of it."""
        path = order.path if order.path.startswith("/") else ""
        if order.fault is SocketFault.DROP_STREAMS:
            self._streams.drop(path)
        else:
            self._streams.silence(path)
