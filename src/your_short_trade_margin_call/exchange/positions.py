"""How the open short changes: each function returns a new position, its liquidation price solved by the rules."""

from __future__ import annotations

import math
from dataclasses import replace

from your_short_trade_margin_call.domain.messages import Order, PositionView
from your_short_trade_margin_call.domain.words import OrderType
from your_short_trade_margin_call.exchange.book import PlacedOrder, Position, limit_price
from your_short_trade_margin_call.rules.margin import order_cost
from your_short_trade_margin_call.rules.position import average_entry, guards_of, position_margin
from your_short_trade_margin_call.rules.terms import Contract, Terms


def increased(
    contract: Contract,
    terms: Terms,
    position: Position | None,
    lots: int,
    price_ticks: int,
    leverage: float,
    time_ms: int,
) -> Position:
    """The short after selling `lots` more: entry is the average over lots, in ticks; opened at the first fill."""
    if position is None:
        return _guarded(contract, terms, Position(-lots, float(price_ticks), leverage, 0, time_ms))
    size = position.size + lots
    entry = average_entry(position.size, position.entry_ticks, lots, price_ticks)
    return _guarded(contract, terms, replace(position, lots=-size, entry_ticks=entry))


def reduced(contract: Contract, terms: Terms, position: Position, lots: int) -> Position | None:
    """What is left after buying `lots` back; margin, added margin too, is released pro rata. None when flat."""
    left = position.size - lots
    if left == 0:
        return None
    extra = position.extra_margin_usdt * left / position.size
    return _guarded(contract, terms, replace(position, lots=-left, extra_margin_usdt=extra))


def with_extra_margin(contract: Contract, terms: Terms, position: Position, change_usdt: float) -> Position:
    """The short after margin was added, or taken by funding (negative)."""
    extra = position.extra_margin_usdt + change_usdt
    return _guarded(contract, terms, replace(position, extra_margin_usdt=extra))


def with_leverage(contract: Contract, terms: Terms, position: Position, leverage: float) -> Position:
    """The short at another leverage: its margin is what that asks for; what was added, or taken by funding, is settled.

    Bybit resets the position margin when the leverage is changed, so that margin added before is given back.
    """
    return _guarded(contract, terms, replace(position, leverage=leverage, extra_margin_usdt=0.0))


def with_attached(position: Position, kind: OrderType, order: Order | None) -> Position:
    """The short with another attached order of a kind (stop or take profit), or with none."""
    return replace(position, stop=order) if kind is OrderType.STOP_MARKET else replace(position, take_profit=order)


def view_of(position: Position | None) -> PositionView | None:
    """The position as a trader is shown it; None when flat."""
    if position is None:
        return None
    return PositionView(
        lots=position.lots,
        entry_ticks=position.entry_ticks,
        leverage=position.leverage,
        liquidation_ticks=float(position.liquidation_ticks),
        stop_ticks=None if position.stop is None else position.stop.trigger_ticks,
        extra_margin_usdt=position.extra_margin_usdt,
    )


def locked_usdt(contract: Contract, terms: Terms, position: Position | None) -> float:
    """The position margin: what an isolated short keeps from being spent; all of it is lost at liquidation."""
    if position is None:
        return 0.0
    return position_margin(
        contract, terms, position.size, position.entry_ticks, position.leverage, position.extra_margin_usdt
    )


def reserved_usdt(contract: Contract, terms: Terms, placed: PlacedOrder) -> float:
    """What a resting entry keeps from being spent; exits and stops reserve nothing."""
    if not placed.is_entry:
        return 0.0
    price = limit_price(placed.order) * contract.tick_size
    # A resting order may fill as maker; a maker fee above the taker fee is allowed by the settings.
    fee_rate = max(terms.taker_fee_rate, terms.maker_fee_rate)
    return order_cost(price, placed.open_lots * contract.lot_size, placed.leverage, fee_rate)


def _guarded(contract: Contract, terms: Terms, position: Position) -> Position:
    """`position` with its liquidation price solved again, what is attached to it covering all of it."""
    guards = guards_of(
        contract,
        terms,
        position.size,
        position.entry_ticks,
        position.leverage,
        position.extra_margin_usdt,
        math.nan,
    )
    stop, take_profit = (
        None if order is None else replace(order, lots=position.size) for order in (position.stop, position.take_profit)
    )
    return replace(position, liquidation_ticks=int(guards.liquidation), stop=stop, take_profit=take_profit)
