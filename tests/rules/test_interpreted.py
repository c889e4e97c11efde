"""Kernels that the interpreter runs come to the same bits as compiled ones, and compile nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.shares import shared
from tests.worlds import random_world
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.rules import costs
from your_short_trade_margin_call.rules.interpreted import interpreting, is_interpreting
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.settings import ParameterGrid

WORLDS = 60
PLACE = np.dtype([("price", np.float64), ("count", np.int64)])


class Pair(NamedTuple):
    """Several values at once, as kernels take and return them."""

    places: Any
    factor: float


@jit_inline
def _scaled(price: float, factor: float = 2.0) -> float:
    return price / factor


@jit
def _fill(pair: Pair, at: int) -> Pair:
    place = pair.places[at]
    place.count += 1
    place.price = costs.buy_fill(_scaled(place.price, pair.factor), 0.0, 0.0) + _scaled(1.0)
    return Pair(pair.places, place.price)


@jit
def _never(pair: Pair, at: int) -> Pair:
    return _fill(pair, at)


@jit
def _two(values: tuple[float, int]) -> tuple[float, int]:
    return values[0] / 2.0, values[1] + 1


def places() -> np.ndarray:
    return np.array([(100.0, 0), (200.0, 5)], dtype=PLACE)


@pytest.mark.parametrize("seed", shared(range(WORLDS), 3))
def test_a_backtest_is_the_same(seed: int) -> None:
    world = random_world(seed)
    engine = BacktestEngine(world.settings, world.instrument)
    compiled = engine.backtest(world.candles, world.params)
    with interpreting():
        interpreted = engine.backtest(world.candles, world.params)
    assert repr(interpreted.rows) == repr(compiled.rows)
    assert repr(interpreted.metrics) == repr(compiled.metrics)
    assert interpreted.blocked == compiled.blocked
    np.testing.assert_array_equal(interpreted.equity, compiled.equity)


@pytest.mark.parametrize("seed", range(4))
def test_a_sweep_is_the_same(seed: int) -> None:
    world = random_world(seed)
    engine = BacktestEngine(world.settings, world.instrument)
    grid = ParameterGrid(highest_high_lookback=(1, 3), risk_fraction=(0.5, 0.95), take_profit_pct=(0.002, 0.02))
    compiled = engine.sweep(world.candles, grid)
    with interpreting():
        interpreted = engine.sweep(world.candles, grid)
    assert interpreted.best == compiled.best
    assert repr(interpreted.rows) == repr(compiled.rows)


def test_nothing_is_compiled() -> None:
    with interpreting():
        made = _never(Pair(places(), 4.0), 1)
    assert not _never.signatures  # type: ignore[attr-defined]  # numba's
    assert made.places.tolist() == [(100.0, 0), (50.5, 6)]
    assert type(made.factor) is float


def test_arrays_are_filled_in_place_as_compiled() -> None:
    compiled, interpreted = places(), places()
    _fill(Pair(compiled, 4.0), 0)
    with interpreting():
        _fill(Pair(interpreted, 4.0), 0)
    assert interpreted.tolist() == compiled.tolist() == [(25.5, 1), (200.0, 5)]


def test_numbers_divide_as_compiled() -> None:
    with interpreting():
        assert _scaled(1.0, 0.0) == np.inf
        assert np.isnan(_scaled(0.0, 0.0))


def test_the_interpreter_is_left_again() -> None:
    assert not is_interpreting()
    with interpreting():
        with interpreting():
            assert is_interpreting()
        assert is_interpreting()
    with pytest.raises(ZeroDivisionError), interpreting():
        raise ZeroDivisionError
    assert not is_interpreting()


def test_plain_tuples_are_taken_and_returned() -> None:
    with interpreting():
        made = _two((3.0, 4))
    assert made == _two((3.0, 4)) == (1.5, 5)


def test_other_threads_do_as_they_did() -> None:
    with interpreting(), ThreadPoolExecutor(1) as other:
        assert not other.submit(is_interpreting).result()
