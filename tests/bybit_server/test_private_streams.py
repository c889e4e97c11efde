"""The private stream and order entry by stream, through real sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig

from .serving import Client, Stream, with_server
from .shapes import differences, needs_samples, sample
from .signed import Signed
from .trader import SYMBOL, Trader

ENTRY = {
    "category": "linear",
    "symbol": SYMBOL,
    "side": "Sell",
    "orderType": "Market",
    "qty": "0.10",
    "positionIdx": 0,
    "orderLinkId": "by-stream",
}

Talk = Callable[[Client, Signed, Stream], Awaitable[None]]


def talk(path: str, conversation: Talk, trader: Trader | None = None) -> None:
    async def run(client: Client) -> None:
        async with client.stream(path) as stream:
            await conversation(client, Signed(client), stream)

    with_server((trader or Trader()).world, run)


# ---- the private stream ---------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead_ms", "as_text"), [(10_000, True), (1_000, False), (1, False)])
def test_expiry_may_be_text_or_number(ahead_ms: int, as_text: bool) -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        answer = await signed.auth(stream, ahead_ms, as_text)
        assert (answer["success"], answer["ret_msg"], answer["op"]) == (True, "", "auth")
        (open_stream,) = client.server.streams.open("/v5/private")
        assert open_stream.account == signed.key

    talk("/v5/private", conversation)


def test_auth_that_fails() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        assert (await signed.auth(stream, 0))["success"] is False
        for other in (Signed(client, secret="wrong"), Signed(client, key="nobody")):
            assert (await other.auth(stream))["success"] is False
        await stream.say({"op": "auth", "args": ["only"]})
        assert (await stream.hear())["success"] is False
        await stream.say({"op": "subscribe", "args": ["order"]})
        assert await stream.hear() == {
            "success": False,
            "ret_msg": "Request not authorized",
            "op": "subscribe",
            "conn_id": client.server.streams.open()[0].conn_id,
        }

    talk("/v5/private", conversation)


def test_topics() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        await signed.auth(stream)
        for args, success in (
            (["order", "execution", "position", "wallet"], True),
            (["order.linear", "execution.linear", "wallet"], True),
            (["order", "execution.linear"], False),
            (["execution.fast", "order.spot", "greeks"], True),
            (["execution.fast", "order.linear"], False),
            (["order.weather"], False),
            ([], False),
        ):
            await stream.say({"op": "subscribe", "args": args, "req_id": 7, "callerMethodName": "watchOrders"})
            answer = await stream.hear()
            assert (answer["success"], answer["op"], answer["req_id"]) == (success, "subscribe", "7")
        await stream.say({"op": "unsubscribe", "args": ["order.linear", "execution.linear", "wallet"], "req_id": "8"})
        assert (await stream.hear())["success"] is True
        client.server.world.accounts[signed.key].foreign_position(SYMBOL)
        heard = await stream.hear_all()
        assert [message["topic"] for message in heard] == ["order", "execution.fast", "execution", "order", "position"]

    talk("/v5/private", conversation)


def test_pings() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        await stream.say({"op": "ping", "req_id": "100001"})
        answer = await stream.hear()
        assert (answer["op"], answer["req_id"], answer["args"]) == ("pong", "100001", [str(signed.now)])
        await stream.say({"op": "ping"})
        assert "req_id" not in await stream.hear()
        await stream.say({"op": "dance"})
        assert (await stream.hear())["ret_msg"] == "error:invalid op"
        await stream.socket.ping(b"hello")
        await stream.say({"op": "ping"})
        assert (await stream.socket.receive()).data == b"hello"
        assert (await stream.hear())["op"] == "pong"

    talk("/v5/private", conversation)


def test_a_write_by_request_is_heard_on_the_stream() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        await signed.auth(stream)
        await stream.subscribe("order", "execution", "position", "wallet")
        assert (await signed.post("/v5/order/create", **ENTRY))["retCode"] == 0
        heard = await stream.hear_all()
        assert [message["topic"] for message in heard] == ["order", "execution", "order", "position", "wallet"]
        assert all(isinstance(message["creationTime"], int) and message["id"] for message in heard)
        assert heard[2]["data"][0]["orderStatus"] == "Filled"
        link_ids = {row.link_id for row in client.server.world.requests.writes}
        assert link_ids == {"by-stream"}

    talk("/v5/private", conversation)


def test_accounts_hear_only_themselves() -> None:
    trader = Trader()
    other = Trader().account
    other.key = "other"
    trader.world.add_account(other)

    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        await Signed(client, key="other").auth(stream)
        await stream.subscribe("order")
        await signed.post("/v5/order/create", **ENTRY)
        assert await stream.hear_all() == []

    talk("/v5/private", conversation, trader)


# ---- order entry by stream --------------------------------------------------------------------------


async def ask(signed: Signed, stream: Stream, operation: str, *args: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One request and its answer."""
    header = {"X-BAPI-TIMESTAMP": str(signed.now), "X-BAPI-RECV-WINDOW": "8000"}
    await stream.say({"reqId": "r", "header": header, "op": operation, "args": list(args), **more})
    return await stream.hear()


