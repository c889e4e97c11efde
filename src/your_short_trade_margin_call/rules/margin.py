"""Isolated margin of a Bybit USDT perpetual, short side (unified account since 2025-09-02).

Sources: Bybit help centre, "Order Cost (USDT Contract)", "The New Margin Calculation" (2025-09-18) and
"Trading Rules: Liquidation Process (UTA)". `side` is -1 for a short and +1 for the mirrored long; the
product trades shorts only, the mirror lets Bybit's long examples test the same lines.

Prices in this file are in USDT, quantities in base coin, so that the examples read as published.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.terms import TIER_DEDUCTION, TIER_LIMIT, TIER_MMR

SHORT = -1.0


@jit_inline
def bankruptcy_price(
    entry: float, quantity: float, leverage: float, extra_margin: float, fee_rate: float, side: float = SHORT
) -> float:
    """Price at which closing with the taker fee loses exactly the position margin."""
    return entry * (1.0 - side / leverage) - side * extra_margin / (quantity * (1.0 - side * fee_rate))


@jit_inline
def close_fee_reserve(entry: float, quantity: float, leverage: float, fee_rate: float, side: float = SHORT) -> float:
    """Fee to close at the bankruptcy price, reserved with the margin; entry based."""
    return quantity * entry * (1.0 - side / leverage) * fee_rate


@jit_inline
def initial_margin(entry: float, quantity: float, leverage: float, fee_rate: float, side: float = SHORT) -> float:
    """Margin a position locks, its close-fee reserve included."""
    return quantity * entry / leverage + close_fee_reserve(entry, quantity, leverage, fee_rate, side)


@jit_inline
def order_cost(price: float, quantity: float, leverage: float, fee_rate: float, side: float = SHORT) -> float:
    """What an order needs of the available balance: margin, fee to open, fee to close."""
    return quantity * price * fee_rate + initial_margin(price, quantity, leverage, fee_rate, side)


@jit_inline
def tier_of(tiers: NDArray[np.float64], value_usdt: float) -> int:
    """Index of the tier that contains a position value; the last tier when it is beyond all."""
    last = len(tiers) - 1
    for tier in range(last):
        if value_usdt <= tiers[tier, TIER_LIMIT]:
            return tier
    return last


@jit_inline
def maintenance_margin(value_usdt: float, mmr: float, deduction_usdt: float, close_reserve_usdt: float) -> float:
    """Maintenance margin at a position value (quantity times mark), with the close-fee reserve."""
    return value_usdt * mmr - deduction_usdt + close_reserve_usdt


@jit_inline
def liquidation_price_in_tier(
    entry: float,
    quantity: float,
    leverage: float,
    extra_margin: float,
    fee_rate: float,
    mmr: float,
    deduction_usdt: float,
    side: float = SHORT,
) -> float:
    """Liquidation price when one tier's rate and deduction hold throughout."""
    margin = entry * quantity / leverage + extra_margin / (1.0 - side * fee_rate) + deduction_usdt
    return (entry * quantity - side * margin) / (quantity - side * quantity * mmr)


@jit
def liquidation_price(
    tiers: NDArray[np.float64], entry: float, quantity: float, leverage: float, extra_margin: float, fee_rate: float
) -> float:
    """Liquidation price of a short, solved in the tier that contains its value at that price.

    Maintenance margin is continuous and grows with the price, so the solution is unique; beyond the
    last limit the last tier holds. Not yet rounded to the tick.
    """
    price = 0.0
    for tier in range(len(tiers)):
        price = liquidation_price_in_tier(
            entry, quantity, leverage, extra_margin, fee_rate, tiers[tier, TIER_MMR], tiers[tier, TIER_DEDUCTION]
        )
        if quantity * price <= tiers[tier, TIER_LIMIT]:
            break
    return price
