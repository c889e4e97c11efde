from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.face import Face, candle_file


@pytest.fixture
def face(tmp_path: Path) -> Face:
    return Face(tmp_path / "data")


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of twelve sets: what is said of a winner is the same of 336, and takes many times longer."""
    file = tmp_path_factory.mktemp("grid") / "few.toml"
    file.write_text(
        "highest_high_lookback = [10, 40]\n"
        'exit_type = ["highest_low", "lowest_high", "midpoint"]\n'
        "risk_fraction = [0.95]\n"
        "take_profit_pct = [0.0022, 0.006]\n"
    )
    return file


@pytest.fixture(scope="session")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of BTCUSDT candles in a file."""
    return candle_file(tmp_path_factory.mktemp("candles") / "btc.parquet")
