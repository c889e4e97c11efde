"""A look at the account beside the events: what differs from what it should be. Pure; the shell acts on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from your_short_trade_margin_call.domain.messages import AccountView, Order
from your_short_trade_margin_call.domain.words import OrderType
from your_short_trade_margin_call.rules.terms import NO_PRICE
from your_short_trade_margin_call.trading.commands import AmendStop, Command
from your_short_trade_margin_call.trading.ids import is_ours
from your_short_trade_margin_call.trading.reconcile import agrees, leftover_orders
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Open

LIQUIDATION_SLACK_FRAC = 0.0005
"""How far the exchange's liquidation price may lie from ours, besides one tick."""
WALLET_SLACK_USDT = 0.01
"""How far the wallets may lie apart: the exchange cuts its numbers to eight decimals at each booking."""
WALLET_SLACK_FRAC = 1e-6


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look found. `differs` names what only a full reconciliation can put right; empty when nothing.

    `repairs` put the rest right. `is_stop_seen` is None when there is nothing to guard or nobody can say.
    `foreign` are orders that are not ours, `liquidation_drift` both prices when they differ too much,
    `wallet_drift_usdt` the exchange's wallet minus ours, 0 within the slack.
    """

    differs: str = ""
    repairs: tuple[Command, ...] = ()
    is_stop_seen: bool | None = None
    foreign: tuple[str, ...] = ()
    liquidation_drift: dict[str, Any] | None = None
    wallet_drift_usdt: float = 0.0


def inspect(context: Context, state: EngineState, account: AccountView) -> Findings:
    """Compare; every execution of `account` has been booked before."""
    foreign = foreign_orders(context, account)
    if not agrees(state, account):
        return Findings(differs="the position", foreign=foreign)
    drift = _wallet_drift(state, account)
    book, position = state.book, account.position
    if isinstance(book, Entering):
        return Findings(foreign=foreign)
    if not isinstance(book, Open) or position is None:
        repairs = leftover_orders(context, state, account)
        return Findings(repairs=repairs, foreign=foreign, wallet_drift_usdt=drift)
    stop = None if book.guards.stop == NO_PRICE else book.guards.stop
    resting = {order.link_id for order in account.open_orders}
    is_target_missing = book.close_id is None and not book.needs_target and book.target_id not in resting
    return Findings(
        differs="the target" if is_target_missing else "",
        repairs=() if stop in (None, position.stop_ticks) else (AmendStop(stop),),
        is_stop_seen=None if stop is None else position.stop_ticks is not None,
        foreign=foreign,
        liquidation_drift=_liquidation_drift(book, position.liquidation_ticks),
        wallet_drift_usdt=drift,
    )


def foreign_orders(context: Context, account: AccountView) -> tuple[str, ...]:
    """Ids of open orders that are neither ours nor the stop attached to the position."""
    strangers = (order for order in account.open_orders if not is_ours(context.symbol, order.link_id))
    return tuple(order.link_id or order.order_id for order in strangers if not is_attached_stop(order))


def is_attached_stop(order: Order) -> bool:
    """Whether an order is the stop that belongs to the position, which the exchange makes without an id of ours."""
    return order.order_type is OrderType.STOP_MARKET and order.reduce_only and not order.link_id


def _wallet_drift(state: EngineState, account: AccountView) -> float:
    drift = account.wallet_usdt - state.wallet
    within = abs(drift) <= WALLET_SLACK_USDT + WALLET_SLACK_FRAC * abs(state.wallet)
    return 0.0 if within or not math.isfinite(drift) else drift


def _liquidation_drift(book: Open, theirs: float) -> dict[str, Any] | None:
    ours = book.guards.liquidation
    if not math.isfinite(theirs) or theirs <= 0:  # no price means none within the price limits
        return None
    if abs(theirs - ours) <= 1.0 + LIQUIDATION_SLACK_FRAC * ours:
        return None
    return {"exchange_ticks": theirs, "our_ticks": ours, "stop_ticks": book.guards.stop}
