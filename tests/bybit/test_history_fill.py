"""From the exchange into the store and out as candles: each page once, nothing lost when it breaks off."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bybit.history import opener
from tests.bybit.market_server import (
    CANDLE_MS,
    DAY_MS,
    FIRST_DAY,
    FUNDING,
    HOUR_MS,
    KLINE,
    MARK,
    TIME,
    FakeMarket,
    prices,
    serving,
)
from tests.storage.test_candle_store_damage import Dying
from your_short_trade_margin_call.adapters.bybit.candle_source import BybitCandleSource
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.history import fill, forget_another_market, source_of
from your_short_trade_margin_call.adapters.bybit.market_data import MarketData
from your_short_trade_margin_call.adapters.storage.candle_store import CandleStore
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Span
from your_short_trade_margin_call.domain.errors import DiskError, ExchangeError
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.market.candles import Candles

END = FIRST_DAY + 3 * DAY_MS
DAYS = Span(FIRST_DAY, END)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "bybit", "BTCUSDT")


@contextmanager
def source(market: FakeMarket, store: CandleStore, **options: bool) -> Iterator[BybitCandleSource]:
    with serving(market) as url:
        yield BybitCandleSource(store, opener(url), **options)  # type: ignore[arg-type]


def filled(market: FakeMarket, store: CandleStore, span: Span = DAYS) -> list[tuple[int, int]]:
    """Fill the store; what was reported."""
    reports: list[tuple[int, int]] = []

    async def run(url: str) -> None:
        async with opener(url)() as data:
            await fill(data, store, span, report=lambda done, total: reports.append((done, total)))

    with serving(market) as url:
        asyncio.run(run(url))
    return reports


# ---- filling ----------------------------------------------------------------------------------------


def test_three_days_in_few_requests(store: CandleStore) -> None:
    market = FakeMarket()
    reports = filled(market, store)
    assert {path: len(market.asked(path)) for path in (KLINE, MARK, FUNDING)} == {KLINE: 2, MARK: 2, FUNDING: 1}
    assert store.rows(HistoryKind.CANDLES, DAYS).time_ms.tolist() == market.times(*DAYS)
    assert len(store.rows(HistoryKind.FUNDING, Span(FIRST_DAY, END + 1))) == 10
    assert reports[-1] == (9, 9)
    assert reports == sorted(reports)


def test_a_kept_day_is_not_fetched_again(store: CandleStore) -> None:
    market = FakeMarket()
    filled(market, store)
    market.log.clear()
    assert filled(market, store) == [(9, 9)]
    assert {path for path, _ in market.log} == {TIME}


def test_one_day_more_is_one_day_of_requests(store: CandleStore) -> None:
    market = FakeMarket()
    filled(market, store, Span(FIRST_DAY + DAY_MS, END))
    market.log.clear()
    reports = filled(market, store)
    (query,) = market.asked(KLINE)
    assert (int(query["start"]), int(query["end"])) == (FIRST_DAY, FIRST_DAY + DAY_MS - 1)
    assert reports[0] == (6, 9)


def test_a_gap_is_asked_for_twice_and_then_known(store: CandleStore) -> None:
    market = FakeMarket(lost={FIRST_DAY + 30 * CANDLE_MS})
    filled(market, store)
    assert len(market.asked(KLINE)) == 3
    market.log.clear()
    filled(market, store)
    assert market.asked(KLINE) == []
    market.now_ms += DAY_MS + 60_000
    filled(market, store)
    assert len(market.asked(KLINE)) == 2  # the gap, and once more
    assert store.candles(DAYS).missing == 1


def test_what_the_exchange_finds_later_comes_in(store: CandleStore) -> None:
    market = FakeMarket(lost={FIRST_DAY + 30 * CANDLE_MS})
    filled(market, store)
    market.lost.clear()
    market.now_ms += DAY_MS + 60_000
    filled(market, store)
    assert store.candles(DAYS).missing == 0


@pytest.mark.parametrize("pages", range(5))
def test_broken_off_anywhere_the_next_run_goes_on(store: CandleStore, pages: int) -> None:
    market = FakeMarket(stops_after=pages)
    with pytest.raises(ExchangeError):
        filled(market, store)
    kept = sum(len(store.days(kind)) for kind in HistoryKind)
    market.stops_after = None
    market.log.clear()
    filled(market, store)
    assert store.candles(DAYS).content_hash == reference(store.folder.parent).content_hash
    asked = len([path for path, _ in market.log if path != TIME])
    assert asked <= 5 - pages, (kept, asked)


def reference(folder: Path) -> Candles:
    """The same three days, fetched without trouble."""
    store = CandleStore(folder / "reference", "BTCUSDT")
    filled(FakeMarket(), store)
    return store.candles(DAYS)


@pytest.mark.parametrize("writes", [0, 1, 4, 7])
def test_killed_at_a_write_the_next_run_goes_on(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    market = FakeMarket()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", Dying(writes, OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(DiskError, match="No space left"):
            filled(market, store)
    for day in store.days(HistoryKind.CANDLES):
        assert len(store.rows(HistoryKind.CANDLES, Span(day, day + DAY_MS))) == 480
    filled(market, store)
    assert store.candles(DAYS).content_hash == reference(store.folder.parent).content_hash


def test_an_endpoint_that_fails_now_and_then_is_tried_again(store: CandleStore) -> None:
    market = FakeMarket(too_many=2, truncated=3)
    market.failing.update({MARK: 5, FUNDING: 2})
    filled(market, store)
    assert store.candles(DAYS).content_hash == reference(store.folder.parent).content_hash


# ---- as the engine's source ---------------------------------------------------------------------------


def test_a_window_up_to_now(store: CandleStore) -> None:
    market = FakeMarket()
    with source(market, store) as candles_of:
        until = market.now_ms // CANDLE_MS * CANDLE_MS
        candles = candles_of.window(until, DAY_MS)
    assert (candles.start_ms, candles.end_ms, candles.gaps) == (until - DAY_MS, until, 0)
    assert candles.mark is not None
    assert candles.funding is not None
    assert candles.funding.time_ms.tolist() == [END - 16 * HOUR_MS, END - 8 * HOUR_MS, END]
    assert candles.close[-1] == prices(until - CANDLE_MS, 0, CANDLE_MS)[3]


def test_windows_that_follow_ask_for_the_new_part_only(store: CandleStore) -> None:
    market = FakeMarket()
    with source(market, store) as candles_of:
        until = market.now_ms // CANDLE_MS * CANDLE_MS
        candles_of.window(until, DAY_MS)
        market.log.clear()
        market.now_ms += 2 * HOUR_MS
        assert candles_of.window(until + 2 * HOUR_MS, DAY_MS).end_ms == until + 2 * HOUR_MS
    (query,) = market.asked(KLINE)
    assert (int(query["start"]), int(query["end"])) == (until, until + 2 * HOUR_MS - 1)


def test_a_window_of_the_past_needs_no_exchange(store: CandleStore) -> None:
    with source(FakeMarket(), store) as candles_of:
        first = candles_of.candles(FIRST_DAY, END)
    assert candles_of.candles(FIRST_DAY, END) == first
    assert candles_of.window(END - 7, HOUR_MS).end_ms == END - CANDLE_MS


def test_without_the_exchange_a_missing_part_is_an_error(store: CandleStore) -> None:
    with source(FakeMarket(), store) as candles_of:
        candles_of.candles(FIRST_DAY, FIRST_DAY + DAY_MS)
    with pytest.raises(ExchangeError, match="must be fetched \\(only 1 day in") as caught:
        candles_of.candles(FIRST_DAY, END)
    assert "--candles FILE" in caught.value.cure


def test_without_the_exchange_candles_alone_will_do(store: CandleStore) -> None:
    """What is not beside them is told."""
    market = FakeMarket()
    with source(market, store) as candles_of:
        candles_of.candles(FIRST_DAY, END)
    for path in (store.folder / "mark").iterdir():
        path.unlink()
    candles = candles_of.candles(FIRST_DAY, END)
    assert (len(candles), candles.mark) == (1_440, None)


def test_a_candle_that_comes_late_is_waited_for(store: CandleStore) -> None:
    """Both the page and its repair come without it; a second later it is there."""
    market = FakeMarket()
    until = market.now_ms // CANDLE_MS * CANDLE_MS
    market.late = {until - CANDLE_MS}
    with source(market, store) as candles_of:
        assert candles_of.window(until, HOUR_MS).end_ms == until


def test_a_window_whose_last_candle_never_comes(store: CandleStore) -> None:
    market = FakeMarket()
    until = market.now_ms // CANDLE_MS * CANDLE_MS
    market.lost = {until - CANDLE_MS}
    with source(market, store) as candles_of:
        candles = candles_of.window(until, HOUR_MS)
    assert candles.quality.notes == ("candles: 1 candle missing at the end of the stretch.",)
    assert store.needed(HistoryKind.CANDLES, Span(until - HOUR_MS, until), until)  # no gap yet: it is too young


def test_inside_a_running_loop_it_is_refused(store: CandleStore) -> None:
    async def wrong(candles_of: BybitCandleSource) -> None:
        candles_of.window(END, HOUR_MS)

    async def right(candles_of: BybitCandleSource) -> int:
        await candles_of.fetch(END - HOUR_MS, END)
        return len(await asyncio.to_thread(candles_of.window, END, 2 * HOUR_MS))

    with source(FakeMarket(), store) as candles_of:
        with pytest.raises(RuntimeError, match="await fetch"):
            asyncio.run(wrong(candles_of))
        assert asyncio.run(right(candles_of)) == 40


def test_from_a_thread_while_a_loop_runs_elsewhere(store: CandleStore) -> None:
    found: list[int] = []

    async def live(candles_of: BybitCandleSource) -> None:
        thread = threading.Thread(target=lambda: found.append(len(candles_of.window(END, HOUR_MS))))
        thread.start()
        await asyncio.to_thread(thread.join)

    with source(FakeMarket(), store) as candles_of:
        asyncio.run(live(candles_of))
    assert found == [20]


# ---- another market behind the same port --------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "forgotten"),
    [
        (FakeMarket(), False),
        (FakeMarket(seed=1), True),
        (FakeMarket(now_ms=FIRST_DAY + DAY_MS), True),
        (FakeMarket(launch_ms=FIRST_DAY + DAY_MS), True),
    ],
    ids=["the same", "other prices", "before those candles", "without the first"],
)
def test_what_is_kept_of_another_market_is_forgotten(store: CandleStore, other: FakeMarket, forgotten: bool) -> None:
    filled(FakeMarket(), store)

    async def ask(data: MarketData) -> bool:
        return await forget_another_market(data, store)

    async def run(url: str) -> bool:
        async with opener(url)() as data:
            return await ask(data)

    with serving(other) as url:
        assert asyncio.run(run(url)) is forgotten
    assert (store.days(HistoryKind.CANDLES) == ()) is forgotten
    assert (store.needed(HistoryKind.CANDLES, DAYS, END) != ()) is forgotten


def test_a_throwaway_source_compares_before_it_believes(store: CandleStore) -> None:
    with source(FakeMarket(), store) as candles_of:
        old = candles_of.candles(FIRST_DAY, END)
    with source(FakeMarket(seed=1), store, throwaway=True) as candles_of:
        new = candles_of.candles(FIRST_DAY, END)
        assert new.content_hash != old.content_hash
        assert candles_of.candles(FIRST_DAY, END) == new


def test_each_market_has_its_own_name() -> None:
    def named(account: Account, url: str | None = None) -> str:
        return source_of(endpoint_for(account, url))

    assert {named(account) for account in (Account.PAPER, Account.MAINNET, Account.DEMO)} == {"bybit"}
    assert named(Account.PAPER, "https://api.bytick.com") == "bybit"
    assert named(Account.TESTNET) == "bybit-testnet"
    assert named(Account.PAPER, "https://api.bybit.nl") == "bybit-at-api.bybit.nl"
    assert named(Account.PAPER, "http://127.0.0.1:8080") == "loopback-8080"
    assert named(Account.TESTNET, "http://localhost:9999") == "loopback-9999"
