"""Orders and executions in the exchange's shapes, for requests and for streams."""

from __future__ import annotations

from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text
from your_short_trade_margin_call.adapters.bybit_server.orders import OrderRecord
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair, exact_price, value_usdt
from your_short_trade_margin_call.adapters.bybit_server.statement import Booked, ClosedPnl, side_text
from your_short_trade_margin_call.domain.words import ExecutionKind, Side

CATEGORY = "linear"
COIN = "USDT"
UNKNOWN = "UNKNOWN"

Row = dict[str, Any]


def order_row(record: OrderRecord, pair: Pair) -> Row:
    """An order of order/realtime; what `Bybit` leaves empty for a linear contract is empty."""
    leaves = record.lots - record.filled_lots if record.is_open else 0
    return {
        "orderId": record.order_id,
        "orderLinkId": record.link_id,
        "blockTradeId": "",
        "symbol": record.symbol,
        "price": exact_price(pair, record.price_ticks),
        "qty": pair.qty_text(record.lots),
        "side": side_text(record.side),
        "isLeverage": "",
        "positionIdx": 0,
        "orderStatus": record.status,
        "cancelType": record.cancel_type,
        "rejectReason": record.reject_reason,
        **_filled(record, pair, leaves),
        "timeInForce": record.time_in_force,
        "orderType": record.order_type,
        "stopOrderType": record.stop_order_type,
        "orderIv": "",
        **_triggers(record, pair),
        "lastPriceOnCreated": record.last_price,
        "reduceOnly": record.reduce_only,
        "closeOnTrigger": record.close_on_trigger,
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpslMode": "Full" if record.stop_loss.ticks or record.take_profit.ticks or record.is_attached else "",
        "tpLimitPrice": "0",
        "slLimitPrice": "0",
        "placeType": "",
        "createdTime": str(record.created_ms),
        "updatedTime": str(record.updated_ms),
        "createType": record.create_type,
        "parentOrderLinkId": "",
        "cumFeeDetail": {COIN: number_text(record.fee_usdt)} if record.filled_lots else {},
    }


def history_row(record: OrderRecord, pair: Pair) -> Row:
    """An order of order/history."""
    return order_row(record, pair) | {
        "slippageToleranceType": UNKNOWN,
        "slippageTolerance": "",
        "extraFees": "",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
    }


def stream_order_row(record: OrderRecord, pair: Pair) -> Row:
    """An order as the stream tells it."""
    row = order_row(record, pair)
    del row["parentOrderLinkId"]
    return row | {
        "tpslMode": row["tpslMode"] or UNKNOWN,
        "category": CATEGORY,
        "closedPnl": number_text(record.closed_pnl_usdt),
        "feeCurrency": COIN if record.filled_lots else "",
        "marketUnit": "",
        "slippageTolerance": "0",
        "slippageToleranceType": UNKNOWN,
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
    }


def execution_row(booked: Booked) -> Row:
    """An execution of execution/list; funding rows have no order, and the whole position as quantity."""
    done, pair, order = booked.execution, booked.pair, booked.order
    return {
        "symbol": pair.symbol,
        "orderType": order.order_type if order else UNKNOWN,
        "underlyingPrice": "",
        "orderLinkId": order.link_id if order else "",
        "side": booked.side_text,
        "indexPrice": "",
        "orderId": booked.order_id,
        "stopOrderType": (order.stop_order_type if order else "") or UNKNOWN,
        "leavesQty": pair.qty_text(booked.leaves_lots),
        "execTime": str(done.time_ms),
        "feeCurrency": COIN,
        "isMaker": done.is_maker,
        "execFee": number_text(done.fee_usdt),
        "feeRate": number_text(booked.fee_rate),
        "execId": booked.exec_id,
        "tradeIv": "",
        "blockTradeId": "",
        "markPrice": exact_price(pair, booked.mark_ticks),
        "execPrice": booked.price,
        "markIv": "",
        "orderQty": pair.qty_text(order.lots if order else done.lots),
        "orderPrice": exact_price(pair, order.price_ticks) if order else "0",
        "execValue": number_text(value_usdt(pair, done.lots, done.price_ticks)),
        "execType": booked.exec_type,
        "execQty": pair.qty_text(done.lots),
        "closedSize": pair.qty_text(done.lots if _closes(booked) else 0),
        "extraFees": "",
        "seq": booked.number,
        "createType": order.create_type if order else "",
    }


