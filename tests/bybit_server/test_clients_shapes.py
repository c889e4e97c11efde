"""Every recorded answer and message: the server's own has the same keys and the same types.

What is not compared is listed below with its reason, and a test sees to it that no recorded file is left out.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from .shapes import FOLDER, differences, documents, needs_samples, sample, without
from .whole_talk import Heard, whole_talk

pytestmark = needs_samples

NOT_COMPARED = {
    "instruments_info_0#2": "a contract before its launch: no market here begins with an auction",
    "instruments_info_1": "an option",
    "instruments_info_2": "a spot market",
    "tickers_1": "an option",
    "tickers_2": "a spot market",
    "ws_tickers_0#2": "a contract with a delivery date",
    "ws_tickers_1": "an option",
    "ws_tickers_2": "a spot market",
    "ws_auth_and_control_2": "a pong of the spot stream, without the request's id",
    "ws_auth_and_control_4": "a pong of the options' stream",
    "ws_auth_and_control_10": "an acknowledgement of the spot stream: it says 'subscribe' for a text",
    "ws_auth_and_control_12": "an acknowledgement of the options' stream",
}
"""Recorded documents (`#2` is the second of a file) that this server has nothing of."""

FREE = {
    "cumFeeDetail": "its keys are the coins that fees were paid in",
    "permissions": "what a key may do differs from key to key",
    "ips": "none, one, or a star",
    "orderId": "of some kinds of markets a number, of linear contracts never",
    "orderLinkId": "whatever the client chose",
    "execId": "of spot trades a number",
    "extraFees": "a list where a country taxes trades, else empty",
}
"""Fields whose content is no matter of shape."""

NEWER = {
    "createType": "who created an order",
    "parentOrderLinkId": "the order that an order belongs to",
    "openFee": "the fee of a closed position's entry",
    "closeFee": "the fee of its exit",
    "nextPageCursor": "risk limits come in pages",
    "RPI": "a public trade with retail orders",
    "isLeverage": "of spot orders, and empty for others",
    "marketUnit": "of spot orders, and empty for others",
    "slippageTolerance": "how far from the best price a market order may fill",
    "slippageToleranceType": "what it is a part of",
}
"""Fields that the exchange documents today and that are missing in what was recorded."""

CUT_OFF = {"account_info_0", "set_margin_mode_0"}
"""Recorded without the envelope's end: `retExtInfo` and `time`."""

SAID_BY_CLIENTS = {
    *(f"ws_{topic}_0" for topic in ("order", "execution", "position", "wallet")),
    *(f"ws_auth_and_control_{k}" for k in (0, 6, 7, 8)),
    *(f"ws_trade_entry_{k}" for k in (0, 2, 4, 6)),
}
"""Recorded messages of clients: the server takes them as they are, but for their values."""

COMPARED = [
    *("account_info_0", "add_margin_0", "closed_pnl_0", "execution_list_0", "fee_rate_0", "funding_history_0"),
    *("instruments_info_0", "instruments_info_x", "mark_price_kline_0", "market_kline_0", "market_time_0"),
    *("order_amend_0", "order_cancel_0", "order_cancel_all_0", "order_create_0", "order_history_0"),
    *("order_realtime_0", "orderbook_0", "position_list_0", "price_limit_0", "recent_trade_0", "risk_limit_0"),
    *("set_auto_add_margin_0", "set_leverage_0", "set_margin_mode_0", "switch_isolated_0", "switch_mode_0"),
    *("symbol_info_0", "tickers_0", "trading_stop_0", "transaction_log_0", "user_query_api_0", "wallet_balance_0"),
    *(f"ws_auth_and_control_{k}" for k in (1, 3, 5, 9, 11)),
    *("ws_execution_1", "ws_kline_0", "ws_order_1", "ws_orderbook_0", "ws_orderbook_1", "ws_position_1"),
    *("ws_tickers_0", "ws_trade_0", "ws_trade_entry_1", "ws_trade_entry_3", "ws_trade_entry_5", "ws_trade_entry_7"),
    "ws_wallet_1",
]

