"""Why the exchange refuses a request: one enum, so that adapters can translate each into Bybit's own codes."""

from __future__ import annotations

from enum import StrEnum

from your_short_trade_margin_call.domain.errors import OrderRefusedError


class RefusalCode(StrEnum):
    """The value of `OrderRefusedError.code`. Where a BlockReason has the same cause, it has the same spelling."""

    DUPLICATE_LINK_ID = "duplicate_link_id"
    BAD_REQUEST = "bad_request"
    NO_QUOTE = "no_quote"
    MARKET_ENDED = "market_ended"
    SHORT_ONLY = "short_only"
    REDUCE_ONLY = "reduce_only"
    NO_POSITION = "no_position"
    BELOW_MIN_QTY = "below_min_qty"
    ABOVE_MAX_QTY = "above_max_qty"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    RISK_LIMIT = "risk_limit"
    LEVERAGE = "leverage"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    STOP_WRONG_SIDE = "stop_wrong_side"
    TAKE_PROFIT_WRONG_SIDE = "take_profit_wrong_side"
    NO_ORDER = "no_order"
    MARGIN_REDUCTION = "margin_reduction"
    WOULD_LIQUIDATE = "would_liquidate"
    ORDER_REJECTED = "order_rejected"
    EXCHANGE_ERROR = "exchange_error"


def refusal(code: RefusalCode, message: str) -> OrderRefusedError:
    """The error to raise: nothing of the request exists on the exchange."""
    return OrderRefusedError(message, code=code.value)
