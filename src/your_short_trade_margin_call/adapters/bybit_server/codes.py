"""Return codes with their texts, and how a refusal of the simulated exchange is said in them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NoReturn

from your_short_trade_margin_call.domain.errors import OrderRefusedError
from your_short_trade_margin_call.exchange.refusals import RefusalCode


class RetCode(IntEnum):
    """The codes this server answers with; 0 is OK."""

    OK = 0
    PARAMETER = 10001
    WINDOW = 10002
    KEY_INVALID = 10003
    SIGNATURE = 10004
    PERMISSION = 10005
    TOO_MANY = 10006
    ADDRESS = 10010
    SERVER_ERROR = 10016
    NOT_MODIFIED = 34040
    KEY_EXPIRED = 33004
    REPEATED_AUTH = 20001
    REPEATED_REQUEST = 20006
    OPERATION_UNKNOWN = 10404
    DELISTING = 30228
    ORDER_GONE = 110001
    ORDER_REJECTED = 110003
    NO_BALANCE = 110007
    WOULD_LIQUIDATE = 110011
    NO_BALANCE_TO_CHANGE = 110012
    LEVERAGE_TOO_HIGH = 110013
    NO_MARGIN_TO_ADD = 110014
    POSITION_IS_CROSS = 110015
    REDUCE_ONLY = 110017
    TOO_MANY_ORDERS = 110020
    EXITS_ONLY = 110023
    SWITCH_HAS_POSITION = 110024
    MODE_UNCHANGED = 110025
    MARGIN_UNCHANGED = 110027
    SWITCH_HAS_ORDERS = 110028
    NO_POSITION = 110033
    LEVERAGE_UNCHANGED = 110043
    BELOW_FILLED = 110064
    NOT_ALLOWED_NOW = 110066
    LINK_ID_REPEATED = 110072
    CONTRACT_NOT_LIVE = 110074
    MARGIN_REDUCTION = 110078
    LEVERAGE_OF_ORDER = 110086
    RISK_LIMIT = 110090
    TRIGGER_TOO_LOW = 110092
    TRIGGER_TOO_HIGH = 110093
    BELOW_NOTIONAL = 110094
    NO_PRICE = 110118
    NOT_FOR_UNIFIED = 100028
    MARGIN_MODE_FAILED = 3400045


NOT_PERMITTED = "Permission denied, please check your API key permissions."


class ApiError(Exception):
    """An answer other than OK.

    Args:
        code: the return code.
        text: its text.
        result: what the answer's `result` holds; empty for most.
    """

    def __init__(self, code: RetCode, text: str, result: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{int(code)} {text}")
        self.code = code
        self.text = text
        self.result = dict(result or {})


def bad_parameter(text: str) -> NoReturn:
    """Refuse a request for what it says.

    Raises:
        ApiError: 10001, always.
    """
    raise ApiError(RetCode.PARAMETER, text)


OF_REFUSAL: Mapping[RefusalCode, tuple[RetCode, str]] = {
    RefusalCode.DUPLICATE_LINK_ID: (RetCode.LINK_ID_REPEATED, "OrderLinkedID is duplicate"),
    RefusalCode.BAD_REQUEST: (RetCode.PARAMETER, "params error"),
    RefusalCode.NO_QUOTE: (RetCode.NO_PRICE, "no market price"),
    RefusalCode.MARKET_ENDED: (RetCode.EXITS_ONLY, "currently you can only reduce positions on this contract"),
    RefusalCode.SHORT_ONLY: (RetCode.PARAMETER, "Only short positions are supported by this server"),
    RefusalCode.REDUCE_ONLY: (RetCode.REDUCE_ONLY, "current position is zero, cannot fix reduce-only order qty"),
    RefusalCode.NO_POSITION: (RetCode.PARAMETER, "can not set tp/sl/ts for zero position"),
    RefusalCode.BELOW_MIN_QTY: (RetCode.PARAMETER, "The number of contracts exceeds minimum limit allowed"),
    RefusalCode.ABOVE_MAX_QTY: (RetCode.PARAMETER, "The number of contracts exceeds maximum limit allowed: too large"),
    RefusalCode.BELOW_MIN_NOTIONAL: (RetCode.BELOW_NOTIONAL, "Order does not meet minimum order value"),
    RefusalCode.RISK_LIMIT: (RetCode.RISK_LIMIT, "risk limit exceeded: the position would be too large"),
    RefusalCode.LEVERAGE: (RetCode.LEVERAGE_OF_ORDER, "the leverage is higher than the risk limit allows"),
    RefusalCode.INSUFFICIENT_BALANCE: (RetCode.NO_BALANCE, "ab not enough for new order"),
    RefusalCode.STOP_WRONG_SIDE: (RetCode.TRIGGER_TOO_HIGH, "StopLoss set for Sell position should greater base_price"),
    RefusalCode.TAKE_PROFIT_WRONG_SIDE: (
        RetCode.PARAMETER,
        "TakeProfit set for Sell position should be lower than base_price",
    ),
    RefusalCode.NO_ORDER: (RetCode.ORDER_GONE, "order not exists or too late to replace"),
    RefusalCode.MARGIN_REDUCTION: (RetCode.MARGIN_REDUCTION, "cannot reduce margin by more than was added"),
    RefusalCode.WOULD_LIQUIDATE: (RetCode.WOULD_LIQUIDATE, "the position would be liquidated at once"),
    RefusalCode.ORDER_REJECTED: (RetCode.ORDER_REJECTED, "Order price exceeds the allowable range"),
    RefusalCode.EXCHANGE_ERROR: (RetCode.NOT_ALLOWED_NOW, "Trading is currently not allowed"),
}
"""What an order's refusal is answered with; some requests have codes of their own (see `api_error`)."""


def api_error(error: OrderRefusedError, own: Mapping[RefusalCode, tuple[RetCode, str]] | None = None) -> ApiError:
    """The answer for a refusal of the simulated exchange; `own` are codes special to one kind of request."""
    refused = RefusalCode(error.code)
    code, text = (own or {}).get(refused) or OF_REFUSAL[refused]
    return ApiError(code, text)
