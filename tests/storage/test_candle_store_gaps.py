"""The gap ledger: what the exchange does not deliver is asked for again, but rarely and not for ever."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.history_builders import CANDLES, DAY, FUNDING, HOUR, MARK, STEP, day, put
from your_short_trade_margin_call.adapters.storage.candle_store import CandleStore
from your_short_trade_margin_call.adapters.storage.gap_ledger import MOST_TIMES, GapLedger
from your_short_trade_margin_call.adapters.storage.history_rows import Span, days_in, spans_of
from your_short_trade_margin_call.domain.spans import DAY_MS

LATER = DAY + 10 * DAY_MS
LOST = (DAY + 40 * STEP, DAY + 41 * STEP)
GAP = Span(LOST[0], LOST[-1] + STEP)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "bybit", "BTCUSDT")


def test_a_known_gap_is_asked_for_again_a_day_later(store: CandleStore) -> None:
    put(store, CANDLES, day(0), LATER, lost=LOST)
    assert store.needed(CANDLES, day(0), LATER) == ()
    assert store.needed(CANDLES, day(0), LATER + DAY_MS - 1) == ()
    assert store.needed(CANDLES, day(0), LATER + DAY_MS) == (GAP,)


def test_not_for_ever(store: CandleStore) -> None:
    now = LATER
    put(store, CANDLES, day(0), now, lost=LOST)
    for _ in range(MOST_TIMES - 1):
        now += DAY_MS
        assert store.needed(CANDLES, day(0), now) == (GAP,)
        put(store, CANDLES, GAP, now, lost=LOST)
    assert store.needed(CANDLES, day(0), now + 100 * DAY_MS) == ()


def test_a_gap_that_was_filled_is_none(store: CandleStore) -> None:
    put(store, CANDLES, day(0), LATER, lost=LOST)
    put(store, CANDLES, GAP, LATER + DAY_MS, lost=LOST[:1])
    assert store.candles(day(0)).missing == 1
    put(store, CANDLES, GAP, LATER + 2 * DAY_MS)
    assert store.candles(day(0)).missing == 0
    assert store.needed(CANDLES, day(0), LATER + 99 * DAY_MS) == ()


def test_gaps_of_one_kind_are_not_those_of_another(store: CandleStore) -> None:
    put(store, CANDLES, day(0), LATER, lost=LOST)
    put(store, MARK, day(0), LATER)
    assert store.needed(MARK, day(0), LATER) == ()
    assert store.candles(day(0)).mark is not None


def test_a_lost_file_is_needed_again_but_for_its_gaps(store: CandleStore) -> None:
    put(store, CANDLES, day(0), LATER, lost=(DAY,))
    (store.folder / "candles" / "2025-05-30.parquet").unlink()
    assert store.needed(CANDLES, day(0), LATER) == (Span(DAY + STEP, DAY + DAY_MS),)


def test_lost_settlements_are_needed_again(store: CandleStore) -> None:
    put(store, FUNDING, day(0), LATER)
    (store.folder / "funding" / "2025-05-30.parquet").unlink()
    assert store.needed(FUNDING, day(0), LATER) == (day(0),)


spans = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda p: Span(DAY + p[0] * STEP, DAY + sum(p) * STEP))


@given(st.lists(st.tuples(spans, st.sets(st.integers(0, 80))), max_size=8))
def test_the_ledger_is_what_was_asked_for_last_and_did_not_come(asked: list[tuple[Span, set[int]]]) -> None:
    """Against a dictionary of single candles."""
    ledger, known = GapLedger(), dict[int, int]()
    for moment, (span, numbers) in enumerate(asked):
        missing = sorted(t for n in numbers if span.start_ms <= (t := DAY + n * STEP) < span.end_ms)
        ledger = ledger.after_asking(CANDLES, span, spans_of(np.array(missing, dtype=np.int64), STEP), moment)
        known = {t: m for t, m in known.items() if not span.start_ms <= t < span.end_ms}
        known |= dict.fromkeys(missing, moment)
    listed = {t: gap.asked_ms for gap in ledger.gaps for t in range(*gap.span, STEP)}
    assert listed == known
    assert GapLedger.parsed(ledger.document()) == ledger
    assert sum(gap.span.end_ms - gap.span.start_ms for gap in ledger.gaps) == len(known) * STEP


@given(st.integers(0, 3 * DAY_MS), st.integers(1, 3 * DAY_MS))
def test_days_cover_a_span_without_overlap(start: int, length: int) -> None:
    span = Span(DAY + start, DAY + start + length)
    parts = list(days_in(span))
    assert (parts[0].start_ms, parts[-1].end_ms) == span
    assert all(a.end_ms == b.start_ms and a.end_ms % DAY_MS == 0 for a, b in pairwise(parts))


def test_the_day_of_an_hour() -> None:
    (part,) = days_in(Span(DAY + HOUR, DAY + 2 * HOUR))
    assert part == Span(DAY + HOUR, DAY + 2 * HOUR)
