"""The one decorator that compiles kernels, with a cache that cannot go stale.

Numba's own cache notices a change in the decorated function's file only: a change in a callee that
lives in another file, or in an enum a kernel froze, would leave the caller's old binary in use. So
the cache folder is named by a hash of every source a kernel can reach, before anything is decorated.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import platformdirs

_PACKAGE = Path(__file__).resolve().parent.parent
_KERNEL_SOURCES = ("rules/*.py", "research/*kernel*.py", "domain/words.py")

Function = TypeVar("Function", bound=Callable[..., object])


def source_hash(package: Path = _PACKAGE) -> str:
    """Hash of all sources that compiled kernels depend on, as 16 hex digits."""
    digest = hashlib.blake2b(digest_size=8)
    for pattern in _KERNEL_SOURCES:
        for path in sorted(package.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _cache_folder() -> Path | None:
    """The folder for compiled kernels, or None where none can be written (then they live in memory)."""
    base = os.environ.get("NUMBA_CACHE_DIR") or str(Path(platformdirs.user_cache_dir("shortest-peak")) / "kernels")
    folder = Path(base) / source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


_FOLDER = _cache_folder()
if _FOLDER is not None:
    numba.config.CACHE_DIR = str(_FOLDER)  # type: ignore[attr-defined]  # set at run time


def jit(function: Function) -> Function:
    """Compile `function` on first call: no Python objects, no GIL, IEEE arithmetic, kept on disk.

    It counts no references, so it may look at arrays but not make or return any: see `jit_arrays`. Counting
    those of a market and its index at every call costs more than the calls, and threads wait for the counters.
    """
    return _compiled(function, _nrt=False)


def jit_inline(function: Function) -> Function:
    """As `jit`, for small functions and those with one caller: pasted into the caller before typing.

    Numba spends a tenth of a second on every function it compiles on its own; pasting the small ones
    saves about a third of the first start (docs/decisions/0007). They compile by themselves too, when
    Python calls them.
    """
    return _compiled(function, _nrt=False, inline="always")


def jit_arrays(function: Function) -> Function:
    """As `jit`, for functions that make arrays."""
    return _compiled(function)


def _compiled(function: Function, **options: Any) -> Function:
    return cast(Function, numba.njit(cache=_FOLDER is not None, nogil=True, error_model="numpy", **options)(function))
