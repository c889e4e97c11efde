"""What the exchange says about our orders: an early end, a refusal."""

from __future__ import annotations

from dataclasses import replace

from your_short_trade_margin_call.domain.messages import Order, OrderRequest
from your_short_trade_margin_call.domain.words import BlockReason, OrderStatus
from your_short_trade_margin_call.trading.bookings import guard_entry
from your_short_trade_margin_call.trading.commands import (
    Answer,
    Command,
    Mismatch,
    RecordBlocked,
    RecordNote,
    StopRefused,
    Trouble,
)
from your_short_trade_margin_call.trading.exits import close_again, on_mismatch, on_stop_refused, place_target
from your_short_trade_margin_call.trading.ids import parse_link_id
from your_short_trade_margin_call.trading.state import (
    Context,
    EngineState,
    Entering,
    Flat,
    Open,
    is_halted,
    with_halt,
    without_halts,
)

Decision = tuple[EngineState, tuple[Command, ...]]


def on_order(context: Context, state: EngineState, order: Order) -> Decision:
    """An order's status changed. Quantities come from executions; only an early end matters here."""
    book = state.book
    ended_early = order.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED)
    if not ended_early or not order.link_id:
        return state, ()
    if order.link_id == state.stray.close_id:
        return state._replace(stray=replace(state.stray, close_id=None)), ()
    if isinstance(book, Entering) and order.link_id == book.request.link_id:
        return _on_entry_ended(context, state, book, order)
    if isinstance(book, Open) and order.link_id == book.close_id:
        return close_again(context, state, book, order.reason)
    if isinstance(book, Open) and order.link_id == book.target_id:
        return state._replace(book=replace(book, needs_target=True)), ()
    return state, ()


def _on_entry_ended(context: Context, state: EngineState, book: Entering, order: Order) -> Decision:
    if order.filled_lots > book.filled_lots:  # executions still to come: book those, not the status
        return state._replace(book=replace(book, expected_lots=order.filled_lots)), ()
    if book.filled_lots:
        return guard_entry(context, state, book)
    reason = BlockReason.ORDER_REJECTED if order.status is OrderStatus.REJECTED else BlockReason.EXCHANGE_ERROR
    return state._replace(book=Flat()), (RecordBlocked(book.wish.candle_ms, reason, order.reason),)


def on_answer(context: Context, state: EngineState, answer: Answer) -> Decision:
    """The exchange said no, or something about it changed."""
    match answer:
        case StopRefused():
            return on_stop_refused(context, state, answer)
        case Trouble():
            return _on_trouble(state, answer)
        case Mismatch():
            return on_mismatch(context, state, answer)
        case _:
            return _on_refused(context, state, answer.request, answer.code, answer.message)


def _on_trouble(state: EngineState, trouble: Trouble) -> Decision:
    """The trader is told once when it begins and once when it is over."""
    known = is_halted(state, trouble.kind)
    if trouble.is_on:
        note = RecordNote(trouble.time_ms, str(trouble.kind), {"why": trouble.why})
        return with_halt(state, trouble.kind, trouble.why), () if known else (note,)
    if not known:
        return state, ()
    state = without_halts(state, trouble.kind)
    note = RecordNote(trouble.time_ms, "halt_over", {"was": str(trouble.kind), "still": state.halted})
    return state, (note,)


def _on_refused(context: Context, state: EngineState, request: OrderRequest, code: str, message: str) -> Decision:
    """An order of ours does not exist on the exchange."""
    book = state.book
    if isinstance(book, Entering) and request.link_id == book.request.link_id:
        if book.filled_lots:
            return guard_entry(context, state, book)
        reason = BlockReason(code) if code in set(BlockReason) else BlockReason.EXCHANGE_ERROR
        return state._replace(book=Flat()), (RecordBlocked(book.wish.candle_ms, reason, message),)
    note = RecordNote(state.time_ms, "order_refused", {"link_id": request.link_id, "code": code, "why": message})
    if request.link_id == state.stray.close_id:
        return state._replace(stray=replace(state.stray, close_id=None)), (note,)
    if isinstance(book, Open) and request.link_id == book.close_id:
        state, commands = close_again(context, state, book, message)
        return state, (note, *commands)
    if isinstance(book, Open) and request.link_id == book.target_id:
        # The stop stands, so the short is guarded: once more at once, then at every opening quote.
        parsed = parse_link_id(request.link_id)
        if parsed is None or parsed[2] > 0:
            return state._replace(book=replace(book, needs_target=True)), (note,)
        state, again = place_target(context, state, book)
        return state, (note, *again)
    return state, (note,)
