"""Best parameters and sweep tables: what one command leaves for the next."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from your_short_trade_margin_call.adapters.storage.files import (
    locked,
    make_way,
    read_json,
    set_aside,
    write_json,
    written_whole,
)
from your_short_trade_margin_call.adapters.storage.parquet_file import ParquetWriter
from your_short_trade_margin_call.domain.errors import ArtefactError, SettingError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.paths import Paths, is_real_market

if TYPE_CHECKING:
    from your_short_trade_margin_call.market.candles import Candles
    from your_short_trade_margin_call.research.table import Table
    from your_short_trade_margin_call.settings import ParameterGrid, Settings

SCHEMA_VERSION = 1

# Above this a number is no measure of anything; NaN and infinity fail the comparison too.
_HUGE = 1e300

Document = dict[str, Any]
_Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Saved:
    """What `save_best_params` wrote, in order, and what the user should be told about it."""

    written: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def artefact_head(
    symbol: str, market: str, candles: Candles, settings: Settings, grid: ParameterGrid, elapsed_s: float, *,
    generated_at: str, version: str,
) -> Document:  # fmt: skip
    """What every artefact begins with: enough to make it again, bit for bit."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at,
        "symbol": symbol,
        "market": market,
        "candles": {
            "start_ms": candles.start_ms,
            "end_ms": candles.end_ms,
            "count": len(candles),
            "hash": candles.content_hash,
        },
        "settings_hash": settings.fingerprint(),
        "settings": settings.model_dump(mode="json"),
        "grid": grid.model_dump(mode="json"),
        "seed": settings.seed,
        "program_version": version,
        "elapsed_s": round(elapsed_s, 3),
    }


def save_best_params(paths: Paths, document: Document) -> Saved:
    """Write best parameters to the pair's own file and, unless they are invented and it is real, to the shared one.

    A file in the way that is corrupt or of a newer schema is kept aside first, and the answer notes it.

    Raises:
        ArtefactError: the document lacks a field, or one has the wrong type.
        DiskError: a file could not be written; the old one is untouched.
        BusyError: another process held the lock of the shared file for ten seconds.
    """
    own = paths.pair_best_params(str(document.get("symbol")), str(document.get("market")))
    _check(document, own)
    notes: list[str] = []
    # One lock for both files: looking whether the shared one is real and replacing it must not be torn apart.
    with locked(paths.best_params):
        notes += _make_way(own)
        write_json(own, document)
        if _is_invented(document) and _holds_real(paths.best_params):
            notes.append(f"{paths.best_params} holds a real market's parameters and was left as it is.")
            return Saved((own,), tuple(notes))
        notes += _make_way(paths.best_params)
        write_json(paths.best_params, document)
    return Saved((own, paths.best_params), tuple(notes))


def load_best_params(path: Path, symbol: str | None = None, *, move_corrupt: bool = True) -> Document:
    """Best parameters, every field checked; with `symbol`, they must be that pair's.

    `move_corrupt=False` leaves a corrupt file where it is: right for a file that the user named.

    Raises:
        ArtefactError: absent, corrupt, of a newer schema, a field missing or wrong, or another pair's.
        DiskError: the file could not be read.
    """
    document = _read(path, move_corrupt=move_corrupt)
    if document is None:
        raise ArtefactError(
            f"There are no best parameters at {path}.", f"Run `shortest-peak optimize {symbol or 'SYMBOL'}` first."
        )
    _refuse_newer(document, path)
    _check(document, path)
    params_of(document, path)
    if symbol is not None and document["symbol"] != symbol:
        raise ArtefactError(
            f"{path} holds the parameters of {document['symbol']}, not of {symbol}.",
            f"Run `shortest-peak optimize {symbol}` first, or name that pair's file.",
        )
    return document


def params_of(document: Document, path: Path | None = None) -> StrategyParams:
    """The parameter set of a document; `path` is only for the message.

    Raises:
        ArtefactError: a parameter is missing, of the wrong type or out of range.
    """
    params = document.get("params")
    name = path or "best parameters"
    if not isinstance(params, dict):
        _refuse(name, "params", params)
    _check_fields(params, _PARAMS, name, "params.")
    values: Document = {field: params.get(field) for field in _PARAMS}
    try:
        return StrategyParams(**values)
    except SettingError as error:
        raise ArtefactError(f"{name}: params: {error.message}", error.cure) from None


def write_sweep_table(path: Path, table: Table) -> None:
    """Write a sweep's table (`Sweep.rows`, one row a trial) as Parquet, atomically.

    Raises:
        DiskError: it could not be written; the old table is untouched.
    """
    with streamed_table(path) as write:
        write(table)


