"""ccxt's asynchronous client goes the whole way of a trade by REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.domain.spans import CANDLE_MS

from .clients import LINEAR_ONLY, Package, ccxt_exchange, ccxt_warnings, imported_first
from .serving import Client, with_server
from .trader import CALM, OTHER, SYMBOL, T0, Trader

ccxt = Package("ccxt.async_support")
_load = imported_first(ccxt)
pytestmark = ccxt_warnings

PAIR, OTHER_PAIR = "TEST/USDT:USDT", "OTHER/USDT:USDT"
NEVER_SET = AccountConfig(margin_mode="REGULAR_MARGIN", position_mode=3)
"""An account as a newcomer has it: cross margin, hedge mode."""

Talk = Callable[[Any, Client], Awaitable[None]]


def with_ccxt(trader: Trader, talk: Talk, *, own_clock: bool = False, all_markets: bool = False) -> None:
    """One conversation of ccxt with a server of the trader's world."""
    options = {} if all_markets else LINEAR_ONLY

    async def run(client: Client) -> None:
        clock = None if own_clock else trader.world.timeline.shown_ms
        exchange = ccxt_exchange(ccxt.bybit, client.server.url, clock, **options)
        try:
            await talk(exchange, client)
        finally:
            await exchange.close()

    with_server(trader.world, run)


def test_markets_are_found_with_the_usual_options_too() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        markets = await exchange.load_markets()
        assert set(markets) == {PAIR, OTHER_PAIR}
        market = markets[PAIR]
        assert (market["id"], market["type"], market["linear"], market["active"]) == (SYMBOL, "swap", True, True)
        assert market["precision"] == pytest.approx({"amount": 0.01, "price": 0.1}, nan_ok=True)
        assert market["limits"]["leverage"]["max"] == 100.0
        assert market["limits"]["amount"] == {"min": 0.01, "max": 5000.0}
        seen = [f"{row.path}?{row.query}" for row in client.server.world.requests.rows]
        assert seen[0].startswith("/v5/asset/coin/query-info")
        categories = {query.partition("category=")[2].partition("&")[0] for query in seen[1:]}
        assert categories == {"spot", "linear", "inverse", "option"}
        assert any("status=PreLaunch" in query for query in seen)

    trader = Trader(symbols=(SYMBOL, OTHER))
    with_ccxt(trader, talk, all_markets=True)


def test_the_market_is_read() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        client.server.world.step(2)
        assert await exchange.fetch_time() == T0 + 2 * CANDLE_MS
        candles = await exchange.fetch_ohlcv(PAIR, "3m", since=T0, limit=3)
        assert candles[:2] == [[T0, 1000, 1001, 999, 1000.5, 100], [T0 + CANDLE_MS, 1000.5, 1003, 1000, 1002, 100]]
        assert candles[2] == [T0 + 2 * CANDLE_MS, 1002, 1002, 1002, 1002, 0]  # runs, and is told all the same
        assert (await exchange.fetch_mark_ohlcv(PAIR, "3m", since=T0, limit=1))[0][:5] == candles[0][:5]
        ticker = await exchange.fetch_ticker(PAIR)
        assert (ticker["last"], ticker["high"], ticker["bid"], ticker["ask"]) == (1002, 1003, 1001.9, 1002.1)
        interest = await exchange.fetch_open_interest(PAIR)
        assert interest["openInterestAmount"] == float(ticker["info"]["openInterest"])
        book = await exchange.fetch_order_book(PAIR, limit=1)
        assert (book["bids"], book["asks"]) == ([[1001.9, 5.0]], [[1002.1, 5.0]])
        settled = await exchange.fetch_funding_rate_history(PAIR)
        assert [(row["fundingRate"], row["timestamp"]) for row in settled] == [(0.0001, T0 + CANDLE_MS)]
        coming = await exchange.fetch_funding_rate(PAIR)
        assert (coming["fundingRate"], coming["fundingTimestamp"]) == (-0.0002, T0 + 3 * CANDLE_MS)
        assert [trade["price"] for trade in await exchange.fetch_trades(PAIR)][-1] == 1002
        tiers = await exchange.fetch_market_leverage_tiers(PAIR)
        assert [(row["maxLeverage"], row["maintenanceMarginRate"]) for row in tiers] == [(100, 0.005), (5, 0.01)]

    rows = [(1000.0, 1001.0, 999.0, 1000.5), (1000.5, 1003.0, 1000.0, 1002.0), (1002.0, 1002.0, 1001.0, 1001.0)]
    trader = Trader(*rows, (1001.0,) * 4, funding=[(1, 0.0001), (3, -0.0002)])
    with_ccxt(trader, talk)


