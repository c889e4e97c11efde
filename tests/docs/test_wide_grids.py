"""What the page about wide grids says: its grids, its limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import DOCS, blocks, text_of
from your_short_trade_margin_call.commands import affording
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.research import sweep
from your_short_trade_margin_call.settings import MOST_TRIALS, ParameterGrid

PAGE = DOCS / "how-to" / "wide-grids.md"


def flat() -> str:
    return " ".join(text_of(PAGE).split())


@pytest.fixture(scope="module")
def grids(tmp_path_factory: pytest.TempPathFactory) -> list[ParameterGrid]:
    made = []
    for number, block in enumerate(blocks(PAGE, "toml")):
        path: Path = tmp_path_factory.mktemp("grids") / f"{number}.toml"
        path.write_text(block.text, encoding="utf-8")
        made.append(ParameterGrid.from_toml(path))
    return made


def test_its_grids_are_grids(grids: list[ParameterGrid]) -> None:
    first, second = grids
    assert f"this grid has {len(first):,}." in flat()
    assert second.stop_loss_pct == (None, 0.05, 0.1, 0.15, 0.2, 0.25)
    assert second.max_hold == (None, *(hours * 3_600_000 for hours in range(1, 13)))
    assert second.exit_type == ParameterGrid().exit_type


def test_its_axes_are_those_of_a_grid() -> None:
    named = [line.split("`")[1] for line in text_of(PAGE).splitlines() if line.startswith("| `")]
    assert named == list(ParameterGrid.model_fields)
    assert "a list of " + ", ".join(f"`{name}`" for name in ExitType) in flat()
    assert f"try {len(ParameterGrid())} parameter sets" in flat()


def test_its_limits_are_those_of_the_program() -> None:
    assert f"more than {affording.ASK_ABOVE_S:.0f} seconds" in flat()
    assert f"more than {affording.ASK_ABOVE_BYTES / 1e9:g} GB of the disk" in flat()
    assert f"{MOST_TRIALS:,} trials is the most" in flat()
    assert f"Up to {sweep.MOST_KEPT_TRIALS:,} trials" in flat()
    assert f"the best {sweep.KEPT_ROWS:,} in memory" in flat()
    assert f"more than {sweep.MOST_KEPT_TRIALS:,} trials keeps the best {sweep.KEPT_ROWS:,}" in flat()
    assert str(len(ParameterGrid())) in flat()
