"""Starting and recovering are one path: the journal is folded into a state, then held against the exchange.

Pure: facts in, state and commands out. The shell asks the exchange the questions named here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import AccountView, Execution, Order, OrderRequest
from your_short_trade_margin_call.domain.words import ExitReason, Purpose
from your_short_trade_margin_call.rules.terms import NO_PRICE
from your_short_trade_margin_call.trading import exits
from your_short_trade_margin_call.trading.commands import AmendStop, Cancel, Command, Place, RecordTrade
from your_short_trade_margin_call.trading.entries import wish_from_dict
from your_short_trade_margin_call.trading.ids import parse_link_id
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Flat, Open

Intent = tuple[OrderRequest, int, str, str | None]


def fold_journal(
    context: Context, state: EngineState, intents: Sequence[Intent], executions: Sequence[Execution]
) -> tuple[EngineState, tuple[RecordTrade, ...]]:
    """The state that the booked executions lead to, and the trade rows on the way (to be written again)."""
    entries = by_link_id(intents)
    trades: list[RecordTrade] = []
    for execution in executions:
        state = with_intent(state, execution, entries)
        state = _with_closing(state, execution, entries)
        state, commands = exits.on_execution(context, state, execution)
        trades += [command for command in commands if isinstance(command, RecordTrade)]
    return _with_latest_close(state, intents), tuple(trades)


def by_link_id(intents: Sequence[Intent]) -> dict[str, tuple[OrderRequest, str]]:
    """Request and context of every intent, by the id of ours."""
    return {request.link_id: (request, text) for request, _, text, _ in intents}


def with_intent(state: EngineState, execution: Execution, intents: dict[str, tuple[OrderRequest, str]]) -> EngineState:
    """Before a fill of an entry of ours is booked: an entry given up for lost may have arrived after all."""
    parsed = parse_link_id(execution.link_id)
    if not isinstance(state.book, Flat) or parsed is None or parsed[1] is not Purpose.ENTRY:
        return state
    intent = intents.get(execution.link_id)
    return state if intent is None else replace(state, book=entering_from(*intent))


def entering_from(request: OrderRequest, context_text: str) -> Entering:
    """The entry that an intent in the journal speaks of."""
    data = json.loads(context_text)
    return Entering(
        request,
        wish_from_dict(data["wish"]),
        int(data["candle_ms"]),
        bool(data["leverage_clamped"]),
        bool(data["quantity_clamped"]),
        request.lots,
    )


def pending_entry(state: EngineState, intents: Sequence[Intent], executions: Sequence[Execution]) -> Entering | None:
    """The newest entry intent, when nothing was booked for it: what became of it only the exchange knows."""
    entries = [intent for intent in intents if intent[0].purpose is Purpose.ENTRY]
    if not entries or not isinstance(state.book, Flat):
        return None
    request, _, text, outcome = entries[-1]
    booked = any(execution.link_id == request.link_id for execution in executions)
    return None if booked or outcome == "refused" else entering_from(request, text)


def check_position(state: EngineState, account: AccountView) -> None:
    """Our position and the exchange's must be one, once every execution is booked.

    Raises:
        ExchangeError: they differ; nothing is traded on an unknown state.
    """
    theirs = account.position.lots if account.position is not None else 0
    book = state.book
    ours = -book.lots if isinstance(book, Open) else -book.filled_lots if isinstance(book, Entering) else 0
    if theirs != ours:
        raise ExchangeError(
            f"The exchange shows a position of {theirs} lots, the journal {ours}.",
            "Somebody else traded this account, or the journal is not of this account: close the difference "
            "by hand and start again.",
        )


def protect(
    context: Context, state: EngineState, account: AccountView, target: Order | None, closing: Order | None
) -> tuple[EngineState, tuple[Command, ...]]:
    """What an open short lacks on the exchange: its stop, its target, its running close.

    `target` and `closing` are the exchange's answers about the orders with those ids of ours.
    """
    book = state.book
    if not isinstance(book, Open) or account.position is None:
        return state, tuple(Cancel(order.link_id) for order in account.open_orders if parse_link_id(order.link_id))
    commands: list[Command] = []
    stop = None if book.guards.stop == NO_PRICE else book.guards.stop
    if stop is not None and account.position.stop_ticks != stop:
        commands.append(AmendStop(stop))
    book = replace(book, stop_on_exchange=stop)
    if target is None:  # the exchange never saw it: the same id
        commands.append(Place(exits.target_request(book), {}))
    state = replace(state, book=replace(book, needs_target=False))
    if target is not None and target.status.is_final and target.filled_lots < target.lots:
        state, placing = exits.place_target(context, state, book)
        commands += placing
    book = state.book
    if isinstance(book, Open) and book.close_id is not None and (closing is None or closing.status.is_final):
        attempts = book.close_attempts - (1 if closing is None else 0)
        reopened = replace(state, book=replace(book, close_id=None, close_attempts=attempts))
        state, again = exits.close(context, reopened, book.close_wanted or ExitReason.CLOSED)
        commands += again
    return state, tuple(commands)


def _with_closing(
    state: EngineState, execution: Execution, intents: dict[str, tuple[OrderRequest, str]]
) -> EngineState:
    """Before an execution of a close or a later target is booked: remember which order it belongs to."""
    parsed = parse_link_id(execution.link_id)
    if not isinstance(state.book, Open) or parsed is None:
        return state
    if parsed[1] is Purpose.TARGET:
        return replace(state, book=replace(state.book, target_id=execution.link_id))
    if parsed[1] is not Purpose.CLOSE or execution.link_id not in intents:
        return state
    return replace(state, book=_closing(state.book, *intents[execution.link_id]))


def _with_latest_close(state: EngineState, intents: Sequence[Intent]) -> EngineState:
    """The newest close and target intents of the short that is still open."""
    book = state.book
    for request, _, text, _ in intents:
        parsed = parse_link_id(request.link_id)
        if not isinstance(book, Open) or parsed is None or parsed[0] != book.candle_ms:
            continue
        if request.purpose is Purpose.CLOSE:
            book = _closing(book, request, text)
        elif request.purpose is Purpose.TARGET:
            book = replace(book, target_id=request.link_id)
    return replace(state, book=book)


def _closing(book: Open, request: OrderRequest, context_text: str) -> Open:
    parsed = parse_link_id(request.link_id)
    reason = ExitReason(json.loads(context_text)["reason"])
    attempts = 1 + (parsed[2] if parsed else 0)
    return replace(book, close_id=request.link_id, close_wanted=reason, close_attempts=attempts)