def test_modes_and_leverage_are_set_once_and_then_unchanged() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.set_margin_mode("isolated", PAIR)
        await exchange.set_position_mode(False, PAIR)
        await exchange.set_leverage(7, PAIR)
        account = next(iter(client.server.world.accounts.values()))
        assert (account.config.margin_mode, account.config.position_mode) == ("ISOLATED_MARGIN", 0)
        assert (await exchange.fetch_leverage(PAIR))["shortLeverage"] == 7
        await exchange.set_margin_mode("isolated", PAIR)  # to ask for it again is no error
        with pytest.raises(ccxt.NoChange, match="110025"):
            await exchange.set_position_mode(False, PAIR)
        await exchange.set_position_mode(False)  # of all pairs
        with pytest.raises(ccxt.BadRequest, match="110043"):  # its name for "as it was"
            await exchange.set_leverage(7, PAIR)
        with pytest.raises(ccxt.ExchangeError, match="110013"):
            await exchange.set_leverage(101, PAIR)

    with_ccxt(Trader(config=NEVER_SET), talk)


def test_the_leverage_of_an_open_position_is_changed() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.set_leverage(5, PAIR)
        await exchange.create_order(PAIR, "market", "sell", 1.0)
        await exchange.set_leverage(10, PAIR)
        position = await exchange.fetch_position(PAIR)
        assert (position["leverage"], position["liquidationPrice"]) == (10.0, 1094.5)
        assert position["initialMargin"] == pytest.approx(100 + 0.55 * 1.1)
        with pytest.raises(ccxt.InsufficientFunds, match="110012"):
            await exchange.set_leverage(1, PAIR)

    with_ccxt(Trader(), talk)


def test_a_short_is_opened_guarded_and_closed() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.set_leverage(5, PAIR)
        stop = {"stopLoss": {"triggerPrice": 1100.0}, "slTriggerBy": "MarkPrice", "clientOrderId": "entry"}
        entry = await exchange.create_order(PAIR, "market", "sell", 1.0, None, stop)
        assert entry["clientOrderId"] == "entry"
        (position,) = await exchange.fetch_positions([PAIR])
        assert (position["side"], position["contracts"], position["entryPrice"]) == ("short", 1.0, 1000.0)
        assert (position["leverage"], position["stopLossPrice"], position["liquidationPrice"]) == (5.0, 1100.0, 1194.0)
        assert [row["symbol"] for row in await exchange.fetch_positions()] == [PAIR]  # by settle coin
        found = await exchange.fetch_order(entry["id"], PAIR, {"acknowledged": True})
        assert (found["status"], found["filled"], found["average"], found["stopLossPrice"]) == (
            *("closed", 1.0, 1000.0),
            1100.0,
        )
        assert found["fee"] == {"cost": 0.55, "currency": "USDT"}
        (guard,) = await exchange.fetch_open_orders(PAIR, params={"trigger": True})
        assert (guard["triggerPrice"], guard["reduceOnly"], guard["side"]) == (1100.0, True, "buy")

        target = await exchange.create_order(PAIR, "limit", "buy", 1.0, 950.0, {"reduceOnly": True})
        edited = await exchange.edit_order(target["id"], PAIR, "limit", "buy", 0.5, 940.0)
        assert edited["id"] == target["id"]
        (resting,) = await exchange.fetch_open_orders(PAIR, params={"orderFilter": "Order"})
        assert (resting["amount"], resting["price"], resting["reduceOnly"], resting["status"]) == (
            *(0.5, 940.0),
            *(True, "open"),
        )
        await exchange.cancel_order(target["id"], PAIR)
        with pytest.raises(ccxt.OrderNotFound, match="110001"):
            await exchange.cancel_order(target["id"], PAIR)
        assert [row["id"] for row in await exchange.fetch_canceled_orders(PAIR)] == [target["id"]]

        await exchange.create_order(PAIR, "market", "buy", 1.0, None, {"reduceOnly": True})
        flat = await exchange.fetch_position(PAIR)
        assert not flat["contracts"]
        assert await exchange.fetch_positions() == []

    with_ccxt(Trader(), talk)


