"""Requests about several orders at once: each order for itself, as by a request of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from your_short_trade_margin_call.adapters.bybit_server import order_requests
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError, RetCode, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.order_requests import Answer, Body
from your_short_trade_margin_call.adapters.bybit_server.order_rows import CATEGORY
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import TOO_MANY_TEXT, allow_orders, limit_headers
from your_short_trade_margin_call.adapters.bybit_server.request_fields import Fields

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
    from your_short_trade_margin_call.adapters.bybit_server.world import World

Single = Callable[["TradingAccount", Body], Answer]

MOST_ORDERS = 20
CREATE = "/v5/order/create-batch"
BATCHES: dict[str, Single] = {
    CREATE: order_requests.create,
    "/v5/order/amend-batch": order_requests.amend,
    "/v5/order/cancel-batch": order_requests.cancel,
}
"""What is done with each order of a batch."""


def batch(
    world: World, account: TradingAccount, path: str, body: Body, limits: dict[str, str]
) -> tuple[Answer, Answer]:
    """`result` and `retExtInfo` of the answer: rows and codes, both in the order asked for.

    Every order counts against the limit of the batches; those beyond it fail. `limits` takes the headers.

    Raises:
        ApiError: 10001, the request holds no list of orders, or too long a one; 10006, not even one is allowed now.
    """
    orders = _orders(body)
    allowed, allowance = allow_orders(world, account, path, len(orders))
    limits.update(limit_headers(world, allowance))
    if not allowed:
        raise ApiError(RetCode.TOO_MANY, TOO_MANY_TEXT)
    rows, codes = [], []
    for number, order in enumerate(orders):
        row, code = _one(account, path, order, is_allowed=number < allowed)
        rows.append(row)
        codes.append(code)
    return {"list": rows}, {"list": codes}


def _orders(body: Body) -> list[Mapping[str, Any]]:
    Fields(body).check_category()
    orders = body.get("request")
    if not isinstance(orders, list) or not orders or not all(isinstance(one, Mapping) for one in orders):
        bad_parameter("params error: request is missing")
    if len(orders) > MOST_ORDERS:
        bad_parameter(f"params error: request has at most {MOST_ORDERS} orders")
    return orders


def _one(account: TradingAccount, path: str, order: Mapping[str, Any], *, is_allowed: bool) -> tuple[Answer, Answer]:
    """One order's row and code; one that failed says what it was asked by."""
    names = {name: str(order.get(name) or "") for name in ("symbol", "orderId", "orderLinkId")}
    row: Answer = {"category": CATEGORY, **names} | ({"createAt": ""} if path == CREATE else {})
    try:
        if not is_allowed:
            raise ApiError(RetCode.TOO_MANY, TOO_MANY_TEXT)
        row |= BATCHES[path](account, {**order, "category": CATEGORY})
    except ApiError as error:
        return row, {"code": int(error.code), "msg": error.text}
    if path == CREATE:
        row["createAt"] = str(account.now_ms())
    return row, {"code": 0, "msg": "OK"}
