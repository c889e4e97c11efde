"""One conversation in which the server says everything that there is a recorded example of."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.auth import sign

from .serving import Client, Stream, with_server
from .shapes import sample
from .signed import Signed
from .trader import OTHER, SYMBOL, Trader

PAIR = {"category": "linear", "symbol": SYMBOL}
STOP = {"stopLoss": "1150.00", "slTriggerBy": "MarkPrice"}
MARKET = {"orderType": "Market", "qty": "1.00", "positionIdx": 0}
TARGET = {"side": "Buy", "orderType": "Limit", "qty": "0.50", "reduceOnly": True}

BEFORE = [
    ("set_margin_mode", "/v5/account/set-margin-mode", {"setMarginMode": "ISOLATED_MARGIN"}),
    ("switch_mode_0", "/v5/position/switch-mode", {"symbol": SYMBOL, "mode": 0}),
    ("set_leverage_0", "/v5/position/set-leverage", {**PAIR, "buyLeverage": "5", "sellLeverage": "5"}),
    ("order_create_0", "/v5/order/create", {**PAIR, **MARKET, **STOP, "side": "Sell", "orderLinkId": "entry"}),
    ("order_create_0", "/v5/order/create", {**PAIR, **MARKET, "side": "Buy", "reduceOnly": True}),
    ("order_create_0", "/v5/order/create", {**PAIR, **MARKET, **STOP, "side": "Sell", "orderLinkId": "entry-2"}),
    ("order_create_0", "/v5/order/create", {**PAIR, **TARGET, "price": "900.00", "orderLinkId": "target"}),
    ("order_amend_0", "/v5/order/amend", {**PAIR, "orderLinkId": "target", "price": "901.00"}),
]
LOOKS = [
    ("market_time_0", "/v5/market/time", {}),
    ("market_kline_0", "/v5/market/kline", {**PAIR, "interval": "3"}),
    ("mark_price_kline_0", "/v5/market/mark-price-kline", {**PAIR, "interval": "3"}),
    ("funding_history_0", "/v5/market/funding/history", PAIR),
    ("tickers_0", "/v5/market/tickers", PAIR),
    ("instruments_info_0", "/v5/market/instruments-info", PAIR),
    ("risk_limit_0", "/v5/market/risk-limit", PAIR),
    ("price_limit_0", "/v5/market/price-limit", PAIR),
    ("orderbook_0", "/v5/market/orderbook", PAIR),
    ("recent_trade_0", "/v5/market/recent-trade", PAIR),
    ("order_realtime_0", "/v5/order/realtime", PAIR),
    ("order_history_0", "/v5/order/history", PAIR),
    ("execution_list_0", "/v5/execution/list", PAIR),
    ("position_list_0", "/v5/position/list", PAIR),
    ("position_list_0", "/v5/position/list", {**PAIR, "symbol": OTHER}),  # a flat one
    ("closed_pnl_0", "/v5/position/closed-pnl", PAIR),
    ("symbol_info_0", "/v5/position/symbol-info", PAIR),
    ("wallet_balance_0", "/v5/account/wallet-balance", {"accountType": "UNIFIED"}),
    ("account_info_0", "/v5/account/info", {}),
    ("fee_rate_0", "/v5/account/fee-rate", PAIR),
    ("transaction_log_0", "/v5/account/transaction-log", {}),
    ("user_query_api_0", "/v5/user/query-api", {}),
]
AFTER = [
    ("trading_stop_0", "/v5/position/trading-stop", {**PAIR, "tpslMode": "Full", "positionIdx": 0, "stopLoss": "1140"}),
    ("add_margin_0", "/v5/position/add-margin", {**PAIR, "margin": "10"}),
    ("set_auto_add_margin_0", "/v5/position/set-auto-add-margin", {**PAIR, "autoAddMargin": 0}),
    ("set_margin_mode_0", "/v5/account/set-margin-mode", {"setMarginMode": "REGULAR_MARGIN"}),  # not with a position
    ("switch_isolated_0", "/v5/position/switch-isolated", {**PAIR, "tradeMode": 1}),
    ("order_cancel_0", "/v5/order/cancel", {**PAIR, "orderLinkId": "target"}),
    ("order_create_0", "/v5/order/create", {**PAIR, **TARGET, "price": "900.00", "orderLinkId": "target-2"}),
    ("order_cancel_all_0", "/v5/order/cancel-all", PAIR),
]


@dataclass
class Heard:
    """What the server said, by the recorded file that shows how the exchange says it."""

    told: dict[str, list[Any]] = field(default_factory=dict)
    taken: dict[str, Any] = field(default_factory=dict)
    """Answers to messages that were sent just as recorded, but for their values."""

    def note(self, name: str, *documents: Any) -> None:
        self.told.setdefault(name, []).extend(documents)


def whole_talk() -> Heard:
    """Have the conversation with a server of its own."""
    heard = Heard()
    newcomer = AccountConfig(margin_mode="REGULAR_MARGIN", position_mode=3)
    trader = Trader(symbols=(SYMBOL, OTHER), funding=[(1, 0.0001)], config=newcomer)

    async def talk(client: Client) -> None:
        async with client.stream("/v5/private") as private, client.stream() as public, client.stream() as left:
            signed = Signed(client)
            await _private_hello(signed, private, heard)
            await _public_hello(public, left, heard)
            await _requests(signed, BEFORE, heard)
            client.server.world.step()
            await _looks(signed, heard)
            await _requests(signed, AFTER, heard)
            await _trade_stream(signed, heard)
            await _collect(private, heard)
            await _collect(public, heard)

    with_server(trader.world, talk)
    heard.note("instruments_info_x", *heard.told["instruments_info_0"][0]["result"]["list"])
    return heard


def as_recorded(name: str, **changes: Any) -> dict[str, Any]:
    """A recorded message of a client, with values that mean something here."""
    message = copy.deepcopy(sample(name))
    assert isinstance(message, dict)
    assert changes.keys() <= message.keys()
    return message | changes


def _credentials(signed: Signed) -> list[Any]:
    expires = signed.now + 10_000
    return [signed.key, expires, sign(signed.secret, f"GET/realtime{expires}")]


async def _requests(signed: Signed, requests: list[tuple[str, str, dict[str, Any]]], heard: Heard) -> None:
    for name, path, body in requests:
        heard.note(name, await signed.post(path, **body))


async def _looks(signed: Signed, heard: Heard) -> None:
    for name, path, query in LOOKS:
        heard.note(name, await signed.get(path, **query))


async def _private_hello(signed: Signed, private: Stream, heard: Heard) -> None:
    heard.note("ws_auth_and_control_1", await signed.auth(private))
    for topic in ("order", "execution", "position", "wallet"):
        await private.say(as_recorded(f"ws_{topic}_0"))
        answer = await private.hear()
        heard.taken[f"ws_{topic}_0"] = answer
        heard.note("ws_auth_and_control_9", answer)
    await private.say({"req_id": "test", "op": "ping"})
    heard.note("ws_auth_and_control_5", await private.hear())
    async with signed.client.stream("/v5/private") as other:
        await other.say(as_recorded("ws_auth_and_control_0", args=_credentials(signed)))
        heard.taken["ws_auth_and_control_0"] = await other.hear()


async def _public_hello(public: Stream, left: Stream, heard: Heard) -> None:
    wanted = [f"kline.3.{SYMBOL}", f"tickers.{SYMBOL}", f"orderbook.50.{SYMBOL}"]
    heard.note("ws_auth_and_control_11", await public.subscribe(*wanted))
    three = [f"orderbook.1.{SYMBOL}", f"publicTrade.{SYMBOL}", f"orderbook.1.{OTHER}"]
    for name, topics in (("ws_auth_and_control_7", three), ("ws_auth_and_control_6", three[:1])):
        stream = public if name.endswith("7") else left
        await stream.say(as_recorded(name, args=topics))
        while "op" not in (answer := await stream.hear()):
            _sort(answer, heard)
        heard.taken[name] = answer
    await left.say(as_recorded("ws_auth_and_control_8", args=three[:1]))
    while "op" not in (answer := await left.hear()):
        _sort(answer, heard)
    heard.taken["ws_auth_and_control_8"] = answer
    await left.say({"op": "ping"})
    heard.note("ws_auth_and_control_3", await left.hear())


async def _trade_stream(signed: Signed, heard: Heard) -> None:
    async with signed.client.stream("/v5/trade") as stream:
        await stream.say(as_recorded("ws_trade_entry_0", args=_credentials(signed)))
        heard.taken["ws_trade_entry_0"] = await stream.hear()
        heard.note("ws_trade_entry_1", heard.taken["ws_trade_entry_0"])
        for name, answer in (("ws_trade_entry_2", "ws_trade_entry_3"), ("ws_trade_entry_4", "ws_trade_entry_5")):
            await stream.say(_order_as_recorded(name, signed.now))
            heard.taken[name] = await stream.hear()
            heard.note(answer, heard.taken[name])
        await stream.say(as_recorded("ws_trade_entry_6"))
        heard.taken["ws_trade_entry_6"] = await stream.hear()
        heard.note("ws_trade_entry_7", heard.taken["ws_trade_entry_6"])


def _order_as_recorded(name: str, now_ms: int) -> dict[str, Any]:
    """The recorded orders, as sales of this pair far above its price."""
    message = as_recorded(name)
    message["header"]["X-BAPI-TIMESTAMP"] = str(now_ms)
    (body,) = message["args"]
    for k, order in enumerate(body.get("request", [body])):
        order.update(symbol=SYMBOL, side="Sell", qty="0.01", price=f"{1040 + k}.00")
    return message


async def _collect(stream: Stream, heard: Heard) -> None:
    """Everything a stream has said since its hellos."""
    for message in await stream.hear_all():
        _sort(message, heard)


def _sort(message: dict[str, Any], heard: Heard) -> None:
    kind = message["topic"].partition(".")[0]
    names = {"order": "ws_order_1", "execution": "ws_execution_1", "position": "ws_position_1", "wallet": "ws_wallet_1"}
    names |= {"kline": "ws_kline_0", "publicTrade": "ws_trade_0", "orderbook": "ws_orderbook_0"}
    if kind == "tickers":
        heard.note("ws_tickers_0" if message["type"] == "snapshot" else "ws_tickers delta", message)
    else:
        heard.note(names[kind], message)
