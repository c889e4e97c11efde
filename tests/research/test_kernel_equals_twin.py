"""The compiled kernel agrees with its slow twin, trade by trade, on random markets, settings and instruments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.shares import shared
from tests.twin.slow_backtest import (
    TwinCandle,
    TwinInstrument,
    TwinParams,
    TwinResult,
    TwinSettings,
    TwinTier,
    slow_backtest,
)
from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine, BacktestResult
from your_short_trade_margin_call.rules import luck
from your_short_trade_margin_call.rules.terms import luck_key
from your_short_trade_margin_call.settings import Settings

WORLDS = 150


class HashedLuck:
    """The product's own draws: a twin meets the same luck."""

    def __init__(self, world: World) -> None:
        self._key = luck_key(world.settings.seed, world.candles.symbol)
        self._settings = world.settings

    def slippage_bps(self, candle_open_ms: int, purpose: str) -> float:
        kind = luck.ENTRY_SLIPPAGE if purpose == "entry" else luck.EXIT_SLIPPAGE
        return luck.slippage_bps(self._key, candle_open_ms, kind, self._settings.slippage_bps)

    def rejected(self, candle_open_ms: int) -> bool:
        return luck.is_rejected(self._key, candle_open_ms, self._settings.order_reject_prob)


def dec(value: float | Decimal | None) -> Any:
    return None if value is None else value if isinstance(value, Decimal) else Decimal(repr(float(value)))


def twin_candles(source: Any) -> list[TwinCandle]:
    columns = (source.open, source.high, source.low, source.close)
    rows = zip(source.time_ms.tolist(), *(c.tolist() for c in columns), strict=True)
    return [TwinCandle(ts, *(dec(x) for x in prices)) for ts, *prices in rows]


def twin_params(p: StrategyParams) -> TwinParams:
    return TwinParams(
        p.highest_high_lookback,
        str(p.exit_type),
        dec(p.risk_fraction),
        dec(p.take_profit_pct),
        dec(p.stop_loss_pct),
        p.max_hold_ms,
    )


def twin_instrument(instrument: Instrument) -> TwinInstrument:
    tiers = [
        TwinTier(dec(t.limit_usdt), dec(t.maintenance_margin_rate), dec(t.max_leverage), dec(t.deduction_usdt))
        for t in instrument.tiers
    ]
    return TwinInstrument(
        instrument.tick_size,
        instrument.qty_step,
        instrument.min_order_qty,
        instrument.max_market_order_qty,
        dec(instrument.min_notional_usdt),
        dec(instrument.max_leverage),
        tuple(tiers),
    )


def twin_settings(s: Settings) -> TwinSettings:
    return TwinSettings(
        starting_balance=dec(s.starting_balance),
        leverage=dec(s.leverage),
        max_available_frac=dec(s.max_available_frac),
        spread_bps=dec(s.spread_bps),
        taker_fee_rate=dec(s.taker_fee_rate),
        maker_fee_rate=dec(s.maker_fee_rate),
        min_take_profit_pct=dec(s.min_take_profit_pct),
        margin_call_at=dec(s.margin_call_at),
        fill_on_touch=s.fill_on_touch,
        daily_loss=dec(s.daily_loss),
        max_drawdown=dec(s.max_drawdown),
        cooldown_ms=s.cooldown or 0,
    )


def twin_extras(candles: Candles) -> dict[str, Any]:
    """What came with the candles: funding, mark prices, minutes."""
    funding = candles.funding
    return {
        "funding": []
        if funding is None
        else list(zip(funding.time_ms.tolist(), map(dec, funding.rate.tolist()), strict=True)),
        "mark": None if candles.mark is None else {c.ts: c for c in twin_candles(candles.mark)},
        "minutes": None if candles.minutes is None else {c.ts: c for c in twin_candles(candles.minutes)},
    }


def twin_of(world: World) -> TwinResult:
    return slow_backtest(
        twin_candles(world.candles),
        twin_instrument(world.instrument),
        twin_settings(world.settings),
        twin_params(world.params),
        HashedLuck(world),
        **twin_extras(world.candles),
    )


def assert_same(world: World, fast: BacktestResult, slow: TwinResult) -> None:
    assert len(fast.rows) == len(slow.trades), f"world {world.seed}"
    for row, twin in zip(fast.rows, slow.trades, strict=True):
        where = f"world {world.seed}, trade at {twin.entry_time}"
        for name in ("entry_time", "exit_time", "target_source", "exit_reason"):
            assert row[name] == getattr(twin, name), (where, name)
        for name in ("entry_price", "target_price", "liquidation_price", "quantity", "leverage"):
            assert row[name] == pytest.approx(float(getattr(twin, name)), rel=1e-12, abs=1e-12), (where, name)
        for name in ("exit_price", "entry_fee", "exit_fee", "funding", "pnl_value", "pnl_pct", "balance_after"):
            expected = float(getattr(twin, name))
            assert row[name] == pytest.approx(expected, rel=1e-9, abs=1e-7), (where, name)
        assert (row["margin_call_price"] is None) == (twin.margin_call_price is None), where
        if twin.margin_call_price is not None:
            assert row["margin_call_price"] == pytest.approx(float(twin.margin_call_price), rel=1e-12), where
    assert fast.blocked == slow.blocked, f"world {world.seed}"
    np.testing.assert_allclose(fast.equity, [float(x) for x in slow.equity], rtol=1e-9, atol=1e-6)
    assert fast.metrics.wins == slow.wins
    assert fast.metrics.losses == slow.losses
    assert fast.metrics.leverage_clamped == slow.leverage_clamped, f"world {world.seed}"
    assert fast.metrics.quantity_clamped == slow.quantity_clamped, f"world {world.seed}"


@pytest.mark.parametrize("seed", shared(range(WORLDS), 3))
def test_kernel_equals_twin(seed: int) -> None:
    world = random_world(seed)
    fast = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
    assert_same(world, fast, twin_of(world))
