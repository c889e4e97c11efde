"""Watches a trading engine and tells the person at the screen: a line for every event, and the live line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.main_engine import Optimization
from your_short_trade_margin_call.reporting import events
from your_short_trade_margin_call.reporting.engine_notes import engine_note_line
from your_short_trade_margin_call.reporting.live_line import Now, PositionNow, live_line
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.sheets import params_text
from your_short_trade_margin_call.rules.position import unrealized_pnl
from your_short_trade_margin_call.rules.terms import NO_PRICE
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.decide import equity_of
from your_short_trade_margin_call.trading.state import Context, EngineState, Flat, Open

PLAIN_EVERY_S = 15.0
"""How often a log without a live line gets a line about the state of things, in real seconds."""


@dataclass
class Desk:
    """What a watcher needs besides the screen. `next_due` looks the next optimisation up (UTC ms)."""

    context: Context
    next_due: Callable[[], int | None]
    stopwatch_s: Callable[[], float]


class TradingWatcher:
    """Implements `live_trading_engine.Observer`; also told of optimisations and problems.

    A defect in here never stops the engine; a closed pipe does (the reader has gone).
    """

    def __init__(self, screen: Screen, desk: Desk) -> None:
        self._screen = screen
        self._desk = desk
        self._decimals = desk.context.instrument.price_decimals
        self._made_pct: float | None = None
        self._due_ms: int | None = None
        self._told_s = desk.stopwatch_s()
        self._state: EngineState | None = None

    # ---- what the engine tells ---------------------------------------------------------------------

    def recorded(self, record: c.Record, state: EngineState) -> None:
        """Print the record, if a person should see it."""
        self._state = state
        self._guarded(lambda: self._tell(self._line_of(record, state)))

    def moved(self, state: EngineState) -> None:
        """Remember the state; without a live line, print it now and then."""
        self._state = state
        if not self._screen.console.is_interactive and self._is_time():
            self._guarded(lambda: self._screen.show(self.live()))

    def optimized(self, optimization: Optimization) -> None:
        """An optimisation finished; its adoption follows as a record."""
        self._made_pct = optimization.document["results"]["pnl_pct"]
        self.look_up_next()
        for note in optimization.notes:
            self.problem(note)

    def problem(self, text: str) -> None:
        """Something went wrong beside the engine."""
        self.look_up_next()
        time_ms = self._state.time_ms if self._state else 0
        self._guarded(lambda: self._tell(events.problem_line(time_ms, text)))

    def look_up_next(self) -> None:
        """Look up when the next optimisation is due."""
        self._due_ms = self._desk.next_due()

    # ---- what is asked of it -----------------------------------------------------------------------

    def live(self) -> RenderableType:
        """The live line for the last state; empty before there is one."""
        try:
            now = self.now()
        except Exception as error:  # it is asked by a thread of the screen's, which must live on
            return Text(f"(the live line cannot be shown: {error!r})")
        return Text("waiting for the first candle") if now is None else live_line(now)

    def now(self) -> Now | None:
        """Where things stand; None before the first candle."""
        state, context = self._state, self._desk.context
        if state is None or not state.window:
            return None
        instrument = context.instrument
        return Now(
            symbol=context.symbol,
            time_ms=state.time_ms or state.window[-1].open_time_ms + context.candle_ms,
            price=instrument.price(state.price_ticks),
            decimals=self._decimals,
            to_peak_pct=_to_peak_pct(state),
            position=position_now(context, state),
            equity=equity_of(context, state),
            starting_balance=context.starting_balance,
            next_optimization_ms=self._due_ms,
            halted=_halted(state),
        )

    # ---- how ---------------------------------------------------------------------------------------

    def _line_of(self, record: c.Record, state: EngineState) -> events.EventLine | None:
        match record:
            case c.RecordEntry(time_ms, detail):
                return events.entry_line(time_ms, detail, self._decimals)
            case c.RecordTrade(row):
                return events.exit_line(row, self._decimals)
            case c.RecordBlocked(candle_ms, reason, detail):
                return events.blocked_line(candle_ms + self._desk.context.candle_ms, str(reason), detail)
            case c.RecordNote(time_ms, "adopted", _):
                params = "none" if state.params is None else params_text(state.params)
                return events.adopted_line(time_ms, params, self._made_pct, state.has_edge)
            case c.RecordNote(time_ms, kind, detail):
                return engine_note_line(time_ms, kind, detail, self._desk.context.instrument)
            case _:
                return None

    def _tell(self, line: events.EventLine | None) -> None:
        if line is not None:
            self._screen.tell(line.label, line.text)

    def _is_time(self) -> bool:
        now = self._desk.stopwatch_s()
        if now - self._told_s < PLAIN_EVERY_S:
            return False
        self._told_s = now
        return True

    def _guarded(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except BrokenPipeError:
            raise
        except Exception as error:  # what cannot be shown must not stop what can be traded
            self._screen.say(f"(a line could not be shown: {error!r})")


def position_now(context: Context, state: EngineState) -> PositionNow | None:
    """The open short as it is shown; None when there is none."""
    book, instrument = state.book, context.instrument
    if not isinstance(book, Open):
        return None
    stop = book.guards.stop
    return PositionNow(
        quantity=instrument.quantity(book.lots),
        entry_price=instrument.price(book.entry_ticks),
        target_price=instrument.price(book.target.ticks),
        stop_price=None if stop == NO_PRICE else instrument.price(stop),
        stop_name=str(ExitReason.from_code(book.guards.stop_reason)).replace("_", " "),
        liquidation_price=instrument.price(book.guards.liquidation),
        pnl=unrealized_pnl(context.contract, book.lots, book.entry_ticks, state.price_ticks),
    )


def _to_peak_pct(state: EngineState) -> float | None:
    """How far the price must rise to the highest high of the lookback, in percent; None without a whole window."""
    if state.params is None or state.price_ticks <= 0:
        return None
    recent = state.window[-state.params.highest_high_lookback :]
    if len(recent) < state.params.highest_high_lookback:
        return None
    return 100.0 * (max(candle.high for candle in recent) / state.price_ticks - 1.0)


def _halted(state: EngineState) -> str:
    """Why there are no entries, in a few words: every cause that holds."""
    causes = [str(kind).replace("_", " ") for kind, _ in state.halts]
    causes += sorted(str(condition).replace("_", " ") for condition in state.conditions)
    if state.flatten or state.paused:
        causes.insert(0, "flatten" if state.flatten else "paused")
    if not state.connected:
        causes.append("not connected")
    if not causes and isinstance(state.book, Flat) and not state.has_edge:
        causes.append("no_edge")
    return ", ".join(causes)
