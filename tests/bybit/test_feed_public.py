"""The public messages of a pair: candles only when confirmed, books with both sides, tickers put together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from tests.bybit.fake_bybit import STEP, SYMBOL, T0
from your_short_trade_margin_call.adapters.bybit.numbers import Grid
from your_short_trade_margin_call.adapters.bybit.public_feed import BestQuote, PublicFeed, TickerView
from your_short_trade_margin_call.adapters.bybit.wire import STREAM
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Candle
from your_short_trade_margin_call.market.instruments import find_instrument

GRID = Grid(find_instrument(SYMBOL))
KLINE, BOOK, TICKERS = f"kline.3.{SYMBOL}", f"orderbook.1.{SYMBOL}", f"tickers.{SYMBOL}"


@dataclass
class Notes:
    confirmed: list[Candle] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    books: list[BestQuote] = field(default_factory=list)
    tickers: list[TickerView] = field(default_factory=list)

    def on_confirmed(self, candle: Candle) -> None:
        self.confirmed.append(candle)

    def on_running(self, open_time_ms: int) -> None:
        self.running.append(open_time_ms)

    def on_book(self, book: BestQuote) -> None:
        self.books.append(book)

    def on_ticker(self, ticker: TickerView) -> None:
        self.tickers.append(ticker)


def feed() -> tuple[PublicFeed, Notes]:
    notes = Notes()
    return PublicFeed(SYMBOL, GRID, STEP, notes), notes


def say(feed: PublicFeed, topic: str, data: Any, ts: int = T0, kind: str = "snapshot") -> None:
    feed.take(STREAM.decode(msgspec.json.encode({"topic": topic, "type": kind, "ts": ts, "data": data})))


def row(start: int = T0, *, confirm: bool = True, **other: Any) -> dict[str, Any]:
    prices = {"open": "100", "high": "101.1", "low": "99.5", "close": "100.5"}
    return {"start": start, "end": start + STEP - 1, "confirm": confirm, **prices, **other}


def book(bid: str, ask: str, u: int = 9) -> dict[str, Any]:
    return {"s": SYMBOL, "b": [[bid, "1"]], "a": [[ask, "1"]], "u": u, "seq": 1}


def test_it_wants_closed_candles_the_best_quotes_and_the_ticker() -> None:
    assert feed()[0].topics == (KLINE, BOOK, TICKERS)


def test_a_confirmed_candle_comes_in_ticks_a_running_one_only_by_its_time() -> None:
    reader, notes = feed()
    say(reader, KLINE, [row(confirm=True), row(T0 + STEP, confirm=False)])
    assert notes.confirmed == [Candle(T0, 1000.0, 1011.0, 995.0, 1005.0)]
    assert notes.running == [T0 + STEP]


@pytest.mark.parametrize(
    "prices",
    [
        {"open": "0"},
        {"high": "99"},
        {"low": "100.2"},
        {"close": "nan"},
        {"close": "x"},
        {"open": ""},
        {"high": "1e999"},
    ],
)
def test_prices_that_make_no_candle_are_refused(prices: dict[str, str]) -> None:
    reader, notes = feed()
    with pytest.raises(ExchangeError):
        say(reader, KLINE, [row(**prices)])
    assert notes.confirmed == []


@pytest.mark.parametrize("missing", ["start", "open", "close", "confirm"])
def test_a_candle_without_what_matters_is_refused(missing: str) -> None:
    reader, _ = feed()
    broken = row()
    del broken[missing]
    with pytest.raises(msgspec.ValidationError):
        say(reader, KLINE, [broken])


def test_a_book_is_its_mid_and_each_replaces_the_one_before() -> None:
    reader, notes = feed()
    say(reader, BOOK, book("100.0", "100.3"), ts=T0)
    say(reader, BOOK, book("100.1", "100.2"), ts=T0 + 1)
    assert [each.mid_ticks for each in notes.books] == [1001.5, 1001.5]
    assert reader.book == BestQuote(T0 + 1, 1001.0, 1002.0)


def test_a_late_book_is_ignored_unless_the_service_began_anew() -> None:
    reader, notes = feed()
    say(reader, BOOK, book("100.0", "100.1"), ts=T0 + 5)
    say(reader, BOOK, book("90.0", "90.1"), ts=T0)
    assert len(notes.books) == 1
    say(reader, BOOK, book("90.0", "90.1", u=1), ts=T0)
    assert reader.book == BestQuote(T0, 900.0, 901.0)


@pytest.mark.parametrize(
    "data",
    [
        {**book("1", "2"), "b": []},
        {**book("1", "2"), "a": []},
        book("100.2", "100.1"),
        book("100", "100"),
        book("0", "1"),
    ],
)
def test_a_book_without_a_mid_changes_nothing(data: dict[str, Any]) -> None:
    reader, notes = feed()
    say(reader, BOOK, data)
    assert reader.book is None
    assert notes.books == []
    assert reader.ignored["book without a mid"] == 1


def test_a_ticker_is_put_together_from_what_changed() -> None:
    reader, _ = feed()
    whole = {"markPrice": "100", "lastPrice": "101", "fundingRate": "0.0001", "nextFundingTime": str(T0 + STEP)}
    say(reader, TICKERS, {"symbol": SYMBOL, **whole})
    say(reader, TICKERS, {"symbol": SYMBOL, "markPrice": "100.5"}, ts=T0 + 1, kind="delta")
    say(reader, TICKERS, {"symbol": SYMBOL, "fundingRate": "", "lastPrice": None}, ts=T0 + 2, kind="delta")
    assert reader.ticker == TickerView(T0 + 2, 1005.0, 1010.0, 0.0001, T0 + STEP)
    say(reader, TICKERS, {"symbol": SYMBOL, "markPrice": "7"}, ts=T0, kind="delta")  # late
    assert reader.ticker.mark_ticks == 1005.0


def test_a_snapshot_of_the_ticker_begins_anew() -> None:
    reader, _ = feed()
    say(reader, TICKERS, {"symbol": SYMBOL, "markPrice": "100", "lastPrice": "101"})
    say(reader, TICKERS, {"symbol": SYMBOL, "lastPrice": "102"}, ts=T0 + 1)
    assert math.isnan(reader.ticker.mark_ticks)
    assert reader.ticker.last_ticks == 1020.0


def test_after_a_loss_nothing_is_known() -> None:
    reader, _ = feed()
    say(reader, BOOK, book("100.0", "100.3"))
    say(reader, TICKERS, {"symbol": SYMBOL, "markPrice": "100"})
    reader.forget()
    assert reader.book is None
    assert math.isnan(reader.ticker.mark_ticks)


def test_another_topic_is_ignored() -> None:
    reader, notes = feed()
    say(reader, "publicTrade.BTCUSDT", [])
    assert reader.ignored["unknown topic"] == 1
    assert notes == Notes()
