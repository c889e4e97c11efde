"""Two clients that nobody here wrote trade on the server: their signatures, shapes and habits are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET

from .serving import Client, with_server
from .trader import SYMBOL, Trader

pytestmark = pytest.mark.filterwarnings("default")
"""What other people's clients warn of is their own affair."""


def in_a_thread(trader: Trader, trade: Callable[[str], None]) -> None:
    """Serve the trader's world while a synchronous client trades at its address."""

    async def run(client: Client) -> None:
        await asyncio.to_thread(trade, client.server.url)

    with_server(trader.world, run)


def ccxt_client(url: str, now_ms: Callable[[], int]) -> Any:
    ccxt = pytest.importorskip("ccxt")
    client = ccxt.bybit(
        {
            "apiKey": DEMO_KEY,
            "secret": DEMO_SECRET,
            "enableRateLimit": False,
            "options": {"fetchMarkets": {"types": ["linear"]}, "defaultType": "swap"},
        }
    )
    for name, address in client.urls["api"].items():
        if isinstance(address, str):
            client.urls["api"][name] = url
    client.nonce = now_ms
    return client


def test_ccxt_trades() -> None:
    trader = Trader()

    def trade(url: str) -> None:
        client = ccxt_client(url, trader.world.timeline.shown_ms)
        client.load_markets()
        pair = "TEST/USDT:USDT"
        assert client.markets[pair]["id"] == SYMBOL
        client.set_leverage(5, pair)
        assert client.fetch_balance()["USDT"]["total"] == 1_000.0
        created = client.create_order(pair, "market", "sell", 1.0, params={"clientOrderId": "ccxt-entry"})
        found = client.fetch_order(created["id"], pair, {"acknowledged": True})
        assert (found["status"], found["filled"], found["average"]) == ("closed", 1.0, 1_000.0)
        (position,) = client.fetch_positions([pair])
        assert (position["side"], position["contracts"], position["leverage"]) == ("short", 1.0, 5.0)
        target = client.create_order(pair, "limit", "buy", 1.0, 900.0, {"reduceOnly": True})
        assert [order["id"] for order in client.fetch_open_orders(pair)] == [target["id"]]
        client.edit_order(target["id"], pair, "limit", "buy", 0.5, 910.0)
        client.cancel_order(target["id"], pair)
        client.create_order(pair, "market", "buy", 1.0, params={"reduceOnly": True})
        assert [row["side"] for row in client.fetch_my_trades(pair)] == ["sell", "buy"]
        assert client.fetch_trading_fee(pair)["taker"] == 0.00055
        with pytest.raises(Exception, match="110072"):
            client.create_order(pair, "market", "sell", 1.0, params={"clientOrderId": "ccxt-entry"})

    in_a_thread(trader, trade)


def test_pybit_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    trader = Trader()
    http = pytest.importorskip("pybit.unified_trading").HTTP
    monkeypatch.setattr("pybit._helpers.generate_timestamp", trader.world.timeline.shown_ms)

    def trade(url: str) -> None:
        client = http(api_key=DEMO_KEY, api_secret=DEMO_SECRET)
        client.endpoint = url
        linear: dict[str, Any] = {"category": "linear", "symbol": SYMBOL}
        client.set_leverage(**linear, buyLeverage="5", sellLeverage="5")
        created = client.place_order(**linear, side="Sell", orderType="Market", qty="1.00", stopLoss="1100.00")
        client.set_trading_stop(**linear, tpslMode="Full", positionIdx=0, stopLoss="1090.00")
        assert client.get_positions(**linear)["result"]["list"][0]["stopLoss"] == "1090.00"
        order_id = created["result"]["orderId"]
        (entry,) = client.get_open_orders(**linear, orderId=order_id)["result"]["list"]
        assert entry["orderStatus"] == "Filled"
        for k in range(3):
            client.place_order(
                **linear, side="Buy", orderType="Limit", qty="0.10", price=f"{900 + k}.00", reduceOnly=True
            )
        page = client.get_open_orders(**linear, limit=2)["result"]
        rest = client.get_open_orders(**linear, limit=2, cursor=page["nextPageCursor"])["result"]
        assert [len(page["list"]), len(rest["list"])] == [2, 2]
        assert len(client.cancel_all_orders(**linear)["result"]["list"]) == 4
        assert client.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"][0]["coin"] == "USDT"
        with pytest.raises(Exception, match="34040"):
            client.set_trading_stop(**linear, tpslMode="Full", positionIdx=0, stopLoss="0")
        client.client.close()

    in_a_thread(trader, trade)
