"""Every WebSocket connection: its queue, its writer, its pings, and what can be done to it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web

from your_short_trade_margin_call.adapters.bybit_server.bus import Bus, Message, Subscriber, encode
from your_short_trade_margin_call.adapters.bybit_server.world import World

_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


ANSWERED_AFTER_S = 0.01
"""Real seconds until what a client says is answered, as if the exchange were not on its desk: pybit asks first and
notes afterwards who takes the answer."""


class _Answer(str):
    """A text that answers what the client said, and when it may leave (on the stopwatch)."""

    __slots__ = ("due_s",)
    due_s: float

    def __new__(cls, text: str, due_s: float) -> _Answer:
        self = super().__new__(cls, text)
        self.due_s = due_s
        return self


def _nothing(_text: str) -> None:
    """Nobody measures."""


class StreamConnection:
    """One connection. Acknowledgements and topics leave in one queue, first in, first out.

    `path` is what it connected to, `account` the key it authenticated with ("" for none).
    """

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, conn_id: str, world: World) -> None:
        self.path, self.conn_id, self.account = request.path, conn_id, ""
        self.subscriber = Subscriber()
        self.is_silent = False
        """Half open: nothing is answered or sent any more."""
        self.before_write: Callable[[str], object] = _nothing
        """Told each text right before it is handed to the socket: for measuring."""
        self.socket = socket
        self._request, self._world = request, world
        self._buses: set[Bus] = set()

    def send(self, message: Message) -> None:
        """Queue a message for this connection alone."""
        self.subscriber.put(encode(message))

    def answer(self, message: Message) -> None:
        """Queue an answer to what the client said; it leaves no sooner than ANSWERED_AFTER_S."""
        self.subscriber.put(_Answer(encode(message), self._world.timeline.stopwatch_s() + ANSWERED_AFTER_S))

    def join(self, bus: Bus, topics: Iterable[str]) -> None:
        """Subscribe to topics of a bus; they are left when the connection ends."""
        self._buses.add(bus)
        bus.subscribe(self.subscriber, topics)

    def leave(self, bus: Bus, topics: Iterable[str] | None = None) -> None:
        """Unsubscribe from topics of a bus, or from all."""
        bus.unsubscribe(self.subscriber, topics)

    async def listen(self, hear: Callable[[str], Awaitable[None]]) -> None:
        """Hand every text to `hear` until the connection ends; pings are answered here."""
        while True:
            message = await self.socket.receive()
            if message.type in _ENDS:
                return
            if self.is_silent:
                continue
            if message.type is WSMsgType.PING:
                await self.socket.pong(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._world.requests.touch()
                self._world.advance()
                await hear(message.data if isinstance(message.data, str) else message.data.decode(errors="replace"))

    async def write(self) -> None:
        """Write what is queued, for as long as the connection lasts.

        Others have their turn after each message: on the exchange no order waits until everybody has been told
        everything.
        """
        while True:
            for text in await self.subscriber.take():
                if isinstance(text, _Answer):
                    await self._world.timeline.nap(max(0.0, text.due_s - self._world.timeline.stopwatch_s()))
                if not self.is_silent:
                    self.before_write(text)
                    await self.socket.send_str(text)
                self.subscriber.sent += 1
                await self._world.timeline.nap(0.0)

    def cut(self) -> None:
        """Cut the connection without a word."""
        cut_connection(self._request)

    def forget(self) -> None:
        """Leave every bus."""
        for bus in self._buses:
            bus.unsubscribe(self.subscriber)


def cut_connection(request: web.Request) -> None:
    """Cut the connection that a request came on; nothing more is written to it."""
    if request.transport is not None:
        request.transport.abort()


class Streams:
    """All open streams, and whether the whole service is out.

    Args:
        world: caught up with time, and told, whenever a client says something.
    """

    def __init__(self, world: World) -> None:
        self._world, self._stopwatch_s = world, world.timeline.stopwatch_s
        self._open: set[StreamConnection] = set()
        self._opened = 0
        self._out_until_s = -math.inf
        self.cut_connections: Callable[[], None] = lambda: None
        """Cuts every connection of the service; whoever owns the sockets puts it here."""

    @asynccontextmanager
    async def accept(self, request: web.Request) -> AsyncIterator[StreamConnection]:
        """A connection of its own for as long as the block runs; its writer runs beside it."""
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self._opened += 1
        connection = StreamConnection(request, socket, _conn_id(self._opened), self._world)
        self._open.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            yield connection
        finally:
            self._open.discard(connection)
            connection.forget()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writer

    def open(self, path: str = "") -> list[StreamConnection]:
        """Open streams whose path begins so."""
        return [connection for connection in self._open if connection.path.startswith(path)]

    def drop(self, path: str = "") -> None:
        """Cut streams whose path begins so."""
        for connection in self.open(path):
            connection.cut()

    def silence(self, path: str = "") -> None:
        """Let streams whose path begins so fall silent, and stay connected."""
        for connection in self.open(path):
            connection.is_silent = True

    def drop_everything(self) -> None:
        """Cut every connection, streams and requests alike."""
        self.drop()
        self.cut_connections()

    # ---- outages ----------------------------------------------------------------------------------

    def begin_outage(self, ms: int) -> None:
        """Nothing gets through for so many real milliseconds; 0 is until `end_outage`."""
        self._out_until_s = self._stopwatch_s() + ms / 1_000.0 if ms else math.inf
        self.drop_everything()

    def end_outage(self) -> None:
        """The service is back."""
        self._out_until_s = -math.inf

    @property
    def is_out(self) -> bool:
        """Whether nothing gets through."""
        return self._stopwatch_s() < self._out_until_s

    @property
    def is_served(self) -> bool:
        """Whether everything queued, acknowledgements included, has been written."""
        return all(connection.subscriber.is_served for connection in self._open)


def _conn_id(number: int) -> str:
    """An id that looks like the exchange's, the same for the same place in the order of connections."""
    text = hashlib.blake2b(f"connection {number}".encode(), digest_size=16).hexdigest()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
