"""From a pushed closing candle to the entry order arriving at the exchange: ours beside ccxt.pro and pybit, in one run.

Run it with `make latency` (ARGS="--rounds 100"). Exchange and client are processes of their own on this computer, so no
network is in the figures: they are what the program itself costs. Ours is shown less its journal's commit, which the
others do not have, and with it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 10
PACE_S = 0.4
"""Between rounds: the exchange takes ten orders a second, and our own budget keeps some of those for exits."""
CLIENTS = ("ours", "ccxt.pro", "pybit")
PAIRS = (1, 50)


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
        shown = with_journal if self.client == "ours" else "-"
        return f"| {self.client} | {self.pairs} | {p50:.2f} | {p99:.2f} | {shown} | {len(own)} | {self.missing} |"


def measure(client: str, pairs: int, rounds: int) -> Measured:
    """One client against one exchange."""
    exchange = _start("benchmarks.latency_exchange", str(pairs), str(rounds + WARM_UP))
    url = json.loads(_line(exchange))["url"]
    trader = _start("benchmarks.latency_clients", client, url, str(pairs))
    if _line(trader) != "ready":
        raise SystemExit(f"{client} did not start.")
    taken = []
    for _ in range(rounds + WARM_UP):
        time.sleep(PACE_S)
        _say(exchange, "round")
        taken.append(json.loads(_line(exchange)))
        if client != "ours":
            _say(exchange, "close")
    out, _ = trader.communicate(timeout=60)
    exchange.communicate(timeout=60)
    journal = json.loads(out.strip().splitlines()[-1]) if client == "ours" else []
    return _measured(client, pairs, taken, journal)


def _measured(client: str, pairs: int, taken: Sequence[int | None], journal: Sequence[int]) -> Measured:
    came = [ns for ns in taken[WARM_UP:] if ns is not None]
    missing = sum(ns is None for ns in taken[WARM_UP:])
    own = list(journal)[-len(came) :] if journal else [0] * len(came)
    return Measured(client, pairs, np.array(came) / 1e6, np.array(own) / 1e6, missing)


def _start(module: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


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
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--clients", nargs="*", default=CLIENTS)
    options = parser.parse_args()
    print("| client | pairs closing | median ms | p99 ms | with journal | orders | missing |\n" + "|---" * 7 + "|")
    for pairs in PAIRS:
        for client in options.clients:
            print(measure(client, pairs, options.rounds).line(), flush=True)


if __name__ == "__main__":
    main()
