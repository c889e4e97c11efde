"""What makes a worker's results ours: the same sources, the same compiler, the same arithmetic."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from your_short_trade_margin_call.domain.errors import DifferentProgramError

PACKAGE = Path(__file__).resolve().parents[2]

Program = Mapping[str, str]
"""What a process reckons with, by name."""


@cache
def this_program() -> Program:
    """What this process reckons with. Read once: a worker keeps the modules it began with, whatever happens on disk."""
    return {
        "program": _sources(PACKAGE),
        "numba": _version("numba"),
        "numpy": _version("numpy"),
        "arithmetic": _arithmetic(),
    }


def _sources(package: Path) -> str:
    """Hash of every source of the package, as 16 hex digits; line ends do not count."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_text(encoding="utf-8").encode())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _arithmetic() -> str:
    """Hash of the last bits of logarithms and cosines: luck is drawn from them, and machines may differ in them."""
    points = [(k + 0.5) / 512 for k in range(512)]
    numbers = [value for x in points for value in (math.log(x), math.cos(6.283185307179586 * x), math.sqrt(x))]
    return hashlib.blake2b(struct.pack(f"<{len(numbers)}d", *numbers), digest_size=8).hexdigest()


def differences(ours: Program, theirs: Program) -> str:
    """What is not the same, in words; empty when all is."""
    return ", ".join(
        f"{name} {theirs.get(name, 'absent')} instead of {mine}"
        for name, mine in ours.items()
        if theirs.get(name) != mine
    )


def run_checked(ours: Program, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function where the program is the sender's, also on a worker that joined later.

    Raises:
        DifferentProgramError: it is another.
    """
    if said := differences(ours, this_program()):
        raise different(f"A worker that joined later differs: {said}.")
    return function(*arguments)


def different(message: str) -> DifferentProgramError:
    """The error, with its cure."""
    return DifferentProgramError(
        message, "Install the same version and requirements.txt there, and start that worker again."
    )
