"""What may come beside candles: mark-price candles, funding rates, and the minutes inside doubtful candles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import NotFiniteError, TimeframeError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, MINUTE_MS
from your_short_trade_margin_call.market.columns import (
    Floats,
    Times,
    as_numbers,
    as_times,
    check_finite,
    check_lengths,
    check_minute_grid,
    check_not_empty,
    distinct_rows,
    first_true,
    place,
)
from your_short_trade_margin_call.market.frozen_columns import FrozenColumns
from your_short_trade_margin_call.market.ohlc import MINUTES_PER_CANDLE, PRICES, Cleaned, aggregate, check_rows, clean
from your_short_trade_margin_call.market.quality import repair_notes
from your_short_trade_margin_call.market.symbols import parse_symbol
from your_short_trade_margin_call.market.tables import Table, read_table

if TYPE_CHECKING:
    from your_short_trade_margin_call.market.candles import Candles

_SETTLEMENT_DELAY_MS = 1_000
"""Venues stamp a settlement some milliseconds late; it belongs to the whole minute before."""


@dataclass(frozen=True, eq=False)
class _PriceCandles(FrozenColumns):
    """Candles without volume: open time (UTC ms) and prices (USDT), n of each, possibly none."""

    time_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    notes: tuple[str, ...] = ()
    """What was repaired when they were read, as plain sentences."""

    STEP_MS: ClassVar[int] = CANDLE_MS

    def __post_init__(self) -> None:
        """Refuse rows that are no candles.

        Raises:
            CandleError: the subclass says which defect.
        """
        self._freeze()
        check_rows(self.time_ms, {name: getattr(self, name) for name in PRICES}, self.STEP_MS, self.LABEL)

    @classmethod
    def from_file(cls, path: str | Path, *, symbol: str | None = None) -> Self:
        """Read Parquet or CSV with the columns ts, open, high, low, close; a symbol column, if any, selects the pair.

        Raises:
            CandleError: the subclass says which defect.
            UnknownPairError: the file is about other pairs.
        """
        table = read_table(path, ("ts", *PRICES), symbol=parse_symbol(symbol) if symbol else None)
        return cls._from_table(table)

    @classmethod
    def from_columns(
        cls, time_ms: ArrayLike, open: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike
    ) -> Self:
        """Check arrays or lists as a file would be checked.

        Raises:
            CandleError: the subclass says which defect.
        """
        columns = {"ts": time_ms, "open": open, "high": high, "low": low, "close": close}
        return cls._from_table(Table(cls.LABEL, columns))

    @classmethod
    def _from_table(cls, table: Table) -> Self:
        return cls._from_cleaned(clean(table.columns, table.what), table.what)

    @classmethod
    def _from_cleaned(cls, cleaned: Cleaned, what: str) -> Self:
        raise NotImplementedError

    def between(self, start_ms: int, end_ms: int) -> Self:
        """The candles that open in [start, end)."""
        first, end = np.searchsorted(self.time_ms, (start_ms, end_ms)).tolist()
        return self if (first, end) == (0, len(self)) else self.rows(first, end)


@dataclass(frozen=True, eq=False)
class MarkCandles(_PriceCandles):
    """3-minute mark-price candles: they decide whether a stop or a liquidation fires. From 1- or 3-minute files."""

    LABEL: ClassVar[str] = "mark candles"

    @classmethod
    def _from_table(cls, table: Table) -> Self:
        try:
            return super()._from_table(table)
        except TimeframeError as error:
            raise TimeframeError(error.message, "Mark candles must be 1-minute or 3-minute candles.") from None

    @classmethod
    def _from_cleaned(cls, cleaned: Cleaned, what: str) -> Self:
        rows, dropped = cleaned.rows, 0
        if cleaned.timeframe_ms == MINUTE_MS:
            rows, _, dropped = aggregate(rows, what)
        notes = repair_notes(what, duplicates=cleaned.duplicates_dropped, partial=dropped)
        return cls(rows.time_ms, rows.open, rows.high, rows.low, rows.close, notes)


@dataclass(frozen=True, eq=False)
class MinuteCandles(_PriceCandles):
    """1-minute candles: they decide which side of a doubtful 3-minute candle came first, and nothing else."""

    LABEL: ClassVar[str] = "1-minute candles"
    STEP_MS: ClassVar[int] = MINUTE_MS

    @classmethod
    def _from_cleaned(cls, cleaned: Cleaned, what: str) -> Self:
        rows = cleaned.rows
        if cleaned.timeframe_ms != MINUTE_MS and len(rows.time_ms) > 1:
            raise TimeframeError(f"{what} looks like 3-minute candles.", "Give 1-minute candles as minutes.")
        notes = repair_notes(what, duplicates=cleaned.duplicates_dropped)
        return cls(rows.time_ms, rows.open, rows.high, rows.low, rows.close, notes)


@dataclass(frozen=True, eq=False)
class FundingRates(FrozenColumns):
    """Recorded settlements: times (UTC ms, whole minutes, ascending, unique) and rates (fractions, may be negative).

    A positive rate is paid by longs to shorts.
    """

    time_ms: Times
    rate: Floats
    notes: tuple[str, ...] = ()
    """What was repaired when they were read, as plain sentences."""

    LABEL: ClassVar[str] = "funding rates"

    def __post_init__(self) -> None:
        """Refuse rates and times that cannot be settlements.

        Raises:
            CandleError: the subclass says which defect.
        """
        self._freeze()
        _check_settlements(self.time_ms, self.rate, self.LABEL)
        check_rows(self.time_ms, {}, MINUTE_MS, self.LABEL)

    @classmethod
    def from_file(cls, path: str | Path, *, symbol: str | None = None) -> Self:
        """Read Parquet or CSV with the columns ts and funding_rate; a symbol column, if any, selects the pair.

        Raises:
            CandleError: the subclass says which defect.
            UnknownPairError: the file is about other pairs.
        """
        table = read_table(path, ("ts", "funding_rate"), symbol=parse_symbol(symbol) if symbol else None)
        return cls._checked(table.columns["ts"], table.columns["funding_rate"], table.what)

    @classmethod
    def from_columns(cls, time_ms: ArrayLike, rate: ArrayLike) -> Self:
        """Check arrays or lists as a file would be checked.

        Raises:
            CandleError: the subclass says which defect.
        """
        return cls._checked(time_ms, rate, cls.LABEL)

    @classmethod
    def _checked(cls, time_ms: ArrayLike, rate: ArrayLike, what: str) -> Self:
        times, rates = as_times(time_ms, what), as_numbers(rate, "funding_rate", what)
        check_lengths({"ts": times, "funding_rate": rates}, what)
        check_not_empty(times, what)
        delay = times % MINUTE_MS
        late = (delay > 0) & (delay < _SETTLEMENT_DELAY_MS) & (not _all_alike_seconds(times))
        times = np.where(late, times - delay, times)
        _check_settlements(times, rates, what)
        keep = distinct_rows(times, {"funding_rate": rates}, what)
        notes = repair_notes(what, duplicates=int((~keep).sum()), late=int(late.sum()))
        return cls(times[keep], rates[keep], notes)

    def between(self, after_ms: int, until_ms: int) -> Self:
        """The settlements in (after, until]."""
        first, end = np.searchsorted(self.time_ms, (after_ms, until_ms), side="right").tolist()
        return self if (first, end) == (0, len(self)) else self.rows(first, end)


def _check_settlements(time_ms: Times, rate: Floats, what: str) -> None:
    check_minute_grid(time_ms, what)
    check_finite({"funding_rate": rate}, time_ms, what)
    if (row := first_true(np.abs(rate) >= 1.0)) >= 0:
        raise NotFiniteError(
            f"{place(what, row, time_ms)}: a funding_rate of {rate[row]:g} is no fraction.",
            "Write 0.01 % as 0.0001.",
        )


def _all_alike_seconds(time_ms: Times) -> bool:
    """Whether the times are so small that they are no milliseconds: nothing is repaired then, the check names it."""
    return bool((time_ms < 10**11).all())


# ---- laid beside candles, in the arrays the rules take ------------------------------------------


class AlignedMark(NamedTuple):
    """Mark prices (USDT) of each candle, float64[n] each; NaN where no mark candle has its open time."""

    open: Floats
    high: Floats
    close: Floats


class AlignedMinutes(NamedTuple):
    """Highs and lows (USDT) of each candle's three minutes, float64[n, 3] each; NaN unless all three exist."""

    high: Floats
    low: Floats


