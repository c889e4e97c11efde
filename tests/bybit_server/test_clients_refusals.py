"""Too many requests, wrong keys and wrong clocks, as ccxt and pybit report them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_SECRET
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import Allowance, limit_headers
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import SocketFault
from your_short_trade_margin_call.adapters.bybit_server.world import World

from .clients import (
    LINEAR_ONLY,
    Package,
    ServerThread,
    ccxt_exchange,
    ccxt_warnings,
    imported_first,
    point_pybit_at,
    pybit_session,
)
from .serving import with_server
from .trader import SYMBOL, Trader

ccxt = Package("ccxt.async_support")
pro = Package("ccxt.pro")
exceptions = Package("pybit.exceptions")
_load = imported_first(ccxt, pro, exceptions)
pytestmark = ccxt_warnings

PAIR = "TEST/USDT:USDT"
FEES = "/v5/account/fee-rate"
"""Five a second: the least of what clients ask for."""


def codes(world: World, path: str = FEES) -> list[int | None]:
    """Return codes of the requests for a path."""
    return [row.ret_code for row in world.requests.rows if row.path == path]


# ---- ccxt -------------------------------------------------------------------------------------------------


def with_ccxt(talk: Callable[[Any, World], Any], kind: Any = None) -> None:
    """One conversation of ccxt, its markets loaded. The seconds that requests are counted in stand still."""
    trader = Trader()
    trader.world.timeline.stopwatch_s = lambda: 0.0

    async def run(client: Any) -> None:
        url, clock = client.server.url, trader.world.timeline.shown_ms
        exchange = ccxt_exchange(kind or ccxt.bybit, url, clock, **LINEAR_ONLY)
        try:
            await exchange.load_markets()
            await talk(exchange, trader.world)
        finally:
            await exchange.close()

    with_server(trader.world, run)


def test_ccxt_is_told_how_many_requests_are_left() -> None:
    async def talk(exchange: Any, world: World) -> None:
        left = []
        for _ in range(3):
            await exchange.fetch_trading_fee(PAIR)
            headers = exchange.last_response_headers
            left.append((headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]))
            assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) == world.timeline.shown_ms()
        assert left == [("5", "4"), ("5", "3"), ("5", "2")]

    with_ccxt(talk)


def test_ccxt_calls_too_many_requests_by_their_name() -> None:
    async def talk(exchange: Any, world: World) -> None:
        for _ in range(5):
            await exchange.fetch_trading_fee(PAIR)
        with pytest.raises(ccxt.RateLimitExceeded, match=r"10006.*Too many visits"):
            await exchange.fetch_trading_fee(PAIR)
        headers = exchange.last_response_headers
        reset_ms = int(headers["X-Bapi-Limit-Reset-Timestamp"]) - world.timeline.shown_ms()
        assert (headers["X-Bapi-Limit-Status"], reset_ms) == ("0", 1_000)
        await exchange.fetch_balance()  # another kind of request has a limit of its own

    with_ccxt(talk)


def test_ccxt_calls_too_many_orders_by_stream_by_their_name() -> None:
    async def talk(exchange: Any, world: World) -> None:
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order_ws("nothing", PAIR)  # opens the stream
        asked = [exchange.cancel_order_ws("nothing", PAIR) for _ in range(10)]
        told = Counter(type(error).__name__ for error in await asyncio.gather(*asked, return_exceptions=True))
        assert told == {"OrderNotFound": 9, "RateLimitExceeded": 1}

    with_ccxt(talk, pro.bybit)


@pytest.mark.parametrize(
    ("ahead_ms", "expected"),
    [(999, None), (1_000, "InvalidNonce"), (-5_000, None), (-5_001, "InvalidNonce")],
)
def test_ccxt_names_a_wrong_clock(ahead_ms: int, expected: str | None) -> None:
    async def talk(exchange: Any, world: World) -> None:
        now_ms = world.timeline.shown_ms()
        exchange.milliseconds = lambda: now_ms + ahead_ms
        if expected is None:
            await exchange.fetch_balance()
            return
        text = rf"10002.*req_timestamp\[{now_ms + ahead_ms}\],server_timestamp\[{now_ms}\],recv_window\[5000\]"
        with pytest.raises(ccxt.InvalidNonce, match=text):
            await exchange.fetch_balance()

    with_ccxt(talk)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"secret": DEMO_SECRET[::-1]}, "AuthenticationError", r"10004.*error sign! origin_string\["),
        ({"apiKey": "nobody"}, "AuthenticationError", "10003.*API key is invalid"),
    ],
)
def test_ccxt_names_a_wrong_key(change: dict[str, str], error: str, text: str) -> None:
    async def talk(exchange: Any, world: World) -> None:
        for name, value in change.items():
            setattr(exchange, name, value)
        with pytest.raises(getattr(ccxt, error), match=text) as refused:
            await exchange.fetch_balance()
        assert DEMO_SECRET not in str(refused.value)

    with_ccxt(talk)


def test_ccxt_takes_a_forbidden_address_for_a_limit() -> None:
    async def talk(exchange: Any, world: World) -> None:
        world.faults.plan(SocketFault.FORBIDDEN)
        with pytest.raises(ccxt.RateLimitExceeded, match="403"):
            await exchange.fetch_time()

    with_ccxt(talk)


# ---- pybit ------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    with ServerThread(Trader().world) as running:
        point_pybit_at(monkeypatch, running)
        yield running


def test_pybit_sleeps_until_the_reset_and_asks_again(server: ServerThread, caplog: pytest.LogCaptureFixture) -> None:
    with pybit_session(server.url) as session:
        for _ in range(6):
            assert session.get_fee_rates(category="linear", symbol=SYMBOL)["retCode"] == 0
    assert codes(server.world) == [0] * 5 + [10006, 0]
    assert "Hit the API rate limit" in caplog.text


def test_the_reset_is_never_told_too_early() -> None:
    """A client that sleeps until then must not be refused for a part of a millisecond."""
    world = Trader().world
    headers = limit_headers(world, Allowance(is_allowed=False, limit=5, left=0, wait_s=0.2501))
    assert headers["X-Bapi-Limit-Reset-Timestamp"] == str(world.timeline.shown_ms() + 251)


def test_pybit_gives_up_a_clock_that_is_ahead(
    server: ServerThread, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wider window is no cure for it, although pybit tries."""
    ahead_ms = server.world.timeline.shown_ms() + 1_000
    monkeypatch.setattr("pybit._helpers.generate_timestamp", lambda: ahead_ms)
    with pybit_session(server.url, retry_delay=0.01) as session, pytest.raises(exceptions.FailedRequestError) as failed:
        session.get_fee_rates(category="linear", symbol=SYMBOL)
    assert (failed.value.status_code, failed.value.message) == (400, "Bad Request. Retries exceeded maximum.")
    assert codes(server.world) == [10002] * 3
    for window in (5_000, 7_500, 10_000):
        assert f"req_timestamp[{ahead_ms}],server_timestamp[{ahead_ms - 1_000}],recv_window[{window}]" in caplog.text


