"""The cost at which the profit is gone: against trying every cost, and against functions that do not fall steadily."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.break_even import (
    MOST_BPS,
    RESOLUTION_BPS,
    BreakEven,
    break_even,
    first_without_profit,
)
from your_short_trade_margin_call.research.profits import prepare
from your_short_trade_margin_call.research.trials import with_defaults
from your_short_trade_margin_call.settings import Settings

PARAMS = StrategyParams(10, ExitType.MIDPOINT, 0.9, 0.0044)
NO_SLIPPAGE = Settings(slippage_bps=0.0, order_reject_prob=0.0)


def a_day(seed: int) -> Candles:
    return generate(SyntheticMarket(seed=seed, minutes=1_440, edge=8.0, funding=False, mark=False))


def found(candles: Candles, chosen: Settings, params: StrategyParams = PARAMS) -> BreakEven:
    (market,), account = prepare([candles], chosen, params.highest_high_lookback)
    return break_even(market, account, with_defaults(params, chosen))


def pnl_at(candles: Candles, chosen: Settings, extra_bps: float) -> float:
    """By the engine, with fees that are so much higher."""
    fees = {name: getattr(chosen, name) + extra_bps / 1e4 for name in ("taker_fee_rate", "maker_fee_rate")}
    return BacktestEngine(chosen.replace(**fees)).backtest(candles, PARAMS).metrics.pnl_pct


def profitable_days(count: int) -> list[Candles]:
    days = [candles for candles in map(a_day, range(100, 130)) if pnl_at(candles, Settings(), 0.0) > 0.5]
    assert len(days) >= count
    return days[:count]


def test_the_profit_ends_there_by_brute_force() -> None:
    """Every hundredth of a basis point around it: with a profit below, without one at and above."""
    for candles in profitable_days(4):
        made = found(candles, Settings())
        assert made.extra_bps is not None
        assert made.extra_bps > 0.1
        below = np.linspace(0.0, made.extra_bps - 2 * RESOLUTION_BPS, 150)
        assert all(pnl_at(candles, Settings(), extra) > 0.0 for extra in below.tolist())
        assert pnl_at(candles, Settings(), made.extra_bps) <= 0.0
        assert pnl_at(candles, Settings(), made.extra_bps - 2 * RESOLUTION_BPS) > 0.0
        assert made.pnl_pct == pnl_at(candles, Settings(), 0.0)
        assert not made.rises_again


def test_what_is_paid_is_the_mean_over_the_sides_of_the_trades() -> None:
    """Without slippage a market order costs half the spread and the taker fee, a target the maker fee."""
    for seed in range(100, 106):
        candles = a_day(seed)
        result = BacktestEngine(NO_SLIPPAGE).backtest(candles, PARAMS)
        cost = worth = 0.0
        for row in result.rows:
            is_target = row["exit_reason"] == "target"
            for price, bps in ((row["entry_price"], 6.5), (row["exit_price"], 2.0 if is_target else 6.5)):
                cost += row["quantity"] * price * bps
                worth += row["quantity"] * price
        assert found(candles, NO_SLIPPAGE).paid_bps == pytest.approx(cost / worth, rel=1e-9)


def test_slippage_is_paid_as_it_was_drawn() -> None:
    """What trades lost against prices without spread and slippage, up to a tick a fill."""
    chosen = Settings(slippage_bps=20.0, order_reject_prob=0.0)
    candles = a_day(103)
    place = {time_ms: k for k, time_ms in enumerate(candles.time_ms.tolist())}
    cost = worth = 0.0
    for row in BacktestEngine(chosen).backtest(candles, PARAMS).rows:
        mids = {"target": row["exit_price"], "end_of_data": candles.close[-1]}
        lost = float(candles.open[place[row["entry_time"]]]) - row["entry_price"]
        lost += row["exit_price"] - mids[row["exit_reason"]]
        cost += row["quantity"] * lost + row["entry_fee"] + row["exit_fee"]
        worth += row["quantity"] * (row["entry_price"] + row["exit_price"])
    assert found(candles, chosen).paid_bps == pytest.approx(cost / worth * 1e4, abs=0.05)
    assert cost / worth * 1e4 > 10.0


def test_a_dearer_market_leaves_less_room() -> None:
    for candles in profitable_days(3):
        cheap, dear = (found(candles, Settings(taker_fee_rate=fee)) for fee in (0.0002, 0.0006))
        assert cheap.extra_bps is not None
        assert dear.extra_bps is not None
        assert cheap.extra_bps > dear.extra_bps
        assert cheap.dies_at_bps == pytest.approx(dear.dies_at_bps, rel=0.02)


def test_without_a_profit_nothing_is_left_to_lose() -> None:
    losing = next(candles for candles in map(a_day, range(100, 200)) if pnl_at(candles, Settings(), 0.0) < 0.0)
    made = found(losing, Settings())
    assert (made.extra_bps, made.dies_at_bps, made.rises_again) == (0.0, None, False)
    assert made.paid_bps is not None
    assert made.document() == {
        "pnl_pct": made.pnl_pct,
        "paid_bps": made.paid_bps,
        "extra_bps": 0.0,
        "rises_again": False,
        "dies_at_bps": None,
    }


def test_without_a_trade_nothing_is_paid() -> None:
    made = found(a_day(100), Settings(order_reject_prob=1.0))
    assert made == BreakEven(0.0, None, 0.0, False)


@pytest.mark.parametrize("seed", range(8_101, 8_125))
def test_random_worlds(seed: int) -> None:
    """Leverage, tiers, limits, coarse lots: the profit is there just below, and is not there."""
    world: World = random_world(seed)
    params = with_defaults(world.params, world.settings)
    (market,), account = prepare([world.candles], world.settings, params.highest_high_lookback, world.instrument)
    made = break_even(market, account, params)
    own = BacktestEngine(world.settings, world.instrument).backtest(world.candles, params).metrics
    assert made.pnl_pct == own.pnl_pct
    assert (made.paid_bps is None) == (own.trades == 0)
    assert (made.extra_bps == 0.0) == (own.pnl_pct <= 0.0)


# ---- functions that do not fall steadily ------------------------------------------------------------


def steps(*ends: float) -> Callable[[float], float]:
    """A profit up to the first end, none up to the second, and so on."""
    return lambda x: 1.0 if sum(x >= end for end in ends) % 2 == 0 else -1.0


@settings(deadline=None, max_examples=200)
@given(st.floats(0.1, 400.0), st.floats(0.3, 3.0))
def test_a_single_end_is_found_wherever_the_straight_line_hoped_for_it(end: float, hoped: float) -> None:
    place, again = first_without_profit(steps(end), end * hoped / 64)
    assert place is not None
    assert end <= place <= end + RESOLUTION_BPS
    assert not again


def test_the_first_of_several_ends_counts() -> None:
    place, again = first_without_profit(steps(10.0, 12.0, 20.0), 20.0 / 64)
    assert place == pytest.approx(10.0, abs=RESOLUTION_BPS)
    assert again
    assert first_without_profit(steps(10.0, 500.0, 600.0), 10.0 / 64)[1] is False


def test_no_profit_counts_as_none() -> None:
    place, _ = first_without_profit(lambda x: max(0.0, 5.0 - x), 5.0 / 64)
    assert place == pytest.approx(5.0, abs=RESOLUTION_BPS)


def test_an_end_that_nobody_could_reach() -> None:
    assert first_without_profit(lambda _x: 1.0, 1.0) == (None, False)
    assert first_without_profit(steps(MOST_BPS * 1.1), 1.0) == (None, False)
    assert BreakEven(1.0, 5.0, None, False).dies_at_bps is None
    assert math.isclose(BreakEven(1.0, 5.0, 2.5, False).dies_at_bps or 0.0, 7.5)
