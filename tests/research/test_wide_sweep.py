"""A wide sweep hands its rows on and keeps the best: they are what the whole sweep has, whatever ties."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason, ExitType
from your_short_trade_margin_call.research import running, sweep
from your_short_trade_margin_call.research.account_kernel import SUMMARY
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.best_rows import BestRows
from your_short_trade_margin_call.research.metrics import METRIC_COLUMNS
from your_short_trade_margin_call.research.running import Chunk
from your_short_trade_margin_call.research.sweep import Sweep
from your_short_trade_margin_call.research.table import Table, as_polars
from your_short_trade_margin_call.research.trials import AXES
from your_short_trade_margin_call.settings import ParameterGrid

GRID = ParameterGrid(
    highest_high_lookback=(5, 8, 13, 20),
    exit_type=tuple(ExitType),
    risk_fraction=(0.5, 0.95, 0.99),
    take_profit_pct=tuple(0.002 + 0.001 * k for k in range(7)),
    stop_loss_pct=(None, 0.005, 0.1),
    max_hold=(None, 3_600_000),
)
PAST_ALL = ParameterGrid(stop_loss_pct=tuple(1.0 + 0.1 * k for k in range(20)), highest_high_lookback=(5, 20))
"""Stops so far away that they all tie."""


@pytest.fixture(params=[(40, 10), (300, 20)])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Little is kept, chunks are small and cut across the grid, and curves are only traced where they decide."""
    rows, top = request.param
    monkeypatch.setattr(sweep, "KEPT_ROWS", rows)
    monkeypatch.setattr(sweep, "TOP_ROWS", top)
    monkeypatch.setattr(sweep, "TRACED_CANDLES", 0)
    monkeypatch.setattr(running, "MOST_TAKE_PROFITS", 3)
    monkeypatch.setattr(running, "MOST_LOOKBACKS", 3)
    return int(rows)


def both(world: World, grid: ParameterGrid) -> tuple[Sweep, Sweep, list[Table]]:
    """The whole sweep, the wide one, and the rows that it handed on."""
    engine = BacktestEngine(world.settings, world.instrument)
    handed: list[Table] = []
    return engine.sweep(world.candles, grid), engine.sweep(world.candles, grid, take=handed.append), handed


@pytest.mark.parametrize("seed", range(4_200, 4_206))
def test_the_best_of_a_wide_sweep_are_the_first_of_the_whole(seed: int, kept: int) -> None:
    whole, wide, _ = both(random_world(seed), GRID)
    assert (wide.trials, wide.params, wide.best) == (whole.trials, whole.params, whole.best)
    assert wide.best_metrics == whole.best_metrics
    assert wide.blocked_of(int(wide.order[0])) == whole.blocked_of(int(whole.order[0]))
    first = whole.table.head(kept)
    assert first.equals(wide.table)
    assert wide.numbers.tolist() == sorted(wide.numbers.tolist())


def test_where_more_tie_than_are_kept_the_calmest_stay(kept: int) -> None:
    """Hundreds with the same trades: the whole sweep traces them all, the wide one some hundred at a time."""
    for seed in (4_201, 4_203):
        whole, wide, _ = both(random_world(seed), PAST_ALL)
        assert whole.table["pnl_pct"].n_unique() < whole.trials / 15
        assert wide.best == whole.best
        assert wide.best_metrics == whole.best_metrics
        top = min(kept, int(whole.table["drawdown"].is_not_null().sum()))
        assert wide.table.head(top).equals(whole.table.head(top))


def test_every_row_is_handed_on_once_with_its_place_in_the_grid(kept: int) -> None:
    whole, _, handed = both(random_world(4_202), GRID)
    assert len(handed) > 4
    assert all(as_polars(table)["trial"].is_sorted() for table in handed)
    rows = pl.concat([as_polars(table) for table in handed]).sort("trial")
    assert rows["trial"].to_list() == list(range(len(GRID)))
    assert [StrategyParams(**row) for row in rows.select(AXES).rows(named=True)] == list(whole.params)
    for name in set(METRIC_COLUMNS) - {"drawdown", "sharpe"}:
        assert np.array_equal(rows[name].cast(pl.Float64).fill_null(np.nan), whole.columns[name], equal_nan=True), name
    for reason in BlockReason:
        assert rows[f"blocked_{reason}"].to_list() == whole.blocked[:, reason.code].tolist()
    curves = rows.select("drawdown", "sharpe").filter(rows["trades"] == 0)
    assert curves.rows() == [(0.0, 0.0)] * len(curves)
    assert rows["drawdown"].null_count() == rows["sharpe"].null_count() == len(GRID) - len(curves)


def test_too_many_trials_for_memory_make_a_sweep_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    world = random_world(4_204)
    monkeypatch.setattr(sweep, "MOST_KEPT_TRIALS", len(GRID) - 1)
    wide = BacktestEngine(world.settings, world.instrument).sweep(world.candles, GRID)
    assert len(wide.table) == sweep.KEPT_ROWS < wide.trials == len(GRID)
    monkeypatch.setattr(sweep, "MOST_KEPT_TRIALS", len(GRID))
    whole = BacktestEngine(world.settings, world.instrument).sweep(world.candles, GRID)
    assert len(whole.table) == whole.trials


# ---- the rows alone, with as many ties as can be ------------------------------------------------------


def chunk_of(numbers: list[int], profits: list[int]) -> Chunk:
    summary = np.zeros(len(numbers), dtype=SUMMARY)
    summary["final_balance"] = [100.0 + profits[k] for k in numbers]
    summary["wins"] = 1
    return Chunk(np.array(numbers, dtype=np.int64), summary, np.zeros((len(numbers), len(BlockReason)), dtype=np.int64))


def parts_of(numbers: list[int], sizes: list[int]) -> Iterator[list[int]]:
    for size in sizes:
        yield numbers[:size]
        numbers = numbers[size:]
    yield numbers


@given(
    st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 3)), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
    st.lists(st.integers(1, 20), max_size=5),
    st.integers(1, 12),
    st.integers(0, 8),
)
def test_the_first_of_the_ranking_are_kept_in_whatever_order_they_come(
    rows: list[tuple[int, int]],
    luck: st.randoms,
    sizes: list[int],
    top: int,
    more: int,  # type: ignore[valid-type]
) -> None:
    profits, drawdowns = [pnl for pnl, _ in rows], [drawdown for _, drawdown in rows]
    keep = top + more
    traced: list[int] = []

    def trace(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        traced.extend(numbers.tolist())
        return np.array([[drawdowns[k] / 100.0, 1.0] for k in numbers.tolist()]).reshape(-1, 2)

    shuffled = list(range(len(rows)))
    luck.shuffle(shuffled)  # type: ignore[attr-defined]
    best = BestRows(keep, top, 100.0, trace)
    for part in parts_of(shuffled, sizes):
        best.add(chunk_of(part, profits))

    ranking = sorted(range(len(rows)), key=lambda k: (-profits[k], drawdowns[k], k))
    kept = best.chunk.trials.tolist()
    assert kept == sorted(kept)
    assert len(kept) == min(keep, len(rows))
    # What would be ranked by drawdown is there, and the winner above all.
    assert ranking[0] in kept
    leaders = {k for k in ranking if profits[k] >= profits[ranking[min(top, len(ranking)) - 1]]}
    expected = leaders if len(leaders) <= keep else set(ranking[:keep])
    assert expected <= set(kept)
    assert sorted(profits[k] for k in kept) == sorted(profits, reverse=True)[: len(kept)][::-1]
    assert len(traced) == len(set(traced))
