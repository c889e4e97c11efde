"""When which pair is optimised next: a JSON file that several processes share.

Every change happens under a lock, on what the file says at that moment, and is written atomically, so a
process may be killed at any point. A run whose process has died is taken over by the next claim.
Runs of a pair belong to a *lane*: symbol, market and (when given) account.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from your_short_trade_margin_call.adapters.storage.files import (
    LOCK_TIMEOUT_S,
    locked,
    read_json,
    set_aside,
    write_json,
)
from your_short_trade_margin_call.adapters.storage.processes import is_alive
from your_short_trade_margin_call.adapters.storage.queue_entries import Entry, Owner, RunStatus
from your_short_trade_margin_call.domain.errors import ArtefactError

__all__ = ["Entry", "OptimizationQueue", "Owner", "RunStatus"]

SCHEMA_VERSION = 1
KEPT_FINISHED = 200


class _CorruptQueueError(Exception):
    """The file is there and makes no sense; never leaves this module."""


class _Lane(NamedTuple):
    """Whose runs: one pair on one market, for one account (None: tied to none)."""

    symbol: str
    market: str
    account: str | None

    def holds(self, entry: Entry) -> bool:
        """True when the entry is one of this lane's."""
        return (entry.symbol, entry.market, entry.account) == self


class OptimizationQueue:
    """The queue in one file. Moments are UTC ms, always passed in.

    Every method may raise BusyError (another process held the lock for `lock_timeout_s` seconds), DiskError
    (the file is as it was) and ArtefactError (the file is of a newer schema; it is left alone).
    A corrupt file is kept aside and a fresh queue begins; `notes` says so.

    Args:
        path: the JSON file; made by the first change.
        lock_timeout_s: how long to wait for another process, in seconds.
        alive: tells whether a process id still runs.
    """

    def __init__(
        self, path: Path, *, lock_timeout_s: float = LOCK_TIMEOUT_S, alive: Callable[[int], bool] = is_alive
    ) -> None:
        self._path = path
        self._lock_timeout_s = lock_timeout_s
        self._alive = alive
        self.notes: list[str] = []

    def enqueue(self, symbol: str, market: str, due_ms: int, now_ms: int, *, account: str | None = None) -> Entry:
        """Plan a run. A lane has one pending run: one that exists is moved to the new due time."""
        lane = _Lane(symbol, market, account)
        with locked(self._path, self._lock_timeout_s):
            entries = self._load()
            pending = [entry for entry in entries if _is_pending(entry, lane)]
            others = [entry for entry in entries if not _is_pending(entry, lane)]
            name = _free_id(f"{symbol}-{market}-{due_ms}", others)
            new = Entry(name, symbol, market, account, due_ms, RunStatus.PENDING, now_ms)
            if pending:
                new = replace(pending[0], id=name, due_ms=due_ms)
            self._save([*others, new])
        return new

    def claim_due(
        self, symbol: str, market: str, now_ms: int, owner: Owner, *, account: str | None = None
    ) -> Entry | None:
        """Make the earliest run that is due this owner's, and return it; None when none is due.

        A run left behind by a dead process becomes pending again (one attempt more) and is claimed like any
        other. Further runs of the lane that are due as well are cancelled: one run serves them all.
        """
        lane = _Lane(symbol, market, account)
        with locked(self._path, self._lock_timeout_s):
            before = self._load()
            entries = [_released(entry) if self._is_orphan(entry, lane, owner) else entry for entry in before]
            due = [entry for entry in entries if _is_pending(entry, lane) and entry.due_ms <= now_ms]
            claimed, changed = _begun(due, now_ms, owner)
            entries = [changed.get(entry.id, entry) for entry in entries]
            if entries != before:
                self._save(entries)
        return claimed

    def finish(self, entry_id: str, now_ms: int) -> bool:
        """Mark a running run done; False when it is not running (any more)."""
        return self._end(entry_id, RunStatus.DONE, now_ms, None)

    def fail(self, entry_id: str, error: str, now_ms: int) -> bool:
        """Mark a running run failed; False when it is not running. Planning another is the caller's choice."""
        return self._end(entry_id, RunStatus.FAILED, now_ms, error)

    def cancel(
        self, symbol: str, market: str, *, account: str | None = None, now_ms: int | None = None
    ) -> tuple[Entry, ...]:
        """Cancel what is pending in a lane; a run under way goes on. Returns what was cancelled."""
        lane = _Lane(symbol, market, account)
        with locked(self._path, self._lock_timeout_s):
            entries = self._load()
            cancelled = {
                entry.id: replace(entry, status=RunStatus.CANCELLED, finished_ms=now_ms)
                for entry in entries
                if _is_pending(entry, lane)
            }
            if cancelled:
                self._save([cancelled.get(entry.id, entry) for entry in entries])
        return tuple(cancelled.values())

    def next_due(self, symbol: str, market: str, *, account: str | None = None) -> int | None:
        """When the lane's next run is due, UTC ms: a pending one, or one whose process has died."""
        lane = _Lane(symbol, market, account)
        waiting = [entry for entry in self.entries() if _is_pending(entry, lane) or self._is_orphan(entry, lane)]
        return min((entry.due_ms for entry in waiting), default=None)

    def entries(self) -> tuple[Entry, ...]:
        """All entries, in the order they were planned."""
        try:
            return tuple(_read(self._path))
        except _CorruptQueueError:
            # Only under the lock may it be moved: by now another process may have begun a fresh one.
            with locked(self._path, self._lock_timeout_s):
                return tuple(self._load())

    def _end(self, entry_id: str, status: RunStatus, now_ms: int, error: str | None) -> bool:
        with locked(self._path, self._lock_timeout_s):
            entries = self._load()
            ended = {
                entry.id: replace(entry, status=status, finished_ms=now_ms, owner=None, error=error)
                for entry in entries
                if entry.id == entry_id and entry.status is RunStatus.RUNNING
            }
            if ended:
                self._save([ended.get(entry.id, entry) for entry in entries])
        return bool(ended)

    def _is_orphan(self, entry: Entry, lane: _Lane, claimant: Owner | None = None) -> bool:
        if entry.status is not RunStatus.RUNNING or not lane.holds(entry):
            return False
        if entry.owner is None or not self._alive(entry.owner.pid):
            return True
        # The same pid with another token: a restarted container hands out the pid of the process that died.
        return claimant is not None and entry.owner.pid == claimant.pid and entry.owner.token != claimant.token

    def _load(self) -> list[Entry]:
        """The entries now; only under the lock."""
        try:
            return _read(self._path)
        except _CorruptQueueError as error:
            moved = set_aside(self._path)
            self.notes.append(f"{error} It was kept aside as {moved}; a fresh queue begins.")
            return []

    def _save(self, entries: list[Entry]) -> None:
        surplus = max(0, sum(entry.status.is_final for entry in entries) - KEPT_FINISHED)
        finished = (entry.id for entry in entries if entry.status.is_final)
        dropped = set(itertools.islice(finished, surplus))
        kept = [entry.to_json() for entry in entries if entry.id not in dropped]
        write_json(self._path, {"schema_version": SCHEMA_VERSION, "entries": kept})


