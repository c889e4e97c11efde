"""Resampling a history: blocks of its candles in another order, at their own time of day, their drift taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.errors import TooFewCandlesError
from your_short_trade_margin_call.domain.spans import CANDLE_MS

if TYPE_CHECKING:
    from numpy.random import Generator

    from your_short_trade_margin_call.market.candles import Candles
    from your_short_trade_margin_call.market.columns import Floats, Times

CANDLES_A_DAY = 480
BLOCK_CANDLES = 20
"""How long a block is on average: an hour. What follows a failed peak for longer is torn apart."""
FEWEST_DAYS = 5
"""A history must have so many whole days."""


class Rows(NamedTuple):
    """Candles without a price: jump at the open [n], steps inside [n, s], place in the day 0..479 [n]."""

    opening: Floats
    steps: Floats
    slot: Times


def rows_of(candles: Candles) -> Rows:
    """The moves of real candles; inside each from open to high to low to close. A hole is no jump.

    Raises:
        TooFewCandlesError: there are fewer than FEWEST_DAYS days.
    """
    candles.require(FEWEST_DAYS * CANDLES_A_DAY, "a history to resample")
    follows = np.diff(candles.time_ms) == CANDLE_MS
    opening = np.zeros(len(candles))
    opening[1:] = np.where(follows, candles.open[1:] / candles.close[:-1] - 1.0, 0.0)
    inside = np.column_stack((candles.open, candles.high, candles.low, candles.close))
    return Rows(opening, inside[:, 1:] / inside[:, :-1] - 1.0, candles.time_ms // CANDLE_MS % CANDLES_A_DAY)


def resampled(rng: Generator, rows: Rows, count: int) -> tuple[Floats, Floats]:
    """`count` rows in blocks: opening jumps and steps. Each candle keeps its time of day, none has an expected return.

    Blocks begin at random (stationary bootstrap), each in a random day of the history. The mean return of each time
    of day is taken away, else the same drift would come back at the same hour every day, and could be learnt.

    Raises:
        TooFewCandlesError: some time of day occurs on fewer than FEWEST_DAYS days.
    """
    by_slot = np.argsort(rows.slot, kind="stable")
    often = np.bincount(rows.slot, minlength=CANDLES_A_DAY)
    days = int(often.min())
    if days < FEWEST_DAYS:
        raise TooFewCandlesError(
            f"Some time of day is there on {days} days of the history only.", f"It takes {FEWEST_DAYS} whole days."
        )
    first = np.concatenate(([0], np.cumsum(often)[:-1]))
    slot = np.arange(count) % CANDLES_A_DAY
    begins = rng.random(count) < 1.0 / BLOCK_CANDLES
    day = rng.integers(0, days, count)[np.cumsum(begins)]
    chosen = by_slot[first[slot] + day]
    opening = _without_drift(rows, often)[chosen]
    return opening, rows.steps[chosen]


def _without_drift(rows: Rows, often: Times) -> Floats:
    """Opening jumps that take each time of day's mean return away."""
    factor = (1.0 + rows.opening) * np.prod(1.0 + rows.steps, axis=1)
    mean = np.bincount(rows.slot, weights=factor, minlength=CANDLES_A_DAY) / often
    jumps: Floats = (1.0 + rows.opening) / mean[rows.slot] - 1.0
    return jumps
