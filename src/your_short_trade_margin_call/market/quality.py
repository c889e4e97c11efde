"""How good a history is: counts, and plain sentences about every repair and every hole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS, HOUR_MS
from your_short_trade_margin_call.market.columns import Floats, Times, moment

LONGEST_FUNDING_INTERVAL_MS = 8 * HOUR_MS
"""No Bybit perpetual settles more rarely: a longer silence in the record is a hole."""

_ANOTHER_PAIR = 2.0
"""Prices that are typically this many times the candles' (or that part of them) are another pair's."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the history is, and what was repaired in it. Counts are of rows, or of candles.

    In a slice, `gaps` and `missing` are of the slice; the rest tells of the file it came from.
    """

    source_timeframe_ms: int = CANDLE_MS
    rows_read: int = 0
    duplicates_dropped: int = 0
    partial_buckets_dropped: int = 0
    last_unclosed_dropped: int = 0
    null_volumes: int = 0
    gaps: int = 0
    missing: int = 0
    notes: tuple[str, ...] = ()
    """One plain sentence for each repair, and for what the files beside the candles do not cover."""


def counted(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def repair_notes(
    what: str, *, duplicates: int = 0, partial: int = 0, null_volumes: int = 0, late: int = 0
) -> tuple[str, ...]:
    """A sentence for each kind of repair that happened."""
    sentences = (
        (duplicates, f"{counted(duplicates, 'identical duplicate row')} dropped"),
        (partial, f"{counted(partial, 'incomplete 3-minute candle')} dropped, for want of a minute"),
        (null_volumes, f"{counted(null_volumes, 'empty volume')} read as 0"),
        (late, f"{counted(late, 'settlement')} stamped less than a second late, set to the whole minute"),
    )
    return tuple(f"{what}: {sentence}." for happened, sentence in sentences if happened)


def cover_note(what: str, without: int, candles: int, consequence: str) -> tuple[str, ...]:
    """A sentence about candles that `what` does not cover, if there are any."""
    if not without:
        return ()
    return (f"{what}: none for {without:,} of {counted(candles, 'candle')}; {consequence}.",)


def funding_note(settlements_ms: Times, start_ms: int, end_ms: int) -> tuple[str, ...]:
    """A sentence about the stretches without a recorded settlement, if any is longer than eight hours."""
    edges = np.concatenate(([start_ms], settlements_ms, [end_ms]))
    silences = np.diff(edges)
    holes = np.flatnonzero(silences > LONGEST_FUNDING_INTERVAL_MS)
    if not len(holes):
        return ()
    longest = int(silences.argmax())
    first, last = moment(int(edges[longest])), moment(int(edges[longest + 1]))
    days = float(silences[holes].sum()) / DAY_MS
    return (
        f"funding: no settlement is recorded on {days:.1f} days, the longest from {first} to {last}; it is 0 there.",
    )


def is_another_pair(prices: Floats, others: Floats) -> bool:
    """Whether two series of closes at the same times cannot belong to one pair."""
    if not len(prices):
        return False
    ratio = float(np.median(others / prices))
    return not 1 / _ANOTHER_PAIR < ratio < _ANOTHER_PAIR
