"""Recorded candles that may lie beside the project; tests that want them skip where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "candles"
FILES = sorted(FOLDER.glob("*_3m_*.parquet")) if FOLDER.is_dir() else []
WHY = f"no recorded candles in {FOLDER.parent.parent.name}/{FOLDER.parent.name}/{FOLDER.name} beside the project"

needs_recorded_candles = pytest.mark.skipif(not FILES, reason=WHY)


def pair_of(path: Path) -> str:
    """``bybit_linear_BTCUSDT_3m_...`` is about BTCUSDT."""
    return path.name.split("_3m_")[0].rsplit("_", 1)[1]


def minutes_of(path: Path) -> Path | None:
    """The 1-minute file the 3-minute one was made of, if it is there."""
    other = path.with_name(path.name.replace("_3m_", "_1m_"))
    return other if other.exists() else None
