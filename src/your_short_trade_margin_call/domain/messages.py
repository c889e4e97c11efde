"""What flows between an exchange and the engine: frozen messages, prices in ticks, quantities in lots."""

from __future__ import annotations

from dataclasses import dataclass

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import (
    BlockReason,
    ExecutionKind,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
)


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed candle, known by its open time (UTC ms). Prices in ticks (may lie between two)."""

    open_time_ms: int
    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order we ask for. `link_id` is ours, derived, at most 36 characters, never reused.

    `price_ticks` is for limits, `trigger_ticks` for stop-markets, `attached_stop_ticks` is the protective
    stop that travels inside an entry. `leverage` is the pair's leverage the entry wants.
    """

    link_id: str
    purpose: Purpose
    side: Side
    order_type: OrderType
    lots: int
    price_ticks: int | None = None
    trigger_ticks: int | None = None
    reduce_only: bool = False
    attached_stop_ticks: int | None = None
    leverage: float | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the exchange shows it."""

    order_id: str
    link_id: str
    side: Side
    order_type: OrderType
    lots: int
    filled_lots: int
    status: OrderStatus
    price_ticks: int | None = None
    trigger_ticks: int | None = None
    reduce_only: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """One row of the exchange's execution list: booked once, by `exec_id`, never by an order's status.

    `fee_usdt` is positive when paid; for FUNDING it is the whole settlement (negative when received)
    and `price_ticks` is the mark. A LIQUIDATION settles at the bankruptcy price, between two ticks.
    `candle_ms` is the open time of the candle it happened in.
    """

    exec_id: str
    link_id: str
    kind: ExecutionKind
    side: Side
    lots: int
    price_ticks: float
    fee_usdt: float
    is_maker: bool
    time_ms: int
    candle_ms: int
    from_stop: bool = False


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position as the exchange shows it; `lots` is signed, negative for a short."""

    lots: int
    entry_ticks: float
    leverage: float
    liquidation_ticks: float
    stop_ticks: int | None
    extra_margin_usdt: float = 0.0


@dataclass(frozen=True, slots=True)
class AccountView:
    """The exchange's truth about our account for one pair: what reconciliation compares with."""

    time_ms: int
    wallet_usdt: float
    position: PositionView | None
    open_orders: tuple[Order, ...]
    executions: tuple[Execution, ...]


# ---- events, in the order an exchange may send them --------------------------------------------


@dataclass(frozen=True, slots=True)
class CandleClosed:
    """A candle has closed; never sent for the running one."""

    candle: Candle


@dataclass(frozen=True, slots=True)
class QuoteArrived:
    """The best bid and ask changed; `mid_ticks` is their mean (the open of the candle in a replay).

    `opens_candle_ms` is set when this is the first quote of a candle: the open time of that candle.
    """

    time_ms: int
    mid_ticks: float
    opens_candle_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order has a new status."""

    order: Order


@dataclass(frozen=True, slots=True)
class Executed:
    """Something was booked on our account."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The connection is gone: nothing is known from now on."""

    time_ms: int


@dataclass(frozen=True, slots=True)
class StreamRestored:
    """The connection is back: reconcile before anything else."""

    time_ms: int


@dataclass(frozen=True, slots=True)
class MarketEnded:
    """No candle will follow the last one (end of a replay)."""

    time_ms: int


@dataclass(frozen=True, slots=True)
class ParametersAdopted:
    """New parameters for closes after `time_ms`; an open position keeps its own exits.

    Without an edge (the best trial made no money in its own window) there are no entries.
    """

    time_ms: int
    params: StrategyParams
    has_edge: bool


@dataclass(frozen=True, slots=True)
class ControlsChanged:
    """The trader's wishes: no entries while paused; flatten closes what is open."""

    time_ms: int
    paused: bool
    flatten: bool


@dataclass(frozen=True, slots=True)
class ConditionChanged:
    """Something outside forbids entries (`is_on`), or no longer does. Several may be on at once; exits go on."""

    time_ms: int
    condition: BlockReason
    is_on: bool
    why: str = ""


Event = (
    CandleClosed
    | QuoteArrived
    | OrderChanged
    | Executed
    | StreamLost
    | StreamRestored
    | MarketEnded
    | ParametersAdopted
    | ControlsChanged
    | ConditionChanged
)
