"""Sweeps on a real scheduler with real workers: the same results, whatever happens to a worker."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.counting import Parcel, arrivals, fail_with, process_of
from tests.cluster.real_cluster import OURS, RealCluster, wait_until
from tests.patience import PATIENCE_S
from tests.research.test_many_sweeps import assert_same
from tests.shares import late
from your_short_trade_margin_call.adapters.cluster.connecting import connect
from your_short_trade_margin_call.adapters.cluster.executor import KEPT
from your_short_trade_margin_call.domain.errors import (
    CandleError,
    ClusterError,
    DifferentProgramError,
    NoWorkersError,
)
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.many_sweeps import sweep_many
from your_short_trade_margin_call.research.sharing import Shared
from your_short_trade_margin_call.research.sweep import run_sweep
from your_short_trade_margin_call.research.sweep_tasks import SweepTask
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.settings import ParameterGrid, Settings

GRID = ParameterGrid(take_profit_pct=tuple(round(0.002 + 0.0005 * k, 6) for k in range(20)))
FINE = 5_000_000
"""So little work at once that two pairs and their windows make dozens of calls."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A scheduler with two workers that stay."""
    made = RealCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start_workers(2)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A scheduler whose workers change from test to test."""
    made = RealCluster(tmp_path_factory.mktemp("scheduler"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def lonely(scheduler: RealCluster) -> Iterator[RealCluster]:
    """A scheduler without workers."""
    assert scheduler.workers() == {}
    yield scheduler
    scheduler.dismiss()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RealCluster]:
    """A scheduler of one's own, without workers."""
    made = RealCluster(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def jobs() -> list[tuple[Candles, SweepTask]]:
    """Two pairs, whole and in windows, one of them with other settings."""
    made = []
    for symbol, settings in (("BTCUSDT", Settings()), ("SOLUSDT", Settings(leverage=10, seed=5))):
        candles = generate(SyntheticMarket(symbol=symbol, seed=3, minutes=1_440 * 30))
        trials, half = grid_params(GRID, settings), (candles.start_ms + candles.end_ms) // 2
        for window in (None, (candles.start_ms, half), (half, candles.end_ms)):
            made.append((candles, SweepTask(settings, find_instrument(symbol), trials, window)))
    return made


def assert_all_same(jobs: list[tuple[Candles, SweepTask]], made: dict[int, object]) -> None:
    assert sorted(made) == list(range(len(jobs)))
    for number, (candles, task) in enumerate(jobs):
        here = run_sweep(*task.inputs(candles), task.trials, task.settings.starting_balance)
        assert_same(made[number], here)  # type: ignore[arg-type]


def test_a_worker_that_is_killed_half_way_changes_nothing(
    lonely: RealCluster, jobs: list[tuple[Candles, SweepTask]]
) -> None:
    doomed, _ = lonely.start_workers(2)
    killed_at: list[int] = []
    reports: list[int] = []

    def report(done: int, trials: int) -> None:
        reports.append(done)
        if not killed_at and done >= trials // 2:
            doomed.kill()
            killed_at.append(done)

    with connect(lonely.address) as executor:
        assert len(executor.workers) == 2
        made = dict(sweep_many(jobs, executor, report, FINE))
        assert doomed.wait(timeout=PATIENCE_S) != 0
        assert len(lonely.workers()) == 1
    trials = sum(len(task.trials) for _, task in jobs)
    assert trials // 2 <= killed_at[0] < trials == reports[-1]
    assert len(reports) > 20
    assert_all_same(jobs, made)


def test_a_new_worker_goes_on_where_all_others_died(lonely: RealCluster, jobs: list[tuple[Candles, SweepTask]]) -> None:
    """The candles are lost with the workers: the scheduler makes them again."""
    (doomed,) = lonely.start_workers(1)
    started = []

    def report(_done: int, _trials: int) -> None:
        if not started:
            doomed.kill()
            started.append(lonely.start_worker())

    with connect(lonely.address) as executor:
        assert_all_same(jobs, dict(sweep_many(jobs, executor, report, FINE)))


def test_work_is_given_up_when_nobody_is_left(lonely: RealCluster, jobs: list[tuple[Candles, SweepTask]]) -> None:
    (doomed,) = lonely.start_workers(1)
    with connect(lonely.address, patience_s=2.0) as executor:
        sweeps = sweep_many(jobs, executor, lambda _done, _trials: doomed.kill(), FINE)
        with pytest.raises(NoWorkersError, match="no workers for 2 seconds"):
            list(sweeps)


def test_a_scheduler_that_goes_away_is_an_error(mortal: RealCluster, jobs: list[tuple[Candles, SweepTask]]) -> None:
    mortal.start_workers(1)
    with connect(mortal.address) as executor:
        sweeps = sweep_many(jobs, executor, lambda _done, _trials: mortal.scheduler.kill(), FINE)
        with pytest.raises(ClusterError, match="scheduler went away"):
            list(sweeps)


# ---- what is sent -----------------------------------------------------------------------------------


def test_what_is_shared_does_not_arrive_with_every_call(cluster: RealCluster) -> None:
    """Once in each worker; twice where Dask first wants one to make it, then lets it fetch it from the other."""
    with connect(cluster.address) as executor:
        parcel = Shared("a parcel", Parcel("a parcel"))
        seen = [future.result() for future in [executor.submit(arrivals, parcel, k) for k in range(60)]]
    assert len({process for process, _ in seen}) == 2
    assert {count for _, count in seen} <= {1, 2}


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is let go must not wait until garbage is looked for."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_what_nobody_needs_any_more_leaves_the_cluster(cluster: RealCluster) -> None:
    with connect(cluster.address) as executor:
        calls = [executor.submit(arrivals, Shared(f"pair {k}", Parcel(f"pair {k}")), k) for k in range(3 * KEPT)]
        assert all(count >= 1 for _, count in (future.result() for future in calls))
        del calls
        wait_until(lambda: cluster.pending() == KEPT)


def test_what_was_sent_is_cancelled_when_somebody_leaves(
    cluster: RealCluster, jobs: list[tuple[Candles, SweepTask]]
) -> None:
    def leave(_done: int, _trials: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), connect(cluster.address) as executor:
        list(sweep_many(jobs * 20, executor, leave, FINE))
    wait_until(lambda: cluster.pending() == 0)
    assert len(cluster.workers()) == 2


def test_it_is_an_executor_like_others(cluster: RealCluster) -> None:
    with connect(cluster.address) as executor:
        assert list(executor.map(abs, [-1, 2, -3])) == [1, 2, 3]
        assert executor.submit(int, "ff", base=16).result() == 255
        assert len(set(executor.map(process_of, range(20)))) == 2
        with pytest.raises(CandleError, match="row 3") as raised:
            executor.submit(fail_with, CandleError("row 3", "a cure")).result()
        assert raised.value.cure == "a cure"
    with pytest.raises(RuntimeError):
        executor.submit(abs, 1)


# ---- who may work -----------------------------------------------------------------------------------


def test_a_cluster_without_workers_is_refused(lonely: RealCluster) -> None:
    with pytest.raises(NoWorkersError, match="dask worker"):
        connect(lonely.address)


@pytest.mark.parametrize(
    ("stand_in", "said"),
    [
        ("raise ModuleNotFoundError(\"No module named 'your_short_trade_margin_call'\")", "not installed"),
        late("__path__ = []", "not installed"),
    ],
)
def test_a_worker_without_the_package_is_named(stand_in: str, said: str, lonely: RealCluster, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "your_short_trade_margin_call.py").write_text(stand_in)
    lonely.start_worker(str(folder))
    wait_until(lambda: len(lonely.workers()) == 1)
    (worker,) = lonely.workers()
    with pytest.raises(DifferentProgramError, match=said) as raised:
        connect(lonely.address)
    assert worker in raised.value.message


def test_a_worker_with_other_sources_is_named(lonely: RealCluster, tmp_path: Path) -> None:
    """One comment more in one file: whoever reads it must not have to judge whether it matters."""
    lonely.start_worker(other_sources(tmp_path))
    wait_until(lambda: len(lonely.workers()) == 1)
    (worker,) = lonely.workers()
    with pytest.raises(DifferentProgramError, match=r"program [0-9a-f]{16} instead of [0-9a-f]{16}") as raised:
        connect(lonely.address)
    assert worker in raised.value.message


def test_one_that_joins_later_with_other_sources_is_noticed(lonely: RealCluster, tmp_path: Path) -> None:
    (first,) = lonely.start_workers(1)
    with connect(lonely.address) as executor:
        lonely.start_worker(other_sources(tmp_path))
        wait_until(lambda: len(lonely.workers()) == 2)
        lonely.kill(first)
        with pytest.raises(DifferentProgramError, match="joined later"):
            executor.submit(abs, -1).result()


def other_sources(folder: Path) -> str:
    """A path with a copy of the package, one line longer."""
    import shutil

    src = Path(OURS.split(":")[0])
    copy = folder / "other"
    shutil.copytree(src, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    with (copy / "your_short_trade_margin_call" / "research" / "metrics.py").open("a") as file:
        file.write("# one line more\n")
    return str(copy)
