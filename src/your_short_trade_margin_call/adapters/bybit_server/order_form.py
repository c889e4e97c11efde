"""An order as a client asks for it: read, checked for form, in ticks and lots."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from your_short_trade_margin_call.adapters.bybit_server.codes import OF_REFUSAL, ApiError, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.orders import NO_TRIGGER, PriceTrigger
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair, is_nothing
from your_short_trade_margin_call.adapters.bybit_server.request_fields import Fields
from your_short_trade_margin_call.domain.words import OrderType, Side
from your_short_trade_margin_call.exchange.refusals import RefusalCode

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
TRIGGERS = ("LastPrice", "MarkPrice", "IndexPrice")
LIMIT_TERMS = ("GTC", "IOC", "FOK", "PostOnly")
ONLY_FULL = "This server supports tpslMode Full only: stop and take profit close the whole position at market"
RISES, FALLS = 1, 2
"""triggerDirection: which way the price goes when it meets the trigger."""
WRONG_INDEX = "position idx not match position mode"

AttachedTriggers = tuple[PriceTrigger, PriceTrigger]
"""Of a stop and of a take profit."""
NOTHING_ATTACHED = (NO_TRIGGER, NO_TRIGGER)


@dataclass(frozen=True, slots=True)
class OrderForm:
    """What was asked for. Prices in ticks, 0 for none; `lots` of 0 closes the whole position."""

    side: Side
    order_type: OrderType
    lots: int
    price_ticks: int
    time_in_force: str
    reduce_only: bool
    close_on_trigger: bool
    link_id: str
    trigger_ticks: int
    trigger_direction: int
    trigger_by: str
    stop_loss: PriceTrigger
    take_profit: PriceTrigger

    @property
    def closes_all(self) -> bool:
        """Whether it is for whatever the position is."""
        return self.lots == 0


def read_form(fields: Fields, pair: Pair, position_mode: int) -> OrderForm:
    """The order in a create request.

    Raises:
        ApiError: something cannot be read, is off its grid, or is not supported.
    """
    check_index(fields, position_mode)
    side = Side.BUY if fields.choice("side", ("Buy", "Sell")) == "Buy" else Side.SELL
    is_limit = fields.choice("orderType", ("Market", "Limit")) == "Limit"
    reduce_only = fields.flag("reduceOnly")
    if side is Side.BUY and not reduce_only:
        code, text = OF_REFUSAL[RefusalCode.SHORT_ONLY]
        raise ApiError(code, text)
    trigger = read_price(fields, "triggerPrice", pair)
    stop_loss, take_profit = read_attached(fields, pair, reduce_only=reduce_only)
    direction = _direction(fields, side, is_limit) if trigger else 0
    return OrderForm(
        side=side,
        order_type=_type(is_limit, direction),
        lots=_lots(fields, pair, is_reduction=reduce_only and fields.flag("closeOnTrigger")),
        price_ticks=_limit_price(fields, pair) if is_limit else 0,
        time_in_force=fields.choice("timeInForce", LIMIT_TERMS, "GTC") if is_limit else "IOC",
        reduce_only=reduce_only,
        close_on_trigger=fields.flag("closeOnTrigger"),
        link_id=_link_id(fields),
        trigger_ticks=trigger,
        trigger_direction=direction,
        trigger_by=fields.choice("triggerBy", TRIGGERS, "LastPrice") if trigger else "",
        stop_loss=stop_loss or NO_TRIGGER,
        take_profit=take_profit or NO_TRIGGER,
    )


def check_index(fields: Fields, position_mode: int) -> None:
    """One-way mode has positions of index 0 only; hedge mode has none of that index.

    Raises:
        ApiError: 10001.
    """
    if (fields.whole("positionIdx", 0) or 0) != 0 or position_mode != 0:
        bad_parameter(WRONG_INDEX)


def read_attached(
    fields: Fields, pair: Pair, now: AttachedTriggers = NOTHING_ATTACHED, *, reduce_only: bool = False
) -> tuple[PriceTrigger | None, PriceTrigger | None]:
    """Stop and take profit that a request attaches, for the whole position and at market; None for one it leaves alone.

    `now` is what is attached already: its kind of price goes on unless another is named.

    Raises:
        ApiError: 10001, something cannot be read, is not supported, or comes with an exit.
    """
    stop_loss = _read_trigger(fields, pair, "stopLoss", "slTriggerBy", now[0])
    take_profit = _read_trigger(fields, pair, "takeProfit", "tpTriggerBy", now[1])
    if reduce_only and any(trigger and trigger.ticks for trigger in (stop_loss, take_profit)):
        bad_parameter("TP/SL is not allowed for a reduce-only order")
    if stop_loss or take_profit:
        _check_mode(fields)
    return (None, None) if reduce_only else (stop_loss, take_profit)


def read_price(fields: Fields, name: str, pair: Pair) -> int:
    """A price on the grid and inside the instrument's range, in ticks; 0 when absent, empty or zero.

    Raises:
        ApiError: 10001.
    """
    text = fields.text(name)
    if is_nothing(text):
        return 0
    ticks = pair.ticks_of(text)
    if math.isnan(ticks) or ticks != math.floor(ticks):
        bad_parameter(f"params error: {name} invalid: not a multiple of tickSize")
    band = pair.item["priceFilter"]
    if not pair.ticks_of(band["minPrice"]) <= ticks <= pair.ticks_of(band["maxPrice"]):
        bad_parameter(f"params error: {name} invalid: out of range")
    return int(ticks)


def read_lots(text: str, pair: Pair) -> int:
    """A quantity on the grid, in lots.

    Raises:
        ApiError: 10001.
    """
    lots = pair.lots_of(text)
    return bad_parameter("Qty invalid") if lots is None or lots < 0 else lots


def _check_mode(fields: Fields) -> None:
    words = {fields.choice("tpslMode", ("Full", "Partial", ""))}
    words |= {fields.choice(name, ("Market", "Limit", "")) for name in ("tpOrderType", "slOrderType")}
    if words & {"Partial", "Limit"}:
        bad_parameter(ONLY_FULL)


def _read_trigger(fields: Fields, pair: Pair, price_name: str, by_name: str, now: PriceTrigger) -> PriceTrigger | None:
    if not fields.text(price_name):
        return None
    ticks = read_price(fields, price_name, pair)
    return PriceTrigger(ticks, fields.choice(by_name, TRIGGERS, now.by or "LastPrice")) if ticks else NO_TRIGGER


def _type(is_limit: bool, direction: int) -> OrderType:
    if direction:
        return OrderType.STOP_MARKET if direction == RISES else OrderType.TAKE_PROFIT_MARKET
    return OrderType.LIMIT if is_limit else OrderType.MARKET


def _lots(fields: Fields, pair: Pair, *, is_reduction: bool) -> int:
    lots = read_lots(fields.needed("qty"), pair)
    if lots == 0 and not is_reduction:
        code, text = OF_REFUSAL[RefusalCode.BELOW_MIN_QTY]
        raise ApiError(code, text)
    return lots


def _limit_price(fields: Fields, pair: Pair) -> int:
    return read_price(fields, "price", pair) or bad_parameter("params error: price is missing")


def _link_id(fields: Fields) -> str:
    link_id = fields.text("orderLinkId")
    if link_id and not LINK_ID.fullmatch(link_id):
        bad_parameter("params error: orderLinkId has 1 to 36 letters, digits, - or _")
    return link_id


def _direction(fields: Fields, side: Side, is_limit: bool) -> int:
    """Conditional orders of a short are market buys, above the price or below; others have no counterpart here."""
    direction = fields.whole("triggerDirection")
    if is_limit or side is not Side.BUY:
        bad_parameter("This server supports conditional orders that buy at market only")
    return direction if direction in (RISES, FALLS) else bad_parameter("params error: triggerDirection invalid")
