"""Whole files, written so that a reader meets the old one or the new one, never half of one.

A file that cannot be understood is evidence: it is set aside under a new name, never overwritten.
"""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from your_short_trade_margin_call.domain.errors import ArtefactError, BusyError, DiskError

LOCK_TIMEOUT_S = 10.0
_LEFT_S = 86_400.0

_ELSEWHERE = "choose another folder with SHORTEST_PEAK_DATA_DIR"
_CURES = {
    errno.ENOSPC: f"Free some space there, or {_ELSEWHERE}.",
    errno.EDQUOT: f"Free some of your quota, or {_ELSEWHERE}.",
    errno.EACCES: f"Make the folder writable for this user, or {_ELSEWHERE}.",
    errno.EPERM: f"Make the folder writable for this user, or {_ELSEWHERE}.",
    errno.EROFS: f"Mount it writable, or {_ELSEWHERE}.",
    errno.ESTALE: "Put it back as it was; or stop, and start again: what is missing is read from the exchange.",
}
_ANY_CURE = f"Check that the disk has space and the folder is writable, or {_ELSEWHERE}."
# What file systems answer when a folder cannot be synchronised at all; the rename has happened, so that is no failure.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF}


def disk_error(path: Path, action: str, error: OSError) -> DiskError:
    """The named error for an OSError: which file, what failed (`action`: "written", "read"), why, and the cure."""
    reason = error.strerror or str(error) or type(error).__name__
    return DiskError(f"{path} could not be {action}: {reason}.", _CURES.get(error.errno or 0, _ANY_CURE))


def require_in_place(path: Path, opened: os.stat_result) -> None:
    """Check that an open file is still the one at `path`: what is written to a deleted file is lost.

    Raises:
        OSError: ESTALE, it was deleted, moved or replaced.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        there = None
    if there is None or not os.path.samestat(there, opened):
        raise OSError(errno.ESTALE, "it was deleted, moved or replaced while in use")


def write_atomically(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data` in one step that survives a crash; text is written as UTF-8.

    Raises:
        DiskError: it could not be written. The old file is untouched and no temporary file stays behind.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, "written", error) from error


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to bit by bit, which replaces `path` in one step when all went well.

    Raises:
        DiskError: it could not be written. The old file is untouched and no temporary file stays behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(path) as file:
            _remove_leftovers(path, os.fstat(file.fileno()).st_mtime)
            yield file
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, "written", error) from error


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable; does nothing where folders cannot be synchronised (Windows)."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def dump_json(document: object) -> str:
    """`document` as JSON: insertion order, two spaces, shortest exact floats, NaN and infinity as null.

    Equal documents give equal bytes. Raises TypeError on a value that JSON has no word for.
    """
    return json.dumps(plain(document), indent=2, allow_nan=False) + "\n"


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write `document` atomically, in the form of `dump_json`.

    Raises:
        DiskError: it could not be written; the old file is untouched.
    """
    write_atomically(path, dump_json(document))


