"""Requests about orders: create, amend, cancel, cancel all. Each returns the answer's `result`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from your_short_trade_margin_call.adapters.bybit_server.codes import (
    OF_REFUSAL,
    ApiError,
    RetCode,
    api_error,
    bad_parameter,
)
from your_short_trade_margin_call.adapters.bybit_server.order_form import (
    OrderForm,
    read_attached,
    read_form,
    read_lots,
    read_price,
)
from your_short_trade_margin_call.adapters.bybit_server.order_rows import COIN
from your_short_trade_margin_call.adapters.bybit_server.orders import TAKE_PROFIT, OrderRecord, PriceTrigger
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair, exact_price
from your_short_trade_margin_call.adapters.bybit_server.pair_account import PairAccount
from your_short_trade_margin_call.adapters.bybit_server.request_fields import Fields
from your_short_trade_margin_call.domain.errors import OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import OrderType, Purpose, Side
from your_short_trade_margin_call.exchange.book import Triggers
from your_short_trade_margin_call.exchange.desk import Arrival
from your_short_trade_margin_call.exchange.refusals import RefusalCode

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount

Body = Mapping[str, Any]
Answer = dict[str, Any]

MOST_ACTIVE, MOST_CONDITIONAL = 500, 10
_OF_CONDITIONAL = {
    RefusalCode.STOP_WRONG_SIDE: (
        RetCode.TRIGGER_TOO_LOW,
        "expect Rising, but trigger_price is not above the current price",
    ),
    RefusalCode.TAKE_PROFIT_WRONG_SIDE: (
        RetCode.TRIGGER_TOO_HIGH,
        "expect Falling, but trigger_price is not below the current price",
    ),
}
PRICE_BAND = "0.05"
"""How far from the mark a market order may fill where the instrument does not say."""
ORDER_FILTERS: dict[str, Callable[[OrderRecord], bool]] = {
    "": lambda _record: True,
    "Order": lambda record: not record.is_stop,
    "OpenOrder": lambda record: not record.is_stop,
    "StopOrder": lambda record: record.is_stop,
    "tpslOrder": lambda record: record.is_attached,
}


def create(account: TradingAccount, body: Body) -> Answer:
    """Place an order. The answer acknowledges; the streams tell what became of it.

    Raises:
        ApiError: the order does not exist.
    """
    own, fields = pair_of(account, body)
    form = read_form(fields, own.pair, account.config.position_mode)
    if form.link_id in account.orders.link_ids:
        code, text = OF_REFUSAL[RefusalCode.DUPLICATE_LINK_ID]
        raise ApiError(code, text)
    check_open_for(own.pair, form)
    _check_room(account, own, form)
    record = _record(account, own, form)
    account.script_next_write(own, is_entry=not form.reduce_only, is_market=form.order_type is OrderType.MARKET)
    arrival, codes = _arrival(own.pair, form), _of_triggers(is_conditional=form.trigger_ticks > 0)
    carry_out(lambda: own.sim.place(_request(account, own, form, record), arrival), codes)
    account.orders.add(record)
    account.flush(own, touched=True)
    return ids_of(record)


def amend(account: TradingAccount, body: Body) -> Answer:
    """Change quantity (the new total), price or trigger of an open order, and what an entry brings along.

    Raises:
        ApiError: the order stands as it was.
    """
    own, fields = pair_of(account, body)
    record = _open_order(account, own, fields, "order not exists or too late to replace")
    lots = read_lots(fields.text("qty"), own.pair) if fields.text("qty") else None
    price = _clamped(own.pair, record.side, read_price(fields, "price", own.pair)) or None
    trigger = read_price(fields, "triggerPrice", own.pair) or None
    now = (record.stop_loss, record.take_profit)
    stop_loss, take_profit = read_attached(fields, own.pair, now, reduce_only=record.reduce_only)
    if lots is not None and lots <= record.filled_lots:
        raise ApiError(RetCode.BELOW_FILLED, "The quantity must be greater than what is filled")
    if record.is_attached:
        carry_out(lambda: own.sim.amend_attached(_triggers(record, trigger or record.trigger_ticks)))
    else:
        codes = _of_triggers(is_conditional=record.is_stop)
        attached = triggers_of(stop_loss, take_profit)
        carry_out(lambda: own.sim.amend_order(record.sim_link, lots, price, trigger, attached), codes)
        record.stop_loss, record.take_profit = stop_loss or record.stop_loss, take_profit or record.take_profit
    account.flush(own, touched=True)
    return ids_of(record)


def cancel(account: TradingAccount, body: Body) -> Answer:
    """Cancel an open order.

    Raises:
        ApiError: 110001, it is not open.
    """
    own, fields = pair_of(account, body)
    record = _open_order(account, own, fields, "order not exists or too late to cancel")
    _cancel(own, record)
    account.flush(own, touched=True)
    return ids_of(record)


def cancel_all(account: TradingAccount, body: Body) -> Answer:
    """Cancel every open order that fits: of a symbol, a base coin or the settle coin.

    Raises:
        ApiError: none of them is named.
    """
    fields = Fields(body)
    fields.check_category()
    symbol, base, settle = (fields.text(name) for name in ("symbol", "baseCoin", "settleCoin"))
    if not (symbol or base or settle):
        bad_parameter("params error: symbol, baseCoin or settleCoin is missing")
    if symbol:
        account.own(symbol)
    fits = ORDER_FILTERS[fields.choice("orderFilter", tuple(ORDER_FILTERS))]
    gone = []
    for record in [r for r in account.orders.open(symbol) if fits(r)]:
        own = account.own(record.symbol)
        if (base and own.pair.item["baseCoin"] != base) or (settle and settle != COIN):
            continue
        _cancel(own, record)
        account.flush(own, touched=True)
        gone.append(ids_of(record))
    return {"list": gone, "success": "1"}


# ---- shared with other requests --------------------------------------------------------------------


def pair_of(account: TradingAccount, body: Body) -> tuple[PairAccount, Fields]:
    """The pair a request is about, and its fields.

    Raises:
        ApiError: 10001, it names no pair of here, or another category.
    """
    fields = Fields(body)
    fields.check_category()
    return account.own(fields.needed("symbol")), fields


def carry_out(act: Callable[[], object], own: Mapping[RefusalCode, tuple[RetCode, str]] | None = None) -> None:
    """Ask the simulated exchange; its refusals become answers.

    Raises:
        ApiError: it refused, or (by fault) nobody knows.
    """
    try:
        act()
    except OrderRefusedError as error:
        raise api_error(error, own) from error
    except OutcomeUnknownError as error:
        raise ApiError(RetCode.SERVER_ERROR, "Request timeout, please try again later") from error


def check_open_for(pair: Pair, form: OrderForm) -> None:
    """A pair that is being delisted takes exits only; one that does not trade takes nothing.

    Raises:
        ApiError: 110074 or 30228.
    """
    if pair.item["status"] != "Trading":
        raise ApiError(RetCode.CONTRACT_NOT_LIVE, "This contract is not live")
    if pair.item["deliveryTime"] != "0" and not form.reduce_only:
        raise ApiError(RetCode.DELISTING, "No new positions during delisting")


def ids_of(record: OrderRecord) -> Answer:
    """How a request's answer names an order."""
    return {"orderId": record.order_id, "orderLinkId": record.link_id}


