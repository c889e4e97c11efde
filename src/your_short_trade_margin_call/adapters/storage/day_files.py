"""The files behind a candle store: one UTC day and kind a file, and a ledger, each written whole or not at all."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

import numpy as np

from your_short_trade_margin_call.adapters.storage.files import (
    disk_error,
    locked,
    read_json,
    set_aside,
    write_atomically,
    write_json,
)
from your_short_trade_margin_call.adapters.storage.gap_ledger import GapLedger
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Rows, check_sound, day_name
from your_short_trade_margin_call.domain.errors import ArtefactError, DiskError
from your_short_trade_margin_call.domain.spans import DAY_MS

LOCK_TIMEOUT_S = 30.0

_Content = TypeVar("_Content")


class DayFiles:
    """Reads and writes them. Whatever is no file of ours is set aside under a new name; `notes` says so.

    Every method may raise DiskError, and BusyError when another process holds the lock too long.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    def path(self, kind: HistoryKind, day_ms: int) -> Path:
        """The file of a day, whether it exists or not."""
        return self.folder / kind / f"{day_name(day_ms)}.parquet"

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.folder / "ledger.json"

    def locked(self) -> AbstractContextManager[None]:
        """Hold off other processes while a day and the ledger are read, changed and written."""
        return locked(self.ledger_path, LOCK_TIMEOUT_S)

    def day(self, kind: HistoryKind, day_ms: int, *, is_locked: bool = False) -> Rows:
        """The rows of a day; none when there is no file (any more)."""
        path = self.path(kind, day_ms)
        content = _bytes(path)
        if content is None:
            return Rows.empty(kind)
        return self._understood(
            path, is_locked, lambda: parsed(kind, day_ms, content), lambda: self.day(kind, day_ms, is_locked=True)
        ) or Rows.empty(kind)

    def save_day(self, day_ms: int, rows: Rows) -> None:
        """Replace a day's file; call it under the lock."""
        write_atomically(self.path(rows.kind, day_ms), as_parquet(rows))

    def ledger(self, *, is_locked: bool = False) -> GapLedger:
        """The ledger; an empty one when there is none (any more)."""

        def read() -> GapLedger:
            document = read_json(self.ledger_path, move_corrupt=False)
            return GapLedger() if document is None else GapLedger.parsed(document)

        return self._understood(self.ledger_path, is_locked, read, lambda: self.ledger(is_locked=True)) or GapLedger()

    def save_ledger(self, ledger: GapLedger) -> None:
        """Replace the ledger; call it under the lock."""
        write_json(self.ledger_path, ledger.document())

    def days(self, kind: HistoryKind) -> tuple[int, ...]:
        """The UTC days of which there is a file, oldest first."""
        names = sorted(path.stem for path in (self.folder / kind).glob("????-??-??.parquet"))
        starts = (datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=timezone.utc) for name in names)
        return tuple(int(start.timestamp()) * 1_000 for start in starts)

    def size(self) -> int:
        """Bytes of all days on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*.parquet"))

    def wipe(self) -> None:
        """Remove every day and the ledger."""
        with self.locked():
            for kind in HistoryKind:
                with suppress(FileNotFoundError):
                    shutil.rmtree(self.folder / kind)
            self.ledger_path.unlink(missing_ok=True)

    def _understood(
        self, path: Path, is_locked: bool, read: Callable[[], _Content], again: Callable[[], _Content]
    ) -> _Content | None:
        """What `read` makes of a file; if nothing, it is looked at again under the lock, then set aside."""
        try:
            return read()
        except DiskError:
            raise
        except Exception as error:  # whatever a parser throws at a file that is not one of ours
            if not is_locked:
                with self.locked():
                    return again()
            reason = error.message if isinstance(error, ArtefactError) else f"{path} cannot be used: {_first(error)}."
            self.notes.append(f"{reason} It was kept aside as {set_aside(path)}.")
            return None


def as_parquet(rows: Rows) -> bytes:
    """Rows as a file that `--candles`, `--mark`, `--minutes` or `--funding` takes."""
    import polars as pl

    buffer = io.BytesIO()
    columns = {name: rows.column(name) for name in rows.kind.columns}
    pl.DataFrame({"ts": rows.time_ms, **columns}).write_parquet(buffer)
    return buffer.getvalue()


def parsed(kind: HistoryKind, day_ms: int, content: bytes) -> Rows:
    """The rows of a day's file.

    Raises:
        Exception: of any kind, when it is not one.
    """
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(content), columns=["ts", *kind.columns])
        times = frame["ts"].cast(pl.Int64).to_numpy()
        values = frame.select(pl.col(name).cast(pl.Float64) for name in kind.columns).to_numpy()
    except pl.exceptions.PanicException as error:  # no Exception by its kind
        raise ValueError(str(error)) from error
    rows = Rows(kind, times, np.ascontiguousarray(values))
    check_sound(rows)
    if len(rows.between(day_ms, day_ms + DAY_MS)) != len(rows):
        raise ValueError("it holds rows of another day")
    return rows


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(path, "read", error) from error


def _first(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
