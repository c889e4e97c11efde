"""Tables as Parquet files, written group of rows by group of rows, with nothing but numpy.

A table may be longer than memory, and a quick command need not wait for a library of tables to load only to write a
small one (docs/decisions/0014). Only what our tables need: float64, int64 and text, values that may be absent, plain
encoding, gzip. Any reader of Parquet understands that. The format: https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

import numpy as np

from your_short_trade_margin_call.research.table import Column, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"PAR1"
_INT64, _DOUBLE, _BYTE_ARRAY = 2, 5, 6
_OPTIONAL, _UTF8, _PLAIN, _RLE, _GZIP, _DATA_PAGE = 1, 0, 0, 3, 2, 0
_LEVEL = 1
"""Of gzip: a higher one takes several times as long for some percent."""


class ParquetWriter:
    """Writes groups of rows to an open file; `finish` makes it a Parquet file. All groups have the same columns."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0
        self._schema: dict[str, int] = {}
        self._groups: list[_Field] = []
        self.rows = 0
        self._put(MAGIC)

    def write(self, table: Table) -> None:
        """Append a group of rows.

        Raises:
            OSError: the disk will not take it.
        """
        kinds = {name: _kind(column) for name, column in table.items()}
        if self._schema and kinds != self._schema:
            raise ValueError("all groups of rows of a table have the same columns")
        self._schema = kinds
        started, rows = self._at, len(next(iter(table.values())).values)
        chunks = [self._write_column(name, column, kinds[name]) for name, column in table.items()]
        self._groups.append(_struct({1: _many(chunks), 2: _i64(self._at - started), 3: _i64(rows)}))
        self.rows += rows

    def finish(self) -> None:
        """Append what readers look at first."""
        root = _struct({4: _text("table"), 5: _i32(len(self._schema))})
        leaves = [_leaf(name, kind) for name, kind in self._schema.items()]
        footer = _struct({
            1: _i32(1), 2: _many([root, *leaves]), 3: _i64(self.rows), 4: _many(self._groups),
            6: _text("shortest-peak"),
        })[1]  # fmt: skip
        self._put(footer + len(footer).to_bytes(4, "little") + MAGIC)

    def _write_column(self, name: str, column: Column, kind: int) -> _Field:
        rows = len(column.values)
        page = _levels(column.is_there, rows) + _plain(column, kind)
        packed = zlib.compress(page, _LEVEL, wbits=31)
        about = _struct({1: _i32(rows), 2: _i32(_PLAIN), 3: _i32(_RLE), 4: _i32(_RLE)})
        header = _struct({1: _i32(_DATA_PAGE), 2: _i32(len(page)), 3: _i32(len(packed)), 5: about})[1]
        started = self._at
        self._put(header)
        self._put(packed)
        return _struct({2: _i64(started), 3: _struct({
            1: _i32(kind), 2: _many([_i32(_PLAIN), _i32(_RLE)]), 3: _many([_text(name)]), 4: _i32(_GZIP),
            5: _i64(rows), 6: _i64(len(header) + len(page)), 7: _i64(self._at - started), 9: _i64(started),
        })})  # fmt: skip

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self._at += len(content)


# ---- a page: which values are there, then those ------------------------------------------------------


def _kind(column: Column) -> int:
    return {"i": _INT64, "f": _DOUBLE, "U": _BYTE_ARRAY}[column.values.dtype.kind]


def _levels(is_there: NDArray[np.bool_] | None, rows: int) -> bytes:
    """Which values are there: one run, of equal bits or of bits packed into bytes."""
    if is_there is None:
        run = _varint(rows << 1) + b"\x01"
    else:
        packed = np.packbits(is_there, bitorder="little").tobytes()
        run = _varint(len(packed) << 1 | 1) + packed
    return len(run).to_bytes(4, "little") + run


def _plain(column: Column, kind: int) -> bytes:
    values = column.values if column.is_there is None else column.values[column.is_there]
    if kind != _BYTE_ARRAY:
        return values.astype("<i8" if kind == _INT64 else "<f8", copy=False).tobytes()
    encoded = {text: text.encode() for text in set(values.tolist())}
    return b"".join(len(encoded[text]).to_bytes(4, "little") + encoded[text] for text in values.tolist())


def _leaf(name: str, kind: int) -> _Field:
    about = {1: _i32(kind), 3: _i32(_OPTIONAL), 4: _text(name)}
    return _struct({**about, 6: _i32(_UTF8)} if kind == _BYTE_ARRAY else about)


# ---- thrift's compact protocol: a type and bytes ------------------------------------------------------

_Field = tuple[int, bytes]


def _varint(number: int) -> bytes:
    """Seven bits a byte, the low ones first."""
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content, number])


def _i32(number: int) -> _Field:
    return 5, _varint(number << 1)  # zigzag; none of ours is negative


def _i64(number: int) -> _Field:
    return 6, _varint(number << 1)


def _text(text: str) -> _Field:
    return 8, _varint(len(text.encode())) + text.encode()


def _many(items: Iterable[_Field]) -> _Field:
    """A list of values of one type."""
    listed = list(items)
    kind = listed[0][0] if listed else 12
    head = bytes([len(listed) << 4 | kind]) if len(listed) < 15 else bytes([0xF0 | kind]) + _varint(len(listed))
    return 9, head + b"".join(content for _, content in listed)


def _struct(fields: dict[int, _Field]) -> _Field:
    """Fields by their numbers, rising by 15 at most."""
    content, last = b"", 0
    for number, (kind, value) in fields.items():
        content += bytes([(number - last) << 4 | kind]) + value
        last = number
    return 12, content + b"\x00"
