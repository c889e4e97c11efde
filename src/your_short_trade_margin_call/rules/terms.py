"""What a rule may depend on, as named tuples that kernels take whole (units in the field names).

`Contract` is the instrument in ticks and lots, `Terms` the settings, `Trial` one parameter set.
NaN stands for "off" where a number may be absent.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.rules.grid import snap, snap_prices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from your_short_trade_margin_call.domain.instrument import Instrument
    from your_short_trade_margin_call.domain.params import StrategyParams
    from your_short_trade_margin_call.settings import Settings

NO_PRICE = 1 << 62
"""A trigger no price reaches: "there is no stop"."""


TIER_LIMIT, TIER_MMR, TIER_MAX_LEVERAGE, TIER_DEDUCTION = 0, 1, 2, 3


class Contract(NamedTuple):
    """An instrument for kernels.

    `tiers` is float64[k, 4], lowest tier first: limit in USDT (inclusive), maintenance margin rate,
    largest leverage, deduction in USDT (one array: kernels compile faster).
    """

    tick_size: float
    lot_size: float
    min_lots: int
    max_lots: int
    min_notional_usdt: float
    max_leverage: float
    tiers: NDArray[np.float64]


class Terms(NamedTuple):
    """Settings that all trials share. Rates and fractions are plain fractions; NaN switches a limit off."""

    leverage: float
    max_available_frac: float
    taker_fee_rate: float
    maker_fee_rate: float
    spread_bps: float
    slippage_bps: float
    order_reject_prob: float
    min_take_profit_pct: float
    margin_call_at: float
    fill_on_touch: bool
    daily_loss: float
    max_drawdown: float
    cooldown_ms: int
    luck_key: np.uint64


class Trial(NamedTuple):
    """One parameter set for kernels: exit type as code, NaN for no stop-loss, 0 for no longest hold."""

    lookback: int
    exit_type: int
    risk_fraction: float
    take_profit_pct: float
    stop_loss_pct: float
    max_hold_ms: int


def make_contract(instrument: Instrument) -> Contract:
    """The instrument in ticks and lots: the one place where its decimals become steps."""
    step = float(instrument.qty_step)
    tiers = instrument.tiers
    return Contract(
        tick_size=float(instrument.tick_size),
        lot_size=step,
        min_lots=int(-(-instrument.min_order_qty // instrument.qty_step)),
        max_lots=int(instrument.max_market_order_qty // instrument.qty_step),
        min_notional_usdt=float(instrument.min_notional_usdt),
        max_leverage=float(instrument.max_leverage),
        tiers=np.array(
            [(t.limit_usdt, t.maintenance_margin_rate, t.max_leverage, t.deduction_usdt) for t in tiers],
            dtype=np.float64,
        ).reshape(-1, 4),
    )


def make_terms(settings: Settings, symbol: str) -> Terms:
    """The settings as numbers, and the luck of this seed and pair."""
    return Terms(
        leverage=settings.leverage,
        max_available_frac=settings.max_available_frac,
        taker_fee_rate=settings.taker_fee_rate,
        maker_fee_rate=settings.maker_fee_rate,
        spread_bps=settings.spread_bps,
        slippage_bps=settings.slippage_bps,
        order_reject_prob=settings.order_reject_prob,
        min_take_profit_pct=settings.min_take_profit_pct,
        margin_call_at=_or_nan(settings.margin_call_at),
        fill_on_touch=settings.fill_on_touch,
        daily_loss=_or_nan(settings.daily_loss),
        max_drawdown=_or_nan(settings.max_drawdown),
        cooldown_ms=settings.cooldown or 0,
        luck_key=luck_key(settings.seed, symbol),
    )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def make_trial(params: StrategyParams) -> Trial:
    """The parameter set as numbers."""
    return Trial(
        lookback=int(params.highest_high_lookback),
        exit_type=params.exit_type.code,
        risk_fraction=float(params.risk_fraction),
        take_profit_pct=float(params.take_profit_pct),
        stop_loss_pct=stop_loss_of(params),
        max_hold_ms=int(params.max_hold_ms or 0),
    )


def stop_loss_of(params: StrategyParams) -> float:
    """The stop-loss of a parameter set, NaN where it has none."""
    return _or_nan(params.stop_loss_pct)


def luck_key(seed: int, symbol: str) -> np.uint64:
    """The part of every draw's hash that a run fixes."""
    digest = hashlib.blake2b(f"{seed}:{symbol}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def to_ticks(prices: NDArray[np.float64], tick_size: float) -> NDArray[np.float64]:
    """Prices in USDT as ticks; within 1e-9 of a tick they are whole, else they stay between two."""
    steps = np.empty(prices.shape, dtype=np.float64)
    snap_prices(np.ascontiguousarray(prices, dtype=np.float64).ravel(), tick_size, steps.ravel())
    return steps


def price_to_ticks(price: float, tick_size: float) -> float:
    """One price in USDT as ticks (see `to_ticks`)."""
    return snap(price / tick_size)
