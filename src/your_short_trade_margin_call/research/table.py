"""The rows of a sweep's table as plain columns: parameters, metrics, blocked trades by reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research.metrics import COUNTS
from your_short_trade_margin_call.research.trials import AXES, Trials

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]


class Column(NamedTuple):
    """A column of a table: float64, int64 or text. Where `is_there` is False there is no value; None: all are there."""

    values: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.str_]
    is_there: NDArray[np.bool_] | None = None


Table = Mapping[str, Column]
"""Columns of equal length, in order, by name."""

_TYPES = (np.int64, np.str_, np.float64, np.float64, np.float64, np.int64)
"""Of the columns of the parameters."""


def make_table(trials: Trials, numbers: Integers, metrics: Mapping[str, Floats], blocked: Integers) -> Table:
    """A row for each of some trials: metrics (NaN is "none") and blocked trades as given, parameters by number."""
    return {
        **_parameters(trials, numbers),
        **{name: _metric(name, column) for name, column in metrics.items()},
        **{f"blocked_{reason}": Column(blocked[:, reason.code]) for reason in BlockReason},
    }


def _parameters(trials: Trials, numbers: Integers) -> dict[str, Column]:
    places = np.unravel_index(numbers, trials.shape)
    made = {}
    for name, dtype, place in zip(AXES, _TYPES, places, strict=True):
        axis = getattr(trials, name)
        is_there = np.array([value is not None for value in axis])
        values: NDArray[Any] = np.array([dtype() if value is None else value for value in axis], dtype=dtype)
        made[name] = Column(values[place], None if is_there.all() else is_there[place])
    return made


def _metric(name: str, column: Floats) -> Column:
    if name in COUNTS:
        return Column(column.astype(np.int64))
    is_none = np.isnan(column)
    return Column(column, ~is_none if is_none.any() else None)


def as_polars(table: Table) -> polars.DataFrame:
    """The same for polars, with null where there is no value."""
    import polars as pl

    def series(name: str, column: Column) -> polars.Series:
        made = pl.Series(name, column.values)
        return made if column.is_there is None else made.scatter(np.flatnonzero(~column.is_there), None)

    return pl.DataFrame([series(name, column) for name, column in table.items()])
