"""What a simulated exchange tells, turned into the exchange's orders, books and stream rows.

The order in which rows leave: an order is New, its execution, then the order as it became. At a liquidation the
orders die first, then the venue takes the position over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from your_short_trade_margin_call.adapters.bybit_server.order_rows import stream_execution_row, stream_order_row
from your_short_trade_margin_call.adapters.bybit_server.orders import OrderRecord, OrderRegistry
from your_short_trade_margin_call.adapters.bybit_server.pair import exact_price, value_usdt
from your_short_trade_margin_call.adapters.bybit_server.pair_account import Attached, PairAccount
from your_short_trade_margin_call.adapters.bybit_server.statement import Booked, Statement
from your_short_trade_margin_call.domain.messages import Event, Executed, Execution, Order, OrderChanged
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, OrderType, Side

Telling = tuple[str, dict[str, Any]]
"""A topic and one row for it."""

LIQUIDATION = "liquidation"

_STATUS = {
    OrderStatus.NEW: "New",
    OrderStatus.UNTRIGGERED: "Untriggered",
    OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.REJECTED: "Rejected",
}
_ENDINGS = {
    "cancelled_by_trader": ("CancelByUser", "EC_PerCancelRequest"),
    "no_liquidity": ("UNKNOWN", "EC_NoImmediateQtyToFill"),
    "post_only": ("UNKNOWN", "EC_PostOnlyWillTakeLiquidity"),
    "position_closed": ("CancelByReduceOnly", "EC_PerCancelRequest"),
    "insufficient_balance": ("CancelByCannotAffordOrderCost", "EC_PerCancelRequest"),
    LIQUIDATION: ("CancelByPrepareLiq", "EC_PerCancelRequest"),
    "exchange_error": ("UNKNOWN", "EC_Others"),
}
"""Why an order ended: cancelType and rejectReason."""
_BY_VENUE = {
    ExecutionKind.LIQUIDATION: "CreateByTakeOver_PassThrough",
    ExecutionKind.ADL: "CreateByAdl_PassThrough",
}


@dataclass(slots=True)
class Ids:
    """Order and execution ids: made from the account's key and a counter, so the same run has the same ids."""

    key: str
    made: int = 0

    def next(self) -> str:
        """The next id."""
        self.made += 1
        return str(uuid5(NAMESPACE_OID, f"{self.key}:{self.made}"))


