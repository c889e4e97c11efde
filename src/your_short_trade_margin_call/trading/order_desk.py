"""Doing what was decided: the intent first, then the order, then what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from your_short_trade_margin_call.domain.errors import DiskError, ExchangeError, OrderRefusedError
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Event,
    Execution,
    Order,
    OrderChanged,
    OrderRequest,
)
from your_short_trade_margin_call.domain.ports import Exchange
from your_short_trade_margin_call.domain.words import Purpose
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.books import Books
from your_short_trade_margin_call.trading.exits import CLOSE_BURST
from your_short_trade_margin_call.trading.ids import parse_link_id
from your_short_trade_margin_call.trading.patience import (
    ARRIVES_WITHIN_MS,
    ASK_AGAIN_MS,
    BARRED_LATER_MS,
    LATER_MS,
    Outside,
    Patience,
    kind_of,
)
from your_short_trade_margin_call.trading.state import Entering, Halt, Open

LOOK_AGAIN_MS = (500, 1_000, 2_500, 3_000)
"""Waits between looks for an order that cannot be found: together as long as an order may take to arrive."""


@dataclass
class Agenda:
    """What is to be asked of the exchange, and not before when (market time). `tries` that led nowhere so far.

    `full`: everything is to be held against the account. `candles`: the window is to be loaded as well.
    `light_ms`: a look at the account is due from then on. `mismatches`: how often in a row the positions differed.
    """

    full: bool = False
    candles: bool = False
    tries: int = 0
    next_ms: int = 0
    light_ms: int | None = None
    mismatches: int = 0

    def demand_full(self) -> None:
        """Everything is to be held against the account, as soon as may be."""
        if not self.full:
            self.full, self.tries, self.next_ms = True, 0, 0

    def put_off(self, now_ms: int, is_barred: bool) -> None:
        """Another try led nowhere: the next one comes later, and later each time."""
        waits = BARRED_LATER_MS if is_barred else LATER_MS
        self.next_ms = now_ms + waits[min(self.tries, len(waits) - 1)]
        self.tries += 1

    def settled(self) -> None:
        """Everything has been held against the account; the candles may still be due."""
        self.full, self.tries, self.next_ms, self.mismatches = False, 0, 0, 0


class OrderDesk:
    """Carries out commands. Nothing of it raises for what the exchange does: what stays open goes on the agenda."""

    def __init__(self, books: Books, exchange: Exchange, patience: Patience) -> None:
        self.books = books
        self.exchange = exchange
        self.patience = patience
        self.agenda = Agenda()
        self.stop_seen_for: int | None = None
        """The candle of the entry whose stop the exchange has confirmed."""
        self.stop_missing_for: int | None = None
        """The candle of the entry whose stop the exchange did not show."""

    async def apply(self, event: Event | c.Answer) -> None:
        """Decide on an event, and do what was decided."""
        await self.carry_out(self.books.decide(event))

    async def book(self, execution: Execution) -> None:
        """Book an execution once, and do what follows from it."""
        await self.carry_out(self.books.book(execution))

    async def carry_out(self, commands: tuple[c.Command, ...]) -> None:
        """Do these, in their order."""
        for command in commands:
            match command:
                case c.Place(request, context):
                    await self._place(request, json.dumps(context))
                case c.AmendStop(trigger):
                    await self.amend_stop(trigger)
                case c.Cancel(link):
                    await self._cancel(link)
                case _:
                    self.books.record(command)

    async def fell_silent(self, error: ExchangeError | OSError, about: str) -> None:
        """No answer came: entries stop, and everything is asked again, later and later, until it is answered."""
        self.patience.is_silent = True
        self.agenda.demand_full()
        kind = kind_of(error)
        self.agenda.put_off(self.patience.market_ms(), is_barred=kind is not Halt.EXCHANGE_SILENT)
        said = error.message if isinstance(error, ExchangeError) else str(error)
        why = f"{about}: {said}" if kind is Halt.EXCHANGE_SILENT else str(error)
        await self.apply(c.Trouble(self.patience.market_ms(), kind, is_on=True, why=why))

    # ---- questions: they raise, their callers know what a silence means ----------------------------

    async def find(self, link: str) -> Order | None:
        """The order with this id of ours.

        Raises:
            ExchangeError: no answer came.
            OSError: the same.
        """
        return await self.patience.ask(lambda: self.exchange.find(link))

    async def book_missed(self) -> AccountView:
        """Book the executions that no event brought; returns the account they were read from.

        Raises:
            ExchangeError: no answer came.
            OSError: the same.
        """
        since_ms = self.books.executions_since_ms(self.patience.now_ms())
        account = await self.patience.ask(lambda: self.exchange.account(since_ms))
        for execution in account.executions:
            await self.book(execution)
        return account

    # ---- placing -----------------------------------------------------------------------------------

    async def _place(self, request: OrderRequest, context: str) -> None:
        """Intent first, then the order, then what became of it. A lost answer is looked up, never repeated."""
        await self._wait_between_closes(request)
        books, now = self.books, self.patience.now_ms()
        try:
            books.journal.intent(request, now, context)
        except DiskError as error:  # an entry only: it is not sent
            await self.apply(c.Refused(request, "exchange_error", f"disk: {error.message}"))
            return
        if request.purpose is Purpose.ENTRY:
            books.entries[request.link_id] = (request, context)
        books.sends(request.link_id, self.patience.market_ms())
        try:
            await self.exchange.place(request)
        except OrderRefusedError as refusal:
            await self._refused(request, refusal)
        except Outside as error:
            books.journal.outcome(request.link_id, "unknown", now)
            await self._look_up(request, error)
        else:
            books.journal.outcome(request.link_id, "accepted", now)

    async def _refused(self, request: OrderRequest, refusal: OrderRefusedError) -> None:
        if refusal.code == "duplicate_link_id":  # an earlier try of ours did arrive
            await self._look_up(request, refusal)
            return
        self.books.journal.outcome(request.link_id, "refused", self.patience.now_ms())
        if request.reduce_only:  # perhaps there is nothing left to reduce
            try:
                await self.book_missed()
            except Outside as error:
                await self.fell_silent(error, "the account")
        await self.apply(c.Refused(request, refusal.code, refusal.message))

    async def _wait_between_closes(self, request: OrderRequest) -> None:
        """A close that is repeated waits a little, longer each time of a burst."""
        parsed = parse_link_id(request.link_id)
        attempt = parsed[2] % CLOSE_BURST if parsed and request.purpose is Purpose.CLOSE else 0
        if attempt:
            await self.patience.wait(ASK_AGAIN_MS[min(attempt, len(ASK_AGAIN_MS)) - 1])

    async def _look_up(self, request: OrderRequest, why: ExchangeError | OSError) -> None:
        """Ask what became of an order, and book what came of it: its events may be lost with the answer."""
        try:
            if kind_of(why) is not Halt.EXCHANGE_SILENT:
                raise why
            order = await self.find(request.link_id)
            for wait_ms in LOOK_AGAIN_MS:
                if order is not None:
                    break
                await self.patience.wait(wait_ms)
                order = await self.find(request.link_id)
            await self.settle(request, order)
        except Outside as error:
            await self.fell_silent(error, f"order {request.link_id}")

    async def settle(self, request: OrderRequest, order: Order | None) -> None:
        """What became of an order is known: `order`, or (None) it never arrived and never will.

        Raises:
            ExchangeError: its executions cannot be read.
            OSError: the same.
        """
        self.books.journal.outcome(request.link_id, "accepted" if order else "not_found", self.patience.now_ms())
        if order is None:
            await self.apply(c.Refused(request, "exchange_error", "the order never arrived"))
        elif order.filled_lots or order.status.is_final:
            await self.book_missed()
            await self.apply(OrderChanged(order))

    def is_given_up(self, link: str) -> bool:
        """Whether an order that cannot be found was sent so long ago that it will not arrive any more."""
        sent_ms = self.books.sent_ms.get(link)
        return sent_ms is None or self.patience.market_ms() - sent_ms >= ARRIVES_WITHIN_MS

    # ---- stop and target ---------------------------------------------------------------------------

    async def amend_stop(self, trigger: int) -> None:
        """Move the stop; when that fails, look where it stands before deciding anything."""
        now = self.patience.now_ms()
        self.books.journal.event(now, "amend_stop", json.dumps({"trigger_ticks": trigger}))
        try:
            await self.patience.ask(lambda: self.exchange.amend_stop(trigger))  # amending again is harmless
        except OrderRefusedError as refusal:
            await self._stop_refused(trigger, refusal.message)
        except Outside as error:
            await self.fell_silent(error, "the stop")
        else:
            self.saw_stop(True)

    def saw_stop(self, is_there: bool) -> None:
        """The exchange shows the stop of the short that is open, or shows that there is none."""
        book = self.books.state.book
        candle_ms = book.candle_ms if isinstance(book, Open | Entering) else None
        self.stop_seen_for = candle_ms if is_there else None
        self.stop_missing_for = None if is_there else candle_ms

    async def _stop_refused(self, trigger: int, why: str) -> None:
        """A short that stands without any stop is closed; one that the account does not show is asked after first.

        Right after an entry the exchange may know of no position yet: that says nothing about the stop.
        """
        try:
            account = await self.book_missed()
        except Outside as error:
            await self.fell_silent(error, "the account")
            return
        if account.position is None and self.books.state.short_lots:
            self.agenda.demand_full()
            return
        standing = account.position.stop_ticks if account.position is not None else None
        await self.apply(c.StopRefused(trigger, why, standing))

    async def _cancel(self, link: str) -> None:
        try:
            await self.patience.ask(lambda: self.exchange.cancel(link))  # cancelling again is harmless
        except OrderRefusedError:
            return
        except Outside as error:
            await self.fell_silent(error, f"the end of order {link}")
