"""The queue: one run per lane, shared by processes that may die."""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from your_short_trade_margin_call.adapters.storage.files import locked, write_json
from your_short_trade_margin_call.adapters.storage.optimization_queue import (
    Entry,
    OptimizationQueue,
    Owner,
    RunStatus,
)
from your_short_trade_margin_call.adapters.storage.processes import is_alive
from your_short_trade_margin_call.domain.errors import ArtefactError, BusyError, DiskError

from . import workers
from .builders import FULL, failing

BTC = ("BTCUSDT", "bybit")
ME = Owner(os.getpid(), "me")
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def queue(tmp_path: Path) -> OptimizationQueue:
    return OptimizationQueue(tmp_path / "queue.json", lock_timeout_s=0.1)


def statuses(queue: OptimizationQueue) -> dict[str, str]:
    return {entry.id: entry.status.value for entry in queue.entries()}


def test_a_run_is_planned_claimed_and_finished(queue: OptimizationQueue, tmp_path: Path) -> None:
    assert queue.next_due(*BTC) is None
    planned = queue.enqueue(*BTC, due_ms=100, now_ms=5)
    assert planned == Entry("BTCUSDT-bybit-100", *BTC, None, 100, RunStatus.PENDING, 5)
    assert queue.next_due(*BTC) == 100
    assert queue.claim_due(*BTC, now_ms=99, owner=ME) is None
    claimed = queue.claim_due(*BTC, now_ms=100, owner=ME)
    assert claimed == replace(planned, status=RunStatus.RUNNING, started_ms=100, owner=ME)
    assert queue.claim_due(*BTC, now_ms=100, owner=ME) is None
    assert queue.next_due(*BTC) is None
    assert queue.finish(claimed.id, 120)
    assert not queue.finish(claimed.id, 121)
    assert json.loads((tmp_path / "queue.json").read_text()) == {
        "schema_version": 1,
        "entries": [
            {
                "id": "BTCUSDT-bybit-100",
                "symbol": "BTCUSDT",
                "market": "bybit",
                "account": None,
                "due_ms": 100,
                "status": "done",
                "enqueued_ms": 5,
                "started_ms": 100,
                "finished_ms": 120,
                "owner": None,
                "attempts": 0,
                "error": None,
            }
        ],
    }


def test_a_pending_run_is_moved_not_doubled(queue: OptimizationQueue) -> None:
    queue.enqueue(*BTC, due_ms=100, now_ms=5)
    moved = queue.enqueue(*BTC, due_ms=50, now_ms=6)
    assert (moved.id, moved.due_ms, moved.enqueued_ms) == ("BTCUSDT-bybit-50", 50, 5)
    assert queue.entries() == (moved,)


def test_lanes_do_not_touch_each_other(queue: OptimizationQueue) -> None:
    queue.enqueue(*BTC, 100, 0)
    queue.enqueue("ETHUSDT", "bybit", 100, 0)
    queue.enqueue("BTCUSDT", "simulated", 100, 0)
    queue.enqueue(*BTC, 100, 0, account="demo")
    assert len(statuses(queue)) == 4
    claimed = queue.claim_due(*BTC, 200, ME, account="demo")
    assert claimed is not None
    assert claimed.account == "demo"
    assert queue.next_due(*BTC) == 100
    assert queue.next_due(*BTC, account="demo") is None


def test_ids_are_derived_and_unique(queue: OptimizationQueue) -> None:
    ids = []
    for _ in range(3):
        queue.enqueue(*BTC, 100, 0)
        claimed = queue.claim_due(*BTC, 100, ME)
        assert claimed is not None
        ids.append(claimed.id)
        queue.finish(claimed.id, 101)
    assert ids == ["BTCUSDT-bybit-100", "BTCUSDT-bybit-100-2", "BTCUSDT-bybit-100-3"]


def test_an_overdue_run_is_claimed(queue: OptimizationQueue) -> None:
    queue.enqueue(*BTC, due_ms=100, now_ms=0)
    claimed = queue.claim_due(*BTC, now_ms=10**12, owner=ME)
    assert claimed is not None
    assert claimed.due_ms == 100


