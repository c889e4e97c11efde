"""How much to sell: the largest quantity whose order cost fits the budget, tier by tier (DESIGN 3)."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from your_short_trade_margin_call.rules.costs import notional
from your_short_trade_margin_call.rules.grid import floor_step
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.margin import order_cost
from your_short_trade_margin_call.rules.terms import TIER_LIMIT, TIER_MAX_LEVERAGE, Contract, Terms

_NO_CAP = cast(int, np.int64(1 << 60))


class Size(NamedTuple):
    """A quantity in lots and its leverage; `quantity_clamped` when the order limit, not the money, bound it."""

    lots: int
    leverage: float
    leverage_clamped: bool
    quantity_clamped: bool


class LotPrice(NamedTuple):
    """What one lot costs at a mid in the lowest tier, and up to how many lots nothing but the money decides."""

    cost_usdt: float
    only_money: float
    leverage: float


@jit
def _largest(
    contract: Contract, terms: Terms, budget_usdt: float, mid_ticks: float, cap_lots: int, is_usual: bool
) -> Size:
    """Largest quantity over the tiers, at most `cap_lots`; `quantity_clamped` says whether that bound any of them.

    Where leverage never rises (`is_usual`), no tier above the first that money decides affords more.
    """
    mid = mid_ticks * contract.tick_size
    best_lots = 0
    best_leverage = terms.leverage
    is_capped = False
    floor_usdt = 0.0
    known = 0.0
    affordable = 0.0
    for tier in range(len(contract.tiers)):
        limit_usdt = contract.tiers[tier, TIER_LIMIT]
        leverage = min(terms.leverage, contract.max_leverage, contract.tiers[tier, TIER_MAX_LEVERAGE])
        if leverage != known:
            affordable = budget_usdt / order_cost(mid, contract.lot_size, leverage, terms.taker_fee_rate)
            known = leverage
        allowed = limit_usdt / (mid * contract.lot_size)
        lots = floor_step(min(affordable, allowed, 1e15))
        is_capped = is_capped or lots > cap_lots
        lots = min(lots, cap_lots)
        if lots > best_lots and notional(contract, lots, mid_ticks) > floor_usdt:
            best_lots = lots
            best_leverage = leverage
        if is_usual and affordable <= allowed:
            break
        floor_usdt = limit_usdt
    return Size(best_lots, best_leverage, best_leverage < terms.leverage, is_capped)


@jit
def largest_size(contract: Contract, terms: Terms, budget_usdt: float, mid_ticks: float) -> Size:
    """The size of an entry at the reference mid for a budget in USDT; 0 lots when nothing fits."""
    is_usual = leverage_never_rises(contract)
    size = _largest(contract, terms, budget_usdt, mid_ticks, contract.max_lots, is_usual)
    if not size.quantity_clamped:
        return size
    free = _largest(contract, terms, budget_usdt, mid_ticks, _NO_CAP, is_usual)
    return Size(size.lots, size.leverage, size.leverage_clamped, free.lots > size.lots)


@jit_inline
def lowest_tier_leverage(contract: Contract, terms: Terms) -> float:
    """The leverage of a position that lies in the lowest tier."""
    cap: float = contract.tiers[0, TIER_MAX_LEVERAGE]
    return min(terms.leverage, contract.max_leverage, cap)


@jit
def leverage_never_rises(contract: Contract) -> bool:
    """Whether no tier allows more leverage than the one below it, as on every exchange."""
    for tier in range(1, len(contract.tiers)):
        if contract.tiers[tier, TIER_MAX_LEVERAGE] > contract.tiers[tier - 1, TIER_MAX_LEVERAGE]:
            return False
    return True


@jit
def lot_price(contract: Contract, terms: Terms, mid_ticks: float) -> LotPrice:
    """The price of one lot at the reference mid, for a contract whose leverage never rises.

    A size of at most `only_money` lots is `floor(budget / cost)`: it lies in the lowest tier and below the order
    limit, and a higher tier, with the same leverage or less, affords no more.
    """
    mid = mid_ticks * contract.tick_size
    leverage = lowest_tier_leverage(contract, terms)
    cost = order_cost(mid, contract.lot_size, leverage, terms.taker_fee_rate)
    allowed = contract.tiers[0, TIER_LIMIT] / (mid * contract.lot_size)
    return LotPrice(cost, min(allowed, 1e15, float(contract.max_lots)), leverage)
