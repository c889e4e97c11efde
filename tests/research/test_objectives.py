"""What the winner is chosen by: each objective against a slow reading of it, ties and all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.worlds import random_world
from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.words import ExitType, Objective
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.plateau import neighbours
from your_short_trade_margin_call.research.profits import Profits
from your_short_trade_margin_call.research.selection import Swept, choose, chosen_pct, score
from your_short_trade_margin_call.research.trials import Trials
from your_short_trade_margin_call.settings import ParameterGrid

LINE = Trials((10, 20, 30, 40, 50), (ExitType.MIDPOINT,), (0.9,), (0.01,), (None,), (None,))
POOLED = (Objective.GROWTH, Objective.POOLED)


class Drawn(Profits):
    """Profits with drawdowns."""

    def __init__(self, params: Trials, pnl_pct: Sequence[float], drawdown: Sequence[float]) -> None:
        super().__init__(params, np.array(pnl_pct, dtype=float))
        self.__dict__["columns"] = {"pnl_pct": self.pnl_pct, "drawdown": np.array(drawdown, dtype=float)}


def made(*pnl_pct: float) -> Profits:
    return Profits(replace(LINE, highest_high_lookback=tuple(range(1, len(pnl_pct) + 1))), np.array(pnl_pct))


def slow_score(objective: Objective, windows: Sequence[Swept], trial: int) -> tuple[float, ...]:
    """What the documentation says, one trial at a time."""
    pnl = [float(swept.columns["pnl_pct"][trial]) for swept in windows]
    if objective is Objective.PNL_PCT:
        return (pnl[-1],)
    if objective is Objective.PLATEAU:
        near = [trial, *neighbours(windows[-1].params, trial).tolist()]
        there = [float(windows[-1].columns["pnl_pct"][k]) for k in near]
        return (round(sum(there) / len(there), 9), min(there), pnl[-1])
    if objective is Objective.POOLED:
        return (round(sum(pnl) / len(pnl), 9),)
    logs = [math.log(1 + one / 100) if one > -100 else -math.inf for one in pnl]
    return (round(sum(logs) / len(logs), 11) if min(logs) > -math.inf else -math.inf,)


def slow_choice(objective: Objective, windows: Sequence[Swept], drawdown: NDArray[np.float64]) -> int:
    seen = windows if objective in POOLED else windows[-1:]
    return min(
        range(len(seen[0].params)),
        key=lambda trial: ([-x for x in slow_score(objective, seen, trial)], drawdown[trial], trial),
    )


# Whole numbers, so that ties are frequent and means exact.
tables = st.integers(1, 4).flatmap(
    lambda count: st.lists(
        st.lists(st.tuples(st.integers(-100, 3), st.integers(0, 2)), min_size=5, max_size=5),
        min_size=count,
        max_size=count,
    )
)


@settings(deadline=None, max_examples=200)
@given(tables, st.sampled_from(Objective))
def test_the_choice_is_that_of_the_slow_twin(rows: list[list[tuple[int, int]]], objective: Objective) -> None:
    windows = [Drawn(LINE, [p for p, _ in row], [d for _, d in row]) for row in rows]
    seen = rows if objective in POOLED else rows[-1:]
    deepest = np.array([[d for _, d in row] for row in seen], dtype=float).max(axis=0)
    assert choose(objective, windows) == slow_choice(objective, windows, deepest)


def test_by_profit_the_choice_is_the_sweeps_own() -> None:
    for seed in range(4_300, 4_310):
        world = random_world(seed)
        sweep = BacktestEngine(world.settings, world.instrument).sweep(world.candles)
        assert choose(Objective.PNL_PCT, [sweep]) == sweep.order[0]
        assert chosen_pct(Objective.PNL_PCT, [sweep]) == sweep.best_metrics.pnl_pct
        assert score(Objective.PNL_PCT, [sweep]).tolist() == sweep.columns["pnl_pct"].tolist()


def test_the_objectives_do_not_agree() -> None:
    """A needle, a hill, a steady earner and one that made most of its profit before it lost nearly everything."""
    before = made(0.0, 0.0, 0.0, 0.0, 2.0, 190.0)
    latest = made(9.0, -4.0, 5.0, 6.0, 2.0, -92.0)
    assert choose(Objective.PNL_PCT, [before, latest]) == 0
    assert choose(Objective.PLATEAU, [before, latest]) == 3
    assert choose(Objective.POOLED, [before, latest]) == 5
    assert choose(Objective.GROWTH, [before, latest]) == 0
    assert chosen_pct(Objective.POOLED, [before, latest]) == 49.0
    assert chosen_pct(Objective.PLATEAU, [before, latest]) == 6.0


def test_growth_is_what_an_account_grows_by() -> None:
    windows = [made(50.0, 10.0), made(-40.0, -5.0), made(20.0, 2.0)]
    grown = np.exp(3 * score(Objective.GROWTH, windows))
    assert grown.tolist() == pytest.approx([1.5 * 0.6 * 1.2, 1.1 * 0.95 * 1.02], rel=1e-9)


def test_a_ruin_weighs_more_than_any_profit() -> None:
    windows = [made(-100.0, -50.0), made(1e6, 0.0)]
    assert score(Objective.GROWTH, windows)[0] == -math.inf
    assert choose(Objective.GROWTH, windows) == 1
    assert choose(Objective.POOLED, windows) == 0


def test_in_one_window_growth_and_pooled_choose_as_profit_does() -> None:
    luck = np.random.Generator(np.random.PCG64(1))
    for _ in range(50):
        window = made(*luck.normal(0, 5, 40).tolist())
        assert len({choose(one, [window]) for one in (Objective.PNL_PCT, *POOLED)}) == 1


def test_a_known_drawdown_goes_before_an_unknown_one() -> None:
    nan = math.nan
    assert choose(Objective.PNL_PCT, [Drawn(LINE, [2, 2, 2, 1, 0], [nan, 5, 3, 0, 0])]) == 2
    deep = [Drawn(LINE, [1, 1, 0, 0, 0], [1, 4, 0, 0, 0]), Drawn(LINE, [1, 1, 0, 0, 0], [6, 2, 0, 0, 0])]
    assert choose(Objective.POOLED, deep) == 1


def test_no_window_and_different_grids_are_named() -> None:
    with pytest.raises(BadInputError, match="no window"):
        choose(Objective.PNL_PCT, [])
    with pytest.raises(BadInputError, match="different grids"):
        choose(Objective.POOLED, [made(1.0, 2.0), made(1.0, 2.0, 3.0)])
    assert choose(Objective.PNL_PCT, [made(1.0, 2.0), made(1.0, 2.0, 3.0)]) == 2


def test_sweeps_and_bare_profits_are_chosen_from_alike() -> None:
    world = random_world(4_301)
    engine = BacktestEngine(world.settings, world.instrument)
    sweeps = [engine.sweep(world.candles.rows(k, k + 150), ParameterGrid()) for k in (0, 75, 150)]
    bare = [Profits(sweep.params, sweep.columns["pnl_pct"]) for sweep in sweeps]
    for objective in Objective:
        picked = choose(objective, sweeps)
        assert score(objective, sweeps)[picked] == score(objective, bare)[choose(objective, bare)]
