"""No decision knows what comes after it: cut the candles, or change what follows, and everything before stays.

"Everything before" a moment T, the opening of candle k, is: trades closed before T; entries up to and including one
at T, whose fill knows candle k's opening and nothing else of it; signals blocked up to T; equity before T.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.market.builders import real_file
from tests.parity.replay import replay
from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import MarkCandles, MinuteCandles
from your_short_trade_margin_call.research import sweep_tasks
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine, BacktestResult
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, make_market

AT_ENTRY = ("entry_time", "entry_price", "quantity", "leverage", "target_price", "target_source", "entry_fee")
"""What the entry fixes. Liquidation and margin call are those at the exit: funding may have moved them."""
SEEDS = range(2_037, 2_053)
"""Worlds in which everything happens often enough: a test below counts it."""


def backtest(world: World, candles: Candles) -> BacktestResult:
    return BacktestEngine(world.settings, world.instrument).backtest(candles, world.params)


def entry_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in AT_ENTRY}


# ---- other futures ----------------------------------------------------------------------------------


def other_future(candles: Candles, k: int, factor: float) -> Candles:
    """The same past; candle `k` keeps its opening and then stands still; all that follows is `factor` times itself."""
    moment = int(candles.time_ms[k])
    mark, minutes, funding = candles.mark, candles.minutes, candles.funding
    if mark is not None:
        mark = MarkCandles.from_columns(mark.time_ms, *changed_prices(mark, moment, factor))
    if minutes is not None:
        minutes = MinuteCandles.from_columns(minutes.time_ms, *changed_prices(minutes, moment, factor))
    if funding is not None:
        funding = replace(funding, rate=np.where(funding.time_ms > moment, 0.5 - funding.rate / 2, funding.rate))
    open_, high, low, close = changed_prices(candles, moment, factor)
    return replace(candles, open=open_, high=high, low=low, close=close, mark=mark, minutes=minutes, funding=funding)


def changed_prices(source: Any, moment: int, factor: float) -> tuple[NDArray[np.float64], ...]:
    """Open, high, low, close: as they were before `moment`, still in the three minutes from it, then scaled."""
    still = (source.time_ms >= moment) & (source.time_ms < moment + 180_000)
    later = source.time_ms >= moment + 180_000
    return tuple(
        np.where(later, column * factor, np.where(still, source.open, column))
        for column in (source.open, source.high, source.low, source.close)
    )


# ---- the two claims ---------------------------------------------------------------------------------


def assert_cut_changes_nothing(world: World, candles: Candles, k: int) -> Counter[str]:
    """Only candles 0..k-1 are known: what was still open ends there, everything else is as it was."""
    long, short = backtest(world, candles), backtest(world, candles.rows(0, k))
    moment, last = int(candles.time_ms[k]), int(candles.time_ms[k - 1])
    known = [row for row in long.rows if row["entry_time"] < moment]
    assert len(short.rows) == len(known)
    for row, cut in zip(known, short.rows, strict=True):
        if row["exit_time"] < moment:
            assert row == cut
        else:
            assert entry_of(row) == entry_of(cut)
            assert (cut["exit_time"], cut["exit_reason"]) == (last, "end_of_data")
    assert short.equity[:-1].tolist() == long.equity[: k - 1].tolist()
    assert Counter(short.blocked) <= Counter(long.blocked)
    seen = Counter({f"blocked {reason}": count for reason, count in short.blocked.items()})
    return seen + Counter(row["exit_reason"] for row in short.rows)


def assert_future_changes_nothing(world: World, candles: Candles, k: int, factor: float) -> None:
    """What follows candle k's opening is another story: all that was decided up to that opening is the same."""
    moment = int(candles.time_ms[k])
    other = other_future(candles, k, factor)
    one, two = backtest(world, candles), backtest(world, other)
    assert [row for row in one.rows if row["exit_time"] < moment] == [
        row for row in two.rows if row["exit_time"] < moment
    ]
    assert [entry_of(row) for row in one.rows if row["entry_time"] <= moment] == [
        entry_of(row) for row in two.rows if row["entry_time"] <= moment
    ]
    assert one.equity[:k].tolist() == two.equity[:k].tolist()
    # Candle k as the last one: then all blocked signals are those up to its opening.
    if k + 1 >= world.params.highest_high_lookback + 2:
        assert backtest(world, candles.rows(0, k + 1)).blocked == backtest(world, other.rows(0, k + 1)).blocked


