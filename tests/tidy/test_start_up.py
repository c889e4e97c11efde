"""Nobody waits for what he does not use: what a command has loaded by its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.face import candle_file
from tests.tidy.sources import PACKAGE, ROOT

NEVER = {"dask", "distributed", "plotly", "nicegui", "aiohttp", "yarl", "msgspec", "sqlite3", "ccxt", "pybit", "arch"}
"""What neither help nor a sweep needs."""

SCRIPT = (
    "import sys\n"
    "from your_short_trade_margin_call.cli import app\n"
    "try:\n    app(sys.argv[1:])\n"
    "except SystemExit as leaving:\n    assert not leaving.code, leaving.code\n"
    "print('LOADED', *sys.modules)\n"
)


def loaded_by(folder: Path, *args: object) -> set[str]:
    """The names of the modules, and of their packages, that a command line has loaded."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SHORTEST_PEAK_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-c", SCRIPT, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)
    assert done.returncode == 0, done.stderr
    names = done.stdout.rpartition("LOADED ")[2].split()
    return {name.split(".")[0] for name in names} | set(names)


@pytest.mark.parametrize("args", [("--help",), ("optimize", "--help"), ("run", "--help"), ("--version",)])
def test_help_loads_next_to_nothing(tmp_path: Path, args: tuple[str, ...]) -> None:
    loaded = loaded_by(tmp_path, *args)
    assert "typer" in loaded
    assert not loaded & {*NEVER, "numba", "llvmlite", "numpy", "polars", "pydantic", "rich", "asyncio"}


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_sweep_of_the_invented_market_loads_no_library_of_tables(tmp_path: Path, more: tuple[str, ...]) -> None:
    loaded = loaded_by(tmp_path, "optimize", "BTCUSDT", "--market", "simulated", "--no-evidence", *more)
    assert "numba" in loaded
    assert not loaded & {*NEVER, "polars", "pandas", "pyarrow", "rich.progress"}
    unused = ("trading", "exchange", "adapters.bybit", "examiner", "research.evidence")
    assert not loaded & {f"{PACKAGE.name}.{room}" for room in unused}


def test_a_replay_loads_what_reads_its_file_and_no_more(tmp_path: Path) -> None:
    candles = candle_file(tmp_path / "btc.parquet", days=1.0)
    loaded = loaded_by(tmp_path, "optimize", "BTCUSDT", "--candles", candles, "--no-evidence")
    assert "polars" in loaded
    assert not loaded & NEVER
