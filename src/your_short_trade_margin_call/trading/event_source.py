"""The exchange's events, awaited together with whatever else is due."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from your_short_trade_margin_call.domain.messages import Event
from your_short_trade_margin_call.domain.ports import Prompt

Timer = Callable[[], Awaitable[None]]
"""Begins to wait, and returns when it is over."""


class EventSource:
    """Takes events one at a time; a timer may go off first, and no event is lost when it does.

    Args:
        open_stream: begins the stream; called again when it broke off with an error.
    """

    def __init__(self, open_stream: Callable[[], AsyncIterator[Event]]) -> None:
        self._open_stream = open_stream
        self._stream: AsyncIterator[Event] | None = None
        self._prompt: Prompt | None = None
        self._arriving: asyncio.Task[Event | None] | None = None
        self.has_ended = False

    async def next(self, timer: Timer | None = None) -> Event | None:
        """The next event; None when the stream has ended, or when the timer went off before one came.

        Raises:
            ExchangeError: the stream broke off; it is begun anew with the next call.
            OSError: the same.
        """
        if timer is None and self._arriving is None:
            return await self._take()
        self._opened()
        if self._prompt is not None and timer is not None:
            return await self._next_prompt(self._prompt, timer)
        if self._arriving is None:
            self._arriving = asyncio.ensure_future(self._take())
        if timer is None:
            return await self._arrived()
        going_off = asyncio.ensure_future(timer())
        try:
            await asyncio.wait({self._arriving, going_off}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            going_off.cancel()
        return await self._arrived() if self._arriving.done() else None

    async def _next_prompt(self, stream: Prompt, timer: Timer) -> Event | None:
        """The same with a stream that says at once what has come: no task of its own between news and decision."""
        event = self._at_hand(stream)
        if event is not None:
            return event
        arrival = stream.arrival()
        going_off = asyncio.ensure_future(timer())
        going_off.add_done_callback(partial(_wake, arrival))
        try:
            await arrival
        finally:
            going_off.cancel()
        return self._at_hand(stream)

    def _at_hand(self, stream: Prompt) -> Event | None:
        try:
            return stream.at_hand()
        except Exception:
            self._stream = None  # a stream that raised gives nothing more
            raise

    async def close(self) -> None:
        """Let go of an event that was awaited."""
        if self._arriving is not None:
            self._arriving.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._arriving

    async def _arrived(self) -> Event | None:
        arriving, self._arriving = self._arriving, None
        return None if arriving is None else await arriving

    def _opened(self) -> AsyncIterator[Event]:
        if self._stream is None:
            self._stream = self._open_stream()
            self._prompt = self._stream if isinstance(self._stream, Prompt) else None
        return self._stream

    async def _take(self) -> Event | None:
        try:
            return await anext(self._opened())
        except StopAsyncIteration:
            self.has_ended = True
            return None
        except Exception:
            self._stream = None  # a stream that raised gives nothing more
            raise


def _wake(waiting: asyncio.Future[None], _timer: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
