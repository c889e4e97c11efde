"""The drill's markets are what they say: no drift but where it is stated, an edge only where it is planted."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.real_candles import FILES, needs_recorded_candles, pair_of
from your_short_trade_margin_call.domain.errors import SettingError, TooFewCandlesError
from your_short_trade_margin_call.domain.words import DrillKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research import drill_markets as made
from your_short_trade_margin_call.research.drill_markets import drill_candles
from your_short_trade_margin_call.research.drill_rows import CANDLES_A_DAY, FEWEST_DAYS, resampled, rows_of
from your_short_trade_margin_call.research.survey import tops_before

Floats = NDArray[np.float64]

KINDS = list(DrillKind)
DRIFTING = (DrillKind.FALLING, DrillKind.RISING)
GAPPING = (DrillKind.JUMPS, DrillKind.SQUEEZES)


@cache
def long_market(kind: DrillKind, number: int = 0) -> Candles:
    return drill_candles(kind, 3, number, 120.0)


def returns(candles: Candles) -> Floats:
    moves: Floats = np.diff(np.log(candles.close))
    return moves


def autocorrelation(x: Floats, lag: int = 1) -> float:
    return float(np.corrcoef(x[lag:], x[:-lag])[0, 1])


def kurtosis(x: Floats) -> float:
    return float(np.mean((x - x.mean()) ** 4) / x.var() ** 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_market_follows_from_its_seed_kind_and_number(kind: DrillKind) -> None:
    once, again = drill_candles(kind, 5, 2, 1.0), drill_candles(kind, 5, 2, 1.0)
    assert once == again
    others = [drill_candles(kind, 6, 2, 1.0), drill_candles(kind, 5, 3, 1.0)]
    others += [drill_candles(other, 5, 2, 1.0) for other in KINDS if other is not kind]
    assert len({once.content_hash, *(other.content_hash for other in others)}) == len(others) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_candles_are_sound_and_on_ticks(kind: DrillKind) -> None:
    candles = long_market(kind)
    assert len(candles) == 120 * CANDLES_A_DAY
    assert candles.gaps == 0
    assert candles.start_ms % 86_400_000 == 0
    assert (candles.volume > 0).all()
    for prices in (candles.open, candles.high, candles.low, candles.close):
        ticks = prices / made.TICK
        assert np.abs(ticks - np.round(ticks)).max() < 1e-6
    gaps = np.abs(candles.open[1:] / candles.close[:-1] - 1.0)
    if kind in GAPPING:
        assert gaps.max() > 0.02
    else:  # taking the drift of a time of day away makes an open differ from the close before by a little
        assert gaps.max() < (0.005 if kind is DrillKind.RESAMPLED else 1e-12)


def growth(kind: DrillKind, days: float, count: int) -> Floats:
    """Relative change of the price over each of many markets."""
    ends = [drill_candles(kind, 17, k, days) for k in range(count)]
    return np.array([c.close[-1] / c.open[0] - 1.0 for c in ends])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in DRIFTING])
def test_prices_do_not_drift(kind: DrillKind) -> None:
    change = growth(kind, 5.0, 100)
    assert abs(change.mean()) < 4.0 * change.std() / 10.0
    assert change.std() < 0.3


@pytest.mark.parametrize(("kind", "expected"), [(DrillKind.FALLING, -0.3), (DrillKind.RISING, 0.3)])
def test_falling_and_rising_drift_as_stated(kind: DrillKind, expected: float) -> None:
    change = growth(kind, 30.0, 60)
    error = change.std() / math.sqrt(60.0)
    assert change.mean() == pytest.approx(expected, abs=4.0 * error)
    assert abs(change.mean()) > 4.0 * error


def test_a_random_walk_is_one() -> None:
    moves = returns(long_market(DrillKind.RANDOM_WALK))
    noise = 4.0 / math.sqrt(len(moves))
    assert abs(autocorrelation(moves)) < noise
    assert abs(autocorrelation(np.abs(moves))) < noise
    assert kurtosis(moves) == pytest.approx(3.0, abs=0.15)


def test_volatility_clusters_and_tails_are_fat() -> None:
    moves = returns(long_market(DrillKind.CLUSTERING))
    assert autocorrelation(np.abs(moves), 1) > 0.1
    assert autocorrelation(np.abs(moves), 20) > 0.05
    assert kurtosis(moves) > 6.0
    assert abs(autocorrelation(moves)) < 0.03


def opening_jumps(kind: DrillKind) -> Floats:
    jumps = [long_market(kind, k) for k in range(3)]
    sizes = np.concatenate([c.open[1:] / c.close[:-1] - 1.0 for c in jumps])
    return np.asarray(sizes[np.abs(sizes) > 0.004])


def test_jumps_go_both_ways_and_squeezes_up() -> None:
    jumps, squeezes = opening_jumps(DrillKind.JUMPS), opening_jumps(DrillKind.SQUEEZES)
    assert len(jumps) == pytest.approx(360, abs=80)
    assert np.count_nonzero(jumps > 0) == pytest.approx(len(jumps) / 2, abs=45)
    assert np.abs(jumps).max() < 0.041
    assert len(squeezes) == pytest.approx(120, abs=45)
    assert squeezes.min() > 0.029
    calm = returns(long_market(DrillKind.SQUEEZES))
    assert np.median(calm) < 0  # between them it falls


def test_a_resampled_history_has_its_hours() -> None:
    moves = np.abs(np.log(long_market(DrillKind.RESAMPLED).close / long_market(DrillKind.RESAMPLED).open))
    hour = np.arange(len(moves)) % CANDLES_A_DAY // 20
    busy, quiet = moves[(hour >= 13) & (hour < 16)].mean(), moves[(hour >= 1) & (hour < 4)].mean()
    assert busy > 1.6 * quiet
    assert autocorrelation(moves, 1) > 0.1


def test_blocks_keep_their_time_of_day_and_lose_its_drift() -> None:
    history = drill_candles(DrillKind.FALLING, 1, 0, 12.0)
    rows = rows_of(history)
    rng = np.random.Generator(np.random.PCG64(4))
    numbered = rows._replace(steps=np.column_stack((rows.steps, np.arange(len(rows.slot)))))
    _, steps = resampled(rng, numbered, 5_000)
    taken, steps = steps[:, -1].astype(int), steps[:, :-1]
    assert (rows.slot[taken] == np.arange(5_000) % CANDLES_A_DAY).all()
    assert (rows.steps[taken] == steps).all()
    assert np.count_nonzero(np.diff(taken) != 1) == pytest.approx(5_000 / 20, abs=70)
    assert len(set((taken // CANDLES_A_DAY).tolist())) == 12


def test_no_time_of_day_has_a_drift() -> None:
    rows = rows_of(drill_candles(DrillKind.FALLING, 1, 0, 12.0))
    opening, steps = resampled(np.random.Generator(np.random.PCG64(4)), rows, 200_000)
    change = (1.0 + opening) * np.prod(1.0 + steps, axis=1) - 1.0
    by_hour = change[: len(change) // CANDLES_A_DAY * CANDLES_A_DAY].reshape(-1, 24, 20).mean(axis=(0, 2))
    error = change.std() / math.sqrt(200_000 / 24)
    assert np.abs(by_hour).max() < 4.5 * error
    of_history = np.prod(1.0 + rows.steps, axis=1).reshape(-1, 24, 20).mean(axis=(0, 2)) - 1.0
    assert np.abs(of_history).max() > 4.5 * error  # taken at random as they are, they would drift


def test_a_history_is_resampled_as_it_is() -> None:
    history = drill_candles(DrillKind.CLUSTERING, 1, 0, 8.0)
    candles = drill_candles(DrillKind.RESAMPLED, 1, 0, 3.0, history=history)
    assert candles != drill_candles(DrillKind.RESAMPLED, 1, 0, 3.0)
    ours, theirs = np.log(candles.high / candles.low), np.log(history.high / history.low)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.1)
    assert drill_candles(DrillKind.JUMPS, 1, 0, 1.0, history=history) == drill_candles(DrillKind.JUMPS, 1, 0, 1.0)


@pytest.mark.real
@needs_recorded_candles
def test_recorded_candles_can_be_resampled() -> None:
    path = next(path for path in FILES if "ADAUSDT" in path.name)
    history = Candles.from_parquet(path, symbol=pair_of(path))
    candles = drill_candles(DrillKind.RESAMPLED, 1, 0, 30.0, history=history)
    assert returns(candles).std() == pytest.approx(returns(history).std(), rel=0.15)


def test_reverting_prices_come_back() -> None:
    moves = returns(long_market(DrillKind.REVERTING))
    assert autocorrelation(moves) < -0.03
    hour = moves[: len(moves) // 20 * 20].reshape(-1, 20).sum(axis=1)
    assert hour.var() < 0.8 * 20.0 * moves.var()


def failed_peaks(candles: Candles, lookback: int) -> NDArray[np.int64]:
    tops = tops_before(candles.high, lookback)
    found: NDArray[np.int64] = np.flatnonzero((candles.high >= tops) & (candles.close < candles.open))
    return found


@pytest.mark.parametrize("kind", [DrillKind.PLANTED, DrillKind.HALF])
def test_prices_fall_after_failed_peaks_and_only_there(kind: DrillKind) -> None:
    size = made.PLANTED_FALL if kind is DrillKind.PLANTED else made.HALF_FALL
    after, anywhere, peaks = [], [], 0
    for number in range(4):
        candles = drill_candles(kind, 8, number, 120.0)
        later = np.log(candles.close[made.PLANTED_CANDLES :] / candles.close[: -made.PLANTED_CANDLES])
        at = failed_peaks(candles, made.PLANTED_LOOKBACK)
        at = at[at < len(later)]
        after.append(later[at].mean())
        anywhere.append(later.mean())
        peaks += len(at)
    assert np.mean(after) == pytest.approx(-size, rel=0.15)
    assert abs(np.mean(anywhere)) < 0.06 * size
    assert peaks / 480 > 4.0  # a day: the edge is many small falls


def test_nothing_is_planted_elsewhere() -> None:
    for kind in (DrillKind.RANDOM_WALK, DrillKind.CLUSTERING, DrillKind.RESAMPLED):
        candles = long_market(kind)
        later = np.log(candles.close[40:] / candles.close[:-40])
        at = failed_peaks(candles, 40)
        at = at[at < len(later)]
        assert abs(later[at].mean()) < 4.0 * later[at].std() / math.sqrt(len(at) / 2.0)


def test_impossible_markets_are_refused() -> None:
    for arguments in ((-1, 0, 1.0), (0, -1, 1.0), (0, 0, 0.0)):
        with pytest.raises(SettingError):
            drill_candles(DrillKind.JUMPS, *arguments)
    short = drill_candles(DrillKind.JUMPS, 0, 0, FEWEST_DAYS - 1.0)
    with pytest.raises(TooFewCandlesError):
        drill_candles(DrillKind.RESAMPLED, 0, 0, 1.0, history=short)
    whole = drill_candles(DrillKind.JUMPS, 0, 0, 8.0)
    hole = Candles.from_columns(
        whole.symbol,
        *(column[whole.time_ms % 86_400_000 < 80_000_000] for column in whole.columns().values()),
    )
    with pytest.raises(TooFewCandlesError, match="0 days"):
        drill_candles(DrillKind.RESAMPLED, 0, 0, 1.0, history=hole)
