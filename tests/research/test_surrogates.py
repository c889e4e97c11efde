"""Surrogate markets: what survives (drift, moves, clusters), what does not (order), and what winners of them say."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.twin.slow_surrogates import on_tick, slow_order, slow_prices
from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.words import ExitType, Objective
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.profits import Account, StoppedError, prepare, profits
from your_short_trade_margin_call.research.repeating import repeat
from your_short_trade_margin_call.research.selection import chosen_pct
from your_short_trade_margin_call.research.surrogates import (
    MEAN_BLOCK,
    Shuffler,
    SurrogateWinners,
    surrogate_key,
    surrogate_winners,
)
from your_short_trade_margin_call.research.sweep import run_sweep
from your_short_trade_margin_call.research.trials import Trials, grid_params
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.settings import ParameterGrid, Settings

Floats = NDArray[np.float64]

GRID = grid_params(ParameterGrid(), Settings())
SMALL = grid_params(ParameterGrid(highest_high_lookback=(3, 8), take_profit_pct=(0.0022, 0.01)), Settings())
DAY = SyntheticMarket(minutes=1_440, funding=False, mark=False)


def world_of(seed: int, n_candles: int = 300) -> tuple[World, MarketArrays, Account]:
    world = random_world(seed, n_candles)
    (market,), account = prepare([world.candles], world.settings, 40, world.instrument)
    return world, market, account


def day(seed: int, edge: float = 0.0, **changes: float) -> tuple[MarketArrays, Account]:
    candles = generate(replace(DAY, seed=seed, edge=edge, **changes))  # type: ignore[arg-type]
    (market,), account = prepare([replace(candles, minutes=None)], Settings(), 70)
    return market, account


def moves(market: MarketArrays) -> Floats:
    return np.diff(np.log(market.close))


def autocorrelation(values: Floats, lag: int) -> float:
    values = values - values.mean()
    return float((values[lag:] * values[:-lag]).sum() / (values**2).sum())


# ---- the kernels and their twin ---------------------------------------------------------------------


@pytest.mark.parametrize("mean_block", [1.0, 3.0, MEAN_BLOCK, 1e9])
@pytest.mark.parametrize("seed", [6_001, 6_002, 6_003, 6_008])
def test_the_order_is_that_of_the_slow_twin(seed: int, mean_block: float) -> None:
    _, market, _ = world_of(seed)
    shuffler = Shuffler.of(market, mean_block)
    for number in range(4):
        key = surrogate_key(seed, number)
        ours = shuffler.order(key)
        assert ours.tolist() == slow_order(key, mean_block, shuffler.movable.tolist(), len(market.time_ms))


@pytest.mark.parametrize("seed", range(6_001, 6_009))
def test_prices_are_those_of_the_slow_twin_to_the_tick(seed: int) -> None:
    """All columns, marks and minutes too. Where a price lies at the middle of two ticks, either will do."""
    _, market, _ = world_of(seed, 200)
    shuffler, key = Shuffler.of(market), surrogate_key(seed, 1)
    made, order = shuffler.surrogate(key), shuffler.order(key).tolist()
    minutes = [(market.minute_high[:, m], made.minute_high[:, m]) for m in range(3) if market.has_minutes]
    minutes += [(market.minute_low[:, m], made.minute_low[:, m]) for m in range(3) if market.has_minutes]
    names = ("open", "high", "low", "close", "mark_open", "mark_high", "mark_close")
    columns = [(getattr(market, name), getattr(made, name)) for name in names]
    for real, ours in columns + minutes:
        known = ~np.isnan(real)
        assert (np.isnan(ours) == np.isnan(real[order])).all()
        exact = slow_prices(np.where(known, real, 1.0).tolist(), market.close.tolist(), order)
        for price, ticks in zip(exact, ours.tolist(), strict=True):
            if ticks == ticks and ticks != on_tick(price):
                assert abs(abs(price - Fraction(ticks)) - Fraction(1, 2)) < Fraction(1, 10**6)


# ---- what a surrogate is ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6_001, 6_025))
def test_a_surrogate_is_a_market(seed: int) -> None:
    """On the tick grid, at one tick at least, high and low around the rest; times, gaps and settlements stay."""
    _, market, _ = world_of(seed)
    made = Shuffler.of(market).surrogate(surrogate_key(seed, 0))
    for ours in (made.open, made.high, made.low, made.close, made.mark_open, made.mark_high, made.mark_close):
        assert (ours == np.floor(ours)).all()
        assert (ours >= 1.0).all()
    assert (made.high >= np.maximum(made.open, made.close)).all()
    assert (made.low <= np.minimum(made.open, made.close)).all()
    for name in ("time_ms", "run_length", "funding_time_ms", "funding_rate", "funding_first"):
        assert getattr(made, name) is getattr(market, name)
    if market.has_minutes:
        assert not (made.minute_high.max(axis=1) > made.high).any()
        assert not (made.minute_low.min(axis=1) < made.low).any()


@pytest.mark.parametrize("seed", range(6_001, 6_025))
def test_every_candle_comes_once_and_the_last_close_is_the_real_one(seed: int) -> None:
    """So the moves are the real ones and their sum is. The world's ticks may be coarse: prices then lie between."""
    _, market, _ = world_of(seed)
    shuffler, key = Shuffler.of(market), surrogate_key(seed, 3)
    order, made = shuffler.order(key), shuffler.surrogate(key)
    assert sorted(order.tolist()) == list(range(len(order)))
    after_gap = 1 + np.flatnonzero(np.diff(market.time_ms) != market.candle_ms)
    assert order[after_gap].tolist() == after_gap.tolist()
    assert order[0] == 0
    assert abs(made.close[-1] - market.close[-1]) <= 0.5 + 1e-6


