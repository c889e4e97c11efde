"""Orders that are amended, cancelled and looked up; pages and what a restart forgets."""

from __future__ import annotations

from typing import Any

import pytest

from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS, HOUR_MS

from .trader import CALM, FLAT, OTHER, SYMBOL, T0, Trader


def with_target(**settings: Any) -> Trader:
    trader = Trader(settings=CALM.replace(**settings))
    trader.short(stopLoss="1100.00", slTriggerBy="MarkPrice")
    trader.target("900.00")
    trader.told()
    return trader


# ---- amend ----------------------------------------------------------------------------------------


def test_price_and_quantity_change() -> None:
    trader = with_target()
    code, result = trader.post("order/amend", orderLinkId="target", price="950.00", qty="0.40")
    assert (code, result["orderLinkId"]) == (0, "target")
    (told,) = trader.told("order")
    assert (told["price"], told["qty"], told["orderStatus"]) == ("950.00", "0.40", "New")
    assert trader.order("target")["leavesQty"] == "0.40"


def test_the_attached_stop_can_be_amended_and_cancelled_as_an_order() -> None:
    trader = with_target()
    (stop,) = trader.rows("order/realtime", symbol=SYMBOL, orderFilter="StopOrder")
    assert trader.post("order/amend", orderId=stop["orderId"], triggerPrice="1090.00")[0] == 0
    assert trader.position()["stopLoss"] == "1090.00"
    assert trader.post("order/cancel", orderId=stop["orderId"])[0] == 0
    assert trader.position()["stopLoss"] == "0.00"


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"orderLinkId": "nobody", "qty": "0.10"}, 110001, "too late to replace"),
        ({"orderLinkId": "entry", "qty": "0.10"}, 110001, "too late to replace"),
        ({"qty": "0.10"}, 10001, "orderId or orderLinkId"),
        ({"orderLinkId": "target", "qty": "0.00"}, 110064, "filled"),
        ({"orderLinkId": "target", "qty": "0.105"}, 10001, "Qty invalid"),
        ({"orderLinkId": "target", "price": "900.01"}, 10001, "tickSize"),
        ({"orderLinkId": "target", "stopLoss": "1200.00"}, 10001, "reduce-only"),
        ({"orderLinkId": "target", "takeProfit": "900.00"}, 10001, "reduce-only"),
    ],
)
def test_refused_amendments(body: dict[str, Any], code: int, text: str) -> None:
    trader = with_target()
    before = trader.order("target")
    got, result = trader.post("order/amend", **body)
    assert got == code
    assert text in result["text"]
    assert trader.order("target") == before


# ---- cancel -----------------------------------------------------------------------------------------


def test_a_cancelled_order_says_who_did_it() -> None:
    trader = with_target()
    assert trader.post("order/cancel", orderLinkId="target")[0] == 0
    assert trader.words() == ["order Cancelled", "position 1.00"]
    row = trader.order("target")
    assert (row["cancelType"], row["leavesQty"], row["leavesValue"]) == ("CancelByUser", "0.00", "0")
    code, result = trader.post("order/cancel", orderLinkId="target")
    assert (code, result["text"]) == (110001, "order not exists or too late to cancel")


def test_the_order_id_wins_over_the_link_id() -> None:
    trader = with_target()
    _, other = trader.target("910.00", "0.10", "second")
    code, result = trader.post("order/cancel", orderId=other["orderId"], orderLinkId="target")
    assert (code, result["orderLinkId"]) == (0, "second")
    assert trader.order("target")["orderStatus"] == "New"


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({}, {"target", "second", ""}),
        ({"orderFilter": "Order"}, {"target", "second"}),
        ({"orderFilter": "StopOrder"}, {""}),
        ({"symbol": None, "settleCoin": "USDT"}, {"target", "second", ""}),
        ({"symbol": None, "baseCoin": "TEST"}, {"target", "second", ""}),
        ({"symbol": None, "baseCoin": "ELSE"}, set()),
        ({"symbol": OTHER}, set()),
    ],
)
def test_many_are_cancelled_at_once(body: dict[str, Any], gone: set[str]) -> None:
    trader = Trader(symbols=(SYMBOL, OTHER))
    trader.short(stopLoss="1100.00", slTriggerBy="MarkPrice")
    trader.target("900.00", "0.10")
    trader.target("910.00", "0.10", "second")
    code, result = trader.post("order/cancel-all", **body)
    assert (code, result["success"]) == (0, "1")
    assert {row["orderLinkId"] for row in result["list"]} == gone


def test_cancel_all_wants_to_know_what() -> None:
    assert Trader().post("order/cancel-all", symbol=None)[0] == 10001


# ---- looking up -------------------------------------------------------------------------------------


