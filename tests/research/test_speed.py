"""The kernel's ratio to a plain loop, in one run: never a wall time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.markets import BenchMarket, bench_candles
from benchmarks.sweeps import GRID, ns, plain_pace, sweep_of


def least_cpu_s(work: Callable[[], object], rounds: int = 5) -> float:
    spent = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def test_a_sweep_costs_a_fraction_of_a_plain_loop(benchmark: Any) -> None:
    """Measured where this was written: five to eight times less on a year, everything included. Half says it jumps."""
    candles = bench_candles(BenchMarket())
    benchmark.pedantic(lambda: sweep_of(candles, GRID, 1), rounds=3, warmup_rounds=1)
    ours = ns(least_cpu_s(lambda: sweep_of(candles, GRID, 1)), len(candles), len(GRID))
    assert ours * 2 < plain_pace(candles).ns


def test_twice_the_trials_cost_no_more_than_twice(benchmark: Any) -> None:
    candles = bench_candles(BenchMarket(), 20_000)
    twice = GRID.model_copy(update={"take_profit_pct": tuple(0.002 + 0.0005 * k for k in range(8))})
    one, two = (least_cpu_s(lambda grid=grid: sweep_of(candles, grid, 1)) for grid in (GRID, twice))  # type: ignore[misc]
    assert two < 2.2 * one
    benchmark.pedantic(lambda: sweep_of(candles, twice, 1), rounds=3)
