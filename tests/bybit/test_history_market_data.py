"""Pages of candles and settlements: in order, closed, each once, with nothing made up; pairs and their tiers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.bybit.history import asking, opener
from tests.bybit.market_server import (
    CANDLE_MS,
    DAY_MS,
    FIRST_DAY,
    FUNDING,
    HOUR_MS,
    INSTRUMENTS,
    KLINE,
    MARK,
    MINUTE_MS,
    FakeMarket,
    prices,
    rate,
    serving,
)
from your_short_trade_margin_call.adapters.bybit.market_data import check_trading, near_pairs
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Rows, Span
from your_short_trade_margin_call.domain.errors import BadInputError, ExchangeError, UnknownPairError

END = FIRST_DAY + 3 * DAY_MS


def candles(market: FakeMarket, start_ms: int, end_ms: int) -> Rows:
    return asking(market, lambda data: data.candles("BTCUSDT", start_ms, end_ms))


def test_pages_are_put_together_oldest_first() -> None:
    market = FakeMarket()
    rows = candles(market, FIRST_DAY, END)
    assert rows.time_ms.tolist() == market.times(FIRST_DAY, END)
    assert rows.values[17, :4].tolist() == list(prices(int(rows.time_ms[17]), 0, CANDLE_MS))
    assert rows.column("volume")[0] == 12.5
    assert len(market.asked(KLINE)) == 2  # 1,440 candles
    assert all({"start", "end", "limit"} <= set(query) for query in market.asked(KLINE))


def test_the_running_candle_is_left_out() -> None:
    market = FakeMarket()
    rows = candles(market, END, END + DAY_MS)
    assert len(rows) == 100
    assert rows.time_ms[-1] + CANDLE_MS <= market.now_ms < rows.time_ms[-1] + 2 * CANDLE_MS


@pytest.mark.parametrize(("left_ms", "count"), [(-100, 10), (5_000, 9)])
def test_a_candle_counts_from_its_close_on(left_ms: int, count: int) -> None:
    market = FakeMarket(now_ms=END + 10 * CANDLE_MS - left_ms)
    assert len(candles(market, END, END + DAY_MS)) == count


def test_a_start_inside_a_candle_is_the_next_candle() -> None:
    rows = candles(FakeMarket(), FIRST_DAY + 1, FIRST_DAY + 10 * CANDLE_MS)
    assert rows.time_ms[0] == FIRST_DAY + CANDLE_MS
    assert len(rows) == 9


def test_duplicates_count_once() -> None:
    market = FakeMarket(duplicates=True)
    assert candles(market, FIRST_DAY, END).time_ms.tolist() == market.times(FIRST_DAY, END)
    assert len(market.asked(KLINE)) == 2


def test_a_page_with_holes_is_asked_for_once_more() -> None:
    market = FakeMarket(drop_once=7)
    assert candles(market, FIRST_DAY, FIRST_DAY + DAY_MS).time_ms.tolist() == market.times(
        FIRST_DAY, FIRST_DAY + DAY_MS
    )
    first, again = market.asked(KLINE)
    assert int(again["end"]) - int(again["start"]) + 1 == 7 * CANDLE_MS
    assert int(first["start"]) < int(again["start"])


def test_two_contents_for_one_time_are_none() -> None:
    """Neither is believed; the second answer settles it."""
    market = FakeMarket(contradiction=True)
    rows = candles(market, FIRST_DAY, FIRST_DAY + DAY_MS)
    assert rows.values[1, 0] == prices(FIRST_DAY + CANDLE_MS, 0, CANDLE_MS)[0]
    assert len(market.asked(KLINE)) == 2


def test_a_gap_stays_a_gap() -> None:
    lost = {FIRST_DAY + n * CANDLE_MS for n in (5, 6, 7, 100)}
    market = FakeMarket(lost=lost)
    rows = candles(market, FIRST_DAY, FIRST_DAY + DAY_MS)
    assert len(rows) == 476
    assert not np.isin(rows.time_ms, list(lost)).any()
    assert len(market.asked(KLINE)) == 2


@pytest.mark.parametrize("fault", [{"truncated": 2}, {"too_many": 1}])
def test_answers_cut_off_and_refused_are_asked_for_again(fault: dict[str, int]) -> None:
    market = FakeMarket(**fault)  # type: ignore[arg-type]
    assert len(candles(market, FIRST_DAY, FIRST_DAY + DAY_MS)) == 480


def test_an_exchange_that_never_answers_is_named() -> None:
    market = FakeMarket(truncated=1_000)
    with pytest.raises(ExchangeError, match="cut off"):
        candles(market, FIRST_DAY, FIRST_DAY + DAY_MS)


def test_mark_candles_and_minutes() -> None:
    market = FakeMarket()
    mark = asking(market, lambda data: data.mark("BTCUSDT", FIRST_DAY, FIRST_DAY + DAY_MS))
    assert mark.values[3].tolist() == [price + 5 for price in prices(FIRST_DAY + 3 * CANDLE_MS, 0, CANDLE_MS)]
    minutes = asking(market, lambda data: data.minutes("BTCUSDT", FIRST_DAY, FIRST_DAY + DAY_MS))
    assert np.diff(minutes.time_ms).tolist() == [MINUTE_MS] * 1_439
    assert (len(market.asked(MARK)), len(market.asked(KLINE))) == (1, 2)


def test_settlements_come_oldest_first() -> None:
    market = FakeMarket()
    rows = asking(market, lambda data: data.funding("BTCUSDT", FIRST_DAY, END + 1))
    assert rows.time_ms.tolist() == list(range(FIRST_DAY, END + 1, 8 * HOUR_MS))
    assert rows.values[4, 0] == float(rate(int(rows.time_ms[4])))
    assert len(market.asked(FUNDING)) == 1


def test_more_settlements_than_a_page_holds() -> None:
    market = FakeMarket(funding_every_ms=HOUR_MS)
    start = END - 20 * DAY_MS
    rows = asking(market, lambda data: data.funding("BTCUSDT", start, END))
    assert rows.time_ms.tolist() == list(range(start, END, HOUR_MS))
    assert len(market.asked(FUNDING)) == 3  # 480 of them
    assert all(int(query["startTime"]) < int(query["endTime"]) for query in market.asked(FUNDING))


def test_what_has_not_closed_is_not_known() -> None:
    market = FakeMarket()
    fetched = asking(market, lambda data: data.fetch(HistoryKind.CANDLES, "BTCUSDT", Span(END, END + 9 * DAY_MS)))
    assert fetched.until_ms == END + 100 * CANDLE_MS
    nothing = asking(market, lambda d: d.fetch(HistoryKind.CANDLES, "BTCUSDT", Span(END + DAY_MS, END + 2 * DAY_MS)))
    assert (len(nothing.rows), nothing.until_ms) == (0, END + DAY_MS)


# ---- pairs ------------------------------------------------------------------------------------------


def test_a_pair_with_all_its_tiers() -> None:
    market = FakeMarket(page_size=2)
    instrument, item = asking(market, lambda data: data.instrument("SOLUSDT"))
    assert (instrument.symbol, instrument.source, instrument.tiers_source) == ("SOLUSDT", "exchange", "exchange")
    assert len(instrument.tiers) == 5
    assert item["priceFilter"]["tickSize"] == "0.10"
    check_trading(item)


def test_all_pairs_page_by_page() -> None:
    market = FakeMarket(page_size=2)
    items = asking(market, lambda data: data.instruments())
    assert [item["symbol"] for item in items] == ["BTCUSDT", "SOLUSDT", "1000PEPEUSDT", "DOGEUSDT", "BTCPERP"]
    assert len(market.asked(INSTRUMENTS)) == 3


@pytest.mark.parametrize(("typed", "near"), [("PEPEUSDT", "1000PEPEUSDT"), ("DOGUSDT", "DOGEUSDT")])
def test_an_unknown_pair_names_those_that_may_be_meant(typed: str, near: str) -> None:
    with pytest.raises(UnknownPairError, match=f"no perpetual called {typed}.*{near}"):
        asking(FakeMarket(), lambda data: data.instrument(typed))


def test_a_pair_that_cannot_be_told_is_not_called_unknown() -> None:
    market = FakeMarket()
    market.failing[INSTRUMENTS] = 1_000
    with pytest.raises(ExchangeError):
        asking(market, lambda data: data.instrument("BTCUSDT"))


def test_near_pairs() -> None:
    names = ["BTCUSDT", "1000PEPEUSDT", "SHIB1000USDT", "ETHUSDT", "ETHFIUSDT"]
    assert near_pairs("SHIBUSDT", names)[:1] == ["SHIB1000USDT"]
    assert near_pairs("ETHUSTD", names)[0] == "ETHUSDT"
    assert near_pairs("QQQQUSDT", []) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "PreLaunch"}, "not listed yet"),
        ({"status": "Closed"}, "no longer listed"),
        ({"status": "Halted"}, "status Halted"),
        ({"deliveryTime": "1782000000000"}, "delisted at 2026-06-21"),
    ],
)
def test_contracts_that_do_not_trade(change: dict[str, str], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        check_trading({"symbol": "LUNAUSDT", "status": "Trading", "deliveryTime": "0", **change})


def test_prices_of_the_moment_of_a_server_that_has_none() -> None:
    with pytest.raises(ExchangeError):
        asking(FakeMarket(), lambda data: data.ticker("BTCUSDT"))


def test_nobody_there() -> None:
    with serving(FakeMarket()) as url:
        pass

    async def ask() -> None:
        async with opener(url)():
            raise AssertionError("nobody answers")

    with pytest.raises(ExchangeError):
        asyncio.run(ask())
