"""Many sweeps through an executor: each equals the sweep made alone, whole or in parts, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.errors import TooFewCandlesError
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research import many_sweeps
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.many_sweeps import sweep_many
from your_short_trade_margin_call.research.sharing import Shared
from your_short_trade_margin_call.research.sweep import Sweep, run_sweep
from your_short_trade_margin_call.research.sweep_tasks import MOST_WORK, SweepTask, parts_of, work_of
from your_short_trade_margin_call.research.trials import Trials, grid_params
from your_short_trade_margin_call.settings import ParameterGrid

GRID = ParameterGrid(
    highest_high_lookback=(5, 9, 20),
    risk_fraction=(0.5, 0.95),
    take_profit_pct=(0.0022, 0.003, 0.0044, 0.006, 0.008),
    stop_loss_pct=(None, 0.02),
    max_hold=(None, 3_600_000),
)
FINE = 500_000
"""So little work at once that a sweep is cut into many parts."""


def task_of(world: World, grid: ParameterGrid = GRID, window_ms: tuple[int, int] | None = None) -> SweepTask:
    return SweepTask(world.settings, world.instrument, grid_params(grid, world.settings), window_ms)


def alone(candles: Candles, task: SweepTask) -> Sweep:
    return run_sweep(*task.inputs(candles), task.trials, task.settings.starting_balance)


def assert_same(one: Sweep, two: Sweep) -> None:
    assert one.params == two.params
    assert {name: column.tobytes() for name, column in one.columns.items()} == {
        name: column.tobytes() for name, column in two.columns.items()
    }
    assert one.blocked.tobytes() == two.blocked.tobytes()
    assert one.order.tolist() == two.order.tolist()
    assert one.table.equals(two.table)
    assert one.best == two.best


class Recorded(Executor):
    """Does everything at once, in this thread, and keeps what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls.append(args)
        answer: Future[Any] = Future()
        answer.set_result(function(*args, **kwargs))
        return answer


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("most_work", [MOST_WORK, FINE])
def test_each_sweep_is_the_one_made_alone(most_work: int, threads: Executor) -> None:
    worlds = [random_world(seed) for seed in (4_001, 4_002, 4_008)]
    jobs = [(world.candles, task_of(world)) for world in worlds]
    done: list[tuple[int, int]] = []
    made = dict(sweep_many(jobs, threads, lambda *so_far: done.append(so_far), most_work))
    assert sorted(made) == [0, 1, 2]
    for number, (candles, task) in enumerate(jobs):
        assert_same(made[number], alone(candles, task))
    assert done == sorted(done)
    assert done[-1] == (3 * len(GRID), 3 * len(GRID))


def test_a_window_is_the_sweep_of_its_candles(threads: Executor) -> None:
    world = random_world(4_001, 600)
    times = world.candles.time_ms.tolist()
    windows = [(times[k], times[k + 100]) for k in range(0, len(times) - 100, 80)][:5]
    made = dict(sweep_many([(world.candles, task_of(world, window_ms=one)) for one in windows], threads))
    for number, window in enumerate(windows):
        assert_same(made[number], alone(world.candles.between(*window), task_of(world)))
    assert len({made[k].columns["pnl_pct"].tobytes() for k in made}) == 5


def test_windows_of_the_same_candles_travel_together() -> None:
    one, other = random_world(4_001, 600), random_world(4_005, 600)
    windows = [(one.candles.start_ms, int(one.candles.time_ms[k])) for k in (100, 150, 200, 250)]
    jobs = [(one.candles, task_of(one, window_ms=window)) for window in windows] + [(other.candles, task_of(other))]
    executor = Recorded()
    assert len(list(sweep_many(jobs, executor))) == 5
    sent = [(shared.key, len(errands)) for shared, errands in executor.calls]
    assert sent == [(one.candles.content_hash, 4), (other.candles.content_hash, 1)]
    assert all(isinstance(shared, Shared) for shared, _ in executor.calls)


