"""One pair's market as it happens: streams kept up, candles in order, the opening quote of each; lost and restored."""

from __future__ import annotations

import asyncio
from typing import Protocol

from your_short_trade_margin_call.adapters.bybit.candle_line import LATE_CONFIRM_S, CandleLine
from your_short_trade_margin_call.adapters.bybit.candle_reader import CandleReader
from your_short_trade_margin_call.adapters.bybit.numbers import Grid
from your_short_trade_margin_call.adapters.bybit.public_feed import BestQuote, PublicFeed, TickerView
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.stream import Login, Stream, Take
from your_short_trade_margin_call.adapters.bybit.wire import StreamMessage
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Candle


class MarketEnd(Protocol):
    """Whoever lives on the market. Called in order, at once; must not block."""

    def on_lost(self, why: str) -> None:
        """From now on something may be missed."""

    def on_restored(self) -> None:
        """Every stream is subscribed again, and the candles of the time between have been given out."""

    def on_refused(self, why: str) -> None:
        """The exchange refuses to let a lost stream begin anew; it is asked again."""

    def on_candle(self, candle: Candle) -> None:
        """The next closed candle: each once, in order."""

    def on_book(self, book: BestQuote) -> None:
        """The best bid or ask changed, or was repeated."""

    def on_quote(self) -> None:
        """The same, but not too often, and not when it opened a candle."""

    def on_ticker(self, ticker: TickerView) -> None:
        """Mark price, last price or funding changed."""

    def on_opening(self, opens_ms: int) -> None:
        """This candle has begun, all before it are known, and so is a book of its time. May come again."""

    def broke(self, error: BaseException) -> None:
        """A part of the market ended by a bug."""


