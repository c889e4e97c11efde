"""`LiveTradingEngine`: the thin loop around `decide`. Reads an event, decides, writes down, then acts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Protocol

from your_short_trade_margin_call.domain.errors import ExchangeError, OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    CandleClosed,
    ControlsChanged,
    Event,
    Executed,
    Execution,
    Order,
    OrderChanged,
    OrderRequest,
    ParametersAdopted,
    StreamRestored,
)
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.ports import Clock, Exchange, Journal
from your_short_trade_margin_call.domain.words import ExecutionKind, Purpose, Side
from your_short_trade_margin_call.rules.entry import new_tally
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.decide import candles_kept, decide
from your_short_trade_margin_call.trading.entries import params_as_dict, params_from_dict, wish_from_dict
from your_short_trade_margin_call.trading.exits import CLOSE_BURST
from your_short_trade_margin_call.trading.ids import parse_link_id
from your_short_trade_margin_call.trading.patience import ARRIVES_WITHIN_MS, ASK_AGAIN_MS, ask, wait
from your_short_trade_margin_call.trading.reconcile import (
    by_link_id,
    check_position,
    fold_journal,
    pending_entry,
    protect,
    with_intent,
)
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Flat, Open


class Adviser(Protocol):
    """Decides when new parameters are adopted; they apply to closes after their `time_ms`. Never raises."""

    async def before_close(self, close_ms: int) -> ParametersAdopted | None:
        """Called before a close is dealt with: parameters found meanwhile, if any."""

    async def after_close(self, close_ms: int) -> ParametersAdopted | None:
        """Called when a close has been dealt with: parameters found at once, if any."""


class Observer(Protocol):
    """Watches; cannot interfere."""

    def recorded(self, record: c.Record, state: EngineState) -> None:
        """Something was written down."""

    def moved(self, state: EngineState) -> None:
        """An event was dealt with."""


class _Nobody:
    def recorded(self, record: c.Record, state: EngineState) -> None:
        """Ignore."""

    def moved(self, state: EngineState) -> None:
        """Ignore."""


class LiveTradingEngine:
    """Trades one pair on one exchange, paper or real: the same code.

    Args:
        context: instrument, terms, pair (see `state.make_context`).
        exchange: where orders go and events come from.
        journal: where facts go before anything is done.
        clock: waits between repeated questions.
        params: parameters for the next entry, unless the journal knows later ones; None waits for the adviser.
        has_edge: False blocks entries with `no_edge`.
        adviser: asked after each close for new parameters.
        observer: shown every record and state.
        controls: read before each candle: (paused, flatten).
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
        adviser: Adviser | None = None,
        observer: Observer | None = None,
        controls: Callable[[], tuple[bool, bool]] | None = None,
    ) -> None:
        self._context = context
        self._exchange = exchange
        self._journal = journal
        self._clock = clock
        self._first = (params, has_edge)
        self._adviser = adviser
        self._observer: Observer = observer or _Nobody()
        self._controls = controls
        self._stopping = False
        self._task: asyncio.Task[object] | None = None
        self._is_waiting = False
        self._booked: dict[str, Execution] = {}
        self.state = EngineState(context.starting_balance, new_tally(context.starting_balance))

    def stop(self) -> None:
        """Leave the loop after the event at hand, at once when none is; what rests on the exchange stays."""
        self._stopping = True
        if self._is_waiting and self._task is not None:
            self._task.cancel()

    async def run(self) -> EngineState:
        """Recover, then trade until the market ends or `stop` is called.

        Raises:
            ExchangeError: the account is not as the journal says, or an order's fate stays unknown.
            DiskError: a fact could not be written; nothing is done that is not written down.
        """
        self._task = asyncio.current_task()
        await self.start()
        events = self._exchange.events()
        while not self._stopping:
            event = await self._next(events)
            if event is None:
                break
            await self.handle(event)
        return self.state

    async def _next(self, events: AsyncIterator[Event]) -> Event | None:
        """The next event; None when the market has ended, or when `stop` interrupts the waiting."""
        self._is_waiting = True
        try:
            return await anext(events, None)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return None
        finally:
            self._is_waiting = False

    async def handle(self, event: Event) -> None:
        """Deal with one event, to its end."""
        match event:
            case Executed(execution):
                await self._book(execution)
            case CandleClosed(candle):
                await self._on_close(candle.open_time_ms + self._context.candle_ms, event)
            case StreamRestored():
                await self._apply(event)
                await self._reconcile()
                await self._catch_up()
            case _:
                await self._apply(event)
        self._observer.moved(self.state)

    async def _on_close(self, close_ms: int, event: CandleClosed) -> None:
        await self._obey()
        if self._adviser is not None:
            await self.adopt(await self._adviser.before_close(close_ms))
        await self._apply(event)
        if self._adviser is not None:
            await self.adopt(await self._adviser.after_close(close_ms))

    async def adopt(self, adopted: ParametersAdopted | None) -> None:
        """Take new parameters for later closes; None changes nothing."""
        if adopted is None:
            return
        text = json.dumps({"params": params_as_dict(adopted.params), "has_edge": adopted.has_edge})
        self._journal.adopt(adopted.time_ms, text)
        await self._apply(adopted)

    # ---- starting and recovering are one path ----------------------------------------------------

    async def start(self) -> None:
        """Fold the journal, book what was missed, guard what is open, catch up with the candles."""
        self._adopt_last()
        intents, executions = self._journal.intents(), self._journal.executions()
        self._booked = {execution.exec_id: execution for execution in executions}
        self.state, trades = fold_journal(self._context, self.state, intents, executions)
        written = self._journal.trade_times()
        for trade in trades:
            if trade.row["entry_time"] not in written:
                self._record(trade)
        pending = pending_entry(self.state, intents, executions)
        if pending is not None and await self._find(pending.request.link_id) is not None:
            self.state = replace(self.state, book=pending)
        await self._reconcile()
        await self._obey()
        await self._catch_up()
        self._observer.moved(self.state)

    def _adopt_last(self) -> None:
        params, has_edge = self._first
        adopted_ms = self._clock.now_ms()
        last = self._journal.last_adoption()
        if last is not None:
            data = json.loads(last[1])
            adopted_ms, params, has_edge = last[0], params_from_dict(data["params"]), bool(data["has_edge"])
        elif params is not None:
            text = json.dumps({"params": params_as_dict(params), "has_edge": has_edge})
            self._journal.adopt(adopted_ms, text)
        self.state = replace(self.state, params=params, has_edge=has_edge, adopted_ms=adopted_ms)

    async def _reconcile(self) -> None:
        """Hold our view against the exchange's: book what was missed, then give an open short what it lacks."""
        account = await self._agreed()
        self.state = replace(self.state, halted="")
        book = self.state.book
        target = await self._find(book.target_id) if isinstance(book, Open) else None
        closing = await self._find(book.close_id) if isinstance(book, Open) and book.close_id else None
        self.state, commands = protect(self._context, self.state, account, target, closing)
        await self._carry_out(commands)

    async def _agreed(self) -> AccountView:
        """The account, once every execution is booked and both sides show one position.

        An execution list may lag behind the position: it is asked again before that counts as a contradiction.
        """
        for wait_ms in (*ASK_AGAIN_MS, None):
            account = await self._book_missed()
            if isinstance(self.state.book, Entering):
                order = await self._find(self.state.book.request.link_id)
                if order is not None:
                    await self._apply(OrderChanged(order))
            try:
                check_position(self.state, account)
            except ExchangeError:
                if wait_ms is None:
                    raise
                await wait(self._clock, wait_ms)
                continue
            break
        return account

    async def _find(self, link: str) -> Order | None:
        return await ask(self._clock, lambda: self._exchange.find(link), f"order {link}")

    async def _catch_up(self) -> None:
        """Load the window; deal with a close that nobody dealt with, or remember its signal."""
        count = candles_kept(self._context, self.state)
        candles = await ask(self._clock, lambda: self._exchange.candles(count), "the candles")
        if not candles:
            return
        last = candles[-1]
        handled = self._journal.last_candle_ms()
        self.state = replace(self.state, window=candles[:-1])
        if handled is None or handled < last.open_time_ms:
            await self.handle(CandleClosed(last))
            return
        self.state = replace(self.state, window=candles, price_ticks=last.close)
        signals = self._journal.events_of("signal")
        if not signals or self._journal.is_blocked(last.open_time_ms):
            return
        wish = wish_from_dict(json.loads(signals[-1][1]))
        if wish.candle_ms == last.open_time_ms and not self._entered_at(wish.candle_ms + self._context.candle_ms):
            self.state = replace(self.state, wish=wish)

    def _entered_at(self, candle_ms: int) -> bool:
        """Whether an entry into this candle is on its way or has been filled."""
        book = self.state.book
        if isinstance(book, Entering) and book.candle_ms == candle_ms:
            return True
        return any(
            e.side is Side.SELL and e.kind is ExecutionKind.TRADE and e.candle_ms == candle_ms
            for e in self._booked.values()
        )

    async def _obey(self) -> None:
        """Read the trader's wishes."""
        if self._controls is None:
            return
        paused, flatten = self._controls()
        if (paused, flatten) != (self.state.paused, self.state.flatten):
            await self._apply(ControlsChanged(self._clock.now_ms(), paused, flatten))

    # ---- doing what was decided --------------------------------------------------------------------

    async def _apply(self, event: Event | c.Refused | c.StopRefused) -> None:
        self.state, commands = decide(self._context, self.state, event)
        await self._carry_out(commands)

    async def _carry_out(self, commands: tuple[c.Command, ...]) -> None:
        for command in commands:
            match command:
                case c.Place(request, context):
                    await self._place(request, json.dumps(context))
                case c.AmendStop(trigger):
                    await self._amend_stop(trigger)
                case c.Cancel(link):
                    await self._cancel(link)
                case _:
                    self._record(command)

    def _record(self, record: c.Record) -> None:
        journal = self._journal
        match record:
            case c.RecordBlocked(candle_ms, reason, detail):
                journal.blocked(candle_ms, str(reason), detail)
            case c.RecordTrade(row):
                journal.trade(row)
            case c.RecordEquity(candle_ms, wallet, equity):
                journal.equity(candle_ms, wallet, equity)
            case c.RecordSignal(candle_ms, detail):
                journal.event(candle_ms, "signal", json.dumps(detail))
            case c.RecordEntry(time_ms, detail):
                journal.event(time_ms, "entry", json.dumps(detail))
            case c.RecordNote(time_ms, kind, detail):
                journal.event(time_ms, kind, json.dumps(detail))
        self._observer.recorded(record, self.state)

    async def _place(self, request: OrderRequest, context: str) -> None:
        """Intent first, then the order, then what became of it. A lost answer is looked up, never repeated."""
        await self._wait_between_closes(request)
        now = self._clock.now_ms()
        self._journal.intent(request, now, context)
        try:
            await self._exchange.place(request)
        except OrderRefusedError as refusal:
            await self._refused(request, refusal)
            return
        except OutcomeUnknownError:
            self._journal.outcome(request.link_id, "unknown", now)
            await self._look_up(request)
            return
        self._journal.outcome(request.link_id, "accepted", now)

    async def _refused(self, request: OrderRequest, refusal: OrderRefusedError) -> None:
        if refusal.code == "duplicate_link_id":  # an earlier try of ours did arrive
            await self._look_up(request)
            return
        self._journal.outcome(request.link_id, "refused", self._clock.now_ms())
        if request.reduce_only:  # perhaps there is nothing left to reduce
            await self._book_missed()
        await self._apply(c.Refused(request, refusal.code, refusal.message))

    async def _wait_between_closes(self, request: OrderRequest) -> None:
        """A close that is repeated waits a little, longer each time of a burst."""
        parsed = parse_link_id(request.link_id)
        attempt = parsed[2] % CLOSE_BURST if parsed and request.purpose is Purpose.CLOSE else 0
        if attempt:
            wait_ms = ASK_AGAIN_MS[min(attempt, len(ASK_AGAIN_MS)) - 1]
            await wait(self._clock, wait_ms)

    async def _look_up(self, request: OrderRequest) -> None:
        """Ask what became of an order, and book what came of it: its events may be lost with the answer."""
        order = await self._find(request.link_id)
        for wait_ms in ARRIVES_WITHIN_MS:
            if order is not None:
                break
            await wait(self._clock, wait_ms)
            order = await self._find(request.link_id)
        now = self._clock.now_ms()
        self._journal.outcome(request.link_id, "accepted" if order else "not_found", now)
        if order is None:
            await self._apply(c.Refused(request, "exchange_error", "the order never arrived"))
        elif order.filled_lots or order.status.is_final:
            await self._book_missed()
            await self._apply(OrderChanged(order))

    async def _book_missed(self) -> AccountView:
        """Book the executions that no event brought; returns the account they were read from."""
        since_ms = max((execution.time_ms for execution in self._booked.values()), default=0)
        account = await ask(self._clock, lambda: self._exchange.account(since_ms), "the account")
        for execution in account.executions:
            await self._book(execution)
        return account

    async def _book(self, execution: Execution) -> None:
        """Book an execution once, and act on it; decided first, so that what cannot be decided is not booked."""
        if execution.exec_id in self._booked:
            return
        state = self.state
        if isinstance(state.book, Flat) and execution.side is Side.SELL:
            state = with_intent(state, execution, by_link_id(self._journal.intents()))
        state, commands = decide(self._context, state, Executed(execution))
        self._journal.execution(execution)
        self._booked[execution.exec_id] = execution
        self.state = state
        await self._carry_out(commands)

    async def _amend_stop(self, trigger: int) -> None:
        """Move the stop; when that fails, look where it stands before deciding anything."""
        self._journal.event(self._clock.now_ms(), "amend_stop", json.dumps({"trigger_ticks": trigger}))
        why = "the exchange did not answer"
        for wait_ms in ASK_AGAIN_MS:
            try:
                await self._exchange.amend_stop(trigger)
            except OutcomeUnknownError:  # amending again is harmless
                await wait(self._clock, wait_ms)
                continue
            except OrderRefusedError as refusal:
                why = refusal.message
                break
            return
        account = await self._book_missed()
        standing = account.position.stop_ticks if account.position is not None else None
        await self._apply(c.StopRefused(trigger, why, standing))

    async def _cancel(self, link: str) -> None:
        for wait_ms in ASK_AGAIN_MS:
            try:
                await self._exchange.cancel(link)
            except OutcomeUnknownError:  # cancelling again is harmless
                await wait(self._clock, wait_ms)
                continue
            except OrderRefusedError:
                return
            return