def test_the_engine_sweeps_through_its_executor() -> None:
    world, executor = random_world(4_001), Recorded()
    here = BacktestEngine(world.settings, world.instrument)
    there = BacktestEngine(world.settings, world.instrument, executor)
    assert_same(there.sweep(world.candles, GRID), here.sweep(world.candles, GRID))
    assert len(executor.calls) == 1


def test_who_leaves_cancels_what_was_sent() -> None:
    world = random_world(4_001)

    class Never(Recorded):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if not self.calls:
                return super().submit(function, *args, **kwargs)
            sent.append(Future())
            return sent[-1]

    sent: list[Future[Any]] = []
    sweeps = sweep_many(
        [(world.candles, task_of(world))] * 4, Never(), most_work=1 + work_of(300, task_of(world).trials)
    )
    assert next(sweeps)[0] == 0
    sweeps.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(sent) == 3
    assert all(future.cancelled() for future in sent)


def test_an_error_of_the_report_cancels_what_was_sent(threads: Executor) -> None:
    world = random_world(4_001)

    def leave(_done: int, _trials: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(sweep_many([(world.candles, task_of(world))], threads, leave, FINE))


def test_no_more_is_under_way_than_can_soon_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_sweeps, "MOST_UNDER_WAY", 3)
    world = random_world(4_001)
    under_way, seen = [0], []

    class Slow(Recorded):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            under_way[0] += 1
            seen.append(under_way[0])
            return super().submit(function, *args, **kwargs)

    def report(_done: int, _trials: int) -> None:
        under_way[0] -= 1

    assert len(list(sweep_many([(world.candles, task_of(world))], Slow(), report, FINE))) == 1
    assert max(seen) == 3
    assert len(seen) > 10


def test_too_few_candles_are_noticed_before_anything_is_sent() -> None:
    world, executor = random_world(4_001), Recorded()
    short = (world.candles.start_ms, world.candles.start_ms + 20 * 180_000)
    jobs = [(world.candles, task_of(world)), (world.candles, task_of(world, window_ms=short))]
    with pytest.raises(TooFewCandlesError):
        list(sweep_many(jobs, executor))
    assert executor.calls == []


# ---- parts ------------------------------------------------------------------------------------------

lengths = st.integers(1, 12)


@settings(deadline=None)
@given(lengths, lengths, st.integers(1, 3), st.integers(1, 4), st.integers(1, 10**6), st.integers(1, 10**10))
def test_parts_hold_every_trial_once(
    n_lookbacks: int, n_take_profits: int, n_exits: int, n_risks: int, n_candles: int, most_work: int
) -> None:
    trials = Trials(
        tuple(range(5, 5 + n_lookbacks)),
        tuple(ExitType)[:n_exits],
        tuple(0.1 * (1 + k) for k in range(n_risks)),
        tuple(0.001 * (1 + k) for k in range(n_take_profits)),
        (None, 0.1),
        (None,),
    )
    numbers = []
    for part in parts_of(n_candles, trials, most_work):
        own = part.of(trials)
        mine = part.numbers(trials)
        assert len(own) == len(mine)
        assert [trials[int(k)] for k in mine[:: max(1, len(mine) // 3)]] == list(own[:: max(1, len(mine) // 3)])
        alone_in_it = len(own.highest_high_lookback) == len(own.take_profit_pct) == 1
        assert alone_in_it or work_of(n_candles, own) <= most_work
        numbers.append(mine)
    assert np.sort(np.concatenate(numbers)).tolist() == list(range(len(trials)))


def test_few_take_profits_stay_with_many_lookbacks() -> None:
    trials = grid_params(
        ParameterGrid(take_profit_pct=tuple(0.001 * k for k in range(1, 101))), random_world(1).settings
    )
    parts = list(parts_of(175_200, trials))
    assert {part.lookbacks for part in parts} == {(0, 7)}
    assert len(parts) > 1


def test_a_task_is_equal_to_itself_after_travelling() -> None:
    import pickle

    task = task_of(random_world(4_001))
    assert pickle.loads(pickle.dumps(task)) == task
    assert replace(task, window_ms=(0, 1)) != task
