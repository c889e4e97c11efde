"""Parquet files written without a library of tables are read by one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from your_short_trade_margin_call.adapters.storage.parquet_file import ParquetWriter
from your_short_trade_margin_call.research.table import Column, Table, as_polars

WHOLE = st.integers(-(2**63), 2**63 - 1)
KINDS: dict[str, tuple[st.SearchStrategy[Any], Any]] = {
    "whole": (WHOLE, np.int64),
    "real": (st.floats(allow_nan=False), np.float64),
    "text": (st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5), np.str_),
}


def written(groups: Sequence[Table]) -> io.BytesIO:
    file = io.BytesIO()
    writer = ParquetWriter(file)
    for group in groups:
        writer.write(group)
    writer.finish()
    assert writer.rows == sum(len(group["whole"].values) for group in groups)
    file.seek(0)
    return file


@st.composite
def columns(draw: st.DrawFn, kind: str, rows: int) -> Column:
    one, dtype = KINDS[kind]
    values = np.array(draw(st.lists(one, min_size=rows, max_size=rows)), dtype=dtype)
    is_there = draw(st.none() | st.lists(st.booleans(), min_size=rows, max_size=rows).map(lambda x: np.array(x, bool)))
    return Column(values, is_there)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(0, 20))
    return {kind: draw(columns(kind, rows)) for kind in KINDS}


def as_python(table: Table) -> list[dict[str, Any]]:
    return [
        {
            name: column.values[row].item() if column.is_there is None or column.is_there[row] else None
            for name, column in table.items()
        }
        for row in range(len(table["whole"].values))
    ]


@given(st.lists(tables(), min_size=1, max_size=4))
def test_what_is_written_is_read_back(groups: list[Table]) -> None:
    expected = [row for group in groups for row in as_python(group)]
    read = pl.read_parquet(written(groups))
    assert read.rows(named=True) == expected
    assert dict(read.schema) == {"whole": pl.Int64, "real": pl.Float64, "text": pl.String}
    assert [row for group in groups for row in as_polars(group).rows(named=True)] == expected


def test_a_long_table_of_many_columns_and_groups() -> None:
    rng = np.random.default_rng(3)
    rows = 70_001  # so many that lengths and counts need three bytes
    group = {"whole": Column(np.arange(rows)), **{f"c{k}": Column(rng.random(rows)) for k in range(17)}}
    small = {name: Column(column.values[:3]) for name, column in group.items()}
    file = written([group] + [small] * 16)
    read = pl.scan_parquet(file).select("whole", "c16").collect()
    assert read["whole"].to_list() == list(range(rows)) + [0, 1, 2] * 16
    assert read["c16"].to_list() == group["c16"].values.tolist() + small["c16"].values.tolist() * 16


def test_groups_of_other_columns_are_refused() -> None:
    writer = ParquetWriter(io.BytesIO())
    writer.write({"a": Column(np.arange(2))})
    with pytest.raises(ValueError, match="same columns"):
        writer.write({"a": Column(np.arange(2.0))})
