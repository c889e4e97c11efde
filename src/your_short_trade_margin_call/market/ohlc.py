"""Open, high, low, close: what makes rows of them candles, of which timeframe, and how minutes become candles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import (
    DuplicateCandleError,
    EmptyCandlesError,
    HighBelowLowError,
    ImplausiblePriceError,
    MisalignedError,
    NotPositiveError,
    TimeframeError,
)
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS, HOUR_MS, MINUTE_MS
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
    moment,
    place,
)

MINUTES_PER_CANDLE = CANDLE_MS // MINUTE_MS
PRICES = ("open", "high", "low", "close")


IMPLAUSIBLE = 20.0
"""No candle spans, and no candle opens away from the last, by this factor."""

ALIKE_GAPS = 20
"""So many gaps of one length in a row are no gaps: they are candles of another timeframe."""


class Ohlc(NamedTuple):
    """Rows of candles: open time (UTC ms), prices (USDT), volume (base coin), n of each."""

    time_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Ohlc:
        """The rows of a mask or of indices."""
        return Ohlc(
            self.time_ms[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows]
        )


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Rows that passed every check, their timeframe, and how many identical duplicates were dropped."""

    rows: Ohlc
    timeframe_ms: int
    rows_read: int
    duplicates_dropped: int


def clean(raw: Mapping[str, ArrayLike], what: str, timeframe_ms: int | None = None) -> Cleaned:
    """Check the raw columns ts, open, high, low, close and, where there is one, volume; identical duplicates go.

    `timeframe_ms` (60,000 or 180,000) states the timeframe; None finds it from the times. No volume is volume 0.

    Raises:
        CandleError: the subclass says which defect; row and time of the first are in the message.
    """
    times = as_times(raw["ts"], what)
    columns = {name: as_numbers(raw[name], name, what) for name in PRICES}
    columns["volume"] = as_numbers(raw["volume"], "volume", what) if "volume" in raw else np.zeros(len(times))
    check_lengths({"ts": times, **columns}, what)
    check_not_empty(times, what)
    check_minute_grid(times, what)
    check_finite(columns, times, what)
    keep = distinct_rows(times, columns, what)
    check_prices(times, columns, what)
    check_plausible(times, columns, what)
    rows = Ohlc(times, **columns).take(keep)
    dropped = len(times) - len(rows.time_ms)
    timeframe_ms = _stated(rows.time_ms, timeframe_ms, what) if timeframe_ms else detect_timeframe(rows.time_ms, what)
    return Cleaned(rows, timeframe_ms, len(times), dropped)


def check_prices(time_ms: Times, columns: Mapping[str, Floats], what: str) -> None:
    """Refuse prices that are not positive, negative volumes, and prices outside of low and high.

    Raises:
        NotPositiveError, HighBelowLowError: naming the first by row and time.
    """
    for name, column in columns.items():
        if (row := first_true(column < 0 if name == "volume" else column <= 0)) >= 0:
            wanted = "must not be negative" if name == "volume" else "must be above 0"
            raise NotPositiveError(
                f"{place(what, row, time_ms)}: {name} is {column[row]:g}; it {wanted}.",
                "Remove the row (a gap is allowed) or fetch it again.",
            )
    high, low = columns["high"], columns["low"]
    for name, column in (("low", low), ("open", columns["open"]), ("close", columns["close"])):
        if (row := first_true((column > high) | (column < low))) >= 0:
            wrong = "high is below low" if name == "low" else f"{name} {column[row]:.12g} lies outside low and high"
            raise HighBelowLowError(
                f"{place(what, row, time_ms)}: {wrong} (low {low[row]:.12g}, high {high[row]:.12g}).",
                "Remove the row (a gap is allowed) or fetch it again.",
            )


def check_plausible(time_ms: Times, columns: Mapping[str, Floats], what: str) -> None:
    """Refuse a candle that spans, or without a gap opens away from the close before it by, a factor `IMPLAUSIBLE`.

    Raises:
        ImplausiblePriceError: naming the first by row and time.
    """
    spans = columns["high"] / columns["low"]
    steps = np.ones(len(time_ms))
    together = np.diff(time_ms) <= CANDLE_MS
    steps[1:][together] = (columns["open"][1:] / columns["close"][:-1])[together]
    wild = (spans > IMPLAUSIBLE) | (steps > IMPLAUSIBLE) | (steps < 1 / IMPLAUSIBLE)
    if (row := first_true(wild)) >= 0:
        raise ImplausiblePriceError(
            f"{place(what, row, time_ms)}: a price is {IMPLAUSIBLE:g} times another beside it "
            f"(low {columns['low'][row]:.6g}, high {columns['high'][row]:.6g}).",
            "Remove the row (a gap is allowed) or fetch it again.",
        )


def check_rows(time_ms: Times, columns: Mapping[str, Floats], step_ms: int, what: str) -> None:
    """Refuse rows that are not candles of `step_ms` in strictly increasing order; columns without prices need none.

    Raises:
        CandleError: the subclass says which defect.
    """
    check_minute_grid(time_ms, what)
    if not distinct_rows(time_ms, {}, what).all():
        raise DuplicateCandleError(f"{what}: an open time occurs twice.", "Keep one row for each time.")
    if step_ms == CANDLE_MS:
        _check_candle_grid(time_ms, what)
    check_finite(columns, time_ms, what)
    if columns:
        check_prices(time_ms, columns, what)


