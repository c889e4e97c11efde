"""What the candles say to every trial of a grid: where signals may be, and ways to look ahead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.research.ground_kernel import (
    FLOORS,
    PEAK,
    SIGNAL,
    Ground,
    Signals,
    list_signals,
    price_peaks,
    raise_floors,
)
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.terms import Contract, Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]


class Field(NamedTuple):
    """What trials run on: a market, what it says to all of them, the instrument and the settings."""

    market: MarketArrays
    ground: Ground
    contract: Contract
    terms: Terms


def make_field(market: MarketArrays, contract: Contract, terms: Terms, shortest: int) -> Field:
    """Survey a market for trials whose lookbacks are at least `shortest`."""
    n = len(market.time_ms)
    at = find_peaks(market, shortest)
    peaks = np.empty(len(at), dtype=PEAK)
    price_peaks(market, contract, terms, at, peaks)
    next_peak = np.repeat(np.arange(len(at) + 1, dtype=np.int32), np.diff(at, prepend=-1, append=n))
    settles_before = np.full(len(market.funding_time_ms), n, dtype=np.int64)
    settled = np.repeat(np.arange(n), np.diff(market.funding_first)) if len(settles_before) else settles_before
    settles_before[: len(settled)] = settled
    marks = market.mark_close[settles_before - 1]
    ground = Ground(peaks, next_peak, settles_before, marks, *_towers(market))
    return Field(market, ground, contract, terms)


def find_peaks(market: MarketArrays, shortest: int) -> Integers:
    """The candles that may be failed peaks of some lookback: those of the shortest. The last candle is none."""
    is_peak = market.close < market.open
    is_peak &= market.high >= tops_before(market.high, shortest)
    is_peak &= market.run_length > shortest
    is_peak[-1:] = False
    return np.flatnonzero(is_peak)


def tops_before(high: Floats, width: int) -> Floats:
    """The highest of the `width` highs before each candle; not a number where there are not so many.

    Maxima of ever longer runs, each from two of half the length.
    """
    run, longest = 1, high
    while 2 * run <= width:
        longest = np.maximum(longest[run:], longest[:-run])
        run *= 2
    tops = np.full(len(high), np.nan)
    if len(high) > width:
        # longest[k] is the maximum of high[k], ..., high[k + run - 1].
        np.maximum(longest[: len(high) - width], longest[width - run : len(high) - run], out=tops[width:])
    return tops


def _towers(market: MarketArrays) -> tuple[Floats, Floats]:
    """The towers `lows` and `worst` of Ground."""
    n = count = room = len(market.low)
    for _ in range(FLOORS):
        count = (count + 15) // 16
        room += count
    lows, worst = np.empty(room), np.empty(room)
    lows[:n] = market.low
    np.negative(np.maximum(market.mark_open, market.mark_high, out=worst[:n]), out=worst[:n])
    for tower in (lows, worst):
        raise_floors(tower, n)
    return lows, worst


class Listing:
    """The signals of a field, listed once for whoever asks again for some of the same lookbacks."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._lookbacks: Integers = np.zeros(0, dtype=np.int64)
        self._signals: Signals | None = None

    def of(self, lookbacks: Iterable[int]) -> tuple[Signals, Integers]:
        """Signals of these lookbacks, and perhaps of others; for each the row where its signals stand."""
        wanted = np.array(list(lookbacks), dtype=np.int64)
        if self._signals is None or not np.isin(wanted, self._lookbacks).all():
            self._lookbacks = np.unique(wanted)
            self._signals = self._listed()
        return self._signals, np.searchsorted(self._lookbacks, wanted)

    def _listed(self) -> Signals:
        count, peaks = len(self._lookbacks), self._field.ground.peaks
        signals = Signals(
            np.empty((count, len(peaks)), dtype=SIGNAL), np.empty((count, len(peaks) + 1), dtype=np.int32)
        )
        list_signals(self._field.market, peaks, self._lookbacks, np.zeros(count, dtype=np.int64), *signals)
        return signals
