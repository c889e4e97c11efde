"""ccxt.pro watches the market and an account, and trades by stream, while the market is stepped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.account import TOPICS
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.adapters.bybit_server.bus import Bus
from your_short_trade_margin_call.domain.spans import CANDLE_MS

from .clients import LINEAR_ONLY, Package, ccxt_exchange, ccxt_warnings, imported_first
from .serving import Client, with_server
from .trader import OTHER, SYMBOL, T0, Trader

ccxt = Package("ccxt")
pro = Package("ccxt.pro")
_load = imported_first(ccxt, pro)
pytestmark = ccxt_warnings

SYMBOLS = (SYMBOL, OTHER)
PAIR, OTHER_PAIR = "TEST/USDT:USDT", "OTHER/USDT:USDT"
ROWS = [
    (1000.0, 1001.0, 999.0, 1000.5),
    (1000.5, 1002.0, 978.0, 985.0),
    (985.0, 990.0, 970.0, 980.0),
    (980.0, 1200.0, 980.0, 1150.0),
    *[(1150.0,) * 4] * 2,
]

Talk = Callable[[Any, Client], Awaitable[None]]


def with_pro(trader: Trader, talk: Talk) -> None:
    """One conversation of ccxt.pro with a server of the trader's world."""

    async def run(client: Client) -> None:
        exchange = ccxt_exchange(pro.bybit, client.server.url, trader.world.timeline.shown_ms, **LINEAR_ONLY)
        try:
            await talk(exchange, client)
        finally:
            await exchange.close()

    with_server(trader.world, run)


