"""Reading Parquet and CSV files into plain columns. polars is imported only when a file is read."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import (
    CandleTypeError,
    EmptyCandlesError,
    MissingColumnError,
    NotACandleFileError,
    UnknownPairError,
)
from your_short_trade_margin_call.market.symbols import parse_symbol

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
"""What a file's suffix says about its format."""

_MOST_NAMES, _LONGEST_NAME = 8, 40

_KINDS = "Give a .parquet or .csv file with the columns it needs."


@dataclass(frozen=True, slots=True)
class Table:
    """The wanted columns of a file, one array of n numbers each (nulls are NaN), and what was repaired in them."""

    what: str
    columns: Mapping[str, ArrayLike]
    nulls_as_zero: Mapping[str, int] = field(default_factory=dict)


def format_of(path: Path) -> str:
    """`parquet` or `csv`, by the suffix.

    Raises:
        NotACandleFileError: the suffix is neither.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise NotACandleFileError(f"{path} is neither Parquet nor CSV by its name.", _KINDS) from None


def read_table(
    path: str | Path,
    wanted: tuple[str, ...],
    *,
    file_format: str | None = None,
    symbol: str | None = None,
    zero_if_null: tuple[str, ...] = (),
) -> Table:
    """The `wanted` columns of a file; other columns are ignored, except that a `symbol` column selects the pair.

    Raises:
        NotACandleFileError: absent, unreadable, corrupt, or of an unknown suffix.
        MissingColumnError: a wanted column is not there.
        EmptyCandlesError: no rows.
        CandleTypeError: a wanted column is not numeric.
        UnknownPairError: there is a symbol column, and this symbol is not in it.
    """
    path = Path(path)
    frame = _read_frame(path, file_format or format_of(path))
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise MissingColumnError(
            f"{path.name} lacks {', '.join(missing)}; it has {_listed(frame.columns) or 'no columns'}.",
            f"Name the columns {', '.join(wanted)}.",
        )
    if frame.is_empty():
        raise EmptyCandlesError(f"{path.name} holds no rows.", "Give a file with at least one row of data.")
    what = path.name
    if symbol is not None and "symbol" in frame.columns:
        frame, what = _only(frame, symbol, path.name), f"{path.name} ({symbol})"
    nulls = {name: count for name in zero_if_null if (count := frame[name].null_count())}
    text_is_allowed = (file_format or format_of(path)) == "csv"
    columns = {name: _numbers(frame[name], what, text_is_allowed) for name in wanted}
    for name in nulls:
        columns[name] = np.where(frame[name].is_null().to_numpy(), 0.0, columns[name])
    return Table(what, columns, nulls)


def _read_frame(path: Path, file_format: str) -> pl.DataFrame:
    import polars as pl

    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise NotACandleFileError(f"{path} {found}.", "Check the path.")
    try:
        # Bytes, not the path: a path would be searched for wildcards and stay mapped while it is used.
        content = io.BytesIO(path.read_bytes())
        if file_format == "parquet":
            return pl.read_parquet(content)
        return pl.read_csv(content, infer_schema_length=None)
    except pl.exceptions.NoDataError:
        raise EmptyCandlesError(f"{path.name} is empty.", "Give a file with at least one row of data.") from None
    except OSError as error:
        raise NotACandleFileError(f"{path} cannot be read: {error.strerror or error}.", "Check the file.") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, UnicodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NotACandleFileError(
            f"{path} is no readable {file_format.upper()} file: {reason}.", "Write or fetch it again."
        ) from None


def _only(frame: pl.DataFrame, symbol: str, name: str) -> pl.DataFrame:
    import polars as pl

    spellings = frame["symbol"].cast(pl.String).unique().drop_nulls().sort().to_list()
    same = [text for text in spellings if _same_pair(text, symbol)]
    if not same:
        raise UnknownPairError(
            f"{name} has no rows of {symbol}; it has {_listed(spellings)}.", "Give the file of this pair."
        )
    return frame.filter(pl.col("symbol").cast(pl.String).is_in(same))


def _listed(names: Sequence[str]) -> str:
    """The first few names, each cut short: what is no table may have a million of any length."""
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names[:_MOST_NAMES]]
    return ", ".join([*shown, "…"] if len(names) > _MOST_NAMES else shown)


def _same_pair(text: str, symbol: str) -> bool:
    try:
        return text == symbol or parse_symbol(text) == symbol
    except UnknownPairError:
        return False


def _numbers(series: pl.Series, what: str, text_is_allowed: bool) -> NDArray[Any]:
    import polars as pl

    if series.null_count() == len(series):
        return np.full(len(series), np.nan)
    if series.dtype == pl.String and text_is_allowed:
        return _parsed_text(series, what)
    if not series.dtype.is_numeric():
        cure = "UTC milliseconds, as a number" if series.name == "ts" else "plain numbers"
        raise CandleTypeError(f"{what}: column {series.name} holds {series.dtype}.", f"It must hold {cure}.")
    if series.dtype in (pl.Int128, pl.UInt64) or series.dtype.is_decimal():
        series = series.cast(pl.Float64)
    return series.to_numpy()


def _parsed_text(series: pl.Series, what: str) -> NDArray[np.float64]:
    """A CSV column that polars took for text: numbers with blanks around them, or something that is no number."""
    import polars as pl

    numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & series.is_not_null() & (series.str.strip_chars() != "")).arg_max()
    text = series[wrong or 0]
    if numbers[wrong or 0] is None and text is not None and text.strip():
        raise CandleTypeError(
            f"{what}, row {(wrong or 0) + 1}: column {series.name} holds {text[:40]!r}.", "It must hold plain numbers."
        )
    return numbers.to_numpy()
