"""Who asks: keys, signatures and the window of time in which a signed request is taken."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.codes import NOT_PERMITTED, ApiError, RetCode
from your_short_trade_margin_call.adapters.bybit_server.envelope import WORLD, fail
from your_short_trade_margin_call.adapters.bybit_server.number_text import whole_of
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import KEY_HEADER

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
    from your_short_trade_margin_call.adapters.bybit_server.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ACCOUNT: web.RequestKey[TradingAccount] = web.RequestKey("ACCOUNT")
"""Where a request keeps the account it was signed for."""

PRIVATE = ("/v5/order/", "/v5/execution/", "/v5/position/", "/v5/account/", "/v5/user/", "/v5/asset/")
USUAL_WINDOW_MS = 5_000
AHEAD_MS = 1_000
"""A clock may be this far ahead of the server's, whatever the window."""


def sign(secret: str, text: str) -> str:
    """HMAC-SHA256 as lower-case hex."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@web.middleware
async def auth(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a private request through if it is signed by a good key, over the query and body exactly as they came.

    Raises:
        web.HTTPUnauthorized: the headers are missing.
    """
    if not request.path.startswith(PRIVATE):
        return await handler(request)
    try:
        request[ACCOUNT] = await _signer(request)
    except ApiError as error:
        return fail(request, error.code, error.text)
    return await handler(request)


async def _signer(request: web.Request) -> TradingAccount:
    names = (KEY_HEADER, "X-BAPI-TIMESTAMP", "X-BAPI-SIGN")
    key, timestamp, signature = (request.headers.get(name, "") for name in names)
    if not (key and timestamp and signature):
        raise web.HTTPUnauthorized
    world = request.app[WORLD]
    account = good_account(world, key)
    window = request.headers.get("X-BAPI-RECV-WINDOW", "")
    check_window(world, timestamp, window or str(USUAL_WINDOW_MS))
    if request.method == "GET":
        payload = request.raw_path.partition("?")[2]
    else:
        payload = (await request.read()).decode(errors="replace")
    origin = f"{timestamp}{key}{window}{payload}"
    if not hmac.compare_digest(sign(account.secret, origin).encode(), signature.encode()):
        raise ApiError(RetCode.SIGNATURE, f"error sign! origin_string[{origin}]")
    if request.method != "GET":
        check_may_trade(account)
    return account


def good_account(world: World, key: str) -> TradingAccount:
    """The account of a key that is known, in date, and used from an address it is bound to.

    Raises:
        ApiError: 10003, 33004 or 10010.
    """
    account = world.accounts.get(key)
    if account is None or account.config.is_key_invalid:
        raise ApiError(RetCode.KEY_INVALID, "API key is invalid.")
    if account.config.is_key_expired:
        raise ApiError(RetCode.KEY_EXPIRED, "Your api key has expired.")
    if account.config.is_address_refused:
        raise ApiError(RetCode.ADDRESS, "Unmatched IP, please check your API key's bound IP addresses.")
    return account


def check_window(world: World, timestamp: str, window: str) -> None:
    """A request is taken if ``now - window <= timestamp < now + 1000``, all of it scaled by the market's speed.

    Raises:
        ApiError: 10002.
    """
    now_ms, scale = world.timeline.shown_ms(), max(1.0, world.timeline.speed)
    sent_ms, window_ms = whole_of(timestamp), whole_of(window)
    if sent_ms is None or window_ms is None:
        raise ApiError(RetCode.PARAMETER, "invalid timestamp or recv_window")
    if not now_ms - window_ms * scale <= sent_ms < now_ms + AHEAD_MS * scale:
        raise ApiError(
            RetCode.WINDOW,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{timestamp}],server_timestamp[{now_ms}],recv_window[{window}]",
        )


def check_may_trade(account: TradingAccount) -> None:
    """Writes need a key that trades.

    Raises:
        ApiError: 10005.
    """
    if not account.config.may_trade:
        raise ApiError(RetCode.PERMISSION, NOT_PERMITTED)


def check_stream_auth(world: World, args: object) -> TradingAccount:
    """The account that a stream's auth message is for: key, expiry (number or text, after now), signature.

    Raises:
        ApiError: 10001 when the message is no such message, else as for requests.
    """
    if not isinstance(args, list) or len(args) != 3 or (expires_ms := whole_of(args[1])) is None:
        raise ApiError(RetCode.PARAMETER, "Params Error")
    key, expires, signature = (str(one) for one in args)
    account = good_account(world, key)
    if expires_ms <= world.timeline.shown_ms():
        raise ApiError(RetCode.PARAMETER, "Params Error: expires is over")
    if not hmac.compare_digest(sign(account.secret, f"GET/realtime{expires}").encode(), signature.encode()):
        raise ApiError(RetCode.SIGNATURE, "Invalid sign")
    return account
