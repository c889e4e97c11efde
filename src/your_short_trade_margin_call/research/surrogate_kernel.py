"""Surrogate markets, compiled: the order in which real candles come again, and the prices which that makes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules import luck
from your_short_trade_margin_call.rules.jit import jit, jit_inline

_TURN = np.uint64(11)
_CUT = np.uint64(12)
_BLOCK = np.uint64(13)
_INNER = np.uint64(14)


@jit_inline
def _below(key: np.uint64, place: int, purpose: np.uint64, limit: int) -> int:
    """A whole number of 0..limit-1, each as likely."""
    return int(luck.uniform(luck.draw(key, place, purpose)) * limit)


@jit
def _shuffle(key: np.uint64, purpose: np.uint64, first: int, end: int, values: NDArray[np.int64]) -> None:
    """Bring values[first:end] into an order of chance (Fisher and Yates)."""
    for k in range(end - 1, first, -1):
        other = first + _below(key, k, purpose, k - first + 1)
        values[k], values[other] = values[other], values[k]


@jit
def _cut(key: np.uint64, mean_block: float, count: int, starts: NDArray[np.int64]) -> int:
    """Where blocks of a mean length begin, and where the last ends; returns how many they are."""
    blocks = 0
    for k in range(count):
        if k == 0 or luck.uniform(luck.draw(key, k, _CUT)) * mean_block < 1.0:
            starts[blocks] = k
            blocks += 1
    starts[blocks] = count
    return blocks


@jit
def draw_order(
    key: np.uint64, mean_block: float, movable: NDArray[np.int64], starts: NDArray[np.int64],
    turns: NDArray[np.int64], sources: NDArray[np.int64], order: NDArray[np.int64],
) -> None:  # fmt: skip
    """Fill `order`: which candle comes at the place of each movable one; every one of them comes once.

    They are joined to a ring, turned, cut into blocks of geometric length, the blocks shuffled, and the candles of
    each block too. `starts` (one longer than `movable`), `turns` and `sources` (as long) are room to work in.
    """
    count = len(movable)
    blocks = _cut(key, mean_block, count, starts)
    for b in range(blocks):
        turns[b] = b
    _shuffle(key, _BLOCK, 0, blocks, turns)
    turn = _below(key, 0, _TURN, max(1, count))
    place = 0
    for b in range(blocks):
        first = place
        for k in range(starts[turns[b]], starts[turns[b] + 1]):
            sources[place] = movable[(k + turn) % count]
            place += 1
        _shuffle(key, _INNER, first, place, sources)
    for k in range(count):
        order[movable[k]] = sources[k]


@jit
def lay_candles(
    prices: NDArray[np.float64], close: NDArray[np.float64], order: NDArray[np.int64], laid: NDArray[np.float64]
) -> None:
    """Fill `laid` with the candles of `order`, each moved to where the one before it closed; whole ticks, one or more.

    `prices` and `laid` hold a row for each column of prices (in ticks; NaN stays). The closes are carried on
    unrounded, so that rounding adds up to nothing.
    """
    last = close[0]
    for k in range(len(order)):
        source = order[k]
        scale = last / close[source - 1] if k > 0 else 1.0
        for row in range(len(prices)):
            # Not `math.floor`: compiled, that makes whole numbers, of which none stands for "unknown".
            ticks = np.floor(prices[row, source] * scale + 0.5)
            laid[row, k] = 1.0 if ticks < 1.0 else ticks
        last = close[source] * scale
