"""Longer candles out of shorter ones, the path a running candle is shown on, and an instrument in Bybit's words."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bybit_server.serving import small_candles
from your_short_trade_margin_call.adapters.bybit_server.candle_rows import last_price_rows
from your_short_trade_margin_call.adapters.bybit_server.instrument_rows import instrument_item, risk_rows
from your_short_trade_margin_call.adapters.bybit_server.intervals import INTERVALS, end_of, start_of
from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text, padded
from your_short_trade_margin_call.adapters.bybit_server.shown_candle import Extremes, price_at, turning_points
from your_short_trade_margin_call.market.instruments import package_instruments, parse_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=timezone.utc).timestamp() * 1_000)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1", (2025, 6, 18, 13, 47), (2025, 6, 18, 13, 48)),
        ("3", (2025, 6, 18, 13, 45), (2025, 6, 18, 13, 48)),
        ("15", (2025, 6, 18, 13, 45), (2025, 6, 18, 14)),
        ("720", (2025, 6, 18, 12), (2025, 6, 19)),
        ("D", (2025, 6, 18), (2025, 6, 19)),
        ("W", (2025, 6, 16), (2025, 6, 23)),  # weeks begin on Monday
        ("M", (2025, 6, 1), (2025, 7, 1)),
    ],
)
def test_where_an_interval_begins_and_ends(interval: str, start: tuple[int, ...], end: tuple[int, ...]) -> None:
    moment = ms(2025, 6, 18, 13, 47, 33)
    assert start_of(interval, moment) == ms(*start)
    assert end_of(interval, ms(*start)) == ms(*end)


@pytest.mark.parametrize("interval", INTERVALS)
def test_any_interval_agrees_with_its_parts(interval: str) -> None:
    """Against candles put together by hand, over a market with gaps, while it is still running."""
    candles = generate(SyntheticMarket(minutes=2_000, gap_probability=0.02, start_ms=ms(2025, 5, 31)))
    rows = last_price_rows(candles)
    cursor = 400
    rows.start_at(cursor, int(candles.time_ms[cursor]))
    base = rows.series(interval).base
    shown = rows.between(interval, None, None, 1_000)
    assert [row.start_ms for row in shown] == sorted({row.start_ms for row in shown})
    now = int(candles.time_ms[cursor])
    starts = [start_of(interval, int(moment)) for moment in base.time_ms]
    for row in shown:
        own = [j for j, start in enumerate(starts) if start == row.start_ms]
        closed = [j for j in own if base.time_ms[j] + base.step_ms <= now]
        opening = [float(base.open[j]) for j in own if base.time_ms[j] == now]
        assert row.open == (float(base.open[closed[0]]) if closed else opening[0])
        assert row.high == max([float(base.high[j]) for j in closed] + opening)
        assert row.low == min([float(base.low[j]) for j in closed] + opening)
        assert row.close == (opening or [float(base.close[closed[-1]])])[-1]
        assert row.volume == pytest.approx(sum(float(base.volume[j]) for j in closed))


def test_a_longer_candle_closes_with_its_last_recorded_part() -> None:
    rows = last_price_rows(small_candles(20))
    rows.start_at(10, int(small_candles(20).time_ms[10]))
    closing = [row for row in range(10) if rows.closing("15", row) is not None]
    assert closing == [4, 9]
    candle = rows.closing("15", 4)
    assert candle is not None
    assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == (60000, 60009, 59997, 60005, 15)


# ---- the path that is shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candle", "order"),
    [(Extremes(10, 14, 8, 12), [10, 8, 14, 12]), (Extremes(10, 14, 8, 9), [10, 14, 8, 9])],
)
def test_the_extreme_against_the_direction_comes_first(candle: Extremes, order: list[float]) -> None:
    assert turning_points([candle]).tolist() == order


@given(st.lists(st.floats(1, 1e6), min_size=4, max_size=4), st.floats(0, 1))
def test_the_path_stays_inside_the_candle(prices: list[float], progress: float) -> None:
    low, *middle, high = sorted(prices)
    points = turning_points([Extremes(middle[0], high, low, middle[1])])
    assert low <= price_at(points, progress) <= high
    assert price_at(points, 0.0) == pytest.approx(middle[0], abs=0.5)
    assert price_at(points, 1.0) == pytest.approx(middle[1], abs=0.5)


def test_prices_on_the_path_lie_on_ticks() -> None:
    points = turning_points([Extremes(100, 130, 90, 95)])
    shown = [price_at(points, progress) for progress in np.linspace(0, 1, 61)]
    assert shown == [round(price) for price in shown]
    assert {max(shown), min(shown)} == {130, 90}


# ---- numbers and instruments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1 + 0.2, "0.3"), (1e-12, "0"), (-1e-12, "0"), (1e18, "1" + "0" * 18), (5, "5"), (-0.00055, "-0.00055")],
)
def test_computed_figures_are_plain(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("number", "text"), [("60000.1", "60000.10"), ("0.123456", "0.123456"), ("1E+2", "100.00"), ("0", "0.00")]
)
def test_recorded_prices_keep_all_digits(number: str, text: str) -> None:
    assert padded(Decimal(number), 2) == text


@pytest.mark.parametrize("symbol", package_instruments())
def test_every_known_instrument_survives_the_way_out_and_back(symbol: str) -> None:
    instrument = package_instruments()[symbol]
    back = parse_instrument(instrument_item(instrument), risk_rows(instrument), "package")
    assert (back.tick_size, back.qty_step, back.min_order_qty) == (
        instrument.tick_size,
        instrument.qty_step,
        instrument.min_order_qty,
    )
    assert [tier.maintenance_margin_rate for tier in back.tiers] == [
        tier.maintenance_margin_rate for tier in instrument.tiers
    ]
    assert [tier.deduction_usdt for tier in back.tiers] == [tier.deduction_usdt for tier in instrument.tiers]
    assert back.max_market_order_qty == instrument.max_market_order_qty


def test_a_recorded_row_wins_over_what_is_made_up() -> None:
    item = instrument_item(package_instruments()["BTCUSDT"], {"launchTime": "5", "copyTrading": "none"})
    assert (item["launchTime"], item["copyTrading"], item["symbol"]) == ("5", "none", "BTCUSDT")
