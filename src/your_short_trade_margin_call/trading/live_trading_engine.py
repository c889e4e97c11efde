"""`LiveTradingEngine`: the thin loop around `decide`. Reads an event, decides, writes down, then acts.

Whatever goes wrong outside, it goes on with "entries off, exits on" (docs/decisions/0011).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from your_short_trade_margin_call.domain.errors import DiskError
from your_short_trade_margin_call.domain.messages import (
    CandleClosed,
    ControlsChanged,
    Event,
    Executed,
    ParametersAdopted,
    QuoteArrived,
    StreamRestored,
)
from your_short_trade_margin_call.domain.params import StrategyParams, params_as_dict, params_from_dict
from your_short_trade_margin_call.domain.ports import Clock, Exchange, Journal
from your_short_trade_margin_call.domain.words import Purpose
from your_short_trade_margin_call.rules.entry import new_tally
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.books import Books, Observer, moment_of
from your_short_trade_margin_call.trading.decide import candles_kept
from your_short_trade_margin_call.trading.entries import wish_from_dict
from your_short_trade_margin_call.trading.event_source import EventSource, Timer
from your_short_trade_margin_call.trading.order_desk import OrderDesk
from your_short_trade_margin_call.trading.patience import Outside, Patience
from your_short_trade_margin_call.trading.reconcile import fold_journal, pending_entry
from your_short_trade_margin_call.trading.reconciler import Reconciler
from your_short_trade_margin_call.trading.sanity import nonsense
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Halt, Open
from your_short_trade_margin_call.trading.steadfast_journal import SteadfastJournal

LAST_ROUNDS = 12
"""How often what is still open is asked after when the market has ended."""


class Adviser(Protocol):
    """Decides when new parameters are adopted; they apply to closes after their `time_ms`."""

    async def before_close(self, close_ms: int) -> ParametersAdopted | None:
        """Called before a close is dealt with: parameters found meanwhile, if any."""

    async def after_close(self, close_ms: int) -> ParametersAdopted | None:
        """Called when a close has been dealt with: parameters found at once, if any."""


class LiveTradingEngine:
    """Trades one pair on one exchange, paper or real: the same code.

    Args:
        context: instrument, terms, pair (see `state.make_context`).
        exchange: where orders go and events come from.
        journal: where facts go before anything is done; what it cannot write is kept until it can.
        clock: waits between repeated questions.
        params: parameters for the next entry, unless the journal knows others; None waits for the adviser.
        has_edge: False blocks entries with `no_edge`.
        are_chosen: `params` and `has_edge` were chosen for this run: they supersede those of the journal. What was
            shown to the trader is what is traded.
        adviser: asked after each close for new parameters.
        observer: shown every record and state.
        controls: read before each candle: (paused, flatten).
        heartbeat: called at each turn of the decision loop, and by nothing else: while it is called, exits are
            looked after. For a supervisor that restarts what hangs.
    """

    def __init__(
        self,
        context: Context,
        exchange: Exchange,
        journal: Journal,
        clock: Clock,
        *,
        params: StrategyParams | None = None,
        has_edge: bool = True,
        are_chosen: bool = False,
        adviser: Adviser | None = None,
        observer: Observer | None = None,
        controls: Callable[[], tuple[bool, bool]] | None = None,
        heartbeat: Callable[[], None] | None = None,
    ) -> None:
        self._context = context
        self._exchange = exchange
        self._journal = SteadfastJournal(journal)
        self._first, self._are_chosen = (params, has_edge), are_chosen
        self._adviser = adviser
        self._controls = controls
        self._heartbeat = heartbeat
        self._stopping = False
        self._task: asyncio.Task[object] | None = None
        self._is_waiting = False
        beginning = EngineState(context.starting_balance, new_tally(context.starting_balance))
        self._books = Books(context, self._journal, observer, beginning)
        self._patience = Patience(clock)
        self._desk = OrderDesk(self._books, exchange, self._patience)
        self._reconciler = Reconciler(self._desk)

    @property
    def state(self) -> EngineState:
        """What the engine knows."""
        return self._books.state

    def stop(self) -> None:
        """Leave the loop after the event at hand, at once when none is; what rests on the exchange stays."""
        self._stopping = True
        if self._is_waiting and self._task is not None:
            self._task.cancel()

    async def run(self) -> EngineState:
        """Recover, then trade until the market ends or `stop` is called.

        Raises:
            ExchangeError: at the start only: no answer, or a position that the journal does not know.
            DiskError: the journal cannot be read at the start, or, at the end, still not be written.
        """
        self._task = asyncio.current_task()
        await self.start()
        events = EventSource(self._exchange.events)
        try:
            while not self._stopping and not events.has_ended:
                await self._next_turn(events)
            if not self._stopping:
                await self._settle_at_end()
        finally:
            self._books.release()
            await events.close()
        self._journal.require()
        return self.state

    async def _next_turn(self, events: EventSource) -> None:
        """Deal with the next event, or with what is due before one comes."""
        try:
            event = await self._next(events)
        except Outside as error:
            await self._desk.fell_silent(error, "the stream")
            await self._patience.wait(1_000)
            event = None
        if event is not None:
            await self.handle(event)
        elif not self._stopping and not events.has_ended:
            await self._turn()

    async def _next(self, events: EventSource) -> Event | None:
        """The next event; None when something else is due, the market has ended, or `stop` was called."""
        self._is_waiting = True
        try:
            return await events.next(self._timer())
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return None
        finally:
            self._is_waiting = False

    def _timer(self) -> Timer | None:
        """How long to wait for an event at most; None: as long as it takes."""
        due_ms, every_ms = self._reconciler.next_ms(), self._context.turn_every_ms
        if every_ms:
            turn_ms = self._patience.market_ms() + every_ms
            due_ms = turn_ms if due_ms is None else min(due_ms, turn_ms)
        return None if due_ms is None else partial(self._patience.sleep_until, due_ms)

    async def _settle_at_end(self) -> None:
        """The market has ended: what is still open is asked after a few times more."""
        agenda = self._desk.agenda
        for _ in range(LAST_ROUNDS):
            book = self.state.book
            is_closing = isinstance(book, Open) and book.close_wanted is not None
            if not agenda.full and not is_closing and not isinstance(book, Entering):
                return
            agenda.demand_full()
            await self._patience.sleep_until(agenda.next_ms)
            agenda.next_ms = 0
            await self._turn()

    async def handle(self, event: Event) -> None:
        """Deal with one event, to its end."""
        self._patience.saw(moment_of(event, self._context.candle_ms))
        match event:
            case Executed(execution):
                await self._desk.book(execution)
            case CandleClosed() if not nonsense(event):
                await self._on_close(event)
            case QuoteArrived(opens_candle_ms=int()):
                await self._desk.apply(event)
                self._reconciler.opened_candle()
            case StreamRestored():
                await self._desk.apply(event)
                self._desk.agenda.demand_full()
                self._desk.agenda.candles = True
                self._desk.agenda.next_ms = 0
            case _:
                await self._desk.apply(event)
        self._reconciler.heard(event)
        if not (self._books.holds_back and isinstance(event, CandleClosed)):
            await self._turn()

    async def _turn(self) -> None:
        """What is due beside the events; then those who watch are shown the state."""
        self._books.release()
        await self._reconciler.turn()
        if self._desk.agenda.candles and not self._desk.agenda.full:
            await self._try_to_catch_up()
        await self._look_at_disk()
        self._books.moved()
        if self._heartbeat is not None:
            self._books.guarded("heartbeat_failed", self._heartbeat)

    async def _look_at_disk(self) -> None:
        """No entry while facts wait to be written."""
        trouble = "" if self._journal.flush() else self._journal.trouble
        if trouble or self.state.halts:
            told = c.Trouble(self._patience.market_ms(), Halt.DISK_TROUBLE, bool(trouble), trouble)
            await self._desk.apply(told)

    async def _on_close(self, event: CandleClosed) -> None:
        close_ms = event.candle.open_time_ms + self._context.candle_ms
        await self._obey()
        await self._advise(lambda adviser: adviser.before_close(close_ms))
        await self._fill_gap(event)
        await self._take_close(event)
        await self._advise(lambda adviser: adviser.after_close(close_ms))

    async def _take_close(self, event: CandleClosed) -> None:
        """Decide on a close; what was seen is written down after the order, if a signal now waits for its quote.

        The quote is there at the same moment, and what the order rests on is written down with its intent.
        """
        commands = self._books.decide(event)
        records = tuple(command for command in commands if isinstance(command, c.Record))
        wish = self.state.wish
        if wish is None or wish.blocked_at_close is not None or len(records) < len(commands):
            await self._desk.carry_out(commands)
        else:
            self._books.hold_back(records)

    async def _fill_gap(self, event: CandleClosed) -> None:
        """Candles that no event brought are asked for before a signal is looked for among them."""
        window, open_ms = self.state.window, event.candle.open_time_ms
        if not window or open_ms - window[-1].open_time_ms <= self._context.candle_ms:
            return
        count = candles_kept(self._context, self.state)
        try:
            candles = await self._patience.ask(lambda: self._exchange.candles(count))
        except Outside as error:
            self._books.note("gap_not_filled", {"why": str(error)})
            return
        earlier = tuple(candle for candle in candles if candle.open_time_ms < open_ms)
        if earlier:
            self._books.state = self.state._replace(window=earlier)

    async def _advise(self, question: Callable[[Adviser], Awaitable[ParametersAdopted | None]]) -> None:
        if self._adviser is None:
            return
        try:
            adopted = await question(self._adviser)
        except Exception as error:  # the parameters stay what they are; the position still needs its guard
            self._books.note("adviser_failed", {"why": str(error) or type(error).__name__})
            return
        await self.adopt(adopted)

    async def adopt(self, adopted: ParametersAdopted | None) -> None:
        """Take new parameters for later closes; None changes nothing."""
        if adopted is not None:
            await self._desk.carry_out(self._books.adopt(adopted))

    # ---- starting and recovering are one path ----------------------------------------------------

    async def start(self) -> None:
        """Fold the journal, book what was missed, guard what is open, catch up with the candles.

        Raises:
            ExchangeError: no answer, or a position that the journal does not know.
            DiskError: the journal cannot be read.
        """
        books = self._books
        books.state = self.state._replace(time_ms=self._patience.now_ms())  # of what is noted before the first candle
        self._adopt_first()
        intents, executions = self._journal.intents(), self._journal.executions()
        for execution in executions:
            books.remember(execution)
        for request, time_ms, text, _ in intents:
            books.sends(request.link_id, time_ms)
            if request.purpose is Purpose.ENTRY:
                books.entries[request.link_id] = (request, text)
        books.state, trades = fold_journal(self._context, self.state, intents, executions)
        written = self._journal.trade_times()
        for trade in trades:
            if trade.row["entry_time"] not in written:
                books.record(trade)
        pending = pending_entry(self.state, intents, executions)
        if pending is not None:
            books.state = self.state._replace(book=pending)
        self._recall_close()
        await self._reconciler.at_start()
        await self._obey()
        await self._catch_up()
        await self._turn()

    def _recall_close(self) -> None:
        """Killed after an entry was intended and before its close was written down: the intent holds what was seen."""
        newest = next(reversed(self._books.entries.values()), None)
        if newest is None:
            return
        seen = json.loads(newest[1])
        candle_ms, handled_ms = int(seen["wish"]["candle_ms"]), self._journal.last_candle_ms()
        if handled_ms is not None and candle_ms <= handled_ms:
            return
        signals = self._journal.events_of("signal")
        if not signals or signals[-1][0] < candle_ms:
            self._books.record(c.RecordSignal(candle_ms, seen["wish"]))
        self._books.record(c.RecordEquity(candle_ms, seen["wallet"], seen["wallet"]))

    def _adopt_first(self) -> None:
        """The parameters to begin with: those of the journal, or those chosen for this run where they are others."""
        params, has_edge = self._first
        adopted_ms, last = self._patience.now_ms(), self._journal.last_adoption()
        chosen = None if params is None else {"params": params_as_dict(params), "has_edge": has_edge}
        known = None if last is None else json.loads(last[1])
        if last is not None and known is not None and (chosen is None or chosen == known or not self._are_chosen):
            adopted_ms, params, has_edge = last[0], params_from_dict(known["params"]), bool(known["has_edge"])
        elif chosen is not None:
            self._journal.adopt(adopted_ms, json.dumps(chosen))
        self._books.state = self.state._replace(params=params, has_edge=has_edge, adopted_ms=adopted_ms)

    async def _try_to_catch_up(self) -> None:
        self._desk.agenda.candles = False
        try:
            await self._catch_up()
        except Outside as error:
            await self._desk.fell_silent(error, "the candles")
            self._desk.agenda.candles = True
        except DiskError as error:
            self._books.note_once("journal_unreadable", error.message, {"why": error.message})

    async def _catch_up(self) -> None:
        """Load the window; deal with a close that nobody dealt with, or remember its signal.

        Raises:
            ExchangeError: no answer came.
            OSError: the same.
            DiskError: the journal cannot be read.
        """
        count = candles_kept(self._context, self.state)
        candles = await self._patience.ask(lambda: self._exchange.candles(count))
        if not candles:
            return
        last = candles[-1]
        handled = self._journal.last_candle_ms()
        self._books.state = self.state._replace(window=candles[:-1])
        if handled is None or handled < last.open_time_ms:
            await self._on_close(CandleClosed(last))
            return
        self._books.state = self.state._replace(window=candles, price_ticks=last.close)
        signals = self._journal.events_of("signal")
        if not signals or self._journal.is_blocked(last.open_time_ms):
            return
        wish = wish_from_dict(json.loads(signals[-1][1]))
        if wish.candle_ms == last.open_time_ms and not self._has_entered(wish.candle_ms + self._context.candle_ms):
            self._books.state = self.state._replace(wish=wish)

    def _has_entered(self, candle_ms: int) -> bool:
        """Whether an entry into this candle is on its way or has been filled."""
        book = self.state.book
        return (isinstance(book, Entering) and book.candle_ms == candle_ms) or self._books.has_entered(candle_ms)

    async def _obey(self) -> None:
        """Read the trader's wishes; what cannot be read changes nothing."""
        if self._controls is None:
            return
        wishes = self._books.guarded("controls_failed", self._controls)
        if isinstance(wishes, tuple) and wishes != (self.state.paused, self.state.flatten):
            paused, flatten = wishes
            await self._desk.apply(ControlsChanged(self._patience.now_ms(), paused, flatten))