@pytest.mark.parametrize("seed", SEEDS)
def test_the_past_does_not_know_the_future(seed: int) -> None:
    world = random_world(seed)
    rng = np.random.Generator(np.random.PCG64(seed))
    for k in rng.integers(world.params.highest_high_lookback + 2, len(world.candles), 6).tolist():
        assert_cut_changes_nothing(world, world.candles, k)
        assert_future_changes_nothing(world, world.candles, k, float(rng.uniform(0.5, 2.0)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(50, 150), st.floats(0.0, 1.0), st.floats(0.3, 3.0))
def test_wherever_it_is_cut_and_whatever_follows(seed: int, n_candles: int, where: float, factor: float) -> None:
    world = random_world(seed, n_candles)
    first = world.params.highest_high_lookback + 2
    k = first + int(where * (n_candles - 1 - first))
    assert_cut_changes_nothing(world, world.candles, k)
    assert_future_changes_nothing(world, world.candles, k, factor)


def test_every_candle_more_decides_at_most_once_and_takes_nothing_back() -> None:
    """Cut after every single candle: what was blocked stays blocked, for its reason; one signal, one decision."""
    seen: Counter[str] = Counter()
    for seed in range(2_100, 2_108):
        world = random_world(seed, 150)
        before: Counter[str] = Counter()
        for k in range(world.params.highest_high_lookback + 2, 151):
            result = backtest(world, world.candles.rows(0, k))
            now = Counter(result.blocked) + Counter({"entered": len(result.rows)})
            assert before <= now
            assert (now - before).total() <= 1
            before = now
        seen += before
    assert {"entered", "position_open", "order_rejected", "stream_gap"} <= set(seen)


@pytest.mark.parametrize("seed", [2_003, 2_008, 2_017, 2_021])
def test_the_live_engine_does_not_know_the_future_either(seed: int) -> None:
    world = random_world(seed, 200)
    k = 120
    moment = int(world.candles.time_ms[k])
    full = replay(world).trades
    cut = replay(replace(world, candles=world.candles.rows(0, k))).trades
    other = replay(replace(world, candles=other_future(world.candles, k, 1.3))).trades
    assert full
    closed = [row for row in full if row["exit_time"] < moment]
    assert [row for row in cut if row["exit_reason"] != "end_of_data"] == closed
    assert [row for row in other if row["exit_time"] < moment] == closed
    for rows, until in ((cut, moment - 1), (other, moment)):
        assert [entry_of(row) for row in rows if row["entry_time"] <= until] == [
            entry_of(row) for row in full if row["entry_time"] <= until
        ]


def test_these_worlds_show_enough_to_prove_something() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        world = random_world(seed)
        for k in (120, 250):
            seen += assert_cut_changes_nothing(world, world.candles, k)
    wanted = ("target", "margin_call", "liquidation", "stop_loss", "max_hold", "end_of_data", "blocked position_open")
    assert {name: seen[name] for name in wanted if seen[name] < 3} == {}


# ---- a check that cannot fail proves nothing --------------------------------------------------------


def peek_close(market: MarketArrays) -> MarketArrays:
    """A signal that knows the next candle's close."""
    return market._replace(close=np.append(market.close[1:], market.close[-1:]))


def peek_high(market: MarketArrays) -> MarketArrays:
    """A peak that knows the next candle's high."""
    return market._replace(high=np.append(market.high[1:], market.high[-1:]))


def peek_end(market: MarketArrays) -> MarketArrays:
    """Prices measured against the last one."""
    return market._replace(low=market.low * (0.5 + market.close[-1] / market.close.mean() / 2))


@pytest.mark.parametrize("peek", [peek_close, peek_high, peek_end])
def test_a_planted_look_ahead_is_noticed(peek: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_tasks, "make_market", lambda *arguments: peek(make_market(*arguments)))
    noticed = 0
    for seed in SEEDS[:14]:
        try:
            test_the_past_does_not_know_the_future(seed)
        except AssertionError:
            noticed += 1
        if noticed >= 3:
            break
    assert noticed >= 3


# ---- recorded candles -------------------------------------------------------------------------------


@pytest.mark.real
def test_real_candles_know_no_future_either() -> None:
    path = real_file("candles/bybit_linear_BTCUSDT_3m_20250529_20250629.parquet")
    candles = Candles.from_parquet(path, symbol="BTCUSDT").tail(2_400)
    world = random_world(2_001, 60)
    world = replace(
        world,
        settings=world.settings.replace(leverage=25.0, starting_balance=472.0, daily_loss=None, max_drawdown=None),
        params=replace(world.params, highest_high_lookback=20, exit_type=ExitType.LOWEST_HIGH, risk_fraction=0.5),
        instrument=BacktestEngine().instrument("BTCUSDT"),
    )
    assert len(backtest(world, candles).rows) > 10
    for k in (100, 777, 1_200, 1_801, 2_399):
        assert_cut_changes_nothing(world, candles, k)
        assert_future_changes_nothing(world, candles, k, 1.01)
