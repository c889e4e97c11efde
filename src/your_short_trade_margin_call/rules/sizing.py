"""How much to sell: the largest quantity whose order cost fits the budget, tier by tier (DESIGN 3)."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from your_short_trade_margin_call.rules.costs import notional
from your_short_trade_margin_call.rules.grid import floor_step
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.margin import order_cost
from your_short_trade_margin_call.rules.terms import (
    TIER_DEDUCTION,
    TIER_LIMIT,
    TIER_MAX_LEVERAGE,
    TIER_MMR,
    Contract,
    Terms,
)

_NO_CAP = cast(int, np.int64(1 << 60))


class Size(NamedTuple):
    """A quantity in lots and its leverage; `quantity_clamped` when the order limit, not the money, bound it."""

    lots: int
    leverage: float
    leverage_clamped: bool
    quantity_clamped: bool


class LotPrice(NamedTuple):
    """What one lot costs at a mid in the lowest tier, and up to how many affordable lots that is all there is to know.

    A budget that affords no more than `most_affordable` buys the whole lots of it, or the order limit.
    """

    cost_usdt: float
    most_affordable: float


@jit_inline
def affordable_lots(available: float, share: float, lot_cost_usdt: float) -> float:
    """How many lots a share of the available balance pays for, not rounded."""
    return available * share / lot_cost_usdt


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
def tiers_are_usual(contract: Contract) -> bool:
    """Whether leverage never rises from tier to tier, maintenance never falls, and deductions stay within it, from 0.

    So it is on every exchange. Then no short is liquidated below the price of its tier without the deduction.
    """
    tiers = contract.tiers
    usual: bool = leverage_never_rises(contract) and tiers[0, TIER_DEDUCTION] == 0.0
    for tier in range(len(tiers)):
        deduction = tiers[tier, TIER_DEDUCTION]
        usual = usual and 0.0 <= deduction <= tiers[tier, TIER_MMR] * tiers[tier, TIER_LIMIT]
        usual = usual and (tier == 0 or tiers[tier, TIER_MMR] >= tiers[tier - 1, TIER_MMR])
    return usual


@jit
def lot_price(contract: Contract, terms: Terms, mid_ticks: float) -> LotPrice:
    """The price of one lot at the reference mid, for usual tiers.

    It is the same in all tiers that allow the leverage of the lowest; a higher one affords no more. Where these reach
    beyond the order limit, that limit is what bounds a richer budget.
    """
    mid = mid_ticks * contract.tick_size
    leverage = lowest_tier_leverage(contract, terms)
    cost = order_cost(mid, contract.lot_size, leverage, terms.taker_fee_rate)
    allowed = 0.0
    for tier in range(len(contract.tiers)):
        if min(terms.leverage, contract.max_leverage, contract.tiers[tier, TIER_MAX_LEVERAGE]) == leverage:
            allowed = contract.tiers[tier, TIER_LIMIT] / (mid * contract.lot_size) * (1.0 - 1e-9)
    most = 1e15 if allowed >= contract.max_lots + 1.0 else allowed
    return LotPrice(cost, most)