def test_pybit_widens_its_window_for_a_clock_that_is_behind(
    server: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_ms = server.world.timeline.shown_ms() - 6_000
    monkeypatch.setattr("pybit._helpers.generate_timestamp", lambda: behind_ms)
    with pybit_session(server.url, retry_delay=0.01) as session:
        session.get_fee_rates(category="linear", symbol=SYMBOL)
    assert codes(server.world) == [10002, 0]


@pytest.mark.parametrize(
    ("keys", "code", "text"),
    [
        ({"api_secret": DEMO_SECRET[::-1]}, 10004, "error sign! origin_string["),
        ({"api_key": "nobody"}, 10003, "API key is invalid"),
    ],
)
def test_pybit_raises_for_a_wrong_key(server: ServerThread, keys: dict[str, str], code: int, text: str) -> None:
    with pybit_session(server.url, **keys) as session, pytest.raises(exceptions.InvalidRequestError) as refused:
        session.place_order(category="linear", symbol=SYMBOL, side="Sell", orderType="Market", qty="1.00")
    assert (refused.value.status_code, text in refused.value.message) == (code, True)
    assert codes(server.world, "/v5/order/create") == [code]


def test_pybit_tells_of_a_forbidden_address(server: ServerThread) -> None:
    server.world.faults.plan(SocketFault.FORBIDDEN)
    with (
        pybit_session(server.url) as session,
        pytest.raises(exceptions.FailedRequestError, match="ip rate limit") as failed,
    ):
        session.get_server_time()
    assert failed.value.status_code == 403