def test_the_drift_is_the_real_one_to_the_tick() -> None:
    for seed in range(20):
        market, _ = day(seed, drift_per_day=-0.2)
        made = Shuffler.of(market).surrogate(surrogate_key(1, seed))
        assert made.close[-1] == market.close[-1]
        assert moves(made).sum() == pytest.approx(moves(market).sum(), abs=1e-12)
        assert (made.open[0], made.high[0], made.low[0]) == (market.open[0], market.high[0], market.low[0])


def test_moves_are_the_real_ones_up_to_a_tick() -> None:
    market, _ = day(5)
    shuffler, key = Shuffler.of(market), surrogate_key(1, 0)
    made, order = shuffler.surrogate(key), shuffler.order(key)
    for name in ("open", "high", "low", "close"):
        real = np.log(getattr(market, name)[1:] / market.close[:-1])
        ours = np.log(getattr(made, name)[1:] / made.close[:-1])
        assert np.abs(ours - real[order[1:] - 1]).max() < 2.0 / made.low.min()
    assert np.sort(moves(made)) == pytest.approx(np.sort(moves(market)), abs=2.0 / made.low.min())


def test_no_gap_is_invented() -> None:
    """A candle that opened where the one before it closed does so again; one that jumped jumps as far."""
    market, _ = day(7, jump_probability=0.02)
    shuffler, key = Shuffler.of(market), surrogate_key(1, 0)
    made, order = shuffler.surrogate(key), shuffler.order(key)
    jumped = market.open[1:] != market.close[:-1]
    ours = (made.open[1:] != made.close[:-1])[np.argsort(order[1:])]
    assert 5 < np.count_nonzero(jumped) < 100
    assert not ours[~jumped].any()


def test_clusters_survive_at_short_lags() -> None:
    """Much of the autocorrelation of absolute moves stays; candles shuffled one by one lose it all."""
    real, blocks, alone = [], [], []
    for seed in range(20):
        market, _ = day(seed, clustering=1.0)
        real.append(np.abs(moves(market)))
        blocks.append(np.abs(moves(Shuffler.of(market).surrogate(surrogate_key(2, seed)))))
        alone.append(np.abs(moves(Shuffler.of(market, 1.0).surrogate(surrogate_key(2, seed)))))

    def mean(rows: list[Floats], lag: int) -> float:
        return float(np.mean([autocorrelation(row, lag) for row in rows]))

    for lag in (1, 2, 3):
        assert mean(real, lag) > 0.15
        assert mean(blocks, lag) > 0.4 * mean(real, lag)
        assert abs(mean(alone, lag)) < 0.15 * mean(real, lag)


def with_signs(market: MarketArrays, turns: NDArray[np.bool_]) -> MarketArrays:
    """The market with its moves made to follow each other in sign, but where it `turns`; as flat a way as that."""
    ratio = market.close[1:] / market.close[:-1]
    size = np.maximum(ratio, 1.0 / ratio) ** np.cumprod(np.where(turns, -1.0, 1.0))
    path = np.concatenate((market.close[:1], market.close[0] * np.cumprod(size)))
    open_ = np.concatenate((path[:1], path[:-1]))
    return market._replace(open=open_, close=path, high=np.maximum(open_, path), low=np.minimum(open_, path))


