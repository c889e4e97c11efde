"""A grid read from TOML: lists, ranges, percent, durations; and every way to get it wrong has its own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.settings import ParameterGrid


def read(folder: Path, text: str) -> ParameterGrid:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return ParameterGrid.from_toml(path)


def test_nothing_said_is_the_default_grid(tmp_path: Path) -> None:
    grid = read(tmp_path, "")
    assert grid == ParameterGrid()
    assert grid.highest_high_lookback == (10, 20, 30, 40, 50, 60, 70)
    assert grid.exit_type == (ExitType.HIGHEST_LOW, ExitType.LOWEST_HIGH, ExitType.MIDPOINT)
    assert grid.risk_fraction == (0.5, 0.7, 0.85, 0.95)
    assert grid.take_profit_pct == (0.0022, 0.0044, 0.0060, 0.0080)
    assert (grid.stop_loss_pct, grid.max_hold) == ((None,), (None,))
    assert len(grid) == 336


def test_lists_ranges_percent_and_durations(tmp_path: Path) -> None:
    grid = read(
        tmp_path,
        """
        [grid]
        highest_high_lookback = {start = 10, stop = 35, step = 10}
        exit_type = ["take_profit", "midpoint"]
        risk_fraction = ["50%", 0.7]
        take_profit_pct = {start = "0.2%", stop = "0.8%", step = "0.2%"}
        stop_loss_pct = ["1%", 0.02]
        max_hold = ["90m", "2h", 60000]
        """,
    )
    assert grid.highest_high_lookback == (10, 20, 30)
    assert grid.exit_type == (ExitType.TAKE_PROFIT, ExitType.MIDPOINT)
    assert grid.risk_fraction == (0.5, 0.7)
    assert grid.take_profit_pct == (0.002, 0.004, 0.006, 0.008)
    assert grid.stop_loss_pct == (0.01, 0.02)
    assert grid.max_hold == (5_400_000, 7_200_000, 60_000)
    assert len(grid) == 3 * 2 * 2 * 4 * 2 * 3


def test_a_single_value_needs_no_brackets_and_the_heading_may_be_missing(tmp_path: Path) -> None:
    grid = read(tmp_path, 'highest_high_lookback = 50\nexit_type = "highest_low"\n')
    assert (grid.highest_high_lookback, grid.exit_type) == ((50,), (ExitType.HIGHEST_LOW,))
    assert len(grid) == 16


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("{start = 10, stop = 70, step = 10}", (10, 20, 30, 40, 50, 60, 70)),
        ("{start = 10, stop = 10, step = 5}", (10,)),
        ("{start = 10, stop = 14, step = 5}", (10,)),
        ("{start = 10, stop = 15, step = 5}", (10, 15)),
    ],
)
def test_a_range_includes_its_stop_and_never_passes_it(tmp_path: Path, written: str, values: tuple[int, ...]) -> None:
    assert read(tmp_path, f"highest_high_lookback = {written}").highest_high_lookback == values


@pytest.mark.parametrize(
    ("axis", "written", "values"),
    [
        ("highest_high_lookback", "{start = 10, stop = 70, count = 7}", (10, 20, 30, 40, 50, 60, 70)),
        ("highest_high_lookback", "{start = 10, stop = 20, count = 4}", (10, 13, 17, 20)),
        ("highest_high_lookback", "{start = 10, stop = 10, count = 1}", (10,)),
        ("highest_high_lookback", "[5, {start = 10, stop = 30, step = 10}, 100]", (5, 10, 20, 30, 100)),
        ("risk_fraction", '{start = "10%", stop = "50%", count = 5}', (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("take_profit_pct", "{start = 0.001, stop = 0.002, count = 3}", (0.001, 0.0015, 0.002)),
        ("stop_loss_pct", '["null", {start = "1%", stop = "3%", step = "1%"}]', (None, 0.01, 0.02, 0.03)),
        ("max_hold", '{start = "1h", stop = "3h", step = "1h"}', (3_600_000, 7_200_000, 10_800_000)),
        ("max_hold", '["never", {start = "30m", stop = "1h", count = 2}]', (None, 1_800_000, 3_600_000)),
    ],
)
def test_every_axis_may_be_a_range_by_step_or_count(
    tmp_path: Path, axis: str, written: str, values: tuple[object, ...]
) -> None:
    assert getattr(read(tmp_path, f"{axis} = {written}"), axis) == values


def test_a_fine_range_has_clean_numbers(tmp_path: Path) -> None:
    grid = read(tmp_path, "take_profit_pct = {start = 0.001, stop = 0.01, step = 0.001}")
    assert grid.take_profit_pct == (0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("highest_high_lokback = [10]", r"no setting called 'highest_high_lokback'.*mean highest_high_lookback"),
        ("highest_high_lookback = []", r"highest_high_lookback is empty.*at least one"),
        ("highest_high_lookback = [0]", r"highest_high_lookback"),
        ("highest_high_lookback = [10.5]", r"highest_high_lookback"),
        ('exit_type = ["highest"]', r"exit_type"),
        ("risk_fraction = [1.5]", r"risk_fraction"),
        ("risk_fraction = [0.0]", r"risk_fraction"),
        ('risk_fraction = ["half"]', r"risk_fraction"),
        ("take_profit_pct = [1.0]", r"take_profit_pct"),
        ("take_profit_pct = [nan]", r"take_profit_pct"),
        ("stop_loss_pct = [-0.1]", r"stop_loss_pct"),
        ('max_hold = ["soon"]', r"max_hold"),
        ("highest_high_lookback = {start = 10, stop = 70}", r"highest_high_lookback is not a range.*start = 10"),
        ("highest_high_lookback = {start = 10, stop = 70, step = 0}", r"not a range.*step > 0"),
        ("highest_high_lookback = {start = 70, stop = 10, step = 10}", r"not a range.*stop >= start"),
        ("take_profit_pct = {start = 0.001, stop = 0.1, step = 1e-9}", r"more than 1,000,000 values"),
        ("take_profit_pct = {start = nan, stop = 0.1, step = 0.1}", r"take_profit_pct is not a range"),
        ("take_profit_pct = {start = 0.001, stop = 0.1, count = 1e7}", r"more than 1,000,000 values.*count smaller"),
        ("take_profit_pct = {start = 0.001, stop = 0.1, count = 1}", r"cannot have 1 values.*2 or more"),
        ("take_profit_pct = {start = 0.001, stop = 0.1, count = 2.5}", r"cannot have 2.5 values"),
        ("take_profit_pct = {start = 0.1, stop = 0.001, count = 3}", r"not a range.*stop >= start"),
        ("take_profit_pct = {start = 0.001, stop = 0.1, step = 0.1, count = 3}", r"not a range.*or \{start.*count = 4"),
        ('take_profit_pct = {start = "a", stop = 0.1, count = 3}', r"'a' is no number"),
        ("take_profit_pct = {start = true, stop = 2, count = 3}", r"True is no number"),
        ("highest_high_lookback = {start = 10, stop = 12, count = 9}", r"no 9 whole numbers from 10 to 12.*smaller"),
        ("highest_high_lookback = {start = 10, stop = 12, step = 0.5}", r"highest_high_lookback=10.5"),
        ('max_hold = {start = "1h", stop = "soon", step = "1h"}', r"max_hold.*'soon' is no number.*stop = \"12h\""),
        ("exit_type = {start = 1, stop = 2, count = 2}", r"exit_type has no range.*highest_low"),
        ("max_holt = {start = 1, stop = 2, count = 2}", r"no setting called 'max_holt'.*mean max_hold"),
        ("highest_high_lookback = [10, 20, 10]", r"highest_high_lookback names 10 more than once.*each value once"),
        ("highest_high_lookback = [5, {start = 5, stop = 9, step = 2}]", r"names 5 more than once"),
        ('take_profit_pct = [0.0044, "0.44%"]', r"take_profit_pct names 0.0044 more than once"),
        ('stop_loss_pct = ["null", 0.01, "never"]', r"stop_loss_pct names null more than once"),
        ('exit_type = ["midpoint", "midpoint"]', r"exit_type names midpoint more than once"),
        ("stop_loss_pct = [true]", r"stop_loss_pct.*true and false are no numbers"),
        ("risk_fraction = true", r"risk_fraction.*true and false are no numbers"),
        (
            "highest_high_lookback = [50]\n[grid]\nrisk_fraction = [0.5]",
            r"highest_high_lookback stands beside \[grid\]",
        ),
        ("[grid]\nrisk_fraction = [0.5]\n[more]\nexit_type = []", r"more stands beside.*every axis below \[grid\]"),
        (f"highest_high_lookback = [{'9' * 5_000}]", r"grid\.toml is not valid TOML"),
        (f"highest_high_lookback = {'[' * 5_000}", r"grid\.toml is not valid TOML"),
        ("grid = 3", r"grid is not a table"),
        ("highest_high_lookback = [10", r"grid\.toml is not valid TOML"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        read(tmp_path, text)
    assert caught.value.exit_code == 2


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffhighest_high_lookback = [50]\n").highest_high_lookback == (50,)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"nowhere\.toml cannot be read"):
        ParameterGrid.from_toml(tmp_path / "nowhere.toml")