def triggers_of(stop_loss: PriceTrigger | None, take_profit: PriceTrigger | None) -> Triggers:
    """What the simulated exchange is told of a stop and a take profit."""
    return Triggers(*(None if trigger is None else trigger.ticks for trigger in (stop_loss, take_profit)))


# ---- small parts ----------------------------------------------------------------------------------


def _record(account: TradingAccount, own: PairAccount, form: OrderForm) -> OrderRecord:
    order_id = account.ids.next()
    is_limit = form.order_type is OrderType.LIMIT
    price = _clamped(own.pair, form.side, form.price_ticks) if is_limit else _worst(own.pair, form.side)
    return OrderRecord(
        order_id,
        own.symbol,
        form.side,
        _lots(own, form),
        account.now_ms(),
        link_id=form.link_id,
        sim_link=form.link_id or f"~{account.ids.made}",
        order_type="Limit" if is_limit else "Market",
        price_ticks=0 if form.trigger_ticks else price,
        time_in_force=form.time_in_force,
        reduce_only=form.reduce_only,
        close_on_trigger=form.close_on_trigger,
        stop_order_type="Stop" if form.trigger_ticks else "",
        trigger_ticks=form.trigger_ticks,
        trigger_direction=form.trigger_direction,
        trigger_by=form.trigger_by,
        stop_loss=form.stop_loss,
        take_profit=form.take_profit,
        last_price=exact_price(own.pair, own.pair.last_ticks),
        updated_ms=account.now_ms(),
    )


