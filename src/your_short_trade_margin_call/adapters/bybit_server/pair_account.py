"""One pair's part of an account: the simulated exchange behind it, and the story of its position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.orders import STOP_LOSS, TAKE_PROFIT, OrderRecord, PriceTrigger
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair, value_usdt
from your_short_trade_margin_call.adapters.bybit_server.statement import Booked
from your_short_trade_margin_call.domain.messages import PositionView
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules import margin
from your_short_trade_margin_call.rules.position import position_margin, unrealized_pnl
from your_short_trade_margin_call.rules.terms import TIER_DEDUCTION, TIER_MMR


@dataclass(slots=True)
class Story:
    """What happened to the position so far. Money in USDT; `open_fee` is what is not yet charged to a close."""

    lots: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    open_fee: float = 0.0
    current_realised: float = 0.0
    total_realised: float = 0.0

    def opened(self, lots: int, fee_usdt: float, time_ms: int) -> None:
        """The short grew."""
        if not self.lots:
            self.created_ms, self.current_realised, self.open_fee = time_ms, 0.0, 0.0
        self.lots += lots
        self.open_fee += fee_usdt
        self.realised(-fee_usdt, time_ms)

    def closed(self, lots: int, change_usdt: float, time_ms: int) -> float:
        """The short shrank; returns the part of the opening fees that belongs to what was closed."""
        share = self.open_fee * lots / self.lots
        self.open_fee -= share
        self.lots -= lots
        self.realised(change_usdt, time_ms)
        return share

    def realised(self, change_usdt: float, time_ms: int) -> None:
        """The wallet changed because of the position."""
        self.current_realised += change_usdt
        self.total_realised += change_usdt
        self.updated_ms = time_ms


@dataclass(slots=True)
class Attached:
    """The stop or the take profit of a position: its order, if there is one, and by which price it is triggered.

    `sim_id` is how the simulated exchange calls the order; `trigger_by` may be known before the order is.
    """

    kind: str
    trigger_direction: int
    order: OrderRecord | None = None
    sim_id: str = ""
    trigger_by: str = ""

    def triggered_by(self, price: str) -> None:
        """Say which price triggers it from now on."""
        self.trigger_by = price
        if self.order is not None:
            self.order.trigger_by = price

    def clear(self) -> None:
        """It is gone."""
        self.order, self.sim_id, self.trigger_by = None, "", ""


@dataclass(slots=True)
class PairAccount:
    """A pair as one account sees it.

    `is_over`: no candle follows. `funding_rate` is that of the settlement being booked. `last_position` is what the
    stream was told last.
    """

    pair: Pair
    sim: SimulatedExchange
    leverage: float
    story: Story = field(default_factory=Story)
    stop: Attached = field(default_factory=lambda: Attached(STOP_LOSS, 1))
    take_profit: Attached = field(default_factory=lambda: Attached(TAKE_PROFIT, 2))
    is_over: bool = False
    funding_rate: float = 0.0
    last_position: dict[str, Any] = field(default_factory=dict)
    booked: dict[str, Booked] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        """The pair."""
        return self.pair.symbol

    @property
    def position(self) -> PositionView | None:
        """The open short, if any."""
        return self.sim.position

    @property
    def triggers(self) -> tuple[PriceTrigger, PriceTrigger]:
        """Where its stop and its take profit stand."""
        held = self.sim.position
        stop_ticks, take_profit_ticks = (held.stop_ticks if held else 0) or 0, self.sim.take_profit_ticks or 0
        return (
            PriceTrigger(stop_ticks, self.stop.trigger_by if stop_ticks else ""),
            PriceTrigger(take_profit_ticks, self.take_profit.trigger_by if take_profit_ticks else ""),
        )

    @property
    def lots(self) -> int:
        """Its size, positive; 0 when flat."""
        position = self.sim.position
        return -position.lots if position else 0

    def position_margin_usdt(self) -> float:
        """What the position locks: initial margin with the reserve for the fee to close, and what was added."""
        held = self.sim.position
        if held is None:
            return 0.0
        contract, terms = self.pair.contract, self.sim.terms
        extra = held.extra_margin_usdt
        return float(position_margin(contract, terms, -held.lots, held.entry_ticks, held.leverage, extra))

    def order_margin_usdt(self) -> float:
        """What resting entries reserve."""
        reserved = self.sim.wallet_usdt - self.sim.own_available_usdt - self.position_margin_usdt()
        return reserved if reserved > 1e-9 else 0.0

    def unrealized_usdt(self) -> float:
        """Profit of the position at the mark price."""
        held = self.sim.position
        if held is None:
            return 0.0
        return float(unrealized_pnl(self.pair.contract, -held.lots, held.entry_ticks, self.pair.mark_ticks))

    def maintenance_margin_usdt(self) -> float:
        """Of the position at the mark price, with the reserve for the fee to close."""
        held = self.sim.position
        if held is None:
            return 0.0
        contract, tier = self.pair.contract, self.tier()
        quantity, entry = -held.lots * contract.lot_size, held.entry_ticks * contract.tick_size
        reserve = margin.close_fee_reserve(entry, quantity, held.leverage, self.sim.terms.taker_fee_rate)
        value = value_usdt(self.pair, -held.lots, self.pair.mark_ticks)
        row = contract.tiers[tier]
        return float(margin.maintenance_margin(value, float(row[TIER_MMR]), float(row[TIER_DEDUCTION]), reserve))

    def tier(self) -> int:
        """Index of the risk tier that holds the position's value at the mark price."""
        return int(margin.tier_of(self.pair.contract.tiers, value_usdt(self.pair, self.lots, self.pair.mark_ticks)))
