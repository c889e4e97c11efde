"""Holding our view against the exchange's: all of it after a start or a silence, a look every few candles."""

from __future__ import annotations

from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import AccountView, Event, Executed, Order, OrderChanged
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.exits import residual_again
from your_short_trade_margin_call.trading.ids import is_ours
from your_short_trade_margin_call.trading.inspection import Findings, inspect, is_attached_stop
from your_short_trade_margin_call.trading.order_desk import OrderDesk
from your_short_trade_margin_call.trading.patience import LATER_MS, Outside
from your_short_trade_margin_call.trading.reconcile import agrees, inferred_purchase, lots_of, protect, with_wallet
from your_short_trade_margin_call.trading.state import EngineState, Entering, Flat, Halt, Open, Stray, is_halted
from your_short_trade_margin_call.trading.stop_watch import TRIES, StopWatch
from your_short_trade_margin_call.trading.stray import WHY

VERIFY_AFTER_MS = 1_000
"""How long after an entry, or after odd news, the account is looked at: it needs a moment to show what happened."""
MISMATCH_TRIES = 5
"""Looks at positions that differ, over 38 seconds, before that counts as the truth: a list may lag behind."""
OVER_WHEN_RECONCILED = (
    Halt.UNRECONCILED,
    Halt.EXCHANGE_SILENT,
    Halt.KEY_REFUSED,
    Halt.FORBIDDEN,
    Halt.CLOSE_FAILED,
)


