"""The log of looks: numbers are kept for good, no look is lost, and what cannot be read is never overwritten."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.storage import workers
from your_short_trade_margin_call.adapters.storage import looks as looks_module
from your_short_trade_margin_call.adapters.storage.files import locked
from your_short_trade_margin_call.adapters.storage.looks import Look, Looks, procedure_key
from your_short_trade_margin_call.domain.errors import ArtefactError, BusyError, DiskError

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "looks.json"


def a_look(key: str = "a", market: str = "bybit", from_ms: int = 100, until_ms: int = 900) -> Look:
    return Look(key, "BTCUSDT", market, 0, from_ms, until_ms, verdict="LUCK")


def test_the_first_look_gives_a_number_for_good(path: Path) -> None:
    looks = Looks(path)
    assert (looks.next_number("bybit"), looks.known("a")) == (1, None)
    first = looks.remember(a_look("a"))
    assert (first.number, first.looks) == (1, 1)
    assert looks.remember(a_look("b")).number == 2
    again = looks.remember(replace(a_look("a", until_ms=1_000), number=77, verdict="REAL"))
    assert (again.number, again.looks, again.until_ms, again.verdict) == (1, 2, 1_000, "REAL")
    assert looks.known("a") == again
    assert (looks.next_number("bybit"), [look.key for look in looks.all()]) == (3, ["a", "b"])


def test_a_record_that_begins_elsewhere_is_another_procedure(path: Path) -> None:
    looks = Looks(path)
    looks.remember(a_look(from_ms=100))
    later = looks.remember(a_look(from_ms=500))
    assert later.number == 2
    assert looks.known("a") == later, "the record that was begun last is the one that goes on"


def test_markets_for_money_count_together_and_the_others_each_alone(path: Path) -> None:
    looks = Looks(path)
    markets = [
        "bybit",
        "replay",
        "simulated",
        "bybit-testnet",
        "simulated",
        "loopback-1",
        "bybit-at-x.example",
        "bybit",
    ]
    numbers = [looks.remember(a_look(str(k), market)).number for k, market in enumerate(markets)]
    assert numbers == [1, 2, 1, 1, 2, 1, 3, 4]


def test_a_key_is_of_everything_and_of_nothing_else() -> None:
    settings = {"leverage": 3.0, "seed": 42}
    key = procedure_key("BTCUSDT", "bybit", settings)
    assert key == procedure_key("BTCUSDT", "bybit", dict(reversed(settings.items())))
    others = [procedure_key("ETHUSDT", "bybit", settings), procedure_key("BTCUSDT", "replay", settings),
              procedure_key("BTCUSDT", "bybit", settings | {"seed": 43})]  # fmt: skip
    assert len({key, *others}) == 4
    assert len(key) == 16


def test_two_processes_at_once_lose_no_look(path: Path) -> None:
    """Each looks at procedures of its own and at a common one; every look is counted and every number given once."""
    names = ("one", "two")
    children = [SPAWN.Process(target=workers.look_often, args=(path, name, 25)) for name in names]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    looks = Looks(path).all()
    assert {look.key: look.looks for look in looks} == {"shared": 50} | {
        f"{n}-{k}": 1 for n in names for k in range(25)
    }
    assert sorted(look.number for look in looks) == list(range(1, 52))


def test_a_lock_that_is_held_is_a_named_error(path: Path) -> None:
    with locked(path, 1.0), pytest.raises(BusyError):
        Looks(path, lock_timeout_s=0.05).remember(a_look())
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"schema_version": 2, "procedures": []},
        {"procedures": []},
        {"schema_version": 1},
        {"schema_version": 1, "procedures": [{"key": "a"}]},
        {"schema_version": 1, "procedures": ["a"]},
        {"schema_version": 1, "procedures": None},
    ],
)
def test_a_file_of_another_version_or_shape_is_left_as_it_is(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content))
    before = path.read_bytes()
    looks = Looks(path)
    for ask in (
        looks.all,
        lambda: looks.known("a"),
        lambda: looks.next_number("bybit"),
        lambda: looks.remember(a_look()),
    ):
        with pytest.raises(ArtefactError) as caught:
            ask()
        assert caught.value.cure
    assert path.read_bytes() == before


def test_a_corrupt_file_stays_until_somebody_decides_to_count_anew(path: Path) -> None:
    """Set aside by itself, it would begin the counting again, and nobody would know."""
    path.write_text('{"schema_version": 1, "procedures": [')
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(ArtefactError, match="left where it is") as caught:
            Looks(path).remember(a_look())
        assert "counting begins anew" in caught.value.cure
    assert path.read_bytes() == before


def test_a_death_between_reading_and_writing_leaves_the_old_file(path: Path) -> None:
    Looks(path).remember(a_look("a"))
    before = path.read_bytes()
    child = SPAWN.Process(target=workers.look_and_die, args=(path,))
    child.start()
    child.join(60)
    assert child.exitcode == 9
    assert path.read_bytes() == before
    assert Looks(path).remember(a_look("b")).number == 2, "the lock of the dead is free"


def test_a_full_disk_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Looks(path).remember(a_look("a"))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise DiskError("There is no space.", "Free some.")

    monkeypatch.setattr(looks_module, "write_json", full)
    with pytest.raises(DiskError):
        Looks(path).remember(a_look("b"))
    assert path.read_bytes() == before