def test_a_short_brings_its_take_profit_and_its_stop() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        ask = exchange.create_order_with_take_profit_and_stop_loss
        await ask(PAIR, "market", "sell", 1.0, None, 980.0, 1050.0, {"clientOrderId": "entry"})
        (position,) = await exchange.fetch_positions([PAIR])
        assert (position["takeProfitPrice"], position["stopLossPrice"]) == (980.0, 1050.0)
        both = await exchange.fetch_open_orders(PAIR, params={"trigger": True})
        assert {(row["triggerPrice"], row["side"], row["reduceOnly"], row["amount"]) for row in both} == {
            *((980.0, "buy", True, 1.0), (1050.0, "buy", True, 1.0)),
        }
        assert {row["takeProfitPrice"] for row in both} == {980.0, None}
        for wrong in ({"triggerPrice": 1000.0}, {"triggerPrice": 980.0, "price": 979.0}):
            with pytest.raises(ccxt.BadRequest, match="10001"):
                await exchange.create_order(PAIR, "market", "sell", 0.1, None, {"takeProfit": wrong})
        client.server.world.step()
        assert await exchange.fetch_positions() == []
        assert await exchange.fetch_open_orders(PAIR, params={"trigger": True}) == []
        trades = await exchange.fetch_my_trades(PAIR)
        assert [(row["side"], row["price"]) for row in trades] == [("sell", 1000.0), ("buy", 980.0)]

    with_ccxt(Trader((1000.0, 1001.0, 979.0, 985.0)), talk)


def test_take_profits_are_set_changed_and_placed_alone() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        resting = await exchange.create_order(PAIR, "limit", "sell", 0.1, 1010.0, {"takeProfit": {"triggerPrice": 990}})
        await exchange.edit_order(resting["id"], PAIR, "limit", "sell", 0.1, 1010.0, {"takeProfit": "985"})
        (row,) = await exchange.fetch_open_orders(PAIR)
        assert row["takeProfitPrice"] == 985.0
        await exchange.cancel_order(resting["id"], PAIR)

        await exchange.create_order(PAIR, "market", "sell", 1.0)
        both = {"takeProfitPrice": 980.0, "stopLossPrice": 1050.0, "positionIdx": 0}
        await exchange.create_order(PAIR, "market", "buy", None, None, both)  # the position's: trading-stop
        (position,) = await exchange.fetch_positions([PAIR])
        assert (position["takeProfitPrice"], position["stopLossPrice"]) == (980.0, 1050.0)
        alone = await exchange.create_order(PAIR, "market", "buy", 0.4, None, {"takeProfitPrice": 990.0})
        found = await exchange.fetch_order(alone["id"], PAIR, {"acknowledged": True})
        assert (found["triggerPrice"], found["amount"], found["reduceOnly"]) == (990.0, 0.4, True)
        client.server.world.step()
        trades = await exchange.fetch_my_trades(PAIR)
        assert [(row["price"], row["amount"]) for row in trades[1:]] == [(990.0, 0.4), (980.0, 0.6)]

    with_ccxt(Trader((1000.0, 1001.0, 979.0, 985.0)), talk)


def test_what_was_traded_is_found_again() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.create_order(PAIR, "market", "sell", 1.0, None, {"clientOrderId": "entry"})
        client.server.world.step()
        await exchange.create_order(PAIR, "market", "buy", 1.0, None, {"reduceOnly": True, "clientOrderId": "close"})
        trades = await exchange.fetch_my_trades(PAIR)
        assert [(row["side"], row["price"], row["takerOrMaker"]) for row in trades] == [
            ("sell", 1000.0, "taker"),
            ("buy", 990.0, "taker"),
        ]
        assert [row["fee"]["cost"] for row in trades] == [0.55, 0.5445]
        closed = await exchange.fetch_closed_orders(PAIR)
        assert [(row["clientOrderId"], row["average"], row["status"]) for row in closed] == [
            ("entry", 1000.0, "closed"),
            ("close", 990.0, "closed"),
        ]
        ((past),) = await exchange.fetch_positions_history([PAIR])
        earned = 10.0 - 0.55 - 0.5445
        assert past["info"]["closedPnl"] == f"{earned:g}"
        assert (past["entryPrice"], past["info"]["side"]) == (1000.0, "Buy")  # the side is the closing one
        paid = await exchange.fetch_funding_history(PAIR)
        assert [row["amount"] for row in paid] == [-0.099]  # ccxt keeps the exchange's sign of a fee
        balance = await exchange.fetch_balance()
        assert balance["USDT"]["total"] == pytest.approx(1000.0 + earned + 0.099, abs=1e-9)
        assert balance["USDT"]["used"] == 0.0
        ledger = await exchange.fetch_ledger("USDT")
        assert sorted(row["info"]["type"] for row in ledger) == ["SETTLEMENT", "TRADE", "TRADE"]
        assert (await exchange.fetch_trading_fee(PAIR))["maker"] == 0.0002

    trader = Trader((1000.0, 1001.0, 989.0, 990.0), (990.0,) * 4, (990.0,) * 4, funding=[(1, 0.0001)])
    with_ccxt(trader, talk)


