"""Rows about our account as orders, executions and positions; and the private stream, however it stammers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bybit.fake_bybit import STEP, SYMBOL, T0
from your_short_trade_margin_call.adapters.bybit.account_rows import (
    execution_of,
    executions_of,
    is_attached_stop,
    order_from_executions,
    order_of,
    position_of,
)
from your_short_trade_margin_call.adapters.bybit.numbers import Grid
from your_short_trade_margin_call.adapters.bybit.private_feed import PrivateFeed
from your_short_trade_margin_call.adapters.bybit.wire import STREAM, ExecutionRow, OrderRow, PositionRow
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Execution, Order, PositionView
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, OrderType, Purpose, Side
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.trading.ids import link_id

GRID = Grid(find_instrument(SYMBOL))
ENTRY = link_id(SYMBOL, T0, Purpose.ENTRY)


def order_row(**other: Any) -> dict[str, Any]:
    return {
        "orderId": "o1",
        "orderLinkId": ENTRY,
        "symbol": SYMBOL,
        "side": "Sell",
        "qty": "0.010",
        "orderStatus": "Filled",
        "orderType": "Market",
        "price": "94942.5",
        "cumExecQty": "0.010",
        "stopOrderType": "UNKNOWN",
        "triggerPrice": "0.00",
        "reduceOnly": False,
        **other,
    }


def execution_row(**other: Any) -> dict[str, Any]:
    return {
        "execId": "x1",
        "orderLinkId": ENTRY,
        "symbol": SYMBOL,
        "side": "Sell",
        "execType": "Trade",
        "execQty": "0.010",
        "execPrice": "95000.1",
        "execFee": "0.52",
        "execTime": str(T0 + 400),
        "isMaker": False,
        **other,
    }


def position_row(**other: Any) -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "side": "Sell",
        "size": "0.010",
        "positionIdx": 0,
        "avgPrice": "95000.1",
        "leverage": "3",
        "liqPrice": "126000.55",
        "stopLoss": "122000.0",
        **other,
    }


def order(**other: Any) -> Order:
    return order_of(GRID, msgspec.convert(order_row(**other), OrderRow))


def execution(**other: Any) -> Execution:
    return execution_of(GRID, msgspec.convert(execution_row(**other), ExecutionRow), STEP)


def position(*rows: dict[str, Any]) -> PositionView | None:
    return position_of(GRID, [msgspec.convert(row, PositionRow) for row in rows], SYMBOL)


def test_a_market_order_has_no_price_of_its_own() -> None:
    """Bybit shows the bound of the price band there."""
    assert order() == Order("o1", ENTRY, Side.SELL, OrderType.MARKET, 10, 10, OrderStatus.FILLED)


def test_a_resting_target() -> None:
    shown = order(side="Buy", orderType="Limit", orderStatus="New", cumExecQty="", reduceOnly=True, price="90000.1")
    assert (shown.order_type, shown.price_ticks, shown.filled_lots) == (OrderType.LIMIT, 900_001, 0)
    assert shown.reduce_only


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("New", OrderStatus.NEW),
        ("PartiallyFilled", OrderStatus.PARTIALLY_FILLED),
        ("Untriggered", OrderStatus.UNTRIGGERED),
        ("Triggered", OrderStatus.NEW),
        ("Filled", OrderStatus.FILLED),
        ("Cancelled", OrderStatus.CANCELLED),
        ("PartiallyFilledCanceled", OrderStatus.CANCELLED),
        ("Deactivated", OrderStatus.CANCELLED),
        ("Rejected", OrderStatus.REJECTED),
        ("SomethingNew", OrderStatus.NEW),
    ],
)
def test_every_status_is_one_of_ours_and_an_unknown_one_concludes_nothing(word: str, status: OrderStatus) -> None:
    assert order(orderStatus=word).status is status


def test_why_an_order_ended_is_told_without_the_words_for_nothing() -> None:
    assert order(rejectReason="EC_NoError", cancelType="UNKNOWN").reason == ""
    assert order(rejectReason="EC_NoImmediateQtyToFill", cancelType="CancelByUser").reason == (
        "EC_NoImmediateQtyToFill, CancelByUser"
    )


def test_the_stop_of_the_position_is_nobody_elses() -> None:
    stop = order_row(
        orderLinkId="", stopOrderType="StopLoss", createType="CreateByStopLoss", orderStatus="Untriggered",
        triggerPrice="122000.0", side="Buy", cumExecQty="0",
    )  # fmt: skip
    row = msgspec.convert(stop, OrderRow)
    assert is_attached_stop(row)
    assert order_of(GRID, row).trigger_ticks == 1_220_000
    assert order_of(GRID, row).order_type is OrderType.STOP_MARKET
    assert not is_attached_stop(msgspec.convert(order_row(orderLinkId=""), OrderRow))
    somebodys = order_row(orderLinkId="", stopOrderType="Stop", createType="CreateByUser", orderStatus="Untriggered")
    assert not is_attached_stop(msgspec.convert(somebodys, OrderRow))
    for name in ("stopOrderType", "createType"):
        del stop[name]
    assert is_attached_stop(msgspec.convert(stop, OrderRow))


def test_a_fill_in_ticks_and_lots_at_the_candle_it_happened_in() -> None:
    assert execution() == Execution(
        "x1", ENTRY, ExecutionKind.TRADE, Side.SELL, 10, 950_001.0, 0.52, False, T0 + 400, T0
    )
    assert execution(execTime=str(T0 + STEP - 1)).candle_ms == T0
    assert execution(execTime=str(T0 + STEP)).candle_ms == T0 + STEP


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"execType": "Trade"}, ExecutionKind.TRADE),
        ({"execType": "Funding", "orderLinkId": ""}, ExecutionKind.FUNDING),
        ({"execType": "BustTrade", "orderLinkId": ""}, ExecutionKind.LIQUIDATION),
        ({"execType": "AdlTrade", "orderLinkId": ""}, ExecutionKind.ADL),
        ({"execType": "Settle", "orderLinkId": "", "closedSize": "0.010"}, ExecutionKind.ADL),
        ({"execType": "Delivery", "orderLinkId": ""}, ExecutionKind.ADL),
        ({"execType": "BlockTrade", "orderLinkId": "block"}, ExecutionKind.TRADE),
    ],
)
def test_every_type_of_execution_is_a_kind(fields: dict[str, Any], kind: ExecutionKind) -> None:
    assert execution(**fields).kind is kind


def test_funding_keeps_its_sign() -> None:
    assert execution(execType="Funding", execFee="-0.0872").fee_usdt == -0.0872


@pytest.mark.parametrize("fields", [{"stopOrderType": "StopLoss"}, {"createType": "CreateByStopLoss"}])
def test_a_fill_of_the_stop_is_known_as_one(fields: dict[str, str]) -> None:
    assert execution(side="Buy", orderLinkId="", **fields).from_stop
    assert not execution(stopOrderType="UNKNOWN", createType="CreateByUser").from_stop


def test_a_liquidation_may_settle_between_two_ticks() -> None:
    assert execution(execType="BustTrade", execPrice="126666.65").price_ticks == pytest.approx(1_266_666.5)


def test_a_quantity_that_is_no_lot_is_refused() -> None:
    with pytest.raises(ExchangeError, match="no multiple"):
        execution(execQty="0.0105")


def test_executions_come_once_oldest_first_and_only_of_this_pair() -> None:
    rows = [
        execution_row(execId="c", execTime=str(T0 + 2), seq=9),
        execution_row(execId="b", execTime=str(T0 + 2), seq=8),
        execution_row(execId="a", execTime=str(T0 + 1)),
        execution_row(execId="b", execTime=str(T0 + 2), seq=8),
        execution_row(execId="d", symbol="ETHUSDT"),
    ]
    found = executions_of(GRID, [msgspec.convert(row, ExecutionRow) for row in rows], SYMBOL, STEP)
    assert [each.exec_id for each in found] == ["a", "b", "c"]


def test_a_short_has_negative_lots_and_its_stop() -> None:
    assert position(position_row()) == PositionView(-10, 950_001.0, 3.0, pytest.approx(1_260_005.5), 1_220_000)


def test_a_position_without_stop_and_with_a_liquidation_beyond_all_prices() -> None:
    shown = position(position_row(stopLoss="0", liqPrice=""))
    assert shown is not None
    assert shown.stop_ticks is None
    assert shown.liquidation_ticks == math.inf


@pytest.mark.parametrize(
    "row", [position_row(side="", size="0"), position_row(side="None", size="0"), position_row(symbol="ETHUSDT")]
)
def test_flat_is_no_position(row: dict[str, Any]) -> None:
    assert position(row) is None
    assert position() is None


def test_a_flat_row_may_lack_almost_everything() -> None:
    assert position({"symbol": SYMBOL, "side": "", "size": "0"}) is None


def test_hedge_mode_is_refused() -> None:
    with pytest.raises(ExchangeError, match="hedge"):
        position(position_row(positionIdx=2))
    with pytest.raises(ExchangeError, match="hedge"):
        position(position_row(), position_row(side="Buy"))


def test_a_long_is_shown_as_what_it_is() -> None:
    shown = position(position_row(side="Buy"))
    assert shown is not None
    assert shown.lots == 10


def test_an_order_that_only_its_executions_remember() -> None:
    rows = [msgspec.convert(execution_row(execId=name, orderQty="0.030"), ExecutionRow) for name in ("a", "b", "b")]
    found = order_from_executions(GRID, ENTRY, rows)
    assert (found.lots, found.filled_lots, found.status) == (30, 20, OrderStatus.CANCELLED)
    whole = [msgspec.convert(execution_row(orderQty="0.010"), ExecutionRow)]
    assert order_from_executions(GRID, ENTRY, whole).status is OrderStatus.FILLED


# ---- the private stream ----------------------------------------------------------------------------


@dataclass
class Notes:
    orders: list[Order] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    leverages: list[float] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def on_order(self, order: Order) -> None:
        self.orders.append(order)

    def on_execution(self, execution: Execution) -> None:
        self.executions.append(execution)

    def on_leverage(self, leverage: float) -> None:
        self.leverages.append(leverage)

    def on_stranger(self, symbol: str) -> None:
        self.strangers.append(symbol)


def hear(*messages: dict[str, Any]) -> Notes:
    notes = Notes()
    feed = PrivateFeed(SYMBOL, GRID, STEP, notes)
    for message in messages:
        feed.take(STREAM.decode(msgspec.json.encode(message)))
    return notes


def said(topic: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"topic": topic, "creationTime": T0, "data": list(rows)}


def test_orders_executions_and_leverage_are_told() -> None:
    notes = hear(
        said("order", order_row(category="linear")),
        said("execution.linear", execution_row()),
        said("position", {"symbol": SYMBOL, "side": "", "size": "0", "leverage": "5"}),
        said("wallet", {"coin": []}),
    )
    assert [each.link_id for each in notes.orders] == [ENTRY]
    assert [each.exec_id for each in notes.executions] == ["x1"]
    assert notes.leverages == [5.0]


def test_other_pairs_and_categories_are_strangers() -> None:
    notes = hear(
        said("order", order_row(symbol="ETHUSDT"), order_row(category="spot")),
        said("execution", execution_row(symbol="ETHUSDT"), execution_row(category="spot")),
        said("position", position_row(symbol="ETHUSDT")),
    )
    assert notes == Notes(strangers=["ETHUSDT", SYMBOL, "ETHUSDT", SYMBOL])


OPTIONAL = ["orderLinkId", "isMaker"]


@pytest.mark.parametrize("missing", OPTIONAL)
def test_an_execution_may_lack_what_is_optional(missing: str) -> None:
    row = execution_row()
    del row[missing]
    assert len(hear(said("execution", row)).executions) == 1


ROWS = [
    execution_row(execId="e1", execQty="0.004", execTime=str(T0 + 1)),
    execution_row(execId="e2", execQty="0.006", execTime=str(T0 + 2)),
    execution_row(execId="f1", execType="Funding", orderLinkId="", execTime=str(T0 + STEP)),
    execution_row(execId="s1", side="Buy", orderLinkId="", stopOrderType="StopLoss", execTime=str(T0 + 2 * STEP)),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(ROWS), max_size=12), st.permutations(ROWS))
def test_however_messages_are_swapped_and_doubled_the_executions_are_the_same(
    extra: list[dict[str, Any]], order: list[dict[str, Any]]
) -> None:
    plain = hear(said("execution", *ROWS)).executions
    messages = [said("execution", row) for row in [*extra, *order, *extra]]
    heard = hear(*messages).executions
    assert len(heard) == len(ROWS)
    assert set(heard) == set(plain)
