"""From executions to a guarded position, and from a position to a closed trade."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from your_short_trade_margin_call.domain.messages import Execution, Order, OrderRequest
from your_short_trade_margin_call.domain.trade_row import ClosedTrade
from your_short_trade_margin_call.domain.words import (
    BlockReason,
    ExecutionKind,
    ExitReason,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
    TargetSource,
)
from your_short_trade_margin_call.rules import position as rule
from your_short_trade_margin_call.rules.entry import after_trade, begin_day
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.terms import NO_PRICE, make_trial
from your_short_trade_margin_call.trading.commands import (
    AmendStop,
    Cancel,
    Command,
    Place,
    RecordBlocked,
    RecordEntry,
    RecordNote,
    RecordTrade,
    Refused,
    StopRefused,
)
from your_short_trade_margin_call.trading.ids import link_id, parse_link_id
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Flat, Open

Decision = tuple[EngineState, tuple[Command, ...]]

CLOSE_BURST = 10
"""Tries to close in a row before waiting for the next opening quote."""


def on_execution(context: Context, state: EngineState, execution: Execution) -> Decision:
    """Book one execution (the shell has made sure that it was not booked before)."""
    is_funding = execution.kind is ExecutionKind.FUNDING
    if isinstance(state.book, Entering) and state.book.filled_lots and (is_funding or execution.side is Side.BUY):
        return _complete_first(context, state, state.book, execution)
    # A fill counts where its candle opens; funding at midnight belongs to the new day.
    moment_ms = execution.time_ms if is_funding else execution.candle_ms
    state = replace(state, tally=begin_day(state.tally, state.wallet, moment_ms))
    if is_funding:
        return _on_funding(context, state, execution)
    if execution.side is Side.SELL:
        return _on_entry_fill(context, state, execution)
    return _on_exit_fill(context, state, execution)


def _complete_first(context: Context, state: EngineState, book: Entering, execution: Execution) -> Decision:
    """News of the short before the entry's end was heard: what has filled is the short."""
    state, guarding = _guard_entry(context, state, book)
    state, commands = on_execution(context, state, execution)
    if isinstance(state.book, Open):
        return state, guarding + commands
    return state, tuple(c for c in guarding if isinstance(c, RecordEntry)) + commands


def on_order(context: Context, state: EngineState, order: Order) -> Decision:
    """An order's status changed. Quantities come from executions; only an early end matters here."""
    book = state.book
    ended_early = order.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED)
    if isinstance(book, Entering) and order.link_id == book.request.link_id and ended_early:
        if order.filled_lots > book.filled_lots:  # executions still to come: book those, not the status
            return replace(state, book=replace(book, expected_lots=order.filled_lots)), ()
        if book.filled_lots:
            return _guard_entry(context, state, book)
        reason = BlockReason.ORDER_REJECTED if order.status is OrderStatus.REJECTED else BlockReason.EXCHANGE_ERROR
        return replace(state, book=Flat()), (RecordBlocked(book.wish.candle_ms, reason, order.reason),)
    if isinstance(book, Open) and order.link_id == book.close_id and ended_early:
        return _close_again(context, state, book, order.reason)
    if isinstance(book, Open) and order.link_id == book.target_id and ended_early:
        return replace(state, book=replace(book, needs_target=True)), ()
    return state, ()


def on_answer(context: Context, state: EngineState, answer: Refused | StopRefused) -> Decision:
    """The exchange said no."""
    if isinstance(answer, StopRefused):
        return _on_stop_refused(context, state, answer)
    return _on_refused(context, state, answer.request, answer.code, answer.message)


