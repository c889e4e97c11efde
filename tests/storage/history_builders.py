"""Rows of history for the store's tests, and what a second process does with a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from your_short_trade_margin_call.adapters.storage.candle_store import CandleStore
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Rows, Span, missing_times
from your_short_trade_margin_call.domain.spans import DAY_MS

DAY = 1_748_563_200_000  # 2025-05-30
STEP = 180_000
HOUR = 3_600_000
CANDLES, MARK, MINUTES, FUNDING = HistoryKind


def day(number: int) -> Span:
    """A whole UTC day, the first of the tests being 0."""
    return Span(DAY + number * DAY_MS, DAY + (number + 1) * DAY_MS)


def rows_of(kind: HistoryKind, span: Span, lost: tuple[int, ...] = (), shift: float = 0.0) -> Rows:
    """All rows of a stretch, but for the `lost` times. Prices follow the time, so equal times have equal rows."""
    if kind is FUNDING:
        first = -(-span.start_ms // (8 * HOUR)) * 8 * HOUR
        return Rows.of(kind, ((time, time // HOUR % 5 / 1e4) for time in range(first, span.end_ms, 8 * HOUR)))
    times = missing_times(Rows.empty(kind), span)
    times = times[~np.isin(times, lost)]
    close = 100.0 + times // 60_000 % 13 + shift
    columns = [times, close - 0.5, close + 1, close - 1, close]
    return Rows.of(kind, np.column_stack([*columns, np.full(len(times), 2.0)][: 1 + len(kind.columns)]))


def put(store: CandleStore, kind: HistoryKind, span: Span, now_ms: int, lost: tuple[int, ...] = ()) -> int:
    """As if the exchange had answered for the span at that time."""
    return store.put(rows_of(kind, span, lost), span, now_ms)


def put_every_other_hour(folder: Path, odd: bool) -> None:
    """One of two writers that share a day (run in a process of its own)."""
    store = CandleStore(folder, "BTCUSDT")
    for hour in range(odd, 24, 2):
        start = DAY + hour * HOUR
        put(store, CANDLES, Span(start, start + HOUR), DAY + 2 * DAY_MS)