def _request(account: TradingAccount, own: PairAccount, form: OrderForm, record: OrderRecord) -> OrderRequest:
    return OrderRequest(
        link_id=record.sim_link,
        purpose=Purpose.CLOSE if form.reduce_only else Purpose.ENTRY,
        side=form.side,
        order_type=form.order_type,
        lots=record.lots,
        price_ticks=int(record.price_ticks) if form.order_type is OrderType.LIMIT else None,
        trigger_ticks=form.trigger_ticks or None,
        reduce_only=form.reduce_only,
        attached_stop_ticks=form.stop_loss.ticks or None,
        leverage=None if form.reduce_only else account.leverage_of(own.symbol),
    )


def _lots(own: PairAccount, form: OrderForm) -> int:
    if form.closes_all and not own.lots:
        code, text = OF_REFUSAL[RefusalCode.REDUCE_ONLY]
        raise ApiError(code, text)
    return own.lots if form.closes_all else form.lots


def _arrival(pair: Pair, form: OrderForm) -> Arrival:
    return Arrival(
        worst_ticks=_worst(pair, form.side) if form.order_type is OrderType.MARKET else None,
        immediate_only=form.order_type is OrderType.LIMIT and form.time_in_force in ("IOC", "FOK"),
        post_only=form.time_in_force == "PostOnly",
        take_profit_ticks=form.take_profit.ticks or None,
    )


def _worst(pair: Pair, side: Side) -> int:
    """The bound a market order is sent with: an immediate-or-cancel limit this far from the mark."""
    ratio = float((pair.item.get("riskParameters") or {}).get("priceLimitRatioX") or PRICE_BAND)
    bound = pair.mark_ticks * (1 + side * ratio)
    return math.ceil(bound - 1e-9) if side is Side.BUY else math.floor(bound + 1e-9)


def _clamped(pair: Pair, side: Side, ticks: int) -> int:
    """A limit price beyond the price limit is silently moved to it, as the exchange does for contracts."""
    if not ticks:
        return 0
    highest_buy, lowest_sell = pair.price_limit()
    if side is Side.BUY:
        return min(ticks, math.floor(highest_buy))
    return max(ticks, math.ceil(lowest_sell))


def _of_triggers(*, is_conditional: bool) -> Mapping[RefusalCode, tuple[RetCode, str]]:
    """A trigger on the wrong side has one code with an entry and another alone."""
    return _OF_CONDITIONAL if is_conditional else {}


def _triggers(record: OrderRecord, ticks: int) -> Triggers:
    """The stop or the take profit of a position, whichever this is, at another trigger; 0 removes it."""
    return Triggers(take_profit=ticks) if record.stop_order_type == TAKE_PROFIT else Triggers(stop=ticks)


def _check_room(account: TradingAccount, own: PairAccount, form: OrderForm) -> None:
    active = [record for record in account.orders.open(own.symbol) if not record.is_attached]
    stops = sum(record.is_stop for record in active)
    if len(active) - stops >= MOST_ACTIVE or (form.trigger_ticks and stops >= MOST_CONDITIONAL):
        raise ApiError(RetCode.TOO_MANY_ORDERS, "Not allowed to have more active orders")


def _open_order(account: TradingAccount, own: PairAccount, fields: Fields, otherwise: str) -> OrderRecord:
    order_id, link_id = fields.text("orderId"), fields.text("orderLinkId")
    if not (order_id or link_id):
        bad_parameter("params error: orderId or orderLinkId is missing")
    record = account.orders.find(order_id, link_id)
    if record is None or not record.is_open or record.symbol != own.symbol:
        raise ApiError(RetCode.ORDER_GONE, otherwise)
    return record


def _cancel(own: PairAccount, record: OrderRecord) -> None:
    if record.is_attached:
        carry_out(lambda: own.sim.amend_attached(_triggers(record, 0)))
    else:
        carry_out(lambda: own.sim.cancel(record.sim_link))
