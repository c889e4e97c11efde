"""Surrogate markets read aloud: blocks, turns and candles as Python lists, prices in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from your_short_trade_margin_call.rules import luck

TURN, CUT, BLOCK, INNER = 11, 12, 13, 14


def drawn(key: np.uint64, place: int, purpose: int) -> float:
    """A number in [0, 1)."""
    return luck.uniform(np.uint64(luck.draw(key, place, np.uint64(purpose))))


def slow_order(key: np.uint64, mean_block: float, movable: Sequence[int], n: int) -> list[int]:
    """Which candle comes at each place."""
    count = len(movable)
    turn = int(drawn(key, 0, TURN) * count)
    ring = [movable[(k + turn) % count] for k in range(count)]
    blocks: list[list[int]] = []
    for k, candle in enumerate(ring):
        if k == 0 or drawn(key, k, CUT) * mean_block < 1.0:
            blocks.append([])
        blocks[-1].append(candle)
    for k in reversed(range(1, len(blocks))):
        other = int(drawn(key, k, BLOCK) * (k + 1))
        blocks[k], blocks[other] = blocks[other], blocks[k]
    sources: list[int] = []
    for block in blocks:
        for k in reversed(range(1, len(block))):
            other = int(drawn(key, len(sources) + k, INNER) * (k + 1))
            block[k], block[other] = block[other], block[k]
        sources += block
    order = list(range(n))
    for place, source in zip(movable, sources, strict=True):
        order[place] = source
    return order


def slow_prices(prices: Sequence[float], close: Sequence[float], order: Sequence[int]) -> list[Fraction]:
    """One column of the surrogate before it is rounded to ticks, in ticks."""
    last, made = Fraction(close[0]), []
    for k, source in enumerate(order):
        before = Fraction(close[source - 1]) if k else last
        made.append(Fraction(prices[source]) / before * last)
        last = Fraction(close[source]) / before * last
    return made


def on_tick(price: Fraction) -> int:
    """The nearest whole tick, one at least."""
    return max(1, math.floor(price + Fraction(1, 2)))
