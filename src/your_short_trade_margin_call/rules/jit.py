"""The one decorator that compiles kernels, with a cache that cannot go stale.

Numba's own cache notices a change in the decorated function's file only: a change in a callee that
lives in another file, or in an enum a kernel froze, would leave the caller's old binary in use. So
the cache folder is named by a hash of every source a kernel can reach, before anything is decorated.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import platformdirs
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.registry import CPUDispatcher

from your_short_trade_margin_call.rules.interpreted import interpret, is_interpreting

_PACKAGE = Path(__file__).resolve().parent.parent
_KERNEL_SOURCES = ("rules/*.py", "research/*kernel*.py", "domain/words.py", "domain/spans.py")

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

numba.config.DISABLE_JIT = 0  # type: ignore[attr-defined]  # NUMBA_DISABLE_JIT: kernels are interpreted in our own way


class _KeptKernels:
    """Numba's cache on disk for one function, opened when the function is first called.

    A kernel found there is loaded without what only compiling needs: all implementations numba has, and its memory
    manager, which our kernels do without. That is a good part of the time a small program takes to start. A
    compiler that does start loads them itself.
    """

    def __init__(self, function: Any) -> None:
        self._function = function

    @cached_property
    def _file(self) -> Any:
        return FunctionCache(self._function)  # type: ignore[no-untyped-call]  # numba has no types here

    @property
    def cache_path(self) -> Any:
        """The folder of the kernel."""
        return self._file.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel for a signature, or None."""
        with self._file._guard_against_spurious_io_errors():
            return self._file._load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel."""
        self._file.save_overload(sig, data)


class _NoCollecting(event.Listener):
    """Lets the garbage collector rest while a kernel is compiled.

    It would look through the compiler's hundred thousand objects again and again, a good part of a first start, and
    find next to nothing. Compilers call each other, one at a time: the last one to end wakes the collector, if it
    was awake.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._was_awake = False

    def on_start(self, event: event.Event) -> None:
        if self._depth == 0:
            self._was_awake = gc.isenabled()
            gc.disable()
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if self._depth == 0 and self._was_awake:
            gc.enable()


event.register("numba:compile", _NoCollecting())  # type: ignore[no-untyped-call]  # numba has no types here


class _Kernel(CPUDispatcher):
    """A compiled function, unless the interpreter is to run it."""

    def __call__(self, *arguments: Any) -> Any:
        if is_interpreting():
            return interpret(self, arguments)
        return super().__call__(*arguments)


def jit(function: Function) -> Function:
    """Compile `function` on first call: no Python objects, no GIL, IEEE arithmetic, kept on disk.

    It counts no references, so it may look at arrays and fill them, but not make any. Counting those of a market at
    every call would cost more than the calls, and threads would wait for each other's counters.
    """
    return _compiled(function)


def jit_inline(function: Function) -> Function:
    """As `jit`, for small functions and those with one caller: pasted into the caller before typing.

    Numba spends a tenth of a second on every function it compiles on its own; pasting the small ones
    saves about a third of the first start (docs/decisions/0007). They compile by themselves too, when
    Python calls them.
    """
    return _compiled(function, inline="always")


def kernels_folder() -> Path | None:
    """Where compiled kernels of this version are kept; None where none can be."""
    return _FOLDER


def is_compiled(kernel: Any) -> bool:
    """Whether a kernel is at hand: compiled in this process, or kept by an earlier one."""
    if kernel.signatures:
        return True
    return _FOLDER is not None and any(_FOLDER.rglob(f"*.{kernel.__name__}-*.nbi"))


def _compiled(function: Function, **options: Any) -> Function:
    wanted: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, **options}
    kernel: Any = numba.njit(**wanted)(function)
    kernel.__class__ = _Kernel
    if _FOLDER is not None:
        kernel._cache = _KeptKernels(function)
    return cast(Function, kernel)
