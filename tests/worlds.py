"""Random worlds for property tests: a market, an instrument, settings and parameters, all from one seed.

They are drawn to be nasty on purpose (leverage to 75, tiers that bite, coarse lots, limits, jumps, gaps,
huge funding), so that every exit reason, block reason and clamp occurs often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from your_short_trade_margin_call.domain.instrument import Instrument, RiskTier
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates
from your_short_trade_margin_call.market.synthetic import random_market
from your_short_trade_margin_call.settings import Settings


@dataclass(frozen=True)
class World:
    seed: int
    candles: Candles
    instrument: Instrument
    settings: Settings
    params: StrategyParams


def random_world(seed: int, n_candles: int = 300, **overrides: Any) -> World:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 77])))
    candles = random_market(seed, n_candles)
    settings = random_settings(rng, seed)
    params = random_params(rng)
    if seed % 8 == 0:
        candles, settings, params = ruinous(rng, candles, settings, params)
    settings = settings.replace(**overrides)
    instrument = random_instrument(rng, candles, settings.starting_balance)
    return World(seed, candles, instrument, settings, params)


def ruinous(
    rng: np.random.Generator, candles: Candles, settings: Settings, params: StrategyParams
) -> tuple[Candles, Settings, StrategyParams]:
    """Funding that eats the available balance, then the margin: the wallet ends at nothing."""
    times = candles.time_ms[1:]
    rate = -np.abs(rng.normal(0.02, 0.01, len(times))).clip(0.001, 0.2)
    funding = FundingRates.from_columns(times, rate)
    settings = settings.replace(
        margin_call_at=None,
        max_available_frac=1.0,
        order_reject_prob=0.0,
        daily_loss=None,
        max_drawdown=None,
        cooldown=None,
        leverage=float(rng.choice([1, 3])),
    )
    params = replace(params, risk_fraction=1.0, take_profit_pct=0.3, stop_loss_pct=None, max_hold_ms=None)
    return replace(candles, funding=funding), settings, replace(params, exit_type=ExitType.TAKE_PROFIT)


def random_instrument(rng: np.random.Generator, candles: Candles, balance: float) -> Instrument:
    price = float(candles.close.mean())
    tick = Decimal(f"{rng.choice([1, 2, 5])}e{math.floor(math.log10(price)) - int(rng.integers(3, 6))}")
    # Lots from dust to a good part of what the balance buys.
    lot = Decimal(f"1e{math.floor(math.log10(balance / price)) - int(rng.integers(0, 4))}")
    scale = balance * float(rng.choice([0.5, 2.0, 1e9]))
    max_leverage = float(rng.choice([5, 12.5, 25, 50, 75, 100]))
    return Instrument(
        symbol="BTCUSDT",
        tick_size=tick,
        qty_step=lot,
        min_order_qty=lot * int(rng.choice([1, 1, 2, 5])),
        max_market_order_qty=lot * int(rng.choice([3, 20, 10**9])),
        min_notional_usdt=float(rng.choice([0, 5, balance / 4])),
        max_leverage=max_leverage,
        tiers=random_tiers(rng, scale, max_leverage),
        tiers_source="file",
    )


def random_tiers(rng: np.random.Generator, scale: float, max_leverage: float) -> tuple[RiskTier, ...]:
    """A ladder as Bybit makes them: maintenance margin continuous at each limit, caps falling."""
    mmr, deduction, limit, tiers = 0.005, 0.0, 0.0, []
    for k in range(int(rng.integers(1, 5))):
        step = float(rng.choice([0.0025, 0.005])) * k
        deduction += limit * step
        mmr += step
        limit += scale * float(rng.uniform(0.5, 2.0))
        tiers.append(RiskTier(limit, mmr, max(1.0, min(max_leverage, round(0.5 / mmr, 2))), deduction))
    return tuple(tiers)


def random_settings(rng: np.random.Generator, seed: int) -> Settings:
    wild = rng.random() < 0.5
    return Settings(
        seed=seed,
        starting_balance=float(rng.choice([10, 472, 472, 50_000])),
        leverage=float(rng.choice([1, 3, 3, 10, 25, 75])),
        max_available_frac=float(rng.choice([0.9, 0.9, 1.0])),
        spread_bps=float(rng.choice([0, 2, 10])),
        slippage_bps=float(rng.choice([0, 3, 8])),
        order_reject_prob=float(rng.choice([0, 0.01, 0.3])),
        min_take_profit_pct=float(rng.choice([0.0, 0.0022])),
        fill_on_touch=bool(rng.random() < 0.3),
        margin_call_at=None if rng.random() < 0.25 else float(rng.choice([0.5, 0.9, 0.97])),
        daily_loss=float(rng.choice([0.02, 0.2])) if wild and rng.random() < 0.5 else None,
        max_drawdown=float(rng.choice([0.1, 0.5])) if wild and rng.random() < 0.5 else None,
        cooldown=int(rng.choice([180_000, 3_600_000])) if wild and rng.random() < 0.5 else None,
    )


def random_params(rng: np.random.Generator) -> StrategyParams:
    return StrategyParams(
        highest_high_lookback=int(rng.choice([1, 2, 5, 10, 20, 40])),
        exit_type=list(ExitType)[int(rng.integers(0, 4))],
        risk_fraction=float(rng.choice([0.05, 0.5, 0.85, 0.95, 1.0])),
        take_profit_pct=float(rng.choice([0.0022, 0.0044, 0.008, 0.03])),
        stop_loss_pct=float(rng.choice([0.002, 0.01, 0.05])) if rng.random() < 0.3 else None,
        max_hold_ms=int(rng.choice([180_000, 1_000_000, 7_200_000])) if rng.random() < 0.3 else None,
    )
