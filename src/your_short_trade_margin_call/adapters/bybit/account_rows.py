"""Rows about our account as words of the domain: orders, executions, positions, in ticks and lots."""

from __future__ import annotations

import math
from collections.abc import Iterable

from your_short_trade_margin_call.adapters.bybit.numbers import Grid, float_of, int_of
from your_short_trade_margin_call.adapters.bybit.wire import ExecutionRow, OrderRow, PositionRow
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Execution, Order, PositionView
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, OrderType, Side

LINEAR = "linear"

_STATUSES = {
    "Created": OrderStatus.NEW,
    "New": OrderStatus.NEW,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Untriggered": OrderStatus.UNTRIGGERED,
    "Triggered": OrderStatus.NEW,
    "Active": OrderStatus.NEW,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "PartiallyFilledCanceled": OrderStatus.CANCELLED,
    "Deactivated": OrderStatus.CANCELLED,
    "Rejected": OrderStatus.REJECTED,
}
_KINDS = {
    "Trade": ExecutionKind.TRADE,
    "Funding": ExecutionKind.FUNDING,
    "BustTrade": ExecutionKind.LIQUIDATION,
    "AdlTrade": ExecutionKind.ADL,
}
_STOP_LOSS, _BY_STOP_LOSS = "StopLoss", "CreateByStopLoss"
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_NO_REASON = {"", "EC_NoError", "UNKNOWN"}


def is_attached_stop(row: OrderRow) -> bool:
    """Whether an order is the stop that belongs to the position: it has no id of ours, yet is nobody else's.

    A waiting order that does not say at all what it is and who made it counts as one.
    """
    by_exchange = row.stop_order_type == _STOP_LOSS or row.create_type == _BY_STOP_LOSS
    says_nothing = not row.stop_order_type and not row.create_type and row.order_status == "Untriggered"
    return not row.order_link_id and (by_exchange or says_nothing)


def order_of(grid: Grid, row: OrderRow) -> Order:
    """An order as the exchange shows it.

    A status we do not know counts as open: nothing is concluded from it.

    Raises:
        ExchangeError: a number cannot be read.
    """
    is_conditional = bool(row.stop_order_type) and row.stop_order_type != "UNKNOWN"
    is_limit = row.order_type == "Limit"
    kind = OrderType.STOP_MARKET if is_conditional else OrderType.LIMIT if is_limit else OrderType.MARKET
    return Order(
        order_id=row.order_id,
        link_id=row.order_link_id,
        side=_side(row.side),
        order_type=kind,
        lots=grid.lots(row.qty),
        filled_lots=grid.lots(row.cum_exec_qty),
        status=_STATUSES.get(row.order_status, OrderStatus.NEW),
        price_ticks=_price(grid, row.price) if kind is OrderType.LIMIT else None,
        trigger_ticks=_price(grid, row.trigger_price) if is_conditional else None,
        reduce_only=row.reduce_only or row.close_on_trigger,
        reason=_reason(row),
    )


def execution_of(grid: Grid, row: ExecutionRow, candle_ms: int) -> Execution:
    """A row of the execution list: a fill, a settlement (whose lots are no fill), or a take-over.

    Raises:
        ExchangeError: a number cannot be read.
    """
    time_ms = int_of(row.exec_time)
    return Execution(
        exec_id=row.exec_id,
        link_id=row.order_link_id,
        kind=_kind(grid, row),
        side=_side(row.side),
        lots=grid.lots(row.exec_qty),
        price_ticks=grid.ticks(row.exec_price),
        fee_usdt=float_of(row.exec_fee),
        is_maker=row.is_maker,
        time_ms=time_ms,
        candle_ms=time_ms - time_ms % candle_ms,
        from_stop=row.stop_order_type == _STOP_LOSS or row.create_type == _BY_STOP_LOSS,
    )


def executions_of(grid: Grid, rows: Iterable[ExecutionRow], symbol: str, candle_ms: int) -> tuple[Execution, ...]:
    """The executions of a pair, each once, oldest first.

    Raises:
        ExchangeError: a number cannot be read.
    """
    own = {row.exec_id: row for row in rows if row.symbol == symbol}
    in_order = sorted(own.values(), key=lambda row: (int_of(row.exec_time), row.seq, row.exec_id))
    return tuple(execution_of(grid, row, candle_ms) for row in in_order)


def position_of(grid: Grid, rows: Iterable[PositionRow], symbol: str) -> PositionView | None:
    """The open position of a pair; None when flat.

    Raises:
        ExchangeError: a number cannot be read, or the pair has a position in hedge mode.
    """
    held = [row for row in rows if row.symbol == symbol and row.side in _SIDES and grid.lots(row.size)]
    if not held:
        return None
    row = held[0]
    if len(held) > 1 or row.position_idx:
        raise ExchangeError(
            f"{symbol} has a position in hedge mode.", "Close it and switch the pair to one-way mode on Bybit."
        )
    return PositionView(
        lots=_SIDES[row.side] * grid.lots(row.size),
        entry_ticks=grid.ticks(row.entry_text),
        leverage=float_of(row.leverage),
        liquidation_ticks=_price_or_none(grid, row.liq_price, beyond=math.inf),
        stop_ticks=_price(grid, row.stop_loss),
    )


def order_from_executions(grid: Grid, link_id: str, rows: list[ExecutionRow]) -> Order:
    """An order that only its executions still speak of. What did not fill of it is gone.

    Raises:
        ExchangeError: a number cannot be read.
    """
    first = rows[0]
    filled = sum(grid.lots(row.exec_qty) for row in {row.exec_id: row for row in rows}.values())
    lots = max(filled, max(grid.lots(row.order_qty) for row in rows))
    return Order(
        order_id=first.order_id,
        link_id=link_id,
        side=_side(first.side),
        order_type=OrderType.LIMIT if first.order_type == "Limit" else OrderType.MARKET,
        lots=lots,
        filled_lots=filled,
        status=OrderStatus.FILLED if filled == lots else OrderStatus.CANCELLED,
    )


def _kind(grid: Grid, row: ExecutionRow) -> ExecutionKind:
    """Kinds we do not know end a position on the exchange's own account, if they close something."""
    known = _KINDS.get(row.exec_type)
    if known is not None:
        return known
    return ExecutionKind.ADL if grid.lots(row.closed_size) or not row.order_link_id else ExecutionKind.TRADE


def _side(text: str) -> Side:
    side = _SIDES.get(text)
    if side is None:
        raise ExchangeError(
            f"Bybit sent {text[:20]!r} where Buy or Sell belongs.", "Try again; if it stays, report it."
        )
    return side


def _price(grid: Grid, text: str) -> int | None:
    """A price in whole ticks; None when it is empty or 0, which is how Bybit says "none"."""
    return grid.whole_ticks(text) or None


def _price_or_none(grid: Grid, text: str, beyond: float) -> float:
    """A price in ticks; `beyond` when the exchange shows none."""
    return (grid.ticks(text) if text else 0.0) or beyond


def _reason(row: OrderRow) -> str:
    reasons = [text for text in (row.reject_reason, row.cancel_type) if text not in _NO_REASON]
    return ", ".join(reasons)
