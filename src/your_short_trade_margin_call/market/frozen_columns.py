"""Frozen dataclasses whose fields are columns: read-only arrays of one length, equal when their content is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from your_short_trade_margin_call.market.columns import check_lengths, frozen


@dataclass(frozen=True, eq=False)
class FrozenColumns:
    """Base of every table of columns. The first column, `time_ms`, is int64; the others are float64."""

    LABEL: ClassVar[str] = "rows"
    """What the rows are called in messages."""

    def _freeze(self) -> None:
        """Make every column a contiguous read-only array; other fields stay.

        Raises:
            CandleTypeError: the columns differ in length.
        """
        for name, column in self.columns().items():
            object.__setattr__(self, name, frozen(column, np.int64 if name == "time_ms" else np.float64))
        check_lengths(self.columns(), self.LABEL)

    def columns(self) -> dict[str, Any]:
        """The columns by field name, in order."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}

    def rows(self, first: int, end: int) -> Self:
        """Rows `first` up to, not including, `end`, as views. Rows that stood are not checked again."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part.__dict__.update({name: column[first:end] for name, column in self.columns().items()})
        part.__dict__.pop("_identity", None)
        part._fit()
        return part

    def _fit(self) -> None:
        """Make what is no column agree with the columns."""

    def digest(self) -> bytes:
        """8 bytes that change with any number in any column."""
        state = hashlib.blake2b(type(self).__name__.encode(), digest_size=8)
        for name, column in self.columns().items():
            state.update(f"|{name}:{len(column)}|".encode())
            state.update(column.tobytes())
        return state.digest()

    @cached_property
    def _identity(self) -> bytes:
        return self.digest()

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns().values())))

    def __eq__(self, other: object) -> bool:
        """True for the same kind of table with the same content; notes about its origin do not count."""
        if not isinstance(other, FrozenColumns):
            return NotImplemented
        return type(self) is type(other) and self._identity == other._identity

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self._identity)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore from a pickle, which forgets that arrays were read-only."""
        self.__dict__.update(state)
        self._freeze()