class Bookkeeper:
    """Keeps an account's orders and books up to date with its simulated exchanges.

    Args:
        ids: where ids come from.
        orders: the registry to keep.
        statement: the books to keep.
        now_ms: the server's time.
        starting_usdt: the wallet before anything was booked.
    """

    def __init__(
        self,
        ids: Ids,
        orders: OrderRegistry,
        statement: Statement,
        now_ms: Callable[[], int],
        starting_usdt: float,
    ) -> None:
        self._ids = ids
        self._orders = orders
        self._statement = statement
        self._now_ms = now_ms
        self.wallet_usdt = starting_usdt
        """The wallet as the executions booked so far explain it."""

    def digest(self, own: PairAccount, events: Sequence[Event]) -> list[Telling]:
        """Book events of a pair; returns what the streams have to say about them."""
        told: list[Telling] = []
        for event in _orders_die_first(events):
            if isinstance(event, OrderChanged):
                told += self._order_changed(own, event.order)
            elif isinstance(event, Executed):
                told += self._executed(own, event.execution)
        return told

    # ---- orders ---------------------------------------------------------------------------------

    def _order_changed(self, own: PairAccount, order: Order) -> list[Telling]:
        if order.link_id:
            record: OrderRecord | None = self._orders.by_sim(own.symbol, order.link_id)
        else:
            record = self._attached(own, order)
        if record is None:
            return []
        record.lots = max(order.lots, record.filled_lots)
        record.price_ticks = record.price_ticks if order.price_ticks is None else order.price_ticks
        record.trigger_ticks = order.trigger_ticks or record.trigger_ticks
        if order.filled_lots:
            own.stop.trigger_by = record.stop_loss.by or own.stop.trigger_by
            own.take_profit.trigger_by = record.take_profit.by or own.take_profit.trigger_by
        self._set_status(record, order)
        return [_order_row(own, record)]

    def _set_status(self, record: OrderRecord, order: Order) -> None:
        record.status, record.updated_ms = _STATUS[order.status], self._now_ms()
        if order.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED):
            record.cancel_type, record.reject_reason = _ENDINGS.get(order.reason, ("UNKNOWN", "EC_NoError"))
            if record.is_attached:
                record.cancel_type = "CancelByTpSlTsClear"
            elif record.is_stop and order.status is OrderStatus.CANCELLED:
                record.status = "Deactivated"
        if order.status.is_final:
            self._orders.close(record)

    def _attached(self, own: PairAccount, order: Order) -> OrderRecord | None:
        """The record of the position's own stop or take profit, made when it first appears."""
        attached = own.stop if order.order_type is OrderType.STOP_MARKET else own.take_profit
        record = attached.order
        if record is None or attached.sim_id != order.order_id:
            if order.status.is_final:
                return None
            record = self._new_attached(own, attached, order)
            attached.order, attached.sim_id = record, order.order_id
            self._orders.add(record)
        record.trigger_by = attached.trigger_by
        if order.status.is_final:
            attached.clear()
        return record

    def _new_attached(self, own: PairAccount, attached: Attached, order: Order) -> OrderRecord:
        return OrderRecord(
            self._ids.next(),
            own.symbol,
            Side.BUY,
            order.lots,
            self._now_ms(),
            reduce_only=True,
            close_on_trigger=True,
            create_type=f"CreateBy{attached.kind}",
            stop_order_type=attached.kind,
            trigger_ticks=order.trigger_ticks or 0,
            trigger_direction=attached.trigger_direction,
            last_price=exact_price(own.pair, own.pair.last_ticks),
        )

    # ---- executions -----------------------------------------------------------------------------

    def _executed(self, own: PairAccount, done: Execution) -> list[Telling]:
        known = own.booked.get(done.exec_id)
        if known is not None:  # told twice by the simulated exchange: say it twice, book it once
            return [("execution", stream_execution_row(known))]
        record = self._order_of(own, done)
        done = _not_before(done, record, own)
        before = [] if record is None else self._triggered(own, record)
        booked = self._book(own, record, done)
        own.booked[done.exec_id] = booked
        told = [*before, ("execution", stream_execution_row(booked))]
        if record is not None and done.kind in _BY_VENUE:
            record.status = "Filled"
            self._orders.close(record)
            told.append(_order_row(own, record))
        return told

    def _order_of(self, own: PairAccount, done: Execution) -> OrderRecord | None:
        if done.kind is ExecutionKind.FUNDING:
            return None
        if done.link_id:
            return self._orders.by_sim(own.symbol, done.link_id)
        attached = own.stop if done.from_stop else own.take_profit
        if done.kind is ExecutionKind.TRADE and attached.order is not None:
            return attached.order
        record = OrderRecord(
            self._ids.next(),
            own.symbol,
            done.side,
            done.lots,
            done.time_ms,
            price_ticks=done.price_ticks,
            reduce_only=True,
            close_on_trigger=True,
            create_type=_BY_VENUE[done.kind],
        )
        self._orders.add(record)
        return record

    def _triggered(self, own: PairAccount, record: OrderRecord) -> list[Telling]:
        """A stop says that it triggered before it fills."""
        if record.status != "Untriggered":
            return []
        record.status, record.updated_ms = "Triggered", self._now_ms()
        return [_order_row(own, record)]

    def _book(self, own: PairAccount, record: OrderRecord | None, done: Execution) -> Booked:
        change = own.sim.ledger[int(done.exec_id.partition("-")[2]) - 1].amount_usdt
        self.wallet_usdt += change
        cash_flow = 0.0
        if done.kind is ExecutionKind.FUNDING:
            own.story.realised(change, done.time_ms)
        elif done.side is Side.SELL:
            own.story.opened(done.lots, done.fee_usdt, done.time_ms)
        else:
            cash_flow = change + done.fee_usdt
        booked = Booked(
            number=len(self._statement.booked) + 1,
            exec_id=self._ids.next(),
            order_id=record.order_id if record else f"{done.time_ms // 1_000}-8-{own.symbol}-1-2",
            order=record,
            pair=own.pair,
            execution=done,
            fee_rate=self._fee_rate(own, done),
            mark_ticks=done.price_ticks if record is None else own.pair.mark_ticks,
            cash_flow_usdt=cash_flow,
            wallet_usdt=self.wallet_usdt,
            lots_after=own.story.lots - done.lots * (done.side is Side.BUY),
            leaves_lots=max(0, record.lots - record.filled_lots - done.lots) if record else 0,
        )
        self._statement.booked.append(booked)
        if record is not None:
            self._fill(own, record, booked, change)
        return booked

    def _fill(self, own: PairAccount, record: OrderRecord, booked: Booked, change_usdt: float) -> None:
        done = booked.execution
        value = value_usdt(own.pair, done.lots, done.price_ticks)
        record.filled_lots += done.lots
        record.value_usdt += value
        record.fee_usdt += done.fee_usdt
        record.updated_ms = done.time_ms
        if done.side is Side.SELL:
            return
        opening = own.story.closed(done.lots, change_usdt, done.time_ms)
        record.closed_pnl_usdt += change_usdt - opening
        position = own.last_position.get("leverage")
        leverage = float(position) if position else own.leverage
        row = self._statement.closing(record, own.pair, booked.exec_type, leverage, done.time_ms)
        row.lots += done.lots
        row.fills += 1
        row.exit_value += value
        row.entry_value += booked.cash_flow_usdt + value
        row.open_fee += opening
        row.close_fee += done.fee_usdt
        row.updated_ms = done.time_ms

    def _fee_rate(self, own: PairAccount, done: Execution) -> float:
        """Of a settlement: the market's rate as the short's side sees it, negative when it receives."""
        if done.kind is ExecutionKind.FUNDING:
            return 0.0 - own.funding_rate
        return own.sim.terms.maker_fee_rate if done.is_maker else own.sim.terms.taker_fee_rate


def _order_row(own: PairAccount, record: OrderRecord) -> Telling:
    return "order", stream_order_row(record, own.pair)


def _not_before(done: Execution, record: OrderRecord | None, own: PairAccount) -> Execution:
    """The fill, at the moment of its order where the price it got was set before: prices move in steps.

    A client that asks for executions since it sent its order would not find an older one.
    """
    if record is None or record.created_ms <= done.time_ms:
        return done
    moment_ms = record.created_ms if own.is_over else own.pair.market_ms(record.created_ms)
    return replace(done, time_ms=max(done.time_ms, moment_ms))


def _orders_die_first(events: Sequence[Event]) -> list[Event]:
    """At a liquidation, what it cancels goes before the execution."""
    for place, event in enumerate(events):
        if isinstance(event, Executed) and event.execution.kind is ExecutionKind.LIQUIDATION:
            rest = list(events[place:])
            dying = [e for e in rest if isinstance(e, OrderChanged) and e.order.reason == LIQUIDATION]
            return [*events[:place], *dying, *(e for e in rest if e not in dying)]
    return list(events)
