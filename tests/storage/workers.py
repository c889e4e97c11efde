"""What the tests run in a second process."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from pathlib import Path

from your_short_trade_margin_call.adapters.storage import looks as looks_module
from your_short_trade_margin_call.adapters.storage.artefacts import save_best_params
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.storage.looks import Look, Looks
from your_short_trade_margin_call.adapters.storage.optimization_queue import OptimizationQueue, Owner
from your_short_trade_margin_call.paths import Paths

from .builders import a_document, an_entry, an_execution


def hammer_queue(path: Path, symbol: str, rounds: int) -> None:
    """Plan, claim and finish runs of one pair, and plan one for a pair that everybody plans."""
    queue = OptimizationQueue(path)
    owner = Owner(os.getpid(), symbol)
    for now_ms in range(rounds):
        queue.enqueue("SHARED", "bybit", now_ms, now_ms)
        planned = queue.enqueue(symbol, "bybit", now_ms, now_ms)
        claimed = queue.claim_due(symbol, "bybit", now_ms, owner)
        if claimed is None or claimed.id != planned.id or not queue.finish(claimed.id, now_ms):
            raise AssertionError(f"{symbol} lost its run at {now_ms}: {claimed}")


def race_for_runs(path: Path, rounds: int, results: Connection) -> None:
    """Claim whatever is due among many lanes; send the ids that were won."""
    queue = OptimizationQueue(path)
    owner = Owner(os.getpid(), "racer")
    won = [queue.claim_due(f"PAIR{n}", "bybit", 10, owner) for n in range(rounds)]
    results.send([entry.id for entry in won if entry is not None])
    # Stay alive until told: a dead winner's runs would rightly be taken over.
    results.recv()


def claim_and_die(path: Path) -> None:
    """Begin a run and end without finishing it."""
    if OptimizationQueue(path).claim_due("BTCUSDT", "bybit", 100, Owner(os.getpid(), "dies")) is None:
        raise AssertionError("nothing was due")


def journal_for_ever(path: Path, results: Connection) -> None:
    """Write intents and executions without end, acknowledging each after the journal returned."""
    with SqliteJournal(path) as journal:
        for n in range(1_000_000):
            journal.intent(an_entry(f"link-{n}"), n, "{}")
            journal.execution(an_execution(f"exec-{n}"))
            results.send(n)


def hold_journal(path: Path, results: Connection) -> None:
    """Open a journal for writing and keep it until told."""
    with SqliteJournal(path) as journal:
        journal.intent(an_entry(), 1, "{}")
        results.send("open")
        results.recv()


def save_often(root: Path, market: str, rounds: int) -> None:
    """Save best parameters again and again."""
    for seed in range(rounds):
        save_best_params(Paths(root), a_document(market=market, seed=seed))


def look_often(path: Path, name: str, rounds: int) -> None:
    """Look at a procedure of one's own and at one that everybody looks at, again and again."""
    looks = Looks(path)
    for k in range(rounds):
        looks.remember(Look(f"{name}-{k}", "BTCUSDT", "bybit", 0, 1, 2))
        looks.remember(Look("shared", "BTCUSDT", "bybit", 0, 1, 2))


def look_and_die(path: Path) -> None:
    """Look, and end where the file has been read and is about to be written."""

    def die(*_: object) -> None:
        os._exit(9)

    vars(looks_module)["write_json"] = die
    Looks(path).remember(Look("b", "BTCUSDT", "bybit", 0, 1, 2))
