"""The band over fill luck: each value is the backtest of that seed, and nothing but the seed decides it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.worlds import random_world
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType, Objective
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.fill_luck import FillLuck, fill_luck, fill_luck_of_winners
from your_short_trade_margin_call.research.profits import prepare
from your_short_trade_margin_call.research.trials import grid_params, with_defaults
from your_short_trade_margin_call.settings import ParameterGrid, Settings

DAY = generate(SyntheticMarket(seed=11, minutes=1_440, volatility_per_minute=0.002))
PARAMS = StrategyParams(10, ExitType.MIDPOINT, 0.9, 0.0044)
SMALL = ParameterGrid(highest_high_lookback=(5, 10), take_profit_pct=(0.0022, 0.0044))


@pytest.mark.parametrize("seed", [8_002, 8_003, 8_005])
def test_each_value_is_the_backtest_under_that_seed(seed: int) -> None:
    world = random_world(seed, order_reject_prob=0.3, slippage_bps=8.0, spread_bps=2.0)
    params = with_defaults(world.params, world.settings)
    (market,), account = prepare([world.candles], world.settings, params.highest_high_lookback, world.instrument)
    made = fill_luck(market, account, params, world.candles.symbol, range(12))
    alone = [
        BacktestEngine(world.settings.replace(seed=k), world.instrument).backtest(world.candles, params).metrics.pnl_pct
        for k in range(12)
    ]
    assert made.pnl_pct.tolist() == alone
    assert len(set(alone)) > 1


def test_the_same_seeds_give_the_same_band_and_others_another() -> None:
    (market,), account = prepare([DAY], Settings(), 10)
    one, two, other = (
        fill_luck(market, account, PARAMS, "BTCUSDT", seeds) for seeds in (range(50), range(50), range(50, 99))
    )
    assert one.pnl_pct.tolist() == two.pnl_pct.tolist()
    assert one.band != other.band
    assert len(other.pnl_pct) == 49
    another_pair = fill_luck(market, account, PARAMS, "ETHUSDT", range(50))
    assert another_pair.pnl_pct.tolist() != one.pnl_pct.tolist()


def test_where_fills_need_no_luck_the_band_is_a_line() -> None:
    (market,), account = prepare([DAY], Settings(slippage_bps=0.0, order_reject_prob=0.0), 10)
    made = fill_luck(market, account, PARAMS, "BTCUSDT", range(20))
    assert len(set(made.pnl_pct.tolist())) == 1
    assert made.band == (made.pnl_pct[0],) * 3


def test_more_slippage_makes_a_wider_band() -> None:
    """On the whole: on a single day a little more may decide whether a target is reached."""
    days = [generate(SyntheticMarket(seed=seed, minutes=1_440)) for seed in range(8)]

    def width(day: Candles, slippage_bps: float) -> float:
        (market,), account = prepare([day], Settings(slippage_bps=slippage_bps, order_reject_prob=0.0), 10)
        band = fill_luck(market, account, PARAMS, "BTCUSDT", range(60)).band
        assert band is not None
        return band.high_pct - band.low_pct

    assert 0.0 < 2.0 * sum(width(day, 0.2) for day in days) < sum(width(day, 10.0) for day in days)


def test_a_rejected_entry_costs_a_trade_and_so_the_band_shows_it() -> None:
    """Rejects alone, without slippage: a handful of distinct outcomes, the one without a reject among them."""
    settings = Settings(slippage_bps=0.0, order_reject_prob=0.05)
    (market,), account = prepare([DAY], settings, 10)
    made = fill_luck(market, account, PARAMS, "BTCUSDT", range(200))
    never = BacktestEngine(settings.replace(order_reject_prob=0.0)).backtest(DAY, PARAMS).metrics.pnl_pct
    assert never in made.pnl_pct.tolist()
    assert 1 < len(set(made.pnl_pct.tolist())) < 200


def test_winners_are_those_of_sweeps_under_each_seed() -> None:
    settings = Settings(slippage_bps=6.0, order_reject_prob=0.1)
    trials = grid_params(SMALL, settings)
    (market,), account = prepare([DAY], settings, 10)
    made = fill_luck_of_winners([market], account, trials, "BTCUSDT", range(8), workers=2)
    slow = [BacktestEngine(settings.replace(seed=k)).sweep(DAY, SMALL).best_metrics.pnl_pct for k in range(8)]
    assert made.pnl_pct.tolist() == slow
    for params in trials:
        assert (fill_luck(market, account, params, "BTCUSDT", range(8)).pnl_pct <= made.pnl_pct).all()


def test_an_objective_that_pools_looks_at_all_windows() -> None:
    windows, account = prepare([DAY.rows(0, 240), DAY.rows(240, 480)], Settings(), 10)
    trials = grid_params(SMALL, Settings())
    pooled = fill_luck_of_winners(windows, account, trials, "BTCUSDT", range(4), objective=Objective.POOLED)
    latest = fill_luck_of_winners(windows[1:], account, trials, "BTCUSDT", range(4), objective=Objective.POOLED)
    assert pooled.pnl_pct.tolist() != latest.pnl_pct.tolist()


def test_the_band_is_the_percentiles() -> None:
    made = FillLuck(np.arange(101.0) - 50.0)
    assert made.band == (-45.0, 0.0, 45.0)
    assert made.profitable_frac == 50 / 101
    said = made.document()
    assert said["lucks"] == 101
    assert said["band"] == {"low_pct": -45.0, "middle_pct": 0.0, "high_pct": 45.0}
    none = FillLuck(np.zeros(0))
    assert (none.band, none.profitable_frac, none.document()["band"]) == (None, None, None)


def test_stopping_leaves_what_is_finished() -> None:
    (market,), account = prepare([DAY], Settings(), 10)
    stop = np.zeros(1, dtype=np.bool_)

    def progress(done: int, _total: int) -> None:
        stop[0] = done >= 8

    trials = grid_params(SMALL, Settings())
    made = fill_luck_of_winners(
        [market], account, trials, "BTCUSDT", range(500), progress=progress, stop=stop, workers=1
    )
    assert len(made.pnl_pct) == 8
