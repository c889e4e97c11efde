"""The worst case of the next position, worked out by the rules that trade it."""

from __future__ import annotations

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.reporting.worst_loss import WorstLoss
from your_short_trade_margin_call.rules import position as rule
from your_short_trade_margin_call.rules.costs import buy_fill, fee, notional, sell_fill
from your_short_trade_margin_call.rules.entry import ALLOWED, plan_entry
from your_short_trade_margin_call.rules.terms import NO_PRICE, make_contract, make_terms, price_to_ticks, stop_loss_of
from your_short_trade_margin_call.settings import Settings


def worst_loss(
    settings: Settings,
    instrument: Instrument,
    params: StrategyParams,
    last_price: float,
    avg_win_pct: float,
    max_notional_usdt: float | None = None,
) -> WorstLoss | None:
    """What a short opened at the last price with the whole starting balance can lose; None when none fits.

    Slippage is taken at its mean; a price that jumps over the stop costs more, up to the liquidation.
    `max_notional_usdt` caps the position (0: the smallest quantity).
    """
    contract, terms = make_contract(instrument), make_terms(settings, instrument.symbol)
    mid = price_to_ticks(last_price, contract.tick_size)
    plan = plan_entry(contract, terms, params.risk_fraction, settings.starting_balance, mid)
    if max_notional_usdt is not None:  # only then are the rooms of trading entered: nobody waits for them here
        from your_short_trade_margin_call.trading.entries import within_cap

        plan = within_cap(contract, plan, max_notional_usdt, mid)
    if plan.block != ALLOWED:
        return None
    lots, leverage = plan.size.lots, plan.size.leverage
    entry = sell_fill(mid, terms.spread_bps, terms.slippage_bps)
    entry_fee = fee(contract, lots, entry, terms.taker_fee_rate)
    guards = rule.guards_of(contract, terms, lots, entry, leverage, 0.0, stop_loss_of(params))
    liquidated = entry_fee - rule.liquidate(contract, terms, lots, entry, leverage, 0.0).wallet_change
    has_stop = guards.stop != NO_PRICE
    stopped = liquidated
    if has_stop:
        bought = buy_fill(guards.stop, terms.spread_bps, terms.slippage_bps)
        stopped = entry_fee - rule.close_at(contract, lots, entry, bought, terms.taker_fee_rate).wallet_change
    average_win = settings.starting_balance * avg_win_pct / 100.0
    return WorstLoss(
        notional=notional(contract, lots, mid),
        balance=settings.starting_balance,
        entry_price=instrument.price(entry),
        stop_price=instrument.price(guards.stop if has_stop else guards.liquidation),
        stop_name=str(ExitReason.from_code(guards.stop_reason)),
        stop_loss=stopped,
        liquidation_price=instrument.price(guards.liquidation),
        liquidation_loss=liquidated,
        wins_to_recover=stopped / average_win if average_win > 0 else None,
    )
