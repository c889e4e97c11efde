"""One writer, many readers, and a writer that is killed."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import ArtefactError, BrokenInvariantError, BusyError

from . import workers
from .builders import an_entry

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_a_second_writer_is_refused_and_let_in_later(path: Path) -> None:
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=workers.hold_journal, args=(path, theirs))
    child.start()
    assert ours.recv() == "open"
    with pytest.raises(BusyError) as caught:
        SqliteJournal(path)
    assert "status" in caught.value.cure
    with SqliteJournal(path, read_only=True) as reader:
        assert reader.intents() == [(an_entry(), 1, "{}", None)]
    ours.send("end")
    child.join(60)
    assert child.exitcode == 0
    with SqliteJournal(path) as journal:
        assert len(journal.intents()) == 1


def test_a_second_writer_in_the_same_process_is_refused_too(path: Path) -> None:
    with SqliteJournal(path), pytest.raises(BusyError):
        SqliteJournal(path)
    SqliteJournal(path).close()


def test_a_failed_opening_frees_the_lock(path: Path) -> None:
    path.write_text("this is no database" * 100)
    with pytest.raises(ArtefactError):
        SqliteJournal(path)
    SqliteJournal(path).close()


def test_reading_while_another_writes_sees_each_commit_and_writes_nothing(path: Path) -> None:
    with SqliteJournal(path) as writer, SqliteJournal(path, read_only=True) as reader:
        for n in range(20):
            writer.equity(n, 1.0, 2.0)
            assert len(reader.equity_rows()) == n + 1
        with pytest.raises(BrokenInvariantError, match="read only"):
            reader.event(1, "kind", "{}")


def test_there_is_nothing_to_read_before_the_first_writer(path: Path) -> None:
    with pytest.raises(ArtefactError, match="no journal"):
        SqliteJournal(path, read_only=True)
    assert not path.exists()


def test_killed_in_the_middle_everything_acknowledged_is_there(path: Path) -> None:
    ours, theirs = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=workers.journal_for_ever, args=(path, theirs))
    child.start()
    # Our copy of the writing end must go, or the end of the child would never be seen.
    theirs.close()
    acknowledged = [ours.recv() for _ in range(200)]
    child.kill()
    child.join(60)
    try:
        while True:
            acknowledged.append(ours.recv())
    except (EOFError, OSError):
        pass
    with SqliteJournal(path, read_only=True) as reader:
        seen_by_reader = len(reader.intents())
    with SqliteJournal(path) as journal:
        times = [time_ms for _, time_ms, _, _ in journal.intents()]
        booked = [execution.exec_id for execution in journal.executions()]
    assert times == list(range(len(times)))
    assert len(times) == seen_by_reader >= len(acknowledged)
    assert booked == [f"exec-{n}" for n in range(len(booked))]
    assert len(acknowledged) <= len(booked) <= len(times) <= len(booked) + 1
