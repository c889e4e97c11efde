"""The take profit of a position: how it is asked for, shown, changed, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from your_short_trade_margin_call.domain.spans import CANDLE_MS

from .trader import SYMBOL, T0, Ohlc, Trader

PAIR = {"stopLoss": "1050.00", "takeProfit": "980.00", "tpslMode": "Full"}
FALLS: Ohlc = (1000.0, 1001.0, 979.0, 985.0)


def with_pair(*ohlc: Ohlc, **more: Any) -> Trader:
    """A short of one coin at 1000 with a stop at 1050 and a take profit at 980."""
    trader = Trader(*ohlc)
    assert trader.short(**{**PAIR, **more})[0] == 0
    return trader


def attached(trader: Trader, path: str = "order/history") -> dict[str, dict[str, Any]]:
    """Rows of the orders attached to positions, by their kind; the newest of each."""
    rows = trader.rows(path, symbol=SYMBOL, orderFilter="tpslOrder")
    return {row["stopOrderType"]: row for row in reversed(rows)}


def stops(trader: Trader, **body: Any) -> tuple[int, dict[str, Any]]:
    return trader.post("position/trading-stop", **{"tpslMode": "Full", "positionIdx": 0, **body})


# ---- with an entry ----------------------------------------------------------------------------------


def test_it_is_a_row_of_its_own_beside_the_stop() -> None:
    trader = with_pair(tpTriggerBy="MarkPrice")
    assert trader.words() == [
        *("order New", "execution Trade", "order Filled"),
        *("order Untriggered", "order Untriggered", "position 1.00", "wallet"),
    ]
    entry = trader.order("entry")
    assert (entry["takeProfit"], entry["tpTriggerBy"], entry["tpslMode"]) == ("980.00", "MarkPrice", "Full")
    assert (entry["stopLoss"], entry["slTriggerBy"]) == ("1050.00", "LastPrice")
    row = attached(trader, "order/realtime")["TakeProfit"]
    assert (row["createType"], row["orderStatus"], row["orderLinkId"]) == ("CreateByTakeProfit", "Untriggered", "")
    assert (row["triggerPrice"], row["triggerBy"], row["triggerDirection"]) == ("980.00", "MarkPrice", 2)
    assert (row["side"], row["qty"], row["orderType"]) == ("Buy", "1.00", "Market")
    assert (row["reduceOnly"], row["closeOnTrigger"], row["tpslMode"]) == (True, True, "Full")
    position = trader.position()
    assert (position["takeProfit"], position["stopLoss"]) == ("980.00", "1050.00")
    assert len(trader.rows("order/realtime", symbol=SYMBOL, orderFilter="StopOrder")) == 2


def test_it_triggers_at_the_price_and_the_stop_goes() -> None:
    trader = with_pair(FALLS)
    trader.told()
    trader.world.step(1)
    heard = trader.told("order", "execution")
    assert [(row["stopOrderType"], row.get("orderStatus", row.get("execType"))) for row in heard] == [
        ("TakeProfit", "Triggered"),
        ("TakeProfit", "Trade"),
        ("TakeProfit", "Filled"),
        ("StopLoss", "Cancelled"),
    ]
    fill = heard[1]
    assert (fill["execPrice"], fill["isMaker"], fill["createType"]) == ("980.00", False, "CreateByTakeProfit")
    assert (fill["closedSize"], fill["execTime"]) == ("1.00", str(T0 + CANDLE_MS - 1))
    assert attached(trader)["StopLoss"]["cancelType"] == "CancelByTpSlTsClear"
    position = trader.position()
    assert (position["size"], position["takeProfit"], position["stopLoss"]) == ("0", "0.00", "0.00")
    (closed,) = trader.rows("position/closed-pnl", symbol=SYMBOL)
    assert float(closed["closedPnl"]) == pytest.approx(20.0 - 0.55 - 0.539)


def test_when_the_stop_fires_the_take_profit_goes() -> None:
    trader = with_pair((1000.0, 1060.0, 999.0, 1010.0))
    trader.world.step(1)
    rows = attached(trader)
    assert {kind: row["orderStatus"] for kind, row in rows.items()} == {"StopLoss": "Filled", "TakeProfit": "Cancelled"}
    assert rows["TakeProfit"]["cancelType"] == "CancelByTpSlTsClear"


def test_both_go_with_their_position_and_follow_its_size() -> None:
    trader = with_pair()
    trader.close("0.40")
    trader.short("0.10", "more")
    trader.close("0.70", "rest")
    assert {row["cancelType"] for row in attached(trader).values()} == {"CancelByTpSlTsClear"}
    trader = with_pair(FALLS)
    trader.close("0.40")
    trader.world.step(1)
    assert trader.rows("execution/list", symbol=SYMBOL)[0]["execQty"] == "0.60"


def test_a_resting_entry_brings_it_when_it_fills() -> None:
    trader = Trader((1000.0, 1011.0, 999.0, 1005.0))
    body = {"orderType": "Limit", "price": "1010.00", "takeProfit": "990.00", "tpTriggerBy": "IndexPrice"}
    assert trader.short(**body)[0] == 0
    assert (trader.position()["takeProfit"], attached(trader)) == ("0.00", {})
    trader.world.step(1)
    assert attached(trader)["TakeProfit"]["triggerBy"] == "IndexPrice"
    assert trader.position()["takeProfit"] == "990.00"


# ---- trading-stop -----------------------------------------------------------------------------------


def test_it_is_set_moved_and_removed() -> None:
    trader = Trader()
    assert stops(trader, takeProfit="980.00") == (10001, {"text": "can not set tp/sl/ts for zero position"})
    trader.short()
    trader.told()
    assert stops(trader, takeProfit="980.00", tpTriggerBy="MarkPrice")[0] == 0
    assert trader.words() == ["order Untriggered", "position 1.00"]
    assert stops(trader, takeProfit="980.00") == (34040, {"text": "not modified"})
    first = attached(trader)["TakeProfit"]
    assert stops(trader, takeProfit="970.00")[0] == 0
    moved = attached(trader)["TakeProfit"]
    assert (moved["orderId"], moved["triggerPrice"], moved["triggerBy"]) == (first["orderId"], "970.00", "MarkPrice")
    assert stops(trader, takeProfit="970.00", tpTriggerBy="LastPrice")[0] == 0, "another price is a change"
    assert attached(trader)["TakeProfit"]["triggerBy"] == "LastPrice"
    assert stops(trader, takeProfit="0")[0] == 0
    assert trader.position()["takeProfit"] == "0.00"
    assert stops(trader, takeProfit="0")[0] == 34040


def test_both_are_set_at_once_or_neither() -> None:
    trader = Trader()
    trader.short()
    code, result = stops(trader, stopLoss="1040.00", takeProfit="1000.00")
    assert code == 10001
    assert result["text"] == "TakeProfit:1000.00 set for Sell position should be lower than base_price"
    assert (trader.position()["stopLoss"], attached(trader)) == ("0.00", {})
    assert stops(trader, stopLoss="1040.00", takeProfit="990.00")[0] == 0
    assert stops(trader, stopLoss="990.00", takeProfit="980.00")[1]["text"].startswith("StopLoss:990.00 set for Sell")
    position = trader.position()
    assert (position["stopLoss"], position["takeProfit"]) == ("1040.00", "990.00")
    assert stops(trader, stopLoss="0")[0] == 0
    position = trader.position()
    assert (position["stopLoss"], position["takeProfit"]) == ("0.00", "990.00")


# ---- as an order ------------------------------------------------------------------------------------


def test_it_is_amended_and_cancelled_as_an_order_and_the_stop_stays() -> None:
    trader = with_pair()
    row = attached(trader)["TakeProfit"]
    assert trader.post("order/amend", orderId=row["orderId"], triggerPrice="970.00")[0] == 0
    assert trader.position()["takeProfit"] == "970.00"
    assert trader.post("order/cancel", orderId=row["orderId"])[0] == 0
    position = trader.position()
    assert (position["stopLoss"], position["takeProfit"]) == ("1050.00", "0.00")


def test_a_resting_entry_changes_what_it_brings() -> None:
    trader = Trader((1000.0, 1011.0, 999.0, 1005.0))
    trader.short(orderType="Limit", price="1010.00", stopLoss="1060.00", slTriggerBy="MarkPrice")
    more = {"takeProfit": "990.00", "tpTriggerBy": "MarkPrice", "stopLoss": "1070.00"}
    assert trader.post("order/amend", orderLinkId="entry", **more)[0] == 0
    row = trader.order("entry")
    assert (row["takeProfit"], row["tpTriggerBy"], row["tpslMode"]) == ("990.00", "MarkPrice", "Full")
    assert (row["stopLoss"], row["slTriggerBy"]) == ("1070.00", "MarkPrice"), "as it was, unless it is named"
    code, result = trader.post("order/amend", orderLinkId="entry", takeProfit="1010.00")
    assert (code, result["text"]) == (10001, "TakeProfit set for Sell position should be lower than base_price")
    assert trader.post("order/amend", orderLinkId="entry", stopLoss="0")[0] == 0
    assert (trader.order("entry")["stopLoss"], trader.order("entry")["slTriggerBy"]) == ("", "")
    trader.world.step(1)
    position = trader.position()
    assert (position["stopLoss"], position["takeProfit"]) == ("0.00", "990.00")


def test_an_entry_that_waits_leaves_the_position_its_own() -> None:
    """What a resting entry names counts from its fill on."""
    trader = with_pair(tpTriggerBy="MarkPrice")
    trader.short("0.10", "more", orderType="Limit", price="1010.00", takeProfit="970.00", tpTriggerBy="IndexPrice")
    assert stops(trader, takeProfit="960.00")[0] == 0
    assert attached(trader)["TakeProfit"]["triggerBy"] == "MarkPrice"


# ---- of its own -------------------------------------------------------------------------------------


def test_a_conditional_exit_below_the_price() -> None:
    trader = Trader(FALLS)
    trader.short()
    body = {"triggerPrice": "980.00", "triggerDirection": 2, "triggerBy": "LastPrice"}
    assert trader.close("0.40", "profit", **body)[0] == 0
    row = trader.order("profit")
    assert (row["orderStatus"], row["stopOrderType"], row["triggerDirection"]) == ("Untriggered", "Stop", 2)
    code, result = trader.close("0.40", "above", **{**body, "triggerPrice": "1000.00"})
    assert (code, result["text"]) == (110093, "expect Falling, but trigger_price is not below the current price")
    assert trader.post("order/amend", orderLinkId="profit", triggerPrice="1000.00")[0] == 110093
    trader.world.step(1)
    row = trader.order("profit")
    assert (row["orderStatus"], row["avgPrice"], trader.position()["size"]) == ("Filled", "980", "0.60")
