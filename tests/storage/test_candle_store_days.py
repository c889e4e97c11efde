"""Days of candles on disk: what is missing, what is never asked for again, what candles come out."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.storage.history_builders import CANDLES, DAY, FUNDING, HOUR, MARK, MINUTES, STEP, day, put, rows_of
from your_short_trade_margin_call.adapters.storage.candle_store import TAIL_MS, CandleStore
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Rows, Span
from your_short_trade_margin_call.domain.errors import EmptyCandlesError
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates, MarkCandles, MinuteCandles
from your_short_trade_margin_call.paths import Paths

LATER = DAY + 10 * DAY_MS
TWO_DAYS = Span(DAY, DAY + 2 * DAY_MS)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore.at(Paths(tmp_path), "BTCUSDT", "bybit")


def test_nothing_exists_before_the_first_write(store: CandleStore) -> None:
    assert store.needed(CANDLES, TWO_DAYS, LATER) == (day(0), day(1))
    assert not store.folder.exists()
    assert (store.days(CANDLES), store.size()) == ((), 0)


@pytest.mark.parametrize("kind", HistoryKind)
def test_a_whole_day_is_never_needed_again(store: CandleStore, kind: HistoryKind) -> None:
    assert put(store, kind, TWO_DAYS, LATER) == len(rows_of(kind, TWO_DAYS))
    assert store.needed(kind, TWO_DAYS, LATER) == ()
    assert store.needed(kind, Span(DAY, DAY + 3 * DAY_MS), LATER) == (day(2),)
    assert store.days(kind) == (DAY, DAY + DAY_MS)


def test_the_running_day_is_completed_bit_by_bit(store: CandleStore) -> None:
    now = DAY + 5 * HOUR + 1
    (need,) = store.needed(CANDLES, TWO_DAYS, now)
    assert need == Span(DAY, DAY + 5 * HOUR)
    assert put(store, CANDLES, need, now) == 100
    assert store.needed(CANDLES, TWO_DAYS, now) == ()
    assert store.needed(CANDLES, TWO_DAYS, now + STEP) == (Span(need.end_ms, need.end_ms + STEP),)


def test_what_comes_twice_is_kept_once(store: CandleStore) -> None:
    put(store, CANDLES, day(0), LATER)
    written = store.folder / "candles" / "2025-05-30.parquet"
    before = written.stat().st_mtime_ns
    assert put(store, CANDLES, day(0), LATER) == 0
    assert written.stat().st_mtime_ns == before


def test_a_missing_candle_that_is_young_is_no_gap_yet(store: CandleStore) -> None:
    now = DAY + 5 * HOUR
    put(store, CANDLES, Span(DAY, now), now, lost=(now - STEP,))
    assert store.needed(CANDLES, day(0), now) == (Span(now - STEP, now),)
    assert store.needed(CANDLES, day(0), now + TAIL_MS)[0].start_ms == now - STEP


def test_settlements_just_before_now_may_still_come(store: CandleStore) -> None:
    now = DAY + 8 * HOUR + 60_000
    put(store, FUNDING, Span(DAY, now), now)
    (need,) = store.needed(FUNDING, day(0), now)
    assert need == Span(now - TAIL_MS, now + 1)


def test_a_day_without_a_settlement_says_so(store: CandleStore) -> None:
    span = Span(DAY + HOUR, DAY + 2 * HOUR)
    put(store, CANDLES, day(0), LATER)
    assert store.candles(span).funding is None
    store.put(Rows.empty(FUNDING), day(0), LATER)
    funding = store.candles(span).funding
    assert funding is not None
    assert len(funding) == 0
    assert store.needed(FUNDING, day(0), LATER) == ()


def test_candles_come_out_with_what_belongs_to_them(store: CandleStore) -> None:
    for kind in HistoryKind:
        put(store, kind, Span(DAY, DAY + 2 * DAY_MS + 1), LATER)
    candles = store.candles(TWO_DAYS, tuple(HistoryKind))
    assert (len(candles), candles.gaps, candles.quality.notes) == (960, 0, ())
    assert (candles.start_ms, candles.end_ms) == TWO_DAYS
    assert candles.mark is not None
    assert len(candles.mark) == 960
    assert candles.minutes is not None
    assert len(candles.minutes) == 2_880
    assert candles.funding is not None  # in (first open, last close]
    assert candles.funding.time_ms.tolist() == list(range(DAY + 8 * HOUR, DAY + 48 * HOUR + 1, 8 * HOUR))
    assert store.candles(TWO_DAYS).minutes is None


def test_files_are_those_that_other_commands_read(store: CandleStore) -> None:
    for kind in HistoryKind:
        put(store, kind, day(0), LATER)
    files = {kind: store.folder / kind / "2025-05-30.parquet" for kind in HistoryKind}
    read = Candles.from_file(
        files[CANDLES], symbol="BTCUSDT", mark=files[MARK], funding=files[FUNDING], minutes=files[MINUTES]
    )
    assert read == store.candles(day(0), tuple(HistoryKind))
    assert MarkCandles.from_file(files[MARK]) == read.mark
    assert len(FundingRates.from_file(files[FUNDING])) == 3
    assert len(MinuteCandles.from_file(files[MINUTES])) == 1_440
    assert pl.read_parquet(files[CANDLES]).columns == ["ts", "open", "high", "low", "close", "volume"]


def test_gaps_and_ends_are_told(store: CandleStore) -> None:
    lost = (DAY, DAY + 10 * STEP, DAY + 11 * STEP)
    put(store, CANDLES, day(0), LATER, lost=lost)
    candles = store.candles(Span(DAY, DAY + 2 * DAY_MS))
    assert (candles.gaps, candles.missing, len(candles)) == (1, 2, 477)
    assert candles.quality.notes == (
        "candles: 1 candle missing at the start of the stretch.",
        "candles: 480 candles missing at the end of the stretch.",
    )


def test_no_candle_at_all_is_an_error(store: CandleStore) -> None:
    with pytest.raises(EmptyCandlesError, match="shortest-peak fetch BTCUSDT"):
        store.candles(day(0))


def test_sources_do_not_mix(tmp_path: Path) -> None:
    put(CandleStore.at(Paths(tmp_path), "BTCUSDT", "bybit-testnet"), CANDLES, day(0), LATER)
    bybit = CandleStore.at(Paths(tmp_path), "BTCUSDT", "bybit")
    assert bybit.needed(CANDLES, day(0), LATER) == (day(0),)


def test_wiping_forgets_days_and_gaps(store: CandleStore) -> None:
    put(store, CANDLES, day(0), LATER, lost=(DAY,))
    store.wipe()
    assert store.needed(CANDLES, day(0), LATER) == (day(0),)
    assert store.days(CANDLES) == ()


def test_rows_that_cannot_be_are_left_out() -> None:
    sound = (DAY, 10.0, 11.0, 9.0, 10.5, 1.0)
    wrong = (
        (DAY + 1, *sound[1:]),  # off the grid
        (DAY + STEP, 10.0, 9.0, 11.0, 10.5, 1.0),
        (DAY + STEP, 0.0, 11.0, 0.0, 10.5, 1.0),
        (DAY + STEP, 12.0, 11.0, 9.0, 10.5, 1.0),
        (DAY + STEP, 10.0, 11.0, 9.0, 10.5, -1.0),
        (DAY + STEP, 10.0, float("nan"), 9.0, 10.5, 1.0),
        (DAY + STEP, 10.0, 300.0, 9.0, 10.5, 1.0),
    )
    for row in wrong:
        assert Rows.of(CANDLES, [row, sound, sound]).time_ms.tolist() == [DAY], row
    assert len(Rows.of(CANDLES, [sound, (*sound[:4], 10.0, 1.0)])) == 0  # two contents: neither is believed
    assert len(Rows.of(FUNDING, [(DAY, 1.0), (DAY + HOUR, 0.01), (DAY + HOUR + 30_000, 0.01)])) == 1