def _read(path: Path) -> list[Entry]:
    try:
        document = read_json(path, move_corrupt=False)
    except ArtefactError:
        raise _CorruptQueueError(f"{path} was not a JSON object.") from None
    if document is None:
        return []
    version = document.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ArtefactError(
            f"{path} has schema_version {version}; this program knows {SCHEMA_VERSION}. It was left as it is.",
            "Update the program, or move the file away: a fresh queue begins.",
        )
    return _parsed(document, path)


def _parsed(document: dict[str, Any], path: Path) -> list[Entry]:
    raw = document.get("entries")
    if not isinstance(raw, list):
        raise _CorruptQueueError(f"{path} had no list of entries.")
    try:
        return [Entry.from_json(item) for item in raw]
    except ValueError as error:
        raise _CorruptQueueError(f"{path} was corrupt: {error}.") from None


def _is_pending(entry: Entry, lane: _Lane) -> bool:
    return entry.status is RunStatus.PENDING and lane.holds(entry)


def _released(entry: Entry) -> Entry:
    return replace(entry, status=RunStatus.PENDING, started_ms=None, owner=None, attempts=entry.attempts + 1)


def _begun(due: list[Entry], now_ms: int, owner: Owner) -> tuple[Entry | None, dict[str, Entry]]:
    """Of the runs that are due, the earliest begins; returns it, and every changed entry by its id."""
    if not due:
        return None, {}
    first = min(due, key=lambda entry: entry.due_ms)
    reason = f"superseded by {first.id}"
    changed = {entry.id: replace(entry, status=RunStatus.CANCELLED, finished_ms=now_ms, error=reason) for entry in due}
    running = replace(first, status=RunStatus.RUNNING, started_ms=now_ms, owner=owner)
    return running, {**changed, first.id: running}


def _free_id(wanted: str, entries: list[Entry]) -> str:
    taken = {entry.id for entry in entries}
    names = itertools.chain([wanted], (f"{wanted}-{n}" for n in itertools.count(2)))
    return next(name for name in names if name not in taken)
