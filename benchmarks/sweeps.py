"""The sweep measured: whole, in parts, beside a plain loop and the floor, over candles and over trials."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.markets import BenchMarket, bench_candles
from benchmarks.plain_loop import plain_trial
from benchmarks.rivals import STOP, Pace, Work
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.survey import Listing, make_field
from your_short_trade_margin_call.research.sweep import Sweep, run_sweep
from your_short_trade_margin_call.research.trials import Trials, grid_params
from your_short_trade_margin_call.rules import position
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.terms import make_contract, make_terms, make_trial
from your_short_trade_margin_call.settings import ParameterGrid, Settings

SETTINGS = Settings(order_reject_prob=0.0, slippage_bps=0.0)
"""Without luck, so that all make the same trades."""
GRID = ParameterGrid()
WIDE = ParameterGrid(
    highest_high_lookback=tuple(range(10, 110, 10)),
    take_profit_pct=tuple(round(0.0022 + 0.0001 * k, 6) for k in range(120)),
)
"""10 lookbacks, 3 exit types, 4 risk fractions, 120 take-profits."""
QUICK = BenchMarket(volatility=0.015, reversion_candles=2.0, walk_share=0.02)
"""A market whose trades are about ten times as frequent, at a tenth of the lookbacks."""
QUICK_GRID = ParameterGrid(highest_high_lookback=(1, 2, 3, 4, 5, 6, 7), risk_fraction=(0.005, 0.007, 0.0085, 0.0095))
RICH_USDT = 1e6
"""A large account that risks little: so many trades would soon make or lose all there is."""


EVERY = 7
"""Of the default grid's trials, rivals make each seventh: all its values are among them."""


class Timing(NamedTuple):
    """The least of several runs: seconds on the wall, and seconds of processor time in all threads."""

    wall_s: float
    cpu_s: float


def least(work: Callable[[], object], rounds: int = 5) -> Timing:
    """The fastest of several runs, after one that is not counted."""
    work()
    timings = [_timed(work) for _ in range(rounds)]
    return Timing(min(t.wall_s for t in timings), min(t.cpu_s for t in timings))


def _timed(work: Callable[[], object]) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)


def sweep_of(
    candles: Candles, grid: ParameterGrid, workers: int | None = None, balance: float = SETTINGS.starting_balance
) -> Sweep:
    """One sweep with all its costs, from candles to the winner's drawdown."""
    instrument = find_instrument("BTCUSDT")
    market = make_market(candles, float(instrument.tick_size))
    terms = make_terms(SETTINGS, "BTCUSDT")
    trials = grid_params(grid, SETTINGS)
    return run_sweep(market, make_contract(instrument), terms, trials, balance, workers=workers)


def ns(seconds: float, candles: int, trials: int) -> float:
    """Nanoseconds per candle and trial."""
    return seconds / (candles * trials) * 1e9


def plain_pace(candles: Candles, grid: ParameterGrid = GRID) -> Pace:
    """A plain compiled loop over every candle, on some trials of a grid, on one core."""
    work = rival_work(candles, grid_params(grid, SETTINGS), EVERY)
    dense = []
    for places, ratios in zip(work.entries, work.targets, strict=True):
        entries, targets = np.zeros(len(candles), dtype=np.bool_), np.zeros(len(candles))
        entries[places], targets[places] = True, ratios
        dense.append((entries, targets))
    trades = 0

    def loop() -> None:
        nonlocal trades
        trades = sum(plain_trial(work.open, work.high, work.low, *each, STOP)[1] for each in dense)

    return Pace(ns(least(loop, 3).cpu_s, len(candles), len(dense)), trades / len(dense))


def floor_ns(candles: Candles) -> float:
    """One pass of numpy's maximum and minimum for each lookback, and nothing else."""

    def passes() -> None:
        for _ in GRID.highest_high_lookback:
            np.maximum(candles.high, candles.low)
            np.minimum(candles.high, candles.low)

    return ns(least(passes).cpu_s, len(candles), len(GRID))


def slope(sizes: list[int], seconds: list[float]) -> float:
    """How cost grows: the exponent between the first and the last size."""
    return math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0])


def trades_at(sweep: Sweep, lookback: int) -> float:
    """Trades a trial at a lookback."""
    rows = [k for k in range(sweep.trials) if sweep.params[k].highest_high_lookback == lookback]
    return float(sweep.columns["trades"][rows].mean())


def rival_work(candles: Candles, trials: Trials, every: int) -> Work:
    """Signals and targets of each `every`-th trial, ready for a rival."""
    instrument = find_instrument("BTCUSDT")
    market = make_market(candles, float(instrument.tick_size))
    terms = make_terms(SETTINGS, "BTCUSDT")
    field = make_field(market, make_contract(instrument), terms, min(trials.highest_high_lookback))
    entries, targets = [], []
    for number in range(0, len(trials), every):
        signals, _ = Listing(field).of([trials[number].highest_high_lookback])
        rows = signals.rows[0, : signals.place[0, -1]]
        peaks = field.ground.peaks[rows["peak"]]
        trial = make_trial(trials[number])
        levels = [Levels(0.0, low, high) for low, high in zip(rows["highest_low"], rows["lowest_high"], strict=True)]
        chosen = [position.choose_target(terms, trial, level, int(entry)).ticks / entry
                  for level, entry in zip(levels, peaks["entry"], strict=True)]  # fmt: skip
        entries.append(peaks["at"] + 1)
        targets.append(1.0 - np.array(chosen))
    return Work(candles.open, candles.high, candles.low, candles.close, entries, targets)


def cores() -> int:
    """How many cores this machine shows."""
    return os.cpu_count() or 1


def both_markets(count: int) -> list[tuple[str, Candles, ParameterGrid, float]]:
    """The two markets, each with its grid and its balance."""
    return [
        ("usual", bench_candles(BenchMarket(), count), GRID, SETTINGS.starting_balance),
        ("ten times the trades", bench_candles(QUICK, count), QUICK_GRID, RICH_USDT),
    ]
