"""Which orders are taken, with which codes others are refused, and what becomes of those that are taken."""

from __future__ import annotations

from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.domain.spans import CANDLE_MS

from .trader import CALM, FLAT, OTHER, SYMBOL, T0, Trader

MARKET_SHORT = {"side": "Sell", "orderType": "Market", "qty": "1.00", "orderLinkId": "one"}
LIMIT_SHORT = {**MARKET_SHORT, "orderType": "Limit", "price": "1010.00"}
EXIT = {"side": "Buy", "orderType": "Market", "qty": "1.00", "reduceOnly": True, "orderLinkId": "one"}
STOP = {**EXIT, "triggerPrice": "1050.00", "triggerDirection": 1, "triggerBy": "MarkPrice"}

REFUSED_WHILE_FLAT: list[tuple[str, dict[str, Any], int, str]] = [
    ("another category", {**MARKET_SHORT, "category": "inverse"}, 10001, "category"),
    ("no such pair", {**MARKET_SHORT, "symbol": "NOBODYUSDT"}, 10001, "Not supported symbols"),
    ("hedge index", {**MARKET_SHORT, "positionIdx": 2}, 10001, "position idx not match position mode"),
    ("no side", {**MARKET_SHORT, "side": "sell"}, 10001, "side invalid"),
    ("a long", {**MARKET_SHORT, "side": "Buy"}, 10001, "Only short positions"),
    ("a number for a quantity", {**MARKET_SHORT, "qty": 1}, 10001, "qty must be a string"),
    ("a quantity off the grid", {**MARKET_SHORT, "qty": "1.001"}, 10001, "Qty invalid"),
    ("no quantity", {**MARKET_SHORT, "qty": "0"}, 10001, "minimum limit"),
    ("too large", {**MARKET_SHORT, "qty": "500.01"}, 10001, "maximum limit"),
    ("below the smallest value", {**LIMIT_SHORT, "qty": "0.00"}, 10001, "minimum limit"),
    ("more than there is", {**MARKET_SHORT, "qty": "20.00"}, 110007, "ab not enough for new order"),
    ("no price", {**MARKET_SHORT, "orderType": "Limit"}, 10001, "price is missing"),
    ("a price off the grid", {**LIMIT_SHORT, "price": "1010.05"}, 10001, "tickSize"),
    ("a price beyond the range", {**LIMIT_SHORT, "price": "99999999.00"}, 10001, "out of range"),
    ("a long link id", {**MARKET_SHORT, "orderLinkId": "x" * 37}, 10001, "orderLinkId"),
    ("a link id with a space", {**MARKET_SHORT, "orderLinkId": "a b"}, 10001, "orderLinkId"),
    ("a take-profit above the entry", {**MARKET_SHORT, "takeProfit": "1000.00"}, 10001, "should be lower than"),
    ("a take-profit above a limit", {**LIMIT_SHORT, "takeProfit": "1010.00"}, 10001, "should be lower than"),
    ("a part for a take-profit", {**MARKET_SHORT, "takeProfit": "900.00", "tpslMode": "Partial"}, 10001, "Full only"),
    ("a limit at a take-profit", {**MARKET_SHORT, "takeProfit": "900.00", "tpOrderType": "Limit"}, 10001, "Full only"),
    ("a take-profit off the grid", {**MARKET_SHORT, "takeProfit": "900.01"}, 10001, "takeProfit invalid"),
    ("a stop below the entry", {**MARKET_SHORT, "stopLoss": "999.00"}, 110093, "should greater"),
    ("an exit", EXIT, 110017, "position is zero"),
    ("an exit of everything", {**EXIT, "qty": "0", "closeOnTrigger": True}, 110017, "position is zero"),
    ("a reduce-only sell", {**MARKET_SHORT, "reduceOnly": True}, 110017, "position is zero"),
    ("a stop within an exit", {**EXIT, "stopLoss": "1100.00"}, 10001, "reduce-only"),
    ("a take-profit within an exit", {**EXIT, "takeProfit": "900.00"}, 10001, "reduce-only"),
    ("a stop without a position", STOP, 110017, "position is zero"),
    ("a stop without a direction", {**STOP, "triggerDirection": 3}, 10001, "triggerDirection invalid"),
    ("a limit behind a trigger", {**STOP, "orderType": "Limit", "price": "1050.00"}, 10001, "conditional orders"),
    ("a flag that is none", {**MARKET_SHORT, "reduceOnly": "perhaps"}, 10001, "true or false"),
]


@pytest.mark.parametrize(
    ("name", "body", "code", "text"), REFUSED_WHILE_FLAT, ids=[row[0] for row in REFUSED_WHILE_FLAT]
)
def test_refused_while_flat(name: str, body: dict[str, Any], code: int, text: str) -> None:
    trader = Trader()
    got, result = trader.post("order/create", **body)
    assert got == code
    assert text in result["text"]
    assert trader.told() == []
    assert trader.rows("order/history", symbol=SYMBOL) == []
    assert trader.short(link_id="one")[0] == 0, "a refused order uses up no link id"


