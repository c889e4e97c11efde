"""What the public streams are told about a pair, and when: at a close, at an opening, and in between."""

from __future__ import annotations

from collections.abc import Callable

from your_short_trade_margin_call.adapters.bybit_server.bus import Bus, Message
from your_short_trade_margin_call.adapters.bybit_server.intervals import PriceRow, end_of
from your_short_trade_margin_call.adapters.bybit_server.market_rows import (
    RETAIL,
    book_message,
    kline_message,
    limit_message,
    stream_ticker,
    ticker_message,
    trade_message,
)
from your_short_trade_margin_call.adapters.bybit_server.pair_market import PairMarket
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.tape import PublicTrade

BOOK_DEPTHS = ("1", "50", "200", "1000", RETAIL)
"""What may be subscribed to; no more levels are shown than there are."""
_SHARE_OF_LEVEL = 10
"""A trade is about this part of a level of the book."""

Announce = Callable[[str, Message], None]
"""Sends a closed candle's message to a topic, or does with it what a fault demands."""


class PublicFace:
    """Messages of one pair on the public bus. Nothing is made that nobody listens to.

    Args:
        pair: the market.
        bus: where to.
        now_ms: the market's time.
        announce: sends a closed candle's message.
    """

    def __init__(self, pair: PairMarket, bus: Bus, now_ms: Callable[[], int], announce: Announce) -> None:
        self.pair, self._bus, self._now_ms, self._announce = pair, bus, now_ms, announce
        self._told = {step_ms: pair.rows.closed(step_ms) for step_ms in pair.rows.bases}
        self._trade()

    # ---- the phases -------------------------------------------------------------------------------

    def closed(self) -> None:
        """CLOSE: candles that closed, shortest interval first."""
        self._tell_closed()

    def opened(self) -> None:
        """QUOTE: book, ticker, running candles, the first trade."""
        self._told |= {step_ms: self.pair.rows.closed(step_ms) for step_ms in self.pair.rows.bases}
        self._moved()

    def moved(self) -> None:
        """The price moved inside the candle; minutes that closed on the way are told first."""
        self._tell_closed()
        self._moved()

    def repeat_book(self) -> None:
        """The book again, unchanged, as the exchange does after 3 seconds of silence."""
        if self.pair.phase is Phase.QUOTE:
            self._books()

    def _moved(self) -> None:
        trade = self._trade()
        self.pair.tape.new_book()
        self._books()
        self._ticker()
        self._running()
        topic = f"publicTrade.{self.pair.symbol}"
        if self._bus.wants(topic):
            self._bus.publish(topic, trade_message(self.pair, trade, self._ts()))
        topic = f"priceLimit.{self.pair.symbol}"
        if self._bus.wants(topic):
            self._bus.publish(topic, limit_message(self.pair, self._ts()))

    # ---- one subscriber arrives -----------------------------------------------------------------------

    def snapshots(self, topic: str) -> list[Message]:
        """What a new subscriber of a topic is told at once."""
        kind, _, rest = topic.partition(".")
        if kind == "tickers":
            return [ticker_message(self.pair, "snapshot", self._ticker_for_newcomer(topic), self._ts())]
        if kind == "orderbook":
            return [book_message(self.pair, rest.partition(".")[0], self._ts())]
        if kind == "priceLimit":
            return [limit_message(self.pair, self._ts())]
        if kind == "kline":
            interval = rest.partition(".")[0]
            row = self.pair.rows.running(interval)
            return [] if row is None else [self._kline(interval, row, confirm=False)]
        return []

    def _ticker_for_newcomer(self, topic: str) -> dict[str, str]:
        """Deltas go to all alike: with others listening the newcomer starts from what they know."""
        if self.pair.tape.ticker is None or self._bus.listeners(topic) <= 1:
            self.pair.tape.ticker = stream_ticker(self.pair, self._ts())
        return dict(self.pair.tape.ticker)

    # ---- the messages -------------------------------------------------------------------------------

    def _ts(self) -> int:
        return self.pair.market_ms(self._now_ms())

    def _tell_closed(self) -> None:
        rows = self.pair.rows
        for step_ms in sorted(rows.bases):
            for row in range(self._told[step_ms], rows.closed(step_ms)):
                self._tell_row(step_ms, row)
            self._told[step_ms] = rows.closed(step_ms)

    def _tell_row(self, step_ms: int, row: int) -> None:
        for interval in self._wanted_intervals():
            if self.pair.rows.series(interval).base.step_ms != step_ms:
                continue
            candle = self.pair.rows.closing(interval, row)
            if candle is not None:
                self._announce(self._topic(interval), self._kline(interval, candle, confirm=True))

    def _running(self) -> None:
        for interval in self._wanted_intervals():
            row = self.pair.rows.running(interval)
            if row is not None:
                self._bus.publish(self._topic(interval), self._kline(interval, row, confirm=False))

    def _kline(self, interval: str, row: PriceRow, *, confirm: bool) -> Message:
        ts = self._now_ms()
        traded = min(self.pair.quoted_ms, end_of(interval, row.start_ms) - 1)
        return kline_message(self.pair, interval, row, confirm=confirm, traded_ms=traded, ts=ts)

    def _books(self) -> None:
        for depth in BOOK_DEPTHS:
            topic = f"orderbook.{depth}.{self.pair.symbol}"
            if self._bus.wants(topic):
                self._bus.publish(topic, book_message(self.pair, depth, self._ts()))

    def _ticker(self) -> None:
        topic, before = f"tickers.{self.pair.symbol}", self.pair.tape.ticker
        if not self._bus.wants(topic):
            return
        now = stream_ticker(self.pair, self._ts())
        self.pair.tape.ticker = now
        if before is None:
            self._bus.publish(topic, ticker_message(self.pair, "snapshot", now, self._ts()))
            return
        changed = {name: value for name, value in now.items() if name == "symbol" or before.get(name) != value}
        self._bus.publish(topic, ticker_message(self.pair, "delta", changed, self._ts()))

    def _trade(self) -> PublicTrade:
        pair = self.pair
        size = pair.qty_text(max(pair.contract.min_lots, pair.level_lots // _SHARE_OF_LEVEL))
        return pair.tape.trade(pair.quoted_ms, pair.last_ticks, pair.price_text(pair.last_ticks), size)

    def _topic(self, interval: str) -> str:
        return f"kline.{interval}.{self.pair.symbol}"

    def _wanted_intervals(self) -> list[str]:
        return [name for name in self.pair.rows.intervals if self._bus.wants(self._topic(name))]