def read_json(path: Path, *, move_corrupt: bool = True) -> dict[str, Any] | None:
    """The JSON object in `path`; None when there is no such file.

    A corrupt file is set aside (see `set_aside`) unless `move_corrupt` is False, which leaves it where it is.

    Raises:
        ArtefactError: it is not a JSON object; says where the file is now.
        DiskError: it could not be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(path, "read", error) from error
    try:
        # A byte-order mark is what some editors add; NaN is what some programs write for "none".
        document = json.loads(content.decode("utf-8-sig"), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise corrupt(path, f"it is not JSON ({error})", move=move_corrupt) from error
    if not isinstance(document, dict):
        raise corrupt(path, "it is not a JSON object", move=move_corrupt)
    return document


def corrupt(path: Path, reason: str, *, move: bool = True) -> ArtefactError:
    """The error for a file that cannot be understood, after setting it aside (if `move`)."""
    where = "It was left where it is."
    if move:
        try:
            where = f"It was kept aside as {set_aside(path)}."
        except DiskError as error:
            where = f"It could not be kept aside ({error.message}) and was left where it is."
    return ArtefactError(
        f"{path} cannot be used: {reason}. {where}",
        "Run the command that makes it again, or mend it and put it back.",
    )


def set_aside(path: Path, companions: tuple[str, ...] = ()) -> Path:
    """Rename `path` to the first free `<name>.corrupt-<n>` and return that; nothing is ever overwritten.

    `companions` are suffixes of files that belong to it (``-wal``): they follow under the new name.

    Raises:
        DiskError: it could not be renamed; it is still where it was.
    """
    try:
        target = _claim(path)
        try:
            os.replace(path, target)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        for suffix in companions:
            with suppress(FileNotFoundError):
                os.replace(f"{path}{suffix}", f"{target}{suffix}")
        return target
    except OSError as error:
        raise disk_error(path, "kept aside", error) from error


def make_way(path: Path) -> Path | None:
    """Before writing `path`: set aside what stands there if it is no JSON object; returns where it is now.

    Raises:
        DiskError: it could not be read or renamed; do not write over it.
    """
    try:
        read_json(path, move_corrupt=False)
    except ArtefactError:
        return set_aside(path)
    return None


@contextmanager
def locked(path: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the lock beside `path` (``<name>.lock``); the system frees it when a process dies.

    Raises:
        BusyError: another process held it for longer than `timeout_s` seconds.
        DiskError: the lock file could not be made.
    """
    lock = acquire_lock(path, timeout_s)
    try:
        yield
    finally:
        lock.release()


def acquire_lock(path: Path, timeout_s: float) -> FileLock:
    """The held lock beside `path`; 0 seconds means one try. The caller releases it.

    Raises:
        BusyError: another process holds it.
        DiskError: the lock file could not be made.
    """
    lock = FileLock(f"{path}.lock", timeout=timeout_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise BusyError(
            f"Another process is using {path}.", "Wait until it is done, or stop it, and try again."
        ) from error
    except OSError as error:
        raise disk_error(path, "locked", error) from error
    return lock


def is_in_use(path: Path) -> bool:
    """Whether another process holds the lock beside `path`; False where that cannot be found out."""
    if not Path(f"{path}.lock").exists():
        return False
    try:
        acquire_lock(path, timeout_s=0).release()
    except BusyError:
        return True
    except DiskError:
        return False
    return False


def _replace(path: Path, content: bytes) -> None:
    with _replacing(path) as file:
        file.write(content)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `path` that takes its place; it is removed when anything goes wrong."""
    temporary = _free_temporary(path)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _remove_leftovers(path: Path, now_s: float) -> None:
    """Remove temporary files of writers of `path` that were killed: nobody has written to them for a day."""
    for temporary in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(FileNotFoundError):
            if temporary.stat().st_mtime < now_s - _LEFT_S:
                temporary.unlink()


def _free_temporary(path: Path) -> Path:
    """An empty file of our own beside `path`: two writers, or a leftover of a killed one, never share it."""
    return _created(path.with_name(f".{path.name}.{os.getpid()}-{n}.tmp") for n in itertools.count())


def _claim(path: Path) -> Path:
    return _created(path.with_name(f"{path.name}.corrupt-{n}") for n in itertools.count(1))


def _created(candidates: Iterator[Path]) -> Path:
    """The first candidate that did not exist, created empty (exclusively, so that it is ours)."""
    for candidate in candidates:
        with suppress(FileExistsError):
            candidate.open("xb").close()
            return candidate
    raise AssertionError("unreachable: the candidates never end")


def plain(value: Any) -> Any:
    """`value` in JSON's own types: numpy numbers become Python's, what is not finite becomes None."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    # A numpy scalar knows its Python twin.
    return plain(value.item()) if hasattr(value, "item") else value
