"""What an account needs to know of a pair's market."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.terms import Contract, Terms

_WORTH_NOTHING = re.compile(r"0*\.?0*")


class Pair(Protocol):
    """One pair: its instrument in the exchange's words and in the rules', and where its price stands now, in ticks."""

    @property
    def symbol(self) -> str:
        """``BTCUSDT``."""

    @property
    def item(self) -> Mapping[str, Any]:
        """Its row of instruments-info."""

    @property
    def tiers(self) -> Sequence[Mapping[str, Any]]:
        """Its rows of risk-limit, lowest tier first."""

    @property
    def instrument(self) -> Instrument:
        """The same, parsed."""

    @property
    def contract(self) -> Contract:
        """The same, for the rules."""

    @property
    def terms(self) -> Terms:
        """Fees, spread, slippage, luck."""

    @property
    def market(self) -> MarketArrays:
        """All candles, in ticks."""

    @property
    def cursor(self) -> int:
        """Index of the candle that is running."""

    def market_ms(self, now_ms: int) -> int:
        """The moment that its prices speak of: never before they were set, never in a candle that is not open."""

    @property
    def mid_ticks(self) -> float:
        """Mean of best bid and ask."""

    @property
    def last_ticks(self) -> float:
        """The last trade."""

    @property
    def mark_ticks(self) -> float:
        """The mark price."""

    def price_text(self, ticks: float) -> str:
        """A price as the exchange writes it."""

    def qty_text(self, lots: int) -> str:
        """A quantity as the exchange writes it."""

    def ticks_of(self, text: str) -> float:
        """A price's text in ticks."""

    def lots_of(self, text: str) -> int | None:
        """A quantity's text in lots; None when it is off the grid."""

    def price_limit(self) -> tuple[float, float]:
        """The highest price to buy at, the lowest to sell at, in ticks."""


def exact_price(pair: Pair, ticks: float) -> str:
    """A price that may lie between two ticks: an average, a bankruptcy price."""
    if ticks == int(ticks):
        return pair.price_text(int(ticks))
    return number_text(ticks * pair.contract.tick_size)


def value_usdt(pair: Pair, lots: int, ticks: float) -> float:
    """Quantity times price, in USDT."""
    return (lots * pair.contract.lot_size) * (ticks * pair.contract.tick_size)


def is_nothing(text: str | None) -> bool:
    """Whether a field says "none": absent, empty or zero."""
    return not text or _WORTH_NOTHING.fullmatch(text) is not None