def stream_execution_row(booked: Booked) -> Row:
    """An execution as the stream tells it."""
    return execution_row(booked) | {
        "category": CATEGORY,
        "isLeverage": "0",
        "marketUnit": "",
        "execPnl": number_text(booked.cash_flow_usdt),
        "extraFees": [],
    }


_FAST = (
    *("category", "symbol", "execId", "execPrice", "execQty"),
    *("orderId", "isMaker", "orderLinkId", "side", "execTime", "seq"),
)


def fast_execution_row(row: Row) -> Row:
    """What `execution.fast` tells of a trade's stream row; a maker's order has no id of the client's there."""
    fast = {name: row[name] for name in _FAST}
    return fast | ({"orderLinkId": ""} if row["isMaker"] else {})


def log_row(booked: Booked, log_type: str, user_id: int) -> Row:
    """A row of the transaction log: change = cash flow + funding - fee, funding with the sign of the wallet."""
    done, pair, order = booked.execution, booked.pair, booked.order
    is_funding = booked.kind is ExecutionKind.FUNDING
    return {
        "transSubType": "",
        "id": f"{user_id}_{pair.symbol}_{booked.number}",
        "symbol": pair.symbol,
        "side": booked.side_text,
        "funding": number_text(booked.funding) if is_funding else "",
        "orderLinkId": order.link_id if order else "",
        "orderId": booked.order_id,
        "fee": number_text(booked.fee),
        "change": number_text(booked.change),
        "cashFlow": number_text(booked.cash_flow),
        "transactionTime": str(done.time_ms),
        "type": log_type,
        "feeRate": number_text(booked.fee_rate),
        "bonusChange": "",
        "size": pair.qty_text(booked.lots_after),
        "qty": pair.qty_text(done.lots),
        "cashBalance": number_text(booked.wallet_usdt),
        "currency": COIN,
        "category": CATEGORY,
        "tradePrice": booked.price,
        "tradeId": booked.exec_id,
        "extraFees": "",
    }


def closed_pnl_row(row: ClosedPnl) -> Row:
    """A row of closed-pnl; its side is that of the closing order."""
    order, pair = row.order, row.pair
    size = row.lots * pair.contract.lot_size
    return {
        "symbol": pair.symbol,
        "orderType": order.order_type,
        "leverage": number_text(row.leverage),
        "updatedTime": str(row.updated_ms),
        "side": side_text(order.side),
        "orderId": order.order_id,
        "closedPnl": number_text(row.pnl_usdt),
        "avgEntryPrice": number_text(row.entry_value / size),
        "qty": pair.qty_text(order.lots),
        "cumEntryValue": number_text(row.entry_value),
        "createdTime": str(row.created_ms),
        "orderPrice": exact_price(pair, order.price_ticks),
        "closedSize": pair.qty_text(row.lots),
        "avgExitPrice": number_text(row.exit_value / size),
        "execType": row.exec_type,
        "fillCount": str(row.fills),
        "cumExitValue": number_text(row.exit_value),
        "openFee": number_text(row.open_fee),
        "closeFee": number_text(row.close_fee),
    }


def _filled(record: OrderRecord, pair: Pair, leaves: int) -> Row:
    filled = record.filled_lots * pair.contract.lot_size
    return {
        "avgPrice": number_text(record.value_usdt / filled) if filled else "",
        "leavesQty": pair.qty_text(leaves),
        "leavesValue": number_text(value_usdt(pair, leaves, record.price_ticks)),
        "cumExecQty": pair.qty_text(record.filled_lots),
        "cumExecValue": number_text(record.value_usdt),
        "cumExecFee": number_text(record.fee_usdt),
    }


def _triggers(record: OrderRecord, pair: Pair) -> Row:
    """What is not there is empty: a unified account answers so; clients whose words are an enumeration insist on it."""
    return {
        "triggerPrice": _trigger_price(record.trigger_ticks, pair),
        "takeProfit": _trigger_price(record.take_profit.ticks, pair),
        "stopLoss": _trigger_price(record.stop_loss.ticks, pair),
        "tpTriggerBy": record.take_profit.by,
        "slTriggerBy": record.stop_loss.by,
        "triggerDirection": record.trigger_direction,
        "triggerBy": record.trigger_by,
    }


def _trigger_price(ticks: float, pair: Pair) -> str:
    return exact_price(pair, ticks) if ticks else ""


def _closes(booked: Booked) -> bool:
    return booked.kind is not ExecutionKind.FUNDING and booked.execution.side is Side.BUY
