"""`PaperVenue`: live prices from Bybit, fills by the simulated exchange, an account that outlives the program."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from your_short_trade_margin_call.adapters.bybit.candle_line import LATE_CONFIRM_S
from your_short_trade_margin_call.adapters.bybit.candle_reader import CandleReader
from your_short_trade_margin_call.adapters.bybit.inbox import Inbox
from your_short_trade_margin_call.adapters.bybit.live_market import LiveMarket
from your_short_trade_margin_call.adapters.bybit.numbers import Grid
from your_short_trade_margin_call.adapters.bybit.outside import Outside
from your_short_trade_margin_call.adapters.bybit.paper_account import PaperAccountFile
from your_short_trade_margin_call.adapters.bybit.paper_desk import PaperDesk
from your_short_trade_margin_call.adapters.bybit.past_market import PastMarket
from your_short_trade_margin_call.adapters.bybit.public_feed import BestQuote, TickerView
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.venue import QUOTE_EVERY_S
from your_short_trade_margin_call.domain.errors import BrokenInvariantError, ExchangeError, OrderRefusedError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Candle,
    CandleClosed,
    Order,
    OrderRequest,
    StreamLost,
    StreamRestored,
)
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.exchange.refusals import RefusalCode, refusal
from your_short_trade_margin_call.settings import Settings

_RATE_TRIES = 4
_STREAM = "stream"


@dataclass(frozen=True, slots=True)
class _Opening:
    """The opening quote of a candle is known."""

    opens_ms: int


_News = Candle | StreamLost | StreamRestored | _Opening


class PaperVenue:
    """A paper account on live prices. Implements `ports.Exchange`; between `open` and `close` only.

    While every stream is up, each quote acts on the account (`on_quote`) and each settlement comes at its time. What
    happened while nobody looked (a lost stream, a program that was not running) is made up for, before anything else,
    with whole candles, the adverse move first. Meanwhile requests wait a little, then fail.

    Args:
        rest: the connection; needs no keys.
        instrument: the pair.
        settings: fees, spread, slippage, luck; the starting balance of a new account.
        store: where the account lives.
        quote_every_s: real seconds between two quotes that open no candle (told to the engine; the account sees all).
        late_confirm_s: real seconds the word that a candle has closed may be late before the candle is asked for.
    """

    def __init__(
        self,
        rest: Rest,
        instrument: Instrument,
        settings: Settings,
        store: PaperAccountFile,
        *,
        quote_every_s: float = QUOTE_EVERY_S,
        late_confirm_s: float = LATE_CONFIRM_S,
    ) -> None:
        symbol, self._step = instrument.symbol, settings.candle_ms
        grid = Grid(instrument)
        self._rest = rest
        self._clock = rest.clock
        self._reader = CandleReader(rest, symbol, grid, self._step, rest.clock)
        self._past = PastMarket(rest, self._reader, symbol, self._step)
        self.market = LiveMarket(
            rest,
            self._reader,
            symbol,
            grid,
            self,
            candle_ms=self._step,
            quote_every_s=quote_every_s,
            late_confirm_s=late_confirm_s,
        )
        self._inbox = Inbox(self._step, lambda: self.market.feed.book)
        self._outside = Outside(rest, symbol, self._inbox.put, has_key=False)
        self._desk = PaperDesk(instrument, settings, store, self._inbox.put, self._outside.note)
        self._backlog: deque[_News] = deque()
        self._held: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_open = False
        self._watched_since_ms: int | None = None
        self._due_ms: int | None = None
        self._before_due = TickerView()

    async def open(self) -> None:
        """Load the account, subscribe, make up for the time it was away, begin to watch.

        Raises:
            ArtefactError: the account cannot be read, or is another pair's.
            ExchangeError: the exchange cannot be reached.
        """
        self._desk.load()
        await self._rest.sync_clock()
        try:
            await self.market.open()
            await self._return_from_away()
        except BaseException:
            await self.close()
            raise
        self._watching = asyncio.create_task(self._outside.watch(), name="watching the outside")
        self._watching.add_done_callback(self._ended)
        self._is_open = True
        self._work_off()
        self._see_newest()

    async def close(self) -> None:
        """End the streams. The account stays in its file. Harmless when nothing is open."""
        self._is_open = False
        tasks = [task for task in (self._watching, self._held) if task is not None]
        self._watching = self._held = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.market.close()

    # ---- ports.Exchange ----------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> str:
        """Send an order: it meets the newest quote.

        Raises:
            OrderRefusedError: it does not exist; `no_quote` while the market is not known.
        """
        await self._ready_to_trade()
        order_id = self._desk.exchange.place(request)
        self._desk.flush()
        return order_id

    async def amend_stop(self, trigger_ticks: int) -> None:
        """Move the position's stop.

        Raises:
            OrderRefusedError: the stop stands where it was, or there is no position.
        """
        await self._ready_to_trade()
        self._desk.exchange.amend_stop(trigger_ticks)
        self._desk.flush()

    async def cancel(self, link_id: str) -> None:
        """Cancel an order; one that is gone is no error."""
        await self._ready()
        self._desk.exchange.cancel(link_id)
        self._desk.flush()

    async def find(self, link_id: str) -> Order | None:
        """The order with this id of ours, however it ended."""
        await self._ready()
        return self._desk.exchange.find(link_id)

    async def account(self, executions_since_ms: int) -> AccountView:
        """Wallet, position, open orders, executions.

        Raises:
            ExchangeError: the account is still making up for the time it was away.
        """
        await self._ready()
        view = self._desk.exchange.account(executions_since_ms)
        return replace(view, time_ms=max(view.time_ms, self._clock.now_ms()))

    async def candles(self, count: int) -> tuple[Candle, ...]:
        """The last `count` closed candles, oldest first."""
        return await self._reader.newest(count)

    def events(self) -> Inbox:
        """Everything that happens, in order; never ends by itself. The waiting may be cancelled and begun again.

        Raises (while iterating):
            Exception: a part of the venue ended by a bug.
        """
        return self._inbox

    # ---- what the market says --------------------------------------------------------------------------

    def on_lost(self, why: str) -> None:
        """The line is gone: from now on quotes are missed."""
        self._watched_since_ms = None
        self._arrived(StreamLost(self._clock.now_ms()))

    def on_refused(self, why: str) -> None:
        """A lost stream may not begin anew."""
        self._outside.note(BlockReason.EXCHANGE_ERROR, why, _STREAM)

    def on_restored(self) -> None:
        """The line is back, and missed candles have been given out."""
        self._outside.note(BlockReason.EXCHANGE_ERROR, "", _STREAM)
        self._arrived(StreamRestored(self._clock.now_ms()))

    def on_candle(self, candle: Candle) -> None:
        """The next closed candle."""
        self._arrived(candle)

    def on_opening(self, opens_ms: int) -> None:
        """The opening quote of a candle is known."""
        self._arrived(_Opening(opens_ms))

    def on_ticker(self, ticker: TickerView) -> None:
        """Remember when the next settlement is due, and the last that was said before it."""
        if ticker.next_funding_ms and (self._due_ms is None or ticker.ts_ms < self._due_ms):
            self._due_ms = ticker.next_funding_ms
        if self._due_ms is not None and ticker.ts_ms < self._due_ms:
            self._before_due = ticker

    def on_book(self, book: BestQuote) -> None:
        """Let the account see the quote."""
        if self._is_open and self._held is None and self.market.is_up:
            self._see(book)

    def on_quote(self) -> None:
        """A quote between openings."""
        if self._held is None:
            self._inbox.put_quote()

    def broke(self, error: BaseException) -> None:
        """A part ended by a bug: the engine hears of it."""
        self._inbox.fail(error)

    # ---- in order, and held up while the past is fetched -------------------------------------------------

    def _arrived(self, news: _News) -> None:
        self._backlog.append(news)
        self._work_off()

    def _work_off(self) -> None:
        while self._backlog and self._is_open and self._held is None:
            news = self._backlog[0]
            if isinstance(news, Candle) and self._was_missed(news):
                self._hold(self._relive_backlog())
                return
            self._backlog.popleft()
            self._pass_on(news)

    def _pass_on(self, news: _News) -> None:
        match news:
            case Candle():
                self._desk.lived(news.open_time_ms + self._step)
                self._inbox.put(CandleClosed(news))
            case _Opening(opens_ms):
                self._inbox.put_opening(opens_ms)
            case _:
                self._inbox.put(news)

    def _was_missed(self, candle: Candle) -> bool:
        """Whether something was at stake in a candle of which not every quote was seen."""
        since_ms = self._watched_since_ms
        if since_ms is not None and (candle.open_time_ms >= since_ms or self._desk.entered_ms() >= since_ms):
            return False
        return self._desk.has_stake

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        self._held = asyncio.create_task(work, name="making up for the past")
        self._held.add_done_callback(self._released)

    def _released(self, task: asyncio.Task[None]) -> None:
        if task is self._held:
            self._held = None
        self._ended(task)
        self._work_off()
        self._see_newest()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._inbox.fail(error)

    async def _ready(self) -> None:
        """Wait for the past, not too long.

        Raises:
            ExchangeError: it takes longer.
        """
        until_s = self._clock.stopwatch_s() + self._rest.timing.ack_timeout_s
        while self._held is not None:
            left_s = until_s - self._clock.stopwatch_s()
            if left_s <= 0.0:
                raise ExchangeError("The paper account is still catching up with the market.", "Ask again.")
            await asyncio.wait([self._held], timeout=left_s)

    async def _ready_to_trade(self) -> None:
        try:
            await self._ready()
        except ExchangeError as error:
            raise OrderRefusedError(str(error), RefusalCode.NO_QUOTE) from None
        if not self.market.is_up or self.market.feed.book is None:
            raise refusal(RefusalCode.NO_QUOTE, "The market is not known at the moment.")

    # ---- quotes and settlements as they come ---------------------------------------------------------------

    def _see_newest(self) -> None:
        book = self.market.feed.book
        if book is not None and self._is_open and self._held is None and self.market.is_up:
            self._see(book)

    def _see(self, book: BestQuote) -> None:
        """A settlement that is due comes first: with a position the quote waits for its rate."""
        if self._watched_since_ms is None:
            self._watched_since_ms = book.ts_ms
        exchange, due_ms = self._desk.exchange, self._due_ms
        try:
            if due_ms is not None and book.ts_ms >= due_ms:
                if exchange.position is not None and due_ms > exchange.funding_settled_ms:
                    self._hold(self._settle(due_ms))
                    return
                exchange.settle_funding(due_ms, 0.0, book.mid_ticks)
                self._next_due(due_ms)
            mark = self.market.feed.ticker.mark_ticks
            exchange.on_quote(book.ts_ms, book.mid_ticks, None if math.isnan(mark) else mark)
            self._desk.flush()
        except BrokenInvariantError as error:
            self._inbox.fail(error)

    async def _settle(self, due_ms: int) -> None:
        """Settle with the rate and the mark of that moment; where history lags, with the last that was said before."""
        said = self._before_due
        rate, mark = said.funding_rate, said.mark_ticks
        before_ms = due_ms - 1 - (due_ms - 1) % self._step
        for wait_s in (0.0, *self._rest.timing.reconnect_s[: _RATE_TRIES - 1]):
            await self._clock.pause_s(wait_s)
            with suppress(ExchangeError):
                marks = await self._reader.marks(before_ms, before_ms)
                mark = marks[before_ms].close if marks else mark
                if settled := await self._past.settlements(due_ms, due_ms):
                    rate = settled[0].rate
                    break
        rate = 0.0 if math.isnan(rate) else rate
        book = self.market.feed.book
        if math.isnan(mark):
            mark = self._desk.last_mark(book.mid_ticks if book is not None else None)
        self._desk.exchange.settle_funding(due_ms, rate, mark)
        self._next_due(due_ms)
        self._desk.flush()

    def _next_due(self, settled_ms: int) -> None:
        next_ms = self.market.feed.ticker.next_funding_ms
        self._due_ms = next_ms if next_ms > settled_ms else None

    # ---- the time nobody looked ----------------------------------------------------------------------------

    async def _return_from_away(self) -> None:
        """At the start: candles since the account was last seen, if anything was at stake."""
        last_ms = self.market.line.last_ms
        if last_ms is None:
            return
        if self._desk.has_stake and self._desk.lived_ms <= last_ms:
            candles = await self._reader.closed(self._desk.lived_ms, last_ms)
            await self._relive(list(candles))
        self._desk.lived(last_ms + self._step)

    async def _relive_backlog(self) -> None:
        candles: list[Candle] = []
        while self._backlog and isinstance(self._backlog[0], Candle):
            candles.append(self._backlog.popleft())  # type: ignore[arg-type]
        await self._relive(candles)
        for candle in candles:
            self._inbox.put(CandleClosed(candle))

    async def _relive(self, candles: list[Candle]) -> None:
        """Run whole candles through the account, with their marks and settlements; waits until they can be had."""
        waits = deque(self._rest.timing.reconnect_s)
        while candles:
            try:
                past = await self._past.during(candles)
            except ExchangeError:
                await self._clock.pause_s(waits.popleft() if len(waits) > 1 else waits[0])
                continue
            self._desk.relive(candles, past)
            return
