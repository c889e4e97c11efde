"""What a second Dask worker is worth. `make bench-cluster` runs it: some minutes, on a machine that does nothing else.

A scheduler and workers of one thread each are started on loopback. The same sweeps (two pairs, windows of most of a
year, the default grid) are made by one worker, then by two; the first takes a minute at least. The client, which cuts
the work and puts it together, and the scheduler run on the same machine: their processor time is shown too.

Where other programs are busy, the wall tells about them. So the load is said, and the ratio is also given by processor
time: all that the one worker needed, over what the busier of the two needed.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.real_cluster import RealCluster

from benchmarks.markets import YEAR, BenchMarket, bench_candles
from benchmarks.sweeps import GRID, SETTINGS, cores, least
from your_short_trade_margin_call.adapters.cluster.connecting import connect
from your_short_trade_margin_call.adapters.cluster.executor import ClusterExecutor
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.many_sweeps import sweep_many
from your_short_trade_margin_call.research.sweep import run_sweep
from your_short_trade_margin_call.research.sweep_tasks import SweepTask
from your_short_trade_margin_call.research.trials import grid_params

SECONDS = 60.0
"""What the sweeps take one worker, at least."""
WINDOW = 150_000
"""Candles of a window."""

Jobs = list[tuple[Candles, SweepTask]]


class Run(NamedTuple):
    """One run: seconds on the wall, processor seconds of each worker and of others, load before and after."""

    trials: int
    wall_s: float
    workers_s: list[float]
    client_s: float
    load: tuple[float, float]
    digest: str

    @property
    def rate(self) -> float:
        """Trials a second."""
        return self.trials / self.wall_s


def make_jobs(seconds: float) -> Jobs:
    """Sweeps for so many seconds of one core, on windows of two pairs."""
    pairs = [bench_candles(BenchMarket(seed=seed), YEAR) for seed in (1, 2)]
    trials, instrument = grid_params(GRID, SETTINGS), find_instrument("BTCUSDT")

    def task(candles: Candles, first: int) -> SweepTask:
        window = (int(candles.time_ms[first]), int(candles.time_ms[first + WINDOW]))
        return SweepTask(SETTINGS, instrument, trials, window)

    one = task(pairs[0], 0)
    each = least(lambda: run_sweep(*one.inputs(pairs[0]), trials, SETTINGS.starting_balance, workers=1), 2).cpu_s
    # A sweep among many costs less than one alone: hence a third more of them.
    count = math.ceil(1.4 * seconds / each)
    room = YEAR - WINDOW - 1
    return [(pairs[2 * k // count], task(pairs[2 * k // count], room * (k % 7) // 7)) for k in range(count)]


def run(cluster: RealCluster, jobs: Jobs) -> Run:
    """Make the sweeps on all workers there are, after one that is not counted."""
    with connect(cluster.address) as executor:
        warm_up(executor, jobs[0])
        with cluster.client() as outside:
            before, load = processor_s(outside), os.getloadavg()[0]
            client, started = time.process_time(), time.perf_counter()
            digests = {number: digest_of(sweep) for number, sweep in sweep_many(jobs, executor)}
            wall, client = time.perf_counter() - started, time.process_time() - client
            after = processor_s(outside)
    spent = [after[worker] - before[worker] for worker in sorted(before)]
    whole = hashlib.blake2b("".join(digests[k] for k in sorted(digests)).encode(), digest_size=8).hexdigest()
    trials = sum(len(task.trials) for _, task in jobs)
    return Run(trials, wall, spent, client, (load, os.getloadavg()[0]), whole)


def warm_up(executor: ClusterExecutor, job: tuple[Candles, SweepTask]) -> None:
    """Let every worker load its kernels."""
    list(sweep_many([job], executor, most_work=50_000_000))


def processor_s(client: Any) -> dict[str, float]:
    """Processor seconds of each worker so far."""
    return dict(client.run(time.process_time))


def digest_of(sweep: Any) -> str:
    """A hash of every number of a sweep."""
    columns = b"".join(column.tobytes() for column in sweep.columns.values())
    return hashlib.blake2b(columns + sweep.blocked.tobytes() + sweep.order.tobytes(), digest_size=8).hexdigest()


def lines_of(made: Run) -> list[str]:
    """A run in words."""
    spent = ", ".join(f"{one:.1f}" for one in made.workers_s)
    return [
        f"{len(made.workers_s)} worker(s): {made.trials:,} trials in {made.wall_s:.1f} s, {made.rate:,.0f} a second; "
        f"processor seconds {spent}; client {made.client_s:.1f}; "
        f"load {made.load[0]:.1f} before, {made.load[1]:.1f} after; results {made.digest}"
    ]


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    jobs = make_jobs(seconds)
    print(f"{cores()} cores; {len(jobs)} sweeps of {len(GRID):,} trials on {WINDOW:,} candles each", flush=True)
    made = []
    with tempfile.TemporaryDirectory() as folder:
        cluster = RealCluster(Path(folder))
        try:
            for _ in range(2):
                cluster.start_workers(1)
                made.append(run(cluster, jobs))
                print("\n".join(lines_of(made[-1])), flush=True)
        finally:
            cluster.close()
    one, two = made
    if one.digest != two.digest:
        raise SystemExit("two workers came to other results than one")
    by_processor = sum(one.workers_s) / max(two.workers_s)
    print(f"two do {two.rate / one.rate:.2f} times the trials per second of one; by processor time {by_processor:.2f}")


if __name__ == "__main__":
    main()
