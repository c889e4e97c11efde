"""`Candles`: the 3-minute candles of one pair with what belongs to them, checked once and never changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from your_short_trade_margin_call.domain.errors import CandleError, EmptyCandlesError, TooFewCandlesError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, MINUTE_MS
from your_short_trade_margin_call.market.columns import Floats, Times
from your_short_trade_margin_call.market.extras import (
    FundingRates,
    MarkCandles,
    MinuteCandles,
    aligned_mark,
    aligned_minutes,
)
from your_short_trade_margin_call.market.frozen_columns import FrozenColumns
from your_short_trade_margin_call.market.ohlc import PRICES, aggregate, check_rows, clean
from your_short_trade_margin_call.market.quality import (
    LONGEST_FUNDING_INTERVAL_MS,
    Quality,
    cover_note,
    funding_note,
    is_another_pair,
    repair_notes,
)
from your_short_trade_margin_call.market.symbols import parse_symbol
from your_short_trade_margin_call.market.tables import Table, format_of, read_table

MarkSource: TypeAlias = MarkCandles | str | Path | None
FundingSource: TypeAlias = FundingRates | str | Path | None
MinutesSource: TypeAlias = MinuteCandles | str | Path | None

_Extra = TypeVar("_Extra", MarkCandles, FundingRates, MinuteCandles)


class _Sources(NamedTuple):
    mark: MarkSource
    funding: FundingSource
    minutes: MinutesSource


@dataclass(frozen=True, eq=False)
class Candles(FrozenColumns):
    """The 3-minute candles of one pair: open time (UTC ms), prices (USDT), volume (base coin); n of each.

    Open times strictly increase on the 3-minute grid; a gap stays a gap. Arrays are read-only. `mark`, `minutes`
    and `funding` are cut to what lies inside the candles: settlements in (first open, last close].
    Equal content makes equal candles, wherever they were read.

    Raises:
        CandleError: the subclass says which defect.
    """

    symbol: str
    time_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    mark: MarkCandles | None = None
    funding: FundingRates | None = None
    minutes: MinuteCandles | None = None
    quality: Quality = field(default_factory=Quality)

    LABEL: ClassVar[str] = "candles"

    def __post_init__(self) -> None:
        """Check the rows, cut the extras to them and count the gaps."""
        self._freeze()
        numbers = {name: getattr(self, name) for name in (*PRICES, "volume")}
        check_rows(self.time_ms, numbers, CANDLE_MS, self.LABEL)
        self._fit()

    def _fit(self) -> None:
        """Count the gaps, and cut the extras."""
        gaps = missing = 0
        if len(self) and self.end_ms - self.start_ms > len(self) * CANDLE_MS:
            steps = np.diff(self.time_ms) // CANDLE_MS
            gaps, missing = int(np.count_nonzero(steps > 1)), int((steps - 1).sum())
        object.__setattr__(self, "quality", replace(self.quality, gaps=gaps, missing=missing))
        start, end = (self.start_ms, self.end_ms) if len(self) else (0, 0)
        for name in _Sources._fields:
            if (extra := getattr(self, name)) is not None:
                object.__setattr__(self, name, extra.between(start, end))

    # ---- where they come from ------------------------------------------------------------------

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        symbol: str,
        mark: MarkSource = None,
        funding: FundingSource = None,
        minutes: MinutesSource = None,
    ) -> Self:
        """Read 1-minute or 3-minute candles from Parquet or CSV, as the suffix says.

        Columns: ts (open time, UTC ms), open, high, low, close, volume; others are ignored, except that a symbol
        column selects the pair. Minutes are aggregated, and kept for doubtful candles unless `minutes` is given.
        `mark`, `funding` and `minutes` are files or objects.

        Raises:
            CandleError: the subclass says which defect.
            UnknownPairError: the symbol cannot be read, or the file is about other pairs.
        """
        return cls._read(Path(path), format_of(Path(path)), symbol, _Sources(mark, funding, minutes))

    @classmethod
    def from_parquet(
        cls,
        path: str | Path,
        *,
        symbol: str,
        mark: MarkSource = None,
        funding: FundingSource = None,
        minutes: MinutesSource = None,
    ) -> Self:
        """Read a Parquet file, whatever its suffix; see `from_file`."""
        return cls._read(Path(path), "parquet", symbol, _Sources(mark, funding, minutes))

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        symbol: str,
        mark: MarkSource = None,
        funding: FundingSource = None,
        minutes: MinutesSource = None,
    ) -> Self:
        """Read a CSV file, whatever its suffix; see `from_file`."""
        return cls._read(Path(path), "csv", symbol, _Sources(mark, funding, minutes))

    @classmethod
    def from_columns(
        cls,
        symbol: str,
        time_ms: ArrayLike,
        open: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike | None = None,
        *,
        mark: MarkSource = None,
        funding: FundingSource = None,
        minutes: MinutesSource = None,
        timeframe_ms: int | None = None,
    ) -> Self:
        """Check arrays or lists as a file would be checked. No volume is volume 0.

        `timeframe_ms` (60,000 or 180,000) states what the rows are; None finds it from the times.

        Raises:
            CandleError: the subclass says which defect.
            UnknownPairError: the symbol cannot be read.
        """
        columns = {"ts": time_ms, "open": open, "high": high, "low": low, "close": close}
        table = Table(cls.LABEL, columns if volume is None else {**columns, "volume": volume})
        return cls._from_table(table, parse_symbol(symbol), _Sources(mark, funding, minutes), timeframe_ms)

    @classmethod
    def _read(cls, path: Path, file_format: str, symbol: str, sources: _Sources) -> Self:
        symbol, wanted = parse_symbol(symbol), ("ts", *PRICES, "volume")
        table = read_table(path, wanted, file_format=file_format, symbol=symbol, zero_if_null=("volume",))
        return cls._from_table(table, symbol, sources)

    @classmethod
    def _from_table(cls, table: Table, symbol: str, sources: _Sources, timeframe_ms: int | None = None) -> Self:
        cleaned = clean(table.columns, table.what, timeframe_ms)
        rows, partial, own_minutes = cleaned.rows, 0, None
        if cleaned.timeframe_ms == MINUTE_MS:
            rows, used, partial = aggregate(cleaned.rows, table.what)
            kept = cleaned.rows.take(used)
            own_minutes = MinuteCandles(kept.time_ms, kept.open, kept.high, kept.low, kept.close)
        nulls = table.nulls_as_zero.get("volume", 0)
        quality = Quality(
            source_timeframe_ms=cleaned.timeframe_ms,
            rows_read=cleaned.rows_read,
            duplicates_dropped=cleaned.duplicates_dropped,
            partial_buckets_dropped=partial,
            null_volumes=nulls,
            notes=repair_notes(table.what, duplicates=cleaned.duplicates_dropped, partial=partial, null_volumes=nulls),
        )
        candles = cls(symbol, *rows, minutes=own_minutes, quality=quality)
        return candles.with_extras(*sources) if any(source is not None for source in sources) else candles

    def with_extras(
        self, mark: MarkSource = None, funding: FundingSource = None, minutes: MinutesSource = None
    ) -> Self:
        """The same candles with these beside them (None keeps what there is); notes say what they do not cover.

        Rates of which none falls into these candles, where one must have, count as unknown: `funding` is None.

        Raises:
            CandleError: a file is bad, or its prices belong to another pair.
            UnknownPairError: a file is about other pairs.
        """
        given = {
            "mark": _resolved(MarkCandles, mark, self.symbol),
            "funding": _resolved(FundingRates, funding, self.symbol),
            "minutes": _resolved(MinuteCandles, minutes, self.symbol),
        }
        added: dict[str, Any] = {name: extra for name, extra in given.items() if extra is not None}
        candles = replace(self, **added)
        notes = [note for extra in added.values() for note in extra.notes]
        for name in added:
            notes += _COVERAGE[name](candles)
        quality = replace(candles.quality, notes=(*self.quality.notes, *notes))
        unknown = candles.funding is not None and not len(candles.funding) and _outlasts_funding(candles)
        return replace(candles, quality=quality, funding=None if unknown else candles.funding)

    # ---- what they are -------------------------------------------------------------------------

    @property
    def start_ms(self) -> int:
        """Open time of the first candle.

        Raises:
            EmptyCandlesError: there is none.
        """
        self._require_any()
        return int(self.time_ms[0])

    @property
    def end_ms(self) -> int:
        """Close time of the last candle.

        Raises:
            EmptyCandlesError: there is none.
        """
        self._require_any()
        return int(self.time_ms[-1]) + CANDLE_MS

    @property
    def gaps(self) -> int:
        """How many times the next candle is not the next on the grid."""
        return self.quality.gaps

    @property
    def missing(self) -> int:
        """How many candles the gaps swallow together."""
        return self.quality.missing

    @property
    def content_hash(self) -> str:
        """16 hex digits that change with the symbol, any candle, and anything beside the candles."""
        return self._identity.hex()

    def digest(self) -> bytes:
        """8 bytes over the symbol, all columns, and all columns of mark, funding and minutes."""
        state = hashlib.blake2b(self.symbol.encode() + super().digest(), digest_size=8)
        for name in _Sources._fields:
            extra = getattr(self, name)
            state.update(f"|{name}|".encode() + (b"" if extra is None else extra.digest()))
        return state.digest()

    def require(self, count: int, why: str) -> None:
        """Insist on a length.

        Raises:
            TooFewCandlesError: there are fewer than `count`; `why` says who needs them ("a lookback of 70").
        """
        if len(self) < count:
            raise TooFewCandlesError(
                f"There are {len(self):,} candles of {self.symbol}, but {why} needs {count:,}.",
                "Give a longer history, or shorten what needs it.",
            )

    # ---- parts of them -------------------------------------------------------------------------

    def between(self, start_ms: int, end_ms: int) -> Self:
        """The candles that open in [start, end), with what lies inside them; possibly none. Shares memory."""
        first, end = np.searchsorted(self.time_ms, (start_ms, end_ms)).tolist()
        return self.rows(first, end)

    def tail(self, count: int) -> Self:
        """The last `count` candles, or all when there are fewer."""
        return self.rows(max(0, len(self) - max(0, count)), len(self))

    def _require_any(self) -> None:
        if not len(self):
            raise EmptyCandlesError(f"There is no candle of {self.symbol} here.", "Choose a range that holds some.")


def _resolved(kind: type[_Extra], source: _Extra | str | Path | None, symbol: str) -> _Extra | None:
    """The object itself, or what the file holds."""
    return kind.from_file(source, symbol=symbol) if isinstance(source, str | Path) else source


def _mark_cover(candles: Candles) -> tuple[str, ...]:
    mark_close = aligned_mark(candles).close
    known = ~np.isnan(mark_close)
    _refuse_another_pair(candles, candles.close[known], mark_close[known], MarkCandles.LABEL)
    without = int(np.count_nonzero(~known))
    return cover_note(MarkCandles.LABEL, without, len(candles), "there, last prices decide")


def _minutes_cover(candles: Candles) -> tuple[str, ...]:
    high = aligned_minutes(candles).high.max(axis=1)
    known = ~np.isnan(high)
    _refuse_another_pair(candles, candles.high[known], high[known], MinuteCandles.LABEL)
    without = int(np.count_nonzero(~known))
    return cover_note(MinuteCandles.LABEL, without, len(candles), "there, the adverse side comes first")


def _funding_cover(candles: Candles) -> tuple[str, ...]:
    settlements = candles.funding.time_ms if candles.funding is not None else np.zeros(0, dtype=np.int64)
    return funding_note(settlements, candles.start_ms, candles.end_ms)


def _outlasts_funding(candles: Candles) -> bool:
    return candles.end_ms - candles.start_ms > LONGEST_FUNDING_INTERVAL_MS


def _refuse_another_pair(candles: Candles, prices: Floats, others: Floats, what: str) -> None:
    if is_another_pair(prices, others):
        raise CandleError(
            f"The {what} are typically {float(np.median(others / prices)):.3g} times the candles of {candles.symbol}.",
            "They belong to another pair: give the files of one.",
        )


_COVERAGE = {"mark": _mark_cover, "funding": _funding_cover, "minutes": _minutes_cover}
