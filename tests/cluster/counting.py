"""What workers are asked in the tests; they import it from here."""

from __future__ import annotations

import os
from typing import Any

ARRIVALS: list[str] = []
"""What has arrived in this process, again if it did so again."""


class Parcel:
    """Notes its own arrival in a process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        ARRIVALS.append(self.name)


def arrivals(shared: Any, _call: int) -> tuple[int, int]:
    """Which process this is, and how often the parcel arrived in it."""
    return os.getpid(), ARRIVALS.count(shared.value.name)


def process_of(_call: int) -> int:
    """Which process this is."""
    return os.getpid()


def fail_with(error: Exception) -> None:
    """Raise it."""
    raise error


def die(_call: int) -> None:
    """Take the worker down with it."""
    os._exit(1)
