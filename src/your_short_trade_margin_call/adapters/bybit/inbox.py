"""The one queue between streams and engine: facts keep their order, quotes are made when they are handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from your_short_trade_margin_call.adapters.bybit.public_feed import BestQuote
from your_short_trade_margin_call.domain.messages import Event, QuoteArrived


@dataclass(frozen=True, slots=True)
class _Quote:
    """A place in the queue for a quote; `opens_ms` is the candle it opens, if it does."""

    opens_ms: int | None


_PLAIN = _Quote(None)


class Inbox:
    """Events in the order they happened. An asynchronous iterator that may be cancelled and asked again.

    A quote waits in the queue as a mere place: the price is the newest one at the moment the engine takes it, so an
    engine that was busy never acts on an old one.

    Args:
        candle_ms: length of a candle.
        newest: the newest quote; None when the market is not known.
    """

    def __init__(self, candle_ms: int, newest: Callable[[], BestQuote | None]) -> None:
        self._candle_ms = candle_ms
        self._newest = newest
        self._queue: asyncio.Queue[Event | _Quote | BaseException] = asyncio.Queue()
        self._plain_waits = False
        self._failure: BaseException | None = None
        self._arrival: asyncio.Future[None] | None = None

    def put(self, event: Event) -> None:
        """Something happened."""
        self._put(event)

    def put_opening(self, opens_ms: int) -> None:
        """The opening quote of a candle is known."""
        self._put(_Quote(opens_ms))

    def put_quote(self) -> None:
        """The quote changed; one place in the queue is enough."""
        if not self._plain_waits:
            self._plain_waits = True
            self._put(_PLAIN)

    def fail(self, error: BaseException) -> None:
        """A part of the venue broke: the engine must hear of it, now and whenever it asks again."""
        self._put(error)

    def _put(self, item: Event | _Quote | BaseException) -> None:
        self._queue.put_nowait(item)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # ---- taking: by waiting, or what has come already ------------------------------------------------

    def at_hand(self) -> Event | None:
        """The next event, if it has come already.

        Raises:
            BaseException: a part of the venue broke.
        """
        while self._failure is not None or not self._queue.empty():
            event = self._event(None if self._failure is not None else self._queue.get_nowait())
            if event is not None:
                return event
        return None

    def arrival(self) -> asyncio.Future[None]:
        """Done as soon as something comes, or if something has; one waits at a time."""
        self._arrival = asyncio.get_running_loop().create_future()
        if not self._queue.empty():
            self._arrival.set_result(None)
        return self._arrival

    def __aiter__(self) -> Inbox:
        return self

    async def __anext__(self) -> Event:
        while True:
            event = self._event(None if self._failure is not None else await self._queue.get())
            if event is not None:
                return event

    def _event(self, item: Event | _Quote | BaseException | None) -> Event | None:
        """What was queued, as an event; None for a quote of a market that is not known any more."""
        if isinstance(item, BaseException):
            self._failure = item
        if self._failure is not None:
            raise self._failure
        return self._quote(item) if isinstance(item, _Quote) else item  # type: ignore[return-value]

    def _quote(self, place: _Quote) -> QuoteArrived | None:
        """The quote as it is now; when the candle it should open is over, it opens the one that is running."""
        if place is _PLAIN:
            self._plain_waits = False
        book = self._newest()
        if book is None:
            return None
        opens_ms = place.opens_ms
        if opens_ms is not None and book.ts_ms >= opens_ms + self._candle_ms:
            opens_ms = book.ts_ms - book.ts_ms % self._candle_ms
        return QuoteArrived(book.ts_ms, book.mid_ticks, opens_ms)