def _on_refused(context: Context, state: EngineState, request: OrderRequest, code: str, message: str) -> Decision:
    """An order of ours does not exist on the exchange."""
    book = state.book
    if isinstance(book, Entering) and request.link_id == book.request.link_id:
        reason = BlockReason(code) if code in set(BlockReason) else BlockReason.EXCHANGE_ERROR
        return replace(state, book=Flat()), (RecordBlocked(book.wish.candle_ms, reason, message),)
    note = RecordNote(state.time_ms, "order_refused", {"link_id": request.link_id, "code": code, "why": message})
    if isinstance(book, Open) and request.link_id == book.close_id:
        state, commands = _close_again(context, state, book, message)
        return state, (note, *commands)
    if isinstance(book, Open) and request.link_id == book.target_id:
        # The stop stands, so the short is guarded: once more at once, then at every opening quote.
        parsed = parse_link_id(request.link_id)
        if parsed is None or parsed[2] > 0:
            return replace(state, book=replace(book, needs_target=True)), (note,)
        state, again = place_target(context, state, book)
        return state, (note, *again)
    return state, (note,)


def _on_stop_refused(context: Context, state: EngineState, answer: StopRefused) -> Decision:
    """The stop could not be moved: without any stop the short is closed at once, else it is tried again."""
    detail = {"trigger_ticks": answer.trigger_ticks, "why": answer.message, "standing": answer.standing_ticks}
    note = RecordNote(state.time_ms, "stop_refused", detail)
    book = state.book
    standing = answer.standing_ticks
    if isinstance(book, Open) and standing is not None and standing < book.guards.liquidation:
        return replace(state, book=replace(book, stop_on_exchange=standing)), (note,)
    state, commands = close(context, state, ExitReason.CLOSED)
    return state, (note, *commands)


def on_opening(context: Context, state: EngineState, candle_ms: int) -> Decision:
    """The first quote of a candle: close what must be closed, and repair what is missing."""
    book = state.book
    if not isinstance(book, Open):
        return state, ()
    max_hold_ms = book.params.max_hold_ms
    if book.close_wanted is not None:
        return close(context, state, book.close_wanted)
    if max_hold_ms is not None and candle_ms - book.candle_ms >= max_hold_ms:
        return close(context, state, ExitReason.MAX_HOLD)
    if state.flatten:
        return close(context, state, ExitReason.CLOSED)
    book, amend = _amended(book)
    state, target = place_target(context, state, book) if book.needs_target else (replace(state, book=book), ())
    return state, amend + target


def place_target(context: Context, state: EngineState, book: Open) -> Decision:
    """Ask for the target under the next attempt's id."""
    parsed = parse_link_id(book.target_id)
    attempt = parsed[2] + 1 if parsed else 0
    name = link_id(context.symbol, book.candle_ms, Purpose.TARGET, attempt)
    book = replace(book, target_id=name, needs_target=False)
    return replace(state, book=book), (Place(target_request(book), {}),)


def on_flatten(context: Context, state: EngineState) -> Decision:
    """The trader's wishes changed: `flatten` closes what is open."""
    return close(context, state, ExitReason.CLOSED) if state.flatten else (state, ())


def close(context: Context, state: EngineState, reason: ExitReason) -> Decision:
    """Buy back all that is open, at market, reduce-only; nothing when flat or already closing."""
    book = state.book
    if not isinstance(book, Open) or book.close_id is not None:
        return state, ()
    request = OrderRequest(
        link_id=link_id(context.symbol, book.candle_ms, Purpose.CLOSE, book.close_attempts),
        purpose=Purpose.CLOSE,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        lots=book.lots,
        reduce_only=True,
    )
    book = replace(book, close_id=request.link_id, close_wanted=reason, close_attempts=book.close_attempts + 1)
    return replace(state, book=book), (Place(request, {"reason": str(reason)}),)


def _close_again(context: Context, state: EngineState, book: Open, why: str) -> Decision:
    """A close that ended unfilled is repeated until flat: in a burst, then at every opening quote."""
    state = replace(state, book=replace(book, close_id=None))
    if book.close_attempts % CLOSE_BURST:
        return close(context, state, book.close_wanted or ExitReason.CLOSED)
    note = RecordNote(state.time_ms, "close_failed", {"attempts": book.close_attempts, "why": why})
    return replace(state, halted="a position could not be closed"), (note,)


