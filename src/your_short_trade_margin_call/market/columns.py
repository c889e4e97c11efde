"""Columns of numbers as they come in: typed, finite, in order. Every defect is named by its first row and time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import (
    CandleTypeError,
    DisorderError,
    DuplicateCandleError,
    EmptyCandlesError,
    MisalignedError,
    NotFiniteError,
)
from your_short_trade_margin_call.domain.spans import MINUTE_MS

Floats: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The year 5138 in milliseconds, 1973 in microseconds: no stamp of a market lies between the two readings.
_TOO_LARGE_MS = 10**14
_LOOKS_LIKE_SECONDS = (10**9, 10**11)


def moment(time_ms: int) -> str:
    """A time as people read it: ``2025-05-29T19:00:00Z``; a number no calendar has stays a number."""
    try:
        then = _EPOCH + timedelta(milliseconds=int(time_ms))
    except OverflowError:
        return f"{time_ms} ms"
    return then.isoformat(timespec="milliseconds" if then.microsecond else "seconds").replace("+00:00", "Z")


def place(what: str, row: int, time_ms: Times | None = None) -> str:
    """Where a defect is: ``BTCUSDT.csv, row 17 (2025-05-29T19:48:00Z)``. `row` counts from 0, people from 1."""
    when = "" if time_ms is None else f" ({moment(int(time_ms[row]))})"
    return f"{what}, row {row + 1}{when}"


def first_true(mask: NDArray[np.bool_]) -> int:
    """Index of the first True; -1 where there is none."""
    row = int(mask.argmax()) if len(mask) else 0
    return row if len(mask) and mask[row] else -1


def frozen(array: NDArray[Any], dtype: type[Scalar]) -> NDArray[Scalar]:
    """The array as contiguous, read-only `dtype`; an array that someone could still write to is copied."""
    kept = np.ascontiguousarray(array, dtype=dtype)
    if kept.flags.writeable:
        kept = kept.copy() if np.shares_memory(kept, array) else kept
        kept.flags.writeable = False
    return kept


def as_numbers(values: ArrayLike, name: str, what: str) -> Floats:
    """One column as float64; None becomes NaN. Single precision is taken as the decimals it prints.

    So 105650.1 stays on its tick: the same bits in double precision are 105650.1015625.

    Raises:
        CandleTypeError: it is not one row of numbers.
    """
    array = _one_row(values, name, what)
    if array.dtype.kind == "O":
        array = np.array([_as_float(value, name, what) for value in array], dtype=np.float64)
    if array.dtype.kind not in "iuf":
        raise CandleTypeError(f"{what}: column {name} holds {array.dtype}.", "It must hold plain numbers.")
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        array = array.astype(np.str_)
    return array.astype(np.float64, copy=False)


def as_times(values: ArrayLike, what: str) -> Times:
    """The column of times as int64 milliseconds.

    Raises:
        CandleTypeError: not numbers (dates are not guessed at).
        NotFiniteError: a time is missing.
        MisalignedError: a time is no whole number of milliseconds.
    """
    array = _one_row(values, "ts", what)
    if array.dtype.kind == "M":
        raise CandleTypeError(f"{what}: column ts holds dates.", "Write the open time as UTC milliseconds, a number.")
    if array.dtype.kind == "i":
        return array.astype(np.int64, copy=False)
    numbers = as_numbers(array.astype(np.float64) if array.dtype.kind == "f" else array, "ts", what)
    if (row := first_true(~np.isfinite(numbers))) >= 0:
        raise NotFiniteError(f"{place(what, row)}: the time is missing.", "Fill in ts or remove the row.")
    if (row := first_true((numbers != np.floor(numbers)) | (np.abs(numbers) >= 2.0**53))) >= 0:
        raise MisalignedError(
            f"{place(what, row)}: ts {numbers[row]} is no whole number of milliseconds.", "Write UTC milliseconds."
        )
    return numbers.astype(np.int64)


def check_lengths(columns: Mapping[str, NDArray[Any]], what: str) -> None:
    """Refuse columns of different lengths.

    Raises:
        CandleTypeError: naming the lengths.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise CandleTypeError(f"{what}: columns differ in length: {lengths}.", "Give every candle all its numbers.")


