"""Commands and options that the documentation mentions exist, and its examples run."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer.main

from tests.docs.pages import EXAMPLES, OVERVIEW, ROOT, all_pages, blocks, name_of, run_program, text_of
from tests.docs.worked_trade import example_candles, the_trade
from your_short_trade_margin_call.cli import app
from your_short_trade_margin_call.settings import Settings

PAGES = all_pages()
PROGRAM = "shortest-peak"
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_OTHERS = re.compile(r"^dask .*$", re.MULTILINE)
"""Lines that call another program; tests/cluster runs them."""
_SET = re.compile(r"--set ([a-z_]+)=")


@cache
def commands() -> dict[str, set[str]]:
    """Each command with its options."""
    group = typer.main.get_command(app)
    return {name: {o for p in command.params for o in p.opts} for name, command in group.commands.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=[name_of(page) for page in PAGES])
def test_mentioned_commands_and_options_exist(page: Path) -> None:
    known = set().union(*commands().values())
    text = _OTHERS.sub("", text_of(page))
    assert set(_OPTION.findall(text)) - known == set()
    for line in examples(page):
        words = shlex.split(line)
        if words[1:] and words[1] in commands():
            assert {word for word in words if word.startswith("--")} <= commands()[words[1]], line
        else:
            assert words[1:2] == [] or words[1].startswith("-") or words[1].isupper(), line
    assert set(_SET.findall(text)) - {"name"} <= set(Settings.model_fields)


def examples(page: Path) -> list[str]:
    """Lines of the page's code blocks that call the program."""
    lines = [line.strip() for block in blocks(page) for line in block.text.splitlines()]
    return [line for line in lines if line.startswith(PROGRAM)]


def test_commands_of_this_version_are_named() -> None:
    changelog = text_of(ROOT / "CHANGELOG.md")
    for name in commands():
        assert name == "run" or f"`{name}`" in changelog, name


def test_the_worked_trade_runs_as_typed(tmp_path: Path) -> None:
    line = next(line for line in examples(OVERVIEW) if " backtest " in line)
    done = run_program([*shlex.split(line)[1:], "--json", "--trades", str(tmp_path / "trades.csv")], tmp_path)
    assert done.returncode == 0, done.stderr
    answer, trade = json.loads(done.stdout), the_trade(example_candles())
    assert answer["trades"] == 1
    assert answer["metrics"]["pnl_value"] == pytest.approx(trade["pnl_value"])
    header, row = (tmp_path / "trades.csv").read_text(encoding="utf-8").splitlines()
    assert header.split(",") == list(trade)
    assert str(trade["entry_price"]) in row


def test_example_files_are_small() -> None:
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 10_000
