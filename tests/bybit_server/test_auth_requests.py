"""Signatures, the window of time, what is wrong with a key, and how many requests are taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.auth import sign
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import A_SECOND, RollingCounts

from .serving import Client, with_server
from .signed import Signed
from .trader import SYMBOL, Trader

INFO = "/v5/account/info"


def talk(trader: Trader, conversation: Callable[[Client, Signed], Awaitable[None]]) -> None:
    async def run(client: Client) -> None:
        await conversation(client, Signed(client))

    with_server(trader.world, run)


def test_the_signature_is_the_published_one() -> None:
    """HMAC-SHA256 in lower-case hex, worked out elsewhere."""
    assert sign("key", "The quick brown fox jumps over the lazy dog") == (
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )


def test_one_client_sorts_and_spaces_another_does_not() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        one = Signed(client, more_headers={"X-BAPI-SIGN-TYPE": "2"})
        other = Signed(client, more_headers={"Referer": "CCXT"})
        for query in (f"category=linear&settleCoin=USDT&symbol={SYMBOL}", f"symbol={SYMBOL}&category=linear&limit=20"):
            assert (await one.send("GET", "/v5/order/realtime", query=query))["retCode"] == 0
        order = {"category": "linear", "symbol": SYMBOL, "side": "Sell", "orderType": "Market", "qty": "0.10"}
        spaced, compact = json.dumps(order), json.dumps(order, separators=(",", ":"))
        assert (await one.send("POST", "/v5/order/create", body=spaced))["retCode"] == 0
        assert (await other.send("POST", "/v5/order/create", body=compact))["retCode"] == 0
        assert (await other.send("GET", INFO))["retCode"] == 0, "without parameters nothing is signed"
        escaped = "category=linear&limit=1&cursor=page_token%3D900%26"
        assert (await one.send("GET", "/v5/execution/list", query=escaped))["retCode"] == 0

    talk(Trader(), conversation)


def test_what_was_signed_is_what_came() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        body = '{"category":"linear"}'
        answers = [
            await signed.send("GET", INFO, query="a=1&b=2", signed="b=2&a=1"),
            await signed.send("POST", "/v5/order/create", body=body, signed='{"category": "linear"}'),
            await Signed(client, secret="another").get(INFO),
        ]
        assert [answer["retCode"] for answer in answers] == [10004] * 3
        assert "error sign! origin_string[" in answers[0]["retMsg"]

    talk(Trader(), conversation)


@pytest.mark.parametrize(
    ("speed", "skew_ms", "window", "code"),
    [
        (0.0, 0, "5000", 0),
        (0.0, 999, "5000", 0),
        (0.0, 1_000, "5000", 10002),
        (0.0, -5_000, "5000", 0),
        (0.0, -5_001, "5000", 10002),
        (0.0, -900, "800", 10002),
        (600.0, 500_000, "5000", 0),
        (600.0, 700_000, "5000", 10002),
        (600.0, -2_900_000, "5000", 0),
        (600.0, -3_100_000, "5000", 10002),
    ],
)
def test_the_window_grows_with_the_speed(speed: float, skew_ms: int, window: str, code: int) -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        answer = await Signed(client, skew_ms=skew_ms, window=window).get(INFO)
        assert answer["retCode"] == code
        if code:
            assert "req_timestamp[" in answer["retMsg"]
            assert f"recv_window[{window}]" in answer["retMsg"]

    talk(Trader(speed=speed), conversation)


def test_without_headers_or_with_nonsense_in_them() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        assert await client.status(INFO) == 401
        assert await client.status("/v5/market/time") == 200
        assert (await Signed(client, window="soon").get(INFO))["retCode"] == 10001

    talk(Trader(), conversation)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        (AccountConfig(is_key_expired=True), 33004),
        (AccountConfig(is_key_invalid=True), 10003),
        (AccountConfig(is_address_refused=True), 10010),
    ],
)
def test_keys_that_are_refused(config: AccountConfig, code: int) -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        assert (await signed.get(INFO))["retCode"] == code

    talk(Trader(config=config), conversation)


def test_an_unknown_key() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        assert (await Signed(client, key="nobody").get(INFO))["retCode"] == 10003

    talk(Trader(), conversation)


@pytest.mark.parametrize("config", [AccountConfig(read_only=True), AccountConfig(permissions={"Wallet": ["Withdraw"]})])
def test_keys_that_may_only_look(config: AccountConfig) -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        assert (await signed.get(INFO))["retCode"] == 0
        assert (await signed.post("/v5/order/cancel-all", symbol=SYMBOL))["retCode"] == 10005

    talk(Trader(config=config), conversation)


def test_a_body_that_is_no_object() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        for body in ("[]", "{", "5"):
            assert (await signed.send("POST", "/v5/order/create", body=body))["retCode"] == 10001

    talk(Trader(), conversation)


def test_requests_of_a_kind_are_counted() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        answers = []
        for _ in range(A_SECOND["/v5/account/fee-rate"] + 2):
            answers.append(await signed.get("/v5/account/fee-rate", category="linear"))
        assert [answer["retCode"] for answer in answers] == [0] * 5 + [10006] * 2
        assert "Too many visits!" in answers[-1]["retMsg"]
        headers = signed.last_headers
        assert (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == ("5", "0")
        wait_ms = int(headers["X-Bapi-Limit-Reset-Timestamp"]) - signed.now
        assert 0 < wait_ms <= 1_000
        assert (await signed.get(INFO))["retCode"] == 0, "another kind has its own count"
        assert signed.last_headers["X-Bapi-Limit-Status"] == "49"
        await asyncio.sleep(wait_ms / 1_000)
        assert (await signed.get("/v5/account/fee-rate", category="linear"))["retCode"] == 0

    talk(Trader(), conversation)


def test_an_address_that_asks_too_much_is_shut_out() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        statuses = [await client.status("/v5/market/time") for _ in range(602)]
        assert statuses == [200] * 600 + [403] * 2

    talk(Trader(), conversation)


def test_a_window_rolls() -> None:
    counts = RollingCounts()
    assert [counts.take("a", 2, now).is_allowed for now in (0.0, 0.5, 0.9, 1.0, 1.4, 1.5)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    refused = counts.take("a", 2, 1.6)
    assert (refused.left, round(refused.wait_s, 9)) == (0, 0.4)
    assert counts.take("b", 2, 1.6).left == 1
