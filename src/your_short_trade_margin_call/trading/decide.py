"""The engine as a pure function: an event in; a new state, commands and records out.

No clock, no disk, no network, no luck. The async shell (`live_trading_engine.py`) reads an event,
calls `decide`, writes intents and records down, and only then acts.
"""

from __future__ import annotations

import numpy as np

from your_short_trade_margin_call.domain.messages import (
    Candle,
    CandleClosed,
    ConditionChanged,
    ControlsChanged,
    Event,
    Executed,
    MarketEnded,
    OrderChanged,
    ParametersAdopted,
    QuoteArrived,
    StreamLost,
    StreamRestored,
)
from your_short_trade_margin_call.domain.words import BlockReason, ExitReason
from your_short_trade_margin_call.rules import signal
from your_short_trade_margin_call.rules.interpreted import uncompiled
from your_short_trade_margin_call.rules.position import unrealized_pnl
from your_short_trade_margin_call.rules.signal import Levels, levels_before
from your_short_trade_margin_call.trading import answers, bookings, entries, exits
from your_short_trade_margin_call.trading.commands import (
    Answer,
    Command,
    Mismatch,
    RecordBlocked,
    RecordEquity,
    RecordNote,
    RecordSignal,
    Refused,
    StopRefused,
    Trouble,
)
from your_short_trade_margin_call.trading.sanity import nonsense
from your_short_trade_margin_call.trading.state import Context, EngineState, Flat, Open, Wish

is_failed_peak = uncompiled(signal.is_failed_peak)

Decision = tuple[EngineState, tuple[Command, ...]]


def decide(context: Context, state: EngineState, event: Event | Answer) -> Decision:
    """What to do about one event; one with impossible numbers is noted and ignored."""
    if why := nonsense(event):
        return state, (RecordNote(state.time_ms, "nonsense_ignored", {"why": why}),)
    match event:
        case CandleClosed(candle):
            return _on_candle(context, state, candle)
        case QuoteArrived():
            return _on_quote(context, state, event)
        case MarketEnded(time_ms):
            return exits.close(context, state._replace(wish=None, time_ms=time_ms), ExitReason.END_OF_DATA)
        case Executed(execution):
            return bookings.on_execution(context, state, execution)
        case OrderChanged(order):
            return answers.on_order(context, state, order)
        case Refused() | StopRefused() | Trouble() | Mismatch():
            return answers.on_answer(context, state, event)
        case _:
            return _on_news(context, state, event)


def _on_news(
    context: Context,
    state: EngineState,
    event: ParametersAdopted | ControlsChanged | ConditionChanged | StreamLost | StreamRestored,
) -> Decision:
    """What is neither market nor account: parameters, the trader's wishes, the line."""
    match event:
        case ParametersAdopted(time_ms, params, has_edge):
            note = RecordNote(time_ms, "adopted", {"has_edge": has_edge})
            return state._replace(params=params, has_edge=has_edge, adopted_ms=time_ms), (note,)
        case ControlsChanged(_, paused, flatten):
            return exits.close_if_due(context, state._replace(paused=paused, flatten=flatten))
        case ConditionChanged():
            return _on_condition(context, state, event)
        case StreamLost(time_ms):
            return state._replace(connected=False), (RecordNote(time_ms, "stream_lost", {}),)
        case StreamRestored(time_ms):
            return state._replace(connected=True), (RecordNote(time_ms, "stream_restored", {}),)


def _on_condition(context: Context, state: EngineState, event: ConditionChanged) -> Decision:
    """Told once when it begins and once when it ends; a short whose instrument is about to go is closed."""
    if (event.condition in state.conditions) is event.is_on:
        return state, ()
    change = {event.condition}
    conditions = state.conditions | change if event.is_on else state.conditions - change
    note = RecordNote(
        event.time_ms, "condition", {"condition": str(event.condition), "is_on": event.is_on, "why": event.why}
    )
    state, closing = exits.close_if_due(context, state._replace(conditions=conditions))
    return state, (note, *closing)


def equity_of(context: Context, state: EngineState) -> float:
    """Wallet plus the open position's profit at the last price, in USDT."""
    if not isinstance(state.book, Open):
        return state.wallet
    return state.wallet + unrealized_pnl(context.contract, state.book.lots, state.book.entry_ticks, state.price_ticks)


def candles_kept(context: Context, state: EngineState) -> int:
    """How many candles the window must hold."""
    return max(context.keep_candles, state.params.highest_high_lookback + 2 if state.params else 0)


def find_wish(context: Context, state: EngineState) -> Wish | None:
    """The signal at the close of the newest candle of the window, if there is one.

    Needs lookback + 1 candles without a gap, and a close after the parameters were adopted.
    """
    if state.params is None:
        return None
    lookback = state.params.highest_high_lookback
    recent = state.window[-lookback - 1 :]
    last = recent[-1]
    if last.open_time_ms + context.candle_ms <= state.adopted_ms:
        return None
    if len(recent) <= lookback or last.open_time_ms - recent[0].open_time_ms != lookback * context.candle_ms:
        return None
    levels = _levels(recent, lookback)
    if not is_failed_peak(last.open, last.high, last.close, levels.highest_high):
        return None
    return Wish(last.open_time_ms, state.params, levels.highest_low, levels.lowest_high, _known_block(state))


def _levels(recent: tuple[Candle, ...], lookback: int) -> Levels:
    high = np.array([candle.high for candle in recent])
    low = np.array([candle.low for candle in recent])
    return levels_before(high, low, lookback, lookback)


def _known_block(state: EngineState) -> str | None:
    if not isinstance(state.book, Flat):
        return BlockReason.POSITION_OPEN
    if state.halted:
        return BlockReason.EXCHANGE_ERROR
    if state.paused or state.flatten:
        return BlockReason.PAUSED
    return None if state.has_edge else BlockReason.NO_EDGE


def _on_candle(context: Context, state: EngineState, candle: Candle) -> Decision:
    if state.window and candle.open_time_ms <= state.window[-1].open_time_ms:
        return state, ()  # a duplicate or a late one: the window already has it
    missed = _missed_quote(state)
    window = (*state.window[1 - candles_kept(context, state) :], candle)
    state = state._replace(
        window=window, wish=None, price_ticks=candle.close, time_ms=candle.open_time_ms + context.candle_ms
    )
    wish = find_wish(context, state)
    equity = RecordEquity(candle.open_time_ms, state.wallet, equity_of(context, state))
    if wish is None:
        return state, (*missed, equity)
    return state._replace(wish=wish), (*missed, RecordSignal(wish.candle_ms, entries.wish_as_dict(wish)), equity)


def _missed_quote(state: EngineState) -> tuple[Command, ...]:
    """A wish is still waiting at the next close: its opening quote never came."""
    if state.wish is None:
        return ()
    return (RecordBlocked(state.wish.candle_ms, BlockReason.STREAM_GAP, "its opening quote never came"),)


def _on_quote(context: Context, state: EngineState, quote: QuoteArrived) -> Decision:
    state = state._replace(time_ms=quote.time_ms, price_ticks=quote.mid_ticks)
    if quote.opens_candle_ms is None:
        return state, ()
    state, commands = exits.on_opening(context, state, quote.opens_candle_ms)
    state, more = entries.on_opening(context, state, quote)
    return state, commands + more
