"""Many sweeps at once, through any `concurrent.futures.Executor`: many pairs, windows, settings, or one wide grid.

Small sweeps travel in bundles and are made whole where the work is done; a large one is cut into parts, and put
together again here. Either way each equals the sweep made here, to the last bit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.account_kernel import SUMMARY
from your_short_trade_margin_call.research.best_rows import Trace
from your_short_trade_margin_call.research.running import Chunk, run_trials, trace
from your_short_trade_margin_call.research.sharing import Shared
from your_short_trade_margin_call.research.survey import Field, make_field
from your_short_trade_margin_call.research.sweep import Sweep, Take, conclude, run_sweep
from your_short_trade_margin_call.research.sweep_tasks import MOST_WORK, Part, SweepTask, parts_of, work_of
from your_short_trade_margin_call.research.threads import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Errand(NamedTuple):
    """A sweep, or a part of one, by the number of the sweep."""

    number: int
    task: SweepTask
    part: Part | None


class Whole(NamedTuple):
    """A sweep that was made whole, as it travels."""

    columns: dict[str, Floats]
    blocked: Integers
    order: Integers


class Piece(NamedTuple):
    """What the trials of a part came to."""

    summary: NDArray[np.void]
    blocked: Integers


Results: TypeAlias = tuple[Whole | Piece, ...]
Bundle: TypeAlias = tuple[Shared[Candles], tuple[Errand, ...]]
"""Errands that travel together, and the candles of all of them."""

MOST_UNDER_WAY = 256
"""Calls that an executor is given at once: plenty for a hundred workers, and soon cancelled."""


def sweep_many(
    jobs: Sequence[tuple[Candles, SweepTask]],
    executor: Executor,
    progress: Progress | None = None,
    most_work: int = MOST_WORK,
    take: Take | None = None,
) -> Iterator[tuple[int, Sweep]]:
    """Make every sweep, and give each with its number in `jobs` as soon as it is there, in any order.

    Candles are sent once for all jobs that name the same ones: give a pair's whole history, and each task its window.
    Whoever leaves early, or is interrupted, cancels what was sent. `take` is handed the rows of a sweep that was cut
    into parts (see `run_sweep`).

    Raises:
        TooFewCandlesError: a window is too short for the longest lookback; nothing was sent.
    """
    for candles, task in jobs:
        task.cut(candles)
    collected = _Collected(jobs, take)
    done, trials = 0, sum(len(task.trials) for _, task in jobs)
    with closing(_answers(executor, _bundles(jobs, most_work))) as answers:
        for errand, made in answers:
            done += _trials_of(errand)
            if progress is not None:
                progress(done, trials)
            if (sweep := collected.add(errand, made)) is not None:
                yield errand.number, sweep


def _answers(executor: Executor, bundles: Iterable[Bundle]) -> Generator[tuple[Errand, Whole | Piece]]:
    """What became of each errand, as soon as it is known; some hundred are under way at a time, the rest waits here."""
    under_way: dict[Future[Results], tuple[Errand, ...]] = {}
    rest = iter(bundles)
    try:
        while True:
            for candles, errands in islice(rest, MOST_UNDER_WAY - len(under_way)):
                under_way[executor.submit(run_errands, candles, errands)] = errands
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield from zip(under_way.pop(future), future.result(), strict=True)
    finally:
        for future in under_way:
            future.cancel()


# ---- there ------------------------------------------------------------------------------------------


def run_errands(candles: Shared[Candles], errands: tuple[Errand, ...]) -> Results:
    """What a worker does: each errand on one core, since workers are as many as cores."""
    return tuple(_run(candles.value, errand) for errand in errands)


def _run(candles: Candles, errand: Errand) -> Whole | Piece:
    task = errand.task
    inputs, balance = task.inputs(candles), task.settings.starting_balance
    if errand.part is None:
        sweep = run_sweep(*inputs, task.trials, balance, workers=1)
        return Whole(sweep.columns, sweep.blocked, sweep.order)
    trials = errand.part.of(task.trials)
    made = _empty_piece(len(trials))
    field = make_field(*inputs, min(trials.highest_high_lookback))
    for chunk in run_trials(field, trials, balance, workers=1):
        made.summary[chunk.trials] = chunk.summary
        made.blocked[chunk.trials] = chunk.blocked
    return made


def _empty_piece(n_trials: int) -> Piece:
    return Piece(np.zeros(n_trials, dtype=SUMMARY), np.zeros((n_trials, len(BlockReason)), dtype=np.int64))


# ---- here -------------------------------------------------------------------------------------------


def _bundles(jobs: Iterable[tuple[Candles, SweepTask]], most_work: int) -> Iterator[Bundle]:
    """Errands that travel together: neighbours on the same candles, as many as make a fair load."""
    shared: Shared[Candles] | None = None
    bundle: list[Errand] = []
    load = 0
    for number, (candles, task) in enumerate(jobs):
        n_candles = len(task.cut(candles))
        for errand in _errands(number, task, n_candles, most_work):
            work = _trials_of(errand) * work_of(n_candles, task.trials) // len(task.trials)
            if shared is None or shared.key != candles.content_hash or load + work > most_work:
                if shared is not None and bundle:
                    yield shared, tuple(bundle)
                shared, bundle, load = Shared(candles.content_hash, candles), [], 0
            bundle.append(errand)
            load += work
    if shared is not None and bundle:
        yield shared, tuple(bundle)


def _errands(number: int, task: SweepTask, n_candles: int, most_work: int) -> list[Errand]:
    parts = list(parts_of(n_candles, task.trials, most_work))
    return [Errand(number, task, part if len(parts) > 1 else None) for part in parts]


def _trials_of(errand: Errand) -> int:
    return len(errand.task.trials if errand.part is None else errand.part.of(errand.task.trials))


@dataclass
class _Unfinished:
    """A sweep of which some parts are there."""

    made: Piece
    missing: int


class _Collected:
    """Puts parts together to sweeps."""

    def __init__(self, jobs: Sequence[tuple[Candles, SweepTask]], take: Take | None = None) -> None:
        self._jobs = jobs
        self._take = take
        self._unfinished: dict[int, _Unfinished] = {}

    def add(self, errand: Errand, made: Whole | Piece) -> Sweep | None:
        """The sweep that has become whole, if one has."""
        candles, task = self._jobs[errand.number]
        if isinstance(made, Whole):
            numbers = np.arange(len(task.trials))
            return Sweep(task.trials, numbers, made.columns, made.blocked, made.order, _tracer(candles, task))
        n_trials = len(task.trials)
        sweep = self._unfinished.setdefault(errand.number, _Unfinished(_empty_piece(n_trials), n_trials))
        if errand.part is not None:
            places = errand.part.numbers(task.trials)
            sweep.made.summary[places], sweep.made.blocked[places] = made
        sweep.missing -= len(made.summary)
        if sweep.missing:
            return None
        del self._unfinished[errand.number]
        rows = Chunk(np.arange(n_trials), *sweep.made)
        return conclude(_field(candles, task), task.trials, rows, task.settings.starting_balance, self._take)


def _field(candles: Candles, task: SweepTask) -> Field:
    return make_field(*task.inputs(candles), min(task.trials.highest_high_lookback))


def _tracer(candles: Candles, task: SweepTask) -> Trace:
    """Curves of trials, reckoned here; the candles are surveyed when somebody asks for the first."""
    field = cache(lambda: _field(candles, task))

    def curves(numbers: Integers) -> Floats:
        return trace(field(), task.trials, numbers, task.settings.starting_balance).curves

    return curves
