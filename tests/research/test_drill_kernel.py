"""The drill's kernels against slow twins, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from your_short_trade_margin_call.research.drill_kernel import Falls, cluster, fade, walk

Floats = NDArray[np.float64]


@pytest.fixture(params=range(4))
def luck(request: pytest.FixtureRequest) -> Generator:
    return Generator(PCG64(request.param))


def test_cluster(luck: Generator) -> None:
    shocks, made = luck.standard_normal(300), np.empty(300)
    cluster(shocks, 0.1, 0.85, made)
    variance, expected = 1.0, []
    for shock in shocks.tolist():
        expected.append(math.sqrt(variance))
        variance = (1.0 - 0.1 - 0.85) + variance * (0.1 * shock * shock + 0.85)
    assert made == pytest.approx(expected, rel=1e-12)


def test_the_mean_square_of_volatility_is_one() -> None:
    shocks, made = Generator(PCG64(9)).standard_normal(400_000), np.empty(400_000)
    cluster(shocks, 0.08, 0.90, made)
    assert np.mean(made**2) == pytest.approx(1.0, abs=0.03)


def test_fade(luck: Generator) -> None:
    shocks = luck.standard_normal(200)
    made = shocks.copy()
    fade(made, 0.9)
    for k in (0, 1, 7, 199):
        assert made[k] == pytest.approx(sum(0.9 ** (k - j) * shocks[j] for j in range(k + 1)), rel=1e-9)


def slow_walk(opening: Floats, steps: Floats, falls: Falls, price: float) -> tuple[list[list[float]], list[bool]]:
    rows: list[list[float]] = []
    fell: list[bool] = []
    owed, left = 0.0, 0
    for jump, moves in zip(opening.tolist(), steps.tolist(), strict=True):
        fell.append(left > 0)
        push = owed * falls.give_back - (falls.size / falls.candles if left else 0.0)
        owed, left = owed - push, max(0, left - 1)
        path = [price * (1.0 + jump)]
        for move in moves:
            path.append(max(1.0, path[-1] * (1.0 + move + push / len(moves))))
        price = path[-1]
        rows.append([float(round(x)) for x in (path[0], max(path), min(path), price)])
        before = rows[-1 - falls.lookback : -1]
        open_, high, _, close = rows[-1]
        if falls.size and len(before) == falls.lookback and high >= max(row[1] for row in before) and close < open_:
            left = falls.candles
    return rows, fell


@pytest.mark.parametrize("size", [0.0, 0.004, 0.02])
def test_walk(luck: Generator, size: float) -> None:
    n = 400
    opening = luck.standard_normal(n) * 0.01 * (luck.random(n) < 0.1)
    steps = luck.standard_normal((n, 3)) * 0.001
    falls = Falls(size, 6, 5, 0.05)
    ticks, falling = np.empty((n, 4)), np.zeros(n, dtype=np.bool_)
    walk(opening, steps, falls, 3_000.0, ticks, falling)
    expected, fell = slow_walk(opening, steps, falls, 3_000.0)
    assert ticks.tolist() == expected
    assert falling.tolist() == fell
    assert (falling.sum() > 50) == (size > 0)


def test_a_price_never_falls_below_a_tick() -> None:
    ticks, falling = np.empty((50, 4)), np.zeros(50, dtype=np.bool_)
    walk(np.zeros(50), np.full((50, 2), -0.5), Falls(0.0, 3, 3, 0.1), 9.0, ticks, falling)
    assert ticks[-1].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_what_fell_is_won_back() -> None:
    n = 20_000
    steps = Generator(PCG64(3)).standard_normal((n, 2)) * 1e-4
    ticks, falling = np.empty((n, 4)), np.zeros(n, dtype=np.bool_)
    walk(np.zeros(n), steps.copy(), Falls(0.01, 10, 10, 0.01), 1e6, ticks, falling)
    plain = np.empty((n, 4))
    walk(np.zeros(n), steps, Falls(0.0, 10, 10, 0.01), 1e6, plain, np.zeros(n, dtype=np.bool_))
    fallen = falling.sum() * 0.001
    assert fallen > 5.0  # hundreds of falls, and yet
    assert abs(math.log(ticks[-1, 3] / plain[-1, 3])) < 0.05 * fallen