@pytest.mark.parametrize(("turning", "lag", "sign"), [(0.25, 1, 1), (0.25, 2, 1), (0.75, 1, -1), (0.75, 2, 1)])
def test_the_order_of_signs_does_not_survive(turning: float, lag: int, sign: int) -> None:
    """Moves that follow each other, or alternate: of that, little is left."""
    luck = np.random.Generator(np.random.PCG64(3))
    real, ours = [], []
    for seed in range(20):
        market = with_signs(day(seed)[0], luck.random(479) < turning)
        made = Shuffler.of(market).surrogate(surrogate_key(4, seed))
        real.append(autocorrelation(np.sign(moves(market)), lag))
        ours.append(autocorrelation(np.sign(moves(made)), lag))
    assert sign * np.mean(real) > 0.2
    assert abs(np.mean(ours)) < 0.5 * abs(np.mean(real))


def test_surrogates_differ_by_number_window_and_seed_and_by_nothing_else() -> None:
    market, _ = day(1)
    shuffler = Shuffler.of(market)
    keys = [surrogate_key(*one) for one in ((1, 0, 0), (1, 1, 0), (1, 0, 1), (2, 0, 0))]
    orders = {shuffler.order(key).tobytes() for key in keys}
    assert len(orders) == 4
    assert shuffler.surrogate(keys[0]).close.tolist() == shuffler.surrogate(surrogate_key(1, 0)).close.tolist()


def test_two_candles_and_nothing_but_gaps() -> None:
    candles = generate(replace(DAY, seed=1))
    apart = Candles.from_columns(
        "BTCUSDT", candles.time_ms[::7], *(getattr(candles, name)[::7] for name in ("open", "high", "low", "close")),
        timeframe_ms=180_000,
    )  # fmt: skip
    for few in (candles.rows(0, 2), apart):
        (market,), _ = prepare([few], Settings(), 0)
        shuffler, key = Shuffler.of(market), surrogate_key(1, 1)
        assert shuffler.order(key).tolist() == list(range(len(few)))
        assert shuffler.surrogate(key).close.tolist() == market.close.tolist()


# ---- the lean sweep ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6_001, 6_013))
def test_profits_are_those_of_the_sweep_bit_for_bit(seed: int) -> None:
    world, market, account = world_of(seed)
    sweep = run_sweep(market, *account[:2], SMALL, account.starting_balance, workers=1)
    assert profits(market, account, SMALL).pnl_pct.tobytes() == sweep.columns["pnl_pct"].tobytes()
    assert account.starting_balance == world.settings.starting_balance


def test_profits_of_a_grid_of_several_chunks() -> None:
    market, account = day(2)
    wide = Trials(
        highest_high_lookback=tuple(range(3, 40)),
        exit_type=(ExitType.MIDPOINT,),
        risk_fraction=(0.5, 0.9),
        take_profit_pct=tuple(0.002 + k / 1e5 for k in range(300)),
        stop_loss_pct=(None,),
        max_hold_ms=(None,),
    )
    sweep = run_sweep(market, *account[:2], wide, account.starting_balance, workers=1)
    assert profits(market, account, wide).pnl_pct.tobytes() == sweep.columns["pnl_pct"].tobytes()


# ---- repeating --------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_repeating_keeps_the_numbers_in_order_and_tells_how_far_it_is(workers: int) -> None:
    told: list[tuple[int, int]] = []
    made = repeat(lambda number, _stop: number**2, 21, lambda done, total: told.append((done, total)), None, workers)
    assert made.tolist() == [k**2 for k in range(21)]
    assert told[-1] == (21, 21)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert repeat(lambda number, _stop: number, 0, workers=workers).tolist() == []


class TroubleError(ShortestPeakError):
    """Something went wrong."""


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_the_repetition(workers: int) -> None:
    seen: list[int] = []

    def work(number: int, _stop: NDArray[np.bool_]) -> float:
        seen.append(number)
        Event().wait(0.0005)
        return 0.0

    def fail(_done: int, _total: int) -> None:
        raise TroubleError("It broke.", "Mend it.")

    with pytest.raises(TroubleError):
        repeat(work, 10_000, fail, None, workers)
    assert len(seen) < 5_000


