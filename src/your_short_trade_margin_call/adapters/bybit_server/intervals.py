"""The exchange's candle intervals, and rows of one interval put together from shorter ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS, MINUTE_MS

Floats: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]

WEEK_MS = 7 * DAY_MS
_FIRST_MONDAY_MS = 4 * DAY_MS

_FIXED_MS = {str(m): m * MINUTE_MS for m in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)} | {"D": DAY_MS}
INTERVALS = (*_FIXED_MS, "W", "M")
"""Every interval's name: minutes, or D, W, M."""


class PriceRow(NamedTuple):
    """One candle of any interval: open time (UTC ms), prices (USDT), volume (base coin), turnover (USDT)."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float


def starts_of(interval: str, time_ms: Times) -> Times:
    """Open time of the interval that holds each moment."""
    if interval == "M":
        return time_ms.astype("datetime64[ms]").astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)
    if interval == "W":
        return time_ms - (time_ms - _FIRST_MONDAY_MS) % WEEK_MS
    return time_ms - time_ms % _FIXED_MS[interval]


def start_of(interval: str, time_ms: int) -> int:
    """Open time of the interval that holds a moment."""
    return int(starts_of(interval, np.array([time_ms], dtype=np.int64))[0])


def end_of(interval: str, start_ms: int) -> int:
    """Close time of the interval that opens at `start_ms`."""
    if interval == "M":
        return start_of("M", start_ms + 31 * DAY_MS)
    return start_ms + (WEEK_MS if interval == "W" else _FIXED_MS[interval])


def base_ms(interval: str) -> int:
    """Which recorded candles an interval is made of: those of 3 minutes, or of 1 minute where 3 do not divide it."""
    return MINUTE_MS if interval in ("1", "5") else CANDLE_MS


@dataclass(frozen=True)
class BaseRows:
    """Recorded candles, oldest first, of 1 or 3 minutes: n of each; turnover is volume at the candle's mean price."""

    step_ms: int
    time_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @cached_property
    def turnover(self) -> Floats:
        """USDT traded in each row."""
        return np.asarray(self.volume * (self.open + self.high + self.low + self.close) / 4.0)

    def row(self, j: int) -> PriceRow:
        """One row as it was recorded."""
        columns = (self.open, self.high, self.low, self.close, self.volume, self.turnover)
        return PriceRow(int(self.time_ms[j]), *(float(column[j]) for column in columns))

    def merged(self, start_ms: int, first: int, end: int, running: PriceRow | None) -> PriceRow | None:
        """Rows first..end and the running one, if any, as one candle; None when there is nothing."""
        rows = slice(first, end)
        parts = [] if running is None else [running]
        if end > first:
            parts.insert(
                0,
                PriceRow(
                    start_ms,
                    float(self.open[first]),
                    float(self.high[rows].max()),
                    float(self.low[rows].min()),
                    float(self.close[end - 1]),
                    float(self.volume[rows].sum()),
                    float(self.turnover[rows].sum()),
                ),
            )
        return _joined(start_ms, parts)


def _joined(start_ms: int, parts: list[PriceRow]) -> PriceRow | None:
    if not parts:
        return None
    return PriceRow(
        start_ms,
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        parts[-1].close,
        sum(part.volume for part in parts),
        sum(part.turnover for part in parts),
    )


@dataclass(frozen=True)
class Series:
    """The candles of one interval over its base rows: group k is rows ``first[k]`` up to ``first[k + 1]``."""

    interval: str
    base: BaseRows

    @cached_property
    def _starts_of_rows(self) -> Times:
        return starts_of(self.interval, self.base.time_ms)

    @cached_property
    def first(self) -> Times:
        """Index of the first row of each group, and the number of rows at the end."""
        starts = self._starts_of_rows
        change = np.flatnonzero(np.concatenate(([True], np.diff(starts) != 0))) if len(starts) else np.zeros(0)
        return np.append(change, len(starts)).astype(np.int64)

    @cached_property
    def start_ms(self) -> Times:
        """Open time of each group."""
        return self._starts_of_rows[self.first[:-1]]

    def group_of(self, row: int) -> int:
        """The group that holds a row."""
        return int(np.searchsorted(self.first, row, side="right")) - 1

    def closes_with(self, row: int) -> bool:
        """Whether no later row belongs to the group of this one."""
        return row + 1 >= len(self.base.time_ms) or self.group_of(row) != self.group_of(row + 1)

    def candle(self, group: int, closed: int, running: PriceRow | None) -> PriceRow | None:
        """Group `group` as far as it is known: its rows among the first `closed`, and the running row if it is in it.

        The running row is the one with index `closed`.
        """
        first, end = int(self.first[group]), int(self.first[group + 1])
        own = running if first <= closed < end else None
        return self.base.merged(int(self.start_ms[group]), first, min(end, closed), own)