def test_several_orders_at_once() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        one = {"symbol": PAIR, "type": "limit", "side": "sell", "amount": 0.1, "price": 1010.0}
        wanted = [one | {"params": {"clientOrderId": link}} for link in ("a", "b", "a")]
        created = await exchange.create_orders(wanted)
        assert [row["clientOrderId"] for row in created] == ["a", "b", "a"]
        assert [row["status"] for row in created] == [None, None, "rejected"]
        ids = [row["id"] for row in created[:2]]
        await exchange.edit_orders([one | {"id": order_id, "price": 1020.0, "params": {}} for order_id in ids])
        assert [row["price"] for row in await exchange.fetch_open_orders(PAIR)] == [1020.0, 1020.0]
        gone = await exchange.cancel_orders(ids, PAIR)
        assert [row["id"] for row in gone] == ids
        assert await exchange.fetch_open_orders(PAIR) == []

    with_ccxt(Trader(), talk)


def test_everything_is_cancelled() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.create_order(PAIR, "market", "sell", 1.0)
        for price in (900.0, 910.0):
            await exchange.create_order(PAIR, "limit", "buy", 0.3, price, {"reduceOnly": True})
        await exchange.create_order(OTHER_PAIR, "limit", "sell", 0.1, 1040.0)
        assert len(await exchange.cancel_all_orders(PAIR)) == 2
        assert [row["symbol"] for row in await exchange.fetch_open_orders()] == [OTHER_PAIR]
        assert len(await exchange.cancel_all_orders()) == 1  # by settle coin
        assert await exchange.fetch_open_orders() == []

    with_ccxt(Trader(symbols=(SYMBOL, OTHER)), talk)


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (("market", "sell", 1.0, None, {"clientOrderId": "twice"}), "InvalidOrder"),
        (("market", "buy", 1.0, None, {"reduceOnly": True}), "InvalidOrder"),
        (("market", "sell", 20.0), "InsufficientFunds"),
        (("market", "buy", 1.0), "BadRequest"),  # only shorts
        (("market", "sell", 499.0), "ExchangeError"),  # 110086: the risk tier; ccxt has no name for it
        (("limit", "sell", 0.01, 1e9), "BadRequest"),  # off the instrument's range
    ],
)
def test_refusals_have_the_names_ccxt_gives_them(order: tuple[Any, ...], error: str) -> None:
    async def talk(exchange: Any, client: Client) -> None:
        first = await exchange.create_order(PAIR, "limit", "sell", 0.01, 1040.0, {"clientOrderId": "twice"})
        await exchange.cancel_order(first["id"], PAIR)
        with pytest.raises(getattr(ccxt, error)) as refused:
            await exchange.create_order(PAIR, *order)
        assert type(refused.value).__name__ == error

    with_ccxt(Trader(), talk)


def test_a_client_that_follows_the_servers_clock_needs_no_help() -> None:
    """At real speed, with ccxt's own clock: it measures the difference itself.

    Its option to do so comes too late for a clock this far off: its very first request is signed already.
    """

    async def talk(exchange: Any, client: Client) -> None:
        await exchange.load_time_difference()
        assert exchange.options["timeDifference"] > 86_400_000
        assert (await exchange.fetch_balance())["USDT"]["total"] == CALM.starting_balance

    with_ccxt(Trader(speed=1.0), talk, own_clock=True)
