"""Orders as the exchange remembers them: the open ones, the last 500 that closed, and the whole history."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from your_short_trade_margin_call.domain.words import Side

MOST_RECENT = 500
"""How many closed orders order/realtime still finds."""

STOP_LOSS, TAKE_PROFIT = "StopLoss", "TakeProfit"
"""What the exchange calls the two kinds of orders that are attached to a position."""

OPEN_STATUSES = frozenset({"New", "PartiallyFilled", "Untriggered", "Triggered"})


class PriceTrigger(NamedTuple):
    """Where a stop or a take profit fires: a price in ticks, 0 for none, and which of the prices has to reach it."""

    ticks: int = 0
    by: str = ""


NO_TRIGGER = PriceTrigger()


@dataclass(slots=True)
class OrderRecord:
    """One order in the exchange's words. Prices in ticks, 0 for none; quantities in lots.

    `link_id` is what the trader gave ("" for none); `sim_link` is how the simulated exchange calls it ("" for what is
    attached to the position and for what the venue did itself). `stop_loss` and `take_profit` travel with an entry.
    `number` counts the account's orders from 1.
    """

    order_id: str
    symbol: str
    side: Side
    lots: int
    created_ms: int
    link_id: str = ""
    sim_link: str = ""
    order_type: str = "Market"
    price_ticks: float = 0.0
    time_in_force: str = "IOC"
    reduce_only: bool = False
    close_on_trigger: bool = False
    create_type: str = "CreateByUser"
    stop_order_type: str = ""
    trigger_ticks: int = 0
    trigger_direction: int = 0
    trigger_by: str = ""
    stop_loss: PriceTrigger = NO_TRIGGER
    take_profit: PriceTrigger = NO_TRIGGER
    last_price: str = ""
    status: str = "New"
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    filled_lots: int = 0
    value_usdt: float = 0.0
    fee_usdt: float = 0.0
    closed_pnl_usdt: float = 0.0
    updated_ms: int = 0
    number: int = 0

    @property
    def is_open(self) -> bool:
        """Whether anything more can happen to it."""
        return self.status in OPEN_STATUSES

    @property
    def is_stop(self) -> bool:
        """Whether it waits, or waited, for a trigger."""
        return bool(self.stop_order_type)

    @property
    def is_attached(self) -> bool:
        """Whether it is a stop or a take profit that belongs to the position."""
        return self.stop_order_type in (STOP_LOSS, TAKE_PROFIT)


@dataclass(slots=True)
class OrderRegistry:
    """Every order of an account, in the order they came."""

    everything: list[OrderRecord] = field(default_factory=list)
    link_ids: set[str] = field(default_factory=set)
    _by_id: dict[str, OrderRecord] = field(default_factory=dict)
    _by_link: dict[str, OrderRecord] = field(default_factory=dict)
    _by_sim: dict[tuple[str, str], OrderRecord] = field(default_factory=dict)
    _open: dict[str, OrderRecord] = field(default_factory=dict)
    _recent: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_RECENT))

    def add(self, record: OrderRecord) -> None:
        """Remember a new order; its link id is used for ever."""
        self.everything.append(record)
        record.number = len(self.everything)
        self._by_id[record.order_id] = record
        self._open[record.order_id] = record
        if record.link_id:
            self.link_ids.add(record.link_id)
            self._by_link[record.link_id] = record
        if record.sim_link:
            self._by_sim[record.symbol, record.sim_link] = record

    def close(self, record: OrderRecord) -> None:
        """Move an order that has ended to the recent ones."""
        if self._open.pop(record.order_id, None) is not None:
            self._recent.append(record.order_id)

    def find(self, order_id: str = "", link_id: str = "") -> OrderRecord | None:
        """An order by either id; the order id wins."""
        return self._by_id.get(order_id) if order_id else self._by_link.get(link_id)

    def by_sim(self, symbol: str, sim_link: str) -> OrderRecord:
        """The order that the simulated exchange of a pair calls so."""
        return self._by_sim[symbol, sim_link]

    def open(self, symbol: str = "") -> Iterator[OrderRecord]:
        """Open orders, oldest first; of one pair, or all."""
        return (record for record in list(self._open.values()) if symbol in ("", record.symbol))

    def is_recent(self, record: OrderRecord) -> bool:
        """Whether order/realtime still finds it: open, or among the last that closed."""
        return record.order_id in self._open or record.order_id in self._recent

    def forget_recent(self) -> None:
        """What a restart of the exchange does: order/realtime finds open orders only."""
        self._recent.clear()
