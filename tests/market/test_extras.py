"""Marks, funding and minutes: read with the same care, and laid beside the candles as a slow twin would."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.domain import errors
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import (
    FundingRates,
    MarkCandles,
    MinuteCandles,
    aligned_mark,
    aligned_minutes,
    funding_offsets,
)
from your_short_trade_margin_call.market.ohlc import Ohlc, aggregate
from your_short_trade_margin_call.market.synthetic import random_market

from .builders import CANDLE, MINUTE, START, Columns, changed, ordered, rows, without, write

HOUR = 60 * MINUTE


def prices(columns: Columns) -> Columns:
    return {name: values for name, values in columns.items() if name != "volume"}


def candles(count: int = 6) -> Candles:
    return Candles.from_columns("BTCUSDT", *rows(count).values())


def funding(times: list[float], rates: list[float] | None = None) -> FundingRates:
    return FundingRates.from_columns(times, rates or [0.0001] * len(times))


# ---- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_marks_need_no_volume_and_may_be_minutes(suffix: str, tmp_path: Path) -> None:
    native = MarkCandles.from_file(write(tmp_path / f"mark3{suffix}", prices(rows(4))))
    assert native.time_ms.tolist() == rows(4)["ts"]
    fine = MarkCandles.from_file(write(tmp_path / f"mark1{suffix}", prices(rows(7, step=MINUTE))))
    assert fine.time_ms.tolist() == [START, START + CANDLE]
    assert fine.high.tolist() == [104.0, 107.0]
    assert fine.notes == (f"mark1{suffix}: 1 incomplete 3-minute candle dropped, for want of a minute.",)


def test_coarse_marks_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mark.csv", prices(rows(step=HOUR)))
    with pytest.raises(errors.TimeframeError, match=r"1-hour candles.*Mark candles must be 1-minute or 3-minute"):
        Candles.from_file(write(tmp_path / "BTC.csv", rows()), symbol="BTCUSDT", mark=path)


def test_minutes_must_be_minutes() -> None:
    assert len(MinuteCandles.from_columns(*prices(rows(step=MINUTE)).values())) == 6
    with pytest.raises(errors.TimeframeError, match="looks like 3-minute candles"):
        MinuteCandles.from_columns(*prices(rows()).values())
    with pytest.raises(errors.TimeframeError, match="looks like 5-minute candles"):
        MinuteCandles.from_columns(*prices(rows(step=5 * MINUTE)).values())


@pytest.mark.parametrize("kind", [MarkCandles, MinuteCandles])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("high", 1.0, errors.HighBelowLowError),
        ("low", -1.0, errors.NotPositiveError),
        ("close", math.nan, errors.NotFiniteError),
        ("ts", START + MINUTE, errors.DuplicateCandleError),
        ("ts", START, errors.DisorderError),
        ("ts", START + 1, errors.MisalignedError),
        ("open", "x", errors.CandleTypeError),
    ],
)
def test_extras_have_the_same_defects(
    kind: type[MarkCandles | MinuteCandles], name: str, value: object, error: type[Exception], tmp_path: Path
) -> None:
    path = write(tmp_path / "extra.parquet", prices(changed(rows(9, step=MINUTE), name, 2, value)))
    with pytest.raises(error):
        kind.from_file(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_funding_is_read_and_the_symbol_selects(suffix: str, tmp_path: Path) -> None:
    times = [START + 8 * HOUR * k for k in range(3)]
    columns: Columns = {
        "symbol": ["BTCUSDT"] * 3 + ["ETHUSDT"] * 3,
        "ts": times * 2,
        "funding_rate": [0.0001, -0.00002, 0.0003, 0.1, 0.2, 0.3],
    }
    path = write(tmp_path / f"funding{suffix}", columns)
    rates = FundingRates.from_file(path, symbol="BTC")
    assert rates.time_ms.tolist() == times
    assert rates.rate.tolist() == [0.0001, -0.00002, 0.0003]
    with pytest.raises(errors.UnknownPairError, match="no rows of SOLUSDT"):
        FundingRates.from_file(path, symbol="SOLUSDT")


@pytest.mark.parametrize(
    ("times", "rates", "error", "words"),
    [
        ([START, START + HOUR], [0.1, math.nan], errors.NotFiniteError, "row 2"),
        ([START, START + HOUR], [0.1, 1.0], errors.NotFiniteError, "funding_rate of 1 is no fraction"),
        ([START, START + HOUR], [0.1, -2.5], errors.NotFiniteError, "0.01 % as 0.0001"),
        ([START + HOUR, START], [0.1, 0.1], errors.DisorderError, "comes after"),
        ([START, START], [0.1, 0.2], errors.DuplicateCandleError, "another funding_rate"),
        ([START, START + 30_000], [0.1, 0.2], errors.MisalignedError, "not a whole minute"),
        ([START // 1000, START // 1000 + 3600], [0.1, 0.2], errors.MisalignedError, "looks like seconds"),
        ([], [], errors.EmptyCandlesError, "no rows"),
        ([START], ["x"], errors.CandleTypeError, "funding_rate"),
    ],
)
def test_bad_funding_is_refused(times: list[int], rates: list[float], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        FundingRates.from_columns(times, rates)


def test_a_settlement_stamped_a_moment_late_belongs_to_its_minute() -> None:
    rates = funding([START + 3, START + 8 * HOUR, START + 16 * HOUR + 16])
    assert rates.time_ms.tolist() == [START, START + 8 * HOUR, START + 16 * HOUR]
    assert rates.notes == ("funding rates: 2 settlements stamped less than a second late, set to the whole minute.",)


def test_identical_settlements_are_dropped_and_said_to_be() -> None:
    rates = funding([START, START, START + HOUR])
    assert rates.time_ms.tolist() == [START, START + HOUR]
    assert rates.notes == ("funding rates: 1 identical duplicate row dropped.",)


def test_a_funding_file_names_its_missing_column(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", {"ts": [START], "rate": [0.1]})
    with pytest.raises(errors.MissingColumnError, match="lacks funding_rate; it has ts, rate"):
        FundingRates.from_file(path)


# ---- beside candles -------------------------------------------------------------------------------------------------


def test_extras_may_be_files_or_objects_and_their_notes_come_along(tmp_path: Path) -> None:
    mark = write(tmp_path / "mark.csv", prices(rows(5)))
    rates = funding([START + CANDLE + 5])
    read = Candles.from_file(write(tmp_path / "BTC.csv", rows()), symbol="BTC", mark=mark, funding=rates)
    assert read.mark is not None
    assert len(read.mark) == 5
    assert read.funding == funding([START + CANDLE])
    assert read.quality.notes == (
        "funding rates: 1 settlement stamped less than a second late, set to the whole minute.",
        "mark candles: none for 1 of 6 candles; there, last prices decide.",
    )


def test_given_minutes_go_before_the_files_own() -> None:
    other = MinuteCandles.from_columns(*prices(rows(3, step=MINUTE)).values())
    both = Candles.from_columns("BTCUSDT", *rows(18, step=MINUTE).values(), minutes=other)
    assert both.minutes == other
    assert both.quality.notes == ("1-minute candles: none for 5 of 6 candles; there, the adverse side comes first.",)


def test_a_hole_in_the_funding_record_is_said() -> None:
    day = candles(480)
    settled = [START + HOUR * h for h in (5, 13, 21)]
    assert day.with_extras(funding=funding([float(t) for t in settled])).quality.notes == ()
    holed = day.with_extras(funding=funding([float(settled[0])]))
    assert holed.quality.notes == (
        "funding: no settlement is recorded on 0.8 days, the longest from 2025-05-30T00:00:00Z"
        " to 2025-05-30T19:00:00Z; it is 0 there.",
    )


def test_funding_that_never_falls_into_a_long_history_is_unknown() -> None:
    elsewhere = funding([float(START - 100 * HOUR)])
    assert candles(480).with_extras(funding=elsewhere).funding is None
    assert candles(480).with_extras(funding=elsewhere).quality.notes
    short = candles(20).with_extras(funding=elsewhere)
    assert short.funding is not None
    assert len(short.funding) == 0


@pytest.mark.parametrize("factor", [0.02, 30.0])
def test_prices_of_another_pair_are_refused(factor: float) -> None:
    foreign = prices(rows(step=MINUTE, count=18))
    foreign = foreign | {name: [x * factor for x in foreign[name]] for name in ("open", "high", "low", "close")}
    with pytest.raises(errors.CandleError, match="belong to another pair"):
        candles().with_extras(mark=MarkCandles.from_columns(*foreign.values()))
    with pytest.raises(errors.CandleError, match="belong to another pair"):
        candles().with_extras(minutes=MinuteCandles.from_columns(*foreign.values()))


# ---- aligned --------------------------------------------------------------------------------------------------------


def test_aligned_mark_is_nan_where_there_is_none() -> None:
    mark = MarkCandles.from_columns(*prices(without(rows(5), 2)).values())
    open_, high, close = aligned_mark(replace(candles(), mark=mark))
    np.testing.assert_array_equal(open_, [100, 101, np.nan, 103, 104, np.nan])
    np.testing.assert_array_equal(high, [102, 103, np.nan, 105, 106, np.nan])
    np.testing.assert_array_equal(close, [101, 102, np.nan, 104, 105, np.nan])
    assert np.isnan(np.concatenate(aligned_mark(candles()))).all()


def test_aligned_minutes_need_all_three() -> None:
    minutes = MinuteCandles.from_columns(*prices(without(rows(9, step=MINUTE), 4)).values())
    high, low = aligned_minutes(replace(candles(4), minutes=minutes))
    nothing = [np.nan] * 3
    np.testing.assert_array_equal(high, [[102, 103, 104], nothing, [108, 109, 110], nothing])
    np.testing.assert_array_equal(low, [[99, 100, 101], nothing, [105, 106, 107], nothing])
    high, low = aligned_minutes(candles(4))
    assert high.shape == low.shape == (4, 3)
    assert np.isnan(high).all()


def test_a_settlement_belongs_before_the_candle_it_opens_and_in_a_gap_before_the_next() -> None:
    holed = Candles.from_columns("BTCUSDT", *without(rows(8), 3, 4).values())  # opens at 0 1 2 5 6 7
    at = [START + round(CANDLE * x) for x in (-1, 0, 1, 4 / 3, 3, 4, 5, 7, 7 + 1 / 3)]
    rates = funding([float(t) for t in at], [k / 100 for k in range(9)])
    time_ms, rate, first = funding_offsets(replace(holed, funding=rates))
    assert rate.tolist() == [0.02, 0.03, 0.04, 0.05, 0.06, 0.07]
    assert time_ms.tolist() == at[2:8]
    assert first.tolist() == [0, 0, 1, 2, 5, 5, 6]


def test_offsets_without_funding_are_zero() -> None:
    time_ms, rate, first = funding_offsets(candles())
    assert len(time_ms) == len(rate) == 0
    assert first.tolist() == [0] * 7
    assert funding_offsets(candles().tail(0)).first.tolist() == [0]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_alignment_agrees_with_its_slow_twin(seed: int) -> None:
    market = random_market(seed, 50)
    marks = {} if market.mark is None else dict(zip(market.mark.time_ms.tolist(), market.mark.high, strict=True))
    np.testing.assert_array_equal(aligned_mark(market).high, [marks.get(t, np.nan) for t in market.time_ms.tolist()])

    lows = {} if market.minutes is None else dict(zip(market.minutes.time_ms.tolist(), market.minutes.low, strict=True))
    for t, row in zip(market.time_ms.tolist(), aligned_minutes(market).low, strict=True):
        trio = [lows.get(t + k * MINUTE, np.nan) for k in range(3)]
        np.testing.assert_array_equal(row, trio if not np.isnan(trio).any() else [np.nan] * 3)

    times, rates, first = funding_offsets(market)
    recorded = (
        [] if market.funding is None else list(zip(market.funding.time_ms.tolist(), market.funding.rate, strict=True))
    )
    for j in range(len(market)):
        before = market.time_ms[j - 1] if j else market.time_ms[0]
        due = [(t, r) for t, r in recorded if before < t <= market.time_ms[j]]
        booked = range(first[j], first[j + 1])
        assert [(times[k], rates[k]) for k in booked] == due


@given(missing=st.sets(st.integers(0, 29)), shift=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_aggregation_agrees_with_its_slow_twin(missing: set[int], shift: int) -> None:
    columns = without(rows(30, step=MINUTE, start=START + shift * MINUTE), *missing)
    minutes = Ohlc(*(np.array(values) for values in columns.values()))
    buckets: dict[int, list[int]] = {}
    for k, t in enumerate(columns["ts"]):
        buckets.setdefault(t // CANDLE, []).append(k)
    whole = [members for members in buckets.values() if len(members) == 3]
    if not whole:
        with pytest.raises(errors.EmptyCandlesError):
            aggregate(minutes, "minutes")
        return
    got, used, dropped = aggregate(minutes, "minutes")
    assert used.tolist() == [k for members in whole for k in members]
    assert dropped == len(buckets) - len(whole)
    assert got.time_ms.tolist() == [columns["ts"][members[0]] for members in whole]
    assert got.high.tolist() == [max(columns["high"][k] for k in members) for members in whole]
    assert got.low.tolist() == [min(columns["low"][k] for k in members) for members in whole]
    assert got.volume.tolist() == [sum(columns["volume"][k] for k in members) for members in whole]


def test_repeated_rows_of_minutes_are_dropped() -> None:
    repeated = prices(ordered(rows(4, step=MINUTE), [0, 1, 1, 2, 3]))
    assert MinuteCandles.from_columns(*repeated.values()).notes == (
        "1-minute candles: 1 identical duplicate row dropped.",
    )
