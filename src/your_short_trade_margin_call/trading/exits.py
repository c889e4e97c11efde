"""What an open short needs of the exchange: its stop, its target, its close, and the end of any remainder."""

from __future__ import annotations

from dataclasses import replace

from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import BlockReason, ExitReason, OrderType, Purpose, Side
from your_short_trade_margin_call.rules import position as rule
from your_short_trade_margin_call.rules.terms import NO_PRICE, stop_loss_of
from your_short_trade_margin_call.trading.commands import AmendStop, Command, Mismatch, Place, RecordNote, StopRefused
from your_short_trade_margin_call.trading.ids import link_id, parse_link_id
from your_short_trade_margin_call.trading.state import (
    Context,
    EngineState,
    Entering,
    Flat,
    Halt,
    Open,
    Stray,
    with_halt,
)

Decision = tuple[EngineState, tuple[Command, ...]]

CLOSE_BURST = 5
"""Tries to close in a row before waiting: for the next opening quote, or for what the account shows."""
RESIDUAL_FROM = 100
"""Attempts of closes from here on are for remainders, beyond those of the trade's own closes."""


def on_opening(context: Context, state: EngineState, candle_ms: int) -> Decision:
    """The first quote of a candle: close what must be closed, and repair what is missing."""
    state, commands = _open_on_opening(context, state, candle_ms)
    state, more = close_residual(context, state)
    return state, commands + more


def _open_on_opening(context: Context, state: EngineState, candle_ms: int) -> Decision:
    book = state.book
    if not isinstance(book, Open):
        return state, ()
    max_hold_ms = book.params.max_hold_ms
    if book.close_wanted is not None:
        return close(context, state, book.close_wanted)
    if max_hold_ms is not None and candle_ms - book.candle_ms >= max_hold_ms:
        return close(context, state, ExitReason.MAX_HOLD)
    if must_close(context, state):
        return close(context, state, ExitReason.CLOSED)
    book, amend = amended(book)
    state, target = place_target(context, state, book) if book.needs_target else (state._replace(book=book), ())
    return state, amend + target


def must_close(context: Context, state: EngineState) -> bool:
    """Whether a short may not stay open: the trader said so, or its instrument is about to go."""
    is_going = BlockReason.INSTRUMENT_NOT_TRADING in state.conditions and context.close_when_not_trading
    return state.flatten or is_going


def close_if_due(context: Context, state: EngineState) -> Decision:
    """The trader's wishes or the conditions changed: a short that may not stay is closed."""
    return close(context, state, ExitReason.CLOSED) if must_close(context, state) else (state, ())


# ---- closing --------------------------------------------------------------------------------------


def close(context: Context, state: EngineState, reason: ExitReason) -> Decision:
    """Buy back all that is open, at market, reduce-only; nothing when flat or already closing."""
    book = state.book
    if not isinstance(book, Open) or book.close_id is not None:
        return state, ()
    name = link_id(context.symbol, book.candle_ms, Purpose.CLOSE, book.close_attempts)
    request = _buy_back(name, book.lots)
    book = replace(book, close_id=name, close_wanted=reason, close_attempts=book.close_attempts + 1)
    return state._replace(book=book), (Place(request, {"reason": str(reason)}),)


def close_again(context: Context, state: EngineState, book: Open, why: str) -> Decision:
    """A close that ended unfilled is repeated until flat: in a burst, then at every opening quote."""
    state = state._replace(book=replace(book, close_id=None))
    if book.close_attempts % CLOSE_BURST:
        return close(context, state, book.close_wanted or ExitReason.CLOSED)
    note = RecordNote(state.time_ms, str(Halt.CLOSE_FAILED), {"attempts": book.close_attempts, "why": why})
    return with_halt(state, Halt.CLOSE_FAILED, "a position could not be closed"), (note,)


def close_residual(context: Context, state: EngineState) -> Decision:
    """Buy back the remainder that nobody can explain, under an id of the trade it is most likely left from."""
    stray = state.stray
    if not stray.is_residual or stray.lots >= 0 or stray.close_id is not None:
        return state, ()
    candle_ms = state.last_entry_ms or 0
    name = link_id(context.symbol, candle_ms, Purpose.CLOSE, RESIDUAL_FROM + stray.close_attempts)
    stray = replace(stray, close_id=name, close_attempts=stray.close_attempts + 1)
    return state._replace(stray=stray), (Place(_buy_back(name, -stray.lots), {"reason": str(ExitReason.CLOSED)}),)


