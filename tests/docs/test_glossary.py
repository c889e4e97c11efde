"""The glossary's codes are the program's, no more and no fewer."""

from __future__ import annotations

from enum import StrEnum

import pytest

from tests.docs.pages import DOCS, code, section, table
from your_short_trade_margin_call.domain.errors import AnswerIsNoError, BadInputError, OutsideError
from your_short_trade_margin_call.domain.words import BlockReason, ExitReason, ExitType, Objective, TargetSource
from your_short_trade_margin_call.research.metrics import METRIC_COLUMNS

GLOSSARY = DOCS / "glossary.md"


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Exit types", ExitType),
        ("Target sources", TargetSource),
        ("Objectives: what the winner of a sweep is chosen by", Objective),
        ("Exit reasons", ExitReason),
        ("Block reasons: why a signal was not traded", BlockReason),
    ],
)
def test_codes(heading: str, kind: type[StrEnum]) -> None:
    assert [code(row[0]) for row in table(section(GLOSSARY, heading))] == [str(member) for member in kind]


def test_results_are_metrics() -> None:
    names = [name.strip() for row in table(section(GLOSSARY, "Results")) for name in code(row[0]).split(",")]
    assert set(names) <= set(METRIC_COLUMNS)
    assert len(names) == len(set(names)) > 10


def test_exit_codes() -> None:
    said = {int(row[0]): row[1] for row in table(section(GLOSSARY, "Exit codes of the commands"))}
    assert said[AnswerIsNoError.exit_code] == "the answer is no"
    assert said[BadInputError.exit_code] == "wrong use or bad input"
    assert said[OutsideError.exit_code].startswith("something outside failed")
