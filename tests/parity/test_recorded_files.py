"""On recorded candles: the live engine makes the backtest's trades, and both are a hand reading of the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.replay import replay
from tests.parity.test_parity import assert_parity
from tests.real_candles import FILES, WHY, minutes_of, pair_of
from tests.research.test_kernel_equals_twin import assert_same, twin_of
from tests.worlds import World
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.settings import Settings

LEVERAGES = (3.0, 25.0, 75.0)
SETTINGS = {
    "luck off": {"order_reject_prob": 0.0, "slippage_bps": 0.0},
    "luck on": {"order_reject_prob": 0.05},
}


def recorded_world(path: Path, leverage: float, luck: str, candles_kept: int | None) -> World:
    minutes = minutes_of(path) if luck == "luck on" else None
    candles = Candles.from_parquet(path, symbol=pair_of(path), minutes=minutes)
    settings = Settings(leverage=leverage, **SETTINGS[luck])
    params = StrategyParams(20, ExitType.MIDPOINT, 0.85, 0.0044)
    kept = candles if candles_kept is None else candles.tail(candles_kept)
    return World(0, kept, find_instrument(pair_of(path)), settings, params)


def assert_all_agree(world: World) -> int:
    """Kernel, live engine and slow twin; returns the number of trades."""
    past = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
    assert_parity(world, past, replay(world))
    assert_same(world, past, twin_of(world))
    return len(past.rows)


@pytest.mark.real
@pytest.mark.skipif(not FILES, reason=WHY)
def test_recorded_files_agree_three_ways() -> None:
    """A slice of each file, with luck and without by turns; `make parity` does whole files at every leverage."""
    trades, lucks = 0, tuple(SETTINGS)
    for place, path in enumerate(FILES):
        trades += assert_all_agree(recorded_world(path, LEVERAGES[place % 3], lucks[place % 2], 300))
    print(f"\n{len(FILES)} files, {trades} trades")
    assert trades > len(FILES)
