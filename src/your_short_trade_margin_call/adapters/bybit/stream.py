"""One WebSocket connection that lives for weeks: it subscribes, notices silence, and comes back by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import msgspec

from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.wire import STREAM, StreamMessage
from your_short_trade_margin_call.domain.errors import ExchangeError, KeyRefusedError, SubscriptionRefusedError

Take = Callable[[StreamMessage], None]
"""Is given every message with a topic."""
Login = Callable[[], Awaitable[bytes]]
"""Makes the message that authenticates a private connection, with an expiry of its own each time."""

_DATA = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
_LONGEST_MESSAGE = 8 << 20
_FAREWELL_S = 0.2
"""How long the other side may take to answer a goodbye."""
_SAID = 120
"""How much of the exchange's words is repeated."""


class Watcher(Protocol):
    """Whoever must know how a stream fares. Called from the stream's own task: must not block."""

    def came_up(self, stream: Stream) -> None:
        """Every topic is acknowledged: from now on all of its messages arrive."""

    def went_down(self, stream: Stream, why: str) -> None:
        """The connection that was up is gone. The stream tries again by itself."""

    def faulted(self, stream: Stream, what: str) -> None:
        """A message was lost (unreadable, or its handler failed), or a try to connect was refused; it goes on."""

    def broke(self, error: BaseException) -> None:
        """The stream's task ended by a bug."""


class _GoneError(Exception):
    """This connection is of no more use; says why."""


def _always() -> bool:
    return True


