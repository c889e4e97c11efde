"""The trade that notes/strategy_overview.md works through, computed by the program's own rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import numpy as np

from tests.docs.pages import EXAMPLES
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.rules import costs, entry, luck, margin, position
from your_short_trade_margin_call.rules.terms import Contract, Terms, make_contract, make_terms, price_to_ticks
from your_short_trade_margin_call.settings import Settings

SYMBOL = "BTCUSDT"
SIGNAL, ENTRY, LAST = 10, 11, 13
"""Places of the signal candle, of the candle it is traded in, and of the one that ends the trade."""
PARAMS = StrategyParams(10, ExitType.HIGHEST_LOW, 0.95, 0.0044)


def example_candles() -> Candles:
    return Candles.from_csv(EXAMPLES / "worked_trade.csv", symbol=SYMBOL, funding=EXAMPLES / "worked_trade_funding.csv")


def clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, tz=timezone.utc).strftime("%H:%M")


def with_last(open_: float, high: float, low: float, close: float) -> Candles:
    """The example up to the candle of 08:00, which is another."""
    whole = example_candles()
    columns = {name: np.array(getattr(whole, name)) for name in ("open", "high", "low", "close")}
    for name, value in zip(columns, (open_, high, low, close), strict=True):
        columns[name][LAST] = value
    return replace(whole, **columns).rows(0, LAST + 1)


def the_trade(candles: Candles, params: StrategyParams = PARAMS, **settings: Any) -> dict[str, Any]:
    """The one trade of a run with the default settings, but for those named."""
    rows = BacktestEngine(Settings(**settings)).backtest(candles, params).rows
    assert len(rows) == 1
    return rows[0]


@dataclass(frozen=True)
class Steps:
    """What the page says of the entry, step by step. USDT and base coin."""

    mid: float
    budget: float
    lot_cost: float
    lots: int
    order_cost: float
    cost_of_one_more: float
    notional_at_mid: float
    entry_slippage_bps: float
    exit_slippage_bps: float
    entry_price: float
    notional: float
    entry_fee: float
    base_margin: float
    reserve: float
    position_margin: float
    level_limit: float
    take_profit_target: float
    liquidation: float
    margin_call: float
    bankruptcy: float


def steps() -> Steps:
    """The entry, with the functions of `rules/` that the kernel calls."""
    settings, instrument, candles = Settings(), find_instrument(SYMBOL), example_candles()
    contract, terms = make_contract(instrument), make_terms(settings, SYMBOL)
    mid = float(candles.open[ENTRY])
    plan = entry.plan_entry(
        contract, terms, PARAMS.risk_fraction, settings.starting_balance, price_to_ticks(mid, contract.tick_size)
    )
    lots, leverage, fee_rate = plan.size.lots, plan.size.leverage, settings.taker_fee_rate
    entry_ms, exit_ms = int(candles.time_ms[ENTRY]), int(candles.time_ms[LAST])
    slippage = luck.slippage_bps(terms.luck_key, entry_ms, luck.ENTRY_SLIPPAGE, terms.slippage_bps)
    ticks = costs.sell_fill(price_to_ticks(mid, contract.tick_size), terms.spread_bps, slippage)
    price, quantity = instrument.price(ticks), instrument.quantity(lots)
    guards = position.guards_of(contract, terms, lots, ticks, leverage, 0.0, float("nan"))
    return Steps(
        mid=mid,
        budget=settings.starting_balance * min(PARAMS.risk_fraction, settings.max_available_frac),
        lot_cost=margin.order_cost(mid, contract.lot_size, leverage, fee_rate),
        lots=lots,
        order_cost=margin.order_cost(mid, quantity, leverage, fee_rate),
        cost_of_one_more=margin.order_cost(mid, instrument.quantity(lots + 1), leverage, fee_rate),
        notional_at_mid=quantity * mid,
        entry_slippage_bps=slippage,
        exit_slippage_bps=luck.slippage_bps(terms.luck_key, exit_ms, luck.EXIT_SLIPPAGE, terms.slippage_bps),
        entry_price=price,
        notional=costs.notional(contract, lots, ticks),
        entry_fee=costs.fee(contract, lots, ticks, fee_rate),
        base_margin=price * quantity / leverage,
        reserve=margin.close_fee_reserve(price, quantity, leverage, fee_rate),
        position_margin=position.position_margin(contract, terms, lots, ticks, leverage, 0.0),
        level_limit=price * (1 - settings.min_take_profit_pct),
        take_profit_target=instrument.price(int(ticks * (1 - PARAMS.take_profit_pct))),
        liquidation=instrument.price(guards.liquidation),
        margin_call=instrument.price(guards.margin_call),
        bankruptcy=margin.bankruptcy_price(price, quantity, leverage, 0.0, fee_rate),
    )


# ---- the worst loss of one trade (README) -------------------------------------------------------


@dataclass(frozen=True)
class Worst:
    """What one short with everything at stake can lose, on a pair whose lots are too fine to matter."""

    notional: float
    call_distance: float
    call_loss: float
    liquidation_distance: float
    liquidation_loss: float


def finely_divided() -> Instrument:
    """BTCUSDT with lots of a ten-millionth: nothing of the budget is lost to rounding."""
    lot = Decimal("1e-7")
    return replace(find_instrument(SYMBOL), qty_step=lot, min_order_qty=lot)


def worst_loss(price: float = 100_000.0) -> Worst:
    """A short with the largest risk fraction, mean slippage, bought back at its margin call or liquidated."""
    settings, instrument = Settings(), finely_divided()
    contract, terms = make_contract(instrument), make_terms(settings, SYMBOL)
    mid = price_to_ticks(price, contract.tick_size)
    size = entry.plan_entry(contract, terms, 1.0, settings.starting_balance, mid).size
    ticks = costs.sell_fill(mid, terms.spread_bps, terms.slippage_bps)
    paid = costs.fee(contract, size.lots, ticks, terms.taker_fee_rate)
    guards = position.guards_of(contract, terms, size.lots, ticks, size.leverage, 0.0, float("nan"))
    taken = position.liquidate(contract, terms, size.lots, ticks, size.leverage, 0.0)
    return Worst(
        notional=costs.notional(contract, size.lots, mid),
        call_distance=guards.margin_call / ticks - 1,
        call_loss=paid - _bought_back(contract, terms, size.lots, ticks, guards.margin_call),
        liquidation_distance=guards.liquidation / ticks - 1,
        liquidation_loss=paid - taken.wallet_change,
    )


def _bought_back(contract: Contract, terms: Terms, lots: int, ticks: int, trigger: int) -> float:
    bought = costs.buy_fill(float(trigger), terms.spread_bps, terms.slippage_bps)
    return float(position.close_at(contract, lots, ticks, bought, terms.taker_fee_rate).wallet_change)