def _on_entry_fill(context: Context, state: EngineState, execution: Execution) -> Decision:
    book = state.book
    if not isinstance(book, Entering) or execution.link_id != book.request.link_id:
        return _foreign(state, execution)
    book = replace(
        book,
        filled_lots=book.filled_lots + execution.lots,
        entry_ticks=rule.average_entry(book.filled_lots, book.entry_ticks, execution.lots, execution.price_ticks),
        fees=book.fees + execution.fee_usdt,
    )
    state = replace(state, book=book, wallet=state.wallet - execution.fee_usdt)
    return _guard_entry(context, state, book) if book.filled_lots >= book.expected_lots else (state, ())


def _foreign(state: EngineState, execution: Execution) -> Decision:
    """An execution that no order of ours explains: no entry until a restart finds the account in order."""
    detail = {"exec_id": execution.exec_id, "side": int(execution.side), "lots": execution.lots}
    note = RecordNote(execution.time_ms, "foreign_execution", detail)
    return replace(state, halted="somebody else trades this account"), (note,)


def _guard_entry(context: Context, state: EngineState, book: Entering) -> Decision:
    """The entry is complete: the exact stop first, then the target, then the news."""
    trial = make_trial(book.wish.params)
    entry = book.entry_ticks
    leverage = book.request.leverage or context.terms.leverage
    levels = Levels(0.0, book.wish.highest_low, book.wish.lowest_high)
    target = rule.choose_target(context.terms, trial, levels, entry)
    guards = rule.guards_of(
        context.contract, context.terms, book.filled_lots, entry, leverage, 0.0, trial.stop_loss_pct
    )
    opened = Open(
        candle_ms=book.candle_ms,
        params=book.wish.params,
        entered_lots=book.filled_lots,
        lots=book.filled_lots,
        entry_ticks=entry,
        leverage=leverage,
        entry_fee=book.fees,
        target=target,
        guards=guards,
        stop_on_exchange=book.request.attached_stop_ticks,
        target_id=link_id(context.symbol, book.candle_ms, Purpose.TARGET),
        pnl=-book.fees,
    )
    opened, amend = _amended(opened)
    state = replace(state, book=opened)
    news = RecordEntry(book.candle_ms, _entry_news(context, book, opened))
    guarding = (*amend, Place(target_request(opened), {}), news)
    if not state.flatten:
        return state, guarding
    state, closing = close(context, state, ExitReason.CLOSED)
    return state, guarding + closing


def target_request(book: Open) -> OrderRequest:
    """The target as a reduce-only limit buy for all that is open."""
    return OrderRequest(
        link_id=book.target_id,
        purpose=Purpose.TARGET,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        lots=book.lots,
        price_ticks=book.target.ticks,
        reduce_only=True,
    )


def _amended(book: Open) -> tuple[Open, tuple[Command, ...]]:
    """The command that moves the stop to where it belongs, if it is not there."""
    stop = None if book.guards.stop == NO_PRICE else book.guards.stop
    if stop is None or stop == book.stop_on_exchange:
        return book, ()
    return replace(book, stop_on_exchange=stop), (AmendStop(stop),)


def _on_funding(context: Context, state: EngineState, execution: Execution) -> Decision:
    book = state.book
    received = -execution.fee_usdt
    if not isinstance(book, Open):
        return replace(state, wallet=state.wallet + received), ()
    locked = rule.position_margin(
        context.contract, context.terms, book.lots, book.entry_ticks, book.leverage, book.extra_margin
    )
    taken = rule.margin_taken_by_funding(state.wallet, locked, received)
    book = replace(
        book, funding=book.funding + received, pnl=book.pnl + received, extra_margin=book.extra_margin - taken
    )
    state = replace(state, wallet=state.wallet + received)
    book, amend = _guarded(context, book) if taken > 0.0 else (book, ())
    return replace(state, book=book), amend


