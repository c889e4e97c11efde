"""Closed candles asked for over REST, in ticks: what the streams missed, and what an engine begins with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.numbers import Grid, int_of
from your_short_trade_margin_call.adapters.bybit.public_feed import candle_of
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.wire import CandleList
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Candle
from your_short_trade_margin_call.domain.spans import MINUTE_MS

_PAGE = 1_000
_FEW = 5
_GRAIN_MS = 5.0


class MarkCandle(NamedTuple):
    """What mark prices did in a candle, in ticks."""

    open: float
    high: float
    close: float


class CandleReader:
    """Asks for the candles of one pair.

    Args:
        rest: the connection.
        symbol: the pair.
        grid: its ticks.
        candle_ms: length of a candle.
        clock: the exchange's time: decides whether the newest candle has closed.
    """

    def __init__(self, rest: Rest, symbol: str, grid: Grid, candle_ms: int, clock: ServerClock) -> None:
        self._rest = rest
        self._symbol = symbol
        self._grid = grid
        self._step = candle_ms
        self._clock = clock

    async def closed(self, first_ms: int | None, last_ms: int | None) -> tuple[Candle, ...]:
        """Closed candles by open time, both ends included, oldest first (see `candle_line.Fetch`).

        Raises:
            ExchangeError: no answer, or none that can be read.
        """
        if first_ms is None:
            return (await self.newest(_FEW))[-_FEW:]
        end_ms = last_ms if last_ms is not None else self._newest_end_ms(first_ms)
        found = await self._pages(first_ms, end_ms)
        # The answers may have told a later time than was known when the question was put.
        while last_ms is None and (later_ms := self._newest_end_ms(first_ms)) > end_ms:
            found += await self._pages(end_ms + self._step, later_ms)
            end_ms = later_ms
        return self._only_closed(found, last_ms)

    def _newest_end_ms(self, first_ms: int) -> int:
        """Open time after the running candle's, on the grid: it only moves on when a candle closes."""
        now_ms = self._clock.now_ms()
        return max(now_ms - now_ms % self._step, first_ms) + self._step

    async def _pages(self, first_ms: int, end_ms: int) -> list[Candle]:
        found: list[Candle] = []
        for start_ms in range(first_ms, end_ms + 1, (_PAGE - 1) * self._step):
            until_ms = min(end_ms, start_ms + (_PAGE - 2) * self._step)
            found += await self._page("/v5/market/kline", start_ms, until_ms)
        return found

    async def newest(self, count: int) -> tuple[Candle, ...]:
        """The last `count` closed candles, oldest first; fewer when there are fewer.

        Raises:
            ExchangeError: no answer, or none that can be read.
        """
        now_ms = self._clock.now_ms()
        running_ms = now_ms - now_ms % self._step
        return (await self.closed(running_ms - (count + 1) * self._step, None))[-count:]

    async def marks(self, first_ms: int, last_ms: int) -> dict[int, MarkCandle]:
        """Mark-price candles by open time, both ends included; what the exchange does not have is missing.

        Raises:
            ExchangeError: no answer, or none that can be read.
        """
        found: dict[int, MarkCandle] = {}
        for start_ms in range(first_ms, last_ms + 1, (_PAGE - 1) * self._step):
            until_ms = min(last_ms, start_ms + (_PAGE - 2) * self._step)
            for candle in await self._page("/v5/market/mark-price-kline", start_ms, until_ms):
                found[candle.open_time_ms] = MarkCandle(candle.open, candle.high, candle.close)
        return found

    async def _page(self, path: str, start_ms: int, until_ms: int) -> list[Candle]:
        params: dict[str, str | int | None] = {
            "category": "linear",
            "symbol": self._symbol,
            "interval": str(self._step // MINUTE_MS),
            "start": start_ms,
            "end": until_ms,
            "limit": _PAGE,
        }
        answer = await self._rest.get(path, params, CandleList)
        candles = [candle for row in answer.rows if (candle := self._candle(row)) is not None]
        return sorted(
            (candle for candle in candles if start_ms <= candle.open_time_ms <= until_ms),
            key=lambda candle: candle.open_time_ms,
        )

    def _candle(self, row: Sequence[str]) -> Candle | None:
        """A row as a candle; None for one that makes none: it stays a gap."""
        with suppress(ExchangeError):
            if len(row) > 4:
                return candle_of(self._grid, int_of(row[0]), row[1:5])
        return None

    def _only_closed(self, candles: list[Candle], last_ms: int | None) -> tuple[Candle, ...]:
        """A candle has closed when a later one exists, when the caller knows, or when its time is over beyond doubt."""
        if not candles:
            return ()
        doubt_ms = self._clock.doubt_ms + _GRAIN_MS if self._clock.speed > 0 else 0.0
        newest = candles[-1].open_time_ms
        is_over = newest + self._step + doubt_ms <= self._clock.now_ms()
        known = last_ms is not None and newest <= last_ms
        return tuple(candles if is_over or known else candles[:-1])
