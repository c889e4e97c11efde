"""What happened while nobody looked: mark prices of missed candles, and settlements, from the exchange's history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from your_short_trade_margin_call.adapters.bybit.account_rows import LINEAR
from your_short_trade_margin_call.adapters.bybit.candle_reader import CandleReader, MarkCandle
from your_short_trade_margin_call.adapters.bybit.numbers import float_of, int_of
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.wire import FundingList
from your_short_trade_margin_call.domain.messages import Candle

_SETTLEMENTS_A_PAGE = 200
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
        self._rest = rest
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
        found: dict[int, Settlement] = {}
        end_ms = last_ms
        while end_ms >= first_ms:
            rows = await self._page(first_ms, end_ms)
            found |= {row.time_ms: row for row in rows}
            if len(rows) < _SETTLEMENTS_A_PAGE:
                break
            end_ms = min(row.time_ms for row in rows) - 1
        return [found[moment] for moment in sorted(found)]

    async def _page(self, first_ms: int, end_ms: int) -> list[Settlement]:
        params: dict[str, str | int | None] = {
            "category": LINEAR,
            "symbol": self._symbol,
            "startTime": first_ms,
            "endTime": end_ms,
            "limit": _SETTLEMENTS_A_PAGE,
        }
        answer = await self._rest.get("/v5/market/funding/history", params, FundingList)
        own = [row for row in answer.rows if row.symbol == self._symbol]
        return [Settlement(int_of(row.funding_rate_timestamp), float_of(row.funding_rate)) for row in own]