SAYS_NO = {"set_margin_mode_0": 3400045, "switch_isolated_0": 100028}
"""Refusals: the first as recorded, the second because a unified account has no such switch any more."""


@pytest.fixture(scope="module")
def heard() -> Heard:
    return whole_talk()


def ours(heard: Heard, name: str) -> list[Any]:
    """What the server said like a recorded document. Its books are whole at every depth, so a delta is one too."""
    return heard.told["ws_orderbook_0" if name == "ws_orderbook_1" else name]


@pytest.mark.parametrize("name", COMPARED)
def test_it_is_said_as_recorded(heard: Heard, name: str) -> None:
    recorded = sample(name)
    pattern = without(recorded, FREE)
    may_add = frozenset(NEWER) | ({"retExtInfo", "time"} if name in CUT_OFF else set())
    said = ours(heard, name)
    assert said
    for document in said:
        assert differences(document, pattern, may_add=may_add) == []
        if "retCode" in recorded:
            assert document["retCode"] == SAYS_NO.get(name, 0)
        for part in (document, document.get("result")):
            rows = part.get("list", part.get("data", True)) if isinstance(part, dict) else True
            assert rows, "an empty list proves nothing"


@pytest.mark.parametrize("name", sorted(SAID_BY_CLIENTS))
def test_it_may_be_said_as_recorded(heard: Heard, name: str) -> None:
    answer = heard.taken[name]
    assert answer.get("success", answer.get("retCode") == 0) is True
    assert answer["op"] in (sample(name)["op"], "pong")
    assert {row["code"] for row in answer.get("retExtInfo", {}).get("list", [])} <= {0}


@pytest.mark.parametrize("name", sorted(NEWER))
def test_what_is_newer_is_said(heard: Heard, name: str) -> None:
    """A field that is excused here but never said would be an excuse for nothing."""
    assert any(name in keys(document) for said in heard.told.values() for document in said)


def test_a_delta_says_a_part_of_the_snapshot(heard: Heard) -> None:
    snapshot = without(sample("ws_tickers_0"), FREE)
    for delta in heard.told["ws_tickers delta"]:
        told = delta["data"].keys()
        assert "symbol" in told
        pattern = snapshot | {"data": {key: value for key, value in snapshot["data"].items() if key in told}}
        assert differences(delta, pattern, may_add=frozenset(NEWER)) == []


def test_a_comparison_finds_whatever_differs(heard: Heard) -> None:
    recorded, (row,) = sample("funding_history_0"), ours(heard, "funding_history_0")[0]["result"]["list"]

    def found(**changes: Any) -> list[str]:
        changed = {key: value for key, value in (row | changes).items() if value is not None}
        return differences({"list": [row, changed]}, {"list": recorded["result"]["list"]})

    assert found() == []
    assert found(symbol=None) == [".list[1].symbol is missing"]
    assert found(more="1") == [".list[1].more is unknown"]
    assert found(fundingRate=0.0001) == [".list[1].fundingRate is float 0.0001 instead of str '0.0001'"]
    assert found(fundingRate="1e-05") == [".list[1].fundingRate is '1e-05', no number as in '0.0001'"]


def test_no_recorded_file_is_left_out() -> None:
    recorded = {
        path.stem if k == 0 else f"{path.stem}#{k + 1}"
        for path in FOLDER.iterdir()
        if path.suffix in (".json", ".txt")
        for k in range(len(documents(path.stem)))
    }
    places = (set(COMPARED), SAID_BY_CLIENTS, set(NOT_COMPARED))
    assert sorted(name for place in places for name in place) == sorted(recorded)


def test_every_file_of_the_index_is_there() -> None:
    """`- order_create: ..., 1 json block(s)` promises order_create_0."""
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- (\w+): .*, (\d+) json block", index, flags=re.MULTILINE)
    assert listed
    names = {path.stem for path in FOLDER.iterdir()}
    assert {f"{name}_{k}" for name, count in listed for k in range(int(count))} <= names


def keys(value: Any) -> set[str]:
    """Every key in a document, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()
