"""Real candle files are read as their manifest describes them (skipped where they are not at hand)."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from your_short_trade_margin_call.domain.errors import TimeframeError
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import MarkCandles, aligned_minutes, funding_offsets

from .builders import CANDLE, real_file

COLUMNS = ("time_ms", "open", "high", "low", "close")


@pytest.mark.parametrize(
    ("pair", "days", "count", "gaps", "missing", "dropped"),
    [
        ("bybit_linear_BTCUSDT", "20250529_20250629", 14_832, 0, 0, 1),
        ("bybit_linear_AVAXUSDT", "20240908_20250413", 20_675, 313, 83_780, 418),
        ("binance_spot_BTCUSDT", "20210326_20210430", 16_666, 2, 145, 1),
        ("binance_um_SOLUSDT", "20250525_20250624", 14_399, 0, 0, 2),
    ],
)
def test_minutes_aggregate_to_the_recorded_candles(
    pair: str, days: str, count: int, gaps: int, missing: int, dropped: int
) -> None:
    symbol = pair.split("_")[-1]
    fine = Candles.from_file(real_file(f"candles/{pair}_1m_{days}.parquet"), symbol=symbol)
    coarse = Candles.from_file(real_file(f"candles/{pair}_3m_{days}.parquet"), symbol=symbol)
    assert (len(fine), fine.gaps, fine.missing) == (count, gaps, missing)
    assert fine.quality.partial_buckets_dropped == dropped
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(fine, name), getattr(coarse, name))
    np.testing.assert_allclose(fine.volume, coarse.volume, rtol=1e-9)
    assert not np.isnan(aligned_minutes(fine).high).any()


def test_recorded_funding_is_laid_beside_recorded_candles() -> None:
    path = real_file("candles/bybit_linear_BTCUSDT_3m_20250529_20250629.parquet")
    candles = Candles.from_parquet(path, symbol="BTC", funding=real_file("aux/funding_bybit_linear.parquet"))
    time_ms, rate, first = funding_offsets(candles)
    assert len(time_ms) == first[-1] == 93  # three a day from 30 May 00:00 to 29 June 16:00
    assert (np.abs(rate) < 0.005).all()
    assert not [note for note in candles.quality.notes if "funding" in note]


def test_settlements_stamped_late_are_set_to_the_minute() -> None:
    path = real_file("candles/binance_um_ADAUSDT_3m_20250311_20250413.parquet")
    candles = Candles.from_parquet(path, symbol="ADA", funding=real_file("aux/funding_binance_um.parquet"))
    assert candles.funding is not None
    assert not (candles.funding.time_ms % (8 * 3_600_000)).any()
    assert any("late" in note for note in candles.quality.notes)


def test_hourly_marks_are_refused() -> None:
    with pytest.raises(TimeframeError, match=r"1-hour candles.*1-minute or 3-minute"):
        MarkCandles.from_file(real_file("aux/mark_bybit_linear_1h.parquet"), symbol="BTCUSDT")


def test_a_month_is_read_and_checked_in_a_moment() -> None:
    path = real_file("candles/bybit_linear_BTCUSDT_3m_20250529_20250629.parquet")
    Candles.from_parquet(path, symbol="BTCUSDT")  # polars is imported here
    started = perf_counter()
    candles = Candles.from_parquet(path, symbol="BTCUSDT")
    assert perf_counter() - started < 10.0  # measured: about 0.01 s
    assert candles.end_ms - candles.start_ms == len(candles) * CANDLE