@asynccontextmanager
async def watching(*watches: Callable[[], Awaitable[Any]]) -> AsyncIterator[None]:
    """While the block runs, call watch methods again and again, as a program does.

    What is told while ccxt hands out an answer it does not hand out again, so tests look at what it keeps.
    """

    async def keep_on(watch: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await watch()

    async def everything() -> None:
        async with asyncio.TaskGroup() as group:
            for watch in watches:
                group.create_task(keep_on(watch))

    task = asyncio.create_task(everything())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to become true; fails when it does not."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - a cache of ccxt tells nobody that it has changed
            await asyncio.sleep(0.01)


async def subscribed(bus: Bus, *topics: str) -> None:
    """Wait until somebody listens to all these topics."""
    await until(lambda: all(map(bus.wants, topics)))


# ---- the market -------------------------------------------------------------------------------------------


def test_the_market_is_watched_while_it_moves() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        first = await exchange.watch_ohlcv(PAIR, "3m")
        assert first == [[T0, 1000.0, 1000.0, 1000.0, 1000.0, 0.0]]  # the running one is told at once
        assert (await exchange.watch_ticker(PAIR))["last"] == 1000.0
        assert (await exchange.watch_order_book(PAIR, 1))["bids"] == [[999.9, 5.0]]
        async with watching(
            lambda: exchange.watch_ohlcv(PAIR, "3m"),
            lambda: exchange.watch_ticker(PAIR),
            lambda: exchange.watch_trades(PAIR),
            lambda: exchange.watch_order_book(PAIR, 1),
        ):
            await subscribed(client.server.world.public, f"publicTrade.{SYMBOL}")
            await client.server.stepper().candles(3)
            await until(lambda: exchange.orderbooks[PAIR]["timestamp"] == T0 + 3 * CANDLE_MS)
        candles = exchange.ohlcvs[PAIR]["3m"]
        assert [row[0] for row in candles] == [T0 + k * CANDLE_MS for k in range(4)]
        assert [tuple(row[1:5]) for row in candles][:3] == ROWS[:3]
        assert candles[3][1:] == [980.0, 980.0, 980.0, 980.0, 0.0]
        ticker = exchange.tickers[PAIR]  # put together from deltas
        assert (ticker["last"], ticker["bid"], ticker["ask"], ticker["high"]) == (980.0, 979.9, 980.1, 1002.0)
        book = exchange.orderbooks[PAIR]
        assert (book["bids"], book["asks"]) == ([[979.9, 5.0]], [[980.1, 5.0]])
        assert [trade["price"] for trade in exchange.trades[PAIR]] == [1000.5, 985.0, 980.0]

    with_pro(Trader(*ROWS), talk)


def test_candles_of_several_pairs_are_watched_together() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        bus = client.server.world.public
        both = [[PAIR, "3m"], [OTHER_PAIR, "3m"]]
        async with watching(
            lambda: exchange.watch_ohlcv_for_symbols(both),
            lambda: exchange.watch_order_book_for_symbols([PAIR, OTHER_PAIR], 1),
        ):
            await subscribed(bus, *(f"{kind}.{symbol}" for kind in ("kline.3", "orderbook.1") for symbol in SYMBOLS))
            await client.server.stepper().candles(2)
            for pair in (PAIR, OTHER_PAIR):
                await until(lambda pair=pair: exchange.orderbooks[pair]["timestamp"] == T0 + 2 * CANDLE_MS)
                assert [row[4] for row in exchange.ohlcvs[pair]["3m"]] == [1000.5, 985.0, 985.0]

    with_pro(Trader(*ROWS, symbols=SYMBOLS), talk)


def test_a_topic_can_be_left_again() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.watch_ohlcv(PAIR, "3m")
        await exchange.watch_ticker(PAIR)
        assert client.server.world.public.wants(f"kline.3.{SYMBOL}")
        await exchange.un_watch_ohlcv(PAIR, "3m")
        assert not client.server.world.public.wants(f"kline.3.{SYMBOL}")
        assert client.server.world.public.wants(f"tickers.{SYMBOL}")

    with_pro(Trader(), talk)


def test_a_cut_stream_is_an_error_and_comes_back_when_watched_again() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.watch_ohlcv(PAIR, "3m")
        waiting = asyncio.create_task(exchange.watch_ohlcv(PAIR, "3m"))
        await asyncio.sleep(0.05)
        client.server.streams.drop()
        with pytest.raises(ccxt.NetworkError):
            await waiting
        assert (await exchange.watch_ohlcv(PAIR, "3m"))[-1][0] == T0
        await client.server.stepper().candles()
        assert [row[4] for row in exchange.ohlcvs[PAIR]["3m"]] == [1000.5, 1000.5]

    with_pro(Trader(*ROWS), talk)


# ---- an account -------------------------------------------------------------------------------------------


def test_orders_by_stream_are_watched_until_they_fill() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        def order(order_id: str) -> tuple[Any, ...]:
            """Status, price, amount and what is filled, as watched."""
            found = {row["id"]: row for row in exchange.orders or []}.get(order_id, {})
            return tuple(found.get(name) for name in ("status", "price", "amount", "filled"))

        def position() -> tuple[Any, ...]:
            row = (exchange.positions or [{}])[-1]  # once it is flat ccxt keeps a row for each side
            return tuple(row.get(name) for name in ("side", "contracts", "entryPrice"))

        def total() -> object:
            return exchange.balance.get("unified", {}).get("USDT", {}).get("total")

        async with watching(
            lambda: exchange.watch_orders(PAIR),
            lambda: exchange.watch_my_trades(PAIR),
            lambda: exchange.watch_positions([PAIR]),
            exchange.watch_balance,
        ):
            await subscribed(client.server.world.accounts[DEMO_KEY].bus, *TOPICS)
            await until(lambda: exchange.positions is not None)

            # A short with a stop: filled at once.
            more = {"stopLoss": "1080.0", "slTriggerBy": "MarkPrice", "clientOrderId": "entry"}
            entry = await exchange.create_order_ws(PAIR, "market", "sell", 1.0, None, more)
            assert entry["clientOrderId"] == "entry"
            await until(lambda: total() == 999.45)
            assert order(entry["id"]) == ("closed", 950.0, 1.0, 1.0)  # its price is the bound it was sent with
            assert position() == ("short", 1.0, 1000.0)
            assert exchange.myTrades[0]["fee"] == {"cost": 0.55, "currency": "USDT", "rate": 0.00055}

            # A target: placed, changed, reached by the second candle.
            target = await exchange.create_order_ws(PAIR, "limit", "buy", 1.0, 950.0, {"reduceOnly": True})
            await exchange.edit_order_ws(target["id"], PAIR, "limit", "buy", 0.4, 979.0)
            other = await exchange.create_order_ws(PAIR, "limit", "buy", 0.1, 950.0, {"reduceOnly": True})
            await exchange.cancel_order_ws(other["id"], PAIR)
            await until(lambda: order(other["id"]) == ("canceled", 950.0, 0.1, 0.0))
            assert order(target["id"]) == ("open", 979.0, 0.4, 0.0)
            await client.server.stepper().candles(2)
            await until(lambda: position()[1] == 0.6)
            assert order(target["id"]) == ("closed", 979.0, 0.4, 0.4)
            assert exchange.myTrades[-1]["takerOrMaker"] == "maker"

            # The fourth candle reaches the stop.
            await client.server.stepper().candles(2)
            await until(lambda: not position()[1])
            fills = [(row["side"], row["amount"]) for row in exchange.myTrades]
            assert fills == [("sell", 1.0), ("buy", 0.4), ("buy", 0.6)]
            stop = next(row for row in exchange.orders if row["triggerPrice"] == 1080.0)
            assert (stop["id"], stop["status"], stop["filled"]) == (exchange.myTrades[-1]["order"], "closed", 0.6)
            await until(lambda: total() == wallet(client))

    with_pro(Trader(*ROWS), talk)


def wallet(client: Client) -> float:
    """The demo account's wallet, in USDT as told."""
    (row,) = client.server.world.accounts[DEMO_KEY].wallet()["coin"]
    return float(row["walletBalance"])


def test_refusals_by_stream_have_the_names_ccxt_gives_them() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        with pytest.raises(ccxt.OrderNotFound, match="110001"):
            await exchange.cancel_order_ws("nothing", PAIR)
        await exchange.create_order_ws(PAIR, "market", "sell", 0.1, None, {"clientOrderId": "twice"})
        with pytest.raises(ccxt.InvalidOrder, match="110072"):
            await exchange.create_order_ws(PAIR, "market", "sell", 0.1, None, {"clientOrderId": "twice"})
        with pytest.raises(ccxt.InsufficientFunds, match="110007"):
            await exchange.create_order_ws(PAIR, "market", "sell", 20.0)

    with_pro(Trader(), talk)


def test_a_wrong_secret_opens_no_stream() -> None:
    async def talk(exchange: Any, client: Client) -> None:
        await exchange.load_markets()
        exchange.secret = DEMO_SECRET[::-1]
        with pytest.raises(ccxt.AuthenticationError, match="10004"):
            await exchange.create_order_ws(PAIR, "market", "sell", 0.1)
        exchange.options.update(enableUnifiedMargin=False, enableUnifiedAccount=True, unifiedMarginStatus=5)
        with pytest.raises(ccxt.ExchangeError, match="Invalid sign"):  # a text alone: it does not know the kind
            await exchange.watch_orders(PAIR)

    with_pro(Trader(), talk)
