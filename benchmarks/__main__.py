"""How fast this machine is at what users wait for. `make bench` runs it and writes docs/performance.md.

Everything is measured in one run on the same candles, so ratios may be quoted; seconds are this machine's, at this
moment. `make bench ARGS=--quick` takes 20,000 candles for a year and writes nothing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.parity.replay import replay
from tests.worlds import World

from benchmarks import rivals
from benchmarks.figure import bars
from benchmarks.markets import YEAR, BenchMarket, bench_candles
from benchmarks.sweeps import (
    EVERY,
    GRID,
    SETTINGS,
    WIDE,
    Timing,
    both_markets,
    cores,
    floor_ns,
    least,
    ns,
    plain_pace,
    rival_work,
    slope,
    sweep_of,
    trades_at,
)
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.settings import ParameterGrid

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
FIGURE = PAGE.parent / "performance.svg"
MARK = "<!-- measured -->"


def sweep_rows(count: int) -> Iterator[tuple[str, ...]]:
    """Both markets at three lengths: one core, all cores, the plain loop, the floor."""
    yield ("market", "candles", "trades a trial", "ns, one core", "ns, all cores", "trials/s", "plain loop ns",
           "its trades", "plain / ours")  # fmt: skip
    for name, whole, grid, balance in both_markets(count):
        for length in sorted({480, 20_000, count}):
            candles = whole.rows(0, length)
            one = least(lambda c=candles, g=grid, b=balance: sweep_of(c, g, 1, b))  # type: ignore[misc]
            every = least(lambda c=candles, g=grid, b=balance: sweep_of(c, g, None, b))  # type: ignore[misc]
            trades = sweep_of(candles, grid, None, balance).columns["trades"].mean()
            ours, plain = ns(one.cpu_s, length, len(grid)), plain_pace(candles, grid)
            yield (name, f"{length:,}", f"{trades:,.0f}", f"{ours:.2f}", f"{ns(every.wall_s, length, len(grid)):.2f}",
                   f"{len(grid) / every.wall_s:,.0f}", f"{plain.ns:.2f}", f"{plain.trades:,.0f}",
                   f"{plain.ns / ours:.1f}")  # fmt: skip


def growth_lines(candles: Candles, wide: Timing) -> Iterator[str]:
    """Slopes, the wide grid, the floor, memory."""
    lengths = [len(candles) // 4, len(candles) // 2, len(candles)]
    times = [least(lambda n=n: sweep_of(candles.rows(0, n), GRID, 1)).cpu_s for n in lengths]  # type: ignore[misc]
    yield f"- cost grows with candles to the power of {slope(lengths, times):.2f} ({lengths[0]:,} to {lengths[-1]:,})"
    half = ParameterGrid(**{**WIDE.model_dump(), "take_profit_pct": WIDE.take_profit_pct[::4]})
    fewer = least(lambda: sweep_of(candles, half), 3)
    power = slope([len(half), len(WIDE)], [fewer.cpu_s, wide.cpu_s])
    yield f"- and with trials to the power of {power:.2f} ({len(half):,} to {len(WIDE):,})"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield (f"- {len(WIDE):,} trials x {len(candles):,} candles: {wide.wall_s:.2f} s on {cores()} cores "
           f"({wide.cpu_s:.2f} s of processor time), {ns(wide.cpu_s, len(candles), len(WIDE)):.2f} ns; "
           f"this process never held more than {peak:,.0f} MiB")  # fmt: skip
    yield f"- the floor, a pass of numpy's maximum and minimum for each lookback: {floor_ns(candles):.3f} ns"
    yield f"- trades a trial at lookback 50: {trades_at(sweep_of(candles, GRID), 50):,.0f} in the usual market"


def rival_rows(candles: Candles) -> Iterator[tuple[str, float, float]]:
    """Rivals on the whole machine: name, ns per candle and trial, trades a trial."""
    trials = grid_params(GRID, SETTINGS)
    if rivals.is_installed("vectorbt"):
        work = rival_work(candles, trials, EVERY)
        for engine in ("rust", "numba") if rivals.is_installed("vectorbt_rust") else ("numba",):
            pace = rivals.vectorbt_pace(work, engine)
            yield f"vectorbt ({engine})", pace.ns, pace.trades
    if rivals.is_installed("backtesting"):
        pace = rivals.backtesting_pace(rival_work(candles.rows(0, min(len(candles), 20_000)), trials, 84))
        yield "backtesting.py", pace.ns, pace.trades * len(candles) / min(len(candles), 20_000)


def bench_replay() -> str:
    """The live engine on the simulated exchange, journal in memory, against the backtest of the same day."""
    candles = generate(SyntheticMarket(minutes=1440 * 5))
    params = grid_params(GRID, SETTINGS)[100]
    world = World(0, candles, find_instrument("BTCUSDT"), SETTINGS, params)
    live = least(lambda: replay(world), 1).cpu_s
    past = least(lambda: BacktestEngine(SETTINGS).backtest(candles, params)).cpu_s
    pace = live / len(candles) * 1e6
    return f"- a replay through the live engine: {pace:.0f} us per candle, {live / past:,.0f} times a backtest"


def bench_start() -> str:
    """The whole process of a default `optimize`, without compiled rules and with them."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": f"{folder}/kernels", "SHORTEST_PEAK_DATA_DIR": f"{folder}/data"}

        def taken_s(*words: str) -> float:
            command = [sys.executable, "-m", "your_short_trade_margin_call", *words]
            started = time.perf_counter()
            subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603  # our own program
            return time.perf_counter() - started

        optimize = ("optimize", "BTCUSDT", "--market", "simulated", "--no-evidence", "--json")
        cold = taken_s(*optimize)
        compiling = taken_s("compile")  # waits for what the first start began in the background
        warm = min(taken_s(*optimize) for _ in range(3))
    return (
        f"- `optimize --no-evidence`, the whole process: {cold:.1f} s the first time, {warm:.2f} s once the rules are "
        f"compiled, which took {compiling:.0f} s more in the background"
    )


