"""An instrument: its grid of prices and quantities, its limits, its risk tiers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class RiskTier:
    """One row of Bybit's risk-limit table.

    `limit_usdt` is the largest notional of the tier, inclusive; `maintenance_margin_rate` and
    `deduction_usdt` (mmDeduction) give the maintenance margin; `max_leverage` caps the leverage.
    """

    limit_usdt: float
    maintenance_margin_rate: float
    max_leverage: float
    deduction_usdt: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """One USDT perpetual. Steps are exact decimals; order limits are in base coin.

    `source` tells where the description comes from: `exchange`, `kept` (what the exchange said earlier), `file`
    (`--instrument`) or `package` (the table shipped with the program). `tiers_source` says the same of the risk tiers,
    or `assumed` where nobody gave any: maintenance margin 0.5 %, no deduction.
    """

    symbol: str
    tick_size: Decimal
    qty_step: Decimal
    min_order_qty: Decimal
    max_market_order_qty: Decimal
    min_notional_usdt: float
    max_leverage: float
    tiers: tuple[RiskTier, ...]
    tiers_source: str
    is_trading: bool = True
    funding_interval_minutes: int = 480
    source: str = "package"

    @property
    def price_decimals(self) -> int:
        """Digits after the point that a price of this instrument needs."""
        return max(0, -int(self.tick_size.normalize().as_tuple().exponent))

    @property
    def qty_decimals(self) -> int:
        """Digits after the point that a quantity of this instrument needs."""
        return max(0, -int(self.qty_step.normalize().as_tuple().exponent))

    def price(self, ticks: float) -> float:
        """`ticks` in USDT, clean of binary dust: 1041234 ticks of 0.1 are 104123.4."""
        return round(ticks * float(self.tick_size), max(self.price_decimals, 8))

    def quantity(self, lots: int) -> float:
        """`lots` in base coin."""
        return round(lots * float(self.qty_step), max(self.qty_decimals, 8))
