"""The exchange's state as JSON-able values, and back: what a restart of a paper account reads."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from msgspec import to_builtins

from your_short_trade_margin_call.domain.errors import ArtefactError, BrokenInvariantError
from your_short_trade_margin_call.domain.messages import (
    Event,
    Executed,
    Execution,
    Order,
    OrderChanged,
    StreamLost,
    StreamRestored,
)
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, OrderType, Side
from your_short_trade_margin_call.exchange.book import (
    Book,
    Booking,
    BookingKind,
    Moment,
    PlacedOrder,
    Position,
    Quote,
)
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.outbox import Outbox
from your_short_trade_margin_call.rules.terms import Contract

VERSION = 1


@dataclass(frozen=True, slots=True)
class LoadedState:
    """A state, read."""

    candle_ms: int
    time_ms: int
    ended: bool
    writes: int
    outage_left: int
    funding_settled_ms: int
    book: Book
    outbox: Outbox
    quote: Quote | None
    last_close: Quote | None


def dump_state(
    contract: Contract, book: Book, outbox: Outbox, quote: Quote | None, last_close: Quote | None
) -> dict[str, Any]:
    """Book, outbox and market as plain dictionaries, lists, strings and numbers."""
    return {
        "version": VERSION,
        "tick_size": contract.tick_size,
        "lot_size": contract.lot_size,
        "quote": _dump_quote(quote),
        "last_close": _dump_quote(last_close),
        "starting_usdt": book.starting_usdt,
        "wallet_usdt": book.wallet_usdt,
        "overdrawn_usdt": book.overdrawn_usdt,
        "orders_made": book.orders_made,
        "position": to_builtins(book.position) if book.position else None,
        "open_orders": [to_builtins(placed) for placed in book.open_orders.values()],
        "closed_orders": [to_builtins(order) for order in book.closed_orders.values()],
        "executions": [to_builtins(execution) for execution in book.executions],
        "ledger": [[row.time_ms, row.kind.value, row.amount_usdt] for row in book.ledger],
        "connected": outbox.connected,
        "pushed": outbox.pushed,
        "armed": outbox.armed.value if outbox.armed else None,
        "events": [[type(event).__name__, to_builtins(event)] for event in outbox.events],
    }


def load_state(state: dict[str, Any], contract: Contract, faults: FaultPlan) -> LoadedState:
    """Read what `dump_state` wrote.

    Raises:
        ArtefactError: it cannot be read, is of another version, or of another instrument.
    """
    try:
        if state["version"] != VERSION:
            raise ArtefactError(f"The paper account is of version {state['version']}.", f"This is version {VERSION}.")
        if (state["tick_size"], state["lot_size"]) != (contract.tick_size, contract.lot_size):
            raise ArtefactError("The paper account is of another instrument.", "Its tick or lot differs.")
        return LoadedState(
            candle_ms=int(state["candle_ms"]),
            time_ms=int(state["time_ms"]),
            ended=bool(state["ended"]),
            writes=int(state["writes"]),
            outage_left=int(state["outage_left"]),
            funding_settled_ms=int(state["funding_settled_ms"]),
            book=_load_book(state),
            outbox=_load_outbox(state, faults),
            quote=_load_quote(state["quote"]),
            last_close=_load_quote(state["last_close"]),
        )
    except (KeyError, TypeError, ValueError, BrokenInvariantError) as error:
        raise ArtefactError(f"The paper account cannot be read: {error!r}.", "Restore or remove it.") from error


def _load_book(state: dict[str, Any]) -> Book:
    ledger = [Booking(time_ms, BookingKind(kind), amount) for time_ms, kind, amount in state["ledger"]]
    placed = [PlacedOrder(**{**row, "order": _order(row["order"])}) for row in state["open_orders"]]
    closed = [_order(row) for row in state["closed_orders"]]
    return Book(
        starting_usdt=float(state["starting_usdt"]),
        wallet_usdt=float(state["wallet_usdt"]),
        position=_position(state["position"]),
        open_orders={row.order.link_id: row for row in placed},
        closed_orders={row.link_id: row for row in closed},
        executions=[_execution(row) for row in state["executions"]],
        ledger=ledger,
        orders_made=int(state["orders_made"]),
        overdrawn_usdt=float(state["overdrawn_usdt"]),
        booked=sum((Fraction(row.amount_usdt) for row in ledger), Fraction(0)),
    )


def _load_outbox(state: dict[str, Any], faults: FaultPlan) -> Outbox:
    outbox = Outbox(faults)
    outbox.connected = state["connected"]
    outbox.pushed = state["pushed"]
    outbox.armed = Fault(state["armed"]) if state["armed"] else None
    outbox.events = [_event(name, fields) for name, fields in state["events"]]
    return outbox


def _event(name: str, fields: dict[str, Any]) -> Event:
    if name == OrderChanged.__name__:
        return OrderChanged(_order(fields["order"]))
    if name == Executed.__name__:
        return Executed(_execution(fields["execution"]))
    return StreamLost(**fields) if name == StreamLost.__name__ else StreamRestored(**fields)


def _order(row: dict[str, Any]) -> Order:
    words = {
        "side": Side(row["side"]),
        "order_type": OrderType(row["order_type"]),
        "status": OrderStatus(row["status"]),
    }
    return Order(**{**row, **words})


def _execution(row: dict[str, Any]) -> Execution:
    return Execution(**{**row, "side": Side(row["side"]), "kind": ExecutionKind(row["kind"])})


def _position(row: dict[str, Any] | None) -> Position | None:
    if row is None:
        return None
    attached = {name: _order(row[name]) if row.get(name) else None for name in ("stop", "take_profit")}
    return Position(**{**row, **attached})


def _dump_quote(quote: Quote | None) -> list[float] | None:
    return None if quote is None else [*quote.moment, quote.mid_ticks, quote.mark_ticks]


def _load_quote(row: list[float] | None) -> Quote | None:
    if row is None:
        return None
    time_ms, candle_ms, mid_ticks, mark_ticks = row
    return Quote(Moment(int(time_ms), int(candle_ms)), mid_ticks, mark_ticks)