def test_below_the_smallest_value_in_usdt() -> None:
    trader = Trader(*[(100.0, 100.0, 100.0, 100.0)] * 4, settings=CALM)
    code, result = trader.short("0.01")
    assert (code, result["text"]) == (110094, "Order does not meet minimum order value")


def test_above_the_risk_limit_and_above_its_leverage() -> None:
    trader = Trader(settings=CALM.replace(starting_balance=1e7))
    assert trader.short("150.00")[0] == 110086, "the tier of 150,000 USDT allows 5x"
    trader.lever("5")
    assert trader.short("150.00")[0] == 0
    for k in range(2):
        assert trader.short("400.00", f"more-{k}")[0] == 0
    assert trader.short("400.00", "too-much")[0] == 110090


def test_an_id_is_used_once_for_ever() -> None:
    trader = Trader()
    assert trader.short()[0] == 0
    trader.close()
    code, result = trader.short()
    assert (code, result["text"]) == (110072, "OrderLinkedID is duplicate")
    assert trader.close(link_id="entry")[0] == 110072


def test_orders_without_an_id_of_ours() -> None:
    trader = Trader()
    (_, first), (_, second) = trader.short("0.10", ""), trader.short("0.10", "")
    assert first["orderLinkId"] == second["orderLinkId"] == ""
    assert first["orderId"] != second["orderId"]
    assert {row["orderLinkId"] for row in trader.rows("order/history", symbol=SYMBOL)} == {""}


def test_the_usual_life_of_a_short() -> None:
    trader = Trader()
    trader.short(stopLoss="1100.00", slTriggerBy="MarkPrice", tpslMode="Full")
    assert trader.words() == [
        "order New",
        "execution Trade",
        "order Filled",
        "order Untriggered",
        "position 1.00",
        "wallet",
    ]
    trader.target("980.00")
    assert trader.words() == ["order New", "position 1.00"]
    trader.close()
    assert trader.words() == [
        "order New",
        "execution Trade",
        "order Filled",
        "order Cancelled",
        "order Cancelled",
        "position 0",
        "wallet",
    ]
    assert trader.order("target")["cancelType"] == "CancelByReduceOnly"


def test_the_attached_stop_is_a_row() -> None:
    trader = Trader()
    trader.short(stopLoss="1100.00", slTriggerBy="MarkPrice")
    (stop,) = trader.rows("order/realtime", symbol=SYMBOL)
    assert stop["stopOrderType"] == "StopLoss"
    assert stop["createType"] == "CreateByStopLoss"
    assert (stop["orderStatus"], stop["orderLinkId"], stop["triggerPrice"]) == ("Untriggered", "", "1100.00")
    assert (stop["reduceOnly"], stop["closeOnTrigger"], stop["triggerDirection"]) == (True, True, 1)
    assert (stop["side"], stop["qty"], stop["triggerBy"]) == ("Buy", "1.00", "MarkPrice")
    assert trader.rows("order/realtime", symbol=SYMBOL, orderFilter="StopOrder") == [stop]
    assert trader.rows("order/realtime", symbol=SYMBOL, orderFilter="Order") == []
    trader.close()
    (gone,) = trader.rows("order/history", symbol=SYMBOL, orderFilter="tpslOrder")
    assert (gone["orderStatus"], gone["cancelType"]) == ("Cancelled", "CancelByTpSlTsClear")


def test_the_attached_stop_triggers() -> None:
    trader = Trader((1000.0, 1060.0, 999.0, 1010.0))
    trader.short(stopLoss="1050.00", slTriggerBy="MarkPrice")
    trader.told()
    trader.world.step(1)
    heard = trader.told("order", "execution")
    assert [row.get("orderStatus", row.get("execType")) for row in heard] == ["Triggered", "Trade", "Filled"]
    execution = heard[1]
    assert (execution["stopOrderType"], execution["createType"]) == ("StopLoss", "CreateByStopLoss")
    assert (execution["execPrice"], execution["execTime"]) == ("1050.00", str(T0 + CANDLE_MS - 1))
    assert trader.position()["size"] == "0"


def test_a_stop_of_its_own_triggers_or_is_deactivated() -> None:
    trader = Trader((1000.0, 1060.0, 999.0, 1010.0))
    trader.short()
    assert trader.post("order/create", **{**STOP, "orderLinkId": "s1"})[0] == 0
    assert trader.post("order/create", **{**STOP, "orderLinkId": "s2", "triggerPrice": "1055.00"})[0] == 0
    row = trader.order("s1")
    assert (row["orderStatus"], row["stopOrderType"], row["orderType"]) == ("Untriggered", "Stop", "Market")
    trader.told()
    trader.world.step(1)
    assert trader.words()[:4] == ["order Triggered", "execution Trade", "order Filled", "order Deactivated"]
    code, result = trader.post("order/create", **{**STOP, "orderLinkId": "s3"})
    assert (code, result["text"]) == (110017, "current position is zero, cannot fix reduce-only order qty")