def _guarded(context: Context, book: Open) -> tuple[Open, tuple[Command, ...]]:
    """The short with its guards worked out anew, and the command that moves its stop there."""
    guards = rule.guards_of(
        context.contract,
        context.terms,
        book.lots,
        book.entry_ticks,
        book.leverage,
        book.extra_margin,
        make_trial(book.params).stop_loss_pct,
    )
    return _amended(replace(book, guards=guards))


def _on_exit_fill(context: Context, state: EngineState, execution: Execution) -> Decision:
    book = state.book
    if not isinstance(book, Open) or execution.lots > book.lots:
        return _foreign(state, execution)
    change = (
        rule.unrealized_pnl(context.contract, execution.lots, book.entry_ticks, execution.price_ticks)
        - execution.fee_usdt
    )
    left = book.lots - execution.lots
    book = replace(
        book,
        lots=left,
        extra_margin=book.extra_margin * left / book.lots if left else book.extra_margin,
        exit_fee=book.exit_fee + execution.fee_usdt,
        exit_value_ticks=book.exit_value_ticks + execution.lots * execution.price_ticks,
        pnl=book.pnl + change,
    )
    state = replace(state, wallet=state.wallet + change, book=book)
    if left:
        book, amend = _guarded(context, book)
        return replace(state, book=book), amend
    return _closed(context, state, book, execution)


def _closed(context: Context, state: EngineState, book: Open, execution: Execution) -> Decision:
    """The last lot is bought back: the trade is history."""
    reason = _reason(book, execution)
    row = trade_row(context, book, reason, execution.candle_ms, state.wallet)
    tally = after_trade(state.tally, state.wallet, book.pnl, execution.candle_ms + context.candle_ms)
    leftover = () if reason is ExitReason.TARGET else (Cancel(book.target_id),)
    return replace(state, book=Flat(), tally=tally), (*leftover, RecordTrade(row))


def _reason(book: Open, execution: Execution) -> ExitReason:
    if execution.kind is ExecutionKind.LIQUIDATION:
        return ExitReason.LIQUIDATION
    if execution.from_stop:
        return ExitReason.from_code(book.guards.stop_reason)
    parsed = parse_link_id(execution.link_id)
    if parsed is not None and parsed[1] is Purpose.TARGET:
        return ExitReason.TARGET
    return book.close_wanted or ExitReason.CLOSED


def trade_row(context: Context, book: Open, reason: ExitReason, exit_ms: int, wallet: float) -> dict[str, Any]:
    """A closed short as a trade row (the columns of a backtest's)."""
    margin_call = book.guards.margin_call
    closed = ClosedTrade(
        entry_time=book.candle_ms,
        exit_time=exit_ms,
        entry_ticks=book.entry_ticks,
        exit_ticks=book.exit_value_ticks / book.entered_lots,
        lots=book.entered_lots,
        leverage=book.leverage,
        target_ticks=book.target.ticks,
        target_source=TargetSource.from_code(book.target.source),
        liquidation_ticks=book.guards.liquidation,
        margin_call_ticks=None if margin_call == NO_PRICE else margin_call,
        entry_fee=book.entry_fee,
        exit_fee=book.exit_fee,
        funding=book.funding,
        pnl_value=book.pnl,
        exit_reason=reason,
        balance_after=wallet,
    )
    return closed.as_row(context.instrument, context.starting_balance)


def _entry_news(context: Context, entering: Entering, book: Open) -> dict[str, Any]:
    instrument = context.instrument
    stop = book.guards.stop
    return {
        "entry_price": instrument.price(book.entry_ticks),
        "quantity": instrument.quantity(book.lots),
        "leverage": book.leverage,
        "target_price": instrument.price(book.target.ticks),
        "target_source": str(TargetSource.from_code(book.target.source)),
        "stop_price": None if stop == NO_PRICE else instrument.price(stop),
        "liquidation_price": instrument.price(book.guards.liquidation),
        "leverage_clamped": entering.leverage_clamped,
        "quantity_clamped": entering.quantity_clamped,
    }
