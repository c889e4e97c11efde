"""From a signal to an entry order: the checks in their order, the size, the provisional stop."""

from __future__ import annotations

from typing import Any

from your_short_trade_margin_call.domain.messages import OrderRequest, QuoteArrived
from your_short_trade_margin_call.domain.params import params_as_dict, params_from_dict
from your_short_trade_margin_call.domain.words import BlockReason, OrderType, Purpose, Side
from your_short_trade_margin_call.rules import entry as rule
from your_short_trade_margin_call.rules.costs import notional
from your_short_trade_margin_call.rules.entry import ALLOWED, Plan, plan_entry
from your_short_trade_margin_call.rules.grid import ceil_step, floor_step
from your_short_trade_margin_call.rules.interpreted import uncompiled
from your_short_trade_margin_call.rules.position import guards_of
from your_short_trade_margin_call.rules.terms import NO_PRICE, Contract, stop_loss_of
from your_short_trade_margin_call.trading.commands import Command, Place, RecordBlocked
from your_short_trade_margin_call.trading.ids import link_id
from your_short_trade_margin_call.trading.state import Context, EngineState, Entering, Flat, Wish

begin_day, limit_block = uncompiled(rule.begin_day), uncompiled(rule.limit_block)

Decision = tuple[EngineState, tuple[Command, ...]]


def on_opening(context: Context, state: EngineState, quote: QuoteArrived) -> Decision:
    """The first quote of a candle: trade the signal of the candle before it, or write down why not."""
    wish = state.wish
    if wish is None or quote.opens_candle_ms is None:
        return state, ()
    state = state._replace(wish=None, tally=begin_day(state.tally, state.wallet, quote.opens_candle_ms))
    block = _early_block(context, state, wish, quote)
    if block is not None:
        return state, (RecordBlocked(wish.candle_ms, *block),)
    plan = plan_entry(context.contract, context.terms, wish.params.risk_fraction, state.wallet, quote.mid_ticks)
    plan = within_cap(context.contract, plan, context.max_notional_usdt, quote.mid_ticks)
    if plan.block != ALLOWED:
        return state, (RecordBlocked(wish.candle_ms, BlockReason.from_code(plan.block)),)
    return _enter(context, state, wish, quote, plan)


def _early_block(
    context: Context, state: EngineState, wish: Wish, quote: QuoteArrived
) -> tuple[BlockReason, str] | None:
    """Why this signal may not be traded, before any size is worked out; with words that say more."""
    due_ms = wish.candle_ms + context.candle_ms
    if wish.blocked_at_close is not None:
        reason = BlockReason(wish.blocked_at_close)
        return reason, state.halted if reason is BlockReason.EXCHANGE_ERROR else ""
    if quote.opens_candle_ms != due_ms:
        return BlockReason.STREAM_GAP, ""
    if quote.time_ms - due_ms > context.stale_after_ms:
        return BlockReason.STALE_CANDLE, ""
    if not isinstance(state.book, Flat):
        return BlockReason.POSITION_OPEN, ""
    outside = _outside_block(context, state)
    if outside is not None:
        return outside
    if state.paused or state.flatten:
        return BlockReason.PAUSED, ""
    if context.may_enter is not None:
        known = context.may_enter in set(BlockReason)
        return (BlockReason(context.may_enter), "") if known else (BlockReason.NO_EDGE, context.may_enter)
    limit = limit_block(context.terms, state.tally, state.wallet, due_ms)
    return None if limit == ALLOWED else (BlockReason.from_code(limit), "")


def _outside_block(context: Context, state: EngineState) -> tuple[BlockReason, str] | None:
    """What outside forbids entries: the instrument first, then the exchange, then any other condition."""
    if not context.instrument.is_trading or BlockReason.INSTRUMENT_NOT_TRADING in state.conditions:
        return BlockReason.INSTRUMENT_NOT_TRADING, ""
    if not state.connected:
        return BlockReason.EXCHANGE_ERROR, "not connected"
    if state.halts:
        return BlockReason.EXCHANGE_ERROR, state.halted
    if state.conditions:
        return min(state.conditions, key=lambda condition: condition.code), ""
    return None


def within_cap(contract: Contract, plan: Plan, cap_usdt: float | None, mid_ticks: float) -> Plan:
    """The plan with its size cut to a notional of at most `cap_usdt` at the mid.

    None is no cap, 0 the smallest tradable quantity. A cap below that quantity blocks the entry.
    """
    if cap_usdt is None or plan.block != ALLOWED:
        return plan
    one_lot = notional(contract, 1, mid_ticks)
    smallest = max(1, contract.min_lots, ceil_step(contract.min_notional_usdt / one_lot))
    allowed = floor_step(cap_usdt / one_lot) if cap_usdt > 0 else smallest
    if plan.size.lots <= allowed:
        return plan
    size = plan.size._replace(lots=allowed, quantity_clamped=True)
    if allowed < max(1, contract.min_lots):
        return Plan(BlockReason.BELOW_MIN_QTY.code, size)
    if notional(contract, allowed, mid_ticks) < contract.min_notional_usdt:
        return Plan(BlockReason.BELOW_MIN_NOTIONAL.code, size)
    return Plan(ALLOWED, size)


def _enter(context: Context, state: EngineState, wish: Wish, quote: QuoteArrived, plan: Plan) -> Decision:
    candle_ms = wish.candle_ms + context.candle_ms
    size = plan.size
    # The fill is not known yet: the stop that travels with the order is worked out from the mid.
    guards = guards_of(
        context.contract,
        context.terms,
        size.lots,
        quote.mid_ticks,
        size.leverage,
        0.0,
        stop_loss_of(wish.params),
    )
    request = OrderRequest(
        link_id=link_id(context.symbol, candle_ms, Purpose.ENTRY),
        purpose=Purpose.ENTRY,
        side=Side.SELL,
        order_type=OrderType.MARKET,
        lots=size.lots,
        attached_stop_ticks=None if guards.stop == NO_PRICE else guards.stop,
        leverage=size.leverage,
    )
    book = Entering(request, wish, candle_ms, size.leverage_clamped, size.quantity_clamped, size.lots)
    detail = {
        "wish": wish_as_dict(wish),
        "candle_ms": candle_ms,
        "leverage_clamped": size.leverage_clamped,
        "quantity_clamped": size.quantity_clamped,
        "wallet": state.wallet,
    }
    return state._replace(book=book), (Place(request, detail),)


def wish_as_dict(wish: Wish) -> dict[str, Any]:
    """A wish as JSON-able data."""
    return {
        "candle_ms": wish.candle_ms,
        "params": params_as_dict(wish.params),
        "highest_low": wish.highest_low,
        "lowest_high": wish.lowest_high,
        "blocked_at_close": wish.blocked_at_close,
    }


def wish_from_dict(data: dict[str, Any]) -> Wish:
    """The wish written by `wish_as_dict`."""
    return Wish(
        int(data["candle_ms"]),
        params_from_dict(data["params"]),
        float(data["highest_low"]),
        float(data["lowest_high"]),
        data["blocked_at_close"],
    )
