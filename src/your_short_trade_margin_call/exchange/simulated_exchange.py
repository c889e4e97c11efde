"""The simulated exchange: one account, one pair, isolated margin, one-way, short only.

A synchronous, deterministic state machine. Requests and market inputs go in as calls; events come out of `drain`,
in the order they happened. It has no clock (every market input brings its time) and no randomness but the hashes
of `rules.luck` and of its `FaultPlan`.

It is driven in one of two ways:

* by candles (replay, demo), at each boundary: `run_candle(i)`, `settle_funding`, `on_opening_quote(i + 1)`, the
  trader's requests, then `run_candle(i + 1)`; at the end `on_market_end`;
* by quotes (paper trading on a live stream): `on_quote` for each, `settle_funding` when due.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.errors import ArtefactError, BrokenInvariantError
from your_short_trade_margin_call.domain.messages import AccountView, Event, Order, OrderRequest
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.exchange.book import UNCHANGED, Book, Moment, Quote, Triggers
from your_short_trade_margin_call.exchange.clearing import Clearing
from your_short_trade_margin_call.exchange.desk import (
    FREELY,
    Arrival,
    add_margin,
    amend_attached,
    amend_order,
    change_leverage,
    place_order,
)
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.gate import Gate, Write
from your_short_trade_margin_call.exchange.invariants import check_book
from your_short_trade_margin_call.exchange.outbox import Outbox
from your_short_trade_margin_call.exchange.path import NO_MINUTES, Path, walk
from your_short_trade_margin_call.exchange.positions import view_of
from your_short_trade_margin_call.exchange.prices import known_mark, require_prices
from your_short_trade_margin_call.exchange.refusals import RefusalCode, refusal
from your_short_trade_margin_call.exchange.state import dump_state, load_state
from your_short_trade_margin_call.exchange.windows import Windows
from your_short_trade_margin_call.rules.terms import Contract, Terms


class SimulatedExchange(Windows):
    """The exchange's side of one account.

    Args:
        contract: the instrument in ticks and lots.
        terms: fees, spread, slippage, reject probability and the key of the luck.
        starting_usdt: the wallet at the start.
        candle_ms: length of a candle.
        faults: what goes wrong on purpose.

    Every call may raise BrokenInvariantError, which is a bug here, never the caller's doing.
    """

    def __init__(
        self,
        contract: Contract,
        terms: Terms,
        starting_usdt: float,
        candle_ms: int = CANDLE_MS,
        faults: FaultPlan | None = None,
    ) -> None:
        self.contract = contract
        self.terms = terms
        self.candle_ms = candle_ms
        self.faults = faults or FaultPlan.none()
        self._book = Book(starting_usdt=float(starting_usdt), wallet_usdt=float(starting_usdt))
        self._outbox = Outbox(self.faults)
        self._clearing = Clearing(contract, terms, self._book, self._outbox, self.faults)
        self._time_ms = 0
        self._quote: Quote | None = None
        self._last_close: Quote | None = None
        self._ended = False
        self._shares_wallet = False
        self._gate = Gate(self.faults, self._outbox)
        self._funding_settled_ms = 0

    # ---- what the trader asks -------------------------------------------------------------------

    def place(self, request: OrderRequest, arrival: Arrival = FREELY) -> str:
        """Send an order; the answer is the exchange's id of it, and only acknowledges.

        Raises:
            OrderRefusedError: the order does not exist; `code` is a RefusalCode.
            OutcomeUnknownError: it may exist (by fault).
        """
        is_entry = not request.reduce_only
        return self._write(lambda number, fault: self._place(request, arrival, number, fault), is_entry=is_entry)

    def amend_order(
        self,
        link_id: str,
        lots: int | None = None,
        price_ticks: int | None = None,
        trigger_ticks: int | None = None,
        attached: Triggers = UNCHANGED,
    ) -> None:
        """Change what is given of an open order; `lots` is its new total. It may fill at once, as a new one.

        Raises:
            OrderRefusedError: `no_order`, or as for `place`: the order stands as it was.
            OutcomeUnknownError: it may have changed (by fault).
        """
        change = {"lots": lots, "price_ticks": price_ticks, "trigger_ticks": trigger_ticks}
        self._change(lambda quote: amend_order(self._clearing, link_id, quote, **change, attached=attached))

    def add_margin(self, usdt: float) -> None:
        """Add margin to the open position, or (negative) take back what was added.

        Raises:
            OrderRefusedError: `no_position`, `insufficient_balance`, `margin_reduction`, `would_liquidate`.
            OutcomeUnknownError: it may have changed (by fault).
        """
        self._change(lambda quote: add_margin(self._clearing, usdt, quote))

    def change_leverage(self, leverage: float) -> None:
        """Change the leverage of the open position and of resting entries; margin that was added is given back.

        Raises:
            OrderRefusedError: `leverage`, `insufficient_balance` or `would_liquidate`.
            OutcomeUnknownError: it may have changed (by fault).
        """
        self._change(lambda quote: change_leverage(self._clearing, leverage, quote))

    def amend_stop(self, trigger_ticks: int) -> None:
        """Move the protective stop of the open position, or attach one; 0 (or NO_PRICE) removes it. Idempotent.

        Raises:
            OrderRefusedError: `no_position`, or `stop_wrong_side`: the stop stands where it was.
            OutcomeUnknownError: it may have moved (by fault).
        """
        self.amend_attached(Triggers(stop=trigger_ticks))

    def amend_attached(self, triggers: Triggers) -> None:
        """Attach, move or remove stop and take profit of the open position in one request. Idempotent.

        Raises:
            OrderRefusedError: `no_position`, `stop_wrong_side` or `take_profit_wrong_side`: both stand where they were.
            OutcomeUnknownError: they may have moved (by fault).
        """
        self._change(lambda quote: amend_attached(self._clearing, triggers, quote))

    def cancel(self, link_id: str) -> None:
        """Cancel an order; one that is gone already, or never was, is no error.

        Raises:
            OutcomeUnknownError: it may be cancelled (by fault).
        """
        self._write(lambda _number, _fault: self._cancel(link_id))

    def find(self, link_id: str) -> Order | None:
        """The order with this id of ours, however it ended; None if it never existed.

        Raises:
            ExchangeError: an outage (by fault).
        """
        self._gate.read()
        return self._book.find(link_id)

    def account(self, executions_since_ms: int) -> AccountView:
        """Wallet, position, open orders (the attached stop is shown with the position), executions at or after.

        Raises:
            ExchangeError: an outage (by fault).
        """
        self._gate.read()
        return AccountView(
            time_ms=self._time_ms,
            wallet_usdt=self._book.wallet_usdt,
            position=view_of(self._book.position),
            open_orders=tuple(placed.order for placed in self._book.open_orders.values()),
            executions=tuple(row for row in self._book.executions if row.time_ms >= executions_since_ms),
        )

    def drain(self) -> list[Event]:
        """Take the events since the last drain: OrderChanged, Executed, StreamLost, StreamRestored."""
        return self._outbox.drain()

    # ---- what the market does -------------------------------------------------------------------

    def on_opening_quote(
        self,
        time_ms: int,
        mid_ticks: float,
        mark_ticks: float | None = None,
        *,
        candle_ms: int | None = None,
        check_guards: bool,
    ) -> None:
        """Candle-driven: the first quote of a candle, known by `candle_ms` (else `time_ms` is its open time).

        Market orders fill at it from now on. With `check_guards`, a mark at or beyond liquidation or stop acts at
        once, as the opening of the candle; resting limit orders wait for `run_candle` in any case.
        """
        moment = Moment(time_ms, time_ms if candle_ms is None else candle_ms)
        quote = self._set_quote(moment, mid_ticks, mark_ticks)
        if check_guards:
            walk(self._clearing, Path.of_opening(quote))
        self.check()

    def on_quote(
        self, time_ms: int, mid_ticks: float, mark_ticks: float | None = None, *, opens_candle_ms: int | None = None
    ) -> None:
        """Quote-driven: liquidation, stops, then resting limit orders are checked against this quote.

        It belongs to the candle it opens (`opens_candle_ms`), else to the one whose grid interval holds `time_ms`.
        """
        candle_ms = time_ms - time_ms % self.candle_ms if opens_candle_ms is None else opens_candle_ms
        walk(self._clearing, Path.of_quote(self._set_quote(Moment(time_ms, candle_ms), mid_ticks, mark_ticks)))
        self.check()

    def run_candle(
        self,
        open_time_ms: int,
        open: float,
        high: float,
        low: float,
        close: float,
        mark_open: float | None = None,
        mark_high: float | None = None,
        mark_close: float | None = None,
        minute_high: NDArray[np.float64] = NO_MINUTES,
        minute_low: NDArray[np.float64] = NO_MINUTES,
    ) -> None:
        """Candle-driven: the path of one candle, the adverse move first; afterwards its close is the market.

        Prices in ticks. A mark price of None or NaN is unknown: the last price serves. Minutes, three of each, are
        NaN when unknown. What happens inside is stamped with the last millisecond of the candle: after everything
        at its opening, before everything at the next.
        """
        moment = Moment(open_time_ms + self.candle_ms - 1, open_time_ms)
        require_prices(open, high, low, close)
        known_open, known_high = known_mark(mark_open, open), known_mark(mark_high, high)
        self._time_ms = max(self._time_ms, moment.time_ms)
        path = Path(moment, float(open), float(high), float(low), known_open, known_high, minute_high, minute_low)
        walk(self._clearing, path)
        self._last_close = self._set_quote(moment, close, mark_close)
        self.check()

    def settle_funding(self, time_ms: int, rate: float, mark_ticks: float) -> None:
        """Settle for a position whose first fill came strictly before `time_ms`; a positive rate pays the short.

        Each moment settles once: one at or before `funding_settled_ms` changes nothing.
        """
        if time_ms <= self._funding_settled_ms:
            return
        self._funding_settled_ms = time_ms
        candle_ms = self._quote.moment.candle_ms if self._quote else time_ms
        self._time_ms = max(self._time_ms, time_ms)
        self._clearing.settle_funding(float(rate), float(mark_ticks), Moment(time_ms, candle_ms))
        self.check()

    def auto_deleverage(self, time_ms: int, lots: int, price_ticks: int) -> None:
        """The venue closes `lots` of the position (at most all of it) without any order of ours."""
        candle_ms = self._quote.moment.candle_ms if self._quote else time_ms
        self._time_ms = max(self._time_ms, time_ms)
        if self._book.position is not None and lots > 0:
            self._clearing.auto_deleverage(lots, price_ticks, Moment(time_ms, candle_ms))
        self.check()

    def take_over(self, time_ms: int) -> None:
        """The venue liquidates the position now, wherever the mark stands; nothing happens when flat."""
        candle_ms = self._quote.moment.candle_ms if self._quote else time_ms
        self._time_ms = max(self._time_ms, time_ms)
        if self._book.position is not None:
            self._clearing.liquidate(Moment(time_ms, candle_ms))
        self.check()

    def on_market_end(self) -> None:
        """No candle follows: from now on market exits fill at the last close with that candle's luck, entries never.

        After a quote-driven run the last quote plays the part of the last close.
        """
        last = self._last_close or self._quote
        if last is not None:
            self._quote = last._replace(moment=Moment(last.moment.candle_ms + self.candle_ms, last.moment.candle_ms))
            self._time_ms = max(self._time_ms, self._quote.moment.time_ms)
        self._ended = True

    # ---- the line between the two ---------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """False between a StreamLost and `reconnect`: events are lost, requests still work."""
        return self._outbox.connected

    def disconnect(self, time_ms: int) -> None:
        """Cut the stream of events, as the fault does."""
        self._outbox.disconnect(time_ms)

    def reconnect(self, time_ms: int) -> None:
        """Restore the stream; what was missed stays missed."""
        self._outbox.reconnect(time_ms)

    # ---- what a server may change -----------------------------------------------------------------

    def share_wallet(self, elsewhere: Callable[[], float]) -> None:
        """Count `elsewhere()` as available too: what other pairs with the same wallet add to it, or lock of it.

        Each pair keeps its own ledger and brings `own_available_usdt` to the others. From then on, whether the
        whole wallet is overdrawn is for whoever shares it to check. Not part of `to_state`.
        """
        self._clearing.elsewhere = elsewhere
        self._shares_wallet = True

    def change_faults(self, faults: FaultPlan) -> None:
        """What goes wrong on purpose from the next request or event on."""
        self.faults = self._gate.faults = self._outbox.faults = self._clearing.faults = faults

    def check(self) -> None:
        """The invariants of the account (see `invariants`); called after every event.

        Raises:
            BrokenInvariantError: one does not hold.
        """
        check_book(self._book, math.inf if self._shares_wallet else self._clearing.available_usdt())

    # ---- a restart ------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Everything but contract, terms and faults, ready for JSON; `from_state` continues identically."""
        return {
            "candle_ms": self.candle_ms,
            "time_ms": self._time_ms,
            "ended": self._ended,
            "writes": self._gate.writes,
            "outage_left": self._gate.outage_left,
            "funding_settled_ms": self._funding_settled_ms,
            **dump_state(self.contract, self._book, self._outbox, self._quote, self._last_close),
        }

    @classmethod
    def from_state(
        cls, state: dict[str, Any], contract: Contract, terms: Terms, faults: FaultPlan | None = None
    ) -> SimulatedExchange:
        """The exchange as it was.

        Raises:
            ArtefactError: the state cannot be read, is of another version, or of another instrument.
        """
        loaded = load_state(state, contract, faults or FaultPlan.none())
        exchange = cls(contract, terms, loaded.book.starting_usdt, loaded.candle_ms, faults)
        exchange._book, exchange._outbox = loaded.book, loaded.outbox
        exchange._clearing = Clearing(contract, terms, loaded.book, loaded.outbox, exchange.faults)
        exchange._time_ms, exchange._ended = loaded.time_ms, loaded.ended
        exchange._quote, exchange._last_close = loaded.quote, loaded.last_close
        exchange._gate = Gate(exchange.faults, loaded.outbox)
        exchange._gate.writes, exchange._gate.outage_left = loaded.writes, loaded.outage_left
        exchange._funding_settled_ms = loaded.funding_settled_ms
        try:
            exchange.check()
        except BrokenInvariantError as error:
            raise ArtefactError(f"The paper account contradicts itself: {error}", "Restore or remove it.") from error
        return exchange

    # ---- inside ---------------------------------------------------------------------------------

    def _write(self, act: Write, *, is_entry: bool = False) -> str:
        try:
            return self._gate.write(act, is_entry=is_entry)
        finally:
            self.check()

    def _change(self, act: Callable[[Quote], None]) -> None:
        """A write that makes no order, at the current quote."""

        def write(_number: int, _fault: Fault | None) -> str:
            act(self._current_quote())
            return ""

        self._write(write)

    def _place(self, request: OrderRequest, arrival: Arrival, number: int, fault: Fault | None) -> str:
        quote = self._current_quote()
        if self._ended and not request.reduce_only:
            raise refusal(RefusalCode.MARKET_ENDED, "The market has ended: only exits are taken.")
        late_reject = fault is Fault.LATE_REJECT
        return place_order(self._clearing, request, quote, number, late_reject=late_reject, arrival=arrival)

    def _cancel(self, link_id: str) -> str:
        moment = self._quote.moment if self._quote else Moment(self._time_ms, self._time_ms)
        self._clearing.cancel(link_id, "cancelled_by_trader", moment)
        return ""

    def _current_quote(self) -> Quote:
        if self._quote is None:
            raise refusal(RefusalCode.NO_QUOTE, "There is no quote yet.")
        return self._quote

    def _set_quote(self, moment: Moment, mid_ticks: float, mark_ticks: float | None) -> Quote:
        require_prices(mid_ticks)
        self._time_ms = max(self._time_ms, moment.time_ms)
        self._quote = Quote(moment, float(mid_ticks), known_mark(mark_ticks, mid_ticks))
        return self._quote