def test_a_failure_keeps_its_reason_and_plans_nothing(queue: OptimizationQueue) -> None:
    queue.enqueue(*BTC, 100, 0)
    claimed = queue.claim_due(*BTC, 100, ME)
    assert claimed is not None
    assert queue.fail(claimed.id, "no candles", 110)
    (entry,) = queue.entries()
    assert (entry.status, entry.error, entry.finished_ms) == (RunStatus.FAILED, "no candles", 110)
    assert queue.next_due(*BTC) is None


def test_cancel_ends_what_is_pending_and_only_that(queue: OptimizationQueue) -> None:
    queue.enqueue(*BTC, 100, 0)
    queue.claim_due(*BTC, 100, ME)
    queue.enqueue(*BTC, 200, 100)
    (cancelled,) = queue.cancel(*BTC, now_ms=150)
    assert (cancelled.status, cancelled.finished_ms) == (RunStatus.CANCELLED, 150)
    assert statuses(queue) == {"BTCUSDT-bybit-100": "running", "BTCUSDT-bybit-200": "cancelled"}
    assert queue.cancel(*BTC) == ()


def test_the_last_200_finished_are_kept_and_all_others(queue: OptimizationQueue, tmp_path: Path) -> None:
    done = [Entry(f"run-{n}", *BTC, None, n, RunStatus.DONE, n).to_json() for n in range(205)]
    write_json(tmp_path / "queue.json", {"schema_version": 1, "entries": done})
    queue.enqueue(*BTC, 999, 205)
    kept = queue.entries()
    assert [entry.due_ms for entry in kept] == [*range(5, 205), 999]


# ---- processes that die --------------------------------------------------------------------------


