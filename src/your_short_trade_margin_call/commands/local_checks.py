"""What `doctor` looks at on this computer: the interpreter, the data folder, the keys file, the terminal."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from your_short_trade_margin_call.adapters.storage.files import acquire_lock
from your_short_trade_margin_call.domain.checks import Check, failed, passed, warned
from your_short_trade_margin_call.domain.errors import BusyError, ShortestPeakError
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.screen import is_robot
from your_short_trade_margin_call.reporting.text import counted

PYTHONS = ((3, 11), (3, 13))
ENOUGH_BYTES = 1 << 30
"""A month of one pair's candles is a few MB, a journal less: this leaves room for everything else as well."""
TOO_FEW_BYTES = 50 << 20
USUAL_COLUMNS = 80


def local_checks(paths: Paths, symbol: str | None) -> tuple[Check, ...]:
    """All of them, in the order they are shown."""
    folder = existing_part(paths.root)
    return (
        check_python(sys.version_info[:2], platform.python_version()),
        check_numba(_version_of("numba")),
        check_writable(paths.root, _is_writable(folder)),
        check_space(folder, shutil.disk_usage(folder).free),
        check_journals(paths, symbol),
        check_terminal(sys.stdout.isatty(), shutil.get_terminal_size().columns, is_robot(os.environ)),
    )


def check_python(running: tuple[int, int], text: str) -> Check:
    """The versions that numba and the tests cover."""
    if PYTHONS[0] <= running <= PYTHONS[1]:
        return passed("python", text)
    return failed("python", text, "Install Python 3.11, 3.12 or 3.13.")


def check_numba(found: str | None) -> Check:
    """The compiler of the rules."""
    if found is None:
        return failed("numba", "not installed", "Install the packages: `pip install -r requirements.txt`.")
    return passed("numba", found)


def check_writable(root: Path, is_writable: bool) -> Check:
    """Where artefacts and journals go."""
    if is_writable:
        return passed("data folder", str(root))
    return failed("data folder", f"{root} cannot be written", "Make it writable, or set SHORTEST_PEAK_DATA_DIR.")


def check_space(folder: Path, free_bytes: int) -> Check:
    """A journal that cannot be written stops entries."""
    found = f"{free_bytes / (1 << 30):,.1f} GiB free at {folder}"
    if free_bytes < TOO_FEW_BYTES:
        return failed("disk space", found, "Free some space: nothing can be traded that cannot be written down.")
    if free_bytes < ENOUGH_BYTES:
        return warned("disk space", found, "Free some space before leaving the program alone for weeks.")
    return passed("disk space", found)


def check_journals(paths: Paths, symbol: str | None) -> Check:
    """Which journals another process is writing."""
    names = [symbol] if symbol else sorted(part.name for part in paths.root.glob("*USDT"))
    files = [file for name in names for file in paths.pair(name).glob("journal-*.sqlite") if "." not in file.stem]
    busy = [file for file in files if _is_locked(file)]
    if busy:
        said = ", ".join(f"{file.parent.name} {file.stem.removeprefix('journal-')}" for file in busy)
        return warned("journals", f"another process trades: {said}", "It is no fault; only one may trade a journal.")
    return passed("journals", f"{counted(len(files), 'journal')}, none in use")


def check_terminal(is_terminal: bool, columns: int, robot: bool) -> Check:
    """Where text goes; nothing of it can fail."""
    if not is_terminal or robot:
        return passed("terminal", "none: plain lines, no questions")
    if columns < USUAL_COLUMNS:
        return warned("terminal", f"{columns} columns", f"Make it {USUAL_COLUMNS} columns wide.")
    return passed("terminal", f"{columns} columns")


def existing_part(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(part for part in (path.absolute(), *path.absolute().parents) if part.is_dir())


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_locked(journal: Path) -> bool:
    try:
        acquire_lock(journal, timeout_s=0).release()
    except BusyError:
        return True
    except ShortestPeakError:
        return False
    return False


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
