"""A short trading life in a market that nobody sees, so that no client's first order waits for a compiler."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError
from your_short_trade_margin_call.adapters.bybit_server.private_routes import QUERIES, WRITES
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

_SYMBOL, _CANDLES, _PHASES = "BTCUSDT", 12, 8
_NAMED = {"category": "linear", "symbol": _SYMBOL}
_SHORT = {"side": "Sell", "orderType": "Market", "qty": "0.01", "stopLoss": "500000"}
_TARGET = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "1000", "reduceOnly": True}
_CLOSE = {"side": "Buy", "orderType": "Market", "qty": "0.01", "reduceOnly": True}
LIFE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v5/position/set-leverage", {"buyLeverage": "3", "sellLeverage": "3"}),
    ("/v5/order/create", {**_SHORT, "orderLinkId": "short"}),
    ("/v5/order/create", {**_TARGET, "orderLinkId": "target"}),
    ("/v5/order/amend", {"orderLinkId": "target", "price": "2000"}),
    ("/v5/position/trading-stop", {"stopLoss": "400000", "tpslMode": "Full", "positionIdx": 0}),
    ("/v5/position/add-margin", {"margin": "10", "positionIdx": 0}),
    ("/v5/order/create", {**_CLOSE, "orderLinkId": "close"}),
    ("/v5/order/cancel-all", {}),
)
"""Requests, in order."""


def rehearse(settings: Settings) -> int:
    """Open, guard, change and close a short, time moving on between; how many of these requests were carried out.

    The exchange asks for some twenty kernels in its first orders. On a first start compiling them takes seconds, in
    which it would answer nobody.
    """
    world = _world(settings)
    account, done = world.accounts[DEMO_KEY], 0
    for path, body in LIFE:
        with suppress(ApiError):
            WRITES[path](account, {**_NAMED, **body})
            done += 1
        _look(account)
        for _ in islice(iter(world.step_phase, None), _PHASES):
            pass
    return done


def _world(settings: Settings) -> World:
    instrument = find_instrument(_SYMBOL)
    calm = SyntheticMarket(symbol=_SYMBOL, minutes=3 * _CANDLES * len(LIFE), tick_size=float(instrument.tick_size))
    return make_world([Market(instrument, generate(calm))], settings, history_ms=0)


def _look(account: TradingAccount) -> None:
    for look in QUERIES.values():
        with suppress(ApiError):
            look(account, {**_NAMED, "accountType": "UNIFIED"})
