"""Opening a journal's SQLite file: pragmas, tables, and what to do with a file that is no journal."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from your_short_trade_margin_call.adapters.storage import journal_schema as schema
from your_short_trade_margin_call.adapters.storage.files import disk_error, set_aside, sync_folder
from your_short_trade_margin_call.domain.errors import ArtefactError, DiskError

MEMORY = ":memory:"
SPACE_CURE = "Free some space and make the folder writable, or choose another with SHORTEST_PEAK_DATA_DIR."

_BUSY_TIMEOUT_S = 5.0
_WAL_FILES = ("-wal", "-shm")
_MAGIC = b"SQLite format 3\0"


class _CorruptError(Exception):
    """SQLite cannot make sense of the file; never leaves this module."""


def open_memory() -> sqlite3.Connection:
    """A fresh journal that lives and dies with the connection."""
    connection = _configured(sqlite3.connect(MEMORY, isolation_level=None))
    _create_tables(connection)
    return connection


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The journal at `path`, made when it is not there; the caller holds its lock.

    Raises:
        ArtefactError: corrupt (kept aside, with its WAL), not a journal or of a newer schema (left alone).
        DiskError: it cannot be opened or made.
    """
    try:
        is_new = not path.exists()
        _require_sound(path)
        connection = _checked(path, "rwc")
        if is_new:
            sync_folder(path.parent)
    except _CorruptError as error:
        moved = set_aside(path, _WAL_FILES)
        raise ArtefactError(
            f"The journal {path} is corrupt ({error}); it was kept aside as {moved}.",
            "Start again: a fresh journal begins, and for real money the exchange is the truth: "
            "its position and orders are read and compared before anything is sent.",
        ) from None
    except sqlite3.Error as error:
        raise DiskError(f"The journal {path} could not be opened: {error}.", SPACE_CURE) from error
    except OSError as error:
        raise disk_error(path, "opened", error) from error
    return connection


def keep_previous(path: Path) -> None:
    """Move a journal aside as ``NAME.previous.sqlite``, over the one kept before. The caller holds its lock.

    Raises:
        DiskError: it could not be moved.
    """
    if not path.exists():
        return
    try:
        open_for_writing(path).close()  # folds the WAL into the file
        os.replace(path, path.with_suffix(".previous.sqlite"))
        for suffix in _WAL_FILES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except ArtefactError:  # corrupt: opening it has kept it aside already
        return
    except OSError as error:
        raise disk_error(path, "kept aside", error) from error


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The journal at `path`, to look only, while another process may be writing.

    Raises:
        ArtefactError: there is none, or it is corrupt, not a journal or of a newer schema; it is left alone.
        DiskError: it cannot be opened.
    """
    try:
        if not path.exists():
            raise _none_yet(path)
        return _checked(path, "ro")
    except _CorruptError as error:
        raise left_alone(path, error) from None
    except sqlite3.Error as error:
        raise DiskError(f"The journal {path} could not be opened: {error}.", SPACE_CURE) from error
    except OSError as error:
        raise disk_error(path, "opened", error) from error


def left_alone(path: Path, why: Exception) -> ArtefactError:
    """A damaged journal that was only looked at."""
    return ArtefactError(
        f"The journal {path} is corrupt ({why}); it was left where it is.",
        "The next `shortest-peak trade` keeps it aside; for real money the exchange is the truth.",
    )


def _none_yet(path: Path) -> ArtefactError:
    return ArtefactError(f"There is no journal at {path}.", "Run `shortest-peak trade` first.")


def _checked(path: Path, mode: str) -> sqlite3.Connection:
    """An open connection to a journal of our schema; when it is none, nothing stays open."""
    reads_only = mode == "ro"
    connection = _connected(path, mode)
    try:
        _configured(connection)
        if not reads_only:
            connection.execute("PRAGMA journal_mode = WAL")
            if not _tables(connection):
                _create_tables(connection)
        _require_our_schema(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        if says_corrupt(error):
            raise _CorruptError(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    # A view may be asked from several threads; who writes stays on one.
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=mode != "ro")


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def says_corrupt(error: sqlite3.Error) -> bool:
    """Whether SQLite complains of the file itself, not of the disk below it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _require_sound(path: Path) -> None:
    """Look through the whole file for damage, if it is there, and change nothing.

    Only before writing: a reader that opens it every few seconds cannot. The connection is read-only
    because one that may write folds the WAL into the damaged file, or throws it away, when it closes.
    """
    if not path.exists():
        return
    _require_header(path)
    try:
        with closing(_connected(path, "ro")) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if says_corrupt(error):
            raise _CorruptError(str(error)) from error
        raise
    if answer != "ok":
        raise _CorruptError(" ".join(answer.split()))


def _require_header(path: Path) -> None:
    wal = path.with_name(f"{path.name}-wal")
    with path.open("rb") as file:
        header = file.read(len(_MAGIC))
    if header != _MAGIC and (header or (wal.exists() and wal.stat().st_size)):
        raise _CorruptError("it does not begin like an SQLite file")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _create_tables(connection: sqlite3.Connection) -> None:
    """All tables or none: a process killed in between leaves an empty file, which is a new journal."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in schema.TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('schema_version', ?)", (str(schema.SCHEMA_VERSION),))
    connection.execute("COMMIT")


def _require_our_schema(connection: sqlite3.Connection, path: Path) -> None:
    row = None
    tables = _tables(connection)
    if not tables:
        raise _none_yet(path)
    if "meta" in tables:
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if row is None:
        raise ArtefactError(f"{path} is not a journal; it was left as it is.", "Move it away, or name another file.")
    if not row["value"].isdigit() or int(row["value"]) > schema.SCHEMA_VERSION:
        raise ArtefactError(
            f"{path} has schema_version {row['value']}; this program knows {schema.SCHEMA_VERSION}. "
            "It was left as it is.",
            "Update the program, or use another folder with SHORTEST_PEAK_DATA_DIR.",
        )
