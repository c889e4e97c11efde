"""Values that many pieces of work take, for executors that send work to other processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Shared(Generic[Value]):
    """An argument of many calls that are submitted to an executor, with a `key` that names its content.

    Threads take it as it is. An executor that sends work elsewhere knows by the key that a worker has it already.
    """

    key: str
    value: Value