class Reconciler:
    """Asks, compares, repairs. What it cannot settle now stays on the desk's agenda."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk
        self._books = desk.books
        self._watch = StopWatch(desk)
        self._has_started = False
        self._drifted = False
        self._opened = 0
        self._verified_for: int | None = None
        self._missed = 0
        self._close_rounds = 0

    @property
    def _state(self) -> EngineState:
        return self._books.state

    # ---- when --------------------------------------------------------------------------------------

    def opened_candle(self) -> None:
        """A candle has opened: every so many of them, a look is due."""
        every = self._books.context.light_every_candles
        self._opened += 1
        if every and self._opened % every == 0:
            self._look_after(0)

    def heard(self, event: Event) -> None:
        """News that a real account may not be as it should be: a look is due in a moment, not in two candles.

        The stop fired only in part, or ended, and may have left none; or somebody else has an order here.
        """
        if not self._books.context.verify_stop:
            return
        if isinstance(event, Executed):
            is_news = event.execution.from_stop and isinstance(self._state.book, Open)
        elif isinstance(event, OrderChanged):
            is_news = self._is_odd(event.order)
        else:
            return
        if is_news:
            self._look_after(VERIFY_AFTER_MS, at_latest=True)

    def _is_odd(self, order: Order) -> bool:
        """An end of the stop while the short is open, or an order that is neither ours nor known about."""
        if is_attached_stop(order):
            return order.status.is_final and isinstance(self._state.book, Open)
        is_foreign = not is_ours(self._books.context.symbol, order.link_id) and not order.status.is_final
        return is_foreign and not is_halted(self._state, Halt.FOREIGN_ORDER)

    def next_ms(self) -> int | None:
        """The market's moment at which something is due although nothing happens; None when nothing is."""
        agenda = self._desk.agenda
        due = [agenda.next_ms if agenda.full else agenda.light_ms, self._watch.next_ms]
        return min((moment for moment in due if moment is not None), default=None)

    async def turn(self) -> None:
        """What is due now; called after each event, and when `next_ms` has come."""
        desk, agenda, now = self._desk, self._desk.agenda, self._desk.patience.market_ms()
        self._notice_entry()
        self._notice_lost_orders(now)
        if not agenda.full and agenda.light_ms is not None and now >= agenda.light_ms:
            if isinstance(self._state.book, Entering):
                self._look_after(1_000)
            else:
                await self._try_light()
        if agenda.full and now >= agenda.next_ms:
            await self._try_full()
        await self._watch.look(desk.patience.market_ms())

    def _look_after(self, for_ms: int, *, at_latest: bool = False) -> None:
        agenda, due_ms = self._desk.agenda, self._desk.patience.market_ms() + for_ms
        is_sooner = at_latest and agenda.light_ms is not None and agenda.light_ms < due_ms
        agenda.light_ms = agenda.light_ms if is_sooner else due_ms

    def _notice_entry(self) -> None:
        """A new short: on a real exchange, look whether its stop rests there."""
        book = self._state.book
        if isinstance(book, Open) and book.candle_ms != self._verified_for:
            self._verified_for = book.candle_ms
            if self._books.context.verify_stop:
                self._look_after(VERIFY_AFTER_MS)

    def _notice_lost_orders(self, now_ms: int) -> None:
        """An entry nobody has heard of for too long, and a close that found no taker, are asked after."""
        book, agenda = self._state.book, self._desk.agenda
        if agenda.full:
            return
        if isinstance(book, Entering) and self._desk.is_given_up(book.request.link_id):
            agenda.demand_full()
        elif isinstance(book, Open) and book.close_wanted is not None and book.close_id is None:
            agenda.demand_full()
            agenda.next_ms = now_ms + LATER_MS[min(self._close_rounds, len(LATER_MS) - 1)]
            self._close_rounds += 1
        elif isinstance(book, Flat):
            self._close_rounds = 0

    # ---- everything --------------------------------------------------------------------------------

    async def at_start(self) -> None:
        """Everything, before anything else is done.

        Raises:
            ExchangeError: it does not answer, or holds a position although nothing of ours is open.
            OSError: it does not answer.
        """
        desk = self._desk
        desk.agenda.demand_full()
        for wait_ms in LATER_MS:
            if await self._full():
                break
            if isinstance(self._state.book, Flat) and desk.agenda.mismatches >= MISMATCH_TRIES:
                raise ExchangeError(
                    "The exchange shows a position, and by the journal nothing of ours is open.",
                    "Somebody else traded this account, or the journal is not of this account: close the difference "
                    "by hand and start again.",
                )
            await desk.patience.wait(wait_ms)
        self._has_started = True
        if desk.agenda.full and not desk.agenda.next_ms:
            await self._put_off()

    async def _try_full(self) -> None:
        """Everything, once; when it is not answered or not in order yet, again later."""
        try:
            if not await self._full():
                await self._put_off()
        except Outside as error:
            await self._desk.fell_silent(error, "the account")

    async def _put_off(self) -> None:
        desk = self._desk
        desk.agenda.put_off(desk.patience.market_ms(), is_barred=False)
        await self._trouble(Halt.UNRECONCILED, True, "the account is not as it should be, it is looked at again")

    async def _full(self) -> bool:
        """Book what was missed, compare, give an open short what it lacks; False when it is to be tried again.

        Raises:
            ExchangeError: no answer came.
            OSError: the same.
        """
        desk, agenda = self._desk, self._desk.agenda
        account = await desk.book_missed()
        if isinstance(self._state.book, Entering) and not await self._is_entry_settled():
            return False
        if not agrees(self._state, account):
            account = await desk.book_missed()
        if not agrees(self._state, account):
            agenda.mismatches += 1
            is_nothing_of_ours = isinstance(self._state.book, Flat) and not self._has_started
            if agenda.mismatches < MISMATCH_TRIES or (is_nothing_of_ours and account.position is not None):
                return False
            agenda.mismatches = 0
            if is_nothing_of_ours:  # flat here and there: of what others did the list tells only a part
                self._books.state = self._state._replace(stray=Stray())
            else:
                await self._accept(account)
                account = await desk.book_missed()
            if not agrees(self._state, account):
                return False
        target, closing, residual = await self._orders_of_ours()
        # From here on nothing is open; what the repairs meet with begins a new round.
        agenda.settled()
        agenda.light_ms = None
        desk.patience.is_silent = False
        for kind in OVER_WHEN_RECONCILED:
            await self._trouble(kind, False)
        await self._repair(account, target, closing, residual)
        return True

    async def _is_entry_settled(self) -> bool:
        """Whether what became of the entry that is on its way is known, and dealt with."""
        desk, book = self._desk, self._state.book
        if not isinstance(book, Entering):
            return True
        order = await desk.find(book.request.link_id)
        if order is None:
            if not desk.is_given_up(book.request.link_id):
                return False
            if self._has_started:
                await desk.settle(book.request, None)
            else:  # intended before a kill and never sent: its signal may be traded still
                self._books.journal.outcome(book.request.link_id, "not_found", desk.patience.now_ms())
                self._books.state = self._state._replace(book=Flat())
            return True
        await desk.apply(OrderChanged(order))
        return order.status.is_final

    async def _orders_of_ours(self) -> tuple[Order | None, Order | None, Order | None]:
        """The target, the close and the close of a remainder, as the exchange shows them."""
        book, residual_id = self._state.book, self._state.stray.close_id
        target = await self._desk.find(book.target_id) if isinstance(book, Open) else None
        closing = await self._desk.find(book.close_id) if isinstance(book, Open) and book.close_id else None
        return target, closing, await self._desk.find(residual_id) if residual_id else None

    async def _repair(
        self, account: AccountView, target: Order | None, closing: Order | None, residual: Order | None
    ) -> None:
        books, desk = self._books, self._desk
        await self._heed(inspect(books.context, self._state, account), repairs=False, adopts_wallet=True)
        books.state, commands = protect(books.context, self._state, account, target, closing)
        await desk.carry_out(commands)
        if residual is None or residual.status.is_final:
            books.state, commands = residual_again(books.context, self._state)
            await desk.carry_out(commands)

    async def _accept(self, account: AccountView) -> None:
        """The positions differ for good: the exchange's is the truth, and all that is short is closed."""
        desk, books = self._desk, self._books
        inferred = inferred_purchase(books.context, self._state, account)
        if inferred is not None:
            await desk.book(inferred)
        book = self._state.book
        if isinstance(book, Entering) and not book.filled_lots:
            await desk.apply(c.Refused(book.request, "exchange_error", "what it filled is not known"))
        entry = account.position.entry_ticks if account.position is not None else 0.0
        await desk.apply(c.Mismatch(desk.patience.market_ms(), lots_of(account), entry))

    # ---- a look ------------------------------------------------------------------------------------

    async def _try_light(self) -> None:
        """A look at the account; one that is not answered leads to a full reconciliation."""
        desk = self._desk
        desk.agenda.light_ms = None
        try:
            account = await desk.book_missed()
        except Outside as error:
            await desk.fell_silent(error, "the account")
            return
        await self._heed(inspect(self._books.context, self._state, account), repairs=True, adopts_wallet=self._drifted)

    async def _heed(self, found: Findings, *, repairs: bool, adopts_wallet: bool) -> None:
        """Act on what a look found."""
        desk, books = self._desk, self._books
        is_foreign = bool(found.foreign) or self._state.stray.lots != 0
        why = f"orders that are not ours: {', '.join(found.foreign)}" if found.foreign else WHY
        await self._trouble(Halt.FOREIGN_ORDER, is_foreign, why)
        if found.is_stop_seen is not None:
            desk.saw_stop(found.is_stop_seen)
            self._missed = 0 if found.is_stop_seen else self._missed + 1
            if not found.is_stop_seen:
                books.note("stop_missing", {"lots": self._state.short_lots})
            if 0 < self._missed <= TRIES and books.context.verify_stop:  # set in a moment; is it there then?
                self._look_after(VERIFY_AFTER_MS)
        if found.liquidation_drift is not None and isinstance(self._state.book, Open):
            books.note_once("liquidation_drift", self._state.book.candle_ms, found.liquidation_drift)
        self._drifted = found.wallet_drift_usdt != 0.0
        if self._drifted and adopts_wallet:
            books.state = with_wallet(self._state, self._state.wallet + found.wallet_drift_usdt)
            books.note("wallet_adjusted", {"by_usdt": found.wallet_drift_usdt})
        if repairs:
            await desk.carry_out(found.repairs)
            if found.differs:
                books.note("differs", {"what": found.differs})
                desk.agenda.demand_full()

    async def _trouble(self, kind: Halt, is_on: bool, why: str = "") -> None:
        await self._desk.apply(c.Trouble(self._desk.patience.market_ms(), kind, is_on, why))
