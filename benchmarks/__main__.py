"""How fast this machine is at the three things users wait for. Run it with `make bench`.

Everything is measured in one run on the same invented candles, so ratios may be quoted; seconds are this
machine's, at this moment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from tests.parity.replay import replay
from tests.worlds import World

from benchmarks.plain_loop import plain_trial
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.settings import ParameterGrid, Settings

SETTINGS = Settings(order_reject_prob=0.0, slippage_bps=0.0)
GRID = ParameterGrid()


def best_of(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest of several runs, after one that is not counted."""
    work()
    return min(_timed(work) for _ in range(rounds))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bench_sweep(days: int) -> None:
    """The default grid, against a plain compiled loop that looks at every candle of every trial."""
    candles = generate(SyntheticMarket(minutes=1440 * days, mark=False, funding=False))
    engine = BacktestEngine(SETTINGS)
    seconds = best_of(lambda: engine.sweep(candles, GRID), 3)
    work = len(candles) * len(GRID)
    arrays = make_market(candles, 0.1)
    params = grid_params(GRID, SETTINGS)[:: max(1, len(GRID) // 28)]

    def plain() -> None:
        for p in params:
            plain_trial(arrays.open, arrays.high, arrays.low, arrays.close, p.highest_high_lookback, p.take_profit_pct)

    plain_ns = best_of(plain, 3) / (len(candles) * len(params)) * 1e9
    ours_ns = seconds / work * 1e9
    print(
        f"  sweep    {len(candles):7d} candles, {len(GRID)} trials {seconds:7.3f} s  {len(GRID) / seconds:6.0f}/s "
        f"{ours_ns:6.2f} ns per candle and trial, a plain loop {plain_ns:.2f}"
    )


def bench_replay() -> None:
    """The live engine on the simulated exchange, journal in memory, against the backtest of the same day."""
    candles = generate(SyntheticMarket(minutes=1440 * 5))
    params = grid_params(GRID, SETTINGS)[100]
    world = World(0, candles, find_instrument("BTCUSDT"), SETTINGS, params)
    live = best_of(lambda: replay(world), 1)
    past = best_of(lambda: BacktestEngine(SETTINGS).backtest(candles, params), 3)
    pace = live / len(candles) * 1e6
    print(f"  replay   {len(candles):7d} candles  {pace:6.0f} us per candle, {live / past:.0f} times a backtest")


def bench_start() -> None:
    """The whole process of a default `optimize`, with an empty kernel cache and with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": f"{folder}/kernels", "SHORTEST_PEAK_DATA_DIR": f"{folder}/data"}
        command = [
            sys.executable,
            "-m",
            "your_short_trade_margin_call",
            "optimize",
            "BTCUSDT",
            "--no-evidence",
            "--json",
        ]

        def start() -> None:
            subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603  # our own program

        cold, warm = _timed(start), min(_timed(start) for _ in range(3))
    print(f"  optimize, the whole process: {cold:.1f} s the first time, {warm:.2f} s afterwards")


def main() -> None:
    """Print the figures."""
    print(f"{os.cpu_count()} cores, numpy {np.__version__}, Python {sys.version.split()[0]}")
    for days in (1, 30, 365):
        bench_sweep(days)
    bench_replay()
    bench_start()


if __name__ == "__main__":
    main()
