"""Whatever a client says, it is answered: nothing it says is an error of the server, or ends a connection."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.number_text import decimal_of, whole_of
from your_short_trade_margin_call.adapters.bybit_server.request_fields import json_object

from .serving import Client, with_server
from .signed import Signed
from .trader import SYMBOL, Trader

NOT_WHOLE = ("²", "--5", "-", "1_0", "+5", "9" * 19, "9" * 5_000)
DEEP = "[" * 100_000
LONE = '{"op": "\\ud800", "req_id": "\\ud800"}'
LIMIT = {"side": "Sell", "orderType": "Limit", "qty": "0.10", "price": "1010.00"}


def talk(conversation: Callable[[Client, Signed], Awaitable[None]]) -> None:
    async def run(client: Client) -> None:
        await conversation(client, Signed(client))

    with_server(Trader().world, run)


@pytest.mark.parametrize("text", [*NOT_WHOLE, True, 5.0, None, []])
def test_what_is_no_whole_number(text: object) -> None:
    assert whole_of(text) is None


def test_whole_numbers() -> None:
    assert whole_of(10**5_000) is None, "too long to be written down"
    assert [whole_of(text) for text in ("0", "-7", 42, "9" * 18)] == [0, -7, 42, 10**18 - 1]


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", "9" * 5_000, "NaN", "-Infinity", "²", True])
def test_what_is_no_number_to_reckon_with(text: object) -> None:
    assert decimal_of(text) is None


@pytest.mark.parametrize("text", [DEEP, LONE, '{"a":' * 50_000, "NaN", "[]", "", b"\xff", '{"a": ' + "9" * 5_000 + "}"])
def test_what_is_no_object(text: str | bytes) -> None:
    assert json_object(text) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v5/order/history", "limit"),
        ("/v5/execution/list", "startTime"),
        ("/v5/account/transaction-log", "endTime"),
    ],
)
def test_numbers_of_queries(path: str, name: str) -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        for text in NOT_WHOLE:
            assert (await signed.get(path, category="linear", **{name: text}))["retCode"] == 10001

    talk(conversation)


def test_numbers_of_market_queries() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        query = {"category": "linear", "symbol": SYMBOL, "interval": "3"}
        for name in ("limit", "start"):
            for text in (*NOT_WHOLE, "-1"):
                code, _ = await client.refusal("/v5/market/kline", **query, **{name: text})
                assert code == 10001

    talk(conversation)


def test_numbers_of_writes() -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        for name, text in (("qty", "1e999999999"), ("price", "9" * 5_000), ("stopLoss", "1e999999999")):
            assert (await signed.post("/v5/order/create", symbol=SYMBOL, **{**LIMIT, name: text}))["retCode"] == 10001
        for index in NOT_WHOLE:
            answer = await signed.post("/v5/order/create", symbol=SYMBOL, **LIMIT, positionIdx=index)
            assert answer["retCode"] == 10001
        for body in (DEEP, LONE):
            assert (await signed.send("POST", "/v5/order/amend", body=body))["retCode"] == 10001
        assert (await Signed(client, window="9" * 400).get("/v5/account/info"))["retCode"] == 10001
        assert (await client.admin("GET", "/log"))["requests"], "and the log of it all can be read"

    talk(conversation)


@pytest.mark.parametrize("path", ["/v5/public/linear", "/v5/private", "/v5/trade"])
def test_streams_answer_nonsense_and_stay(path: str) -> None:
    async def conversation(client: Client, signed: Signed) -> None:
        said: list[Any] = [DEEP, LONE, "junk", "", *(_auth(expires) for expires in (*NOT_WHOLE, None, {}))]
        async with client.stream(path) as stream:
            for text in said:
                await stream.socket.send_str(text)
                heard = await stream.hear()
                assert heard.get("success") is False or heard["retCode"] != 0
            await stream.say({"op": "ping"})
            assert "pong" in json.dumps(await stream.hear())

    talk(conversation)


def _auth(expires: object) -> str:
    return json.dumps({"op": "auth", "args": ["key", expires, "signature"]})
