"""What the engine knows and has written down: its state, its journal, and who watches."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from your_short_trade_margin_call.domain.messages import (
    CandleClosed,
    Event,
    Executed,
    Execution,
    OrderRequest,
    ParametersAdopted,
    QuoteArrived,
)
from your_short_trade_margin_call.domain.params import params_as_dict
from your_short_trade_margin_call.domain.words import ExecutionKind, Side
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.decide import decide
from your_short_trade_margin_call.trading.reconcile import with_intent
from your_short_trade_margin_call.trading.sanity import nonsense
from your_short_trade_margin_call.trading.state import Context, EngineState, Flat
from your_short_trade_margin_call.trading.steadfast_journal import SteadfastJournal
from your_short_trade_margin_call.trading.stray import part_of, unaccounted_lots

OVERLAP_MS = 600_000
"""Executions are asked for again from so long before the newest one: the exchange's list may lag behind itself."""


class Observer(Protocol):
    """Watches; cannot interfere: whatever it raises is written down once and ignored, but for a closed pipe."""

    def recorded(self, record: c.Record, state: EngineState) -> None:
        """Something was written down."""

    def moved(self, state: EngineState) -> None:
        """An event was dealt with."""


class Books:
    """State, journal and observer of one engine.

    Args:
        context: what does not change.
        journal: where facts go.
        observer: shown every record and state; None when nobody watches.
        state: where it begins.
    """

    def __init__(
        self, context: Context, journal: SteadfastJournal, observer: Observer | None, state: EngineState
    ) -> None:
        self.context = context
        self.journal = journal
        self.state = state
        self.booked: dict[str, Execution] = {}
        self.entries: dict[str, tuple[OrderRequest, str]] = {}
        """Request and context of every entry intended, by the id of ours."""
        self.sent_ms: dict[str, int] = {}
        """When orders were last sent whose fate may be unknown, by the id of ours."""
        self._newest_ms = 0
        self._first_sent_ms: int | None = None
        self._observer = observer
        self._told: set[str] = set()
        self._held: tuple[c.Record, ...] = ()

    # ---- deciding and booking ----------------------------------------------------------------------

    def decide(self, event: Event | c.Answer) -> tuple[c.Command, ...]:
        """Move the state by an event; what is to be done about it."""
        self.state, commands = decide(self.context, self.state, event)
        return commands

    def book(self, execution: Execution) -> tuple[c.Command, ...]:
        """Book an execution once; decided first, so that what cannot be decided is not written down."""
        if execution.exec_id in self.booked:
            return ()
        if why := nonsense(Executed(execution)):
            self.note_once("nonsense_ignored", execution.exec_id, {"why": why, "exec_id": execution.exec_id})
            return ()
        state = self.state
        if isinstance(state.book, Flat) and execution.side is Side.SELL:
            state = with_intent(state, execution, self.entries)
        beyond = unaccounted_lots(state, execution)
        state, commands = decide(self.context, state, Executed(execution))
        if beyond < execution.lots or execution.kind is ExecutionKind.FUNDING:
            # A journal is of a short account: what others buy beyond every short, and sell again, is in its notes only.
            self.journal.execution(part_of(execution, execution.lots - beyond))
        self.remember(execution)
        self.state = state
        return commands

    def remember(self, execution: Execution) -> None:
        """This execution is booked."""
        self.booked[execution.exec_id] = execution
        self._newest_ms = max(self._newest_ms, execution.time_ms)

    def executions_since_ms(self, now_ms: int) -> int:
        """From when on executions may be missing: a while before the newest, else from the first intent on."""
        if self.booked:
            return max(0, self._newest_ms - OVERLAP_MS)
        return now_ms if self._first_sent_ms is None else max(0, self._first_sent_ms - OVERLAP_MS)

    def sends(self, link: str, time_ms: int) -> None:
        """An order is sent under this id."""
        self.sent_ms[link] = time_ms
        self._first_sent_ms = time_ms if self._first_sent_ms is None else min(self._first_sent_ms, time_ms)

    def has_entered(self, candle_ms: int) -> bool:
        """Whether an entry into this candle has been filled."""
        return any(
            e.side is Side.SELL and e.kind is ExecutionKind.TRADE and e.candle_ms == candle_ms
            for e in self.booked.values()
        )

    def adopt(self, adopted: ParametersAdopted) -> tuple[c.Command, ...]:
        """Write new parameters down, then take them."""
        text = json.dumps({"params": params_as_dict(adopted.params), "has_edge": adopted.has_edge})
        self.journal.adopt(adopted.time_ms, text)
        return self.decide(adopted)

    # ---- writing down ------------------------------------------------------------------------------

    def hold_back(self, records: tuple[c.Record, ...]) -> None:
        """These may be written down a moment later: with the next record, or by `release`."""
        self._held += records

    def release(self) -> None:
        """Write down what was held back."""
        held, self._held = self._held, ()
        for record in held:
            self._write(record)

    @property
    def holds_back(self) -> bool:
        """Whether records wait to be written down."""
        return bool(self._held)

    def record(self, record: c.Record) -> None:
        """Write a record down and show it; what was held back goes first."""
        self.release()
        self._write(record)

    def _write(self, record: c.Record) -> None:
        journal = self.journal
        match record:
            case c.RecordBlocked(candle_ms, reason, detail):
                journal.blocked(candle_ms, str(reason), detail)
            case c.RecordTrade(row):
                journal.trade(row)
            case c.RecordEquity(candle_ms, wallet, equity):
                journal.equity(candle_ms, wallet, equity)
            case c.RecordSignal(candle_ms, signal):
                journal.event(candle_ms, "signal", json.dumps(signal))
            case c.RecordEntry(time_ms, news):
                journal.event(time_ms, "entry", json.dumps(news))
            case c.RecordNote(time_ms, kind, note):
                journal.event(time_ms, kind, json.dumps(note))
        self.guarded("observer_failed", lambda: self._observer.recorded(record, self.state) if self._observer else None)

    def note(self, kind: str, detail: dict[str, Any]) -> None:
        """Write down something that the trader should be able to read later."""
        self.record(c.RecordNote(self.state.time_ms, kind, detail))

    def note_once(self, kind: str, about: object, detail: dict[str, Any]) -> None:
        """The same, once for each `about`."""
        if (key := f"{kind} {about}") not in self._told:
            self._told.add(key)
            self.note(kind, detail)

    def moved(self) -> None:
        """Show the state."""
        self.guarded("observer_failed", lambda: self._observer.moved(self.state) if self._observer else None)

    def guarded(self, kind: str, act: Callable[[], object]) -> object:
        """Call what must not stop the engine; its failure is a note, the first time.

        Raises:
            BrokenPipeError: whoever read what is printed has gone.
        """
        try:
            return act()
        except BrokenPipeError:
            raise
        except Exception as error:  # what cannot be shown must not stop what guards a position
            self.note_once(kind, type(error).__name__, {"why": str(error) or type(error).__name__})
            return None


def moment_of(event: Event, candle_ms: int) -> int:
    """The market's time that an event tells, 0 when it tells none."""
    match event:
        case CandleClosed(candle):
            return candle.open_time_ms + candle_ms
        case QuoteArrived(time_ms):
            return time_ms
        case Executed(execution):
            return execution.time_ms
        case _:
            return 0
