"""The admin's own port: look at the world, step it, and let things go wrong. JSON in, JSON out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

import msgspec
from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError
from your_short_trade_margin_call.adapters.bybit_server.envelope import STREAMS, WORLD
from your_short_trade_margin_call.adapters.bybit_server.pair_market import PairMarket
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import SocketFault
from your_short_trade_margin_call.adapters.bybit_server.stepping import QUIET_MS, Stepper
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.errors import BadInputError, SettingError, ShortestPeakError
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.exchange.faults import Fault

Wish = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ACCOUNT_FAULTS = tuple(
    fault.value
    for fault in (
        Fault.REJECT,
        Fault.LATE_REJECT,
        Fault.PARTIAL_FILL,
        Fault.PARTIAL_THEN_CANCEL,
        Fault.DUPLICATE_EVENT,
        Fault.REORDERED_EVENT,
    )
)
"""Planned like the others, and struck inside the exchange."""


def routes() -> list[web.RouteDef]:
    """All that the admin can ask for."""
    return [
        web.get("/state", _state),
        web.post("/faults", _plan),
        web.delete("/faults", _clear),
        web.post("/step", _step),
        web.post("/push", _push),
        web.post("/happen", _happen),
        web.post("/account", _configure),
        web.post("/clock", _clock),
        web.get("/log", _log),
    ]


@web.middleware
async def named_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A wish that cannot be granted is HTTP 400 with the reason and a cure."""
    try:
        return await handler(request)
    except ShortestPeakError as error:
        return _json({"error": {"message": error.message, "cure": error.cure}}, 400)
    except ApiError as error:
        return _json({"error": {"message": error.text, "cure": ""}}, 400)


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")


async def _wish(request: web.Request) -> Wish:
    body = await request.read()
    try:
        wish = msgspec.json.decode(body or b"{}")
    except msgspec.DecodeError as error:
        raise BadInputError(f"The body is not JSON: {error}.", "Send one JSON object.") from None
    if not isinstance(wish, dict):
        raise BadInputError("The body is no JSON object.", "Send one, such as {}.")
    return wish


def _whole(wish: Mapping[str, Any], name: str, usual: int) -> int:
    """A whole number of a wish."""
    value = wish.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInputError(f"{name} is {value!r}.", "Give a whole number.")
    return value


# ---- looking ----------------------------------------------------------------------------------------


async def _state(request: web.Request) -> web.Response:
    world, streams = request.app[WORLD], request.app[STREAMS]
    open_streams = [
        {
            "path": stream.path,
            "account": stream.account,
            "is_silent": stream.is_silent,
            "topics": sorted(stream.subscriber.topics),
            "queued": stream.subscriber.queued,
            "sent": stream.subscriber.sent,
        }
        for stream in streams.open()
    ]
    return _json(
        {
            **world.as_json(),
            "is_out": streams.is_out,
            "streams": open_streams,
            "faults": [asdict(order) for order in world.faults.waiting],
            "struck": world.faults.struck,
            "accounts": list(world.accounts),
            "requests": world.requests.count,
        }
    )


async def _log(request: web.Request) -> web.Response:
    log = request.app[WORLD].requests
    rows = log.rows if request.query.get("all") else log.writes
    return _json({"now_ns": log.now_ns(), "requests": [row.as_json() for row in rows]})


# ---- what goes wrong ----------------------------------------------------------------------------------


async def _plan(request: web.Request) -> web.Response:
    world, wish = request.app[WORLD], await _wish(request)
    name = str(wish.pop("fault", ""))
    if name in ACCOUNT_FAULTS:
        _arm(world, name, wish)
        return _json({"planned": name})
    if "fields" in wish:
        wish["fields"] = tuple(wish["fields"])
    try:
        order = world.faults.plan(name, **wish)
    except SettingError:
        known = ", ".join((*SocketFault, *ACCOUNT_FAULTS))
        raise SettingError(f"{name!r} with {wish} cannot be planned.", f"Known faults: {known}.") from None
    return _json({"planned": asdict(order)})


def _arm(world: World, name: str, wish: Wish) -> None:
    chosen = [_account(world, wish)] if wish.get("account") else list(world.accounts.values())
    for account in chosen:
        account.arm(Fault(name), _whole(wish, "times", 1))


