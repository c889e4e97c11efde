"""Fixtures every test gets."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal

# How fast this computer is at the moment decides no test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Thousands of tests are collected, none of which is garbage: looking through them again and again costs seconds.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on garbage is looked for, but not among the tests."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _close_journals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Journals that a test leaves open are closed behind it: Python 3.13 warns of forgotten connections."""
    opened: list[SqliteJournal] = []
    honest = SqliteJournal.__init__

    def remember(self: SqliteJournal, *arguments: Any, **options: Any) -> None:
        honest(self, *arguments, **options)
        opened.append(self)

    monkeypatch.setattr(SqliteJournal, "__init__", remember)
    yield
    for journal in opened:
        journal.close()
