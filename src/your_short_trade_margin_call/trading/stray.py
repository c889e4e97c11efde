"""Executions that no order of ours explains: what they do to the account, and to what it holds beside our short."""

from __future__ import annotations

from dataclasses import replace

from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.words import ExecutionKind, Side
from your_short_trade_margin_call.rules.position import average_entry, unrealized_pnl
from your_short_trade_margin_call.rules.terms import Contract
from your_short_trade_margin_call.trading.commands import Command, RecordNote
from your_short_trade_margin_call.trading.ids import parse_link_id
from your_short_trade_margin_call.trading.state import EngineState, Entering, Halt, Open, Stray, is_halted, with_halt

WHY = "somebody else trades this account"


def split_buy(state: EngineState, execution: Execution) -> tuple[int, int]:
    """How many lots of a purchase close our short, and how many close or make something else.

    A purchase under the id of our trade closes ours first; any other what is not ours first. What the venue closes
    (a stop over the whole position, a liquidation) covers both.
    """
    mine = state.book.lots if isinstance(state.book, Open) else 0
    foreign_short = max(0, -state.stray.lots)
    ours = min(execution.lots, mine)
    if not _is_of_our_trade(state, execution):
        ours = min(max(0, execution.lots - foreign_short), mine)
    return ours, execution.lots - ours


def part_of(execution: Execution, lots: int) -> Execution:
    """So many lots of an execution, with their share of its fee."""
    if lots == execution.lots:
        return execution
    return replace(execution, lots=lots, fee_usdt=execution.fee_usdt * lots / execution.lots)


def book_stray(contract: Contract, state: EngineState, execution: Execution) -> tuple[EngineState, tuple[Command, ...]]:
    """Book what is not ours: the wallet follows the account, entries stop, the trader is told."""
    change, stray = _booked(contract, state.stray, execution)
    if execution.side is Side.SELL and parse_link_id(execution.link_id):
        stray = replace(stray, is_residual=True)  # an entry of ours, given up for lost: it is bought back
    state = state._replace(wallet=state.wallet + change, stray=stray)
    if execution.link_id and execution.link_id == state.stray.close_id:
        return state, ()
    detail = {"exec_id": execution.exec_id, "side": int(execution.side), "lots": execution.lots}
    note = RecordNote(execution.time_ms, "foreign_execution", detail)
    if is_halted(state, Halt.FOREIGN_ORDER):
        return state, (note,)
    told = RecordNote(execution.time_ms, str(Halt.FOREIGN_ORDER), {"why": WHY})
    return with_halt(state, Halt.FOREIGN_ORDER, WHY), (note, told)


def unaccounted_lots(state: EngineState, execution: Execution) -> int:
    """Lots that only others can have traded: bought beyond every short we know of, or sold out of such a long."""
    if execution.kind is ExecutionKind.FUNDING:
        return 0
    if execution.side is Side.BUY:
        return max(0, execution.lots - state.short_lots - max(0, -state.stray.lots))
    is_our_entry = isinstance(state.book, Entering) and execution.link_id == state.book.request.link_id
    return 0 if is_our_entry else min(execution.lots, max(0, state.stray.lots))


def _booked(contract: Contract, stray: Stray, execution: Execution) -> tuple[float, Stray]:
    """The wallet's change and what is held afterwards: same direction averages, opposite direction realises."""
    signed = int(execution.side) * execution.lots
    if not stray.lots or (signed > 0) == (stray.lots > 0):
        entry = average_entry(abs(stray.lots), stray.entry_ticks, execution.lots, execution.price_ticks)
        return -execution.fee_usdt, replace(stray, lots=stray.lots + signed, entry_ticks=entry)
    closed = min(execution.lots, abs(stray.lots))
    profit = unrealized_pnl(contract, closed, stray.entry_ticks, execution.price_ticks)
    left = stray.lots + signed
    entry = stray.entry_ticks if abs(stray.lots) > execution.lots else execution.price_ticks
    return (profit if stray.lots < 0 else -profit) - execution.fee_usdt, _with_lots(stray, left, entry)


def _with_lots(stray: Stray, lots: int, entry_ticks: float) -> Stray:
    if lots:
        return replace(stray, lots=lots, entry_ticks=entry_ticks, is_residual=stray.is_residual and lots < 0)
    return Stray(close_id=stray.close_id, close_attempts=stray.close_attempts)


def _is_of_our_trade(state: EngineState, execution: Execution) -> bool:
    book, parsed = state.book, parse_link_id(execution.link_id)
    if not isinstance(book, Open) or parsed is None or execution.link_id == state.stray.close_id:
        return False
    return parsed[0] == book.candle_ms