@needs_samples
def test_shapes_of_order_entry() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        assert differences(await signed.auth(stream), sample("ws_trade_entry_1")) == []
        await stream.say({"op": "ping"})
        assert differences(await stream.hear(), sample("ws_trade_entry_7")) == []
        answer = await ask(signed, stream, "order.create", ENTRY)
        assert differences(answer, sample("ws_trade_entry_3")) == []
        batch = {"category": "linear", "request": [{**ENTRY, "orderLinkId": "b1"}]}
        answer = await ask(signed, stream, "order.create-batch", batch, reqId="batch")
        assert answer["retExtInfo"] == {"list": [{"code": 0, "msg": "OK"}]}
        del answer["reqId"]
        recorded = sample("ws_trade_entry_5")
        recorded["data"]["list"][0]["createAt"] = ""
        assert differences(answer, recorded) == []

    talk("/v5/trade", conversation)


def test_an_order_lives_by_stream() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        assert (await signed.auth(stream, as_text=True))["retCode"] == 0
        limit = {**ENTRY, "orderType": "Limit", "price": "1050.00"}
        created = await ask(signed, stream, "order.create", limit)
        assert (created["retCode"], created["op"], created["reqId"]) == (0, "order.create", "r")
        by_id = {"category": "linear", "symbol": SYMBOL, "orderLinkId": "by-stream"}
        for number, (operation, body, code) in enumerate(
            [
                ("order.amend", {**by_id, "price": "1060.00"}, 0),
                ("order.cancel", by_id, 0),
                ("order.cancel", by_id, 110001),
                ("order.create", ENTRY, 110072),
                ("order.dance", by_id, 10404),
            ]
        ):
            answer = await ask(signed, stream, operation, body, reqId=f"r{number}")
            assert (answer["retCode"], answer["op"]) == (code, operation), answer
        log = client.server.world.requests.writes
        assert [(row.method, row.path, row.ret_code) for row in log[:2]] == [
            ("WS", "/v5/order/create", 0),
            ("WS", "/v5/order/amend", 0),
        ]

    talk("/v5/trade", conversation)


def test_requests_that_are_not_taken() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        assert (await ask(signed, stream, "order.create", ENTRY))["retMsg"] == "Request not authorized"
        assert (await Signed(client, secret="wrong").auth(stream))["retCode"] == 10004
        assert (await signed.auth(stream))["retCode"] == 0
        assert (await signed.auth(stream))["retCode"] == 20001
        late = {"X-BAPI-TIMESTAMP": signed.now - 10_000}
        for more, code in (
            ({"header": late}, 10002),
            ({"header": {}}, 10001),
            ({"header": {"X-BAPI-TIMESTAMP": signed.now}}, 0),
            ({"reqId": "x" * 37}, 10001),
            ({"args": []}, 10001),
        ):
            name = {"reqId": f"r{code}-{len(str(more))}", **more}
            assert (await ask(signed, stream, "order.create", ENTRY, **name))["retCode"] == code
        assert (await ask(signed, stream, "order.create", ENTRY, reqId="twice"))["retCode"] == 110072
        answer = await ask(signed, stream, "order.create", ENTRY, reqId="twice")
        assert (answer["retCode"], answer["reqId"]) == (20006, "twice")

    talk("/v5/trade", conversation)


def test_limits_are_shared_with_requests() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        await signed.auth(stream)
        codes = []
        for number in range(6):
            codes.append((await signed.post("/v5/order/create", **{**ENTRY, "orderLinkId": f"a{number}"}))["retCode"])
        for number in range(6):
            order = {**ENTRY, "orderLinkId": f"b{number}"}
            answer = await ask(signed, stream, "order.create", order, reqId=str(number))
            codes.append(answer["retCode"])
        assert codes == [0] * 10 + [10006] * 2
        assert answer["header"]["X-Bapi-Limit-Status"] == "0"

    talk("/v5/trade", conversation)


def test_keys_that_end_while_a_stream_is_open() -> None:
    trader = Trader()

    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        await signed.auth(stream)
        trader.account.config.read_only = True
        assert (await ask(signed, stream, "order.create", ENTRY))["retCode"] == 10005
        trader.account.config.is_key_expired = True
        assert (await ask(signed, stream, "order.create", ENTRY, reqId="2"))["retCode"] == 33004

    talk("/v5/trade", conversation, trader)


def test_a_demo_account_has_no_order_entry_by_stream() -> None:
    async def conversation(client: Client, signed: Signed, stream: Stream) -> None:
        answer = await signed.auth(stream)
        assert answer["retCode"] == 10001
        assert "demo" in answer["retMsg"]
        assert (await ask(signed, stream, "order.create", ENTRY))["retCode"] != 0

    talk("/v5/trade", conversation, Trader(config=AccountConfig(demo=True)))
