"""From a pushed closing candle to the entry order arriving at the exchange: ours beside ccxt.pro and pybit, in one run.

Run it with `make latency` (ARGS="--rounds 100"). Exchange and client are processes of their own on this computer, so no
network is in the figures: they are what the program itself costs. As if they were two computers, exchanges have one
core and clients another, where there are two. A round begins when the exchange hands the closed candle of the pair
that signals to a socket, and ends when it has read the order, before it looks at it; both moments are taken there, on
one clock, and for every client alike. With 50 pairs all of them close at that moment, every client hears all of them,
and the exchange reads what comes between any two messages it sends: on a real one, too, an order does not wait until
everybody has been told everything. Clients take turns, one round each, so what else the machine does meets all of them.
Orders go by REST or by the stream for orders: each client does both, ours by stream where an account has one. Ours is
shown less its journal's commit, which the others do not have, and with it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 10
PACE_S = 0.4
"""Between rounds: the exchange takes ten orders a second, and our own budget keeps some of those for exits."""
CLIENTS = tuple(f"{client}, {way}" for way in ("REST", "stream") for client in ("ours", "ccxt.pro", "pybit"))
PAIRS = (1, 50)


def is_ours(client: str) -> bool:
    """Whether a client is ours, by stream or by REST."""
    return client.startswith("ours")


@dataclass(frozen=True)
class Measured:
    """Milliseconds of each round, and how many rounds brought no order."""

    client: str
    pairs: int
    taken_ms: np.ndarray
    journal_ms: np.ndarray
    missing: int

    def line(self) -> str:
        """A row of the Markdown table."""
        if not len(self.taken_ms):
            return f"| {self.client} | {self.pairs} | - | - | - | 0 | {self.missing} |"
        own = self.taken_ms - self.journal_ms
        p50, p99 = np.percentile(own, (50, 99))
        with_journal = ", ".join(f"{value:.2f}" for value in np.percentile(self.taken_ms, (50, 99)))
        shown = with_journal if is_ours(self.client) else "-"
        return f"| {self.client} | {self.pairs} | {p50:.2f} | {p99:.2f} | {shown} | {len(own)} | {self.missing} |"


class Pair:
    """One client and an exchange of its own: begun, then connected, then ready."""

    def __init__(self, client: str, pairs: int, rounds: int) -> None:
        self.client, self.pairs = client, pairs
        self._exchange = _start("benchmarks.latency_exchange", str(pairs), str(rounds), core=0)
        self._trader: subprocess.Popen[str] | None = None
        self._taken: list[int | None] = []

    def connect(self) -> None:
        """Start the client once its exchange is there."""
        url = json.loads(_line(self._exchange))["url"]
        self._trader = _start("benchmarks.latency_clients", self.client, url, str(self.pairs), core=1)

    def wait(self) -> None:
        """Until the client is ready."""
        if self._trader is None or _line(self._trader) != "ready":
            raise SystemExit(f"{self.client} did not start.")

    def round(self) -> None:
        """One closing candle."""
        _say(self._exchange, "round")
        self._taken.append(json.loads(_line(self._exchange)))
        if not is_ours(self.client):
            _say(self._exchange, "close")

    def end(self) -> Measured:
        """Stop both; what was measured after the warm-up."""
        out = "" if self._trader is None else self._trader.communicate(timeout=60)[0]
        self._exchange.communicate(timeout=60)
        journal = json.loads(out.strip().splitlines()[-1]) if is_ours(self.client) else []
        return _measured(self.client, self.pairs, self._taken, journal)


def measure(clients: Sequence[str], pairs: int, rounds: int) -> list[Measured]:
    """Each client against an exchange of its own; one round of each in turn, so what else the machine does hits all."""
    running = [Pair(client, pairs, rounds + WARM_UP) for client in clients]
    for each in running:
        each.connect()
    for each in running:
        each.wait()
    for _ in range(rounds + WARM_UP):
        for each in running:
            time.sleep(PACE_S / len(running))
            each.round()
    return [each.end() for each in running]


def _measured(client: str, pairs: int, taken: Sequence[int | None], journal: Sequence[int]) -> Measured:
    came = [ns for ns in taken[WARM_UP:] if ns is not None]
    missing = sum(ns is None for ns in taken[WARM_UP:])
    own = list(journal)[-len(came) :] if journal else [0] * len(came)
    return Measured(client, pairs, np.array(came) / 1e6, np.array(own) / 1e6, missing)


def _start(module: str, *arguments: str, core: int) -> subprocess.Popen[str]:
    """A process of its own, on a core of its kind."""
    process = subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(process.pid, {cores[core % len(cores)]})
    return process


def _line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise SystemExit("no pipe")
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{process.args} ended early.")
    return line


def _say(process: subprocess.Popen[str], word: str) -> None:
    if process.stdin is None:
        raise SystemExit("no pipe")
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def main() -> None:
    """Measure everything; print a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--clients", nargs="*", default=CLIENTS)
    options = parser.parse_args()
    print("| client | pairs closing | median ms | p99 ms | with journal | orders | missing |\n" + "|---" * 7 + "|")
    for pairs in PAIRS:
        for measured in measure(options.clients, pairs, options.rounds):
            print(measured.line(), flush=True)


if __name__ == "__main__":
    main()
