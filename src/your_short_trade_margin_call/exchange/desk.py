"""The order desk: carries out what a trader asks, against the current quote."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from your_short_trade_margin_call.domain.messages import Order, OrderRequest
from your_short_trade_margin_call.domain.words import OrderStatus, OrderType, Purpose, Side
from your_short_trade_margin_call.exchange.admission import (
    admit,
    admit_changed,
    check_attached,
    check_cap,
    check_stop_side,
    check_take_profit_side,
    wanted_leverage,
)
from your_short_trade_margin_call.exchange.book import TRIGGERED, UNCHANGED, PlacedOrder, Quote, Triggers
from your_short_trade_margin_call.exchange.clearing import Clearing
from your_short_trade_margin_call.exchange.positions import (
    locked_usdt,
    reserved_usdt,
    with_extra_margin,
    with_leverage,
)
from your_short_trade_margin_call.exchange.refusals import RefusalCode, refusal
from your_short_trade_margin_call.rules.candle_path import reaches_target
from your_short_trade_margin_call.rules.terms import NO_PRICE, Terms


class Arrival(NamedTuple):
    """What an order may do when it arrives, and brings. By default it fills as it can, a limit rests, nothing comes."""

    worst_ticks: int | None = None
    """A market order that would fill beyond this price is cancelled instead ("no_liquidity")."""
    immediate_only: bool = False
    """What does not fill at once is cancelled ("no_liquidity")."""
    post_only: bool = False
    """What would fill at once is cancelled ("post_only")."""
    take_profit_ticks: int | None = None
    """The take profit that travels inside an entry, beside the stop of the request."""


FREELY = Arrival()


def place_order(
    clearing: Clearing,
    request: OrderRequest,
    quote: Quote,
    request_number: int,
    *,
    late_reject: bool,
    arrival: Arrival = FREELY,
) -> str:
    """Take an order, and fill it at once if it takes liquidity; returns its order id.

    Raises:
        OrderRefusedError: it does not exist.
    """
    take_profit = arrival.take_profit_ticks
    admit(request, clearing.book, clearing.available_usdt(), clearing.contract, clearing.terms, quote, take_profit)
    order = _new_order(request, clearing.book.next_order_id())
    if late_reject:
        clearing.reject(order, quote.moment)
        return order.order_id
    leverage = wanted_leverage(request, clearing.terms)
    placed = PlacedOrder(order, request_number, leverage, request.attached_stop_ticks, take_profit)
    clearing.accept(placed, quote.moment)
    _arrive(clearing, order, arrival, quote)
    return order.order_id


def amend_order(
    clearing: Clearing,
    link_id: str,
    quote: Quote,
    *,
    lots: int | None,
    price_ticks: int | None,
    trigger_ticks: int | None,
    attached: Triggers = UNCHANGED,
) -> None:
    """Change an open order: quantity (the new total), price, trigger, what is attached; None leaves a part as it is.

    Raises:
        OrderRefusedError: `no_order` when it is not open, else as for a new order; it stands as it was.
    """
    placed = clearing.book.open_orders.get(link_id)
    if placed is None:
        raise refusal(RefusalCode.NO_ORDER, f"There is no open order {link_id!r}.")
    old = placed.order
    order = replace(
        old,
        lots=old.lots if lots is None else lots,
        price_ticks=old.price_ticks if price_ticks is None or old.price_ticks is None else price_ticks,
        trigger_ticks=old.trigger_ticks if trigger_ticks is None or old.trigger_ticks is None else trigger_ticks,
    )
    changed = _with_triggers(replace(placed, order=order), attached)
    others = {key: value for key, value in clearing.book.open_orders.items() if key != link_id}
    request = _as_request(changed)
    admit_changed(
        request,
        order.filled_lots,
        replace(clearing.book, open_orders=others),
        clearing.available_usdt() + reserved_usdt(clearing.contract, clearing.terms, placed),
        clearing.contract,
        clearing.terms,
        quote,
    )
    if attached != UNCHANGED:
        _check_triggers(changed, request, clearing.terms, quote)
    clearing.amend(changed, quote.moment)
    if _takes_liquidity(order, quote):
        clearing.fill_at_quote(link_id, quote)


def add_margin(clearing: Clearing, usdt: float, quote: Quote) -> None:
    """Add margin to the open position, or (negative) take back what was added; the liquidation price follows.

    Raises:
        OrderRefusedError: `no_position`, `bad_request` (0), `insufficient_balance`, `margin_reduction` (more than was
            added) or `would_liquidate`: the margin stays as it was.
    """
    position = clearing.book.position
    if position is None:
        raise refusal(RefusalCode.NO_POSITION, "There is no position to add margin to.")
    if not usdt:
        raise refusal(RefusalCode.BAD_REQUEST, "The margin would not change.")
    if usdt > clearing.available_usdt():
        raise refusal(RefusalCode.INSUFFICIENT_BALANCE, f"{clearing.available_usdt():.8f} USDT are available.")
    if usdt < 0 and position.extra_margin_usdt + usdt < 0:
        raise refusal(RefusalCode.MARGIN_REDUCTION, f"{position.extra_margin_usdt:.8f} USDT were added.")
    changed = with_extra_margin(clearing.contract, clearing.terms, position, usdt)
    if quote.mark_ticks >= changed.liquidation_ticks:
        raise refusal(RefusalCode.WOULD_LIQUIDATE, f"Liquidation would be at {changed.liquidation_ticks} ticks.")
    clearing.book.position = changed


def change_leverage(clearing: Clearing, leverage: float, quote: Quote) -> None:
    """Change the leverage of the open position and of resting entries; margin moves, and liquidation with it.

    Raises:
        OrderRefusedError: `leverage` (beyond the tier of all of it), `insufficient_balance` or `would_liquidate`: all
            stays as it was.
    """
    contract, terms, book = clearing.contract, clearing.terms, clearing.book
    check_cap(leverage, book, contract, quote)
    changed = {
        link_id: replace(placed, leverage=leverage) if placed.is_entry else placed
        for link_id, placed in book.open_orders.items()
    }
    position = book.position and with_leverage(contract, terms, book.position, leverage)
    needed = locked_usdt(contract, terms, position) + sum(reserved_usdt(contract, terms, p) for p in changed.values())
    more, available = needed - clearing.locked_usdt(), clearing.available_usdt()
    if more > max(0.0, available):
        raise refusal(RefusalCode.INSUFFICIENT_BALANCE, f"{more:.8f} USDT are needed, available are {available:.8f}.")
    if position is not None and quote.mark_ticks >= position.liquidation_ticks:
        raise refusal(RefusalCode.WOULD_LIQUIDATE, f"Liquidation would be at {position.liquidation_ticks} ticks.")
    book.position = position
    book.open_orders.update(changed)


def amend_attached(clearing: Clearing, triggers: Triggers, quote: Quote) -> None:
    """Attach, move or remove the position's stop and take profit: both, or neither if one is refused.

    Raises:
        OrderRefusedError: `no_position`, `stop_wrong_side` or `take_profit_wrong_side`.
    """
    position = clearing.book.position
    if position is None:
        raise refusal(RefusalCode.NO_POSITION, "There is no position to protect.")
    stop, take_profit = _reachable(triggers.stop), _reachable(triggers.take_profit)
    if stop is not None:
        check_stop_side(stop, position.entry_ticks, quote.mark_ticks)
    if take_profit is not None:
        check_take_profit_side(take_profit, quote.mid_ticks)
    if triggers.stop is not None:
        clearing.move_attached(OrderType.STOP_MARKET, stop, quote.moment)
    if triggers.take_profit is not None:
        clearing.move_attached(OrderType.TAKE_PROFIT_MARKET, take_profit, quote.moment)


def _reachable(trigger_ticks: int | None) -> int | None:
    """A trigger that a price can reach; None for any other."""
    return trigger_ticks if trigger_ticks is not None and 0 < trigger_ticks < NO_PRICE else None


def _with_triggers(placed: PlacedOrder, attached: Triggers) -> PlacedOrder:
    stop, take_profit = placed.attached_stop_ticks, placed.attached_take_profit_ticks
    return replace(
        placed,
        attached_stop_ticks=stop if attached.stop is None else _reachable(attached.stop),
        attached_take_profit_ticks=take_profit if attached.take_profit is None else _reachable(attached.take_profit),
    )


def _check_triggers(changed: PlacedOrder, request: OrderRequest, terms: Terms, quote: Quote) -> None:
    """What is attached to an order that waits must suit it as it would a new one; exits take nothing along."""
    if not changed.is_entry:
        raise refusal(RefusalCode.BAD_REQUEST, "A stop or a take profit travels inside an entry only.")
    check_attached(request, Triggers(changed.attached_stop_ticks, changed.attached_take_profit_ticks), terms, quote)


def _new_order(request: OrderRequest, order_id: str) -> Order:
    is_triggered = request.order_type in TRIGGERED
    return Order(
        order_id=order_id,
        link_id=request.link_id,
        side=request.side,
        order_type=request.order_type,
        lots=request.lots,
        filled_lots=0,
        status=OrderStatus.UNTRIGGERED if is_triggered else OrderStatus.NEW,
        price_ticks=request.price_ticks if request.order_type is OrderType.LIMIT else None,
        trigger_ticks=request.trigger_ticks if is_triggered else None,
        reduce_only=request.reduce_only,
    )


def _as_request(placed: PlacedOrder) -> OrderRequest:
    """The request an open order would be today."""
    order = placed.order
    return OrderRequest(
        link_id=order.link_id,
        purpose=Purpose.CLOSE if order.reduce_only else Purpose.ENTRY,
        side=order.side,
        order_type=order.order_type,
        lots=order.lots,
        price_ticks=order.price_ticks,
        trigger_ticks=order.trigger_ticks,
        reduce_only=order.reduce_only,
        leverage=placed.leverage,
    )


def _arrive(clearing: Clearing, order: Order, arrival: Arrival, quote: Quote) -> None:
    takes = _takes_liquidity(order, quote)
    if takes and arrival.post_only:
        clearing.cancel(order.link_id, "post_only", quote.moment)
    elif takes and not _is_beyond(clearing.taker_ticks(order, quote), order, arrival):
        clearing.fill_at_quote(order.link_id, quote)
    elif takes or arrival.immediate_only:
        clearing.cancel(order.link_id, "no_liquidity", quote.moment)


def _is_beyond(price_ticks: int, order: Order, arrival: Arrival) -> bool:
    return arrival.worst_ticks is not None and order.side * (price_ticks - arrival.worst_ticks) > 0


def _takes_liquidity(order: Order, quote: Quote) -> bool:
    """Market orders do, and limits the market has traded through already (a touch rests)."""
    if order.order_type is not OrderType.LIMIT or order.price_ticks is None:
        return order.order_type is OrderType.MARKET
    mirror = 1 if order.side is Side.BUY else -1
    return bool(reaches_target(mirror * quote.mid_ticks, mirror * order.price_ticks, False))
