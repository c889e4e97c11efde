"""Rows of history as they come from an exchange and lie on disk: candles, mark candles, minutes, settlements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.errors import NotFiniteError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS, MINUTE_MS
from your_short_trade_margin_call.market.columns import Floats, Times
from your_short_trade_margin_call.market.ohlc import IMPLAUSIBLE

_SETTLEMENT_DELAY_MS = 1_000
_PRICES = ("open", "high", "low", "close")


class HistoryKind(StrEnum):
    """What is kept of a pair's past; the value names its folder."""

    CANDLES = "candles"
    MARK = "mark"
    MINUTES = "minutes"
    FUNDING = "funding"

    @property
    def step_ms(self) -> int | None:
        """From one row to the next; None for settlements, whose interval the exchange may change."""
        return {HistoryKind.MINUTES: MINUTE_MS, HistoryKind.FUNDING: None}.get(self, CANDLE_MS)

    @property
    def columns(self) -> tuple[str, ...]:
        """The numbers beside the time, by the names a candle file has them."""
        if self is HistoryKind.FUNDING:
            return ("funding_rate",)
        return _PRICES if self is HistoryKind.MARK else (*_PRICES, "volume")


class Span(NamedTuple):
    """The moments in [start, end), UTC ms."""

    start_ms: int
    end_ms: int

    def cut(self, start_ms: int, end_ms: int) -> Span | None:
        """The part inside [start, end), if there is one."""
        start, end = max(self.start_ms, start_ms), min(self.end_ms, end_ms)
        return Span(start, end) if start < end else None


@dataclass(frozen=True, eq=False)
class Rows:
    """n rows of one kind: times (UTC ms, strictly increasing) and their k numbers (float64[n, k])."""

    kind: HistoryKind
    time_ms: Times
    values: Floats

    @classmethod
    def empty(cls, kind: HistoryKind) -> Rows:
        """No rows."""
        return cls(kind, np.zeros(0, dtype=np.int64), np.zeros((0, len(kind.columns))))

    @classmethod
    def of(cls, kind: HistoryKind, rows: Iterable[Sequence[float]]) -> Rows:
        """Rows in any order, the time in front of each.

        Repetitions are dropped. Rows that cannot be (off the grid, a price that is none, two contents for one time)
        are left out as well: what was not delivered properly was not delivered.
        """
        table = np.array([tuple(row) for row in rows], dtype=np.float64).reshape(-1, 1 + len(kind.columns))
        table = np.unique(table[_is_sound(kind, table)], axis=0)
        times = table[:, 0].astype(np.int64)
        twice = np.flatnonzero(np.diff(times) == 0)
        keep = np.ones(len(times), dtype=np.bool_)
        keep[twice] = keep[twice + 1] = False
        return cls(kind, times[keep], np.ascontiguousarray(table[keep, 1:]))

    def between(self, start_ms: int, end_ms: int) -> Rows:
        """The rows with a time in [start, end)."""
        first, end = np.searchsorted(self.time_ms, (start_ms, end_ms)).tolist()
        return Rows(self.kind, self.time_ms[first:end], self.values[first:end])

    def merged(self, newer: Rows) -> Rows:
        """These and the newer ones; where both have a time the newer one counts."""
        mine = ~np.isin(self.time_ms, newer.time_ms)
        times = np.concatenate((self.time_ms[mine], newer.time_ms))
        values = np.concatenate((self.values[mine], newer.values))
        order = np.argsort(times, kind="stable")
        return Rows(self.kind, times[order], values[order])

    def column(self, name: str) -> Floats:
        """One column of numbers, by its name in a candle file."""
        return np.ascontiguousarray(self.values[:, self.kind.columns.index(name)])

    def equals(self, other: Rows) -> bool:
        """Whether the other holds the same rows."""
        return np.array_equal(self.time_ms, other.time_ms) and np.array_equal(self.values, other.values)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.time_ms)


def joined(kind: HistoryKind, parts: Sequence[Rows]) -> Rows:
    """Rows of several stretches that follow each other, as one."""
    if not parts:
        return Rows.empty(kind)
    return Rows(kind, np.concatenate([p.time_ms for p in parts]), np.concatenate([p.values for p in parts]))


def missing_times(rows: Rows, span: Span) -> Times:
    """The times of the grid in the span that no row has; none for settlements, which have no grid."""
    step = rows.kind.step_ms
    if step is None:
        return np.zeros(0, dtype=np.int64)
    wanted = np.arange(-(-span.start_ms // step) * step, span.end_ms, step, dtype=np.int64)
    return wanted[~np.isin(wanted, rows.time_ms)]


def spans_of(time_ms: Times, step_ms: int) -> tuple[Span, ...]:
    """Increasing times of a grid as the stretches they fill."""
    if not len(time_ms):
        return ()
    cuts = np.flatnonzero(np.diff(time_ms) != step_ms) + 1
    return tuple(Span(int(part[0]), int(part[-1]) + step_ms) for part in np.split(time_ms, cuts))


def day_of(time_ms: int) -> int:
    """The start of the UTC day of a moment."""
    return time_ms // DAY_MS * DAY_MS


def day_name(day_ms: int) -> str:
    """``2025-05-29``."""
    return datetime.fromtimestamp(day_ms / 1_000, tz=timezone.utc).strftime("%Y-%m-%d")


def days_in(span: Span) -> Iterator[Span]:
    """The UTC days that a span touches, each cut to it."""
    for day in range(day_of(span.start_ms), span.end_ms, DAY_MS):
        if (part := span.cut(day, day + DAY_MS)) is not None:
            yield part


def check_sound(rows: Rows) -> None:
    """Insist on rows as `Rows.of` makes them.

    Raises:
        NotFiniteError: they are not in order, or one of them cannot be.
    """
    table = np.column_stack((rows.time_ms.astype(np.float64), rows.values))
    if (np.diff(rows.time_ms) <= 0).any() or not _is_sound(rows.kind, table).all():
        raise NotFiniteError(f"These {rows.kind} rows are out of order or cannot be.", "Fetch them again.")


def _is_sound(kind: HistoryKind, table: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows of (time, numbers ...) the rest of the program will take."""
    times, numbers = table[:, 0], table[:, 1:]
    sound = np.isfinite(table).all(axis=1) & (times >= 0) & (times % 1 == 0)
    if kind.step_ms is None:
        return np.asarray(sound & (np.abs(numbers[:, 0]) < 1) & (times % MINUTE_MS < _SETTLEMENT_DELAY_MS))
    open_, high, low, close = numbers.T[:4]
    with np.errstate(invalid="ignore", divide="ignore"):
        sound &= (times % kind.step_ms == 0) & (low > 0) & (high <= IMPLAUSIBLE * low)
    for price in (open_, close):
        sound &= (low <= price) & (price <= high)
    return np.asarray(sound & (numbers[:, 4] >= 0) if numbers.shape[1] > 4 else sound)
