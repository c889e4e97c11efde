"""Files that are no journal: kept aside when damaged, left alone when they are somebody else's."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import ArtefactError, DiskError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "BTCUSDT" / "journal-paper-simulated.sqlite"


def broken_page(path: Path) -> None:
    """Damage in the middle of a good file, which opening alone does not see."""
    with SqliteJournal(path) as journal:
        for n in range(300):
            journal.event(n, "kind", "x" * 200)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 4))


def no_database(path: Path) -> None:
    """Something else entirely."""
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, whatever its name says" * 100)


def emptied(path: Path) -> None:
    """Nothing left in the file; SQLite would take it for a new database and throw away the WAL."""
    path.parent.mkdir()
    path.touch()


@pytest.mark.parametrize("damage", [no_database, broken_page])
def test_a_corrupt_journal_is_kept_aside_and_the_next_start_is_fresh(
    path: Path, damage: Callable[[Path], None]
) -> None:
    damage(path)
    content = path.read_bytes()
    with pytest.raises(ArtefactError, match="exchange is the truth") as caught:
        SqliteJournal(path)
    kept = Path(f"{path}.corrupt-1")
    assert str(kept) in caught.value.message
    assert "\n" not in caught.value.message
    assert kept.read_bytes() == content
    with SqliteJournal(path) as journal:
        assert journal.intents() == []
        assert not Path(f"{path}.corrupt-2").exists()


@pytest.mark.parametrize("damage", [no_database, broken_page, emptied])
def test_the_wal_follows_a_corrupt_journal(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    content = path.read_bytes()
    Path(f"{path}-wal").write_bytes(b"frames")
    with pytest.raises(ArtefactError):
        SqliteJournal(path)
    assert Path(f"{path}.corrupt-1").read_bytes() == content
    assert Path(f"{path}.corrupt-1-wal").read_bytes() == b"frames"
    assert not Path(f"{path}-wal").exists()


def test_looking_never_moves_a_corrupt_journal(path: Path) -> None:
    no_database(path)
    content = path.read_bytes()
    with pytest.raises(ArtefactError, match="left where it is"):
        SqliteJournal(path, read_only=True)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def test_damage_met_while_looking_is_no_want_of_space(path: Path) -> None:
    broken_page(path)
    with pytest.raises(ArtefactError, match="left where it is"), SqliteJournal(path, read_only=True) as journal:
        journal.events_of("kind")


def test_another_programs_database_and_a_newer_journal_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(ArtefactError, match="not a journal"):
        SqliteJournal(path)
    path.unlink()
    SqliteJournal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = '2'")
    connection.commit()
    connection.close()
    for read_only in (True, False):
        with pytest.raises(ArtefactError, match="schema_version 2"):
            SqliteJournal(path, read_only=read_only)
    assert path.exists()


def test_an_empty_file_is_a_new_journal(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(ArtefactError, match="no journal"):
        SqliteJournal(path, read_only=True)
    with SqliteJournal(path) as journal:
        assert journal.meta() == {"schema_version": "1"}


def test_a_journal_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DiskError):
        SqliteJournal(tmp_path / "folder")
    (tmp_path / "taken").write_text("")
    with pytest.raises(DiskError):
        SqliteJournal(tmp_path / "taken" / "journal.sqlite")


def test_a_name_with_strange_letters(tmp_path: Path) -> None:
    strange = tmp_path / "a?b#c%20é.sqlite"
    with SqliteJournal(strange) as journal:
        journal.adopt(1, "{}")
    assert strange.exists()
    with SqliteJournal(strange, read_only=True) as journal:
        assert journal.last_adoption() == (1, "{}")


# ---- gone while in use ---------------------------------------------------------------------------


def deleted(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody delete a file that is in use")
@pytest.mark.parametrize("lose", [deleted, moved, replaced])
def test_what_would_be_written_to_a_file_that_is_gone_is_refused(path: Path, lose: Callable[[Path], None]) -> None:
    with SqliteJournal(path) as journal:
        journal.event(1, "kind", "{}")
        lose(path)
        with pytest.raises(DiskError, match="deleted, moved or replaced while in use") as caught:
            journal.event(2, "kind", "{}")
        assert "Put it back" in caught.value.cure
        assert journal.events_of("kind") == [(1, "{}")]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody move a file that is in use")
def test_a_journal_that_was_put_back_is_written_again(path: Path) -> None:
    with SqliteJournal(path) as journal:
        moved(path)
        with pytest.raises(DiskError):
            journal.event(1, "kind", "{}")
        path.parent.with_name("elsewhere").rename(path.parent)
        journal.event(2, "kind", "{}")
    with SqliteJournal(path, read_only=True) as journal:
        assert journal.events_of("kind") == [(2, "{}")]