def test_open_orders_are_the_newest_first_and_closed_ones_are_found_by_id() -> None:
    trader = Trader()
    trader.short("0.10")
    for k in range(3):
        trader.target(f"{900 + k}.00", "0.01", f"t{k}")
    assert [row["orderLinkId"] for row in trader.rows("order/realtime", symbol=SYMBOL)] == ["t2", "t1", "t0"]
    (entry,) = trader.rows("order/realtime", symbol=SYMBOL, orderLinkId="entry")
    assert entry["orderStatus"] == "Filled"
    assert "entry" in [row["orderLinkId"] for row in trader.rows("order/realtime", symbol=SYMBOL, openOnly="1")]
    trader.world.restart()
    assert trader.rows("order/realtime", symbol=SYMBOL, orderLinkId="entry") == []
    assert trader.order("entry")["orderId"] == entry["orderId"]
    assert len(trader.rows("order/realtime", symbol=SYMBOL)) == 3


def test_only_the_last_500_closed_orders_are_recent() -> None:
    trader = Trader()
    for k in range(502):
        trader.post(
            "order/create",
            side="Sell",
            orderType="Limit",
            price="1100.00",
            qty="0.01",
            timeInForce="IOC",
            orderLinkId=f"n{k}",
        )
    assert trader.rows("order/realtime", symbol=SYMBOL, orderLinkId="n1") == []
    assert len(trader.rows("order/realtime", symbol=SYMBOL, orderLinkId="n2")) == 1
    assert trader.order("n0")["orderStatus"] == "Cancelled"


def test_history_forgets_what_never_filled() -> None:
    trader = Trader()
    trader.short()
    trader.target("900.00", link_id="open")
    trader.target("901.00", link_id="gone")
    trader.post("order/cancel", orderLinkId="gone")

    def remembered(days: int) -> set[str]:
        moment = T0 + days * DAY_MS
        trader.world.timeline.move_to(moment + 1)
        hour = {"startTime": str(T0 - HOUR_MS), "endTime": str(T0 + HOUR_MS)}
        return {row["orderLinkId"] for row in trader.rows("order/history", symbol=SYMBOL, **hour)}

    assert remembered(0) == {"entry", "open", "gone"}
    assert remembered(1) == {"entry", "open"}, "what ended without a fill is remembered for a day"
    assert remembered(7) == {"entry"}, "after seven days what has fills"


def test_queries_want_to_know_what() -> None:
    trader = Trader()
    assert trader.get("order/realtime")[0] == 10001
    assert trader.get("position/list")[0] == 10001
    assert trader.get("order/realtime", symbol="NOBODYUSDT")[0] == 10001
    assert trader.get("order/realtime", symbol=SYMBOL, limit="51")[0] == 10001
    assert trader.get("order/realtime", symbol=SYMBOL, cursor="rubbish")[0] == 10001
    assert trader.get("account/wallet-balance", accountType="SPOT")[1]["text"] == "accountType only support UNIFIED."
    assert trader.get("execution/list", symbol=SYMBOL, startTime="0", endTime=str(8 * 86_400_000))[0] == 10001


@pytest.mark.parametrize(
    ("path", "limit"), [("order/history", 7), ("execution/list", 3), ("account/transaction-log", 50)]
)
def test_pages_hold_every_row_once(path: str, limit: int) -> None:
    trader = Trader()
    for k in range(10):
        trader.short("0.10", f"e{k}")
        trader.close("0.10", f"x{k}")
    found, cursor = [], ""
    while True:
        _, page = trader.get(path, symbol=SYMBOL, limit=str(limit), **({"cursor": cursor} if cursor else {}))
        assert len(page["list"]) <= limit
        found += [row["orderLinkId"] for row in page["list"]]
        cursor = page["nextPageCursor"].replace("%3D", "=").replace("%26", "&")  # as a query decodes it
        trader.short("0.01", f"meanwhile-{len(found)}")  # what comes in between is on no later page
        if not cursor:
            break
    assert found == [f"{kind}{k}" for k in reversed(range(10)) for kind in "xe"]


def test_executions_are_found_by_time_kind_and_order() -> None:
    trader = Trader(FLAT, FLAT, FLAT, funding=[(1, 0.0001)])
    trader.short("1.00", "entry")
    trader.world.step(1)
    trader.close()
    kinds = [row["execType"] for row in trader.rows("execution/list", symbol=SYMBOL)]
    assert kinds == ["Trade", "Funding", "Trade"]
    assert [r["execType"] for r in trader.rows("execution/list", execType="Funding")] == ["Funding"]
    assert [r["orderLinkId"] for r in trader.rows("execution/list", orderLinkId="entry")] == ["entry"]
    order_id = trader.order("close")["orderId"]
    assert [r["orderLinkId"] for r in trader.rows("execution/list", orderId=order_id)] == ["close"]
    first = trader.rows("execution/list", startTime=str(T0), endTime=str(T0 + CANDLE_MS - 1))
    assert [row["orderLinkId"] for row in first] == ["entry"]
    assert trader.rows("execution/list", startTime=str(T0 - 2), endTime=str(T0 - 1)) == []
    assert trader.rows("execution/list", symbol=SYMBOL, execType="BustTrade") == []
