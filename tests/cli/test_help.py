"""What a newcomer meets first: help, version, spelling."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main

from tests.cli.face import Face
from tests.patience import PATIENCE_S
from your_short_trade_margin_call import __version__
from your_short_trade_margin_call.cli import app
from your_short_trade_margin_call.commands.program import routed
from your_short_trade_margin_call.domain.errors import BadInputError

COMMANDS = (
    *("run", "optimize", "backtest", "walk-forward", "scan", "trade", "status", "pause", "resume", "flatten", "queue"),
    *("doctor", "fetch", "compile", "serve-exchange", "drill"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(face: Face, command: str) -> None:
    answer = face(command, "--help")
    assert answer.code == 0
    assert f"\n    shortest-peak {command}" in answer.out
    assert "--json" in answer.out
    assert max(map(len, answer.lines)) <= 80


def test_the_program_says_what_it_is_and_lists_its_commands(face: Face) -> None:
    answer = face("--help")
    assert answer.code == 0
    assert "A short-only Bybit bot" in answer.out
    assert "Examples:\n    shortest-peak " in answer.out
    assert all(f"\n  {command} " in answer.out for command in COMMANDS)
    assert "..." not in answer.out.partition("Commands:")[2], "a summary is cut off"
    assert list(typer.main.get_command(app).commands) == list(COMMANDS)  # type: ignore[attr-defined]


def test_version(face: Face) -> None:
    assert face("--version").out == f"shortest-peak {__version__}\n"


def test_help_waits_for_no_compiler() -> None:
    script = (
        "import sys\n"
        "from your_short_trade_margin_call.cli import app\n"
        "try:\n    app(['backtest', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'numba', 'numpy', 'polars', 'pydantic', 'rich'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


# ---- which command is meant ----------------------------------------------------------------------

KNOWN = ["run", "optimize", "status", "queue"]
WITH_VALUE = {"--symbol", "--for", "--set"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ([], ["run"]),
        (["BTCUSDT"], ["run", "BTCUSDT"]),
        (["btc", "--for", "60s"], ["run", "btc", "--for", "60s"]),
        (["--for", "60s", "1000PEPE"], ["run", "--for", "60s", "1000PEPE"]),
        (["BTC/USDT:USDT"], ["run", "BTC/USDT:USDT"]),
        (["--symbol", "SOLUSDT", "--for", "60s"], ["run", "--symbol", "SOLUSDT", "--for", "60s"]),
        (["--no-trade"], ["run", "--no-trade"]),
        (["optimize", "BTCUSDT"], ["optimize", "BTCUSDT"]),
        (["--symbol", "SOLUSDT", "optimize", "--json"], ["optimize", "--symbol", "SOLUSDT", "--json"]),
        (["--symbol=SOLUSDT", "status"], ["status", "--symbol=SOLUSDT"]),
        (["--set", "status=1"], ["run", "--set", "status=1"]),
        (["--symbol", "status"], ["run", "--symbol", "status"]),  # a value, not a command
        (["--help"], ["--help"]),
        (["SOLUSDT", "--help"], ["run", "SOLUSDT", "--help"]),
    ],
)
def test_the_command_stands_anywhere(typed: list[str], meant: list[str]) -> None:
    assert routed(typed, KNOWN, WITH_VALUE) == meant


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("optimise", "shortest-peak optimize"), ("Status", "status"), ("que", "queue"), ("!!", "BTCUSDT")],
)
def test_a_misspelt_command_is_no_pair(typed: str, hint: str) -> None:
    with pytest.raises(BadInputError) as error:
        routed([typed, "--json"], KNOWN, WITH_VALUE)
    assert hint in error.value.cure
