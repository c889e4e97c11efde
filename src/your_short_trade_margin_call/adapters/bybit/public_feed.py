"""What the public streams say about one pair, in ticks: candles as they close, the best bid and ask, the ticker."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from your_short_trade_margin_call.adapters.bybit import wire
from your_short_trade_margin_call.adapters.bybit.numbers import Grid, float_of, int_of
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Candle
from your_short_trade_margin_call.domain.spans import MINUTE_MS

DELTA = "delta"


@dataclass(frozen=True, slots=True)
class BestQuote:
    """The best bid and ask, in ticks, at a moment of the server (UTC ms)."""

    ts_ms: int
    bid_ticks: float
    ask_ticks: float

    @property
    def mid_ticks(self) -> float:
        """The mean of both."""
        return (self.bid_ticks + self.ask_ticks) / 2.0


@dataclass(frozen=True, slots=True)
class TickerView:
    """What the ticker has said so far; NaN and 0 stand for what it has not."""

    ts_ms: int = 0
    mark_ticks: float = math.nan
    last_ticks: float = math.nan
    funding_rate: float = math.nan
    next_funding_ms: int = 0


class FeedListener(Protocol):
    """Whoever wants to know, at once; called while the message is read."""

    def on_confirmed(self, candle: Candle) -> None:
        """The exchange says that a candle has closed. May come twice, late, out of order, or never."""

    def on_running(self, open_time_ms: int) -> None:
        """A candle is running: the one before it has closed."""

    def on_book(self, book: BestQuote) -> None:
        """The best bid or ask changed, or was repeated."""

    def on_ticker(self, ticker: TickerView) -> None:
        """Something in the ticker changed."""


class PublicFeed:
    """Reads the messages of one pair's public topics.

    Args:
        symbol: the pair.
        grid: its ticks.
        candle_ms: length of a candle.
        listener: told what was read.
    """

    def __init__(self, symbol: str, grid: Grid, candle_ms: int, listener: FeedListener) -> None:
        self._symbol = symbol
        self._grid = grid
        self._listener = listener
        self._kline = f"kline.{candle_ms // MINUTE_MS}.{symbol}"
        self._orderbook = f"orderbook.1.{symbol}"
        self._tickers = f"tickers.{symbol}"
        self.book: BestQuote | None = None
        """The newest book with both sides; None before the first one and after a loss."""
        self.ticker = TickerView()
        self.ignored: Counter[str] = Counter()
        """Messages that said nothing new, by kind."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return (self._kline, self._orderbook, self._tickers)

    def take(self, message: wire.StreamMessage) -> None:
        """Read one message.

        Raises:
            msgspec.ValidationError: a field is missing or of the wrong type.
            ExchangeError: a number cannot be read.
        """
        if message.topic == self._kline:
            self._take_candles(wire.STREAM_CANDLES.decode(message.data))
        elif message.topic == self._orderbook:
            self._take_book(message, wire.STREAM_BOOK.decode(message.data))
        elif message.topic == self._tickers:
            self._take_ticker(message, wire.STREAM_TICKER.decode(message.data))
        else:
            self.ignored["unknown topic"] += 1

    def forget(self) -> None:
        """The connection is gone: what was the market is history."""
        self.book = None
        self.ticker = TickerView()

    def _take_candles(self, rows: list[wire.StreamCandle]) -> None:
        for row in rows:
            if row.confirm:
                prices = (row.open, row.high, row.low, row.close)
                self._listener.on_confirmed(candle_of(self._grid, row.start, prices))
            else:
                self._listener.on_running(row.start)

    def _take_book(self, message: wire.StreamMessage, book: wire.Book) -> None:
        """Level 1 is a snapshot each time. One side may be empty: then there is no mid."""
        if message.type == DELTA or not book.b or not book.a:
            self.ignored["book without a mid"] += 1
            return
        known = self.book
        if known is not None and message.ts < known.ts_ms and book.u != 1:  # 1: the service began anew
            self.ignored["late book"] += 1
            return
        read = BestQuote(message.ts, self._grid.ticks(book.b[0][0]), self._grid.ticks(book.a[0][0]))
        if not 0.0 < read.bid_ticks < read.ask_ticks:
            self.ignored["book without a mid"] += 1
            return
        self.book = read
        self._listener.on_book(read)

    def _take_ticker(self, message: wire.StreamMessage, row: wire.Ticker) -> None:
        """A snapshot begins anew, a delta changes what it names."""
        base = self.ticker if message.type == DELTA else TickerView()
        if message.type == DELTA and message.ts < base.ts_ms:
            self.ignored["late ticker"] += 1
            return
        self.ticker = replace(
            base,
            ts_ms=message.ts,
            mark_ticks=self._grid.ticks(row.mark_price) if row.mark_price else base.mark_ticks,
            last_ticks=self._grid.ticks(row.last_price) if row.last_price else base.last_ticks,
            funding_rate=float_of(row.funding_rate) if row.funding_rate else base.funding_rate,
            next_funding_ms=int_of(row.next_funding_time) if row.next_funding_time else base.next_funding_ms,
        )
        self._listener.on_ticker(self.ticker)


def candle_of(grid: Grid, open_time_ms: int, prices: Sequence[str]) -> Candle:
    """Open, high, low, close as text, as a candle in ticks.

    Raises:
        ExchangeError: the prices make no candle.
    """
    open_, high, low, close = (grid.ticks(price) for price in prices)
    if not 0.0 < low <= min(open_, close) <= max(open_, close) <= high:
        raise ExchangeError(f"The prices {', '.join(prices)} make no candle.", "It is asked for again.")
    return Candle(open_time_ms, open_, high, low, close)
