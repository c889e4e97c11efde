"""The choice over a pooled history: each row is a window's sweep, and what is said of them the formulas say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.pooled import (
    CURVE_WINDOWS,
    FEWEST_WINDOWS,
    MOST_WINDOWS,
    Pooled,
    hourly_changes,
    pooled,
    windows_of,
)
from your_short_trade_margin_call.research.profits import prepare
from your_short_trade_margin_call.research.statistics.overfitting import backtest_overfitting
from your_short_trade_margin_call.research.statistics.sharpe import deflated_sharpe, effective_trials, moments
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.settings import ParameterGrid, Settings

DAY_MS = 86_400_000
SETTINGS = Settings()
GRID = ParameterGrid(highest_high_lookback=(10, 30), risk_fraction=(0.5,))
TRIALS = grid_params(GRID, SETTINGS)
HISTORY = generate(SyntheticMarket(seed=5, minutes=13 * 1_440 + 60))
(MARKET,), ACCOUNT = prepare([HISTORY], SETTINGS, 30)
WINDOWS = windows_of(MARKET, DAY_MS, 30)


def by_hand() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The matrix from ordinary sweeps of candles cut out of the history."""
    last = len(HISTORY)
    days = [HISTORY.rows(last - 480 * (k + 1), last - 480 * k) for k in reversed(range(13))]
    return np.stack([BacktestEngine(SETTINGS).sweep(day, GRID).columns["pnl_pct"] for day in days])


def test_windows_end_with_the_history_and_do_not_overlap() -> None:
    assert [len(window.time_ms) for window in WINDOWS] == [480] * 13
    joined = np.concatenate([window.time_ms for window in WINDOWS])
    assert joined.tolist() == HISTORY.time_ms[-13 * 480 :].tolist()


def test_there_are_not_more_windows_than_are_looked_at() -> None:
    hours = windows_of(MARKET, 3_600_000, 10)
    assert len(hours) == MOST_WINDOWS
    assert hours[-1].time_ms[-1] == HISTORY.time_ms[-1]


def test_a_window_with_too_few_candles_is_left_out() -> None:
    hole = HISTORY.time_ms[-480]
    kept = [k for k, time_ms in enumerate(HISTORY.time_ms) if not hole - DAY_MS <= time_ms < hole - 3_600_000]
    cut_out = MARKET._replace(
        **{name: getattr(MARKET, name)[kept] for name in ("time_ms", "open", "high", "low", "close")},
        **{name: getattr(MARKET, name)[kept] for name in ("mark_open", "mark_high", "mark_close")},
        funding_first=MARKET.funding_first[[*kept, len(HISTORY)]],
    )
    assert len(windows_of(cut_out, DAY_MS, 30)) == 12


def test_it_says_what_the_formulas_say_of_ordinary_sweeps() -> None:
    made = pooled(WINDOWS, ACCOUNT, TRIALS)
    assert made is not None
    rows = by_hand()
    assert (made.windows, made.used, made.blocks) == (13, 12, 12)
    assert made.pbo == backtest_overfitting(rows[1:], 12, "mean").pbo
    spread = np.linspace(0, 12, CURVE_WINDOWS).round().astype(int)
    hours = np.concatenate([hourly_changes(WINDOWS[k], ACCOUNT, TRIALS) for k in spread])
    assert hours.shape == (CURVE_WINDOWS * 24, len(TRIALS))
    assert made.independent_trials == effective_trials(hours)
    assert 1 <= made.independent_trials <= len(TRIALS)
    shapes = [moments(trial) for trial in rows.T]
    best = max(shapes, key=lambda shape: shape.sharpe)
    variance = float(np.var([shape.sharpe for shape in shapes], ddof=1))
    expected = deflated_sharpe(best.sharpe, variance, made.independent_trials, 13, best.skew, best.kurtosis)
    assert made.deflated_sharpe == pytest.approx(expected, rel=1e-12)


def test_changes_of_equity_add_up_to_the_profit() -> None:
    changes = hourly_changes(WINDOWS[0], ACCOUNT, TRIALS)
    candles = replace(HISTORY.rows(len(HISTORY) - 13 * 480, len(HISTORY) - 12 * 480))
    for number in (0, len(TRIALS) - 1):
        result = BacktestEngine(SETTINGS).backtest(candles, TRIALS[number])
        assert changes[:, number].sum() == pytest.approx(result.equity[-1] - ACCOUNT.starting_balance)
        assert changes[0, number] == pytest.approx(result.equity[19] - ACCOUNT.starting_balance)


@pytest.mark.parametrize(("windows", "blocks", "used"), [(10, 10, 10), (12, 12, 12), (11, 10, 10)])
def test_as_few_windows_as_can_be_are_left_out(windows: int, blocks: int, used: int) -> None:
    made = pooled(WINDOWS[-windows:], ACCOUNT, TRIALS)
    assert made is not None
    assert (made.blocks, made.used, made.windows) == (blocks, used, windows)


def test_of_little_nothing_is_said() -> None:
    assert pooled(WINDOWS[: FEWEST_WINDOWS - 1], ACCOUNT, TRIALS) is None
    assert pooled(WINDOWS, ACCOUNT, grid_params(ParameterGrid(**one_set()), SETTINGS)) is None


def one_set() -> dict[str, tuple[object, ...]]:
    return {name: (values[0],) for name, values in GRID.__dict__.items()}


def test_the_document_is_plain_json() -> None:
    document = Pooled(13, 12, 12, 0.25, 0.5, 7.25).document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["pbo"] == 0.25
