"""What one candle does to a short: a table a trader can read, and every small candle against a naive reading."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from your_short_trade_margin_call.rules.candle_path import (
    LIQUIDATED,
    NOTHING,
    STOPPED,
    TARGET_FILLED,
    candle_event,
    opening_event,
)
from your_short_trade_margin_call.rules.terms import NO_PRICE

NAN = float("nan")
UNKNOWN = ((NAN, NAN),) * 3
"""No minutes."""


@dataclass(frozen=True)
class Row:
    """Liquidation stands at 110, the target at 90; prices in ticks, minutes as (high, low)."""

    words: str
    mark_open: float
    mark_high: float
    low: float
    event: int
    stop: int = 108
    target: int = 90
    touch: bool = False
    minutes: tuple[tuple[float, float], ...] = UNKNOWN

    def happens(self) -> int:
        highs, lows = (np.array(column) for column in zip(*self.minutes, strict=True))
        return int(
            candle_event(self.mark_open, self.mark_high, self.low, 110, self.stop, self.target, self.touch, highs, lows)
        )


EARLY_WIN = ((101.0, 89.0), (108.0, 95.0), (104.0, 97.0))
EARLY_LOSS = ((108.0, 99.0), (104.0, 95.0), (103.0, 89.0))
SAME_MINUTE = ((101.0, 95.0), (108.0, 89.0), (104.0, 97.0))
ONLY_MARK_ROSE = ((101.0, 95.0), (102.0, 89.0), (104.0, 97.0))
ONE_UNKNOWN = ((101.0, 89.0), (NAN, NAN), (108.0, 97.0))
TOUCHES_FIRST = ((101.0, 90.0), (108.0, 95.0), (104.0, 89.0))

ROWS = [
    Row("a quiet candle", 100, 107.9, 90.1, NOTHING),
    Row("opens at liquidation", 110, 111, 89, LIQUIDATED),
    Row("opens beyond liquidation, whatever the minutes say", 120, 120, 89, LIQUIDATED, minutes=EARLY_WIN),
    Row("opens at the stop: not doubtful, no minutes are asked", 108, 109, 89, STOPPED, minutes=EARLY_WIN),
    Row("the high touches the stop", 100, 108, 95, STOPPED),
    Row("the high is a hair below the stop", 100, 107.999, 95, NOTHING),
    Row("the high passes stop and liquidation: the stop is nearer", 100, 150, 95, STOPPED),
    Row("no stop, the high touches liquidation", 100, 110, 95, LIQUIDATED, stop=NO_PRICE),
    Row("no stop, a hair below liquidation", 100, 109.999, 95, NOTHING, stop=NO_PRICE),
    Row("the low trades through the target", 100, 101, 89.9, TARGET_FILLED),
    Row("the low touches the target: not enough", 100, 101, 90, NOTHING),
    Row("a touch is enough if so set", 100, 101, 90, TARGET_FILLED, touch=True),
    Row("no target rests", 100, 101, 1, NOTHING, target=0),
    Row("both sides, no minutes: adverse first", 100, 108, 89, STOPPED),
    Row("both sides, the target's minute came first", 100, 108, 89, TARGET_FILLED, minutes=EARLY_WIN),
    Row("both sides, the stop's minute came first", 100, 108, 89, STOPPED, minutes=EARLY_LOSS),
    Row("both sides in one minute: adverse first", 100, 108, 89, STOPPED, minutes=SAME_MINUTE),
    Row("the mark alone reached the stop: no minute of last prices can tell", 100, 108, 89, STOPPED,
        minutes=ONLY_MARK_ROSE),
    Row("a minute is missing: adverse first", 100, 108, 89, STOPPED, minutes=ONE_UNKNOWN),
    Row("a minute only touched the target before", 100, 108, 89, STOPPED, minutes=TOUCHES_FIRST),
    Row("a touch counts in the minutes too, if so set", 100, 108, 89, TARGET_FILLED, touch=True,
        minutes=TOUCHES_FIRST),
    Row("no stop: the minutes look at liquidation", 100, 110, 89, LIQUIDATED, stop=NO_PRICE, minutes=EARLY_WIN),
    Row("minutes decide nothing in a candle that is not doubtful", 100, 107, 89, TARGET_FILLED, minutes=EARLY_LOSS),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words)
def test_candle_as_a_trader_reads_it(row: Row) -> None:
    assert row.happens() == row.event


def naive(row: Row) -> int:
    """The rules as they are written, one sentence after another."""
    has_stop = row.stop != NO_PRICE
    level = row.stop if has_stop else 110
    lost = STOPPED if has_stop else LIQUIDATED
    if row.mark_open >= 110:
        return LIQUIDATED
    if row.mark_open >= level:
        return lost

    def won(low: float) -> bool:
        return row.target > 0 and (low < row.target or (row.touch and low == row.target))

    if row.mark_high < level:
        return TARGET_FILLED if won(row.low) else NOTHING
    if not won(row.low):
        return lost
    known = not any(np.isnan(high) for high, _ in row.minutes)
    losing = [k for k, (high, _) in enumerate(row.minutes) if high >= level]
    winning = [k for k, (_, low) in enumerate(row.minutes) if won(low)]
    return TARGET_FILLED if known and losing and winning and winning[0] < losing[0] else lost


MINUTES = [UNKNOWN, EARLY_WIN, EARLY_LOSS, SAME_MINUTE, ONLY_MARK_ROSE, ONE_UNKNOWN, TOUCHES_FIRST]


def test_every_small_candle_as_the_rules_say() -> None:
    seen = set()
    grid = itertools.product(
        (100.0, 107.5, 108.0, 109.0, 110.0, 115.0),  # mark at the opening
        (0.0, 0.5, 7.0, 8.0, 9.0, 10.0, 30.0),  # mark high above it
        (95.0, 90.5, 90.0, 89.0),  # low of last
        (NO_PRICE, 108, 109),
        (0, 90),
        (False, True),
        MINUTES,
    )
    for opens, above, low, stop, target, touch, minutes in grid:
        row = Row("", opens, opens + above, low, NOTHING, stop, target, touch, minutes)
        assert row.happens() == naive(row), row
        seen.add(row.happens())
        highs_never_reached: NDArray[np.float64] = np.full(3, np.nan)
        alone = candle_event(opens, -np.inf, np.inf, 110, stop, target, touch, highs_never_reached, highs_never_reached)
        assert opening_event(opens, 110, stop) == alone
    assert seen == {NOTHING, LIQUIDATED, STOPPED, TARGET_FILLED}
