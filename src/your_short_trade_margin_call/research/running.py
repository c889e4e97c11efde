"""Running the trials of a grid over one market: in chunks of bounded size, each on all cores.

Kernels release the GIL: threads share the candles and what is known about them, nothing is copied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research.account_kernel import ACCOUNT, N_TRADE_COLUMNS, SUMMARY
from your_short_trade_margin_call.research.ground_kernel import Signals
from your_short_trade_margin_call.research.path_kernel import ALL, PATH
from your_short_trade_margin_call.research.purse_kernel import LANES, PURSE, STEP
from your_short_trade_margin_call.research.survey import Field, Listing
from your_short_trade_margin_call.research.sweep_kernel import IDLE, run_paths
from your_short_trade_margin_call.research.threads import Progress, in_threads
from your_short_trade_margin_call.research.trials import Trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

Parts = list[Callable[[], int]]
"""Pieces of work; each returns how many trials it ran."""

MOST_LOOKBACKS = 32
MOST_TAKE_PROFITS = 256
MOST_TRIALS = 65_536
"""What one chunk holds at most of each (one value of an axis at least)."""

_PART = 2_048
"""Trials that a worker takes at once, in large grids: a fraction of a second."""
_PARTS_EACH = 2
"""Parts that a worker finds, where there are several and enough to do."""
_FULL = 2 * LANES
"""Paths of a part that keep the lanes full to its end: the last of them walk beside idle lanes."""
_WORTH_THREADS = 3_000_000
"""Candles times trials from which more than one thread gains more than it takes to start it."""
_STEPS = 32
"""Steps that lanes go before their money is reckoned: what they wrote down is then still at hand."""


class Memory(NamedTuple):
    """What paths found out for each other: candles, and targets that levels name (see PATH)."""

    candles: NDArray[np.int32]
    levels: Floats


class Chunk(NamedTuple):
    """Results of some trials: their numbers in grid order, and a row of each table for each of them."""

    trials: Integers
    summary: NDArray[np.void]
    blocked: Integers


@dataclass(frozen=True)
class Traced:
    """Trials run one by one with their curves: drawdown (a fraction) and Sharpe in `curves`.

    `trades` and `equity` are those of the last one; rows of `trades` beyond its number of trades mean nothing.
    """

    summary: NDArray[np.void]
    blocked: Integers
    curves: Floats
    trades: Floats
    equity: Floats


# ---- all trials -------------------------------------------------------------------------------------


def run_trials(
    field: Field, trials: Trials, start_wallet: float, progress: Progress | None = None, workers: int | None = None,
    listing: Listing | None = None,
) -> Iterator[Chunk]:  # fmt: skip
    """Every trial of the grid, chunk by chunk, on all cores or so many of them; one worker is the calling thread.

    So it is, unless told how many, where the work is small. `listing` remembers the signals for whoever traces trials.

    An interruption (an error from `progress`, Ctrl-C) stops the kernels within milliseconds, the calling thread
    between two parts.
    """
    stop = np.zeros(1, dtype=np.bool_)
    is_small = len(trials) * len(field.market.time_ms) < _WORTH_THREADS
    workers = workers or (1 if is_small else os.cpu_count() or 1)
    listing, done = listing or Listing(field), 0
    for lookbacks, take_profits in _chunks(trials):
        chunk, parts = _split(field, listing, trials, start_wallet, lookbacks, take_profits, stop, workers)
        with closing(in_threads(parts, workers, stop)) as counts:
            for count in counts:
                done += count or 0
                if progress is not None:
                    progress(done, len(trials))
        yield chunk


def _chunks(trials: Trials) -> Iterator[tuple[range, range]]:
    """Places on the axes of lookback and take-profit, so that no chunk is too large."""
    n_lookbacks, _, _, n_take_profits, _, _ = trials.shape
    others = len(trials) // (n_lookbacks * n_take_profits)
    width = min(n_take_profits, MOST_TAKE_PROFITS, max(1, MOST_TRIALS // others))
    height = min(n_lookbacks, MOST_LOOKBACKS, max(1, MOST_TRIALS // (others * width)))
    for i in range(0, n_lookbacks, height):
        for t in range(0, n_take_profits, width):
            yield range(i, min(i + height, n_lookbacks)), range(t, min(t + width, n_take_profits))


def _split(
    field: Field, listing: Listing, trials: Trials, start_wallet: float, lookbacks: range, take_profits: range,
    stop: NDArray[np.bool_], workers: int,
) -> tuple[Chunk, Parts]:  # fmt: skip
    """A chunk with empty tables, and the parts of the work that fill them."""
    signals, rows = listing.of(trials.highest_high_lookback[i] for i in lookbacks)
    _, n_exits, n_risks, _, n_stops, n_holds = trials.shape
    shape = (len(lookbacks), n_exits, n_risks, len(take_profits), n_stops, n_holds)
    chunk = _empty_chunk(trials, shape, lookbacks.start, take_profits.start)
    first_trials = np.arange(len(chunk.trials)).reshape(shape)[:, :, 0]
    places = np.indices(first_trials.shape).reshape(5, -1)
    places[0], places[2] = rows[places[0]], places[2] + take_profits.start
    paths = _paths(trials, places, signals)
    paths["first_trial"] = first_trials.reshape(-1)
    paths["step"] = np.prod(shape[3:])
    memory = _memory(field, paths)

    def part(some: NDArray[np.void]) -> Callable[[], int]:
        return lambda: _run(field, signals, trials, memory, some, start_wallet, chunk, stop)

    return chunk, [part(some) for some in _shares(paths, workers, len(chunk.trials) // _PART)]


def _shares(paths: NDArray[np.void], workers: int, fewest: int) -> list[NDArray[np.void]]:
    """Paths shared out to parts like cards, back and forth: neighbours trade about as much as each other."""
    wanted = 1 if workers == 1 else max(workers, min(_PARTS_EACH * workers, len(paths) // _FULL))
    n_parts = min(len(paths), max(wanted, fewest))
    turn, place = np.divmod(np.arange(len(paths)), n_parts)
    holder = np.where(turn % 2 == 0, place, n_parts - 1 - place)
    return [paths[holder == k] for k in range(n_parts)]


def _run(
    field: Field, signals: Signals, trials: Trials, memory: Memory, paths: NDArray[np.void], start_wallet: float,
    chunk: Chunk, stop: NDArray[np.bool_],
) -> int:  # fmt: skip
    """Run some paths of a chunk; returns how many trials they are."""
    risk_fractions, nothing = np.array(trials.risk_fraction, dtype=np.float64), np.zeros((0, 0))
    n_steps = min(_STEPS, 1 + len(field.ground.peaks) // 8)
    run_paths(
        *field, signals, risk_fractions, *memory, paths, start_wallet, np.full(LANES, IDLE),
        np.empty(n_steps, dtype=STEP), _purses(len(risk_fractions)), np.empty(1, dtype=ACCOUNT),
        chunk.summary, chunk.blocked, nothing, np.zeros(0), nothing, stop,
    )  # fmt: skip
    rows = (paths["first_trial"][:, None] + paths["step"][:, None] * np.arange(len(risk_fractions))).ravel()
    blocked = chunk.blocked[rows]
    _count_open(chunk.summary[rows], blocked, np.repeat(paths["count"], len(risk_fractions)))
    chunk.blocked[rows] = blocked
    return len(paths) * len(risk_fractions)


def _purses(count: int) -> NDArray[np.void]:
    """Purses whose lanes wait for a path: they stand behind every signal."""
    purses = np.zeros(count, dtype=PURSE)
    purses["place"] = np.inf
    return purses


def _paths(trials: Trials, places: Integers, signals: Signals) -> NDArray[np.void]:
    """Paths for places on the axes: row of the signals, exit type, take-profit, stop-loss, longest hold."""
    n_rows = len(signals.rows)
    row, exit_type, take_profit, stop_loss, max_hold = places
    nan = float("nan")
    paths = np.zeros(len(row), dtype=PATH)
    paths["row"] = row
    paths["exit_type"] = np.array([one.code for one in trials.exit_type])[exit_type]
    paths["take_profit_pct"] = np.array(trials.take_profit_pct)[take_profit]
    paths["stop_loss_pct"] = np.array([nan if one is None else one for one in trials.stop_loss_pct])[stop_loss]
    paths["max_hold_ms"] = np.array([one or 0 for one in trials.max_hold_ms])[max_hold]
    n_levels = n_rows * len(trials.exit_type)
    paths["only"] = ALL
    paths["count"] = signals.place[row, -1]
    paths["at_level"] = row * len(trials.exit_type) + exit_type
    paths["at_trouble"] = n_levels + 2 * stop_loss
    at_take_profit = n_levels + 2 * len(trials.stop_loss_pct)
    paths["at_take_profit"] = at_take_profit + np.unique(take_profit, return_inverse=True)[1]
    return paths


def _memory(field: Field, paths: NDArray[np.void]) -> Memory:
    """An empty memory for some paths."""
    rows, width = int(paths["at_take_profit"].max(initial=0)) + 1, len(field.ground.peaks)
    n_levels = int(paths["at_level"].max(initial=0)) + 1
    return Memory(np.zeros((rows, width), dtype=np.int32), np.zeros((n_levels, width)))


def _empty_chunk(trials: Trials, shape: tuple[int, ...], first_lookback: int, first_take_profit: int) -> Chunk:
    places = np.indices(shape, dtype=np.int64).reshape(len(shape), -1)
    places[0] += first_lookback
    places[3] += first_take_profit
    numbers: Integers = np.asarray(np.ravel_multi_index(tuple(places), trials.shape), dtype=np.int64)
    return Chunk(
        numbers,
        np.zeros(len(numbers), dtype=SUMMARY),
        np.zeros((len(numbers), len(BlockReason)), dtype=np.int64),
    )


# ---- some trials, with their curves -----------------------------------------------------------------


def trace(
    field: Field, trials: Trials, numbers: Integers, start_wallet: float, keep_equity: bool = False,
    listing: Listing | None = None,
) -> Traced:  # fmt: skip
    """Run the trials of these numbers one by one, with their trades and curves."""
    lookback, exit_type, risk, take_profit, stop_loss, max_hold = np.unravel_index(numbers, trials.shape)
    signals, rows = (listing or Listing(field)).of(trials.highest_high_lookback[i] for i in lookback)
    paths = _paths(trials, np.stack((rows, exit_type, take_profit, stop_loss, max_hold)), signals)
    paths["first_trial"] = np.arange(len(numbers))
    made = Traced(
        np.zeros(len(numbers), dtype=SUMMARY),
        np.zeros((len(numbers), len(BlockReason)), dtype=np.int64),
        np.zeros((len(numbers), 2)),
        np.empty((len(field.ground.peaks), N_TRADE_COLUMNS)),
        np.zeros(len(field.market.time_ms) if keep_equity else 0),
    )
    paths["only"] = risk
    risk_fractions = np.array(trials.risk_fraction, dtype=np.float64)
    run_paths(
        *field, signals, risk_fractions, *_memory(field, paths), paths, start_wallet, np.full(LANES, IDLE),
        np.empty(1, dtype=STEP), _purses(len(risk_fractions)), np.empty(1, dtype=ACCOUNT), made.summary,
        made.blocked, made.trades, made.equity, made.curves, np.zeros(1, dtype=np.bool_),
    )  # fmt: skip
    _count_open(made.summary, made.blocked, paths["count"])
    return made


def _count_open(summary: NDArray[np.void], blocked: Integers, counts: Integers) -> None:
    """What was neither traded nor blocked for another reason met an open position."""
    blocked[:, BlockReason.POSITION_OPEN.code] = counts - summary["wins"] - summary["losses"] - blocked.sum(axis=1)