class Stream:
    """Keeps one connection up from `open` to `close`.

    Args:
        session: makes the connection.
        url: where to.
        topics: what to subscribe, on every connection anew.
        take: is given every message with a topic, in order. What it raises is counted, and costs that message only.
        watcher: told how the connection fares.
        clock: its stopwatch and its pauses.
        timing: how long to wait for what.
        login: for a private stream, makes the message that authenticates.
        must_flow: whether silence on all topics means that something is broken (pongs do not count then).
        answered: is given every answer to a request of ours.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        topics: tuple[str, ...],
        take: Take,
        watcher: Watcher,
        *,
        clock: ServerClock,
        timing: Timing,
        login: Login | None = None,
        must_flow: Callable[[], bool] = _always,
        answered: Take | None = None,
    ) -> None:
        self.url = url
        self.topics = topics
        self._session = session
        self._take = take
        self._watcher = watcher
        self._timing = timing
        self._stopwatch_s = clock.stopwatch_s
        self._pause_s = clock.pause_s
        self._login = login
        self._must_flow = must_flow
        self._answered = answered
        self._ws: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._task: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None
        self._is_up = False
        self._up_since_s = 0.0
        self._pinged_s = 0.0
        self._data_s = 0.0
        self.seen = 0
        """Messages read so far, whatever they were; on all connections together."""
        self.connections = 0
        """How often every topic was acknowledged."""
        self.faults: Counter[str] = Counter()
        """What went wrong, by name, and how often."""
        self.last_fault = ""

    @property
    def is_up(self) -> bool:
        """Whether every topic is acknowledged on a connection that lives."""
        return self._is_up

    async def open(self) -> None:
        """Connect, and return once every topic is acknowledged; from then on the stream looks after itself.

        Raises:
            KeyRefusedError: the exchange does not accept the key.
            SubscriptionRefusedError: it does not know a topic.
            ExchangeError: it cannot be reached.
        """
        self._first = asyncio.get_running_loop().create_future()
        self.begin()
        patience_s = self._timing.connect_timeout_s + 2 * self._timing.ack_timeout_s
        try:
            async with asyncio.timeout(patience_s):
                await self._first
        except TimeoutError:
            await self.close()
            raise ExchangeError(
                f"The stream {self.url} cannot be reached: {self.last_fault or 'no answer'}.",
                "Check the network and the address; nothing is traded without it.",
            ) from None
        except BaseException:
            await self.close()
            raise

    def begin(self) -> None:
        """Connect, again and again, without waiting for it: for a stream that may be missing."""
        self._task = asyncio.create_task(self._keep_up(), name=f"stream {self.url}")
        self._task.add_done_callback(self._ended)

    async def send(self, text: str) -> None:
        """Say something on the connection there is.

        Raises:
            OSError: there is none, or it broke.
        """
        if self._ws is None:
            raise ConnectionResetError(f"The stream {self.url} is not up.")
        await self._ws.send_str(text)

    async def close(self) -> None:
        """End the connection politely; harmless when there is none. The watcher is not told."""
        task, self._task = self._task, None
        self._is_up = False
        if task is None:
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])

    # ---- one connection after another --------------------------------------------------------------

    async def _keep_up(self) -> None:
        attempt = 0
        while True:
            self._up_since_s = self._stopwatch_s()
            was_up = await self._one_connection()
            lived_s = self._stopwatch_s() - self._up_since_s
            attempt = 0 if was_up and lived_s > self._timing.silence_s else attempt + 1
            waits = self._timing.reconnect_s
            await self._pause_s(waits[min(attempt, len(waits) - 1)])

    async def _one_connection(self) -> bool:
        """Connect, listen until it breaks; returns whether it ever was up."""
        ws: aiohttp.ClientWebSocketResponse[bool] | None = None
        before, why = self.connections, "ended"
        try:
            ws = await self._connect()
            await self._greet(ws)
            self._ws = ws
            self._go_up()
            await self._listen(ws)
        except (KeyRefusedError, SubscriptionRefusedError) as error:
            why = str(error)
            self._fault("refused", why)
            self._fail_first(error)
        except _GoneError as error:
            why = str(error)
        except (aiohttp.ClientError, OSError, TimeoutError, ExchangeError) as error:  # no acknowledgement in time, ...
            why = f"{type(error).__name__} {error}".strip()
        finally:
            self._ws = None
            self._go_down(why)
            if ws is not None:
                await ws.close()
        return self.connections > before

    async def _connect(self) -> aiohttp.ClientWebSocketResponse[bool]:
        async with asyncio.timeout(self._timing.connect_timeout_s):
            return await self._session.ws_connect(
                self.url,
                timeout=aiohttp.ClientWSTimeout(ws_close=min(_FAREWELL_S, self._timing.ack_timeout_s)),
                max_msg_size=_LONGEST_MESSAGE,
                decode_text=False,
            )

    async def _greet(self, ws: aiohttp.ClientWebSocketResponse[bool]) -> None:
        """Authenticate, then subscribe to each topic; every one must be acknowledged."""
        self._data_s = self._pinged_s = self._stopwatch_s()
        async with asyncio.timeout(self._timing.ack_timeout_s):
            if self._login is not None:
                login = await self._login()
                await ws.send_str(login.decode())
                await self._acknowledged(ws, "auth", 1, hide=str(msgspec.json.decode(login)["args"][0]))
            for topic in self.topics:
                await _send(ws, {"req_id": topic, "op": "subscribe", "args": [topic]})
            await self._acknowledged(ws, "subscribe", len(self.topics))

    async def _acknowledged(
        self, ws: aiohttp.ClientWebSocketResponse[bool], op: str, count: int, hide: str = "***"
    ) -> None:
        """Wait for so many acknowledgements; `hide` is never repeated from what the exchange says.

        Raises:
            KeyRefusedError: the key is refused.
            SubscriptionRefusedError: a topic is.
        """
        while count:
            message = self._read(await ws.receive())
            if message is None:
                continue
            if message.op != op or message.is_accepted is None:
                self._give(message)
                continue
            if not message.is_accepted:
                raise _refusal(op, (message.ret_msg or message.ret_text or "").replace(hide, "***")[:_SAID])
            count -= 1

    async def _listen(self, ws: aiohttp.ClientWebSocketResponse[bool]) -> None:
        """Hand messages on until the connection breaks. Half the longest silence brings a ping, all of it the end."""
        silence_s = self._timing.silence_s
        was_probed = False
        while True:
            try:
                message = self._read(await ws.receive(silence_s / 2))
                was_probed = False
            except TimeoutError:
                if was_probed:
                    raise _GoneError(f"silent for {silence_s:g} s") from None
                message, was_probed, self._pinged_s = None, True, float("-inf")
            now_s = self._stopwatch_s()
            if message is not None:
                self._give(message, now_s)
                await self._pause_s(0.0)  # who must act on it has the next turn, however much is waiting to be read
            if now_s - self._data_s >= silence_s and self._must_flow():
                raise _GoneError(f"no data for {silence_s:g} s")
            if now_s - self._pinged_s >= self._timing.ping_every_s:
                self._pinged_s = now_s
                await _send(ws, {"op": "ping"})

    # ---- one message ---------------------------------------------------------------------------------

    def _read(self, frame: Any) -> StreamMessage | None:
        """A frame as a message; None for one that cannot be read.

        Raises:
            _GoneError: the other side closed.
        """
        if frame.type not in _DATA:
            raise _GoneError(f"closed by the exchange ({frame.data or frame.type.name})"[:_SAID])
        self.seen += 1
        try:
            return STREAM.decode(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._fault("unreadable", f"an unreadable message: {error}")
            return None

    def _give(self, message: StreamMessage, now_s: float | None = None) -> None:
        take = self._take
        if not message.topic:
            if message.is_pong:
                return
            if self._answered is None or message.request_id is None:
                self.faults["without a topic"] += 1
                return
            take = self._answered
        self._data_s = self._stopwatch_s() if now_s is None else now_s
        try:
            take(message)
        except Exception as error:  # whatever one message does, the next one must still be heard
            about = message.topic or message.op or ""
            self._fault(type(error).__name__, f"a message of {about[:_SAID]} failed: {error}")

    def _fault(self, name: str, what: str) -> None:
        self.faults[name] += 1
        self.last_fault = what[: 2 * _SAID]
        self._watcher.faulted(self, self.last_fault)

    # ---- up and down -----------------------------------------------------------------------------------

    def _go_up(self) -> None:
        self._is_up = True
        self.connections += 1
        self._up_since_s = self._stopwatch_s()
        self._watcher.came_up(self)
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    def _go_down(self, why: str) -> None:
        if self._is_up:
            self._is_up = False
            self._watcher.went_down(self, why)
        else:
            self.last_fault = why[: 2 * _SAID]

    def _fail_first(self, error: ExchangeError) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_exception(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception() or ExchangeError("A stream ended by itself.", "This is a bug: report it.")
        self._go_down(f"{type(error).__name__}: {error}")
        self._watcher.broke(error)
        if self._first is not None and not self._first.done():
            self._first.set_exception(error)


def _refusal(op: str, said: str) -> ExchangeError:
    if op == "auth":
        return KeyRefusedError(
            f"The exchange refused the key on the private stream: {said}.",
            "Check that the key is of this account, not expired, and that this computer's clock is right.",
        )
    return SubscriptionRefusedError(
        f"The exchange refused a subscription: {said}.", "Check that the pair exists there and is trading."
    )


async def _send(ws: aiohttp.ClientWebSocketResponse[bool], message: dict[str, object]) -> None:
    await ws.send_str(msgspec.json.encode(message).decode())
