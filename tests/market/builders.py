"""Small files of candles for the tests, and the real ones where they are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

START = 1_748_545_200_000
"""2025-05-29T19:00:00Z, on the 3-minute grid."""
CANDLE = 180_000
MINUTE = 60_000

Columns = dict[str, list[Any]]


def rows(count: int = 6, step: int = CANDLE, start: int = START) -> Columns:
    """Candles that rise by one USDT each, all numbers distinct, volume included."""
    return {
        "ts": [start + step * k for k in range(count)],
        "open": [100.0 + k for k in range(count)],
        "high": [102.0 + k for k in range(count)],
        "low": [99.0 + k for k in range(count)],
        "close": [101.0 + k for k in range(count)],
        "volume": [10.0 + k for k in range(count)],
    }


def followed(columns: Columns, count: int, step: int) -> Columns:
    """A copy, and behind it so many candles of another step."""
    times = columns["ts"]
    first = 2 * times[-1] - times[-2]
    return rows(len(times) + count) | {"ts": [*times, *(first + step * k for k in range(count))]}


def changed(columns: Columns, name: str, row: int, value: Any) -> Columns:
    """A copy with one cell changed."""
    copy = {key: list(values) for key, values in columns.items()}
    copy[name][row] = value
    return copy


def without(columns: Columns, *removed: int) -> Columns:
    """A copy without some rows."""
    return {key: [v for k, v in enumerate(values) if k not in removed] for key, values in columns.items()}


def ordered(columns: Columns, order: list[int]) -> Columns:
    """A copy with the rows in this order (a row may be named twice)."""
    return {key: [values[k] for k in order] for key, values in columns.items()}


def write(path: Path, columns: Columns) -> Path:
    """Write Parquet or CSV, by the suffix."""
    frame = pl.DataFrame(columns, strict=False)
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


def real_file(name: str) -> Path:
    """A real candle file beside the repository; skips the test where there is none."""
    path = Path(__file__).parents[3] / "shared" / "data" / name
    if not path.is_file():
        pytest.skip(f"the real file {name} is not beside this repository")
    return path
