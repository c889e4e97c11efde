"""One planned optimisation run, and how it looks in JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class RunStatus(StrEnum):
    """Where a planned run stands; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True when nothing more happens to the run."""
        return self not in (RunStatus.PENDING, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs an entry. `token` tells two processes apart that were given the same pid one after the other."""

    pid: int
    token: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One planned run. Moments in UTC ms; `account` is None when the run is tied to none.

    `attempts` counts the processes that died running it.
    """

    id: str
    symbol: str
    market: str
    account: str | None
    due_ms: int
    status: RunStatus
    enqueued_ms: int
    started_ms: int | None = None
    finished_ms: int | None = None
    owner: Owner | None = None
    attempts: int = 0
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Any) -> Entry:
        """The entry in a JSON object.

        Raises:
            ValueError: it is not one, or a field is missing or of the wrong type.
        """
        try:
            owner = raw.get("owner")
            return cls(
                id=_a(str, raw["id"]),
                symbol=_a(str, raw["symbol"]),
                market=_a(str, raw["market"]),
                account=_maybe(str, raw.get("account")),
                due_ms=_a(int, raw["due_ms"]),
                status=RunStatus(raw["status"]),
                enqueued_ms=_a(int, raw["enqueued_ms"]),
                started_ms=_maybe(int, raw.get("started_ms")),
                finished_ms=_maybe(int, raw.get("finished_ms")),
                owner=None if owner is None else Owner(_a(int, owner["pid"]), _a(str, owner["token"])),
                attempts=_a(int, raw.get("attempts", 0)),
                error=_maybe(str, raw.get("error")),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"an entry of the queue is not one: {error!r}") from error


def _a(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _maybe(kind: type[T], value: Any) -> T | None:
    return None if value is None else _a(kind, value)
