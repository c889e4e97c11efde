"""`LiveTradingEngine`: the thin loop around `decide`. Reads an event, decides, writes down, then acts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar

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
from your_short_trade_margin_call.domain.words import ExecutionKind, Side
from your_short_trade_margin_call.rules.entry import new_tally
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.decide import decide
from your_short_trade_margin_call.trading.entries import params_as_dict, params_from_dict, wish_from_dict
from your_short_trade_margin_call.trading.reconcile import check_position, fold_journal, pending_entry, protect
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Open

Answer = TypeVar("Answer")

ASK_AGAIN_MS = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 20_000)
"""Waits between questions about an order whose answer was lost: about a minute in all."""


class Adviser(Protocol):
    """Decides when new parameters are adopted."""

    async def after_close(self, close_ms: int) -> ParametersAdopted | None:
        """Called when a candle's close has been dealt with; new parameters apply from the next close."""


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
        if isinstance(event, Executed) and not self._book(event.execution):
            return  # booked already: a duplicate
        if isinstance(event, CandleClosed):
            await self._obey()
        if isinstance(event, StreamRestored):
            await self._reconcile()
        await self._apply(event)
        if isinstance(event, CandleClosed) and self._adviser is not None:
            close_ms = event.candle.open_time_ms + self._context.candle_ms
            await self.adopt(await self._adviser.after_close(close_ms))
        self._observer.moved(self.state)

    async def adopt(self, adopted: ParametersAdopted | None) -> None:
        """Take new parameters for the next entry; None changes nothing."""
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
        await self._obey()
        await self._reconcile()
        await self._catch_up()
        self._observer.moved(self.state)

    def _adopt_last(self) -> None:
        params, has_edge = self._first
        last = self._journal.last_adoption()
        if last is not None:
            data = json.loads(last[1])
            params, has_edge = params_from_dict(data["params"]), bool(data["has_edge"])
        elif params is not None:
            text = json.dumps({"params": params_as_dict(params), "has_edge": has_edge})
            self._journal.adopt(self._clock.now_ms(), text)
        self.state = replace(self.state, params=params, has_edge=has_edge)

    async def _reconcile(self) -> None:
        """Hold our view against the exchange's: book what was missed, then give an open short what it lacks."""
        await self._book_missed()
        entering = self.state.book
        if isinstance(entering, Entering):
            order = await self._find(entering.request.link_id)
            if order is not None:
                await self._apply(OrderChanged(order))
        account = await self._book_missed()
        check_position(self.state, account)
        book = self.state.book
        target = await self._find(book.target_id) if isinstance(book, Open) else None
        closing = await self._find(book.close_id) if isinstance(book, Open) and book.close_id else None
        self.state, commands = protect(self._context, self.state, account, target, closing)
        await self._carry_out(commands)

    async def _find(self, link: str) -> Order | None:
        return await self._ask(lambda: self._exchange.find(link), f"order {link}")

    async def _catch_up(self) -> None:
        """Load the window; deal with a close that nobody dealt with, or remember its signal."""
        candles = await self._ask(lambda: self._exchange.candles(self._context.keep_candles), "the candles")
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
        now = self._clock.now_ms()
        self._journal.intent(request, now, context)
        try:
            await self._exchange.place(request)
        except OrderRefusedError as refusal:
            if refusal.code == "duplicate_link_id":  # an earlier try of ours did arrive
                await self._look_up(request)
                return
            self._journal.outcome(request.link_id, "refused", now)
            await self._apply(c.Refused(request, refusal.code, refusal.message))
            return
        except OutcomeUnknownError:
            self._journal.outcome(request.link_id, "unknown", now)
            await self._look_up(request)
            return
        self._journal.outcome(request.link_id, "accepted", now)

    async def _look_up(self, request: OrderRequest) -> None:
        """Ask what became of an order, and book what came of it: its events may be lost with the answer."""
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
        account = await self._ask(lambda: self._exchange.account(since_ms), "the account")
        for execution in account.executions:
            if self._book(execution):
                await self._apply(Executed(execution))
        return account

    def _book(self, execution: Execution) -> bool:
        """Write an execution down; False when it was booked before."""
        if execution.exec_id in self._booked or not self._journal.execution(execution):
            return False
        self._booked[execution.exec_id] = execution
        return True

    async def _ask(self, question: Callable[[], Awaitable[Answer]], what: str) -> Answer:
        """Put a question that changes nothing until it is answered, about a minute long.

        Raises:
            ExchangeError: no answer came.
        """
        for wait_ms in ASK_AGAIN_MS:
            try:
                return await question()
            except ExchangeError:
                await self._clock.sleep_until_ms(self._clock.now_ms() + wait_ms)
        raise ExchangeError(
            f"The exchange does not say what became of {what}.",
            "The stop rests on the exchange. Start again when it answers: the journal knows where to go on.",
        )

    async def _amend_stop(self, trigger: int) -> None:
        for wait_ms in ASK_AGAIN_MS:
            try:
                await self._exchange.amend_stop(trigger)
            except OutcomeUnknownError:  # amending again is harmless
                await self._clock.sleep_until_ms(self._clock.now_ms() + wait_ms)
                continue
            except OrderRefusedError as refusal:
                await self._apply(c.StopRefused(trigger, refusal.message))
            return
        await self._apply(c.StopRefused(trigger, "the exchange did not answer"))

    async def _cancel(self, link: str) -> None:
        for wait_ms in ASK_AGAIN_MS:
            try:
                await self._exchange.cancel(link)
            except OutcomeUnknownError:  # cancelling again is harmless
                await self._clock.sleep_until_ms(self._clock.now_ms() + wait_ms)
                continue
            except OrderRefusedError:
                return
            return