def write_page(table: list[tuple[str, ...]], lines: list[str], chart: list[tuple[str, float, bool]]) -> None:
    """Put the figures below the mark of docs/performance.md, and draw the chart."""
    kept = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    rows = ["| " + " | ".join(row) + " |" for row in table]
    rows.insert(1, "|" + "---|" * len(table[0]))
    PAGE.write_text(kept + "\n".join([MARK, "", *rows, "", *lines, ""]), encoding="utf-8")
    FIGURE.write_text(bars("One sweep, ns per candle and trial", "ns", chart), encoding="utf-8")


def main() -> None:
    """Measure, print, and write the page."""
    is_quick = "--quick" in sys.argv
    count = 20_000 if is_quick else YEAR
    candles = bench_candles(BenchMarket(), count)
    table = []
    for row in sweep_rows(count):
        table.append(row)
        print("  ".join(f"{cell:>14}" for cell in row), flush=True)
    ours = least(lambda: sweep_of(candles, GRID)).wall_s
    ours_ns = ns(ours, count, len(GRID))
    chart = [("this sweep", ours_ns, True), ("a plain loop, one core", plain_pace(candles).ns, False)]
    wide = least(lambda: sweep_of(candles, WIDE), 3)
    wide_ns = ns(wide.wall_s, count, len(WIDE))
    lines = list(growth_lines(candles, wide))
    for name, pace, trades in rival_rows(candles):
        chart.append((name, pace, False))
        lines.append(f"- {name}: {pace:,.0f} ns with {trades:,.0f} trades a trial, {pace / ours_ns:,.0f} times ours on "
                     f"the default grid, {pace / wide_ns:,.0f} times on {len(WIDE):,} trials")  # fmt: skip
    if len(chart) == 2:
        lines.append("- vectorbt and backtesting.py are not installed here (the extra `bench`): left out")
    lines += [bench_replay(), bench_start()]
    print("\n".join(lines))
    if not is_quick:
        write_page(table, lines, chart)


if __name__ == "__main__":
    main()
