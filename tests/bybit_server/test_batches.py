"""Several orders in one request: each for itself, by REST and by stream alike."""

from __future__ import annotations

from typing import Any

from .serving import Client, with_server
from .signed import Document, Signed
from .trader import SYMBOL, Trader

CREATE, AMEND, CANCEL = (f"/v5/order/{kind}-batch" for kind in ("create", "amend", "cancel"))
RESTS = {"symbol": SYMBOL, "side": "Sell", "orderType": "Limit", "qty": "0.10", "price": "1010.00"}


def rows(answer: Document) -> list[dict[str, Any]]:
    """Rows of a batch's answer, each with its code."""
    assert answer["retCode"] == 0, answer
    pairs = zip(answer["result"]["list"], answer["retExtInfo"]["list"], strict=True)
    return [row | code for row, code in pairs]


def resting(count: int) -> list[dict[str, Any]]:
    """So many entries that rest."""
    return [{**RESTS, "orderLinkId": f"e{number}"} for number in range(count)]


def converse(talk: Any, trader: Trader | None = None) -> None:
    """A conversation of a signed client with a server of a small world."""
    trader = trader or Trader()

    async def run(client: Client) -> None:
        await talk(Signed(client), trader)

    with_server(trader.world, run)


def test_each_order_has_its_own_answer() -> None:
    async def talk(signed: Signed, trader: Trader) -> None:
        wrong = [{**RESTS, "orderLinkId": "e0"}, {**RESTS, "orderLinkId": "e9", "positionIdx": 1}, {"symbol": 5}]
        first, *others = rows(await signed.post(CREATE, request=[*resting(1), *wrong]))
        assert (first["code"], first["msg"], first["orderLinkId"], first["symbol"]) == (0, "OK", "e0", SYMBOL)
        assert first["category"] == "linear"
        assert first["createAt"] == str(signed.now)
        assert [row["code"] for row in others] == [110072, 10001, 10001]
        assert [(row["orderId"], row["createAt"]) for row in others] == [("", "")] * 3
        assert [row["orderLinkId"] for row in others] == ["e0", "e9", ""]
        assert others[1]["msg"] == "position idx not match position mode"

        asked = [{"symbol": SYMBOL, "orderId": first["orderId"], "price": "1020.00"}, {"symbol": SYMBOL}]
        changed, refused = rows(await signed.post(AMEND, request=asked))
        assert (changed["code"], changed["orderLinkId"], refused["code"]) == (0, "e0", 10001)
        assert "createAt" not in changed
        assert trader.order("e0")["price"] == "1020.00"

        asked = [{"symbol": SYMBOL, "orderLinkId": link} for link in ("e0", "nobody")]
        gone, unknown = rows(await signed.post(CANCEL, request=asked))
        assert (gone["code"], gone["orderId"]) == (0, first["orderId"])
        assert (unknown["code"], unknown["orderId"], unknown["orderLinkId"]) == (110001, "", "nobody")
        assert trader.order("e0")["orderStatus"] == "Cancelled"

    converse(talk)


def test_every_order_counts_and_what_is_too_much_fails() -> None:
    async def talk(signed: Signed, trader: Trader) -> None:
        assert [row["code"] for row in rows(await signed.post(CREATE, request=resting(3)))] == [0] * 3
        headers = signed.last_headers
        assert (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == ("10", "7")
        more = [{**row, "orderLinkId": f"{row['orderLinkId']}-more"} for row in resting(9)]
        assert [row["code"] for row in rows(await signed.post(CREATE, request=more))] == [0] * 7 + [10006] * 2
        assert (await signed.post(CREATE, request=resting(1)))["retCode"] == 10006
        assert (await signed.post("/v5/order/create", **RESTS))["retCode"] == 0, (
            "single orders have a limit of their own"
        )
        assert len(trader.rows("order/realtime", symbol=SYMBOL)) == 11

    converse(talk)


def test_what_is_no_batch_is_refused_as_a_whole() -> None:
    async def talk(signed: Signed, trader: Trader) -> None:
        for request in (None, [], {}, ["e0"], resting(21)):
            answer = await signed.post(CREATE, request=request)
            assert (answer["retCode"], answer["result"], answer["retExtInfo"]) == (10001, {}, {})
        assert (await signed.post(CREATE, category="spot", request=resting(1)))["retCode"] == 10001
        trader.account.config.read_only = True
        assert (await signed.post(CREATE, request=resting(1)))["retCode"] == 10005
        assert trader.rows("order/history", symbol=SYMBOL) == []

    converse(talk)


def test_faults_of_single_orders_strike_batches_too() -> None:
    async def talk(signed: Signed, trader: Trader) -> None:
        signed.client.server.faults.plan("internal", path="/v5/order/create", carried_out=True)
        assert (await signed.post(CREATE, request=resting(1)))["retCode"] == 10000
        assert trader.order("e0")["orderStatus"] == "New"
        (logged,) = trader.world.requests.writes
        assert (logged.path, logged.ret_code) == (CREATE, 10000)

    converse(talk)
