"""Neighbours in a grid: the box filter agrees with asking every pair; steps go by value, never by exit type."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.research.plateau import Plateau, neighbours, plateau_of, surface
from your_short_trade_margin_call.research.trials import AXES, Trials

MIXED = Trials((30, 10, 20), (ExitType.MIDPOINT, ExitType.HIGHEST_LOW), (0.9,), (0.01, 0.002), (None, 0.05), (None,))
"""Axes out of order, and one where nothing stands for the farthest."""


def some_axis(values: list[float | None]) -> st.SearchStrategy[tuple[float | None, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True).map(tuple)


grids = st.builds(
    Trials,
    some_axis([5, 10, 20, 40, 80]),  # type: ignore[arg-type]
    st.lists(st.sampled_from(ExitType), min_size=1, max_size=3, unique=True).map(tuple),
    some_axis([0.1, 0.5, 0.7, 0.9]),  # type: ignore[arg-type]
    some_axis([0.002, 0.004, 0.008]),  # type: ignore[arg-type]
    some_axis([None, 0.01, 0.05]),
    some_axis([None, 60_000, 180_000]),  # type: ignore[arg-type]
).filter(lambda trials: len(trials) <= 150)


def slow_neighbours(trials: Trials, one: int) -> set[int]:
    """Every trial of the same exit type that is at most a step away on each axis, the trial itself included."""

    def is_near(name: str, place: int, other: int) -> bool:
        values = getattr(trials, name)
        if name == "exit_type":
            return place == other
        ordered = sorted(math.inf if value is None else value for value in values)
        ranks = [ordered.index(math.inf if values[k] is None else values[k]) for k in (place, other)]
        return abs(ranks[0] - ranks[1]) <= 1

    own = trials.places(one)
    return {
        number
        for number, places in enumerate(product(*(range(length) for length in trials.shape)))
        if all(is_near(name, mine, theirs) for name, mine, theirs in zip(AXES, own, places, strict=True))
    }


@settings(deadline=None, max_examples=60)
@given(grids, st.integers(0, 2**32 - 1))
def test_the_surface_is_that_of_the_slow_twin(trials: Trials, seed: int) -> None:
    pnl = np.random.Generator(np.random.PCG64(seed)).normal(0, 3, len(trials))
    smooth = surface(trials, pnl)
    for one in range(len(trials)):
        near = sorted(slow_neighbours(trials, one))
        assert smooth.size[one] == len(near)
        assert smooth.mean[one] == pytest.approx(np.mean([pnl[k] for k in near]), abs=1e-12)
        assert smooth.worst[one] == min(pnl[k] for k in near)
        assert neighbours(trials, one).tolist() == sorted(set(near) - {one})


def test_steps_go_by_value_and_exit_types_have_none() -> None:
    """Lookback 30 is next to 20, not to 10; another exit type is never near; no stop-loss is next to the widest."""
    first = MIXED[0]
    near = [MIXED[k] for k in neighbours(MIXED, 0)]
    assert (first.highest_high_lookback, first.stop_loss_pct) == (30, None)
    assert {one.highest_high_lookback for one in near} == {30, 20}
    assert {one.exit_type for one in near} == {first.exit_type}
    assert {one.stop_loss_pct for one in near} == {None, 0.05}
    assert {one.take_profit_pct for one in near} == {0.01, 0.002}
    assert len(near) == 2 * 2 * 2 - 1


LINE = Trials((10, 20, 30, 40, 50), (ExitType.MIDPOINT,), (0.9,), (0.01,), (None,), (None,))


def test_a_plateau_and_a_needle() -> None:
    pnl = np.array([4.0, 5.0, 3.0, -1.0, 6.0])
    broad, needle = plateau_of(LINE, pnl, 1), plateau_of(LINE, pnl, 4)
    assert broad == Plateau(5.0, 2, 3.5, 3.5, 3.0, 1.0, 0.7)
    assert needle == Plateau(6.0, 1, -1.0, -1.0, -1.0, 0.0, -1.0 / 6.0)
    assert surface(LINE, pnl).mean.tolist() == pytest.approx([4.5, 4.0, 7 / 3, 8 / 3, 2.5])
    assert surface(LINE, pnl).worst.tolist() == [4.0, 3.0, -1.0, -1.0, -1.0]


def test_half_of_the_neighbours_with_profit_and_a_trial_without() -> None:
    beside = plateau_of(LINE, np.array([1.0, -2.0, -3.0, 0.0, 0.0]), 1)
    assert (beside.profitable_frac, beside.kept_frac, beside.median_pct) == (0.5, None, -1.0)


def test_a_grid_of_one_has_no_neighbours() -> None:
    alone = Trials((10,), (ExitType.MIDPOINT,), (0.9,), (0.01,), (None,), (None,))
    lonely = plateau_of(alone, np.array([2.0]), 0)
    assert lonely == Plateau(2.0, 0, None, None, None, None, None)
    assert lonely.document() == {"pnl_pct": 2.0, "neighbours": 0} | dict.fromkeys(
        ("mean_pct", "median_pct", "worst_pct", "profitable_frac", "kept_frac")
    )
    assert surface(alone, np.array([2.0])).mean.tolist() == [2.0]
