"""The recorded past of one pair at one source, kept on disk one UTC day a file, so that nothing is fetched twice.

``data/your/<SYMBOL>/candles/<source>/<kind>/2025-05-29.parquet``: the kinds are those of `HistoryKind`, each file
is a candle file like any other (`--candles`, `--mark`, `--funding`, `--minutes` take it). `ledger.json` beside them
holds what the source did not deliver. Only closed candles come in, so a row that is there is final and a day is
complete when its rows and its known gaps fill it. A file is written whole or not at all, the rows before the ledger:
a process killed between the two asks for a gap once more, and that is all.

Sources never mix, because each has a folder: ``bybit``, ``bybit-testnet``, ``loopback-<port>`` for a server on this
computer. What stands behind a loopback port changes from run to run and is usually invented: whoever opens such a
store compares its first and last candles with the server first, and wipes it when they differ (`wipe`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from your_short_trade_margin_call.adapters.storage.day_files import DayFiles
from your_short_trade_margin_call.adapters.storage.gap_ledger import GapLedger
from your_short_trade_margin_call.adapters.storage.history_rows import (
    HistoryKind,
    Rows,
    Span,
    day_of,
    days_in,
    joined,
    missing_times,
    spans_of,
)
from your_short_trade_margin_call.domain.errors import EmptyCandlesError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.columns import moment
from your_short_trade_margin_call.market.extras import FundingRates, MarkCandles, MinuteCandles
from your_short_trade_margin_call.market.quality import counted
from your_short_trade_margin_call.paths import Paths

TAIL_MS = 600_000
"""An exchange may be a little late: what is younger than this and missing is no gap yet."""

RECORDED = (HistoryKind.CANDLES, HistoryKind.MARK, HistoryKind.FUNDING)
"""What belongs to a history unless it is asked for differently."""


class CandleStore:
    """The days of one pair at one source. Moments are the source's time, always passed in.

    Every method may raise DiskError (a file could not be read or written; what was there still is) and BusyError
    (another process held the lock for half a minute). A corrupt file is set aside under a new name and counts as not
    there; `notes` says so.

    Args:
        folder: where the days are; made by the first write.
        symbol: the pair.
    """

    def __init__(self, folder: Path, symbol: str) -> None:
        self.symbol = symbol
        self._files = DayFiles(folder)

    @classmethod
    def at(cls, paths: Paths, symbol: str, source: str) -> CandleStore:
        """The store of a pair at a source (`bybit`, `bybit-testnet`, ...)."""
        return cls(paths.pair(symbol) / "candles" / source, symbol)

    @property
    def folder(self) -> Path:
        """Where the days are."""
        return self._files.folder

    @property
    def notes(self) -> tuple[str, ...]:
        """What was set aside, in plain sentences."""
        return tuple(self._files.notes)

    # ---- what is missing, what came ----------------------------------------------------------------

    def needed(self, kind: HistoryKind, span: Span, now_ms: int) -> tuple[Span, ...]:
        """What must still be asked for to know all of `span` up to now: one stretch a UTC day at most.

        What lies in a gap that the source was asked for lately is not needed.
        """
        ledger = self._files.ledger()
        find = self._unsettled if kind is HistoryKind.FUNDING else self._unfilled
        return tuple(need for part in days_in(span) if (need := find(kind, part, ledger, now_ms)) is not None)

    def put(self, rows: Rows, asked: Span, now_ms: int) -> int:
        """Keep what came for `asked`, and write down what did not; returns how many rows are new.

        Args:
            rows: closed candles, or settlements; all inside `asked`.
            asked: the stretch the source has answered for.
            now_ms: the source's time when it did.
        """
        with self._files.locked():
            before = ledger = self._files.ledger(is_locked=True)
            new = 0
            for part in days_in(asked):
                added, day = self._keep_day(rows.between(*part), day_of(part.start_ms))
                ledger = _accounted(ledger, day, part, now_ms)
                new += added
            if ledger != before:
                self._files.save_ledger(ledger)
        return new

    def _unfilled(self, kind: HistoryKind, part: Span, ledger: GapLedger, now_ms: int) -> Span | None:
        step = kind.step_ms or DAY_MS
        past = part.cut(0, now_ms // step * step)
        if past is None:
            return None
        times = missing_times(self._files.day(kind, day_of(part.start_ms)), past)
        times = times[~ledger.not_worth_asking(kind, times, now_ms)]
        return Span(int(times[0]), int(times[-1]) + step) if len(times) else None

    def _unsettled(self, kind: HistoryKind, part: Span, ledger: GapLedger, now_ms: int) -> Span | None:
        day = day_of(part.start_ms)
        self._files.day(kind, day)  # a corrupt file goes away here
        known = ledger.settled_until(day) if self._files.path(kind, day).exists() else day
        return Span(known, part.end_ms).cut(day, now_ms + 1)  # one that is due now may be known already

    def _keep_day(self, rows: Rows, day_ms: int) -> tuple[int, Rows]:
        """Add rows to a day's file; how many are new, and all of the day."""
        before = self._files.day(rows.kind, day_ms, is_locked=True)
        after = before.merged(rows)
        # A day without a settlement has a file too: it says that there is none.
        is_first_word = rows.kind is HistoryKind.FUNDING and not self._files.path(rows.kind, day_ms).exists()
        if is_first_word or not after.equals(before):
            self._files.save_day(day_ms, after)
        return len(after) - len(before), after

    # ---- what is there -----------------------------------------------------------------------------

    def rows(self, kind: HistoryKind, span: Span) -> Rows:
        """The kept rows with a time in the span."""
        days = [self._files.day(kind, day_of(part.start_ms)).between(*part) for part in days_in(span)]
        return joined(kind, days)

    def candles(self, span: Span, kinds: Collection[HistoryKind] = RECORDED) -> Candles:
        """The kept candles that open in the span, with the kept extras of `kinds` beside them.

        A gap stays a gap and is counted; candles missing at either end are told in `quality.notes`, and so is a
        file that was set aside.

        Raises:
            EmptyCandlesError: there is none.
        """
        rows = self.rows(HistoryKind.CANDLES, span)
        if not len(rows):
            raise EmptyCandlesError(
                f"No candle of {self.symbol} is kept from {moment(span.start_ms)} to {moment(span.end_ms)}.",
                f"Run `shortest-peak fetch {self.symbol} --days 1`; a younger pair has no older candles.",
            )
        columns = [rows.column(name) for name in rows.kind.columns]
        candles = Candles.from_columns(self.symbol, rows.time_ms, *columns, timeframe_ms=CANDLE_MS)
        candles = candles.with_extras(
            mark=self._mark(span) if HistoryKind.MARK in kinds else None,
            minutes=self._minutes(span) if HistoryKind.MINUTES in kinds else None,
            funding=self._funding(span) if HistoryKind.FUNDING in kinds else None,
        )
        notes = (*candles.quality.notes, *_ends_notes(candles, span), *self.notes)
        return replace(candles, quality=replace(candles.quality, notes=notes))

    def days(self, kind: HistoryKind) -> tuple[int, ...]:
        """The starts of the UTC days of which there is a file, oldest first."""
        return self._files.days(kind)

    def size(self) -> int:
        """Bytes on disk."""
        return self._files.size()

    def wipe(self) -> None:
        """Remove everything: it is about another market."""
        self._files.wipe()

    def _mark(self, span: Span) -> MarkCandles | None:
        rows = self.rows(HistoryKind.MARK, span)
        open_, high, low, close = rows.values.T[:4]
        return MarkCandles(rows.time_ms, open_, high, low, close) if len(rows) else None

    def _minutes(self, span: Span) -> MinuteCandles | None:
        rows = self.rows(HistoryKind.MINUTES, span)
        open_, high, low, close = rows.values.T[:4]
        return MinuteCandles(rows.time_ms, open_, high, low, close) if len(rows) else None

    def _funding(self, span: Span) -> FundingRates | None:
        """Settlements up to and including the end; none at all is an answer if the source was asked."""
        rows = self.rows(HistoryKind.FUNDING, Span(span.start_ms + 1, span.end_ms + 1))
        if len(rows):
            return FundingRates.from_columns(rows.time_ms, rows.column("funding_rate"))
        is_asked = all(self._files.path(rows.kind, day_of(part.start_ms)).exists() for part in days_in(span))
        return FundingRates(rows.time_ms, rows.column("funding_rate")) if is_asked else None


def _accounted(ledger: GapLedger, day: Rows, part: Span, now_ms: int) -> GapLedger:
    """The ledger once `part` of a day was asked for, with all of the day's rows known."""
    certain = part.cut(0, now_ms - TAIL_MS)
    if certain is None:
        return ledger
    if day.kind.step_ms is None:
        return ledger.after_settlements(certain)
    return ledger.after_asking(day.kind, certain, spans_of(missing_times(day, certain), day.kind.step_ms), now_ms)


def _ends_notes(candles: Candles, span: Span) -> tuple[str, ...]:
    """Sentences about candles that are missing before the first and after the last one."""
    first, end = -(-span.start_ms // CANDLE_MS) * CANDLE_MS, span.end_ms // CANDLE_MS * CANDLE_MS
    ends = (("start", candles.start_ms - first), ("end", end - candles.end_ms))
    return tuple(
        f"candles: {counted(length // CANDLE_MS, 'candle')} missing at the {which} of the stretch."
        for which, length in ends
        if length > 0
    )
