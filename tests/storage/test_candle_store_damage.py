"""Files that are no files of ours, two writers at once, and a process that dies at any write."""

from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from tests.storage.history_builders import (
    CANDLES,
    DAY,
    FUNDING,
    MARK,
    day,
    put,
    put_every_other_hour,
    rows_of,
)
from your_short_trade_margin_call.adapters.storage.candle_store import CandleStore
from your_short_trade_margin_call.adapters.storage.day_files import as_parquet
from your_short_trade_margin_call.adapters.storage.history_rows import Rows, Span
from your_short_trade_margin_call.domain.errors import DiskError
from your_short_trade_margin_call.domain.spans import DAY_MS

SPAWN = multiprocessing.get_context("spawn")
LATER = DAY + 10 * DAY_MS


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "bybit", "BTCUSDT")


def shuffled(rows: Rows) -> Rows:
    return Rows(rows.kind, rows.time_ms[::-1].copy(), rows.values[::-1].copy())


BAD_FILES = {
    "cut": as_parquet(rows_of(CANDLES, day(0)))[:-100],
    "empty": b"",
    "nonsense": b"PAR1 this is no table PAR1",
    "another kind": as_parquet(rows_of(FUNDING, day(0))),
    "another day": as_parquet(rows_of(CANDLES, day(1))),
    "out of order": as_parquet(shuffled(rows_of(CANDLES, day(0)))),
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_none_is_set_aside_and_fetched_anew(store: CandleStore, content: bytes) -> None:
    put(store, CANDLES, day(0), LATER)
    path = store.folder / "candles" / "2025-05-30.parquet"
    path.write_bytes(content)
    assert store.needed(CANDLES, day(0), LATER) == (day(0),)
    aside = path.with_name(f"{path.name}.corrupt-1")
    assert aside.read_bytes() == content
    assert not path.exists()
    (note,) = store.notes
    assert str(aside) in note
    put(store, CANDLES, day(0), LATER)
    assert store.needed(CANDLES, day(0), LATER) == ()
    assert store.candles(day(0)).quality.notes == (note,)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema_version": 9}', '{"schema_version": 1, "gaps": [{}]}'])
def test_a_ledger_that_is_none_is_set_aside(store: CandleStore, text: str) -> None:
    put(store, CANDLES, day(0), LATER, lost=(DAY,))
    (store.folder / "ledger.json").write_text(text)
    assert store.needed(CANDLES, day(0), LATER) == (Span(DAY, DAY + 180_000),)
    assert (store.folder / "ledger.json.corrupt-1").read_text() == text
    assert len(store.notes) == 1
    put(store, CANDLES, day(0), LATER, lost=(DAY,))
    assert store.needed(CANDLES, day(0), LATER) == ()


def test_a_file_that_cannot_be_read_is_named(store: CandleStore) -> None:
    (store.folder / "candles" / "2025-05-30.parquet").mkdir(parents=True)
    with pytest.raises(DiskError, match=r"2025-05-30\.parquet could not be read"):
        store.needed(CANDLES, day(0), LATER)


def test_two_processes_at_once_lose_nothing(store: CandleStore) -> None:
    children = [SPAWN.Process(target=put_every_other_hour, args=(store.folder, odd)) for odd in (False, True)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    assert store.rows(CANDLES, day(0)).equals(rows_of(CANDLES, day(0)))
    assert store.needed(CANDLES, day(0), LATER) == ()
    assert store.notes == ()


class Dying:
    """`os.replace` up to a moment: the first `left` renames happen, then the process 'dies'."""

    def __init__(self, left: int, error: BaseException) -> None:
        self.left = left
        self._error = error
        self._honest = os.replace

    def __call__(self, source: str, target: str) -> None:
        if not self.left:
            raise self._error
        self.left -= 1
        self._honest(source, target)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("writes", range(5))
def test_whatever_write_is_the_last_the_next_run_completes_it(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch, writes: int, error: BaseException
) -> None:
    """Two days with a gap each, and one of settlements: four day files and a ledger."""
    lost = (DAY + 180_000, DAY + DAY_MS + 180_000)
    span = Span(DAY, DAY + 2 * DAY_MS)

    def fill() -> None:
        for kind in (CANDLES, FUNDING):
            for need in store.needed(kind, span, LATER):
                put(store, kind, need, LATER, lost=lost)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", Dying(writes, error))
        with pytest.raises((KeyboardInterrupt, DiskError)):
            fill()
    whole = [rows_of(CANDLES, day(n), lost) for n in range(2)]
    kept = [store.rows(CANDLES, day(n)) for n in range(2)]
    assert all(not len(rows) or rows.equals(whole[n]) for n, rows in enumerate(kept))  # a whole day or none
    assert not list(store.folder.rglob("*.tmp"))
    fill()
    assert [store.rows(CANDLES, day(n)).equals(whole[n]) for n in range(2)] == [True, True]
    assert store.rows(FUNDING, span).equals(rows_of(FUNDING, span))
    assert all(store.needed(kind, span, LATER) == () for kind in (CANDLES, FUNDING))
    assert store.notes == ()


def test_mark_days_are_whole_too(store: CandleStore) -> None:
    put(store, MARK, day(0), LATER)
    assert len(store.rows(MARK, day(0))) == 480
