"""What the kernel jumps to, the walking twin walks to: every number of every trial is equal to the last bit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from benchmarks.markets import BenchMarket, bench_candles
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.walking_kernel import Walked, walk
from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.domain.words import BlockReason, ExitReason, ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.account_kernel import SUMMARY, TRADE_COLUMNS
from your_short_trade_margin_call.research.running import run_trials, trace
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.trials import Trials, grid_params
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings

WIDE = ParameterGrid(
    highest_high_lookback=(5, 1, 20),
    exit_type=tuple(ExitType),
    risk_fraction=(0.5, 0.95, 1.0, 0.05),
    take_profit_pct=(0.0022, 0.0044, 0.03, 0.3),
    stop_loss_pct=(None, 0.005, 0.05),
    max_hold=(None, 180_000, 3_600_000),
)
REASON = TRADE_COLUMNS.index("exit_reason")


def parts_of(world: World, grid: ParameterGrid) -> tuple[Any, Any, Any, Trials]:
    market = make_market(world.candles, float(world.instrument.tick_size))
    terms = make_terms(world.settings, world.candles.symbol)
    return market, make_contract(world.instrument), terms, grid_params(grid, world.settings)


def assert_equals_walk(world: World, grid: ParameterGrid, every: int = 1) -> Counter[str]:
    """Compare each `every`-th trial; returns which exits and refusals were met."""
    market, contract, terms, trials = parts_of(world, grid)
    start = world.settings.starting_balance
    field = make_field(market, contract, terms, min(trials.highest_high_lookback))
    (chunk,) = run_trials(field, trials, start)
    seen: Counter[str] = Counter()
    for number in range(world.seed % every, len(trials), every):
        where = (world.seed, trials[number])
        walked = walk(market, contract, terms, trials[number], start)
        for name in SUMMARY.names or ():
            assert chunk.summary[name][number] == walked.summary[name], (where, name)
        assert chunk.blocked[number].tolist() == walked.blocked.tolist(), where
        assert_traced(walked, trace(field, trials, np.array([number]), start, keep_equity=True), where)
        seen.update(str(ExitReason.from_code(int(code))) for code in walked.trades[:, REASON])
        seen.update({str(reason): int(walked.blocked[reason.code]) for reason in BlockReason})
    return seen


def assert_traced(walked: Walked, traced: Any, where: Any) -> None:
    drawdown, sharpe = traced.curves[0]
    assert (drawdown, sharpe) == (walked.summary["drawdown"], walked.summary["sharpe"]), where
    assert traced.trades[: len(walked.trades)].tobytes() == walked.trades.tobytes(), where
    assert traced.equity.tobytes() == walked.equity.tobytes(), where


def test_wild_worlds_bit_for_bit() -> None:
    """Marks, minutes, gaps, funding, tiers, limits, luck: whatever a world holds, and often enough to prove it."""
    seen: Counter[str] = Counter()
    for seed in range(5_000, 5_040):
        seen += assert_equals_walk(random_world(seed, 250), WIDE, every=61)
    traded = [str(reason) for reason in ExitReason if reason is not ExitReason.CLOSED]
    refused = ["position_open", "order_rejected", "insufficient_balance", "below_min_qty", "below_min_notional",
               "stream_gap", "daily_loss", "max_drawdown", "cooldown"]  # fmt: skip
    assert {name: seen[name] for name in traded + refused if seen[name] < 30} == {}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 150), st.integers(1, 40), st.booleans())
def test_any_world_bit_for_bit(seed: int, n_candles: int, lookback: int, has_luck: bool) -> None:
    luck = {} if has_luck else {"slippage_bps": 0.0, "order_reject_prob": 0.0}
    grid = ParameterGrid(
        highest_high_lookback=(lookback,),
        exit_type=(ExitType.MIDPOINT, ExitType.TAKE_PROFIT),
        take_profit_pct=(0.0022, 0.0044),
        stop_loss_pct=(None, 0.01),
        max_hold=(None, 900_000),
    )
    assert_equals_walk(random_world(seed, n_candles, **luck), grid, every=5)


def test_trials_that_part_meet_again() -> None:
    """Coarse lots and a small account: some sizes are refused, some stopped, and all go on together afterwards."""
    grid = ParameterGrid(highest_high_lookback=(3,), risk_fraction=(0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0))
    seen: Counter[str] = Counter()
    for seed in range(5_100, 5_120):
        world = random_world(seed, 400, starting_balance=10.0, leverage=25.0, daily_loss=None)
        seen += assert_equals_walk(world, grid, every=3)
    assert seen["below_min_qty"] > 100
    assert seen["margin_call"] + seen["liquidation"] > 100


@pytest.mark.parametrize("balance", [2e5, 6e5, 3e6])
@pytest.mark.parametrize("leverage", [10.0, 60.0])
def test_sizes_above_the_lowest_tier(balance: float, leverage: float) -> None:
    """Rich accounts on a pair with many tiers: sizes beyond the lowest, at the order limit, with less leverage."""
    settings = Settings(starting_balance=balance, leverage=leverage)
    instrument = find_instrument("BTCUSDT")
    world = World(0, bench_candles(BenchMarket(), 26_000), instrument, settings, random_world(1).params)
    grid = ParameterGrid(highest_high_lookback=(20, 60), stop_loss_pct=(None, 0.03))
    assert_equals_walk(world, grid, every=7)
    market, contract, terms, trials = parts_of(world, grid)
    made = trace(make_field(market, contract, terms, 20), trials, np.array([0]), balance)
    trades = made.trades[: int(made.summary["wins"][0] + made.summary["losses"][0])]
    columns = (trades[:, TRADE_COLUMNS.index(name)] for name in ("lots", "entry_ticks"))
    worth = np.prod(list(columns), axis=0) * contract.lot_size * contract.tick_size
    assert (worth > 1.1 * contract.tiers[0, 0]).sum() > 20
    assert balance < 1e6 or made.summary["quantity_clamped"][0] > 20


# ---- corners ----------------------------------------------------------------------------------------


def candles_of(*rows: tuple[float, float, float, float], skip: tuple[int, ...] = (), **extras: Any) -> Candles:
    """Candles of open, high, low, close; the places in `skip` are missing."""
    places = [place for place in range(len(rows) + len(skip)) if place not in skip]
    open_, high, low, close = zip(*rows, strict=True)
    times = [CANDLE_MS * (10_000_000 + place) for place in places]
    return Candles.from_columns("BTCUSDT", times, open_, high, low, close, timeframe_ms=CANDLE_MS, **extras)


QUIET = (100.0, 100.5, 99.5, 100.0)
PEAK = (100.0, 101.0, 99.8, 99.9)
DROP = (99.9, 100.0, 80.0, 80.0)


def corner(candles: Candles, **overrides: Any) -> tuple[World, ParameterGrid]:
    calm = Settings(slippage_bps=0.0, order_reject_prob=0.0, spread_bps=0.0).replace(**overrides)
    instrument = replace(find_instrument("SOLUSDT"), symbol="BTCUSDT")
    world = World(0, candles, instrument, calm, random_world(1).params)
    grid = ParameterGrid(highest_high_lookback=(2, 3), exit_type=(ExitType.TAKE_PROFIT,), take_profit_pct=(0.01,))
    return world, grid


@pytest.mark.parametrize(
    ("name", "rows", "skip", "met"),
    [
        ("no signal at all", [QUIET] * 8, (), {}),
        ("no candle is left for the lookback", [QUIET] * 3, (), {}),
        ("a signal on the last candle is neither traded nor counted", [QUIET] * 4 + [PEAK], (), {}),
        ("an entry on the last candle ends with the data", [QUIET] * 4 + [PEAK, QUIET], (), {"end_of_data": 8}),
        ("entry and exit in one candle", [QUIET] * 4 + [PEAK, DROP, QUIET], (), {"target": 8}),
        ("a signal before a gap", [QUIET] * 4 + [PEAK, QUIET, QUIET], (5,), {"stream_gap": 8}),
        ("the candle of the exit signals again", [QUIET] * 4 + [PEAK, (100, 102, 80, 99), QUIET], (),
         {"target": 8, "end_of_data": 8}),
    ],
)  # fmt: skip
def test_corners(name: str, rows: list[Any], skip: tuple[int, ...], met: dict[str, int]) -> None:
    world, grid = corner(candles_of(*rows, skip=skip))
    seen = assert_equals_walk(world, grid)
    assert {key: value for key, value in seen.items() if value} == met, name


@pytest.mark.parametrize("place", [5, 6, 7, 8])
def test_funding_at_the_boundaries_of_a_trade(place: int) -> None:
    """Entry at the opening of candle 5, exit inside candle 7: settled at the openings of 6 and 7 only."""
    times = [CANDLE_MS * (10_000_000 + place)]
    rows = [QUIET] * 4 + [PEAK, QUIET, QUIET, DROP, QUIET]
    candles = candles_of(*rows).with_extras(funding=FundingRates.from_columns(times, [0.001]))
    world, grid = corner(candles)
    market, contract, terms, trials = parts_of(world, grid)
    assert_equals_walk(world, grid)
    (chunk,) = run_trials(make_field(market, contract, terms, min(trials.highest_high_lookback)), trials, 472.0)
    assert chunk.summary["wins"].tolist() == [1] * len(trials)
    assert bool(chunk.summary["funding"].any()) == (place in (6, 7))