def residual_again(context: Context, state: EngineState) -> Decision:
    """The close of a remainder has ended, and the remainder is still there: the next try."""
    return close_residual(context, state._replace(stray=replace(state.stray, close_id=None)))


def on_mismatch(context: Context, state: EngineState, found: Mismatch) -> Decision:
    """What the exchange shows is the truth: entries stop, and all that is short and not somebody else's is closed."""
    extra = found.lots + state.short_lots
    unexplained = extra - state.stray.lots
    detail = {"exchange_lots": found.lots, "our_lots": -state.short_lots, "known_lots": state.stray.lots}
    note = RecordNote(found.time_ms, str(Halt.POSITION_MISMATCH), detail)
    if unexplained:
        attempts = state.stray.close_attempts
        stray = Stray(extra, found.entry_ticks, is_residual=unexplained < 0, close_attempts=attempts)
        state = state._replace(stray=stray if extra else Stray(close_attempts=attempts))
    state = with_halt(state, Halt.POSITION_MISMATCH, "the exchange's position was not the one our executions make")
    state, closing = close(context, state, ExitReason.CLOSED)
    state, more = close_residual(context, state)
    return state, (note, *closing, *more)


def _buy_back(name: str, lots: int) -> OrderRequest:
    return OrderRequest(name, Purpose.CLOSE, Side.BUY, OrderType.MARKET, lots, reduce_only=True)


# ---- target ---------------------------------------------------------------------------------------


def place_target(context: Context, state: EngineState, book: Open) -> Decision:
    """Ask for the target under the next attempt's id."""
    parsed = parse_link_id(book.target_id)
    attempt = parsed[2] + 1 if parsed else 0
    name = link_id(context.symbol, book.candle_ms, Purpose.TARGET, attempt)
    book = replace(book, target_id=name, needs_target=False)
    return state._replace(book=book), (Place(target_request(book), {}),)


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


# ---- stop -----------------------------------------------------------------------------------------


def on_stop_refused(context: Context, state: EngineState, answer: StopRefused) -> Decision:
    """The stop could not be moved: without any stop the short is closed at once, else it is tried again."""
    book, standing, stays = state.book, answer.standing_ticks, None
    if isinstance(book, Flat):  # the short was gone before its stop was moved: nothing to guard, nothing to tell
        return state, ()
    if isinstance(book, Open) and standing is not None and standing < book.guards.liquidation:
        stays = replace(book, stop_on_exchange=standing)
    detail = {
        "trigger_ticks": answer.trigger_ticks,
        "why": answer.message,
        "standing": standing,
        "closes": stays is None,
    }
    note = RecordNote(state.time_ms, "stop_refused", detail)
    if stays is not None:
        return state._replace(book=stays), (note,)
    state, commands = close(context, state, ExitReason.CLOSED)
    return state, (note, *commands)


def amended(book: Open) -> tuple[Open, tuple[Command, ...]]:
    """The command that moves the stop to where it belongs, if it is not there."""
    stop = None if book.guards.stop == NO_PRICE else book.guards.stop
    if stop is None or stop == book.stop_on_exchange:
        return book, ()
    return replace(book, stop_on_exchange=stop), (AmendStop(stop),)


def guarded(context: Context, book: Open) -> tuple[Open, tuple[Command, ...]]:
    """The short with its guards worked out anew, and the command that moves its stop there."""
    guards = rule.guards_of(
        context.contract,
        context.terms,
        book.lots,
        book.entry_ticks,
        book.leverage,
        book.extra_margin,
        stop_loss_of(book.params),
    )
    return amended(replace(book, guards=guards))


def wanted_stop(context: Context, state: EngineState) -> int | None:
    """The trigger of the stop that all of the short must have on the exchange; None when it needs none."""
    book = state.book
    if isinstance(book, Open):
        return None if book.guards.stop == NO_PRICE else book.guards.stop
    if not isinstance(book, Entering) or not book.filled_lots:
        return None
    if book.request.attached_stop_ticks is not None:
        return book.request.attached_stop_ticks
    leverage = book.request.leverage or context.terms.leverage
    stop_loss_pct = stop_loss_of(book.wish.params)
    guards = rule.guards_of(
        context.contract, context.terms, book.filled_lots, book.entry_ticks, leverage, 0.0, stop_loss_pct
    )
    return None if guards.stop == NO_PRICE else guards.stop
