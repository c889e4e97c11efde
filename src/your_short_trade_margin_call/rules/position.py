"""A short position: how it opens, what guards it, what funding does to it, how it closes.

All money in USDT, prices in ticks, quantities in lots. Functions return new tuples.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from your_short_trade_margin_call.domain.words import ExitReason, ExitType, TargetSource
from your_short_trade_margin_call.rules import margin
from your_short_trade_margin_call.rules.costs import notional
from your_short_trade_margin_call.rules.grid import STEP_TOLERANCE, floor_step, whole_steps
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.terms import NO_PRICE, Contract, Terms, Trial

_HIGHEST_LOW = ExitType.HIGHEST_LOW.code
_LOWEST_HIGH = ExitType.LOWEST_HIGH.code
_MIDPOINT = ExitType.MIDPOINT.code
_FROM_LEVEL = TargetSource.LEVEL.code
_FROM_TAKE_PROFIT = TargetSource.TAKE_PROFIT.code
_MARGIN_CALL = ExitReason.MARGIN_CALL.code
_STOP_LOSS = ExitReason.STOP_LOSS.code
_LIQUIDATION = ExitReason.LIQUIDATION.code


class Target(NamedTuple):
    """Where the reduce-only limit buy rests, in ticks, and where that price came from (a code)."""

    ticks: int
    source: int


class Guards(NamedTuple):
    """What stands on the loss side, in ticks. `stop` is the nearest stop (NO_PRICE: none), with its reason."""

    liquidation: int
    margin_call: int
    stop: int
    stop_reason: int


class Closing(NamedTuple):
    """What closing a position does: the wallet's change, the fee in it, the profit or loss on price."""

    wallet_change: float
    fee: float
    price_pnl: float


@jit_inline
def average_entry(lots: float, ticks: float, more_lots: float, more_ticks: float) -> float:
    """Entry price after adding to a position: the mean of the fills, weighted by quantity."""
    return (lots * ticks + more_lots * more_ticks) / (lots + more_lots)


@jit_inline
def take_profit_ticks(entry: float, take_profit_pct: float) -> float:
    """The take-profit price below an entry, in ticks."""
    return whole_steps(entry * (1.0 - take_profit_pct))


@jit
def choose_target(terms: Terms, trial: Trial, levels: Levels, entry: float) -> Target:
    """The level named by the exit type if it is far enough below the entry, else the take-profit price."""
    level = math.inf
    if trial.exit_type == _HIGHEST_LOW:
        level = levels.highest_low
    elif trial.exit_type == _LOWEST_HIGH:
        level = levels.lowest_high
    elif trial.exit_type == _MIDPOINT:
        level = (levels.highest_low + levels.lowest_high) / 2.0
    if level <= entry * (1.0 - terms.min_take_profit_pct) + STEP_TOLERANCE:
        return Target(floor_step(level), _FROM_LEVEL)
    return Target(int(take_profit_ticks(entry, trial.take_profit_pct)), _FROM_TAKE_PROFIT)


@jit_inline
def position_margin(
    contract: Contract, terms: Terms, lots: float, entry: float, leverage: float, extra_margin: float
) -> float:
    """Initial margin with its close-fee reserve, plus what was added (negative: what funding took)."""
    quantity = lots * contract.lot_size
    return margin.initial_margin(entry * contract.tick_size, quantity, leverage, terms.taker_fee_rate) + extra_margin


@jit
def guards_of(
    contract: Contract,
    terms: Terms,
    lots: int,
    entry: float,
    leverage: float,
    extra_margin: float,
    stop_loss_pct: float,
) -> Guards:
    """Liquidation, margin call and the nearest stop of a short. A stop at or past liquidation is none."""
    quantity = lots * contract.lot_size
    raw = margin.liquidation_price(
        contract.tiers, entry * contract.tick_size, quantity, leverage, extra_margin, terms.taker_fee_rate
    )
    liquidation = floor_step(raw / contract.tick_size)
    margin_call = NO_PRICE
    if not math.isnan(terms.margin_call_at):
        margin_call = floor_step(entry + terms.margin_call_at * (liquidation - entry))
    stop = NO_PRICE
    reason = _LIQUIDATION
    if margin_call < liquidation:
        stop = margin_call
        reason = _MARGIN_CALL
    if not math.isnan(stop_loss_pct):
        stop_loss = floor_step(entry * (1.0 + stop_loss_pct))
        if stop_loss < liquidation and stop_loss <= stop:
            stop = stop_loss
            reason = _STOP_LOSS
    return Guards(liquidation, margin_call, stop, reason)


@jit_inline
def margin_taken_by_funding(wallet: float, locked_margin: float, received: float) -> float:
    """The part of a funding payment that the available balance cannot pay (0 when it can), in USDT."""
    available = max(0.0, wallet - locked_margin)
    return max(0.0, -received - available)


@jit_inline
def unrealized_pnl(contract: Contract, lots: float, entry: float, price_ticks: float) -> float:
    """Profit of a short if it were bought back at a price without costs."""
    return notional(contract, lots, entry) - notional(contract, lots, price_ticks)


@jit_inline
def close_at(contract: Contract, lots: float, entry: float, exit_ticks: float, fee_rate: float) -> Closing:
    """Buying `lots` back at `exit_ticks`."""
    price_pnl = unrealized_pnl(contract, lots, entry, exit_ticks)
    paid = notional(contract, lots, exit_ticks) * fee_rate
    return Closing(price_pnl - paid, paid, price_pnl)


@jit
def liquidate(
    contract: Contract, terms: Terms, lots: int, entry: float, leverage: float, extra_margin: float
) -> Closing:
    """Liquidation: the whole position margin is lost, exactly (settled at the bankruptcy price, taker fee)."""
    ticks = bankruptcy_ticks(contract, terms, lots, entry, leverage, extra_margin)
    paid = notional(contract, lots, ticks) * terms.taker_fee_rate
    lost = position_margin(contract, terms, lots, entry, leverage, extra_margin)
    return Closing(-lost, paid, paid - lost)


@jit_inline
def bankruptcy_ticks(
    contract: Contract, terms: Terms, lots: int, entry: float, leverage: float, extra_margin: float
) -> float:
    """Bankruptcy price in ticks, not rounded: the price a liquidation settles at."""
    quantity = lots * contract.lot_size
    price = margin.bankruptcy_price(entry * contract.tick_size, quantity, leverage, extra_margin, terms.taker_fee_rate)
    return price / contract.tick_size