def bytes_per_row(table: Table) -> float:
    """What a row of such a table takes on the disk."""
    buffer = io.BytesIO()
    writer = ParquetWriter(buffer)
    writer.write(table)
    return buffer.tell() / max(1, writer.rows)


@contextmanager
def streamed_table(path: Path) -> Iterator[Callable[[Table], None]]:
    """What takes the rows of a table, some at a time, into a Parquet file that is there when all went well.

    Raises:
        DiskError: it could not be written; the old table is untouched, and of the new one nothing stays behind.
    """
    with written_whole(path) as file:
        writer = ParquetWriter(file)
        yield writer.write
        writer.finish()


def _read(path: Path, *, move_corrupt: bool) -> Document | None:
    """Read without a lock; only a corrupt file is looked at again under it, so that no fresh one is moved away."""
    try:
        return read_json(path, move_corrupt=False)
    except ArtefactError:
        if not move_corrupt:
            raise
        with locked(path):
            return read_json(path)


def _make_way(path: Path) -> list[str]:
    """Keep aside what stands at `path` if this program cannot understand it; returns what was done."""
    if moved := make_way(path):
        return [f"{path} was corrupt; it was kept aside as {moved}."]
    existing = read_json(path)
    if existing is None:
        return []
    if _is_newer(existing):
        return [f"{path} was written by a newer program; it was kept aside as {set_aside(path)}."]
    try:
        _check(existing, path)
    except ArtefactError:
        return [f"{path} was not written by this program; it was kept aside as {set_aside(path)}."]
    return []


def _holds_real(path: Path) -> bool:
    try:
        existing = read_json(path, move_corrupt=False)
    except ArtefactError:
        return False
    # Without a market it is from another program, which invents none: real, to be careful.
    return existing is not None and not _is_invented(existing)


def _is_invented(document: Document) -> bool:
    """Made up, or of a market that is not the real one. A file without a market is from before there were others."""
    market = document.get("market")
    return isinstance(market, str) and not is_real_market(market)


def _is_newer(document: Document) -> bool:
    version = document.get("schema_version")
    return isinstance(version, int) and version > SCHEMA_VERSION


def _refuse_newer(document: Document, path: Path) -> None:
    if _is_newer(document):
        raise ArtefactError(
            f"{path} has schema_version {document['schema_version']}; this program knows {SCHEMA_VERSION}. "
            "It was left as it is.",
            "Update the program, or run `shortest-peak optimize` to make it again (the old file is kept aside).",
        )


# ---- fields --------------------------------------------------------------------------------------


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _or_null(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


_FIELDS: dict[str, _Check] = {
    "schema_version": lambda value: _whole(value) and value == SCHEMA_VERSION,
    "generated_at": lambda value: _text(value) or _whole(value),
    "symbol": _text,
    "market": _text,
    "candles": _object,
    "settings_hash": _text,
    "settings": _object,
    "seed": _whole,
    "program_version": _text,
    "elapsed_s": _or_null(_number),
    "params": _object,
    "results": _object,
    "evidence": _or_null(_object),
}
_CANDLES: dict[str, _Check] = {"start_ms": _whole, "end_ms": _whole, "count": _whole, "hash": _text}
_PARAMS: dict[str, _Check] = {
    "highest_high_lookback": _whole,
    "exit_type": _text,
    "risk_fraction": _number,
    "take_profit_pct": _number,
    "stop_loss_pct": _or_null(_number),
    "max_hold_ms": _or_null(_whole),
}
# Off by default, so a file without them means null.
_MAY_BE_ABSENT = {"stop_loss_pct", "max_hold_ms"}


def _check(document: Document, path: Path) -> None:
    _check_fields(document, _FIELDS, path, "")
    _check_fields(document["candles"], _CANDLES, path, "candles.")
    _check_fields(document["params"], _PARAMS, path, "params.")


def _check_fields(values: Document, checks: dict[str, _Check], name: object, prefix: str) -> None:
    for field, fits in checks.items():
        if field not in values and field not in _MAY_BE_ABSENT:
            raise ArtefactError(f"{name} has no field {prefix}{field}.", _AGAIN)
        if not fits(values.get(field)):
            _refuse(name, f"{prefix}{field}", values.get(field))


_AGAIN = "Run `shortest-peak optimize` again, or mend that field."


def _refuse(name: object, field: str, value: object) -> NoReturn:
    raise ArtefactError(f"{name}: the field {field} cannot be {value!r}.", _AGAIN)
