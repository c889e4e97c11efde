"""The invented market: the same seed, the same bytes; fair unless an edge is planted; as wild as it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.errors import EmptyCandlesError, SettingError, UnknownPairError
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import aligned_mark, aligned_minutes
from your_short_trade_margin_call.market.price_path import EDGE_CANDLES, PEAK_LOOKBACK
from your_short_trade_margin_call.market.synthetic import START_PRICES, SyntheticMarket, generate, random_market

from .builders import CANDLE, MINUTE

DAY = 1_440
PLAIN = SyntheticMarket(minutes=DAY, mark=False, funding=False)


def minute_returns(candles: Candles) -> NDArray[np.float64]:
    assert candles.minutes is not None
    return np.diff(np.log(candles.minutes.close))


# ---- seeds ----------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    first = generate(SyntheticMarket(seed=5))
    assert generate(SyntheticMarket(seed=5)).content_hash == first.content_hash
    assert generate(SyntheticMarket(seed=6)).content_hash != first.content_hash
    other = generate(SyntheticMarket(seed=5, symbol="ETH", start_price=60_000.0, tick_size=0.1))
    assert not np.array_equal(other.close, first.close)


def test_these_very_numbers_have_not_moved() -> None:
    """A guard for recorded runs: `--seed 42` must mean the same market tomorrow."""
    market = generate(SyntheticMarket(seed=42, minutes=9, start_price=60_000.0))
    assert market.close.tolist() == [59876.7, 59859.2, 59891.4]


WILD = SyntheticMarket(
    seed=3,
    start_ms=1_767_225_600_000 + 31 * CANDLE,
    jump_probability=0.01,
    gap_probability=0.01,
    outages_per_day=1.0,
    edge=2.0,
    drift_per_day=0.02,
    funding_interval_minutes=60,
)


@pytest.mark.parametrize("market", [SyntheticMarket(), WILD], ids=["plain", "wild"])
@pytest.mark.parametrize("longer", [2 * DAY + 3, 3 * DAY, 5 * DAY])
def test_a_longer_market_begins_with_the_shorter(market: SyntheticMarket, longer: int) -> None:
    short = generate(replace(market, minutes=2 * DAY))
    long = generate(replace(market, minutes=longer))
    assert len(long) > len(short)
    assert long.between(short.start_ms, market.start_ms + 2 * DAY * MINUTE) == short


def test_draws_belong_to_the_minute_and_not_to_the_start() -> None:
    even = replace(PLAIN, clustering=0.0)
    noon = generate(replace(even, start_ms=even.start_ms + 12 * 60 * MINUTE))
    both = generate(even).between(noon.start_ms, noon.end_ms)
    moves, same = (np.diff(np.log(market.close[:240])) for market in (noon, both))
    np.testing.assert_allclose(moves, same, atol=1e-5)


# ---- shape ----------------------------------------------------------------------------------------------------------


def test_candles_follow_each_other_and_contain_their_minutes() -> None:
    market = generate(SyntheticMarket())
    assert len(market) == 2 * DAY // 3
    assert market.gaps == 0
    assert market.open[1:].tolist() == market.close[:-1].tolist()
    high, low = aligned_minutes(market)
    assert high.max(axis=1).tolist() == market.high.tolist()
    assert low.min(axis=1).tolist() == market.low.tolist()
    assert market.mark is not None
    assert len(market.mark) == len(market)
    assert market.funding is not None
    assert market.funding.time_ms.tolist() == [market.start_ms + 8 * 3_600_000 * k for k in range(1, 7)]
    assert market.quality.notes == ()


@pytest.mark.parametrize(("symbol", "price"), [*START_PRICES.items(), ("NOBODYKNOWS", 100.0)])
def test_prices_start_where_the_pair_does_and_lie_on_its_ticks(symbol: str, price: float) -> None:
    market = generate(replace(PLAIN, symbol=symbol, minutes=300))
    assert abs(market.open[0] / price - 1) < 0.01
    tick = {"BTCUSDT": 0.1, "SUIUSDT": 0.0001, "NOBODYKNOWS": 0.01}.get(symbol)
    if tick is not None:
        ticks = market.close / tick
        assert np.abs(ticks - np.round(ticks)).max() < 1e-6


def test_prices_are_clean_decimals_of_their_tick() -> None:
    market = generate(replace(PLAIN, start_price=123.4, tick_size=0.05))
    assert all(round(price, 2) == price for price in market.high.tolist())
    assert {round(price * 100) % 5 for price in market.high.tolist()} == {0}


def test_the_price_never_falls_below_one_tick() -> None:
    market = generate(replace(PLAIN, start_price=0.02, tick_size=0.01, volatility_per_minute=0.05, minutes=4 * DAY))
    assert market.low.min() == 0.01


def test_no_volatility_is_a_flat_line() -> None:
    market = generate(replace(PLAIN, volatility_per_minute=0.0))
    assert set(market.high.tolist()) == set(market.low.tolist()) == {60_000.0}


# ---- fairness -------------------------------------------------------------------------------------------------------


def test_the_price_has_no_drift() -> None:
    """The mean return over many seeds is zero within its error; log returns would be negative, and are."""
    ends = np.array([generate(replace(PLAIN, seed=seed, minutes=600)).close[-1] for seed in range(300)])
    returns = ends / 60_000.0 - 1.0
    error = returns.std(ddof=1) / np.sqrt(len(returns))
    assert abs(returns.mean()) < 3.5 * error
    assert error < 0.002


JUMPY = replace(PLAIN, volatility_per_minute=0.004, jump_probability=0.01, jump_size=0.1, tail_index=2.5, minutes=180)
STORMY = replace(PLAIN, volatility_per_minute=0.05, clustering=0.0, tail_index=1e6, minutes=90)


@pytest.mark.parametrize("market", [JUMPY, STORMY], ids=["jumpy", "stormy"])
def test_even_wild_markets_have_no_drift(market: SyntheticMarket) -> None:
    """In the storm a price whose logarithm is fair would be 12 % too high, five times the error."""
    returns = np.array([generate(replace(market, seed=seed)).close[-1] / 60_000.0 - 1.0 for seed in range(400)])
    error = returns.std(ddof=1) / np.sqrt(len(returns))
    assert abs(returns.mean()) < 3 * error
    assert error < 0.03


def test_a_stated_drift_is_the_mean_return_of_a_day() -> None:
    calm = replace(PLAIN, volatility_per_minute=0.0001, drift_per_day=0.05)
    returns = [generate(replace(calm, seed=seed)).close[-1] / 60_000.0 - 1.0 for seed in range(20)]
    assert np.mean(returns) == pytest.approx(np.exp(0.05) - 1, abs=0.004)


def after_failed_peaks(edge: float) -> tuple[float, float]:
    """Mean return, and its error, of the ten candles after each failed peak, over four markets of ten days."""
    found: list[float] = []
    for seed in range(4):
        market = generate(replace(PLAIN, seed=seed, minutes=10 * DAY, edge=edge))
        highest = np.lib.stride_tricks.sliding_window_view(market.high, PEAK_LOOKBACK).max(axis=1)[:-1]
        place = np.arange(PEAK_LOOKBACK, len(market))
        failed = place[(market.high[place] >= highest) & (market.close[place] < market.open[place])]
        failed = failed[failed < len(market) - EDGE_CANDLES]
        found += (market.close[failed + EDGE_CANDLES] / market.close[failed] - 1.0).tolist()
    return float(np.mean(found)), float(np.std(found) / np.sqrt(len(found)))


@pytest.mark.parametrize("edge", [-2.0, 0.0, 2.0])
def test_an_edge_is_as_large_as_it_says_and_none_is_none(edge: float) -> None:
    mean, error = after_failed_peaks(edge)
    promised = -edge * PLAIN.volatility_per_minute * np.sqrt(3)
    assert abs(mean - promised) < 0.3 * abs(promised) + 4 * error
    if edge:
        assert mean / promised > 0.5
        assert abs(mean) > 5 * error


def test_an_edge_pays_nobody_for_being_short_at_any_time() -> None:
    """What falls after failed peaks is won back: the same markets end where they would have without it."""
    kept = [generate(replace(PLAIN, seed=seed, minutes=10 * DAY, edge=3.0)).close[-1] for seed in range(6)]
    fair = [generate(replace(PLAIN, seed=seed, minutes=10 * DAY)).close[-1] for seed in range(6)]
    assert abs(np.mean(np.array(kept) / np.array(fair)) - 1.0) < 0.05  # without the way back: about -0.35


# ---- tails and clusters ---------------------------------------------------------------------------------------------


def kurtosis(returns: NDArray[np.float64]) -> float:
    return float(((returns - returns.mean()) ** 4).mean() / returns.var() ** 2)


def autocorrelation(values: NDArray[np.float64], lag: int) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def test_tails_are_fat_and_thin_when_asked() -> None:
    thin = minute_returns(generate(replace(PLAIN, minutes=10 * DAY, tail_index=1e6, clustering=0.0)))
    fat = minute_returns(generate(replace(PLAIN, minutes=10 * DAY)))
    assert 2.8 < kurtosis(thin) < 3.2
    assert kurtosis(fat) > 8


def test_volatility_clusters_and_returns_do_not() -> None:
    returns = minute_returns(generate(replace(PLAIN, minutes=20 * DAY)))
    size = np.abs(returns)
    assert autocorrelation(size, 1) > 0.12
    assert autocorrelation(size, 1) > autocorrelation(size, 60) > autocorrelation(size, 1_440) - 0.02
    assert autocorrelation(size, 60) > 0.03
    assert abs(autocorrelation(returns, 1)) < 0.06
    even = np.abs(minute_returns(generate(replace(PLAIN, minutes=20 * DAY, clustering=0.0))))
    assert abs(autocorrelation(even, 1)) < 0.03


def test_volatility_is_what_it_says() -> None:
    squares = [np.mean(minute_returns(generate(replace(PLAIN, seed=seed, minutes=5 * DAY))) ** 2) for seed in range(8)]
    assert np.sqrt(np.mean(squares)) == pytest.approx(PLAIN.volatility_per_minute, rel=0.2)
    assert 0.0008 < np.std(np.diff(np.log(generate(replace(PLAIN, minutes=20 * DAY)).close))) < 0.0018


def test_jumps_open_away_from_the_close_before() -> None:
    market = generate(replace(PLAIN, jump_probability=0.05, jump_size=0.02))
    apart = np.abs(market.open[1:] / market.close[:-1] - 1.0)
    assert 0.02 < np.mean(apart > 1e-4) < 0.09
    assert 0.005 < apart.max() <= 0.0201


# ---- holes ----------------------------------------------------------------------------------------------------------


def test_gaps_come_as_often_as_asked_and_stay_gaps() -> None:
    market = generate(replace(PLAIN, minutes=10 * DAY, gap_probability=0.01, mark=True))
    assert 80 < market.gaps < 160
    assert market.missing > market.gaps
    assert market.quality.partial_buckets_dropped > 0
    assert market.mark is not None
    assert market.mark.time_ms.tolist() == market.time_ms.tolist()


def test_an_outage_is_one_long_hole() -> None:
    market = generate(replace(PLAIN, minutes=20 * DAY, outages_per_day=0.5, outage_minutes=120))
    steps = np.diff(market.time_ms) // CANDLE
    assert 4 <= market.gaps <= 18
    assert steps[steps > 1].min() >= 40


def test_a_stated_gap_is_where_it_is_stated() -> None:
    start = PLAIN.start_ms + 100 * CANDLE
    market = generate(replace(PLAIN, gaps=((start, start + 7 * CANDLE),)))
    assert (market.gaps, market.missing) == (1, 7)
    assert len(market.between(start, start + 7 * CANDLE)) == 0
    whole = generate(PLAIN)
    assert market.between(start + 7 * CANDLE, market.end_ms).close.tolist() == whole.close[107:].tolist()


def test_holes_everywhere_leave_nothing() -> None:
    with pytest.raises(EmptyCandlesError):
        generate(replace(PLAIN, gap_probability=1.0))


# ---- mark and funding -----------------------------------------------------------------------------------------------


def test_marks_deviate_as_much_as_they_say() -> None:
    market = generate(replace(PLAIN, mark=True, mark_deviation=0.01, minutes=5 * DAY))
    deviation = aligned_mark(market).close / market.close - 1.0
    assert 0.006 < deviation.std() < 0.014


def test_marks_have_half_the_wick() -> None:
    market = generate(replace(PLAIN, mark=True, mark_deviation=0.0))
    mark = aligned_mark(market)
    assert mark.close.tolist() == market.close.tolist()
    assert (mark.high <= market.high).all()
    assert (mark.high < market.high).mean() > 0.5


def test_funding_varies_around_a_basis_point() -> None:
    market = generate(replace(PLAIN, funding=True, minutes=20 * DAY, funding_interval_minutes=60))
    assert market.funding is not None
    assert len(market.funding) == 480
    assert market.funding.rate.mean() == pytest.approx(0.0001, abs=0.00002)
    assert market.funding.rate.min() < 0


# ---- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"start_ms": 60_000},
        {"minutes": 2},
        {"start_price": 0.0},
        {"start_price": float("nan")},
        {"tick_size": -1.0},
        {"volatility_per_minute": float("nan")},
        {"volatility_per_minute": 0.2},
        {"clustering": -1.0},
        {"tail_index": 2.0},
        {"jump_probability": 1.5},
        {"jump_size": 0.9},
        {"gap_probability": -0.1},
        {"drift_per_day": 3.0},
        {"edge": float("inf")},
        {"outages_per_day": -1.0},
        {"outage_minutes": 0},
        {"funding_interval_minutes": 0},
        {"funding_volatility": 1.0},
        {"mark_deviation": 1.0},
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        SyntheticMarket(**wrong)  # type: ignore[arg-type]


def test_a_pair_that_cannot_be_is_refused() -> None:
    with pytest.raises(UnknownPairError):
        SyntheticMarket(symbol="BTCUSD")


# ---- wild markets ---------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**40), count=st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_a_random_market_is_valid_and_its_minutes_agree(seed: int, count: int) -> None:
    market = random_market(seed, count)
    assert len(market) == count
    assert market.low.min() > 0
    assert market == random_market(seed, count)
    high, low = aligned_minutes(market)
    known = ~np.isnan(high[:, 0])
    assert high[known].max(axis=1).tolist() == market.high[known].tolist()
    assert low[known].min(axis=1).tolist() == market.low[known].tolist()


def test_random_markets_are_as_wild_as_they_say() -> None:
    markets = [random_market(seed, 120) for seed in range(60)]
    assert any(market.gaps > 3 for market in markets)
    assert any(market.gaps == 0 for market in markets)
    for name in ("mark", "funding", "minutes"):
        absent = sum(getattr(market, name) is None for market in markets)
        assert 5 < absent < 35
    rates = np.concatenate([market.funding.rate for market in markets if market.funding is not None])
    assert rates.min() < -0.02
    assert rates.max() > 0.02
    assert any((np.abs(m.open[1:] / m.close[:-1] - 1) > 0.05).any() for m in markets)
    assert any(len(set(m.high.tolist())) < 0.7 * len(m) for m in markets)  # ties
    assert min(m.low.min() for m in markets) < 0.3
    assert max(m.high.max() for m in markets) > 10_000
    off_grid = [m.funding.time_ms % CANDLE for m in markets if m.funding is not None]
    assert np.concatenate(off_grid).any()
    deviation = [np.nanmax(np.abs(aligned_mark(m).close / m.close - 1)) for m in markets if m.mark is not None]
    assert max(deviation) > 0.02


def test_overrides_hold() -> None:
    market = random_market(
        1, 50, start_price=250.0, tick_size=0.5, mark=False, gap_probability=0.0, outages_per_day=0.0
    )
    assert market.mark is None
    assert market.gaps == 0
    assert set((market.close * 2 % 1).tolist()) == {0.0}
    with pytest.raises(SettingError, match="gaps leave too few"):
        random_market(1, 5, gap_probability=1.0)