@pytest.mark.parametrize("workers", [1, 2])
def test_stopping_leaves_what_is_finished(workers: int) -> None:
    market, account = day(3)
    stop = np.zeros(1, dtype=np.bool_)

    def progress(done: int, _total: int) -> None:
        stop[0] = done >= 16

    made = surrogate_winners(
        [market], account, GRID, seed=1, count=10_000, progress=progress, stop=stop, workers=workers
    )
    finished = len(made.pnl_pct)
    assert 16 <= finished < 10_000
    # Which are finished is the threads' doing: one may be cut short while the other went on. None is far ahead.
    whole = surrogate_winners([market], account, GRID, seed=1, count=finished + 100, workers=1)
    assert set(made.pnl_pct.tolist()) <= set(whole.pnl_pct.tolist())
    with pytest.raises(StoppedError):
        profits(market, account, GRID, stop)


# ---- winners ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [6_001, 6_004, 6_007])
@pytest.mark.parametrize("objective", [Objective.PNL_PCT, Objective.PLATEAU, Objective.GROWTH, Objective.POOLED])
def test_winners_are_those_of_whole_sweeps(seed: int, objective: Objective) -> None:
    world, _, account = world_of(seed)
    windows, _ = prepare([world.candles.rows(k, k + 150) for k in (0, 150)], world.settings, 10, world.instrument)
    made = surrogate_winners(windows, account, SMALL, seed=9, count=6, objective=objective, workers=2)
    seen = objective.windows_of(windows)

    def winner(markets: list[MarketArrays]) -> float:
        sweeps = [run_sweep(market, *account[:2], SMALL, account.starting_balance, workers=1) for market in markets]
        picked = [sweep.columns["pnl_pct"] for sweep in sweeps]
        return chosen_pct(objective, sweeps) if objective is not Objective.PNL_PCT else float(picked[-1].max())

    slow = [
        winner([Shuffler.of(market).surrogate(surrogate_key(9, k, w)) for w, market in enumerate(seen)])
        for k in range(6)
    ]
    assert made.pnl_pct.tolist() == pytest.approx(slow, abs=1e-9)
    assert made.real_pct == pytest.approx(winner(list(seen)), abs=1e-9)


def test_the_same_seed_gives_the_same_winners_whatever_the_threads_do() -> None:
    market, account = day(4)
    one, two, other = (
        surrogate_winners([market], account, GRID, seed=seed, count=40, workers=workers)
        for seed, workers in ((5, 1), (5, 3), (6, 1))
    )
    assert one.pnl_pct.tolist() == two.pnl_pct.tolist() != other.pnl_pct.tolist()
    assert one.real_pct == two.real_pct == other.real_pct


def test_quantile_and_p_value() -> None:
    winners = SurrogateWinners(np.array([1.0, 2.0, 2.0, 3.0]), 2.0, MEAN_BLOCK, 1)
    assert (winners.p_value, winners.quantile) == (4 / 5, 0.5)
    assert replace(winners, real_pct=9.0).p_value == 1 / 5
    assert replace(winners, real_pct=9.0).quantile == 1.0
    none = SurrogateWinners(np.zeros(0), 2.0, MEAN_BLOCK, 1)
    assert (none.p_value, none.quantile) == (1.0, None)
    assert none.document()["percentiles"] == []
    said = winners.document()
    assert (said["percentiles"][0], said["percentiles"][10], said["percentiles"][20]) == (1.0, 2.0, 3.0)
    assert len(said["percentiles"]) == 21


def p_values(count: int, edge: float, surrogates: int = 39) -> Floats:
    found = []
    for seed in range(count):
        market, account = day(7_000 + seed, edge)
        found.append(surrogate_winners([market], account, GRID, seed=seed, count=surrogates).p_value)
    return np.array(found)


def test_without_an_edge_p_is_uniform() -> None:
    """Kolmogorov's distance for 60 values exceeds 0.25 once in a thousand times."""
    found = np.sort(p_values(60, 0.0))
    steps = np.arange(1, 61) / 60
    assert max((steps - found).max(), (found - (steps - 1 / 60)).max()) < 0.25
    assert np.count_nonzero(found <= 0.05) <= 9


def test_a_planted_edge_gives_the_winner_a_high_quantile() -> None:
    """Peaks that fail are followed by a fall of six standard deviations of a candle."""
    found = p_values(12, 6.0)
    assert np.median(found) <= 0.1
    assert np.count_nonzero(found <= 0.25) >= 9


def test_recorded_volume_goes_along() -> None:
    candles: Candles = generate(replace(DAY, seed=1))
    (market,), _ = prepare([candles], Settings(), 70)
    order = Shuffler.of(market).order(surrogate_key(1, 0))
    volume = candles.volume[order]
    assert np.sort(volume).tolist() == np.sort(candles.volume).tolist()
    assert volume.tolist() != candles.volume.tolist()
