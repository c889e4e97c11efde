from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.face import Face, candle_file


@pytest.fixture
def face(tmp_path: Path) -> Face:
    return Face(tmp_path / "data")


@pytest.fixture(scope="session")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of BTCUSDT candles in a file."""
    return candle_file(tmp_path_factory.mktemp("candles") / "btc.parquet")
