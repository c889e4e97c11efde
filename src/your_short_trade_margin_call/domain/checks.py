"""One thing that was looked at before trading: how it stands, what was found, what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 (a word, no password)
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `cure` is empty where nothing needs doing."""

    name: str
    status: CheckStatus
    found: str
    cure: str = ""

    def as_dict(self) -> dict[str, str]:
        """JSON-able."""
        return {"name": self.name, "status": str(self.status), "found": self.found, "cure": self.cure}


def passed(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, CheckStatus.PASS, found)


def warned(name: str, found: str, cure: str) -> Check:
    """It works, but should not stay so."""
    return Check(name, CheckStatus.WARN, found, cure)


def failed(name: str, found: str, cure: str) -> Check:
    """It does not work, or must not be traded with."""
    return Check(name, CheckStatus.FAIL, found, cure)


def failures(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks that failed, in their order."""
    return tuple(check for check in checks if check.status is CheckStatus.FAIL)
