"""What the exchange keeps about the one account: wallet, position, orders, executions and the ledger.

Values (`Quote`, `Position`, `PlacedOrder`, `Booking`) never mutate; `Book` is the one thing that does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from your_short_trade_margin_call.domain.errors import BrokenInvariantError
from your_short_trade_margin_call.domain.messages import Execution, Order
from your_short_trade_margin_call.domain.words import OrderType, Side

MONEY_TOLERANCE_USDT = 1e-6
"""Rounding of floats that an available balance just below zero may come from."""


TRIGGERED = frozenset({OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET})
"""Orders that wait for a trigger, and then buy at market."""


class BookingKind(StrEnum):
    """Why the wallet changed. A close is net of its fee."""

    ENTRY_FEE = "entry_fee"
    CLOSE = "close"
    FUNDING = "funding"
    LIQUIDATION = "liquidation"


class Booking(NamedTuple):
    """One change of the wallet, in USDT."""

    time_ms: int
    kind: BookingKind
    amount_usdt: float


class Moment(NamedTuple):
    """When something happens (UTC ms), and the open time of the candle it happens in, which fixes its luck."""

    time_ms: int
    candle_ms: int


class Quote(NamedTuple):
    """Where the market stands: what a market order meets now. Prices in ticks."""

    moment: Moment
    mid_ticks: float
    mark_ticks: float


class Triggers(NamedTuple):
    """Where the stop and the take profit attached to a position shall fire, in ticks.

    None leaves one as it is; 0, or what no price reaches, removes it.
    """

    stop: int | None = None
    take_profit: int | None = None


UNCHANGED = Triggers()
"""Both stay as they are; of a new order: nothing is attached."""


@dataclass(frozen=True, slots=True)
class Position:
    """The open short: `lots` is negative; no position at all is None, never one of 0 lots.

    `extra_margin_usdt` is negative when funding ate into the margin. `stop` is the attached protective stop and
    `take_profit` its counterpart below the market: they always cover the whole position, and are no orders of ours, so
    their link ids are empty.

    Raises:
        BrokenInvariantError: the lots are not negative.
    """

    lots: int
    entry_ticks: float
    leverage: float
    liquidation_ticks: int
    opened_ms: int
    extra_margin_usdt: float = 0.0
    stop: Order | None = None
    take_profit: Order | None = None

    def __post_init__(self) -> None:
        if self.lots >= 0:
            raise BrokenInvariantError(f"A position of {self.lots} lots is not a short.")

    @property
    def size(self) -> int:
        """Quantity in lots, positive."""
        return -self.lots

    @property
    def attached(self) -> tuple[Order, ...]:
        """The stop and the take profit, those that there are."""
        return tuple(order for order in (self.stop, self.take_profit) if order is not None)


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as shown, with what only the exchange remembers of its request."""

    order: Order
    request_number: int
    leverage: float = 1.0
    attached_stop_ticks: int | None = None
    attached_take_profit_ticks: int | None = None

    @property
    def is_entry(self) -> bool:
        """True when a fill makes the short larger."""
        return not self.order.reduce_only

    @property
    def open_lots(self) -> int:
        """What is not filled yet."""
        return self.order.lots - self.order.filled_lots


@dataclass(slots=True)
class Book:
    """The account. Every change of the wallet goes through `book`."""

    starting_usdt: float
    wallet_usdt: float
    position: Position | None = None
    open_orders: dict[str, PlacedOrder] = field(default_factory=dict)
    closed_orders: dict[str, Order] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    ledger: list[Booking] = field(default_factory=list)
    orders_made: int = 0
    overdrawn_usdt: float = 0.0
    """What the last close beyond the bankruptcy price cost more than there was; 0 in ordinary life."""
    booked: Fraction = Fraction(0)
    """Exact sum of the ledger: the independent check of the wallet's running sum of floats."""

    def book(self, moment: Moment, kind: BookingKind, amount_usdt: float) -> None:
        """Change the wallet and write down why."""
        if not math.isfinite(amount_usdt):
            raise BrokenInvariantError(f"A booking of {amount_usdt} ({kind}) is not money.")
        self.wallet_usdt += amount_usdt
        self.booked += Fraction(amount_usdt)
        self.ledger.append(Booking(moment.time_ms, kind, amount_usdt))

    def next_order_id(self) -> str:
        """``o-000001`` and so on."""
        self.orders_made += 1
        return f"o-{self.orders_made:06d}"

    def knows(self, link_id: str) -> bool:
        """Whether this id of ours was ever used, however its order ended."""
        return link_id in self.open_orders or link_id in self.closed_orders

    def find(self, link_id: str) -> Order | None:
        """The order with this id of ours, open or final."""
        placed = self.open_orders.get(link_id)
        return placed.order if placed else self.closed_orders.get(link_id)

    def triggered_by(self, kind: OrderType) -> Iterator[Order]:
        """All stops, or all take profits, that wait for their trigger, the attached one first."""
        if self.position is not None:
            yield from (order for order in self.position.attached if order.order_type is kind)
        for placed in self.open_orders.values():
            if placed.order.order_type is kind:
                yield placed.order

    def best_limit(self, side: Side) -> PlacedOrder | None:
        """The resting limit order nearest to the market: the highest buy or the lowest sell, the older first."""
        resting = [
            placed
            for placed in self.open_orders.values()
            if placed.order.order_type is OrderType.LIMIT and placed.order.side is side
        ]
        return min(resting, key=lambda placed: -side * limit_price(placed.order), default=None)


def limit_price(order: Order) -> int:
    """The price of a limit order, in ticks."""
    if order.price_ticks is None:
        raise BrokenInvariantError(f"The limit order {order.link_id!r} has no price.")
    return order.price_ticks


def trigger_price(order: Order) -> int:
    """The trigger of a stop or a take profit, in ticks."""
    if order.trigger_ticks is None:
        raise BrokenInvariantError(f"The {order.order_type} {order.link_id!r} has no trigger.")
    return order.trigger_ticks