class FundingOffsets(NamedTuple):
    """Settlements that matter to the candles, and where each candle's begin.

    Settlements ``first[j]`` up to, not including, ``first[j + 1]`` lie in ``(open of j-1, open of j]`` and are booked
    before candle j, for j >= 1; candle 0 has none. `time_ms` and `rate` are of m settlements, `first` is int64[n + 1].
    """

    time_ms: Times
    rate: Floats
    first: NDArray[np.int64]


def aligned_mark(candles: Candles) -> AlignedMark:
    """The mark candles' open, high and close, candle by candle."""
    mark = candles.mark
    if mark is None or not len(mark):
        return AlignedMark(*(np.full(len(candles), np.nan) for _ in range(3)))
    row, found = _rows_at(mark.time_ms, candles.time_ms)
    return AlignedMark(*(np.where(found, column[row], np.nan) for column in (mark.open, mark.high, mark.close)))


def aligned_minutes(candles: Candles) -> AlignedMinutes:
    """The highs and lows of the three minutes of each candle, in order."""
    minutes = candles.minutes
    if minutes is None or not len(minutes):
        return AlignedMinutes(*(np.full((len(candles), MINUTES_PER_CANDLE), np.nan) for _ in range(2)))
    wanted = candles.time_ms[:, None] + np.arange(MINUTES_PER_CANDLE) * MINUTE_MS
    row, found = _rows_at(minutes.time_ms, wanted)
    whole = found.all(axis=1, keepdims=True)
    return AlignedMinutes(*(np.where(whole, column[row], np.nan) for column in (minutes.high, minutes.low)))


def funding_offsets(candles: Candles) -> FundingOffsets:
    """The settlements after the first open up to the last open, and the offsets of each candle's."""
    times, rates = np.zeros(0, dtype=np.int64), np.zeros(0)
    opens = candles.time_ms
    if candles.funding is not None and len(candles):
        inside = candles.funding.between(int(opens[0]), int(opens[-1]))
        times, rates = inside.time_ms, inside.rate
    first = np.zeros(len(candles) + 1, dtype=np.int64)
    if len(times):
        first[1:] = np.searchsorted(times, opens, side="right")
    return FundingOffsets(times, rates, first)


def _rows_at(times: Times, wanted: Times) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each wanted time the row that has it, and whether there is one (row 0 stands in where not)."""
    row = np.searchsorted(times, wanted)
    row[row == len(times)] = 0
    found = times[row] == wanted
    return row, found
