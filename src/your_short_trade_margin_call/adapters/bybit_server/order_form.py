"""An order as a client asks for it: read, checked for form, in ticks and lots."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from your_short_trade_margin_call.adapters.bybit_server.codes import OF_REFUSAL, ApiError, RetCode, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair, is_nothing
from your_short_trade_margin_call.adapters.bybit_server.request_fields import Fields
from your_short_trade_margin_call.domain.words import OrderType, Side
from your_short_trade_margin_call.exchange.refusals import RefusalCode

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
TRIGGERS = ("LastPrice", "MarkPrice", "IndexPrice")
LIMIT_TERMS = ("GTC", "IOC", "FOK", "PostOnly")
NO_TAKE_PROFIT = "takeProfit is not supported by this server: place a reduce-only limit order"
WRONG_INDEX = "position idx not match position mode"


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
    trigger_by: str
    stop_loss_ticks: int
    stop_loss_by: str

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
    stop_loss = read_price(fields, "stopLoss", pair)
    if not is_nothing(fields.text("takeProfit")):
        bad_parameter(NO_TAKE_PROFIT)
    if stop_loss and reduce_only:
        bad_parameter("TP/SL is not allowed for a reduce-only order")
    if trigger:
        _check_conditional(fields, side, is_limit)
    return OrderForm(
        side=side,
        order_type=_type(is_limit, trigger),
        lots=_lots(fields, pair, is_reduction=reduce_only and fields.flag("closeOnTrigger")),
        price_ticks=_limit_price(fields, pair) if is_limit else 0,
        time_in_force=fields.choice("timeInForce", LIMIT_TERMS, "GTC") if is_limit else "IOC",
        reduce_only=reduce_only,
        close_on_trigger=fields.flag("closeOnTrigger"),
        link_id=_link_id(fields),
        trigger_ticks=trigger,
        trigger_by=fields.choice("triggerBy", TRIGGERS, "LastPrice") if trigger else "",
        stop_loss_ticks=stop_loss,
        stop_loss_by=fields.choice("slTriggerBy", TRIGGERS, "LastPrice") if stop_loss else "",
    )


def check_index(fields: Fields, position_mode: int) -> None:
    """One-way mode has positions of index 0 only; hedge mode has none of that index.

    Raises:
        ApiError: 10001.
    """
    if (fields.whole("positionIdx", 0) or 0) != 0 or position_mode != 0:
        bad_parameter(WRONG_INDEX)


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


def _type(is_limit: bool, trigger: int) -> OrderType:
    if trigger:
        return OrderType.STOP_MARKET
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


def _check_conditional(fields: Fields, side: Side, is_limit: bool) -> None:
    """Stops of a short are market buys above the price; others have no counterpart here."""
    if is_limit or side is not Side.BUY or fields.whole("triggerDirection") != 1:
        raise ApiError(
            RetCode.PARAMETER, "This server supports conditional orders that buy at market when the price rises only"
        )