class LiveMarket:
    """The public stream of a pair, with a private one beside it if there is one: both up, or lost.

    Args:
        rest: for what the streams miss.
        reader: asks for closed candles.
        symbol: the pair.
        grid: its ticks.
        end: whoever lives on it.
        candle_ms: length of a candle.
        quote_every_s: real seconds between two quotes that open no candle.
        private: topics, handler and login of the private stream.
        late_confirm_s: real seconds a confirmation may be late before the candle is asked for.
    """

    def __init__(
        self,
        rest: Rest,
        reader: CandleReader,
        symbol: str,
        grid: Grid,
        end: MarketEnd,
        *,
        candle_ms: int,
        quote_every_s: float,
        private: tuple[tuple[str, ...], Take, Login] | None = None,
        late_confirm_s: float = LATE_CONFIRM_S,
    ) -> None:
        self._clock = rest.clock
        self._timing = rest.timing
        self._end = end
        self.feed = PublicFeed(symbol, grid, candle_ms, self)
        self._line = CandleLine(candle_ms, reader.closed, self, rest.timing, rest.clock.pause_s, late_confirm_s)
        self.public = self._stream(
            rest, rest.endpoint.public_stream, self.feed.topics, self._take_public, must_flow=True
        )
        self.private: Stream | None = None
        if private is not None:
            topics, self._take_rows, login = private
            url = rest.endpoint.private_stream
            self.private = self._stream(rest, url, topics, self._take_private, login=login)
        self._quote_every_s = quote_every_s
        self._quoted_s = float("-inf")
        self._due_ms: int | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._is_open = False
        self._losses = 0
        self.is_up = False

    def _stream(
        self,
        rest: Rest,
        url: str,
        topics: tuple[str, ...],
        take: Take,
        *,
        login: Login | None = None,
        must_flow: bool = False,
    ) -> Stream:
        return Stream(
            rest.session,
            url,
            topics,
            take,
            self,
            clock=rest.clock,
            timing=rest.timing,
            login=login,
            must_flow=lambda: must_flow and rest.clock.speed > 0,
        )

    @property
    def line(self) -> CandleLine:
        """Where candles are put in order."""
        return self._line

    async def open(self) -> None:
        """Connect, subscribe, and take note of the newest closed candle.

        Raises:
            ExchangeError: the exchange cannot be reached, or refuses the key or a topic.
        """
        for stream in self._streams():
            await stream.open()
        await self._line.catch_up()
        self._is_open = True
        if self._is_complete():
            self.is_up = True
            self._try_open()
        else:  # lost again while the other one was being opened
            self._end.on_lost(self.public.last_fault)

    async def close(self) -> None:
        """End everything; harmless when nothing is open."""
        self._is_open = self.is_up = False
        task, self._restoring = self._restoring, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._line.close()
        await asyncio.gather(*(stream.close() for stream in self._streams()))

    def resync(self, why: str) -> None:
        """Something may have been missed although every stream is up: say lost, mend, say restored."""
        self._lose(why)
        self._restore_if_complete()

    # ---- what the streams say about themselves -----------------------------------------------------

    def came_up(self, stream: Stream) -> None:
        """A stream is subscribed."""
        self._restore_if_complete()

    def went_down(self, stream: Stream, why: str) -> None:
        """A stream is gone."""
        if stream is self.public:
            self.feed.forget()
        if self._is_open:
            self._lose(why)

    def faulted(self, stream: Stream, what: str) -> None:
        """A message is lost. A lost public one is mended by the next; a lost private one may be an execution."""
        if not self._is_open:
            return
        if not stream.is_up:
            self._end.on_refused(what)
        elif stream is self.private:
            self.resync(what)

    def broke(self, error: BaseException) -> None:
        """A part ended by a bug."""
        self._end.broke(error)

    # ---- what the feed and the line say ------------------------------------------------------------

    def on_confirmed(self, candle: Candle) -> None:
        """The stream says that a candle has closed."""
        self._line.confirmed(candle)

    def on_running(self, open_time_ms: int) -> None:
        """A candle is running."""
        self._line.begun(open_time_ms)

    def on_book(self, book: BestQuote) -> None:
        """The best bid or ask changed."""
        self._end.on_book(book)
        now_s = self._clock.stopwatch_s()
        if (self._due_ms is not None and self._try_open()) or not self.is_up:
            self._quoted_s = now_s
        elif now_s - self._quoted_s >= self._quote_every_s:
            self._quoted_s = now_s
            self._end.on_quote()
        self._line.begun(book.ts_ms)

    def on_ticker(self, ticker: TickerView) -> None:
        """The ticker changed."""
        self._end.on_ticker(ticker)

    def on_candle(self, candle: Candle) -> None:
        """The next closed candle."""
        self._losses = 0
        self._end.on_candle(candle)

    def on_due(self, opens_candle_ms: int) -> None:
        """The opening quote of a candle is due."""
        self._due_ms = opens_candle_ms
        self._try_open()

    # ---- inside --------------------------------------------------------------------------------------

    def _streams(self) -> list[Stream]:
        return [self.public] if self.private is None else [self.public, self.private]

    def _take_public(self, message: StreamMessage) -> None:
        if message.ts:
            self._clock.advance(message.ts, self._clock.stopwatch_s())
        self.feed.take(message)

    def _take_private(self, message: StreamMessage) -> None:
        if message.creation_time:
            self._clock.advance(message.creation_time, self._clock.stopwatch_s())
        self._take_rows(message)

    def _try_open(self) -> bool:
        """Give out the opening that is due, if its book is known; whether it was."""
        book, due_ms = self.feed.book, self._due_ms
        if not self.is_up or due_ms is None or book is None or book.ts_ms < due_ms:
            return False
        self._due_ms = None
        self._end.on_opening(due_ms)
        return True

    def _lose(self, why: str) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            self._restoring = None
        if self.is_up:
            self.is_up = False
            self._losses += 1
            self._end.on_lost(why)

    def _is_complete(self) -> bool:
        return self._is_open and all(stream.is_up for stream in self._streams())

    def _restore_if_complete(self) -> None:
        if self._restoring is None and self._is_complete():
            self._restoring = asyncio.create_task(self._mend(), name="restoring the market")
            self._restoring.add_done_callback(self._restored)

    async def _mend(self) -> None:
        """Fetch what closed meanwhile, until the exchange answers; losses in quick succession are mended ever later."""
        waits = self._timing.reconnect_s
        attempt = self._losses - 1
        if attempt > 0:
            await self._clock.pause_s(waits[min(attempt, len(waits)) - 1])
        while True:
            try:
                await self._line.catch_up()
                break
            except ExchangeError:
                attempt += 1
                await self._clock.pause_s(waits[max(0, min(attempt, len(waits) - 1))])
        self.is_up = True
        self._end.on_restored()
        self._try_open()

    def _restored(self, task: asyncio.Task[None]) -> None:
        if task is self._restoring:
            self._restoring = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end.broke(error)
