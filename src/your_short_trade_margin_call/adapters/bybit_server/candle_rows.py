"""A pair's candles as the exchange shows them at any interval: closed ones, and the running one so far."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from your_short_trade_margin_call.adapters.bybit_server.intervals import (
    INTERVALS,
    BaseRows,
    PriceRow,
    Series,
    base_ms,
    start_of,
)
from your_short_trade_margin_call.adapters.bybit_server.shown_candle import Running
from your_short_trade_margin_call.domain.spans import CANDLE_MS, MINUTE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.ohlc import MINUTES_PER_CANDLE


class CandleRows:
    """Which rows are public: those that closed, and a running one per base that only shows what has been seen.

    Intervals of 1 and 5 minutes exist only where there are recorded minutes.

    Args:
        bases: the recorded candles by their length in ms: those of 3 minutes, and perhaps of 1 minute.
    """

    def __init__(self, bases: Mapping[int, BaseRows]) -> None:
        self._bases = dict(bases)
        self._series = {name: Series(name, self._bases[base_ms(name)]) for name in INTERVALS if self._has(name)}
        self._running: dict[int, Running | None] = dict.fromkeys(self._bases)
        self._closed: dict[int, int] = dict.fromkeys(self._bases, 0)

    def _has(self, interval: str) -> bool:
        return base_ms(interval) in self._bases

    @property
    def intervals(self) -> tuple[str, ...]:
        """Names of the intervals that can be shown."""
        return tuple(self._series)

    @property
    def bases(self) -> tuple[int, ...]:
        """Lengths of the recorded candles: 3 minutes, and perhaps 1 minute."""
        return tuple(self._bases)

    def series(self, interval: str) -> Series:
        """The candles of an interval, all of them."""
        return self._series[interval]

    def closed(self, step_ms: int) -> int:
        """How many recorded candles of this length have closed."""
        return self._closed[step_ms]

    def minutes_of(self, start_ms: int, end_ms: int) -> list[PriceRow]:
        """The minutes that open in [start, end)."""
        base = self._bases.get(MINUTE_MS)
        if base is None:
            return []
        first, end = np.searchsorted(base.time_ms, (start_ms, end_ms)).tolist()
        return [base.row(j) for j in range(first, end)]

    # ---- moving on --------------------------------------------------------------------------------

    def start_at(self, cursor: int, open_ms: int) -> None:
        """A candle opens: all that closed by then is public, and an opening price."""
        price = float(self._bases[CANDLE_MS].open[cursor])
        self._running[CANDLE_MS] = Running.opened(open_ms, price)
        self._closed[CANDLE_MS] = cursor
        self._open_minute(open_ms)

    def see(self, moment_ms: int, price: float, progress: float) -> None:
        """The price inside the running candle moved."""
        running = self._running[CANDLE_MS]
        if running is not None:
            running.see(price, progress)
        minute = self._running.get(MINUTE_MS)
        if MINUTE_MS in self._bases and (minute is None or moment_ms >= minute.start_ms + MINUTE_MS):
            self._open_minute(moment_ms)
            minute = self._running[MINUTE_MS]
        if minute is not None:
            minute.see(price, (moment_ms - minute.start_ms) / MINUTE_MS)

    def close(self, close_ms: int) -> None:
        """The running candle closed; the next has not opened."""
        for step_ms, base in self._bases.items():
            self._closed[step_ms] = int(np.searchsorted(base.time_ms, close_ms - step_ms, side="right"))
            self._running[step_ms] = None

    def _open_minute(self, moment_ms: int) -> None:
        """The minute that holds a moment becomes the running one, if it was recorded."""
        base = self._bases.get(MINUTE_MS)
        if base is None:
            return
        start_ms = moment_ms - moment_ms % MINUTE_MS
        row = int(np.searchsorted(base.time_ms, start_ms))
        self._closed[MINUTE_MS] = row
        there = row < len(base.time_ms) and int(base.time_ms[row]) == start_ms
        self._running[MINUTE_MS] = Running.opened(start_ms, float(base.open[row])) if there else None

    # ---- what is shown ------------------------------------------------------------------------------

    def running_row(self, step_ms: int) -> PriceRow | None:
        """The running recorded candle so far."""
        running = self._running[step_ms]
        return None if running is None else running.row(self._bases[step_ms].row(self._closed[step_ms]))

    def running(self, interval: str) -> PriceRow | None:
        """The running candle of an interval so far; None between a close and the next opening."""
        series = self._series[interval]
        row = self.running_row(series.base.step_ms)
        if row is None:
            return None
        closed = self._closed[series.base.step_ms]
        return series.candle(series.group_of(closed), closed, row)

    def closing(self, interval: str, row: int) -> PriceRow | None:
        """The candle of an interval that closes with a recorded row; None when others of it follow."""
        series = self._series[interval]
        return series.candle(series.group_of(row), row + 1, None) if series.closes_with(row) else None

    def between(self, interval: str, start_ms: int | None, end_ms: int | None, limit: int) -> list[PriceRow]:
        """Candles known now, oldest first, that open in [start, end]; the start is floored to its candle.

        With a start alone the first `limit`, otherwise the last.
        """
        series = self._series[interval]
        closed, running = self._closed[series.base.step_ms], self.running_row(series.base.step_ms)
        known = closed + (running is not None)
        groups = series.group_of(known - 1) + 1 if known else 0
        starts = series.start_ms[:groups]
        first = 0 if start_ms is None else int(np.searchsorted(starts, start_of(interval, start_ms)))
        end = groups if end_ms is None else int(np.searchsorted(starts, end_ms, side="right"))
        if start_ms is not None and end_ms is None:
            end = min(end, first + limit)
        picked = range(max(first, end - limit), end)
        rows = (series.candle(group, closed, running) for group in picked)
        return [row for row in rows if row is not None]


def last_price_rows(candles: Candles) -> CandleRows:
    """The candles of last prices, with their minutes where there are any."""
    prices = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    bases = {CANDLE_MS: BaseRows(CANDLE_MS, candles.time_ms, *prices)}
    minutes = candles.minutes
    if minutes is not None and len(minutes):
        place = np.clip(np.searchsorted(candles.time_ms, minutes.time_ms, side="right") - 1, 0, len(candles) - 1)
        volume = candles.volume[place] / MINUTES_PER_CANDLE  # a third of that of the candle it lies in
        prices = (minutes.open, minutes.high, minutes.low, minutes.close, volume)
        bases[MINUTE_MS] = BaseRows(MINUTE_MS, minutes.time_ms, *prices)
    return CandleRows(bases)


def mark_price_rows(candles: Candles) -> CandleRows:
    """The candles of mark prices; where none is recorded the last prices stand in, as in the rules."""
    last = (candles.open, candles.high, candles.low, candles.close)
    mark = candles.mark
    if mark is not None and len(mark):
        place = np.searchsorted(mark.time_ms, candles.time_ms)
        place[place == len(mark)] = 0
        found = mark.time_ms[place] == candles.time_ms
        marks = (mark.open, mark.high, mark.low, mark.close)
        last = tuple(np.where(found, own[place], other) for own, other in zip(marks, last, strict=True))  # type: ignore[assignment]
    return CandleRows({CANDLE_MS: BaseRows(CANDLE_MS, candles.time_ms, *last, np.zeros(len(candles)))})