async def _clear(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    world.faults.clear()
    for account in world.accounts.values():
        account.disarm()
    return _json({"cleared": True})


async def _clock(request: web.Request) -> web.Response:
    timeline, wish = request.app[WORLD].timeline, await _wish(request)
    timeline.offset_ms = _whole(wish, "offset_ms", 0)
    return _json({"shown_ms": timeline.shown_ms(), "offset_ms": timeline.offset_ms})


# ---- time -------------------------------------------------------------------------------------------


async def _step(request: web.Request) -> web.Response:
    world, wish = request.app[WORLD], await _wish(request)
    stepper = Stepper(world, request.app[STREAMS])
    quiet_ms = _whole(wish, "quiet_ms", QUIET_MS)
    if wish.get("phase"):
        group = await stepper.phase(quiet_ms)
        done: dict[str, Any] = {"phase": None if group is None else group.phase.name}
    else:
        done = {"candles": await stepper.candles(_whole(wish, "candles", 1), quiet_ms)}
    return _json({**done, **world.as_json()})


async def _push(request: web.Request) -> web.Response:
    world, wish = request.app[WORLD], await _wish(request)
    pairs = _whole(wish, "pairs", len(world.pairs))
    return _json({"pushed_ns": Stepper(world, request.app[STREAMS]).push(pairs), "pairs": pairs})


# ---- what happens without the program -----------------------------------------------------------------


async def _happen(request: web.Request) -> web.Response:
    world, wish = request.app[WORLD], await _wish(request)
    what = str(wish.get("what", ""))
    if what == "restart":
        world.restart()
        request.app[STREAMS].drop_everything()
        return _json({"happened": what})
    happening = _HAPPENINGS.get(what)
    if happening is None:
        raise BadInputError(f"{what!r} cannot happen here.", f"Known: restart, {', '.join(_HAPPENINGS)}.")
    result = happening(world, wish)
    return _json({"happened": what, "result": result})


def _account(world: World, wish: Mapping[str, Any]) -> TradingAccount:
    """The account that is named, or the only one."""
    key = wish.get("account")
    if key is None and len(world.accounts) == 1:
        return next(iter(world.accounts.values()))
    if key not in world.accounts:
        raise BadInputError(f"There is no account {key!r}.", f"Accounts: {', '.join(world.accounts) or 'none'}.")
    return world.accounts[key]


def _symbol(world: World, wish: Mapping[str, Any]) -> str:
    return str(wish.get("symbol") or next(iter(world.pairs)))


def _pair(world: World, wish: Mapping[str, Any]) -> PairMarket:
    symbol = _symbol(world, wish)
    if symbol not in world.pairs:
        raise BadInputError(f"There is no pair {symbol}.", f"Pairs: {', '.join(world.pairs)}.")
    return world.pairs[symbol]


def _deliver(world: World, wish: Wish) -> str:
    """The exchange announces that it will delist the pair."""
    item = _pair(world, wish).item
    item["deliveryTime"] = str(_whole(wish, "delivery_ms", world.timeline.now_ms() + DAY_MS))
    return str(item["deliveryTime"])


def _status(world: World, wish: Wish) -> str:
    """The pair stops trading, or (`status` Trading) trades again."""
    item = _pair(world, wish).item
    item["status"] = str(wish.get("status", "Closed"))
    return str(item["status"])


def _expire_key(world: World, wish: Wish) -> None:
    _account(world, wish).config.is_key_expired = bool(wish.get("is_on", True))


def _revoke_key(world: World, wish: Wish) -> None:
    _account(world, wish).config.is_key_invalid = bool(wish.get("is_on", True))


_HAPPENINGS: dict[str, Callable[[World, Wish], object]] = {
    "manual_close": lambda world, wish: _account(world, wish).manual_close(_symbol(world, wish), wish.get("lots")),
    "foreign_order": lambda world, wish: _account(world, wish).foreign_order(
        _symbol(world, wish), wish.get("lots"), wish.get("price")
    ),
    "foreign_position": lambda world, wish: _account(world, wish).foreign_position(
        _symbol(world, wish), wish.get("lots")
    ),
    "adl": lambda world, wish: _account(world, wish).adl(_symbol(world, wish), wish.get("lots")),
    "liquidation_now": lambda world, wish: _account(world, wish).liquidation_now(_symbol(world, wish)),
    "deliver": _deliver,
    "not_trading": _status,
    "key_expired": _expire_key,
    "key_invalid": _revoke_key,
}


async def _configure(request: web.Request) -> web.Response:
    """Turn knobs of an account: fields of `AccountConfig` by name."""
    world, wish = request.app[WORLD], await _wish(request)
    config = _account(world, wish).config
    known = {field.name for field in fields(AccountConfig)}
    turned = {name: value for name, value in wish.items() if name != "account"}
    if unknown := set(turned) - known:
        raise BadInputError(f"There is no knob {sorted(unknown)[0]!r}.", f"Known: {', '.join(sorted(known))}.")
    for name, value in turned.items():
        setattr(config, name, value)
    return _json(asdict(config))