def test_a_dead_process_run_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "queue.json"
    queue = OptimizationQueue(path)
    queue.enqueue(*BTC, 100, 0)
    child = SPAWN.Process(target=workers.claim_and_die, args=(path,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert statuses(queue) == {"BTCUSDT-bybit-100": "running"}
    assert queue.next_due(*BTC) == 100
    claimed = queue.claim_due(*BTC, 300, ME)
    assert claimed is not None
    assert (claimed.id, claimed.attempts, claimed.owner, claimed.started_ms) == ("BTCUSDT-bybit-100", 1, ME, 300)


def test_a_living_process_run_is_left_alone(queue: OptimizationQueue) -> None:
    queue.enqueue(*BTC, 100, 0)
    queue.claim_due(*BTC, 100, Owner(os.getppid(), "parent"))
    assert queue.claim_due(*BTC, 10**9, ME) is None
    assert queue.next_due(*BTC) is None


def test_the_same_pid_with_another_token_is_a_process_that_died(queue: OptimizationQueue) -> None:
    queue.enqueue(*BTC, 100, 0)
    queue.claim_due(*BTC, 100, Owner(os.getpid(), "before the restart"))
    claimed = queue.claim_due(*BTC, 100, ME)
    assert claimed is not None
    assert claimed.attempts == 1


def test_one_run_serves_all_that_are_due(tmp_path: Path) -> None:
    queue = OptimizationQueue(tmp_path / "queue.json", alive=lambda _: False)
    queue.enqueue("BTCUSDT", "simulated", 100, 0)
    queue.claim_due("BTCUSDT", "simulated", 100, Owner(7, "dead"))
    queue.enqueue("BTCUSDT", "simulated", 200, 100)
    claimed = queue.claim_due("BTCUSDT", "simulated", 250, ME)
    assert claimed is not None
    assert statuses(queue) == {"BTCUSDT-simulated-100": "running", "BTCUSDT-simulated-200": "cancelled"}
    assert queue.entries()[1].error == "superseded by BTCUSDT-simulated-100"


def test_a_run_planned_for_later_survives_a_take_over(tmp_path: Path) -> None:
    queue = OptimizationQueue(tmp_path / "queue.json", alive=lambda _: False)
    queue.enqueue(*BTC, 100, 0)
    queue.claim_due(*BTC, 100, Owner(7, "dead"))
    queue.enqueue(*BTC, 200, 100)
    queue.claim_due(*BTC, 150, ME)
    assert statuses(queue) == {"BTCUSDT-bybit-100": "running", "BTCUSDT-bybit-200": "pending"}


def test_who_is_alive() -> None:
    assert is_alive(os.getpid())
    assert not any(is_alive(pid) for pid in (0, -1, 2**22 + 1, 10**30))


# ---- two processes at once -----------------------------------------------------------------------


def test_two_processes_hammering_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "queue.json"
    children = [SPAWN.Process(target=workers.hammer_queue, args=(path, name, 25)) for name in ("AAA", "BBB")]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    queue = OptimizationQueue(path)
    entries = queue.entries()
    for name in ("AAA", "BBB"):
        own = [entry for entry in entries if entry.symbol == name]
        assert [(entry.due_ms, entry.status) for entry in own] == [(n, RunStatus.DONE) for n in range(25)]
    assert [entry.status for entry in entries if entry.symbol == "SHARED"] == [RunStatus.PENDING]
    assert queue.notes == []


def test_a_run_is_won_by_one_process_only(tmp_path: Path) -> None:
    path = tmp_path / "queue.json"
    queue = OptimizationQueue(path)
    for n in range(20):
        queue.enqueue(f"PAIR{n}", "bybit", 5, 0)
    pipes = [SPAWN.Pipe() for _ in range(2)]
    children = [SPAWN.Process(target=workers.race_for_runs, args=(path, 20, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    won = [name for ours, _ in pipes for name in ours.recv()]
    for ours, _ in pipes:
        ours.send("end")
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert sorted(won) == sorted(f"PAIR{n}-bybit-5" for n in range(20))


def test_a_lock_held_too_long_is_a_named_error(queue: OptimizationQueue, tmp_path: Path) -> None:
    with locked(tmp_path / "queue.json"), pytest.raises(BusyError) as caught:
        queue.enqueue(*BTC, 100, 0)
    assert caught.value.cure
    assert queue.entries() == ()


# ---- files that went wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "{half",
        "{}",
        '{"entries": [5]}',
        '{"entries": [{"id": "x"}]}',
        '{"entries": [{"id": "x", "symbol": "B", "market": "m", "due_ms": 1, "enqueued_ms": 0, "status": "maybe"}]}',
        '{"entries": [{"id": 5, "symbol": "B", "market": "m", "due_ms": 1, "enqueued_ms": 0, "status": "done"}]}',
        '{"entries": [{"id": "x", "symbol": "B", "market": "m", "due_ms": true, "enqueued_ms": 0, "status": "done"}]}',
    ],
)
@pytest.mark.parametrize("reads_first", [True, False])
def test_a_corrupt_queue_is_kept_aside_and_a_fresh_one_begins(tmp_path: Path, content: str, reads_first: bool) -> None:
    path = tmp_path / "queue.json"
    path.write_text(content)
    queue = OptimizationQueue(path)
    if reads_first:
        assert queue.entries() == ()
    queue.enqueue(*BTC, 100, 0)
    assert Path(f"{path}.corrupt-1").read_text() == content
    assert statuses(queue) == {"BTCUSDT-bybit-100": "pending"}
    (note,) = queue.notes
    assert f"{path}.corrupt-1" in note


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.json"
    path.write_text('{"schema_version": 2, "entries": "other"}')
    queue = OptimizationQueue(path)
    for use in (queue.entries, lambda: queue.enqueue(*BTC, 100, 0)):
        with pytest.raises(ArtefactError, match="schema_version 2"):
            use()
    assert path.read_text() == '{"schema_version": 2, "entries": "other"}'


def test_a_full_disk_leaves_the_queue_as_it_was(queue: OptimizationQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue(*BTC, 100, 0)
    before = queue.entries()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(FULL))
        with pytest.raises(DiskError):
            queue.claim_due(*BTC, 100, ME)
    assert queue.entries() == before
    assert queue.claim_due(*BTC, 100, ME) is not None
