"""The order desk: carries out what a trader asks, against the current quote."""

from __future__ import annotations

from your_short_trade_margin_call.domain.messages import Order, OrderRequest
from your_short_trade_margin_call.domain.words import OrderStatus, OrderType, Side
from your_short_trade_margin_call.exchange.admission import admit, check_stop_side, wanted_leverage
from your_short_trade_margin_call.exchange.book import PlacedOrder, Quote
from your_short_trade_margin_call.exchange.clearing import Clearing
from your_short_trade_margin_call.exchange.refusals import RefusalCode, refusal
from your_short_trade_margin_call.rules.candle_path import reaches_target
from your_short_trade_margin_call.rules.terms import NO_PRICE


def place_order(
    clearing: Clearing, request: OrderRequest, quote: Quote, request_number: int, *, late_reject: bool
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
    if _takes_liquidity(order, quote):
        clearing.fill_at_quote(order.link_id, quote)
    return order.order_id


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


def _takes_liquidity(order: Order, quote: Quote) -> bool:
    """Market orders do, and limits the market has traded through already (a touch rests)."""
    if order.order_type is not OrderType.LIMIT or order.price_ticks is None:
        return order.order_type is OrderType.MARKET
    mirror = 1 if order.side is Side.BUY else -1
    return bool(reaches_target(mirror * quote.mid_ticks, mirror * order.price_ticks, False))
