"""The client's core and the look-alike server, written apart from each other, understand each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.bybit_server.serving import HISTORY, T0, Client, served, small_world
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit import wire
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.adapters.system_clock import SystemClock, stopwatch_s
from your_short_trade_margin_call.domain.errors import KeyRefusedError, OrderRefusedError
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.domain.words import Account

PAIR = {"category": "linear", "symbol": "BTCUSDT"}
QUICK = Timing().faster(5)
READS: list[tuple[str, dict[str, Any], Any]] = [
    ("/v5/market/time", {}, wire.ServerTime),
    ("/v5/market/kline", {**PAIR, "interval": "3", "limit": 5}, wire.CandleList),
    ("/v5/market/mark-price-kline", {**PAIR, "interval": "3", "limit": 5}, wire.CandleList),
    ("/v5/market/instruments-info", PAIR, wire.InstrumentList),
    ("/v5/market/risk-limit", PAIR, wire.RiskLimitList),
    ("/v5/market/funding/history", PAIR, wire.FundingList),
    ("/v5/market/tickers", PAIR, wire.TickerList),
    ("/v5/market/orderbook", {**PAIR, "limit": 1}, wire.Book),
    ("/v5/order/realtime", PAIR, wire.OrderList),
    ("/v5/order/history", PAIR, wire.OrderList),
    ("/v5/execution/list", PAIR, wire.ExecutionList),
    ("/v5/position/list", PAIR, wire.PositionList),
    ("/v5/account/wallet-balance", {"accountType": "UNIFIED", "coin": "USDT"}, wire.WalletList),
    ("/v5/account/info", {}, wire.AccountInfo),
    ("/v5/account/fee-rate", PAIR, wire.FeeRateList),
    ("/v5/user/query-api", {}, wire.ApiKeyInfo),
]


@asynccontextmanager
async def meeting(keys: Keys | None = None, **options: Any) -> AsyncIterator[tuple[Client, Rest]]:
    async with served(small_world(**options)) as client:
        clock = ServerClock(SystemClock().now_ms, stopwatch_s)
        endpoint = endpoint_for(Account.DEMO, client.server.url)
        async with Rest.open(endpoint, QUICK, clock, keys or Keys(DEMO_KEY, DEMO_SECRET)) as rest:
            await rest.sync_clock()
            yield client, rest


def meet(talk: Callable[[Client, Rest], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), meeting(**options) as (client, rest):
            await talk(client, rest)

    asyncio.run(run())


def order(link_id: str, **more: Any) -> dict[str, Any]:
    body = {**PAIR, "side": "Sell", "orderType": "Market", "qty": "0.001", "positionIdx": 0, "orderLinkId": link_id}
    return {**body, **more}


@pytest.mark.parametrize(("path", "params", "kind"), READS)
def test_every_read_is_signed_right_and_understood(path: str, params: dict[str, Any], kind: Any) -> None:
    async def talk(client: Client, rest: Rest) -> None:
        signed = not path.startswith("/v5/market")
        assert type(await rest.get(path, params, kind, signed=signed)) is kind

    meet(talk)


def test_a_short_and_its_end() -> None:
    async def talk(client: Client, rest: Rest) -> None:
        ack = await rest.post("/v5/order/create", order("entry-1"), wire.OrderAck, is_exit=False)
        assert ack.order_id
        assert ack.order_link_id == "entry-1"
        [row] = (await rest.get("/v5/position/list", PAIR, wire.PositionList, signed=True)).rows
        assert (row.side, row.size) == ("Sell", "0.001")
        [filled] = (await rest.get("/v5/execution/list", PAIR, wire.ExecutionList, signed=True)).rows
        assert (filled.exec_type, filled.order_link_id, filled.exec_qty) == ("Trade", "entry-1", "0.001")
        with pytest.raises(OrderRefusedError) as caught:
            await rest.post("/v5/order/create", order("entry-1"), wire.OrderAck, is_exit=False)
        assert (caught.value.code, caught.value.ret_code) == ("duplicate_link_id", 110072)
        close = order("close-1", side="Buy", reduceOnly=True)
        await rest.post("/v5/order/create", close, wire.OrderAck, is_exit=True)
        with pytest.raises(OrderRefusedError) as caught:
            await rest.post("/v5/order/create", {**close, "orderLinkId": "close-2"}, wire.OrderAck, is_exit=True)
        assert caught.value.code in ("reduce_only", "no_position")
        gone = {**PAIR, "orderLinkId": "close-1"}
        assert await rest.post("/v5/order/cancel", gone, wire.OrderAck, is_exit=True) == wire.OrderAck()

    meet(talk)


def test_the_same_leverage_twice_is_no_error() -> None:
    async def talk(client: Client, rest: Rest) -> None:
        body = {**PAIR, "buyLeverage": "3", "sellLeverage": "3"}
        for _ in range(2):
            await rest.post("/v5/position/set-leverage", body, wire.Empty, is_exit=False)

    meet(talk)


def test_a_wrong_secret_is_a_refused_key_that_does_not_show() -> None:
    async def talk(client: Client, rest: Rest) -> None:
        with pytest.raises(KeyRefusedError) as caught:
            await rest.get("/v5/account/info", {}, wire.AccountInfo, signed=True)
        assert DEMO_KEY not in str(caught.value)

    meet(talk, keys=Keys(DEMO_KEY, "not-the-secret"))


def test_stepped_time_is_the_servers() -> None:
    async def talk(client: Client, rest: Rest) -> None:
        assert rest.clock.speed == 0
        assert rest.clock.now_ms() == T0 + HISTORY * CANDLE_MS
        assert await client.admin("POST", "/step", candles=1)
        await rest.get("/v5/market/time", {}, wire.ServerTime)
        assert rest.clock.now_ms() == T0 + (HISTORY + 1) * CANDLE_MS

    meet(talk)


def test_fast_time_is_followed() -> None:
    async def talk(client: Client, rest: Rest) -> None:
        assert rest.clock.speed == 60
        for _ in range(3):
            await rest.clock.sleep_until_ms(rest.clock.now_ms() + 6_000)
            shown = await rest.get("/v5/market/time", {}, wire.ServerTime)
            assert abs(rest.clock.now_ms() - int(shown.time_second) * 1_000) < 10_000
            assert (await rest.get("/v5/account/info", {}, wire.AccountInfo, signed=True)).margin_mode
        assert not rest.clock.is_skewed(500)

    meet(talk, speed=60.0)


def test_the_server_never_has_to_say_too_many() -> None:
    """As many requests as fit, from several sides at once: none is refused, and exits get through."""

    async def talk(client: Client, rest: Rest) -> None:
        async def burst(side: str, count: int, is_exit: bool) -> int:
            answered = 0
            for number in range(count):
                body = {**PAIR, "orderLinkId": f"{side}-{number}"}
                await rest.post("/v5/order/cancel", body, wire.OrderAck, is_exit=is_exit, patience_s=30.0)
                answered += 1
            return answered

        assert await asyncio.gather(burst("a", 12, False), burst("b", 12, True)) == [12, 12]
        codes = [entry["ret_code"] for entry in (await client.admin("GET", "/log"))["requests"]]
        assert 10006 not in codes
        assert len(codes) >= 24

    meet(talk)
