"""The journal: append-only facts in one SQLite file per account, market and pair.

WAL mode, one commit per call. Intents, adoptions and meta are committed with ``synchronous=FULL``: they are
on the disk when the call returns (0.2 ms on a fast disk, some 4 ms on a slow one). The rest is committed with
NORMAL (0.04 ms): it survives the death of the process; a power cut may take the last few rows, and the
exchange still has what matters of them.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock

from your_short_trade_margin_call.adapters.storage import journal_schema as schema
from your_short_trade_margin_call.adapters.storage.files import (
    acquire_lock,
    disk_error,
    is_in_use,
    plain,
    require_in_place,
)
from your_short_trade_margin_call.adapters.storage.journal_file import (
    MEMORY,
    SPACE_CURE,
    keep_previous,
    left_alone,
    open_for_reading,
    open_for_writing,
    open_memory,
    says_corrupt,
)
from your_short_trade_margin_call.adapters.storage.wallet import wallet_change
from your_short_trade_margin_call.domain.errors import BrokenInvariantError, BusyError, DiskError
from your_short_trade_margin_call.domain.messages import Execution, OrderRequest
from your_short_trade_margin_call.domain.trade_row import TRADE_COLUMNS
from your_short_trade_margin_call.domain.words import ExecutionKind

Hook = Callable[[str], None]

# Mistakes of the caller, not of the disk: a value missing, of the wrong type or out of range; a closed journal.
_MISUSE = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    UnicodeEncodeError,
)


class SqliteJournal:
    """Implements `ports.Journal`, and reads for reports.

    One process writes (a lock beside the file, freed by the system when the process dies); any number may
    read meanwhile with `read_only=True`. Write from the thread that opened it. Every method may raise
    DiskError (nothing of that call was written; the journal stays usable) and BrokenInvariantError (a value
    that cannot be stored, or a closed or read-only journal written to).

    Args:
        path: the file; made, with its folders, when it is not there. ``":memory:"`` keeps all in memory.
        read_only: look only; needs no lock and never moves a corrupt file.
        afresh: begin an empty journal; one that is there is kept beside it as ``NAME.previous.sqlite``.
        before_write: a seam for tests, called with the name of the method before each write. What it raises
            comes out of the method (an OSError as DiskError): a process killed there, or a full disk.
        after_write: the same, once the write is committed.

    Raises:
        BusyError: another process writes this journal.
        ArtefactError: the file is corrupt (it was kept aside) or of a newer schema (it was left alone).
        DiskError: it cannot be opened or made.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        read_only: bool = False,
        afresh: bool = False,
        before_write: Hook | None = None,
        after_write: Hook | None = None,
    ) -> None:
        self._path = Path(path)
        self._read_only = read_only
        self._before_write = before_write
        self._after_write = after_write
        self._lock: FileLock | None = None
        self._opened: os.stat_result | None = None
        if str(path) == MEMORY:
            self._connection = open_memory()
        elif read_only:
            self._connection = open_for_reading(self._path)
        else:
            self._lock = _lock(self._path)
            try:
                if afresh:
                    keep_previous(self._path)
                self._connection = open_for_writing(self._path)
                self._opened = self._path.stat()
            except BaseException:
                self._lock.release()
                raise

    def close(self) -> None:
        """Close the file and free the lock; closing twice is no error."""
        try:
            with self._named_errors("closed"):
                self._connection.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # ---- facts: ports.Journal --------------------------------------------------------------------

    def intent(self, request: OrderRequest, time_ms: int, context: str) -> None:
        """Write down an order before it is sent; durable on return. The first of a link id stands."""
        self._write("intent", {**asdict(request), "time_ms": time_ms, "context": context})

    def outcome(self, link_id: str, outcome: str, time_ms: int) -> None:
        """What became of an intent; the last one counts."""
        self._write("outcome", {"link_id": link_id, "outcome": outcome, "time_ms": time_ms})

    def execution(self, execution: Execution) -> bool:
        """Book an execution; False when its `exec_id` is already booked."""
        return self._write("execution", asdict(execution))

    def event(self, time_ms: int, kind: str, detail: str) -> None:
        """Anything else worth keeping, `detail` as JSON."""
        self._write("event", {"time_ms": time_ms, "kind": kind, "detail": detail})

    def blocked(self, candle_ms: int, reason: str, detail: str) -> None:
        """A signal that was not traded; once per candle and reason."""
        self._write("blocked", {"candle_ms": candle_ms, "reason": reason, "detail": detail})

    def equity(self, candle_ms: int, wallet_usdt: float, equity_usdt: float) -> None:
        """The account at a candle's close; once per candle."""
        self._write("equity", {"candle_ms": candle_ms, "wallet_usdt": wallet_usdt, "equity_usdt": equity_usdt})

    def trade(self, row: dict[str, object]) -> None:
        """A closed round trip, with the columns of a trade row (and any more); once per entry time."""
        known = {column: row.get(column) for column in TRADE_COLUMNS}
        more = {column: plain(value) for column, value in row.items() if column not in known}
        self._write("trade", {**known, "more": json.dumps(more, default=str)})

    def adopt(self, time_ms: int, params: str) -> None:
        """Parameters adopted for the next entry, as JSON; durable on return."""
        self._write("adopt", {"time_ms": time_ms, "params": params})

    def intents(self) -> list[tuple[OrderRequest, int, str, str | None]]:
        """All intents, oldest first: request, time, context, last outcome."""
        rows = self._rows(schema.ALL_INTENTS)
        return [(schema.request_of(row), row["time_ms"], row["context"], row["last_outcome"]) for row in rows]

    def executions(self) -> list[Execution]:
        """All booked executions, oldest first."""
        return [schema.execution_of(row) for row in self._rows("SELECT * FROM executions ORDER BY seq")]

    def events_of(self, kind: str) -> list[tuple[int, str]]:
        """Time (UTC ms) and detail (JSON) of every event of a kind, oldest first."""
        rows = self._rows("SELECT time_ms, detail FROM events WHERE kind = ? ORDER BY seq", kind)
        return [(row[0], row[1]) for row in rows]

    def last_adoption(self) -> tuple[int, str] | None:
        """Moment (UTC ms) and parameters (JSON) of the last adoption."""
        rows = self._rows("SELECT time_ms, params FROM adoptions ORDER BY seq DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def last_candle_ms(self) -> int | None:
        """Open time (UTC ms) of the newest candle with an equity row: the last one handled to its end."""
        newest: int | None = self._rows("SELECT max(candle_ms) FROM equity")[0][0]
        return newest

    def is_blocked(self, candle_ms: int) -> bool:
        """Whether the signal at the close of this candle was written down as blocked."""
        return bool(self._rows("SELECT 1 FROM blocked WHERE candle_ms = ? LIMIT 1", candle_ms))

    # ---- reading, for reports --------------------------------------------------------------------

    def trades(self) -> list[dict[str, Any]]:
        """All closed round trips in the order they were written, by column."""
        rows = self._rows("SELECT * FROM trades ORDER BY seq")
        return [{**{name: row[name] for name in TRADE_COLUMNS}, **json.loads(row["more"])} for row in rows]

    def trade_times(self) -> set[int]:
        """Entry times of all trades written down."""
        return {row[0] for row in self._rows("SELECT entry_time FROM trades")}

    def blocked_counts(self) -> dict[str, int]:
        """How many signals each reason kept from being traded; the reason met first comes first."""
        rows = self._rows("SELECT reason, count(*) AS signals FROM blocked GROUP BY reason ORDER BY min(seq)")
        return {row["reason"]: row["signals"] for row in rows}

    def equity_rows(self) -> list[tuple[int, float, float]]:
        """Candle's open time (UTC ms), wallet and equity (USDT), in the order they were written."""
        rows = self._rows("SELECT candle_ms, wallet_usdt, equity_usdt FROM equity ORDER BY seq")
        return [(row[0], row[1], row[2]) for row in rows]

    def adoptions(self) -> list[tuple[int, str]]:
        """Moment (UTC ms) and parameters (JSON) of every adoption, oldest first."""
        return [(row[0], row[1]) for row in self._rows("SELECT time_ms, params FROM adoptions ORDER BY seq")]

    def funding_total(self) -> float:
        """All funding settled, in USDT: positive when paid, negative when received."""
        rows = self._rows("SELECT total(fee_usdt) FROM executions WHERE kind = ?", ExecutionKind.FUNDING.value)
        return float(rows[0][0])

    def wallet_change(self, tick_size: float, lot_size: float) -> float:
        """What all booked executions did to the wallet, in USDT (see `wallet.wallet_change`)."""
        return wallet_change(self.executions(), tick_size, lot_size)

    def open_lots(self) -> int:
        """The lots sold and not bought back by the booked executions; 0 when flat."""
        statement = "SELECT total(-side * lots) FROM executions WHERE kind <> ?"
        return int(self._rows(statement, ExecutionKind.FUNDING.value)[0][0])

    def meta(self) -> dict[str, str]:
        """Everything set with `set_meta`, and `schema_version`."""
        return {row["key"]: row["value"] for row in self._rows("SELECT key, value FROM meta ORDER BY rowid")}

    def set_meta(self, key: str, value: str) -> None:
        """Remember something about the journal as a whole; the last value of a key stands. Durable on return."""
        if key == "schema_version":
            raise BrokenInvariantError("schema_version is the journal's own.", "Choose another name.")
        self._write("set_meta", {"key": key, "value": value})

    # ---- how -------------------------------------------------------------------------------------

    def _write(self, operation: str, values: dict[str, Any]) -> bool:
        """One row, one commit; True when something was written, False when it was there already."""
        if self._read_only:
            raise BrokenInvariantError(f"{self._path} was opened to read only.", "Open it for writing.")
        level = "FULL" if operation in schema.DURABLE_WRITES else "NORMAL"
        with self._named_errors("written"):
            if self._before_write is not None:
                self._before_write(operation)
            if self._opened is not None:
                require_in_place(self._path, self._opened)
            self._connection.execute(f"PRAGMA synchronous = {level}")
            row = {name: plain(value) for name, value in values.items()}
            written = self._connection.execute(schema.WRITES[operation], row).rowcount > 0
            if self._after_write is not None:
                self._after_write(operation)
        return written

    def _rows(self, statement: str, *values: str | int) -> list[sqlite3.Row]:
        with self._named_errors("read"):
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _named_errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except _MISUSE as error:
            raise BrokenInvariantError(f"The journal {self._path} could not be {action}: {error}.") from error
        except sqlite3.Error as error:
            if self._read_only and says_corrupt(error):
                raise left_alone(self._path, error) from error
            raise DiskError(f"The journal {self._path} could not be {action}: {error}.", SPACE_CURE) from error
        except OSError as error:
            raise disk_error(self._path, action, error) from error


def require_free(path: Path) -> None:
    """Refuse early what would be refused when the journal is opened: another process writes it.

    Raises:
        BusyError: it does.
    """
    if is_in_use(path):
        raise _busy(path)


def _lock(path: Path) -> FileLock:
    try:
        # Whoever only asks whether the journal is in use holds the lock for a moment.
        return acquire_lock(path, timeout_s=0.2)
    except BusyError:
        raise _busy(path) from None


def _busy(path: Path) -> BusyError:
    return BusyError(
        f"Another process is writing the journal {path}.",
        "Stop it first (Ctrl-C in its window); `shortest-peak status` looks without disturbing it.",
    )
