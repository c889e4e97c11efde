"""How many requests the exchange takes: of a key for each kind a second, of an address in five seconds.

Seconds are real ones, whatever the speed of the market.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.codes import RetCode
from your_short_trade_margin_call.adapters.bybit_server.envelope import WORLD, fail

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
    from your_short_trade_margin_call.adapters.bybit_server.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEY_HEADER = "X-BAPI-API-KEY"
TOO_MANY_TEXT = "Too many visits! Exceeded the API Rate Limit."

A_SECOND: dict[str, int] = {
    "/v5/order/create": 10,
    "/v5/order/amend": 10,
    "/v5/order/cancel": 10,
    "/v5/order/cancel-all": 10,
    "/v5/order/realtime": 50,
    "/v5/order/history": 50,
    "/v5/execution/list": 50,
    "/v5/position/list": 50,
    "/v5/position/closed-pnl": 50,
    "/v5/position/symbol-info": 50,
    "/v5/position/set-leverage": 10,
    "/v5/position/trading-stop": 10,
    "/v5/position/add-margin": 10,
    "/v5/position/set-auto-add-margin": 10,
    "/v5/position/switch-mode": 10,
    "/v5/position/switch-isolated": 10,
    "/v5/account/wallet-balance": 50,
    "/v5/account/info": 50,
    "/v5/account/transaction-log": 25,
    "/v5/account/fee-rate": 5,
    "/v5/account/set-margin-mode": 5,
    "/v5/user/query-api": 10,
    "/v5/asset/coin/query-info": 5,
}
"""The largest number of requests of a kind in any second, for one key."""

ORDERS_A_SECOND: dict[str, int] = {
    "/v5/order/create-batch": 10,
    "/v5/order/amend-batch": 10,
    "/v5/order/cancel-batch": 10,
}
"""The largest number of orders in the batches of a kind in any second; apart from requests for single orders."""

OF_ADDRESS, ADDRESS_WINDOW_S = 600, 5.0
"""Requests of one address in so many seconds; more are answered with HTTP 403."""

_WINDOW_S = 1.0


class Allowance(NamedTuple):
    """What is left: `left` requests of `limit`; a refused one may come again after `wait_s`."""

    is_allowed: bool
    limit: int
    left: int
    wait_s: float


class RollingCounts:
    """Requests of each kind in the last seconds. A refused request does not count."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}

    def take(self, kind: str, limit: int, now_s: float, window_s: float = _WINDOW_S) -> Allowance:
        """Count one request, if it is allowed."""
        times = self._times.setdefault(kind, deque())
        while times and times[0] <= now_s - window_s:
            times.popleft()
        if len(times) >= limit:
            return Allowance(False, limit, 0, times[0] + window_s - now_s)
        times.append(now_s)
        return Allowance(True, limit, limit - len(times), 0.0)


_ADDRESSES: WeakKeyDictionary[World, RollingCounts] = WeakKeyDictionary()


@web.middleware
async def rate_limits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what is too much: HTTP 403 for an address, 10006 for a key; say in headers what is left.

    Raises:
        web.HTTPForbidden: too many requests of this address.
    """
    world = request.app[WORLD]
    account = world.accounts.get(request.headers.get(KEY_HEADER, ""))
    factor = account.config.limit_factor if account else 1.0
    counts = _ADDRESSES.setdefault(world, RollingCounts())
    limit = round(OF_ADDRESS * factor)
    if not counts.take(str(request.remote), limit, world.timeline.stopwatch_s(), ADDRESS_WINDOW_S).is_allowed:
        raise web.HTTPForbidden(text="access too frequent")
    if account is None or request.path not in A_SECOND:
        return await handler(request)
    allowance = allow(world, account, request.path)
    if allowance.is_allowed:
        answer = await handler(request)
    else:
        answer = fail(request, RetCode.TOO_MANY, TOO_MANY_TEXT)
    answer.headers.update(limit_headers(world, allowance))
    return answer


def allow(world: World, account: TradingAccount, path: str) -> Allowance:
    """Count one request of an account, wherever it came from."""
    a_second = ORDERS_A_SECOND.get(path) or A_SECOND[path]
    limit = max(1, round(a_second * account.config.limit_factor))
    return account.counts.take(path, limit, world.timeline.stopwatch_s())


def allow_orders(world: World, account: TradingAccount, path: str, wanted: int) -> tuple[int, Allowance]:
    """Count the orders of a batch: how many of them are allowed, and what the last one met."""
    for number in range(wanted):
        allowance = allow(world, account, path)
        if not allowance.is_allowed:
            return number, allowance
    return wanted, allowance


def limit_headers(world: World, allowance: Allowance) -> dict[str, str]:
    """What is left, and (in the market's time) when there is more: rounded up, as clients sleep until then."""
    wait_ms = math.ceil(allowance.wait_s * 1_000.0 * max(1.0, world.timeline.speed))
    return {
        "X-Bapi-Limit": str(allowance.limit),
        "X-Bapi-Limit-Status": str(allowance.left),
        "X-Bapi-Limit-Reset-Timestamp": str(world.timeline.shown_ms() + wait_ms),
    }
