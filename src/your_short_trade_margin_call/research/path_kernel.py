"""Where the plain shorts of a path enter and leave, compiled: found once, remembered for all paths that ask again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.words import TargetSource
from your_short_trade_margin_call.research.ground_kernel import (
    TRADABLE,
    Record,
    calm_below,
    first_at_or_below,
    first_too_long,
    market_buy_ticks,
)
from your_short_trade_margin_call.research.purse_kernel import ALONE
from your_short_trade_margin_call.rules import candle_path, position
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial

_FROM_LEVEL = TargetSource.LEVEL.code

UNKNOWN = 0
"""What a remembered candle or price is before anybody has looked for it."""
_NO_LEVEL = -1.0
"""What is remembered where no level is far enough below the entry."""

ALL = -1
"""Every risk fraction of a path is wanted."""

PATH = np.dtype(
    [
        ("row", np.int64),
        ("exit_type", np.int64),
        ("take_profit_pct", np.float64),
        ("stop_loss_pct", np.float64),
        ("max_hold_ms", np.int64),
        ("at_take_profit", np.int64),
        ("at_level", np.int64),
        ("at_trouble", np.int64),
        ("first_trial", np.int64),
        ("step", np.int64),
        ("place", np.int64),
        ("count", np.int64),
        ("only", np.int64),
    ]
)
"""Trials that share everything but their risk fraction.

`row` is that of their signals; NaN and 0 are off. `at_...` are rows of a memory: one for each take-profit, one for each
level of each lookback, two for each stop-loss (any size, the lowest tier). A memory `int32[rows, peaks]` holds first
candles that somebody looked for already, UNKNOWN elsewhere; threads fill it side by side, and all would write the
same. `first_trial` is the row of the trial with the first risk fraction, and `step` how many rows further that of the
next is. `place` is the signal that a plain short of the path meets next, of `count`. `only` is the place of the one
risk fraction that is wanted, or ALL.
"""


@jit
def first_reached(lows: NDArray[np.float64], n: int, fill_on_touch: bool, first: int, target: float) -> int:
    """The first candle from `first` on in which a resting buy at `target` fills; their number when none."""
    j = first_at_or_below(lows, n, first, n, target)
    while j < n and not candle_path.reaches_target(lows[j], target, fill_on_touch):
        j = first_at_or_below(lows, n, j + 1, n, target)
    return j


@jit_inline
def _target(terms: Terms, path: Record, signal: Record, entry: float, levels: NDArray[np.float64], p: int) -> float:
    """The target of a signal in ticks, or _NO_LEVEL: the same for every take-profit, and remembered for them."""
    level: float = levels[path.at_level, p]
    if level == UNKNOWN:
        trial = Trial(0, path.exit_type, 0.0, path.take_profit_pct, path.stop_loss_pct, path.max_hold_ms)
        target = position.choose_target(terms, trial, Levels(0.0, signal.highest_low, signal.lowest_high), entry)
        level = float(target.ticks) if target.source == _FROM_LEVEL else _NO_LEVEL
        levels[path.at_level, p] = level
    return level


@jit_inline
def _trouble(
    worst: NDArray[np.float64], contract: Contract, terms: Terms, memory: NDArray[np.int32], path: Record,
    peak: Record, s: int, n: int, row: int,
) -> int:  # fmt: skip
    """The first candle that may stop or liquidate a short entered after peak `s`; their number when none."""
    trouble = int(memory[row, s])
    if trouble == UNKNOWN:
        level = calm_below(contract, terms, float(peak.entry), path.stop_loss_pct, row > path.at_trouble)
        trouble = first_at_or_below(worst, n, peak.at + 1, n, -level)
        memory[row, s] = trouble
    return trouble


@jit_inline
def lay_step(
    time_ms: NDArray[np.int64], candle_ms: int, open_: NDArray[np.float64], funding_first: NDArray[np.int64],
    peaks: NDArray[np.void], next_peak: NDArray[np.int32], lows: NDArray[np.float64], worst: NDArray[np.float64],
    rows: NDArray[np.void], place: NDArray[np.int32], contract: Contract, terms: Terms, has_funding: bool,
    memory: NDArray[np.int32], levels: NDArray[np.float64], path: Record, step: Record, lane: int,
) -> None:  # fmt: skip
    """Write down the signal that a path meets, and take the path to the one after its exit."""
    n, p = len(time_ms), path.place
    signal = rows[path.row, p]
    s = signal.peak
    peak = peaks[s]
    target = _target(terms, path, signal, float(peak.entry), levels, p)
    known, at = path.at_level, p
    if target == _NO_LEVEL:
        target = position.take_profit_ticks(peak.entry, path.take_profit_pct)
        known, at = path.at_take_profit, s
    leaves = int(memory[known, at])
    if leaves == UNKNOWN:
        leaves = first_reached(lows, n, terms.fill_on_touch, peak.at + 1, target)
        memory[known, at] = leaves
    fee_rate = terms.maker_fee_rate
    if path.max_hold_ms > 0:
        too_long = first_too_long(time_ms, candle_ms, peak.at + 1, path.max_hold_ms)
        if too_long < n and too_long <= leaves:
            leaves, fee_rate = too_long, terms.taker_fee_rate
            target = market_buy_ticks(terms, time_ms[leaves], open_[leaves])
    most_lots, near = ALONE, n
    if peak.state == TRADABLE:
        for tiers in range(2):
            near = _trouble(worst, contract, terms, memory, path, peak, s, n, path.at_trouble + tiers)
            if leaves < min(n, near):
                most_lots = np.inf if tiers == 0 else peak.lowest_tier_lots
                break
    if most_lots == ALONE:
        # Most trials leave where a guard of the lowest tier is near, and so does the path.
        leaves = min(leaves, near, n - 1)
    then = int(place[path.row, next_peak[leaves]]) if peak.state == TRADABLE else p + 1
    step.at[lane], step.then[lane] = p, then
    step.lot_cost[lane], step.mid[lane] = peak.lot_cost, peak.mid
    step.most_affordable[lane], step.most_lots[lane] = peak.most_affordable, most_lots
    step.entry[lane], step.exit[lane], step.fee_rate[lane] = peak.entry, target, fee_rate
    step.candles[lane] = leaves - peak.at
    if has_funding:
        first, last = funding_first[peak.at + 2], funding_first[leaves + 1]
        step.first_settlement[lane], step.last_settlement[lane] = first, last
        step.is_settled |= last > first
    path.place = then
