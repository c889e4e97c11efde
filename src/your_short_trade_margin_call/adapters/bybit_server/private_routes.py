"""The private requests: paths, and how an account's answer becomes a response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server import (
    account_queries,
    elsewhere,
    order_requests,
    position_requests,
)
from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.auth import ACCOUNT
from your_short_trade_margin_call.adapters.bybit_server.batch_requests import BATCHES, batch
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.envelope import WORLD, fail, ok
from your_short_trade_margin_call.adapters.bybit_server.request_fields import json_object

Act = Callable[[TradingAccount, Mapping[str, Any]], dict[str, Any]]
Handler = Callable[[web.Request], Awaitable[web.Response]]

QUERIES: dict[str, Act] = {
    "/v5/order/realtime": account_queries.open_orders,
    "/v5/order/history": account_queries.order_history,
    "/v5/execution/list": account_queries.executions,
    "/v5/position/list": account_queries.positions,
    "/v5/position/closed-pnl": account_queries.closed_pnl,
    "/v5/position/symbol-info": account_queries.symbol_info,
    "/v5/account/wallet-balance": account_queries.wallet_balance,
    "/v5/account/info": account_queries.account_info,
    "/v5/account/fee-rate": account_queries.fee_rate,
    "/v5/account/transaction-log": account_queries.transaction_log,
    "/v5/user/query-api": account_queries.query_api,
    "/v5/asset/coin/query-info": account_queries.coin_info,
    "/v5/account/instruments-info": elsewhere.own_instruments,
    "/v5/account/withdrawal": elsewhere.withdrawable,
    **{path: elsewhere.always(result) for path, result in elsewhere.NOTHING_YET.items()},
}
WRITES: dict[str, Act] = {
    "/v5/order/create": order_requests.create,
    "/v5/order/amend": order_requests.amend,
    "/v5/order/cancel": order_requests.cancel,
    "/v5/order/cancel-all": order_requests.cancel_all,
    "/v5/position/set-leverage": position_requests.set_leverage,
    "/v5/position/trading-stop": position_requests.trading_stop,
    "/v5/position/add-margin": position_requests.add_margin,
    "/v5/position/set-auto-add-margin": position_requests.set_auto_add_margin,
    "/v5/position/switch-mode": position_requests.switch_mode,
    "/v5/position/switch-isolated": position_requests.not_unified,
    "/v5/position/set-risk-limit": position_requests.not_unified,
    "/v5/position/set-tpsl-mode": position_requests.not_unified,
    "/v5/account/set-margin-mode": position_requests.set_margin_mode,
}


def routes() -> list[web.RouteDef]:
    """Every private path."""
    return [
        *(web.get(path, _query(act)) for path, act in QUERIES.items()),
        *(web.post(path, _write(act)) for path, act in WRITES.items()),
        *(web.post(path, _batch) for path in BATCHES),
    ]


def parsed_body(text: str | bytes) -> dict[str, Any]:
    """The JSON object that a request's body must be.

    Raises:
        ApiError: 10001, it is none.
    """
    body = json_object(text)
    return bad_parameter("params error: the body is no JSON object") if body is None else body


def _query(act: Act) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            return ok(request, act(request[ACCOUNT], request.query))
        except ApiError as error:
            return fail(request, error.code, error.text, error.result)

    return handle


async def _batch(request: web.Request) -> web.Response:
    limits: dict[str, str] = {}
    try:
        body = parsed_body(await request.read())
        answer = ok(request, *batch(request.app[WORLD], request[ACCOUNT], request.path, body, limits))
    except ApiError as error:
        answer = fail(request, error.code, error.text, error.result)
    answer.headers.update(limits)
    return answer


def _write(act: Act) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            return ok(request, act(request[ACCOUNT], parsed_body(await request.read())))
        except ApiError as error:
            return fail(request, error.code, error.text, error.result)

    return handle
