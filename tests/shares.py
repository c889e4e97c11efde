"""Families of cases that check one rule: a share of each is in the suite, `make test-long` runs the rest as well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def late(*values: Any) -> Any:
    """A case for `make test-long` alone."""
    return pytest.param(*values, marks=pytest.mark.long)


def shared(cases: Iterable[Any], every: int) -> list[Any]:
    """One case in `every` for the suite, beginning with the first; the others for `make test-long`."""
    return [case if place % every == 0 else late(case) for place, case in enumerate(cases)]
