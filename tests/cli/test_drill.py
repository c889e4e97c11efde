"""`drill` as people and machines see it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from tests.cli.face import Face, candle_file
from your_short_trade_margin_call.commands.drilling import _require_calm
from your_short_trade_margin_call.domain.errors import AnswerIsNoError
from your_short_trade_margin_call.domain.words import DrillKind, Verdict
from your_short_trade_margin_call.reporting.drill import show_drill
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.research.drill import Drill, DrillResult, KindResult, Outcome

QUICK = ("--days", 2, "--looks", 3, "--markets", 2)
CALM = Outcome(Verdict.LUCK, False, False, 40, -0.123, -0.456, 12.34)
ALARM = Outcome(Verdict.REAL, True, True, 140, 2.123, 0.456, 12.34)


def result(kind: DrillKind, outcomes: tuple[Outcome, ...], looks_days: int = 90) -> DrillResult:
    return DrillResult(Drill(looks_days=looks_days), (KindResult(kind, outcomes, looks_days),))


def shown(what: DrillResult) -> list[str]:
    page = StringIO()
    show_drill(Screen(environment={"COLUMNS": "80"}, stream=page), what)
    return page.getvalue().splitlines()


def test_a_small_drill(face: Face) -> None:
    answer = face("drill", "--kind", "jumps", "--kind", "planted", *QUICK)
    assert answer.code == 0, answer.err
    assert max(map(len, answer.lines)) <= 80
    assert "2 markets of 2 kinds, invented for this alone." in answer.out
    row = next(line for line in answer.lines if line.startswith("jumps"))
    assert row.split("  ")[1].strip() == "0 of 2 (0..84)"
    assert "too few" in row  # two markets are not ten pairs
    assert row.endswith("fine")


def test_json_is_one_document(face: Face) -> None:
    answer = face("drill", "--kind", "reverting", *QUICK, "--json", "--seed", 5)
    assert answer.code == 0, answer.err
    assert (answer.json["seed"], answer.json["alarming"]) == (5, [])
    (kind,) = answer.json["kinds"]
    assert (kind["kind"], kind["markets"], kind["once"]["of"]) == ("reverting", 2, 2)
    again = face("drill", "--kind", "reverting", *QUICK, "--json", "--seed", 5, "--workers", 1)
    assert again.json == answer.json


def test_a_file_is_resampled(face: Face, tmp_path: Path) -> None:
    quick = ("--kind", "resampled", *QUICK, "--json")
    own = face("drill", *quick, "--candles", candle_file(tmp_path / "own.parquet", days=7.0))
    assert own.code == 0, own.err
    assert own.json["kinds"] != face("drill", *quick).json["kinds"]
    short = face("drill", *quick, "--candles", candle_file(tmp_path / "short.parquet", days=2.0))
    assert (short.code, short.json["error"]["kind"]) == (2, "TooFewCandlesError")


@pytest.mark.parametrize("wrong", [("--markets", 0), ("--days", 0), ("--looks", -1), ("--workers", 0), ("--kind", "x")])
def test_nonsense_is_refused(face: Face, wrong: tuple[object, ...]) -> None:
    assert face("drill", *wrong).code == 2


@pytest.mark.parametrize("kind", DrillKind)
def test_a_large_drill_fits_eighty_columns(kind: DrillKind) -> None:
    lines = shown(result(kind, (ALARM,) * 100 + (CALM,) * 900))
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith(str(kind).replace("_", " ")))
    assert "100 of 1000 (8..12)" in row
    assert row.endswith("ALARM") != kind.has_edge


def test_without_looks_there_is_one_count() -> None:
    text = "\n".join(shown(result(DrillKind.RISING, (CALM,) * 3, looks_days=0)))
    assert "after 30 days" in text
    assert "ever in" not in text
    assert "10 pairs" not in text


def test_too_many_alarms_are_an_answer_no() -> None:
    _require_calm(result(DrillKind.PLANTED, (ALARM,) * 20))
    _require_calm(result(DrillKind.FALLING, (CALM,) * 20))
    with pytest.raises(AnswerIsNoError, match="falling") as error:
        _require_calm(result(DrillKind.FALLING, (ALARM,) * 20))
    assert error.value.exit_code == 1
