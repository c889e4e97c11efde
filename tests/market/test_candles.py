"""What `Candles` promise: nothing changes them, slices agree with the whole, equal content is equal."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.domain import errors
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates, MarkCandles, MinuteCandles
from your_short_trade_margin_call.market.synthetic import random_market

from .builders import CANDLE, MINUTE, START, changed, rows, without, write

PRICES = ("open", "high", "low", "close")


def candles(count: int = 6) -> Candles:
    return Candles.from_columns("BTCUSDT", *rows(count).values())


def full(count: int = 6) -> Candles:
    """Candles with everything beside them, the extras reaching beyond them on both sides."""
    marks = {name: values for name, values in rows(count + 4, start=START - 2 * CANDLE).items() if name != "volume"}
    minutes = {name: values for name, values in rows(3 * count + 9, MINUTE, START - CANDLE).items() if name != "volume"}
    settlements = [START + CANDLE * k for k in range(-2, count + 3)]
    return candles(count).with_extras(
        MarkCandles.from_columns(*marks.values()),
        FundingRates.from_columns(settlements, [0.0001 * (k + 1) for k in range(len(settlements))]),
        MinuteCandles.from_columns(*minutes.values()),
    )


def test_names_and_ends() -> None:
    whole = candles()
    assert (whole.symbol, len(whole), whole.start_ms, whole.end_ms) == ("BTCUSDT", 6, START, START + 6 * CANDLE)
    assert Candles.from_columns("btc/usdt:usdt", *rows().values()) == whole


def test_gaps_are_counted_and_stay() -> None:
    holed = Candles.from_columns("BTCUSDT", *without(rows(10), 3, 6, 7).values())
    assert (len(holed), holed.gaps, holed.missing) == (7, 2, 3)
    assert (holed.quality.gaps, holed.quality.missing) == (2, 3)
    part = holed.between(START, START + 6 * CANDLE)
    assert (len(part), part.gaps, part.missing) == (5, 1, 1)


# ---- nothing changes them -------------------------------------------------------------------------------------------


def test_arrays_are_read_only_and_the_callers_are_left_alone() -> None:
    mine = np.array(rows()["close"])
    whole = Candles.from_columns("BTCUSDT", *(rows() | {"close": mine}).values())
    with pytest.raises(ValueError, match="read-only"):
        whole.close[0] = 1.0
    mine[0] = 99.5
    by_hand = replace(whole, volume=mine)
    mine[0] = 98.5
    assert (whole.close[0], by_hand.volume[0]) == (101.0, 99.5)
    with pytest.raises(FrozenInstanceError):
        whole.symbol = "ETHUSDT"  # type: ignore[misc]


def test_a_copy_through_a_pickle_is_equal_and_as_read_only() -> None:
    pickled: Any = pickle.loads(pickle.dumps(full()))
    copied: Any = copy.deepcopy(full())
    for again in (pickled, copied):
        assert again == full()
        assert again.content_hash == full().content_hash
        for array in (again.close, again.mark.open, again.minutes.high, again.funding.rate):
            assert not array.flags.writeable


def test_bad_rows_cannot_be_put_in_by_hand_either() -> None:
    whole = candles()
    with pytest.raises(errors.HighBelowLowError):
        replace(whole, high=whole.low - 1)
    with pytest.raises(errors.DuplicateCandleError):
        replace(whole, time_ms=np.full(6, START))
    with pytest.raises(errors.MisalignedError):
        replace(whole, time_ms=whole.time_ms + MINUTE)
    with pytest.raises(errors.CandleTypeError, match="differ in length"):
        replace(whole, close=whole.close[:-1])
    with pytest.raises(errors.NotFiniteError):
        replace(whole, volume=whole.volume * np.nan)


# ---- slices ---------------------------------------------------------------------------------------------------------


def test_between_takes_opens_from_start_to_before_end_and_what_belongs_to_them() -> None:
    part = full().between(START + CANDLE, START + 3 * CANDLE)
    assert part.time_ms.tolist() == [START + CANDLE, START + 2 * CANDLE]
    assert part.mark is not None
    assert part.mark.time_ms.tolist() == [START + CANDLE, START + 2 * CANDLE]
    assert part.minutes is not None
    assert part.minutes.time_ms.tolist() == [START + CANDLE + MINUTE * k for k in range(6)]
    assert part.funding is not None
    assert part.funding.time_ms.tolist() == [START + 2 * CANDLE, START + 3 * CANDLE]


def test_a_slice_shares_memory() -> None:
    whole = full(50)
    part = whole.between(START + CANDLE, START + 30 * CANDLE)
    assert np.shares_memory(whole.close, part.close)
    assert part.minutes is not None
    assert whole.minutes is not None
    assert np.shares_memory(whole.minutes.high, part.minutes.high)


def test_tail() -> None:
    whole = full()
    assert whole.tail(2) == whole.between(START + 4 * CANDLE, whole.end_ms)
    assert whole.tail(6) == whole.tail(99) == whole
    assert len(whole.tail(0)) == len(whole.tail(-3)) == 0


def test_an_empty_slice_is_a_value_without_ends() -> None:
    nothing = full().between(0, START)
    assert (len(nothing), nothing.gaps, nothing.missing) == (0, 0, 0)
    assert len(nothing.between(0, 10**13)) == len(nothing.tail(3)) == 0
    with pytest.raises(errors.EmptyCandlesError):
        _ = nothing.start_ms
    with pytest.raises(errors.EmptyCandlesError):
        _ = nothing.end_ms


@given(seed=st.integers(0, 10**6), cuts=st.tuples(st.integers(-5, 70), st.integers(-5, 70)))
@settings(max_examples=25, deadline=None)
def test_a_slice_of_a_slice_is_the_slice(seed: int, cuts: tuple[int, int]) -> None:
    whole = random_market(seed, 60)
    low, high = sorted(cuts)
    start, end = whole.start_ms + low * CANDLE, whole.start_ms + high * CANDLE
    part = whole.between(start, end)
    assert whole.between(start, 10**13).between(0, end) == part
    inside = (whole.time_ms >= start) & (whole.time_ms < end)
    assert part.time_ms.tolist() == whole.time_ms[inside].tolist()
    assert part.between(0, 10**13) == part


# ---- identity -------------------------------------------------------------------------------------------------------


def test_the_hash_is_sixteen_hex_digits_of_the_content_alone(tmp_path: Path) -> None:
    whole = candles()
    assert len(whole.content_hash) == 16
    assert int(whole.content_hash, 16) >= 0
    read = Candles.from_csv(write(tmp_path / "other name.csv", rows()), symbol="BTCUSDT")
    assert read.content_hash == whole.content_hash
    assert hash(read) == hash(whole)


def test_everything_counts_in_the_hash() -> None:
    whole = full()
    assert whole.mark is not None
    assert whole.minutes is not None
    assert whole.funding is not None
    others = [
        replace(whole, symbol="ETHUSDT"),
        replace(whole, mark=None),
        replace(whole, funding=None),
        replace(whole, minutes=None),
        replace(whole, mark=replace(whole.mark, high=whole.mark.high + 1)),
        replace(whole, minutes=replace(whole.minutes, high=whole.minutes.high + 1)),
        replace(whole, funding=replace(whole.funding, rate=whole.funding.rate * 2)),
        whole.tail(5),
    ]
    for name in ("open", "high", "low", "close", "volume"):
        bumped = Candles.from_columns("BTCUSDT", *changed(rows(), name, 2, rows()[name][2] + 0.25).values())
        others.append(replace(bumped, mark=whole.mark, funding=whole.funding, minutes=whole.minutes))
    hashes = {whole.content_hash, *(other.content_hash for other in others)}
    assert len(hashes) == 1 + len(others)
    assert all(other != whole for other in others)


def test_what_lies_outside_of_the_candles_does_not_count() -> None:
    inner = full(10).between(START + 2 * CANDLE, START + 8 * CANDLE)
    assert inner.mark is not None
    again = Candles.from_columns("BTCUSDT", *rows(6, start=START + 2 * CANDLE).values())
    assert replace(inner, mark=None, funding=None, minutes=None).mark is None
    assert replace(again, mark=full(10).mark).mark == inner.mark


def test_require_says_who_needs_how_many() -> None:
    candles().require(6, "a lookback of 5")
    with pytest.raises(
        errors.TooFewCandlesError, match=r"6 candles of BTCUSDT, but a lookback of 70 needs 71"
    ) as caught:
        candles().require(71, "a lookback of 70")
    assert caught.value.cure
