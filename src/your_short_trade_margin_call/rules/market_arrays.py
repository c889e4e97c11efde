"""Candles as kernels take them: prices in ticks, mark prices and funding lined up with the candles."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.errors import ImplausiblePriceError
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.extras import aligned_mark, aligned_minutes, funding_offsets
from your_short_trade_margin_call.rules.terms import to_ticks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from your_short_trade_margin_call.market.candles import Candles

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


class MarketArrays(NamedTuple):
    """`n` candles. Where no mark candle exists the last prices stand in for it.

    `minute_high` and `minute_low` are float64[n, 3], NaN where unknown, or a single NaN row when there
    are no minutes at all. Settlements `funding_first[j]..funding_first[j + 1]` belong before candle j.
    `run_length[j]` is how many candles without a gap end at j.
    """

    candle_ms: int
    time_ms: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    mark_open: Floats
    mark_high: Floats
    mark_close: Floats
    minute_high: Floats
    minute_low: Floats
    has_minutes: bool
    funding_time_ms: Integers
    funding_rate: Floats
    funding_first: Integers
    run_length: Integers


def make_market(candles: Candles, tick_size: float) -> MarketArrays:
    """The candles in ticks, with everything that came with them.

    Raises:
        ImplausiblePriceError: a price lies below one tick, where nothing can be sold.
    """
    open_, high, low, close = (to_ticks(x, tick_size) for x in (candles.open, candles.high, candles.low, candles.close))
    if low.size and low.min() < 1.0:
        raise ImplausiblePriceError(
            f"{candles.symbol}: a low of {candles.low.min():g} USDT lies below one tick of {tick_size:g} USDT.",
            "These candles are not of that pair: name the right one, or its instrument.",
        )
    mark_open, mark_high, mark_close = _mark_or_last(candles, tick_size, (open_, high, close))
    minute_high, minute_low, has_minutes = _minutes(candles, tick_size)
    funding_time, funding_rate, funding_first = funding_offsets(candles)
    return MarketArrays(
        CANDLE_MS,
        np.ascontiguousarray(candles.time_ms),
        open_,
        high,
        low,
        close,
        mark_open,
        mark_high,
        mark_close,
        minute_high,
        minute_low,
        has_minutes,
        np.ascontiguousarray(funding_time, dtype=np.int64),
        np.ascontiguousarray(funding_rate, dtype=np.float64),
        np.ascontiguousarray(funding_first, dtype=np.int64),
        _run_length(candles.time_ms),
    )


def cut(market: MarketArrays, first: int, end: int) -> MarketArrays:
    """The candles first..end-1 alone, as `make_market` would have them: nothing is known of what lies around them.

    Prices share memory with the market they are cut from.
    """
    rows = slice(first, end)
    settled, until = (int(market.funding_first[k]) for k in (min(first + 1, len(market.time_ms)), end))
    minutes = rows if market.has_minutes else slice(None)
    offsets = market.funding_first[first : end + 1] - settled
    return market._replace(
        time_ms=market.time_ms[rows],
        open=market.open[rows],
        high=market.high[rows],
        low=market.low[rows],
        close=market.close[rows],
        mark_open=market.mark_open[rows],
        mark_high=market.mark_high[rows],
        mark_close=market.mark_close[rows],
        minute_high=market.minute_high[minutes],
        minute_low=market.minute_low[minutes],
        funding_time_ms=market.funding_time_ms[settled:until],
        funding_rate=market.funding_rate[settled:until],
        funding_first=np.maximum(offsets, 0),
        run_length=np.minimum(market.run_length[rows], np.arange(1, end - first + 1)),
    )


def _mark_or_last(
    candles: Candles, tick_size: float, last: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Floats, Floats]:
    if candles.mark is None:
        return last
    marks = [to_ticks(x, tick_size) for x in aligned_mark(candles)]
    filled = [np.where(np.isnan(mark), own, mark) for mark, own in zip(marks, last, strict=True)]
    return filled[0], filled[1], filled[2]


def _minutes(candles: Candles, tick_size: float) -> tuple[Floats, Floats, bool]:
    if candles.minutes is None:
        unknown = np.full((1, 3), np.nan)
        return unknown, unknown.copy(), False
    high, low = aligned_minutes(candles)
    return to_ticks(high, tick_size), to_ticks(low, tick_size), True


def _run_length(time_ms: Integers) -> Integers:
    """1, 2, 3, ... restarting after every gap."""
    place = np.arange(1, len(time_ms) + 1, dtype=np.int64)
    after_gap = np.flatnonzero(time_ms[1:] != time_ms[:-1] + CANDLE_MS) + 1
    for start, end in pairwise([*after_gap.tolist(), len(time_ms)]):
        place[start:end] -= start
    return place