def detect_timeframe(time_ms: Times, what: str) -> int:
    """60,000 or 180,000, from strictly increasing whole minutes.

    The smallest step decides, because gaps only make steps larger: 15-minute candles lie on the 3-minute grid too,
    yet never 3 minutes apart. One row alone is a 3-minute candle when it lies on that grid: nothing can follow from it.

    Raises:
        TimeframeError: neither, or two of them one after the other; says what it looks like.
        MisalignedError: 3-minute candles beside the 3-minute grid.
    """
    if len(time_ms) < 2:
        return MINUTE_MS if (time_ms % CANDLE_MS).any() else CANDLE_MS
    steps = np.diff(time_ms)
    smallest = int(steps.min())
    _check_one_timeframe(steps, smallest, time_ms, what)
    if smallest == MINUTE_MS:
        return MINUTE_MS
    if smallest != CANDLE_MS:
        looks = timeframe_name(Counter(steps.tolist()).most_common(1)[0][0])
        raise TimeframeError(f"{what} looks like {looks} candles.", "Give 1-minute or 3-minute candles.")
    _check_candle_grid(time_ms, what)
    return CANDLE_MS


def timeframe_name(step_ms: int) -> str:
    """`5-minute`, `4-hour`, `1-day`."""
    for length, unit in ((DAY_MS, "day"), (HOUR_MS, "hour")):
        if step_ms % length == 0:
            return f"{step_ms // length}-{unit}"
    return f"{step_ms // MINUTE_MS}-minute"


def complete_minutes(time_ms: Times) -> NDArray[np.int64]:
    """Indices of the first minutes of those 3-minute candles of which all three minutes are there."""
    if len(time_ms) < MINUTES_PER_CANDLE:
        return np.zeros(0, dtype=np.int64)
    starts = time_ms[:-2] % CANDLE_MS == 0
    whole = time_ms[2:] - time_ms[:-2] == 2 * MINUTE_MS
    return np.flatnonzero(starts & whole)


def aggregate(minutes: Ohlc, what: str) -> tuple[Ohlc, NDArray[np.int64], int]:
    """1-minute rows as 3-minute candles on the epoch grid; a gap stays a gap.

    Returns the candles, the indices of the minutes they are made of (3 each, in order), and how many
    incomplete candles were dropped.

    Raises:
        EmptyCandlesError: not one candle is complete.
    """
    first = complete_minutes(minutes.time_ms)
    if not len(first):
        raise EmptyCandlesError(
            f"{what} holds no three minutes that make a 3-minute candle.", "Give minutes that follow each other."
        )
    trios = first[:, None] + np.arange(MINUTES_PER_CANDLE)
    candles = Ohlc(
        time_ms=minutes.time_ms[first],
        open=minutes.open[first],
        high=minutes.high[trios].max(axis=1),
        low=minutes.low[trios].min(axis=1),
        close=minutes.close[trios[:, -1]],
        volume=minutes.volume[trios].sum(axis=1),
    )
    buckets = 1 + int(np.count_nonzero(np.diff(minutes.time_ms // CANDLE_MS)))
    return candles, trios.ravel(), buckets - len(first)


def _stated(time_ms: Times, timeframe_ms: int, what: str) -> int:
    """A timeframe the caller vouches for, as far as the times do not contradict it."""
    if timeframe_ms not in (MINUTE_MS, CANDLE_MS):
        raise TimeframeError(f"{what}: {timeframe_name(timeframe_ms)} candles are not used.", "Give 1 or 3 minutes.")
    if timeframe_ms == CANDLE_MS:
        _check_candle_grid(time_ms, what)
    return timeframe_ms


def _check_one_timeframe(steps: Times, smallest: int, time_ms: Times, what: str) -> None:
    """Refuse longer candles behind or before shorter ones: they would be taken for an hour of gaps, all alike."""
    alike = (steps[1:] == steps[:-1]) & (steps[1:] > smallest)
    runs = np.convolve(alike, np.ones(ALIKE_GAPS - 1), "valid") if len(alike) >= ALIKE_GAPS - 1 else np.zeros(0)
    if (row := first_true(runs > ALIKE_GAPS - 1.5)) >= 0:
        raise TimeframeError(
            f"{place(what, row, time_ms)}: {timeframe_name(int(steps[row]))} candles begin among "
            f"{timeframe_name(smallest)} ones.",
            "Give a file of one timeframe, 1 or 3 minutes.",
        )


def _check_candle_grid(time_ms: Times, what: str) -> None:
    if (row := first_true(time_ms % CANDLE_MS != 0)) >= 0:
        raise MisalignedError(
            f"{what}: the 3-minute candle of {moment(int(time_ms[row]))} does not open on the 3-minute grid.",
            "3-minute candles open at minutes 0, 3, 6, ... of the hour (UTC).",
        )