def check_not_empty(time_ms: Times, what: str) -> None:
    """Refuse nothing.

    Raises:
        EmptyCandlesError: there are no rows.
    """
    if not len(time_ms):
        raise EmptyCandlesError(f"{what} holds no rows.", "Give a file with at least one row of data.")


def check_finite(columns: Mapping[str, Floats], time_ms: Times, what: str) -> None:
    """Refuse missing, NaN and infinite numbers.

    Raises:
        NotFiniteError: naming the first by column, row and time.
    """
    for name, column in columns.items():
        if (row := first_true(~np.isfinite(column))) >= 0:
            found = "missing or NaN" if math.isnan(column[row]) else "infinite"
            raise NotFiniteError(
                f"{place(what, row, time_ms)}: {name} is {found}.",
                "Remove the row (a gap is allowed) or fetch it again.",
            )


def check_minute_grid(time_ms: Times, what: str) -> None:
    """Refuse times that are not whole minutes in UTC milliseconds, and say when the unit looks wrong.

    Raises:
        MisalignedError: naming the first by row and time.
    """
    if (row := first_true((time_ms >= _TOO_LARGE_MS) | (time_ms < 0))) >= 0:
        unit = "is before 1970" if time_ms[row] < 0 else "looks like microseconds or nanoseconds"
        raise MisalignedError(f"{place(what, row)}: ts {time_ms[row]} {unit}.", "Write UTC milliseconds.")
    if (row := first_true(time_ms % MINUTE_MS != 0)) >= 0:
        low, high = _LOOKS_LIKE_SECONDS
        if low <= time_ms[row] < high:
            raise MisalignedError(
                f"{place(what, row)}: ts {time_ms[row]} looks like seconds.",
                "Write UTC milliseconds: multiply ts by 1,000.",
            )
        raise MisalignedError(
            f"{place(what, row, time_ms)}: the time is not a whole minute.", "ts must be the open time, on the grid."
        )


def distinct_rows(time_ms: Times, columns: Mapping[str, Floats], what: str) -> NDArray[np.bool_]:
    """Which rows to keep: all but identical repetitions of the row before.

    Raises:
        DisorderError: a time is earlier than the one before.
        DuplicateCandleError: one time, two contents.
    """
    step = np.diff(time_ms)
    if (row := first_true(step < 0)) >= 0:
        raise DisorderError(
            f"{place(what, row + 1, time_ms)} comes after {moment(int(time_ms[row]))}.", "Sort the rows by ts."
        )
    repeated = step == 0
    differs = np.zeros(len(step), dtype=np.bool_)
    for column in columns.values():
        differs |= repeated & (column[1:] != column[:-1])
    if (row := first_true(differs)) >= 0:
        names = [name for name, column in columns.items() if column[row] != column[row + 1]]
        raise DuplicateCandleError(
            f"{place(what, row + 1, time_ms)} has the time of the row before but another {', '.join(names)}.",
            "Keep the right one of the two.",
        )
    return np.concatenate((np.ones(min(1, len(time_ms)), dtype=np.bool_), ~repeated))


def _one_row(values: ArrayLike, name: str, what: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise CandleTypeError(f"{what}: column {name} is ragged.", "Give one number a row.") from None
    if array.ndim != 1:
        raise CandleTypeError(f"{what}: column {name} has {array.ndim} dimensions.", "Give one number a row.")
    return array


def _as_float(value: object, name: str, what: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        return float(value)
    raise CandleTypeError(f"{what}: column {name} holds {value!r}.", "It must hold plain numbers.")
