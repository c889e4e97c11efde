"""The order desk: carries out what a trader asks, against the current quote."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from your_short_trade_margin_call.domain.messages import Order, OrderRequest
from your_short_trade_margin_call.domain.words import OrderStatus, OrderType, Purpose, Side
from your_short_trade_margin_call.exchange.admission import admit, admit_changed, check_stop_side, wanted_leverage
from your_short_trade_margin_call.exchange.book import PlacedOrder, Quote
from your_short_trade_margin_call.exchange.clearing import Clearing
from your_short_trade_margin_call.exchange.positions import reserved_usdt, with_extra_margin
from your_short_trade_margin_call.exchange.refusals import RefusalCode, refusal
from your_short_trade_margin_call.rules.candle_path import reaches_target
from your_short_trade_margin_call.rules.terms import NO_PRICE


class Arrival(NamedTuple):
    """What an order may do when it arrives. By default it fills as it can, and a limit rests."""

    worst_ticks: int | None = None
    """A market order that would fill beyond this price is cancelled instead ("no_liquidity")."""
    immediate_only: bool = False
    """What does not fill at once is cancelled ("no_liquidity")."""
    post_only: bool = False
    """What would fill at once is cancelled ("post_only")."""


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
    admit(request, clearing.book, clearing.available_usdt(), clearing.contract, clearing.terms, quote)
    order = _new_order(request, clearing.book.next_order_id())
    if late_reject:
        clearing.reject(order, quote.moment)
        return order.order_id
    leverage = wanted_leverage(request, clearing.terms)
    clearing.accept(PlacedOrder(order, request_number, leverage, request.attached_stop_ticks), quote.moment)
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
) -> None:
    """Change an open order: its quantity (the new total), its price, its trigger; None leaves a part as it is.

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
    changed = replace(placed, order=order)
    others = {key: value for key, value in clearing.book.open_orders.items() if key != link_id}
    admit_changed(
        _as_request(changed),
        order.filled_lots,
        replace(clearing.book, open_orders=others),
        clearing.available_usdt() + reserved_usdt(clearing.contract, clearing.terms, placed),
        clearing.contract,
        clearing.terms,
        quote,
    )
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


def amend_stop(clearing: Clearing, trigger_ticks: int, quote: Quote) -> None:
    """Attach or move the position's stop; a trigger of 0, or one no price reaches, removes it.

    Raises:
        OrderRefusedError: `no_position` or `stop_wrong_side`.
    """
    position = clearing.book.position
    if position is None:
        raise refusal(RefusalCode.NO_POSITION, "There is no position to protect.")
    if not 0 < trigger_ticks < NO_PRICE:
        clearing.move_stop(None, quote.moment)
        return
    check_stop_side(trigger_ticks, position.entry_ticks, quote.mark_ticks)
    clearing.move_stop(trigger_ticks, quote.moment)


def _new_order(request: OrderRequest, order_id: str) -> Order:
    is_stop = request.order_type is OrderType.STOP_MARKET
    return Order(
        order_id=order_id,
        link_id=request.link_id,
        side=request.side,
        order_type=request.order_type,
        lots=request.lots,
        filled_lots=0,
        status=OrderStatus.UNTRIGGERED if is_stop else OrderStatus.NEW,
        price_ticks=request.price_ticks if request.order_type is OrderType.LIMIT else None,
        trigger_ticks=request.trigger_ticks if is_stop else None,
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
