"""What happened while nobody looked: mark prices of missed candles, and settlements, from the exchange's history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from your_short_trade_margin_call.adapters.bybit.candle_reader import CandleReader, MarkCandle
from your_short_trade_margin_call.adapters.bybit.market_data import MarketData
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.domain.messages import Candle

_UNKNOWN = MarkCandle(math.nan, math.nan, math.nan)


class Settlement(NamedTuple):
    """One settlement: when (UTC ms), and the rate (positive: shorts receive)."""

    time_ms: int
    rate: float


@dataclass(frozen=True, slots=True)
class Past:
    """Mark candles by open time, and settlements, oldest first."""

    marks: Mapping[int, MarkCandle]
    settlements: tuple[Settlement, ...]

    def mark(self, open_time_ms: int) -> MarkCandle:
        """The mark candle; NaN where it is not known: the last price stands in."""
        return self.marks.get(open_time_ms, _UNKNOWN)

    def due(self, after_ms: int, until_ms: int) -> list[Settlement]:
        """Settlements later than one moment, up to and with another."""
        return [row for row in self.settlements if after_ms < row.time_ms <= until_ms]


class PastMarket:
    """Asks for the past of one pair.

    Args:
        rest: the connection.
        reader: asks for mark candles.
        symbol: the pair.
        candle_ms: length of a candle.
    """

    def __init__(self, rest: Rest, reader: CandleReader, symbol: str, candle_ms: int) -> None:
        self._data = MarketData(rest)
        self._reader = reader
        self._symbol = symbol
        self._step = candle_ms

    async def during(self, candles: list[Candle]) -> Past:
        """What goes with these candles (at least one, oldest first), the settlement at the end of the last included.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        first_ms, last_ms = candles[0].open_time_ms, candles[-1].open_time_ms
        marks = await self._reader.marks(first_ms - self._step, last_ms)
        return Past(marks, tuple(await self.settlements(first_ms, last_ms + self._step)))

    async def settlements(self, first_ms: int, last_ms: int) -> list[Settlement]:
        """Settlements between two moments, both included, oldest first.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        rows = await self._data.funding(self._symbol, first_ms, last_ms + 1)
        return [
            Settlement(int(time_ms), float(rate)) for time_ms, (rate,) in zip(rows.time_ms, rows.values, strict=True)
        ]
