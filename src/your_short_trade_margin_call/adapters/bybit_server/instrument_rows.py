"""An instrument in Bybit's own shape: the row of instruments-info and the rows of risk-limit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text, padded
from your_short_trade_margin_call.domain.instrument import Instrument, RiskTier

_HIGHEST_TICK = 19_999_998
"""Bybit's highest price is this many ticks, for most pairs."""
_MAX_TO_MARKET = 10
"""The largest limit order is about this many times the largest market order."""
_LAUNCH_MS = 1_585_526_400_000
_FUNDING_CAP = "0.005"
PRICE_LIMIT_X, PRICE_LIMIT_Y = "0.05", "0.1"
"""How far an order's price may lie from the mark (Bybit's for most pairs)."""


def decimals_in(text: str) -> int:
    """Digits after the point as written: 2 for 0.10."""
    return len(text.partition(".")[2])


def symbol_id(symbol: str) -> int:
    """A small number that stands for the pair, the same every time."""
    return int.from_bytes(hashlib.blake2b(symbol.encode(), digest_size=2).digest(), "big")


def instrument_item(instrument: Instrument, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The row of instruments-info; what `given` (a recorded row) says wins over what is made up here."""
    tick, step = instrument.tick_size, instrument.qty_step
    base = instrument.symbol.removesuffix("USDT")
    item: dict[str, Any] = {
        "symbol": instrument.symbol,
        "symbolId": symbol_id(instrument.symbol),
        "contractType": "LinearPerpetual",
        "status": "Trading" if instrument.is_trading else "Closed",
        "baseCoin": base,
        "quoteCoin": "USDT",
        "launchTime": str(_LAUNCH_MS),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(decimals_in(f"{tick:f}")),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{instrument.max_leverage:.2f}",
            "leverageStep": "0.01",
        },
        "priceFilter": {"minPrice": f"{tick:f}", "maxPrice": f"{tick * _HIGHEST_TICK:f}", "tickSize": f"{tick:f}"},
        "lotSizeFilter": _lots(instrument, decimals_in(f"{step:f}")),
        "unifiedMarginTrade": True,
        "fundingInterval": instrument.funding_interval_minutes,
        "settleCoin": "USDT",
        "copyTrading": "both",
        "upperFundingRate": _FUNDING_CAP,
        "lowerFundingRate": f"-{_FUNDING_CAP}",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": PRICE_LIMIT_X, "priceLimitRatioY": PRICE_LIMIT_Y},
        "symbolType": "",
    }
    return item | dict(given or {})


def _lots(instrument: Instrument, places: int) -> dict[str, str]:
    largest = instrument.max_market_order_qty
    return {
        "maxOrderQty": padded(largest * _MAX_TO_MARKET, places),
        "minOrderQty": padded(instrument.min_order_qty, places),
        "qtyStep": f"{instrument.qty_step:f}",
        "postOnlyMaxOrderQty": padded(largest * _MAX_TO_MARKET, places),
        "maxMktOrderQty": padded(largest, places),
        "minNotionalValue": number_text(instrument.min_notional_usdt),
    }


def risk_rows(instrument: Instrument) -> list[dict[str, Any]]:
    """The rows of risk-limit, lowest tier first."""
    first_id = symbol_id(instrument.symbol) * 100 + 1
    return [_risk_row(instrument.symbol, first_id + k, k, tier) for k, tier in enumerate(instrument.tiers)]


def _risk_row(symbol: str, number: int, place: int, tier: RiskTier) -> dict[str, Any]:
    return {
        "id": number,
        "symbol": symbol,
        "riskLimitValue": number_text(Decimal(repr(tier.limit_usdt))),
        "maintenanceMargin": number_text(tier.maintenance_margin_rate),
        "initialMargin": number_text(1.0 / tier.max_leverage, 4),
        "isLowestRisk": int(place == 0),
        "maxLeverage": f"{tier.max_leverage:.2f}",
        "mmDeduction": number_text(tier.deduction_usdt) if place or tier.deduction_usdt else "",
    }
