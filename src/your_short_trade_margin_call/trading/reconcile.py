"""Starting and recovering are one path: the journal is folded into a state, then held against the exchange.

Pure: facts in, state and commands out. The shell asks the exchange the questions named here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from your_short_trade_margin_call.domain.messages import AccountView, Execution, Order, OrderRequest
from your_short_trade_margin_call.domain.words import ExecutionKind, ExitReason, Purpose, Side
from your_short_trade_margin_call.rules.terms import NO_PRICE
from your_short_trade_margin_call.trading import bookings, exits
from your_short_trade_margin_call.trading.commands import AmendStop, Cancel, Command, Place, RecordTrade
from your_short_trade_margin_call.trading.entries import wish_from_dict
from your_short_trade_margin_call.trading.ids import is_ours, parse_link_id
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
        state, commands = bookings.on_execution(context, state, execution)
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
    return state if intent is None else state._replace(book=entering_from(*intent))


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


def lots_of(account: AccountView) -> int:
    """The exchange's position in signed lots, 0 when flat."""
    return account.position.lots if account.position is not None else 0


def agrees(state: EngineState, account: AccountView) -> bool:
    """Whether our short and what else we know the account to hold make the exchange's position."""
    return lots_of(account) == state.stray.lots - state.short_lots


def with_wallet(state: EngineState, wallet_usdt: float) -> EngineState:
    """The exchange's wallet instead of ours; the loss limits count from the same distance as before."""
    drift, tally = wallet_usdt - state.wallet, state.tally
    tally = tally._replace(day_start_wallet=tally.day_start_wallet + drift, peak_wallet=tally.peak_wallet + drift)
    return state._replace(wallet=wallet_usdt, tally=tally)


def inferred_purchase(context: Context, state: EngineState, account: AccountView) -> Execution | None:
    """The purchase that must have happened when the exchange is less short than our executions make it.

    No execution tells of it, so its price is the one that makes our wallet the exchange's; where that is no
    sensible price, the last one. None when nothing of our short is gone.
    """
    missing = lots_of(account) - (state.stray.lots - state.short_lots)
    gone = min(state.short_lots, missing)
    if gone <= 0 or not isinstance(state.book, Entering | Open):
        return None
    entry = state.book.entry_ticks
    usdt_per_tick = gone * context.contract.lot_size * context.contract.tick_size
    price = entry - (account.wallet_usdt - state.wallet) / usdt_per_tick
    last = state.price_ticks or entry
    if not 0.5 * last < price < 2.0 * last:
        price = last
    time_ms = max(account.time_ms, state.time_ms)
    return Execution(
        exec_id=f"inferred-{time_ms}-{gone}",
        link_id="",
        kind=ExecutionKind.TRADE,
        side=Side.BUY,
        lots=gone,
        price_ticks=price,
        fee_usdt=0.0,
        is_maker=False,
        time_ms=time_ms,
        candle_ms=time_ms - time_ms % context.candle_ms,
    )


def protect(
    context: Context, state: EngineState, account: AccountView, target: Order | None, closing: Order | None
) -> tuple[EngineState, tuple[Command, ...]]:
    """What an open short lacks on the exchange: its stop, its target, its running close.

    `target` and `closing` are the exchange's answers about the orders with those ids of ours.
    """
    book = state.book
    leftovers = leftover_orders(context, state, account)
    if not isinstance(book, Open) or account.position is None:
        return state, leftovers
    commands: list[Command] = [*leftovers]
    stop = None if book.guards.stop == NO_PRICE else book.guards.stop
    if stop is not None and account.position.stop_ticks != stop:
        commands.append(AmendStop(stop))
    book = replace(book, stop_on_exchange=stop)
    if target is None:  # the exchange never saw it: the same id
        commands.append(Place(exits.target_request(book), {}))
    state = state._replace(book=replace(book, needs_target=False))
    if target is not None and target.status.is_final and target.filled_lots < target.lots:
        state, placing = exits.place_target(context, state, book)
        commands += placing
    book = state.book
    has_ended = isinstance(book, Open) and book.close_id is not None and (closing is None or closing.status.is_final)
    if isinstance(book, Open) and book.close_wanted is not None and (has_ended or book.close_id is None):
        attempts = book.close_attempts - (1 if has_ended and closing is None else 0)
        reopened = state._replace(book=replace(book, close_id=None, close_attempts=attempts))
        state, again = exits.close(context, reopened, book.close_wanted)
        commands += again
    return state, tuple(commands)


def leftover_orders(context: Context, state: EngineState, account: AccountView) -> tuple[Cancel, ...]:
    """Orders of ours that rest and belong to nothing that is open: given up for lost, or of a trade that is over."""
    book, wanted = state.book, {state.stray.close_id}
    if isinstance(book, Entering):
        wanted.add(book.request.link_id)
    elif isinstance(book, Open):
        wanted |= {book.target_id, book.close_id}
    ids = (order.link_id for order in account.open_orders)
    return tuple(Cancel(link) for link in ids if link not in wanted and is_ours(context.symbol, link))


def _with_closing(
    state: EngineState, execution: Execution, intents: dict[str, tuple[OrderRequest, str]]
) -> EngineState:
    """Before an execution of a close or a later target is booked: remember which order it belongs to."""
    parsed = parse_link_id(execution.link_id)
    if not isinstance(state.book, Open) or parsed is None:
        return state
    if parsed[1] is Purpose.TARGET:
        return state._replace(book=replace(state.book, target_id=execution.link_id))
    if parsed[1] is not Purpose.CLOSE or execution.link_id not in intents or parsed[2] >= exits.RESIDUAL_FROM:
        return state
    return state._replace(book=_closing(state.book, *intents[execution.link_id]))


def _with_latest_close(state: EngineState, intents: Sequence[Intent]) -> EngineState:
    """The newest close and target intents of the short that is still open."""
    book = state.book
    for request, _, text, _ in intents:
        parsed = parse_link_id(request.link_id)
        if parsed is not None and parsed[1] is Purpose.CLOSE and parsed[2] >= exits.RESIDUAL_FROM:
            used = replace(state.stray, close_attempts=parsed[2] + 1 - exits.RESIDUAL_FROM)
            state = state._replace(stray=used)
            continue
        if not isinstance(book, Open) or parsed is None or parsed[0] != book.candle_ms:
            continue
        if request.purpose is Purpose.CLOSE:
            book = _closing(book, request, text)
        elif request.purpose is Purpose.TARGET:
            book = replace(book, target_id=request.link_id)
    return state._replace(book=book)


def _closing(book: Open, request: OrderRequest, context_text: str) -> Open:
    parsed = parse_link_id(request.link_id)
    reason = ExitReason(json.loads(context_text)["reason"])
    attempts = 1 + (parsed[2] if parsed else 0)
    return replace(book, close_id=request.link_id, close_wanted=reason, close_attempts=attempts)
