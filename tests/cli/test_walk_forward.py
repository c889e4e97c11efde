"""The `walk-forward` command: a record told to people and machines, kept, drawn; its bounds and its errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

from tests.cli.face import MARK, Face, candle_file
from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.settings import Settings

PLANTED = {"edge": 8.0, "volatility_per_minute": 0.001}
"""A market in which failed peaks are followed by falls: a record of twenty days is REAL."""


@pytest.fixture(scope="module")
def ten_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candle_file(tmp_path_factory.mktemp("candles") / "BTCUSDT.parquet", days=10)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candle_file(tmp_path_factory.mktemp("candles") / "BTCUSDT.parquet", days=20, seed=2, **PLANTED)


def flowed(text: str) -> str:
    return " ".join(text.split())


def test_people_read_folds_numbers_and_a_verdict_with_its_reason(face: Face, ten_days: Path) -> None:
    answer = face("walk-forward", "BTC", "--candles", ten_days)
    assert answer.code == 0, answer.err
    assert max(map(len, answer.lines)) <= 80
    said = flowed(answer.out)
    for words in ("18 folds, in", "(4 more folds)", "promised delivered chance equity",
                  "Over the last 18 sweeps (9 days)", "became", "beyond zero", "beyond luck", "(222 : 1 needed)",
                  "CAN'T TELL: 30 closed trades are needed", "No margin call seen; one would cost",
                  "walk-forward.parquet"):  # fmt: skip
        assert words in said, words


def test_no_colour_is_needed(face: Face, ten_days: Path) -> None:
    """What is green or red carries its sign."""
    answer = face("walk-forward", "BTC", "--candles", ten_days)
    rows = [line.split() for line in answer.lines if re.match(r"  \d\d-\d\d \d\d:\d\d ", line)]
    assert len(rows) == 14
    assert all(re.fullmatch(r"[+-]\d+\.\d\d", row[-3]) for row in rows)


def test_machines_read_the_engine_s_own_record(face: Face, ten_days: Path) -> None:
    answer = face("walk-forward", "BTC", "--candles", ten_days, "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    record = BacktestEngine(Settings()).walk_forward(Candles.from_parquet(ten_days, symbol="BTCUSDT"))
    assert [fold["return_pct"] for fold in found["folds"]] == record.folds["return_pct"].to_list()
    assert found["evidence"]["verdict"] == record.verdict
    assert found["evidence"]["log_evidence_zero"] == record.evidence.zero.log_evidence
    assert found["evidence"]["log_needed_zero"] == pytest.approx(record.evidence.zero.needed)
    assert found["evidence"]["log_needed_chance"] == pytest.approx(record.evidence.chance.needed)
    assert set(found) >= {"symbol", "market", "candles", "settings_hash", "seed", "program_version", "written"}


def test_the_record_is_kept(face: Face, ten_days: Path) -> None:
    assert face("walk-forward", "BTC", "--candles", ten_days).code == 0
    folder = face.data / "BTCUSDT"
    document = json.loads((folder / "walk-forward.json").read_text())
    folds = pl.read_parquet(folder / "walk-forward.parquet")
    assert len(folds) == document["evidence"]["folds"] == 18
    assert document["schema_version"] == 1
    assert folds["start_time"][0] == document["candles"]["start_ms"] + 86_400_000
    assert document["generated_at"]


def test_an_invented_market_has_files_and_lines_of_its_own(face: Face) -> None:
    answer = face("walk-forward", "BTC", "--market", "simulated", "--days", 3)
    assert answer.code == 0, answer.err
    assert all(line.startswith(MARK) for line in answer.lines)
    assert max(map(len, answer.lines)) <= 80
    assert "(invented prices)" in flowed(answer.out.replace(MARK, ""))
    names = {path.name for path in (face.data / "BTCUSDT").iterdir()}
    assert names >= {"walk-forward.simulated.json", "walk-forward.simulated.parquet"}
    assert "walk-forward.json" not in names


def test_window_step_and_days(face: Face, ten_days: Path) -> None:
    typed = ("--window", "48h", "--step", "6h", "--days", 4)
    found = face("walk-forward", "BTC", "--candles", ten_days, *typed, "--json").json
    settings = found["settings"]
    assert (settings["window"], settings["reoptimize"]) == (48 * 3_600_000, 6 * 3_600_000)
    starts = [fold["start_time"] for fold in found["folds"]]
    assert starts[1] - starts[0] == 6 * 3_600_000
    assert starts[0] - found["candles"]["start_ms"] == 48 * 3_600_000
    assert found["evidence"]["days"] >= 4


def test_the_same_record_again_is_the_same_procedure(face: Face, ten_days: Path) -> None:
    """Looking twice does not spend twice; another window is another procedure."""
    looked = [
        face("walk-forward", "BTC", "--candles", ten_days, "--json", *more).json["evidence"]
        for more in ((), (), ("--window", "36h"))
    ]
    assert [(one["procedure"], one["looks"]) for one in looked] == [(1, 1), (1, 2), (2, 1)]


def test_require_real(face: Face, ten_days: Path, planted: Path) -> None:
    refused = face("walk-forward", "BTC", "--candles", ten_days, "--require-real", "--json")
    assert refused.code == 1
    assert refused.json["evidence"]["verdict"] == Verdict.CANNOT_TELL
    assert "no: The verdict is CAN'T TELL" in refused.err
    granted = face("walk-forward", "BTC", "--candles", planted, "--require-real")
    assert granted.code == 0, granted.err
    assert "REAL: It beat both nothing and chance shorts, in this simulation of the past; not a forecast." in flowed(
        granted.out
    )


def test_too_short_a_history_is_a_named_error(face: Face, tmp_path: Path) -> None:
    answer = face("walk-forward", "BTC", "--candles", candle_file(tmp_path / "btc.parquet", days=1), "--json")
    assert answer.code == 2
    assert answer.json["error"]["kind"] == "TooFewCandlesError"
    assert not (face.data / "BTCUSDT" / "walk-forward.json").exists()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("--days", "0"), "--days 0 cannot be"),
        (("--window", "soon"), "--window soon"),
        (("--step", "12"), "--step 12"),
        (("--figure", "picture.png"), "FILE.html"),
        (("--step", "1s"), "reoptimize"),
    ],
)
def test_what_cannot_be_is_refused(face: Face, ten_days: Path, typed: tuple[str, ...], says: str) -> None:
    answer = face("walk-forward", "BTC", "--candles", ten_days, *typed)
    assert answer.code == 2
    assert says in flowed(answer.err)


# ---- the figure ----------------------------------------------------------------------------------


def test_the_figure_is_a_page_that_needs_no_network(face: Face, ten_days: Path, tmp_path: Path) -> None:
    page_file = tmp_path / "record.html"
    answer = face("walk-forward", "BTC", "--candles", ten_days, "--figure", page_file, "--json")
    assert answer.code == 0, answer.err
    assert str(page_file) in answer.json["written"]
    page = page_file.read_text(encoding="utf-8")
    assert not re.search(r"<(script|img|iframe|link)[^>]+(src|href)\s*=", page)
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page.rpartition("</script>")[2])
    assert "BTCUSDT on the replay market: CAN" in page
    drawn = page[page.rindex("Plotly.newPlot") :]
    for fold in answer.json["folds"]:
        assert f"{fold['return_pct']!r}" in drawn
        assert f"{fold['promised_pct']!r}" in drawn


def test_the_figure_can_be_read_without_colour(planted: Path) -> None:
    from your_short_trade_margin_call.reporting.figures import chance_equity, record_figure

    record = BacktestEngine(Settings()).walk_forward(Candles.from_parquet(planted, symbol="BTCUSDT"))
    figure = record_figure(record, "BTCUSDT", " (invented prices)")
    promised, delivered, equity, chance = figure.data
    assert len(promised.x) == len(delivered.y) == len(record.folds)
    assert promised.marker.pattern.shape != delivered.marker.pattern.shape
    assert lightness(promised.marker.color) - lightness(delivered.marker.color) > 0.5
    assert equity.line.dash != chance.line.dash
    assert equity.y[0] == chance.y[0] == 472.0
    assert equity.y[-1] == pytest.approx(record.folds["equity"][-1])
    assert chance_equity(record)[-1] == pytest.approx(chance.y[-1])
    assert figure.layout.title.text.startswith("<b>BTCUSDT: REAL (invented prices)</b>")


def lightness(colour: str) -> float:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