def test_a_stop_below_the_price_is_refused() -> None:
    trader = Trader()
    trader.short()
    code, result = trader.post("order/create", **{**STOP, "triggerPrice": "990.00"})
    assert code == 110092
    assert "Rising" in result["text"]


def test_at_most_ten_stops() -> None:
    trader = Trader()
    trader.short()
    codes = [trader.post("order/create", **{**STOP, "orderLinkId": f"s{k}"})[0] for k in range(11)]
    assert codes == [0] * 10 + [110020]


def test_a_target_fills_as_maker_inside_the_candle() -> None:
    trader = Trader((1000.0, 1001.0, 970.0, 990.0))
    trader.short()
    trader.target("980.00")
    trader.told()
    trader.world.step(1)
    (fill,) = trader.told("execution")
    assert (fill["execPrice"], fill["isMaker"], fill["feeRate"], fill["closedSize"]) == (
        "980.00",
        True,
        "0.0002",
        "1.00",
    )
    assert trader.order("target")["avgPrice"] == "980"


def test_what_cannot_be_done_at_once_is_cancelled() -> None:
    trader = Trader()
    assert trader.post("order/create", **{**LIMIT_SHORT, "timeInForce": "IOC"})[0] == 0
    row = trader.order("one")
    assert (row["orderStatus"], row["rejectReason"], row["cumExecQty"]) == (
        "Cancelled",
        "EC_NoImmediateQtyToFill",
        "0.00",
    )
    trader.post("order/create", **{**LIMIT_SHORT, "price": "990.00", "timeInForce": "PostOnly", "orderLinkId": "two"})
    assert trader.order("two")["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    trader.post("order/create", **{**LIMIT_SHORT, "price": "990.00", "timeInForce": "FOK", "orderLinkId": "three"})
    assert trader.order("three")["orderStatus"] == "Filled"


def test_a_market_order_fills_inside_its_band_only() -> None:
    """It is an immediate-or-cancel limit at the mark less five percent; here the slippage is larger."""
    trader = Trader(settings=CALM.replace(slippage_bps=900.0))
    assert trader.short()[0] == 0
    row = trader.order("entry")
    assert (row["orderStatus"], row["rejectReason"], row["price"]) == ("Cancelled", "EC_NoImmediateQtyToFill", "950.00")
    assert trader.position()["size"] == "0"


def test_limit_prices_beyond_the_limit_are_moved_to_it() -> None:
    trader = Trader()
    trader.short("0.50")
    assert (
        trader.post("order/create", **{**LIMIT_SHORT, "price": "500.00", "qty": "0.50", "timeInForce": "IOC"})[0] == 0
    )
    assert trader.order("one")["price"] == "950.00"


def test_everything_is_closed_by_quantity_zero() -> None:
    trader = Trader()
    trader.short("1.23")
    assert trader.close("0")[0] == 10001, "only together with closeOnTrigger"
    assert trader.close("0", closeOnTrigger=True)[0] == 0
    assert trader.order("close")["cumExecQty"] == "1.23"
    assert trader.position()["size"] == "0"


def test_a_larger_exit_is_cut_to_the_position() -> None:
    trader = Trader()
    trader.short("1.00")
    trader.close("5.00")
    row = trader.order("close")
    assert (row["orderStatus"], row["qty"], row["cumExecQty"]) == ("Filled", "1.00", "1.00")


def test_a_pair_that_stops_trading() -> None:
    trader = Trader()
    trader.short()
    trader.pair.item["deliveryTime"] = str(T0 + 1)
    code, result = trader.short(link_id="more")
    assert (code, result["text"]) == (30228, "No new positions during delisting")
    assert trader.target("900.00")[0] == 0
    trader.pair.item["status"] = "Closed"
    assert trader.close()[0] == 110074


def test_after_the_last_candle_only_exits_are_taken() -> None:
    trader = Trader(FLAT, FLAT, FLAT)
    trader.short()
    trader.world.step(10)
    assert trader.short(link_id="late")[0] == 110023
    assert trader.close()[0] == 0


def test_hedge_mode_takes_nothing_of_index_0() -> None:
    trader = Trader(config=AccountConfig(position_mode=3))
    assert trader.short()[1]["text"] == "position idx not match position mode"
    assert [row["positionIdx"] for row in trader.rows("position/list", symbol=SYMBOL)] == [1, 2]


def test_a_draw_of_the_exchange_rejects() -> None:
    trader = Trader(settings=CALM.replace(order_reject_prob=1.0))
    assert trader.short()[0] == 110003


def test_two_pairs_share_link_ids_and_the_wallet() -> None:
    trader = Trader(symbols=(SYMBOL, OTHER))
    assert trader.short("9.00")[0] == 0
    assert trader.short("9.00", "other", symbol=OTHER)[0] == 110007
    assert trader.short("0.50", "entry", symbol=OTHER)[0] == 110072
    assert trader.short("0.50", "other", symbol=OTHER)[0] == 0
    sizes = {row["symbol"]: row["size"] for row in trader.rows("position/list", settleCoin="USDT")}
    assert sizes == {SYMBOL: "9.00", OTHER: "0.50"}
