"""Executions become a guarded short, and a short becomes a closed trade: what is booked, and what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.trade_row import ClosedTrade
from your_short_trade_margin_call.domain.words import ExecutionKind, ExitReason, Purpose, Side, TargetSource
from your_short_trade_margin_call.rules import position as rule
from your_short_trade_margin_call.rules.entry import after_trade, begin_day
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.terms import NO_PRICE, make_trial
from your_short_trade_margin_call.trading import exits
from your_short_trade_margin_call.trading.commands import Cancel, Command, Place, RecordEntry, RecordNote, RecordTrade
from your_short_trade_margin_call.trading.ids import link_id, parse_link_id
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Flat, Open
from your_short_trade_margin_call.trading.stray import book_stray, part_of, split_buy

Decision = tuple[EngineState, tuple[Command, ...]]


def on_execution(context: Context, state: EngineState, execution: Execution) -> Decision:
    """Book one execution (the shell has made sure that it was not booked before)."""
    is_funding = execution.kind is ExecutionKind.FUNDING
    is_purchase = not is_funding and execution.side is Side.BUY
    if isinstance(state.book, Entering) and state.book.filled_lots and is_purchase:
        return _complete_first(context, state, state.book, execution)
    # A fill counts where its candle opens; funding at midnight belongs to the new day.
    moment_ms = execution.time_ms if is_funding else execution.candle_ms
    state = state._replace(tally=begin_day(state.tally, state.wallet, moment_ms))
    if is_funding:
        return _on_funding(context, state, execution)
    if execution.side is Side.SELL:
        return _on_sale(context, state, execution)
    return _on_purchase(context, state, execution)


def _complete_first(context: Context, state: EngineState, book: Entering, execution: Execution) -> Decision:
    """A purchase before the entry's end was heard: what has filled is the short."""
    state, guarding = guard_entry(context, state, book)
    state, commands = on_execution(context, state, execution)
    if isinstance(state.book, Open):
        return state, guarding + commands
    return state, tuple(c for c in guarding if isinstance(c, RecordEntry)) + commands


# ---- in -------------------------------------------------------------------------------------------


def _on_sale(context: Context, state: EngineState, execution: Execution) -> Decision:
    book = state.book
    if not isinstance(book, Entering) or execution.link_id != book.request.link_id:
        return book_stray(context.contract, state, execution)
    book = replace(
        book,
        filled_lots=book.filled_lots + execution.lots,
        entry_ticks=rule.average_entry(book.filled_lots, book.entry_ticks, execution.lots, execution.price_ticks),
        fees=book.fees + execution.fee_usdt,
    )
    state = state._replace(book=book, wallet=state.wallet - execution.fee_usdt, last_entry_ms=book.candle_ms)
    return guard_entry(context, state, book) if book.filled_lots >= book.expected_lots else (state, ())


def guard_entry(context: Context, state: EngineState, book: Entering) -> Decision:
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
        funding=book.funding,
        pnl=book.funding - book.fees,
    )
    opened, amend = exits.amended(opened)
    state = state._replace(book=opened)
    news = RecordEntry(book.candle_ms, _entry_news(context, book, opened))
    state, closing = exits.close_if_due(context, state)
    return state, (*amend, Place(exits.target_request(opened), {}), news, *closing)


# ---- meanwhile ------------------------------------------------------------------------------------


def _on_funding(context: Context, state: EngineState, execution: Execution) -> Decision:
    book = state.book
    received = -execution.fee_usdt
    if isinstance(book, Entering) and book.filled_lots:  # more of it may fill yet: the short is not complete by this
        state = state._replace(book=replace(book, funding=book.funding + received))
    if not isinstance(book, Open):
        return state._replace(wallet=state.wallet + received), ()
    locked = rule.position_margin(
        context.contract, context.terms, book.lots, book.entry_ticks, book.leverage, book.extra_margin
    )
    taken = rule.margin_taken_by_funding(state.wallet, locked, received)
    book = replace(
        book, funding=book.funding + received, pnl=book.pnl + received, extra_margin=book.extra_margin - taken
    )
    state = state._replace(wallet=state.wallet + received)
    book, amend = exits.guarded(context, book) if taken > 0.0 else (book, ())
    return state._replace(book=book), amend


# ---- out ------------------------------------------------------------------------------------------


def _on_purchase(context: Context, state: EngineState, execution: Execution) -> Decision:
    ours, others = split_buy(state, execution)
    commands: tuple[Command, ...] = ()
    if ours:
        state, commands = _on_exit_fill(context, state, part_of(execution, ours))
    if others:
        state, more = book_stray(context.contract, state, part_of(execution, others))
        commands += more
    return state, commands


def _on_exit_fill(context: Context, state: EngineState, execution: Execution) -> Decision:
    book = state.book
    if not isinstance(book, Open):
        return state, ()
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
    state = state._replace(wallet=state.wallet + change, book=book)
    news = _news_of_others(execution)
    if left:
        book, amend = exits.guarded(context, book)
        return state._replace(book=book), (*amend, *news)
    state, commands = _closed(context, state, book, execution)
    return state, commands + news


def _news_of_others(execution: Execution) -> tuple[RecordNote, ...]:
    """What the trader must be told: the short was bought back, and not by an order of ours."""
    if execution.from_stop or execution.kind is ExecutionKind.LIQUIDATION or parse_link_id(execution.link_id):
        return ()
    detail = {"exec_id": execution.exec_id, "kind": str(execution.kind), "lots": execution.lots}
    return (RecordNote(execution.time_ms, "closed_by_others", detail),)


def _closed(context: Context, state: EngineState, book: Open, execution: Execution) -> Decision:
    """The last lot is bought back: the trade is history."""
    reason = _reason(book, execution)
    row = trade_row(context, book, reason, execution.candle_ms, state.wallet)
    tally = after_trade(state.tally, state.wallet, book.pnl, execution.candle_ms + context.candle_ms)
    leftover = () if reason is ExitReason.TARGET else (Cancel(book.target_id),)
    return state._replace(book=Flat(), tally=tally), (*leftover, RecordTrade(row))


def _reason(book: Open, execution: Execution) -> ExitReason:
    if execution.kind is ExecutionKind.LIQUIDATION:
        return ExitReason.LIQUIDATION
    if execution.from_stop:
        return ExitReason.from_code(book.guards.stop_reason)
    parsed = parse_link_id(execution.link_id)
    if parsed is None:  # by hand, by the venue (ADL, settlement)
        return ExitReason.CLOSED
    if parsed[1] is Purpose.TARGET:
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
