"""Answers and messages have the recorded shapes: the same keys, the same types."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig

from .shapes import differences, needs_samples, sample
from .trader import CALM, SYMBOL, Ear, Trader

pytestmark = needs_samples

NEWER = frozenset(
    {"createType", "parentOrderLinkId", "openFee", "closeFee"}
    | {"isLeverage", "marketUnit", "slippageTolerance", "slippageToleranceType"}
)
"""Fields that the exchange has added since the answers were recorded."""


@pytest.fixture
def trader() -> Trader:
    """One short opened, one closed, one resting target, some funding."""
    trader = Trader(settings=CALM, funding=[(1, 0.0001)])
    trader.lever("5")
    trader.short(stopLoss="1100.00", slTriggerBy="MarkPrice")
    trader.close()
    trader.short(link_id="entry-2", stopLoss="1100.00", slTriggerBy="MarkPrice")
    trader.target("900.00")
    trader.world.step(1)
    return trader


ROWS = [
    ("order/realtime", {"symbol": SYMBOL}, "order_realtime_0"),
    ("order/history", {"symbol": SYMBOL}, "order_history_0"),
    ("execution/list", {"symbol": SYMBOL}, "execution_list_0"),
    ("position/list", {"symbol": SYMBOL}, "position_list_0"),
    ("position/closed-pnl", {"symbol": SYMBOL}, "closed_pnl_0"),
    ("position/symbol-info", {"symbol": SYMBOL}, "symbol_info_0"),
    ("account/wallet-balance", {"accountType": "UNIFIED"}, "wallet_balance_0"),
    ("account/info", {}, "account_info_0"),
    ("account/fee-rate", {"symbol": SYMBOL}, "fee_rate_0"),
    ("account/transaction-log", {}, "transaction_log_0"),
    ("user/query-api", {}, "user_query_api_0"),
]


@pytest.mark.parametrize(("path", "query", "recorded"), ROWS, ids=[path for path, _, _ in ROWS])
def test_answers(trader: Trader, path: str, query: dict[str, str], recorded: str) -> None:
    code, result = trader.get(path, **query)
    assert code == 0
    pattern = recorded_shape(recorded)["result"]
    assert result.get("list", True)
    assert differences(result, pattern, may_add=NEWER) == []


def test_a_flat_position_has_the_same_shape() -> None:
    code, result = Trader().get("position/list", symbol=SYMBOL)
    assert code == 0
    row = result["list"][0]
    assert (row["side"], row["size"], row["avgPrice"], row["liqPrice"]) == ("", "0", "0", "")
    assert differences(result, sample("position_list_0")["result"]) == []


WRITES = [
    ("order/amend", {"orderLinkId": "target", "qty": "0.50"}, "order_amend_0"),
    ("order/cancel", {"orderLinkId": "target"}, "order_cancel_0"),
    ("order/cancel-all", {}, "order_cancel_all_0"),
    ("position/trading-stop", {"tpslMode": "Full", "positionIdx": 0, "stopLoss": "1090.00"}, "trading_stop_0"),
    ("position/add-margin", {"margin": "10"}, "add_margin_0"),
    ("position/set-auto-add-margin", {"autoAddMargin": 0}, "set_auto_add_margin_0"),
    (
        "order/create",
        {"side": "Sell", "orderType": "Market", "qty": "0.10", "orderLinkId": "more"},
        "order_create_0",
    ),
]


@pytest.mark.parametrize(("path", "body", "recorded"), WRITES, ids=[path for path, _, _ in WRITES])
def test_write_answers(trader: Trader, path: str, body: dict[str, Any], recorded: str) -> None:
    code, result = trader.post(path, **body)
    assert code == 0, result
    assert differences(result, recorded_shape(recorded)["result"], may_add=NEWER) == []


def test_settings_answers() -> None:
    trader = Trader(config=AccountConfig(margin_mode="REGULAR_MARGIN"))
    for path, body, recorded in (
        ("position/set-leverage", {"buyLeverage": "3", "sellLeverage": "3"}, "set_leverage_0"),
        ("position/switch-mode", {"mode": 3}, "switch_mode_0"),
    ):
        code, result = trader.post(path, **body)
        assert code == 0
        assert differences(result, sample(recorded)["result"]) == []
    code, result = trader.post("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
    assert (code, result) == (0, {"reasons": []})


def test_a_refused_margin_mode_names_its_reasons(trader: Trader) -> None:
    code, result = trader.post("account/set-margin-mode", setMarginMode="REGULAR_MARGIN")
    assert code == 3400045
    assert result.pop("text") == "Set margin mode failed"
    assert differences(result, sample("set_margin_mode_0")["result"]) == []


MESSAGES = [
    ("order", "ws_order_1"),
    ("execution", "ws_execution_1"),
    ("position", "ws_position_1"),
    ("wallet", "ws_wallet_1"),
]


@pytest.mark.parametrize(("topic", "recorded"), MESSAGES)
def test_messages(topic: str, recorded: str) -> None:
    trader = Trader()
    ear = Ear()
    trader.account.bus.subscribe(ear, [topic])
    trader.lever("5")
    trader.short(stopLoss="1100.00", slTriggerBy="MarkPrice")
    trader.close()
    pattern = recorded_shape(recorded)
    heard = [message for message in ear.heard if message["topic"] == topic]
    assert heard
    for message in heard:
        assert differences(message, pattern, may_add=NEWER | {"seq"}) == []


def test_what_is_not_there_is_empty() -> None:
    """As recorded from unified accounts; clients that know these words as an enumeration take nothing else."""
    trader = Trader()
    ear = Ear()
    trader.account.bus.subscribe(ear, ["order"])
    trader.short(orderType="Limit", price="1010.00")
    empty = ("stopOrderType", "triggerPrice", "triggerBy", "takeProfit", "tpTriggerBy", "stopLoss", "slTriggerBy")
    for row in (trader.order("entry"), ear.heard[0]["data"][0]):
        assert {row[name] for name in (*empty, "avgPrice", "isLeverage")} == {""}
        assert (row["tpLimitPrice"], row["slLimitPrice"]) == ("0", "0")


@pytest.mark.parametrize("topic", ["execution.fast", "execution.fast.linear"])
def test_the_fast_stream_tells_of_trades_alone_and_less_of_them(topic: str) -> None:
    trader = Trader((1000.0,) * 4, (1000.0, 1011.0, 999.0, 1005.0), funding=[(1, 0.0001)])
    ear = Ear()
    trader.account.bus.subscribe(ear, [topic])
    trader.short(qty="0.10")
    trader.short(qty="0.10", link_id="rests", orderType="Limit", price="1010.00")
    trader.world.step(2)
    assert [message.keys() for message in ear.heard] == [{"topic", "creationTime", "data"}] * 2
    rows = [message["data"][0] for message in ear.heard]
    assert [(row["orderLinkId"], row["isMaker"]) for row in rows] == [("entry", False), ("", True)]
    assert rows[0].keys() == {
        *("category", "symbol", "orderId", "isMaker", "orderLinkId", "execId"),
        *("execPrice", "execQty", "side", "execTime", "seq"),
    }


def test_a_dotted_topic_says_the_same_under_its_own_name() -> None:
    trader = Trader()
    plain, dotted = Ear(), Ear()
    trader.account.bus.subscribe(plain, ["order"])
    trader.account.bus.subscribe(dotted, ["order.linear"])
    trader.short()
    assert {message["topic"] for message in dotted.heard} == {"order.linear"}
    assert [message["data"] for message in dotted.heard] == [message["data"] for message in plain.heard]


def test_money_is_written_plainly(trader: Trader) -> None:
    """At most ten decimals, never 1e-05."""
    answers = [trader.get(path, **query)[1] for path, query, _ in ROWS]
    for text in texts(answers):
        try:
            number = Decimal(text)
        except InvalidOperation:
            continue
        assert set(text) <= set("0123456789.-")
        assert len(text.partition(".")[2]) <= 10, number


def recorded_shape(name: str) -> Any:
    """A recorded answer; in which coins fees were paid, and what a key may do, is no matter of shape."""
    document = sample(name)
    rows = document.get("data") or document["result"].get("list") or [document["result"]]
    for row in rows:
        row |= dict.fromkeys(row.keys() & {"cumFeeDetail", "permissions", "ips"})
        for field in ("orderId", "orderLinkId"):  # of other kinds of contract they are numbers
            row |= {field: ""} if field in row else {}
    return document


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) and value else []
