"""Settings: three layers, one name each, and errors that say what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.settings import (
    MOST_TRIALS,
    ParameterGrid,
    Settings,
    load_settings,
    parse_assignments,
)


def test_file_then_environment_then_command_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('leverage = 2\nseed = 1\nspread_bps = 4\nmargin_call_at = "80%"\n')
    environment = {"SHORTEST_PEAK_SEED": "2", "SHORTEST_PEAK_SPREAD_BPS": "5", "PATH": "x"}
    settings = load_settings(file, parse_assignments(["spread_bps=6"]), environment)
    assert (settings.leverage, settings.seed, settings.spread_bps, settings.margin_call_at) == (2.0, 2, 6.0, 0.8)


@pytest.mark.parametrize(("first", "second"), [("starting_balance", "balance"), ("balance", "starting_balance")])
def test_a_later_layer_wins_under_either_name(first: str, second: str) -> None:
    environment = {f"SHORTEST_PEAK_{first.upper()}": "200"}
    assert load_settings(None, parse_assignments([f"{second}=300"]), environment).starting_balance == 300.0


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("levrage=3", "Did you mean leverage"),
        ("leverage=many", "valid number"),
        ("leverage=0.5", "greater than or equal to 1"),
        ("spread_bps=nan", "finite"),
        ("max_hold=99999999999999999d", "less than or equal"),
        ("window=banana", "12h, 90m, 30s or 2d"),
        ("daily_loss=abc%", "0.0044 or 0.44%"),
        ("margin_call_at=1", "less than 1"),
        ("fill_on_touch=perhaps", "boolean"),
    ],
)
def test_what_does_not_fit_is_named(assignment: str, says: str) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        load_settings(None, parse_assignments([assignment]), {})
    assert caught.value.exit_code == 2
    assert "Value error" not in str(caught.value)


def test_null_switches_off_and_defaults_are_published() -> None:
    settings = load_settings(None, parse_assignments(["margin_call_at=null", "reoptimize=never"]), {})
    assert settings.margin_call_at is None
    assert settings.reoptimize is None
    assert Settings().starting_balance == 472.0
    assert len(ParameterGrid()) == 336


def test_equal_settings_have_equal_fingerprints() -> None:
    assert Settings().fingerprint() == Settings(leverage=3).fingerprint()
    assert Settings().fingerprint() != Settings(leverage=4).fingerprint()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("grid = 5", "not a table"),
        ("risk_fraction = {start = 0.1, stop = 0.9, step = nan}", "not a range"),
        ("highest_high_lookback = {start = 1, stop = 1000000000, step = 1}", "more than 1,000,000 values"),
        ("risk_fraction = []", "empty"),
        ("lookback = [1]", "no setting called 'lookback'"),
        (
            "risk_fraction = {start = 0.1, stop = 0.9, step = 0.0001}\n"
            "take_profit_pct = {start = 0.001, stop = 0.9, step = 0.0001}",
            "trials",
        ),
    ],
)
def test_grids_that_make_no_sense(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "grid.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=says):
        ParameterGrid.from_toml(file)
    assert MOST_TRIALS == 1_000_000


def test_off_can_be_written_in_a_file(tmp_path: Path) -> None:
    config, grid = tmp_path / "mine.toml", tmp_path / "grid.toml"
    config.write_text('margin_call_at = "null"\n')
    grid.write_text('stop_loss_pct = ["null", 0.01]\n')
    assert load_settings(config, {}, {}).margin_call_at is None
    assert ParameterGrid.from_toml(grid).stop_loss_pct == (None, 0.01)


@pytest.mark.parametrize("name", ["daily_loss", "max_drawdown", "stop_loss_pct", "max_hold", "cooldown", "leverage"])
def test_a_limit_cannot_be_switched_on_by_true(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f"{name} = true\n")
    with pytest.raises(SettingError, match=rf"{name}=True does not fit: true and false are no numbers"):
        load_settings(tmp_path / "mine.toml", {}, {})


def test_a_switch_takes_true(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("fill_on_touch = true\n")
    assert load_settings(tmp_path / "mine.toml", {}, {}).fill_on_touch


def test_one_file_gives_the_balance_once(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("balance = 100\nstarting_balance = 200\n")
    with pytest.raises(SettingError, match=r"given twice.*Leave one"):
        load_settings(tmp_path / "mine.toml", {}, {})


@pytest.mark.parametrize("assignment", ["stop_loss_pct=1e16", "max_hold=" + "9" * 400 + "d"])
def test_absurd_numbers_are_refused(assignment: str) -> None:
    with pytest.raises(SettingError):
        load_settings(None, parse_assignments([assignment]), {})
