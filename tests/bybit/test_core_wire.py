"""What Bybit sends is read whole, in part, with nulls, with new words; refused where guessing would be dangerous."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from your_short_trade_margin_call.adapters.bybit import wire

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "bybit" / "samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no documented payloads beside the project")

ORDER = {
    "orderId": "id-1",
    "orderLinkId": "mine-1",
    "symbol": "BTCUSDT",
    "side": "Sell",
    "qty": "0.5",
    "orderStatus": "PartiallyFilled",
    "orderType": "Market",
    "price": "100.1",
    "avgPrice": "100.2",
    "cumExecQty": "0.2",
    "leavesQty": "0.3",
    "stopOrderType": "StopLoss",
    "triggerPrice": "130",
    "reduceOnly": True,
    "closeOnTrigger": True,
    "positionIdx": 0,
    "triggerDirection": 1,
    "createType": "CreateByStopLoss",
    "createdTime": "1700000000000",
    "updatedTime": "1700000000001",
    "somethingNew": {"in": 2027},
}
EXECUTION = {
    "execId": "e-1",
    "symbol": "BTCUSDT",
    "side": "Sell",
    "execType": "Funding",
    "execQty": "0.5",
    "execPrice": "100.1",
    "execFee": "-0.01",
    "execTime": "1700000000000",
    "orderId": "id-1",
    "orderLinkId": "",
    "orderType": "UNKNOWN",
    "isMaker": False,
    "seq": 7,
    "feeRate": "-0.0001",
}
POSITION = {
    "symbol": "BTCUSDT",
    "side": "Sell",
    "size": "0.5",
    "avgPrice": "100.1",
    "leverage": "3",
    "liqPrice": "132.5",
    "stopLoss": "129",
    "positionIM": "16.7",
    "positionMM": "0.3",
    "positionIdx": 0,
    "isReduceOnly": False,
    "adlRankIndicator": 2,
}
WALLET = {"accountType": "UNIFIED", "coin": [{"coin": "USDT", "walletBalance": "472", "totalPositionIM": "1"}]}
KEY = {"readOnly": 0, "permissions": {"ContractTrade": ["Order"]}, "ips": ["10.0.0.1"], "userID": 5, "isMaster": True}
INFO = {"marginMode": "ISOLATED_MARGIN", "unifiedMarginStatus": 5, "updatedTime": "1"}
CANDLE = {"start": 0, "end": 179999, "open": "1", "high": "2", "low": "1", "close": "2", "confirm": True, "volume": "5"}
BOOK = {"s": "BTCUSDT", "b": [["100.0", "1"]], "a": [["100.1", "2"]], "u": 1, "seq": 2}

ROWS: list[tuple[type, dict[str, Any], set[str]]] = [
    (wire.OrderRow, ORDER, {"orderId", "symbol", "side", "qty", "orderStatus"}),
    (
        wire.ExecutionRow,
        EXECUTION,
        {"execId", "symbol", "side", "execType", "execQty", "execPrice", "execFee", "execTime"},
    ),
    (wire.PositionRow, POSITION, {"symbol", "side", "size"}),
    (wire.Wallet, WALLET, {"coin"}),
    (wire.ApiKeyInfo, KEY, {"readOnly", "permissions"}),
    (wire.AccountInfo, INFO, {"marginMode", "unifiedMarginStatus"}),
    (wire.StreamCandle, CANDLE, {"start", "end", "open", "high", "low", "close", "confirm"}),
    (wire.Book, BOOK, {"s", "b", "a"}),
]
"""A row, and the fields without which it would mislead."""


def read(kind: type, row: object) -> Any:
    return msgspec.json.decode(json.dumps(row), type=kind)


@pytest.mark.parametrize(("kind", "row", "needed"), ROWS)
def test_each_field_may_be_missing_but_those_that_matter(kind: type, row: dict[str, Any], needed: set[str]) -> None:
    assert needed <= set(row)
    whole = read(kind, row)
    for name in row:
        shorter = {key: value for key, value in row.items() if key != name}
        if name in needed:
            with pytest.raises(msgspec.ValidationError):
                read(kind, shorter)
        else:
            assert type(read(kind, shorter)) is type(whole)


@pytest.mark.parametrize(("kind", "row", "needed"), ROWS[:6])
def test_each_field_may_be_null_but_those_that_matter(kind: type, row: dict[str, Any], needed: set[str]) -> None:
    for name in row:
        with_null = {**row, name: None}
        if name in needed:
            with pytest.raises(msgspec.ValidationError):
                read(kind, with_null)
        else:
            shorter = {key: value for key, value in row.items() if key != name}
            assert read(kind, with_null) == read(kind, shorter)


def test_nulls_in_lists_of_their_own_do_not_share_a_default() -> None:
    first, second = (read(wire.ApiKeyInfo, {**KEY, "ips": None}) for _ in range(2))
    assert first.ips == second.ips == []
    assert first.ips is not second.ips
    assert read(wire.AckList, {"list": None}).rows == []


@pytest.mark.parametrize(
    ("kind", "row", "name", "value"),
    [
        (wire.OrderRow, ORDER, "qty", 0.5),
        (wire.OrderRow, ORDER, "reduceOnly", "true"),
        (wire.ExecutionRow, EXECUTION, "execFee", 0.1),
        (wire.ExecutionRow, EXECUTION, "execQty", None),
        (wire.PositionRow, POSITION, "size", 0.5),
        (wire.StreamCandle, CANDLE, "confirm", "true"),
        (wire.StreamCandle, CANDLE, "start", "0"),
        (wire.StreamCandle, CANDLE, "close", 2.0),
        (wire.Book, BOOK, "b", [["1"]]),
        (wire.ApiKeyInfo, KEY, "readOnly", "0"),
    ],
)
def test_a_wrong_type_is_refused(kind: type, row: dict[str, Any], name: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(kind, {**row, name: value})


def test_new_words_are_no_reason_to_lose_a_message() -> None:
    assert read(wire.OrderRow, {**ORDER, "orderStatus": "Teleported"}).order_status == "Teleported"
    assert read(wire.ExecutionRow, {**EXECUTION, "execType": "Wormhole"}).exec_type == "Wormhole"
    assert read(wire.PositionRow, {**POSITION, "positionStatus": "Odd"}).position_status == "Odd"
    assert read(wire.AccountInfo, {**INFO, "marginMode": "NEW"}).margin_mode == "NEW"


def test_names_that_the_two_sides_spell_differently() -> None:
    assert read(wire.PositionRow, POSITION).entry_text == "100.1"
    stream = {**POSITION, "entryPrice": "99"}
    del stream["avgPrice"]
    row = read(wire.PositionRow, stream)
    assert (row.entry_text, row.position_im, row.position_mm) == ("99", "16.7", "0.3")
    wallet = read(wire.Wallet, WALLET)
    assert wallet.coin("USDT").total_position_im == "1"
    assert wallet.coin("BTC") is None
    assert read(wire.ApiKeyInfo, KEY).user_id == 5


def test_ticker_deltas_tell_absent_from_empty() -> None:
    delta = wire.STREAM_TICKER.decode(b'{"symbol":"BTCUSDT","bid1Price":"1.5","deliveryTime":""}')
    assert (delta.bid1_price, delta.ask1_price, delta.delivery_time) == ("1.5", None, "")


def test_rows_are_frozen() -> None:
    with pytest.raises(AttributeError):
        read(wire.OrderRow, ORDER).qty = "1"


# ---- streams -----------------------------------------------------------------------------------


def test_data_and_answers_on_a_stream_are_told_apart() -> None:
    told = {"topic": "kline.3.BTCUSDT", "type": "snapshot", "ts": 5, "data": [CANDLE]}
    message = wire.STREAM.decode(json.dumps(told))
    assert (message.topic, message.server_ms, message.is_pong) == ("kline.3.BTCUSDT", 5, False)
    assert wire.STREAM_CANDLES.decode(message.data)[0].confirm
    private = wire.STREAM.decode(json.dumps({"id": "1", "topic": "order", "creationTime": 9, "data": [ORDER]}))
    assert private.server_ms == 9
    assert wire.STREAM_ORDERS.decode(private.data)[0].order_link_id == "mine-1"


@pytest.mark.parametrize(
    ("text", "op", "success"),
    [
        ('{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}', "ping", True),
        ('{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"c"}', "pong", None),
        ('{"success":true,"ret_msg":"","op":"auth","conn_id":"c"}', "auth", True),
        ('{"success":false,"ret_msg":"error:handler not found,topic:x","op":"subscribe"}', "subscribe", False),
        ('{"success":true,"op":"subscribe","req_id":17,"ret_msg":null,"conn_id":null}', "subscribe", True),
        ('{"retCode":0,"retMsg":"OK","op":"auth","connId":"c"}', "auth", None),
    ],
)
def test_answers_on_a_stream(text: str, op: str, success: bool | None) -> None:
    message = wire.STREAM.decode(text)
    assert (message.topic, message.op, message.success) == (None, op, success)
    assert message.is_pong == (op in ("ping", "pong"))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"topic":5}', '{"topic":"order","data":[{"a":1}', "pong"])
def test_nonsense_on_a_stream_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.STREAM.decode(text)


# ---- documented payloads -----------------------------------------------------------------------

ANSWERS: dict[str, type] = {
    "market_time_0": wire.ServerTime,
    "market_kline_0": wire.CandleList,
    "mark_price_kline_0": wire.CandleList,
    "instruments_info_1": wire.InstrumentList,
    "funding_history_0": wire.FundingList,
    "tickers_0": wire.TickerList,
    "orderbook_0": wire.Book,
    "order_create_0": wire.OrderAck,
    "order_amend_0": wire.OrderAck,
    "order_cancel_0": wire.OrderAck,
    "order_cancel_all_0": wire.AckList,
    "order_realtime_0": wire.OrderList,
    "order_history_0": wire.OrderList,
    "execution_list_0": wire.ExecutionList,
    "position_list_0": wire.PositionList,
    "wallet_balance_0": wire.WalletList,
    "account_info_0": wire.AccountInfo,
    "fee_rate_0": wire.FeeRateList,
    "user_query_api_0": wire.ApiKeyInfo,
    "set_leverage_0": wire.Empty,
    "trading_stop_0": wire.Empty,
    "add_margin_0": wire.Empty,
}
MESSAGES: dict[str, msgspec.json.Decoder[Any]] = {
    "ws_kline_0": wire.STREAM_CANDLES,
    "ws_order_1": wire.STREAM_ORDERS,
    "ws_execution_1": wire.STREAM_EXECUTIONS,
    "ws_position_1": wire.STREAM_POSITIONS,
    "ws_wallet_1": wire.STREAM_WALLETS,
    "ws_orderbook_1": wire.STREAM_BOOK,
    "ws_tickers_2": wire.STREAM_TICKER,
}


@needs_samples
@pytest.mark.parametrize(("name", "kind"), ANSWERS.items())
def test_documented_answers_are_understood(name: str, kind: type) -> None:
    envelope = msgspec.json.decode((SAMPLES / f"{name}.json").read_bytes(), type=wire.Envelope)
    assert envelope.ret_code == 0
    found = msgspec.json.decode(envelope.result, type=kind)
    assert getattr(found, "rows", True)


@needs_samples
@pytest.mark.parametrize(("name", "decoder"), MESSAGES.items())
def test_documented_messages_are_understood(name: str, decoder: msgspec.json.Decoder[Any]) -> None:
    message = wire.STREAM.decode((SAMPLES / f"{name}.json").read_bytes())
    assert message.topic
    assert message.server_ms > 1_600_000_000_000
    assert decoder.decode(message.data)


@needs_samples
def test_documented_control_messages_are_understood() -> None:
    files = sorted(SAMPLES.glob("ws_auth_and_control_*.json"))
    assert len(files) >= 8
    for file in files:
        assert wire.STREAM.decode(file.read_bytes()).topic is None
