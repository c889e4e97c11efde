"""One pair's market: its recorded candles, where it stands in them, and the prices that hold now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.candle_rows import last_price_rows, mark_price_rows
from your_short_trade_margin_call.adapters.bybit_server.instrument_rows import (
    PRICE_LIMIT_X,
    PRICE_LIMIT_Y,
    decimals_in,
    instrument_item,
    risk_rows,
)
from your_short_trade_margin_call.adapters.bybit_server.number_text import decimal_of, padded
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.shown_candle import Extremes, price_at, turning_points
from your_short_trade_margin_call.adapters.bybit_server.tape import Tape
from your_short_trade_margin_call.domain.errors import TooFewCandlesError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.spans import MINUTE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms, price_to_ticks
from your_short_trade_margin_call.settings import Settings

_SIZE_SHARE = 20
"""A level of the book holds about this part of what a candle trades."""


class PairMarket:
    """The candles before `start` are history; candle `start` has just opened.

    `cursor` is the candle that runs, or opens next; `phase` the phase that was done last. Prices in ticks, which may
    lie between two where candles do.

    Args:
        instrument: the pair's rules.
        candles: its candles, with whatever belongs to them.
        settings: spread, fees and luck.
        start: index of the candle that has just opened.
        item: a recorded row of instruments-info; what it says wins over what is derived from `instrument`.

    Raises:
        TooFewCandlesError: there is no candle `start`.
    """

    def __init__(
        self,
        instrument: Instrument,
        candles: Candles,
        settings: Settings,
        start: int,
        item: Mapping[str, Any] | None = None,
    ) -> None:
        if not 0 <= start < len(candles):
            raise TooFewCandlesError(
                f"There are {len(candles):,} candles of {instrument.symbol}, none to start with at place {start:,}.",
                "Give more candles, or a shorter window before them.",
            )
        self.symbol = instrument.symbol
        self.instrument, self.candles, self._count = instrument, candles, len(candles)
        self.item: dict[str, Any] = instrument_item(instrument, item)
        self.tiers: list[dict[str, Any]] = risk_rows(instrument)
        self.contract, self.terms = make_contract(instrument), make_terms(settings, instrument.symbol)
        self.market: MarketArrays = make_market(candles, float(instrument.tick_size))
        self.rows, self.mark_rows = last_price_rows(candles), mark_price_rows(candles)
        self.tape = Tape(self.symbol)
        self.cursor, self.phase = start, Phase.QUOTE
        self.settled_ms = self.open_ms(start)
        """Settlements up to this moment have been made."""
        self.quoted_ms = self.open_ms(start)
        """When book and last price were last set."""
        self.mid_ticks = self.last_ticks = self.mark_ticks = 0.0
        self.price_places = decimals_in(self.item["priceFilter"]["tickSize"])
        self.qty_places = decimals_in(self.item["lotSizeFilter"]["qtyStep"])
        self._set_opening(start)
        self.open_candle()

    # ---- where it stands ------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """No candle follows: the last price stands."""
        return self.cursor >= self._count

    @property
    def is_trading(self) -> bool:
        """Whether the exchange takes orders that open positions."""
        return bool(self.item["status"] == "Trading" and self.item["deliveryTime"] == "0")

    def open_ms(self, j: int) -> int:
        """Open time of candle `j`."""
        return int(self.market.time_ms[j])

    def close_ms(self, j: int) -> int:
        """Close time of candle `j`."""
        return self.open_ms(j) + self.market.candle_ms

    @property
    def due_ms(self) -> int | None:
        """When the next phase is due; None when none is."""
        if self.is_over:
            return None
        running = self.phase in (Phase.QUOTE, Phase.PATH)
        return self.close_ms(self.cursor) if running else self.open_ms(self.cursor)

    def market_ms(self, now_ms: int) -> int:
        """The moment that book and ticker speak of: never before they were set, never in a candle that is not open."""
        if self.phase is not Phase.QUOTE or self.is_over:
            return self.quoted_ms
        return max(self.quoted_ms, min(now_ms, self.close_ms(self.cursor) - 1))

    # ---- moving on (called by the world) ----------------------------------------------------------

    def finish_candle(self) -> None:
        """PATH: its close is the market."""
        j = self.cursor
        self._set(self.market.close[j], self.market.mark_close[j], self.close_ms(j) - 1)

    def close_candle(self) -> None:
        """CLOSE: the cursor moves to the candle that opens next."""
        for rows in (self.rows, self.mark_rows):
            rows.close(self.close_ms(self.cursor))
        self.cursor += 1

    def reach_opening(self) -> None:
        """GUARDS: the opening price is the market."""
        self._set_opening(self.cursor)

    def open_candle(self) -> None:
        """QUOTE: the candle at the cursor runs."""
        for rows in (self.rows, self.mark_rows):
            rows.start_at(self.cursor, self.open_ms(self.cursor))

    def move_inside(self, moment_ms: int) -> None:
        """The running candle is shown to have moved by this moment inside it."""
        j = self.cursor
        progress = (moment_ms - self.open_ms(j)) / self.market.candle_ms
        ticks = price_at(self._turning_points, progress)
        first, last = self.market.mark_open[j] - self.market.open[j], self.market.mark_close[j] - self.market.close[j]
        mark = max(1.0, float(round(ticks + first + (last - first) * progress)))
        self._set(ticks, mark, moment_ms)
        self.rows.see(moment_ms, self.instrument.price(ticks), progress)
        self.mark_rows.see(moment_ms, self.instrument.price(mark), progress)

    def _set_opening(self, j: int) -> None:
        self._set(self.market.open[j], self.market.mark_open[j], self.open_ms(j))
        self.__dict__.pop("_turning_points", None)

    def _set(self, ticks: float, mark_ticks: float, time_ms: int) -> None:
        self.mid_ticks = self.last_ticks = float(ticks)
        self.mark_ticks = float(mark_ticks)
        self.quoted_ms = time_ms

    @cached_property
    def _turning_points(self) -> Any:
        """Of the running candle: minute by minute where its three minutes are known."""
        j, market = self.cursor, self.market
        minutes = self.rows.minutes_of(self.open_ms(j), self.close_ms(j))
        if len(minutes) * MINUTE_MS == market.candle_ms:
            tick = self.contract.tick_size
            parts = [Extremes(*(price_to_ticks(price, tick) for price in row[1:5])) for row in minutes]
        else:
            parts = [Extremes(*(float(x[j]) for x in (market.open, market.high, market.low, market.close)))]
        return turning_points(parts)

    # ---- prices ---------------------------------------------------------------------------------

    @property
    def half_spread_ticks(self) -> int:
        """Whole ticks from mid to bid and to ask: the spread of the settings, at least one where the price allows."""
        half = max(1, round(self.mid_ticks * self.terms.spread_bps / 20_000.0))
        return max(0, min(half, math.ceil(self.mid_ticks) - 1))

    def bid(self, level: int = 0) -> float:
        """The best bid, or one so many ticks below."""
        return self.mid_ticks - self.half_spread_ticks - level

    def ask(self, level: int = 0) -> float:
        """The best ask, or one so many ticks above; the mean of best bid and ask is the mid."""
        return self.mid_ticks + self.half_spread_ticks + level

    def price_limit(self) -> tuple[int, int]:
        """The highest price of a buy and the lowest of a sell, in ticks; the mark stands for the index."""
        ratios = self.item.get("riskParameters") or {}
        x = float(ratios.get("priceLimitRatioX", PRICE_LIMIT_X))
        y = float(ratios.get("priceLimitRatioY", PRICE_LIMIT_Y))
        mark, premium = self.mark_ticks, self.mid_ticks - self.mark_ticks
        buy = min(mark * (1 + y), max(mark, mark * (1 + x) + max(0.0, premium)))
        sell = max(mark * (1 - y), min(mark, mark * (1 - x) + min(0.0, premium)))
        return math.floor(buy + 1e-9), max(1, math.ceil(sell - 1e-9))

    @cached_property
    def level_lots(self) -> int:
        """How much rests at each level of the book, in lots."""
        mean = float(self.candles.volume.mean()) / _SIZE_SHARE / self.contract.lot_size
        return max(self.contract.min_lots, round(mean))

    # ---- numbers as text ------------------------------------------------------------------------

    def price_text(self, ticks: float) -> str:
        """A price in USDT with the decimals of the tick, or all it needs when it lies between two."""
        return padded(self._exact(ticks), self.price_places)

    def usdt_text(self, price: float) -> str:
        """A recorded price (USDT) with all its decimals."""
        return padded(Decimal(repr(float(price))), self.price_places)

    def qty_text(self, lots: int) -> str:
        """A quantity in base coin."""
        return padded(self.instrument.qty_step * lots, self.qty_places)

    def ticks_of(self, text: str) -> float:
        """A price from a request, in ticks; NaN when it is no number."""
        number = decimal_of(text)
        if number is None:
            return math.nan
        steps = number / self.instrument.tick_size
        return float(steps) if steps == steps.to_integral_value() else price_to_ticks(float(number), self._tick)

    def lots_of(self, text: str) -> int | None:
        """A quantity from a request, in lots; None when it is no number or no whole number of steps."""
        number = decimal_of(text)
        if number is None:
            return None
        steps = number / self.instrument.qty_step
        return int(steps) if steps == steps.to_integral_value() else None

    @property
    def _tick(self) -> float:
        return self.contract.tick_size

    def _exact(self, ticks: float) -> Decimal:
        whole = round(ticks)
        if abs(ticks - whole) <= 1e-9:
            return self.instrument.tick_size * whole
        return Decimal(f"{ticks * self._tick:.12g}")
