"""The first start of a version: small work does not wait for the compiler, which goes on beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from your_short_trade_margin_call.adapters.storage.files import is_in_use
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.research.sweep_kernel import run_paths
from your_short_trade_margin_call.rules.interpreted import interpreting
from your_short_trade_margin_call.rules.jit import is_compiled, kernels_folder

Result = TypeVar("Result")

_FIRST = "First run of this version here:"

LOCK_NAME = "compiling"
"""Whoever compiles all kernels holds the lock of this name in their folder."""

_MOST_INTERPRETED = 500_000
"""Candles times trials that are interpreted sooner (some 10 us each) than the sweep's kernels are compiled."""
_ONCE = 2
"""What preparing a market costs, in trials."""


def is_small_work(n_candles: int, n_trials: int) -> bool:
    """Whether so many trials are over sooner interpreted than compiled, compiling included."""
    return n_candles * (n_trials + _ONCE) <= _MOST_INTERPRETED


def warn_of_compiling(screen: Screen, late: Any = run_paths) -> None:
    """Say why nothing seems to happen the first time; `late` is a kernel that is compiled late of what is needed."""
    if not is_compiled(late):
        why = "What comes now needs them compiled: that" if _BESIDE else f"{_FIRST} compiling its rules"
        screen.say(f"{why} takes about a minute, longer on a busy computer.")


def begin_first_start(screen: Screen, is_small: bool) -> None:
    """Say why the first time is slower than others; before small work, have the rules compiled beside it."""
    if not is_small:
        warn_of_compiling(screen)
    elif not is_compiled(run_paths):
        beside = ", and compiled in the background for later" if compile_beside() else ""
        screen.say(f"{_FIRST} its rules are interpreted{beside}.")


def promptly(work: Callable[[], Result], is_small: bool = True) -> Result:
    """Do `work`; small work on a first start is interpreted, and does not wait for the compiler."""
    return work() if not is_small or is_compiled(run_paths) else interpreted(work)


def interpreted(work: Callable[[], Result]) -> Result:
    """Do `work` without the compiler, and without what it kept."""
    try:
        with interpreting():
            return work()
    except (ArithmeticError, ValueError):  # Python refuses what a compiled kernel reckons with: once more, compiled
        return work()


def compile_beside() -> bool:
    """Begin `shortest-peak compile` in a process that outlives this one, unless one is at it.

    Returns:
        Whether the rules are being compiled; they are not where they cannot be kept, or no process can be started.
    """
    folder = kernels_folder()
    if folder is None:
        return False
    if is_in_use(folder / LOCK_NAME):
        return True
    with suppress(OSError):
        _BESIDE.append(
            subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", __name__.partition(".")[0], "compile"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        return True
    return False


_BESIDE: list[subprocess.Popen[bytes]] = []
"""Kept, so that nobody is warned of a process that is meant to outlive this one."""
