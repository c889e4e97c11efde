"""A small, round world for the exchange's tests: tick 0.1 USDT, lot 0.01 coin, price about 1000 USDT (10000 ticks).

A lot at 10000 ticks is worth 10 USDT. At 10x, without spread and slippage, a short sold at 10000 ticks is bankrupt
at 11000 and liquidated at 10945 (1000 * 1.1 / 1.005 = 1094.52... USDT).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from your_short_trade_margin_call.domain.messages import Event, Executed, Execution, Order, OrderChanged, OrderRequest
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderType, Purpose, Side
from your_short_trade_margin_call.exchange.faults import FaultPlan
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.terms import Contract, Terms, luck_key

CANDLE_MS = 180_000
T0 = 1_700_000_100_000 - 1_700_000_100_000 % CANDLE_MS
LIQUIDATION = 10945
BANKRUPTCY = 11000.0


def contract(**changes: Any) -> Contract:
    """The instrument; the second tier allows 5x above 100,000 USDT, the last ends at 1,000,000."""
    values = Contract(
        tick_size=0.1,
        lot_size=0.01,
        min_lots=1,
        max_lots=50_000,
        min_notional_usdt=5.0,
        max_leverage=100.0,
        tiers=np.array([(100_000.0, 0.005, 100.0, 0.0), (1_000_000.0, 0.01, 5.0, 500.0)]),
    )
    return values._replace(**changes)


def terms(**changes: Any) -> Terms:
    """Bybit's fees, no spread, no slippage, no rejects: numbers a person can follow."""
    values = Terms(
        leverage=10.0,
        max_available_frac=0.9,
        taker_fee_rate=0.00055,
        maker_fee_rate=0.0002,
        spread_bps=0.0,
        slippage_bps=0.0,
        order_reject_prob=0.0,
        min_take_profit_pct=0.0022,
        margin_call_at=0.9,
        fill_on_touch=False,
        daily_loss=float("nan"),
        max_drawdown=float("nan"),
        cooldown_ms=0,
        luck_key=luck_key(42, "TESTUSDT"),
    )
    return values._replace(**changes)


def exchange(balance: float = 1000.0, faults: FaultPlan | None = None, **changes: Any) -> SimulatedExchange:
    """An exchange that has seen the opening quote of its first candle, at 10000 ticks."""
    venue = SimulatedExchange(contract(), terms(**changes), balance, CANDLE_MS, faults)
    venue.on_opening_quote(T0, 10_000.0, check_guards=False)
    return venue


def short(lots: int = 100, stop: int | None = None, link_id: str = "entry", leverage: float = 10.0) -> OrderRequest:
    """A market entry."""
    return OrderRequest(
        link_id, Purpose.ENTRY, Side.SELL, OrderType.MARKET, lots, attached_stop_ticks=stop, leverage=leverage
    )


def limit_short(price: int, lots: int = 100, stop: int | None = None, link_id: str = "limit-entry") -> OrderRequest:
    """A resting entry above the market."""
    return OrderRequest(
        link_id,
        Purpose.ENTRY,
        Side.SELL,
        OrderType.LIMIT,
        lots,
        price_ticks=price,
        attached_stop_ticks=stop,
        leverage=10.0,
    )


def target(price: int, lots: int = 100, link_id: str = "target") -> OrderRequest:
    """A resting reduce-only buy."""
    return OrderRequest(link_id, Purpose.TARGET, Side.BUY, OrderType.LIMIT, lots, price_ticks=price, reduce_only=True)


def stop_order(trigger: int, lots: int = 100, link_id: str = "stop") -> OrderRequest:
    """A stop-market order of its own."""
    return OrderRequest(
        link_id, Purpose.STOP, Side.BUY, OrderType.STOP_MARKET, lots, trigger_ticks=trigger, reduce_only=True
    )


def close(lots: int = 100, link_id: str = "close") -> OrderRequest:
    """A market exit."""
    return OrderRequest(link_id, Purpose.CLOSE, Side.BUY, OrderType.MARKET, lots, reduce_only=True)


def executions(events: list[Event]) -> list[Execution]:
    """The executions among events."""
    return [event.execution for event in events if isinstance(event, Executed)]


def orders(events: list[Event]) -> list[Order]:
    """The order changes among events."""
    return [event.order for event in events if isinstance(event, OrderChanged)]


def wallet_from_executions(start: float, rows: tuple[Execution, ...], contract: Contract) -> float:
    """Invariant I6 from outside: the wallet that the executions alone explain, in exact arithmetic.

    Realised profit is booked against the average entry, so it equals, over a whole round trip, what was sold for
    minus what was bought for; on an open position the average entry's value is still out.
    """
    wallet, lots, entry_value = Fraction(start), 0, Fraction(0)
    unit = Fraction(contract.lot_size) * Fraction(contract.tick_size)
    for row in rows:
        wallet -= Fraction(row.fee_usdt)
        if row.kind is ExecutionKind.FUNDING:
            continue
        value = row.lots * Fraction(row.price_ticks) * unit
        if row.side is Side.SELL:
            lots, entry_value = lots + row.lots, entry_value + value
        else:
            released = entry_value * row.lots / lots
            wallet += released - value
            lots, entry_value = lots - row.lots, entry_value - released
    return float(wallet)
