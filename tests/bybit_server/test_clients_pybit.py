"""pybit, the exchange's own package, asks everything there is to ask by REST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.domain.spans import CANDLE_MS

from .clients import Package, ServerThread, all_threads_end, imported_first, point_pybit_at, pybit_session
from .trader import OTHER, SYMBOL, T0, Trader

exceptions = Package("pybit.exceptions")
_load = imported_first(exceptions)

LINEAR: dict[str, Any] = {"category": "linear", "symbol": SYMBOL}
ROWS = [(1000.0, 1001.0, 989.0, 990.0), (990.0, 991.0, 979.0, 980.0), (980.0, 981.0, 979.0, 980.0), (980.0,) * 4]
NEVER_SET = AccountConfig(margin_mode="REGULAR_MARGIN", position_mode=3)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    """A server of four candles, two pairs and one settlement; the account is set to nothing yet."""
    trader = Trader(*ROWS, symbols=(SYMBOL, OTHER), config=NEVER_SET, funding=[(1, 0.0001)])
    with all_threads_end(), ServerThread(trader.world) as running:
        point_pybit_at(monkeypatch, running)
        yield running


@pytest.fixture
def session(server: ServerThread) -> Iterator[Any]:
    with pybit_session(server.url) as session:
        yield session


def rows(answer: dict[str, Any]) -> list[Any]:
    """The list of an answer."""
    assert (answer["retCode"], set(answer)) == (0, {"retCode", "retMsg", "result", "retExtInfo", "time"})
    return list(answer["result"]["list"])


def one(answer: dict[str, Any]) -> dict[str, Any]:
    """The only row of an answer."""
    (row,) = rows(answer)
    assert isinstance(row, dict)
    return row


def ready(session: Any) -> None:
    """Isolated, one-way, 5x."""
    session.set_margin_mode(setMarginMode="ISOLATED_MARGIN")
    session.switch_position_mode(**LINEAR, mode=0)
    session.set_leverage(**LINEAR, buyLeverage="5", sellLeverage="5")


def short(session: Any, **more: Any) -> str:
    """A short of one coin; its order id."""
    asked = {"side": "Sell", "orderType": "Market", "qty": "1.00", "positionIdx": 0, **more}
    return str(session.place_order(**LINEAR, **asked)["result"]["orderId"])


# ---- the market -------------------------------------------------------------------------------------------


def test_the_market(server: ServerThread, session: Any) -> None:
    server.step(2)
    now = T0 + 2 * CANDLE_MS
    assert session.get_server_time()["time"] == now
    assert [row["symbol"] for row in rows(session.get_instruments_info(category="linear"))] == [OTHER, SYMBOL]
    assert one(session.get_instruments_info(**LINEAR))["priceFilter"]["tickSize"] == "0.10"
    tiers = rows(session.get_risk_limit(**LINEAR))
    assert [(row["maxLeverage"], row["isLowestRisk"]) for row in tiers] == [("100.00", 1), ("5.00", 0)]
    candles = rows(session.get_kline(**LINEAR, interval=3, start=T0, end=now))
    assert [int(row[0]) for row in candles] == [now, T0 + CANDLE_MS, T0]
    assert candles[-1][1:5] == ["1000.00", "1001.00", "989.00", "990.00"]
    marks = rows(session.get_mark_price_kline(**LINEAR, interval=3, start=T0, end=T0))
    assert marks == [candles[-1][:5]]
    ticker = one(session.get_tickers(**LINEAR))
    assert (ticker["lastPrice"], ticker["bid1Price"], ticker["ask1Price"]) == ("980.00", "979.90", "980.10")
    book = session.get_orderbook(**LINEAR, limit=1)["result"]
    assert (book["b"][0][0], book["a"][0][0]) == ("979.90", "980.10")
    settled = one(session.get_funding_rate_history(**LINEAR))
    assert (settled["fundingRate"], settled["fundingRateTimestamp"]) == ("0.0001", str(T0 + CANDLE_MS))
    limit = session.get_price_limit(**LINEAR)["result"]
    assert float(limit["sellLmt"]) < 980 < float(limit["buyLmt"])
    assert rows(session.get_public_trade_history(**LINEAR, limit=1))[0]["price"] == "980.00"


# ---- the account ------------------------------------------------------------------------------------------


def test_settings_and_the_codes_of_what_is_set_already(session: Any) -> None:
    info = session.get_account_info()["result"]
    assert (info["marginMode"], info["unifiedMarginStatus"]) == ("REGULAR_MARGIN", 5)
    ready(session)
    assert session.get_account_info()["result"]["marginMode"] == "ISOLATED_MARGIN"
    assert one(session.get_positions(**LINEAR))["leverage"] == "5"
    assert session.set_margin_mode(setMarginMode="ISOLATED_MARGIN")["result"] == {"reasons": []}
    assert session.switch_position_mode(category="linear", coin="USDT", mode=0)["result"] == {}
    for code, again in (
        (110025, lambda: session.switch_position_mode(**LINEAR, mode=0)),
        (110043, lambda: session.set_leverage(**LINEAR, buyLeverage="5", sellLeverage="5")),
        (100028, lambda: session.switch_margin_mode(**LINEAR, tradeMode=1, buyLeverage="5", sellLeverage="5")),
    ):
        with pytest.raises(exceptions.InvalidRequestError) as refused:
            again()
        assert refused.value.status_code == code
    fees = one(session.get_fee_rates(**LINEAR))
    assert (fees["takerFeeRate"], fees["makerFeeRate"]) == ("0.00055", "0.0002")
    key = session.get_api_key_information()["result"]
    assert (key["readOnly"], key["uta"], key["permissions"]["ContractTrade"]) == (0, 1, ["Order", "Position"])


def test_a_short_from_its_entry_to_the_books(server: ServerThread, session: Any) -> None:
    ready(session)
    stop = {"stopLoss": "1100.00", "slTriggerBy": "MarkPrice", "tpslMode": "Full"}
    entry = short(session, orderLinkId="entry", **stop)
    assert one(session.get_open_orders(**LINEAR, orderId=entry))["orderStatus"] == "Filled"
    guard = one(session.get_open_orders(**LINEAR))
    assert (guard["stopOrderType"], guard["triggerPrice"], guard["triggerBy"]) == ("StopLoss", "1100.00", "MarkPrice")

    session.set_trading_stop(**LINEAR, tpslMode="Full", positionIdx=0, stopLoss="1090.00", slTriggerBy="MarkPrice")
    before = one(session.get_positions(**LINEAR))
    assert (before["side"], before["size"], before["avgPrice"]) == ("Sell", "1.00", "1000.00")
    assert (before["stopLoss"], before["liqPrice"]) == ("1090.00", "1194.00")
    added = session.add_or_reduce_margin(**LINEAR, margin="50", positionIdx=0)["result"]
    after = one(session.get_positions(category="linear", settleCoin="USDT"))
    assert float(after["liqPrice"]) > float(before["liqPrice"])
    assert added["liqPrice"] == after["liqPrice"]

    server.step()  # a settlement: 990 * 0.0001 is received
    asked = {"side": "Buy", "orderType": "Market", "qty": "1.00", "reduceOnly": True, "orderLinkId": "close"}
    session.place_order(**LINEAR, **asked)
    flat = one(session.get_positions(**LINEAR))
    assert (flat["side"], flat["size"]) == ("", "0")
    assert rows(session.get_positions(category="linear", settleCoin="USDT")) == []
    done = rows(session.get_executions(**LINEAR))
    assert [(row["execType"], row["side"], row["execPrice"]) for row in done] == [
        ("Trade", "Buy", "990.00"),
        ("Funding", "Sell", "990.00"),
        ("Trade", "Sell", "1000.00"),
    ]
    assert [row["execFee"] for row in done] == ["0.5445", "-0.099", "0.55"]
    history = {row["orderLinkId"] or row["stopOrderType"]: row for row in rows(session.get_order_history(**LINEAR))}
    assert {name: row["orderStatus"] for name, row in history.items()} == {
        **{"entry": "Filled", "close": "Filled"},
        "StopLoss": "Cancelled",
    }
    closed = one(session.get_closed_pnl(**LINEAR))
    assert (closed["closedPnl"], closed["side"]) == ("8.9055", "Buy")
    log = rows(session.get_transaction_log(accountType="UNIFIED"))
    assert [(row["type"], row["change"]) for row in log] == [
        *[("TRADE", "9.4555"), ("SETTLEMENT", "0.099")],
        ("TRADE", "-0.55"),
    ]
    wallet = one(session.get_wallet_balance(accountType="UNIFIED", coin="USDT"))["coin"][0]
    assert wallet["walletBalance"] == log[0]["cashBalance"] == "1009.0045"


def test_a_take_profit_is_set_moved_removed_and_fires(server: ServerThread, session: Any) -> None:
    ready(session)
    short(session, takeProfit="950.00", tpTriggerBy="MarkPrice", stopLoss="1100.00", tpslMode="Full")
    mode: dict[str, Any] = {"tpslMode": "Full", "positionIdx": 0}
    session.set_trading_stop(**LINEAR, **mode, takeProfit="0")
    assert one(session.get_positions(**LINEAR))["takeProfit"] == "0.00"
    session.set_trading_stop(**LINEAR, **mode, takeProfit="940.00")
    session.set_trading_stop(**LINEAR, **mode, takeProfit="990.00", stopLoss="1090.00", tpTriggerBy="LastPrice")
    with pytest.raises(exceptions.InvalidRequestError, match="34040"):
        session.set_trading_stop(**LINEAR, **mode, takeProfit="990.00")
    for wrong in ({"takeProfit": "1000.00"}, {"takeProfit": "980.00", "tpslMode": "Partial", "tpSize": "0.50"}):
        with pytest.raises(exceptions.InvalidRequestError, match="10001"):
            session.set_trading_stop(**LINEAR, **{**mode, **wrong})
    position = one(session.get_positions(**LINEAR))
    assert (position["takeProfit"], position["stopLoss"]) == ("990.00", "1090.00")
    guards = {row["stopOrderType"]: row for row in rows(session.get_open_orders(**LINEAR, orderFilter="StopOrder"))}
    assert guards["TakeProfit"]["triggerBy"] == "LastPrice"
    server.step()
    assert one(session.get_positions(**LINEAR))["size"] == "0"
    done = rows(session.get_executions(**LINEAR, execType="Trade"))[0]
    assert (done["execPrice"], done["stopOrderType"], done["createType"]) == (
        *("990.00", "TakeProfit"),
        "CreateByTakeProfit",
    )
    history = {row["orderId"]: row["orderStatus"] for row in rows(session.get_order_history(**LINEAR))}
    assert [history[guards[kind]["orderId"]] for kind in ("TakeProfit", "StopLoss")] == ["Filled", "Cancelled"]


def test_orders_are_changed_and_cancelled(session: Any) -> None:
    ready(session)
    short(session)
    target = {"side": "Buy", "orderType": "Limit", "qty": "0.50", "reduceOnly": True, "timeInForce": "GTC"}
    for k in range(3):
        session.place_order(**LINEAR, **target, price=f"{900 + k}.00", orderLinkId=f"target-{k}")
    changed = session.amend_order(**LINEAR, orderLinkId="target-1", qty="0.25", price="910.00")["result"]
    row = one(session.get_open_orders(**LINEAR, orderId=changed["orderId"]))
    assert (row["orderLinkId"], row["qty"], row["price"]) == ("target-1", "0.25", "910.00")
    session.cancel_order(**LINEAR, orderLinkId="target-0")
    with pytest.raises(exceptions.InvalidRequestError, match="110001"):
        session.cancel_order(**LINEAR, orderLinkId="target-0")
    page = session.get_open_orders(**LINEAR, limit=1)["result"]
    rest = session.get_open_orders(**LINEAR, limit=1, cursor=page["nextPageCursor"])["result"]
    assert [page["list"][0]["orderLinkId"], rest["list"][0]["orderLinkId"]] == ["target-2", "target-1"]
    assert len(rows(session.cancel_all_orders(**LINEAR))) == 2
    assert rows(session.get_open_orders(**LINEAR)) == []


def test_orders_in_batches(session: Any) -> None:
    ready(session)
    entry = {"symbol": SYMBOL, "side": "Sell", "orderType": "Limit", "qty": "0.10", "price": "1010.00"}
    answer = session.place_batch_order(category="linear", request=[entry, {**entry, "qty": "0"}, entry])
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 10001, 0]
    ids = [row["orderId"] for row in answer["result"]["list"] if row["orderId"]]
    named = [{"symbol": SYMBOL, "orderId": order_id} for order_id in ids]
    session.amend_batch_order(category="linear", request=[row | {"price": "1020.00"} for row in named])
    assert {row["price"] for row in rows(session.get_open_orders(**LINEAR))} == {"1020.00"}
    answer = session.cancel_batch_order(category="linear", request=[*named, named[0]])
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 0, 110001]
    assert rows(session.get_open_orders(**LINEAR)) == []


def test_no_maintenance_is_announced(session: Any) -> None:
    assert rows(session.get_system_status()) == []


def test_numbers_that_are_no_texts_are_made_some(session: Any) -> None:
    """pybit casts quantities and prices; `5.0` becomes 5, and that "5"."""
    ready(session)
    session.place_order(**LINEAR, side="Sell", orderType="Limit", qty=0.25, price=1040.0)
    row = one(session.get_open_orders(**LINEAR))
    assert (row["qty"], row["price"]) == ("0.25", "1040.00")


def test_other_kinds_of_markets_have_nothing_to_list(session: Any) -> None:
    for category in ("spot", "inverse", "option"):
        assert rows(session.get_open_orders(category=category)) == []
        assert rows(session.get_executions(category=category)) == []
        assert rows(session.get_order_history(category=category)) == []
    for category in ("inverse", "option"):
        assert rows(session.get_positions(category=category)) == []
        assert rows(session.get_closed_pnl(category=category)) == []
    with pytest.raises(exceptions.InvalidRequestError, match="10001"):
        session.place_order(category="inverse", symbol="BTCUSD", side="Sell", orderType="Market", qty="1")
    with pytest.raises(exceptions.InvalidRequestError, match="10001"):
        session.get_open_orders(category="futures")


def test_an_answer_comes_with_its_headers_when_asked_for(server: ServerThread) -> None:
    with pybit_session(server.url, return_response_headers=True) as session:
        answer, _elapsed, headers = session.get_wallet_balance(accountType="UNIFIED")
        assert answer["retCode"] == 0
        assert (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == ("50", "49")
        assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) == answer["time"] == int(headers["Timenow"])
