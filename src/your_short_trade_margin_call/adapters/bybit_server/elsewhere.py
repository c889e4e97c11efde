"""Paths the exchange has and this server has nothing behind: answered as the exchange answers where there is nothing.

What nobody knows is a 404, as on the exchange. Nothing is made up here: lists are empty, rights are missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.codes import NOT_PERMITTED, RetCode
from your_short_trade_margin_call.adapters.bybit_server.envelope import WORLD, fail, ok
from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text
from your_short_trade_margin_call.adapters.bybit_server.order_rows import CATEGORY, COIN

Query = Mapping[str, str]
Answer = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.Response]]

OTHER_PRODUCTS = (
    *("spot-margin-trade", "spot-cross-margin-trade", "spot-lever-token", "spread", "rfq", "earn", "lending"),
    *("crypto-loan", "crypto-loan-common", "crypto-loan-fixed", "crypto-loan-flexible", "ins-loan", "broker"),
    *("affiliate", "pre-upgrade", "p2p", "fiat", "apilimit", "coupon"),
)
"""Products besides contracts: everything of theirs wants a right that a key for contracts has not."""

_BY_RIGHTS = (
    *(f"/v5/{product}" for product in OTHER_PRODUCTS),
    *("/v5/asset", "/v5/user", "/v5/order/disconnected-cancel-all", "/v5/order/spot-borrow-check"),
    *("/v5/account/borrow", "/v5/account/repay", "/v5/account/no-convert-repay", "/v5/account/quick-repayment"),
    *("/v5/account/set-collateral-switch", "/v5/account/set-collateral-switch-batch"),
    *("/v5/account/set-hedging-mode", "/v5/account/mmp-modify", "/v5/account/mmp-reset"),
    *("/v5/account/set-limit-px-action", "/v5/account/set-delta-mode", "/v5/account/upgrade-to-uta"),
    *("/v5/order/pre-check", "/v5/position/confirm-pending-mmr", "/v5/position/move-positions"),
)

NOTHING_YET: dict[str, Answer] = {
    "/v5/account/borrow-history": {"list": [], "nextPageCursor": ""},
    "/v5/account/collateral-info": {"list": []},
    "/v5/account/contract-transaction-log": {"list": [], "nextPageCursor": ""},
    "/v5/account/mmp-state": {"result": []},
    "/v5/account/query-dcp-info": {"dcpInfos": []},
    "/v5/account/smp-group": {"smpGroup": 0},
    "/v5/account/user-setting-config": {"lpaSpot": False, "lpaPerp": False},
    "/v5/position/get-closed-positions": {"list": [], "nextPageCursor": "", "category": "option"},
    "/v5/position/move-history": {"list": [], "nextPageCursor": ""},
}
"""What an account that only traded contracts is told about the rest of its life."""

OPEN_TO_ALL: dict[str, Answer] = {
    "/v5/announcements/index": {"total": 0, "list": []},
    "/v5/market/adlAlert": {"updatedTime": "", "list": []},
    "/v5/market/fee-group-info": {"list": []},
    "/v5/market/index-price-components": {"components": []},
    "/v5/market/insurance": {"updatedTime": "", "list": []},
}
"""Nothing was announced, and there is no pool of an insurance."""


def always(result: Answer) -> Callable[[TradingAccount, Query], Answer]:
    """A query of the account that is answered with this, whatever it asks."""
    return lambda _account, _query: dict(result)


def routes() -> list[web.RouteDef]:
    """What nothing else answers; to be added last."""
    denied = [
        route
        for place in _BY_RIGHTS
        for route in (web.route("*", place, _denied), web.route("*", place + "/{rest:.+}", _denied))
    ]
    return [*denied, *(web.get(path, _public(result)) for path, result in OPEN_TO_ALL.items())]


async def _denied(request: web.Request) -> web.Response:
    return fail(request, RetCode.PERMISSION, NOT_PERMITTED)


def _public(result: Answer) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        now = {"updatedTime": str(request.app[WORLD].answer_ms)} if "updatedTime" in result else {}
        return ok(request, result | now)

    return answer


def own_instruments(account: TradingAccount, query: Query) -> Answer:
    """account/instruments-info: the rules of a pair, or of all, as anybody is told them."""
    symbol = query.get("symbol", "")
    items = [pair.item for name, pair in sorted(account.pairs.items()) if symbol in ("", name)]
    category = query.get("category", "")
    return {"category": category, "list": items if category == CATEGORY else [], "nextPageCursor": ""}


def withdrawable(account: TradingAccount, query: Query) -> Answer:
    """account/withdrawal: how much of each coin could leave the account (the one coin alone is here)."""
    coins = query.get("coinName", "").split(",")
    free = number_text(max(0.0, account.available_usdt))
    of_coins = {coin: free if coin == COIN else "0" for coin in coins if coin}
    return {"availableWithdrawal": of_coins.get(coins[0], ""), "availableWithdrawalMap": of_coins}
