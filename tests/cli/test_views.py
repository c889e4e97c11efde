"""The winner from other sides, below the verdict: on the screen, in the artefacts, and not where it would delay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.face import MARK, Face, candle_file
from tests.docs.pages import DOCS, section, table
from your_short_trade_margin_call.examiner import FILL_LUCKS, MOST_VIEWED_TRIALS, SURROGATES
from your_short_trade_margin_call.reporting.views_text import SURE, views_rows
from your_short_trade_margin_call.research.pooled import FEWEST_WINDOWS, MOST_WINDOWS

LABELS = ["beside luck", "fill luck", "neighbours", "can bear", "overfitting"]
VIEWS: dict[str, Any] = {
    "surrogates": {"quantile": 0.625, "surrogates": 200, "p_value": 0.378},
    "fill_luck": {"band": {"low_pct": -0.04, "middle_pct": 2.35, "high_pct": 3.1}},
    "plateau": {"neighbours": 53, "mean_pct": 1.7, "profitable_frac": 0.83},
    "break_even": {"paid_bps": 6.64, "dies_at_bps": 18.1, "pnl_pct": 2.4},
    "pooled": {"pbo": 0.47, "used": 30, "deflated_sharpe": 0.31, "independent_trials": 55.4},
}


def test_rows_in_plain_words() -> None:
    assert views_rows(VIEWS) == [
        ("beside luck", "beats 62 % of 200 winners of shuffled candles (p 0.38)"),
        ("fill luck", "+0.0 / +2.4 / +3.1 % (5/50/95 in 100 lucks)"),
        ("neighbours", "mean +1.7 %, 83 % of 53 with a profit"),
        ("can bear", "18.1 bps a side, pays 6.6"),
        ("overfitting", "PBO 0.47 over 30 windows; deflated Sharpe 0.31 (0.95 is the bar) of 55 independent trials"),
    ]
    assert views_rows(None) == []
    assert [label for label, _ in views_rows({**VIEWS, "pooled": None})] == LABELS[:-1]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("plateau", {"neighbours": 0, "mean_pct": None, "profitable_frac": None}, "none: the grid is a single set"),
        ("break_even", {"paid_bps": None, "dies_at_bps": None, "pnl_pct": 0.0}, "no trade, no cost"),
        ("break_even", {"paid_bps": 6.0, "dies_at_bps": None, "pnl_pct": -1}, "no profit to lose; pays 6.0 bps a side"),
        ("break_even", {"paid_bps": 6.64, "dies_at_bps": None, "pnl_pct": 1.0}, "any cost; pays 6.6 bps a side"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(name: str, value: dict[str, Any], said: str) -> None:
    assert said in [text for _, text in views_rows({**VIEWS, name: value})]


@pytest.fixture(autouse=True)
def _with_evidence(face: Face) -> None:
    face.env["SHORTEST_PEAK_NO_EVIDENCE"] = ""


def below_the_verdict(lines: list[str]) -> list[str]:
    """Labels of the rows between the verdict and the worst loss."""
    bare = [line.removeprefix(MARK) for line in lines]
    begin = next(k for k, line in enumerate(bare) if "(invented prices)" in line) + 1
    return [line[2:13].strip() for line in bare[begin:] if line.startswith("  ") and line[2:13].strip()][:5]


def test_optimize_shows_and_writes_them(face: Face, few: Path) -> None:
    answer = face("optimize", "BTC", "--grid", few)
    assert answer.code == 0
    assert max(map(len, answer.lines)) <= 80
    assert below_the_verdict(answer.lines) == LABELS
    saved = json.loads((face.data / "BTCUSDT" / "best_params.simulated.json").read_text())
    views = saved["evidence"]["views"]
    assert views["chosen"] == saved["params"]
    assert views["pnl_pct"] == saved["results"]["pnl_pct"]
    assert (views["surrogates"]["surrogates"], views["fill_luck"]["lucks"]) == (SURROGATES, FILL_LUCKS)
    assert views["pooled"]["windows"] == MOST_WINDOWS
    flowed = " ".join(" ".join(line.removeprefix(MARK).split()) for line in answer.lines)
    for label, text in views_rows(views):
        assert f"{label} {text}" in flowed


def test_without_evidence_there_are_none(face: Face, candles: Path) -> None:
    answer = face("optimize", "BTC", "--candles", candles, "--no-evidence", "--json")
    assert "views" not in answer.json["evidence"]
    assert "beside luck" not in face("optimize", "BTC", "--candles", candles, "--no-evidence").out


def test_without_a_record_those_of_the_one_window_are_shown(face: Face, few: Path, tmp_path: Path) -> None:
    short = candle_file(tmp_path / "BTCUSDT.parquet", days=1)
    evidence = face("optimize", "BTC", "--candles", short, "--grid", few, "--json").json["evidence"]
    assert evidence["verdict"] == "NOT TESTED"
    assert evidence["views"]["pooled"] is None
    assert evidence["views"]["surrogates"]["surrogates"] == SURROGATES


def test_a_wide_grid_has_none(face: Face, candles: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    steps = ", ".join(f"{0.001 + 0.00001 * k:.5f}" for k in range(MOST_VIEWED_TRIALS // 84 + 1))
    grid.write_text(f"[grid]\ntake_profit_pct = [{steps}]\n")
    found = face("optimize", "BTC", "--candles", candles, "--grid", grid, "--json").json
    assert found["trials"] > MOST_VIEWED_TRIALS
    assert found["evidence"]["views"] is None


def test_optimisations_while_trading_do_without(face: Face, few: Path, tmp_path: Path) -> None:
    file = candle_file(tmp_path / "BTCUSDT.parquet", days=3)
    found = face("--symbol", "BTC", "--candles", file, "--grid", few, "--json").json
    assert "views" in found["optimization"]["evidence"]
    saved = json.loads((face.data / "BTCUSDT" / "best_params.json").read_text())
    assert saved["candles"]["end_ms"] > found["optimization"]["candles"]["end_ms"]
    assert saved["evidence"]["verdict"] != ""
    assert "views" not in saved["evidence"]


def test_the_page_about_evidence_says_how_much() -> None:
    page = section(DOCS / "evidence.md", "Beside the verdict")
    assert [row[0] for row in table(page)] == LABELS
    said = " ".join(page.split())
    assert f"winners of {SURROGATES} shuffled markets" in said
    assert f"under {FILL_LUCKS} other draws" in said
    assert f"a grid of more than {MOST_VIEWED_TRIALS:,} trials" in said
    assert FEWEST_WINDOWS == 10
    assert f"needs ten windows of history, and takes the latest {MOST_WINDOWS}" in said
    assert SURE == 0.95
