"""The clearing house: what a fill, a settlement or a liquidation does to the account, and whom it is told.

Every number comes from `rules/`; this file decides only what happens in which order: the execution is told
before the status it leads to, and what a closed position leaves behind is cancelled last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from your_short_trade_margin_call.domain.errors import BrokenInvariantError
from your_short_trade_margin_call.domain.messages import Executed, Execution, Order, OrderChanged
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, OrderType, Side
from your_short_trade_margin_call.exchange.admission import entry_fill_ticks
from your_short_trade_margin_call.exchange.book import (
    MONEY_TOLERANCE_USDT,
    Book,
    BookingKind,
    Moment,
    PlacedOrder,
    Position,
    Quote,
    limit_price,
    trigger_price,
)
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.outbox import Outbox
from your_short_trade_margin_call.exchange.positions import (
    increased,
    locked_usdt,
    reduced,
    reserved_usdt,
    with_attached,
    with_extra_margin,
)
from your_short_trade_margin_call.rules.costs import buy_fill, fee, funding_received
from your_short_trade_margin_call.rules.luck import EXIT_SLIPPAGE, slippage_bps
from your_short_trade_margin_call.rules.position import (
    bankruptcy_ticks,
    close_at,
    liquidate,
    margin_taken_by_funding,
)
from your_short_trade_margin_call.rules.terms import Contract, Terms


class Clearing:
    """Changes the book and tells the outbox."""

    def __init__(self, contract: Contract, terms: Terms, book: Book, outbox: Outbox, faults: FaultPlan) -> None:
        self.contract = contract
        self.terms = terms
        self.book = book
        self.outbox = outbox
        self.faults = faults
        self.elsewhere: Callable[[], float] = _nothing
        """USDT that other pairs with the same wallet add to what is available here (negative: lock of it)."""

    # ---- money ----------------------------------------------------------------------------------

    def locked_usdt(self) -> float:
        """The margin of the position and what resting entries reserve."""
        reserved = sum(reserved_usdt(self.contract, self.terms, placed) for placed in self.book.open_orders.values())
        return locked_usdt(self.contract, self.terms, self.book.position) + reserved

    def available_usdt(self) -> float:
        """What a new order may cost: unrealised profit is not spendable."""
        return self.own_available_usdt() + self.elsewhere()

    def own_available_usdt(self) -> float:
        """The part of it that this pair accounts for."""
        return self.book.wallet_usdt - self.locked_usdt()

    # ---- orders ---------------------------------------------------------------------------------

    def accept(self, placed: PlacedOrder, moment: Moment) -> None:
        """Put an order on the book and tell it."""
        self.book.open_orders[placed.order.link_id] = placed
        self._tell(placed.order, moment)

    def reject(self, order: Order, moment: Moment) -> None:
        """Keep an order that was acknowledged and then rejected."""
        self._update(replace(order, status=OrderStatus.REJECTED, reason="exchange_error"), moment)

    def cancel(self, link_id: str, reason: str, moment: Moment) -> None:
        """Cancel an open order; one that is gone, or never was, is no error."""
        placed = self.book.open_orders.get(link_id)
        if placed is not None:
            self._update(replace(placed.order, status=OrderStatus.CANCELLED, reason=reason), moment)

    def amend(self, placed: PlacedOrder, moment: Moment) -> None:
        """Replace an open order by its changed self and tell it."""
        self.book.open_orders[placed.order.link_id] = placed
        self._tell(placed.order, moment)

    def move_attached(self, kind: OrderType, trigger_ticks: int | None, moment: Moment) -> None:
        """Attach, move or (None) remove the position's stop or take profit. The same trigger changes nothing."""
        position = self._position()
        old = position.stop if kind is OrderType.STOP_MARKET else position.take_profit
        if old is not None and trigger_ticks is None:
            self.book.position = with_attached(position, kind, None)
            self._retire((old,), "removed", moment)
        elif trigger_ticks is not None and (old is None or old.trigger_ticks != trigger_ticks):
            order = self._new_attached(position, kind) if old is None else old
            moved = replace(order, trigger_ticks=trigger_ticks)
            self.book.position = with_attached(position, kind, moved)
            self._tell(moved, moment)

    # ---- fills ----------------------------------------------------------------------------------

    def fill_at_quote(self, link_id: str, quote: Quote) -> None:
        """Fill as a taker now; a limit order no worse than its price."""
        price = self.taker_ticks(self.book.open_orders[link_id].order, quote)
        self._fill(link_id, price, quote.moment, is_maker=False)

    def taker_ticks(self, order: Order, quote: Quote) -> int:
        """The price an order fills at when it takes liquidity now."""
        if order.side is Side.SELL:
            price = entry_fill_ticks(self.terms, quote)
            return max(price, limit_price(order)) if order.order_type is OrderType.LIMIT else price
        price = self._exit_fill_ticks(quote.mid_ticks, quote.moment)
        return min(price, limit_price(order)) if order.order_type is OrderType.LIMIT else price

    def fill_resting(self, link_id: str, moment: Moment) -> None:
        """Fill a limit order the market traded through: at its own price, as a maker."""
        self._fill(link_id, limit_price(self.book.open_orders[link_id].order), moment, is_maker=True)

    def fire_stop(self, stop: Order, open_ticks: float, moment: Moment) -> None:
        """A stop triggered: a market buy, from its trigger or from an opening beyond it."""
        self._fire(stop, max(float(trigger_price(stop)), open_ticks), moment)

    def fire_take_profit(self, order: Order, high_ticks: float, moment: Moment) -> None:
        """A take profit triggered: a market buy, from its trigger or from the highest price where all lie below."""
        self._fire(order, min(float(trigger_price(order)), high_ticks), moment)

    def auto_deleverage(self, lots: int, price_ticks: int, moment: Moment) -> None:
        """The venue closes (a part of) the position at a price of its choosing; no order of ours is involved."""
        position = self._position()
        lots = min(lots, position.size)
        self._buy_back("", lots, price_ticks, moment, is_maker=False, kind=ExecutionKind.ADL)
        self._after_close(position.attached, moment)

    def liquidate(self, moment: Moment) -> None:
        """The venue takes the position over: its whole margin is lost, every order is cancelled."""
        position = self._position()
        short = (position.size, position.entry_ticks, position.leverage, position.extra_margin_usdt)
        closing = liquidate(self.contract, self.terms, *short)
        price = bankruptcy_ticks(self.contract, self.terms, *short)
        self.book.book(moment, BookingKind.LIQUIDATION, closing.wallet_change)
        self.book.position = None
        self._record(ExecutionKind.LIQUIDATION, "", Side.BUY, position.size, price, closing.fee, moment, is_maker=False)
        self._retire(position.attached, "liquidation", moment)
        for link_id in list(self.book.open_orders):
            self.cancel(link_id, "liquidation", moment)
        self.book.overdrawn_usdt = max(0.0, -self.available_usdt())

    def settle_funding(self, rate: float, mark_ticks: float, moment: Moment) -> None:
        """A settlement for the position that was open before: what the available balance cannot pay, its margin pays.

        Liquidation moves with the margin; the stop is the trader's to amend.
        """
        position = self.book.position
        if position is None or position.opened_ms >= moment.time_ms:
            return
        received = funding_received(self.contract, position.size, mark_ticks, rate)
        taken = margin_taken_by_funding(self.book.wallet_usdt + self.elsewhere(), self.locked_usdt(), received)
        if taken > 0.0:
            self.book.position = with_extra_margin(self.contract, self.terms, position, -taken)
        self.book.book(moment, BookingKind.FUNDING, received)
        self._record(
            ExecutionKind.FUNDING, "", Side.SELL, position.size, mark_ticks, 0.0 - received, moment, is_maker=False
        )

    # ---- inside a fill --------------------------------------------------------------------------

    def _fill(self, link_id: str, price_ticks: int, moment: Moment, *, is_maker: bool) -> None:
        """Fill what is open of an order, in the parts that the fault plan wants."""
        placed = self._cut_to_position(self.book.open_orders[link_id])
        attached = self.book.position.attached if self.book.position else ()
        is_market = placed.order.order_type is OrderType.MARKET
        fault = self.faults.fill_fault(placed.request_number, is_market=is_market)
        parts = self.faults.parts(placed.request_number, placed.open_lots) if fault else (placed.open_lots,)
        dies = fault is Fault.PARTIAL_THEN_CANCEL
        if dies:
            parts = parts[:1] if len(parts) > 1 else ()
        for part in parts:
            self._fill_part(placed, part, price_ticks, moment, is_maker=is_maker)
            placed = self.book.open_orders.get(link_id, placed)
        if dies:
            self.cancel(link_id, "no_liquidity", moment)
        if not placed.is_entry:
            self._after_close(attached, moment)

    def _fire(self, order: Order, reference_ticks: float, moment: Moment) -> None:
        price = self._exit_fill_ticks(reference_ticks, moment)
        if order.link_id:
            self._fill(order.link_id, price, moment, is_maker=False)
            return
        position = self._position()
        from_stop = order.order_type is OrderType.STOP_MARKET
        self._buy_back("", position.size, price, moment, is_maker=False, from_stop=from_stop)
        self._tell(replace(order, status=OrderStatus.FILLED, filled_lots=position.size), moment)
        self._after_close(tuple(other for other in position.attached if other.order_id != order.order_id), moment)

    def _cut_to_position(self, placed: PlacedOrder) -> PlacedOrder:
        """A reduce-only order larger than the position is for the position."""
        order = placed.order
        if placed.is_entry or placed.open_lots <= self._position().size:
            return placed
        return replace(placed, order=replace(order, lots=order.filled_lots + self._position().size))

    def _fill_part(self, placed: PlacedOrder, lots: int, price_ticks: int, moment: Moment, *, is_maker: bool) -> None:
        order = placed.order
        if placed.is_entry:
            self._sell(placed, lots, price_ticks, moment, is_maker=is_maker)
        else:
            from_stop = order.order_type is OrderType.STOP_MARKET
            self._buy_back(order.link_id, lots, price_ticks, moment, is_maker=is_maker, from_stop=from_stop)
        filled = order.filled_lots + lots
        status = OrderStatus.FILLED if filled == order.lots else OrderStatus.PARTIALLY_FILLED
        self._update(replace(order, filled_lots=filled, status=status), moment)
        if placed.is_entry and placed.attached_stop_ticks is not None:
            self.move_attached(OrderType.STOP_MARKET, placed.attached_stop_ticks, moment)
        if placed.is_entry and placed.attached_take_profit_ticks is not None:
            self.move_attached(OrderType.TAKE_PROFIT_MARKET, placed.attached_take_profit_ticks, moment)

    def _sell(self, placed: PlacedOrder, lots: int, price_ticks: int, moment: Moment, *, is_maker: bool) -> None:
        paid = fee(self.contract, lots, float(price_ticks), self._fee_rate(is_maker))
        self.book.position = increased(
            self.contract, self.terms, self.book.position, lots, price_ticks, placed.leverage, moment.time_ms
        )
        self.book.book(moment, BookingKind.ENTRY_FEE, -paid)
        self._record(
            ExecutionKind.TRADE, placed.order.link_id, Side.SELL, lots, price_ticks, paid, moment, is_maker=is_maker
        )

    def _buy_back(
        self,
        link_id: str,
        lots: int,
        price_ticks: int,
        moment: Moment,
        *,
        is_maker: bool,
        from_stop: bool = False,
        kind: ExecutionKind = ExecutionKind.TRADE,
    ) -> None:
        position = self._position()
        rate = self._fee_rate(is_maker)
        closing = close_at(self.contract, lots, position.entry_ticks, float(price_ticks), rate)
        self.book.position = reduced(self.contract, self.terms, position, lots)
        self.book.book(moment, BookingKind.CLOSE, closing.wallet_change)
        self._record(
            kind, link_id, Side.BUY, lots, price_ticks, closing.fee, moment, is_maker=is_maker, from_stop=from_stop
        )

    def _after_close(self, attached: tuple[Order, ...], moment: Moment) -> None:
        """Without a position neither `attached` nor anything reduce-only stays; without money no resting entry does."""
        if self.book.position is None:
            self._retire(attached, "position_closed", moment)
            for link_id, placed in list(self.book.open_orders.items()):
                if not placed.is_entry:
                    self.cancel(link_id, "position_closed", moment)
        if self.available_usdt() < -MONEY_TOLERANCE_USDT:
            for link_id, placed in list(self.book.open_orders.items()):
                if placed.is_entry:
                    self.cancel(link_id, "insufficient_balance", moment)
        self.book.overdrawn_usdt = max(0.0, -self.available_usdt())

    # ---- small parts ----------------------------------------------------------------------------

    def _position(self) -> Position:
        if self.book.position is None:
            raise BrokenInvariantError("An exit was filled without a position.")
        return self.book.position

    def _fee_rate(self, is_maker: bool) -> float:
        return self.terms.maker_fee_rate if is_maker else self.terms.taker_fee_rate

    def _exit_fill_ticks(self, reference_ticks: float, moment: Moment) -> int:
        slippage = slippage_bps(self.terms.luck_key, moment.candle_ms, EXIT_SLIPPAGE, self.terms.slippage_bps)
        return int(buy_fill(reference_ticks, self.terms.spread_bps, slippage))

    def _new_attached(self, position: Position, kind: OrderType) -> Order:
        return Order(
            order_id=self.book.next_order_id(),
            link_id="",
            side=Side.BUY,
            order_type=kind,
            lots=position.size,
            filled_lots=0,
            status=OrderStatus.UNTRIGGERED,
            reduce_only=True,
        )

    def _retire(self, attached: tuple[Order, ...], reason: str, moment: Moment) -> None:
        for order in attached:
            self._tell(replace(order, status=OrderStatus.CANCELLED, reason=reason), moment)

    def _update(self, order: Order, moment: Moment) -> None:
        """Replace an order of ours by its new self; a final one leaves the open orders."""
        placed = self.book.open_orders.get(order.link_id)
        if order.status.is_final:
            self.book.open_orders.pop(order.link_id, None)
            self.book.closed_orders[order.link_id] = order
        elif placed is not None:
            self.book.open_orders[order.link_id] = replace(placed, order=order)
        self._tell(order, moment)

    def _tell(self, order: Order, moment: Moment) -> None:
        self.outbox.push(OrderChanged(order), moment.time_ms)

    def _record(
        self,
        kind: ExecutionKind,
        link_id: str,
        side: Side,
        lots: int,
        price_ticks: float,
        fee_usdt: float,
        moment: Moment,
        *,
        is_maker: bool,
        from_stop: bool = False,
    ) -> None:
        execution = Execution(
            exec_id=f"x-{len(self.book.executions) + 1:06d}",
            link_id=link_id,
            kind=kind,
            side=side,
            lots=lots,
            price_ticks=float(price_ticks),
            fee_usdt=fee_usdt,
            is_maker=is_maker,
            time_ms=moment.time_ms,
            candle_ms=moment.candle_ms,
            from_stop=from_stop,
        )
        self.book.executions.append(execution)
        self.outbox.push(Executed(execution), moment.time_ms)


def _nothing() -> float:
    return 0.0
