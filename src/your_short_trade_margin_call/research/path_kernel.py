"""Where the shorts of a path leave, compiled: found once for all trials that share it, remembered for other paths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.words import ExitReason, TargetSource
from your_short_trade_margin_call.research.ground_kernel import Floor, Ground, Record, calm_below, first_at_or_below
from your_short_trade_margin_call.research.hold_kernel import first_too_long, market_buy_ticks
from your_short_trade_margin_call.rules import candle_path, position
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.position import Target
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial

_TARGET = ExitReason.TARGET.code
_MAX_HOLD = ExitReason.MAX_HOLD.code
_END_OF_DATA = ExitReason.END_OF_DATA.code
_FROM_LEVEL = TargetSource.LEVEL.code

UNKNOWN = -1
"""What a remembered candle is before anybody has looked for it."""

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
    ]
)
"""Trials that share everything but their risk fraction.

`row` is that of their signals; NaN and 0 are off. `at_...` are rows of a memory, one for each take-profit, for each
level of each lookback, for each stop-loss. A memory `int32[rows, peaks]` holds first candles that somebody looked for
already, UNKNOWN elsewhere; threads fill it side by side, and all would write the same. `first_trial` is the row of
the trial with the first risk fraction, and `step` how many rows further that of the next is.
"""


class Field(NamedTuple):
    """What trials run on: a market, what it says to all of them, the instrument and the settings."""

    market: MarketArrays
    ground: Ground
    contract: Contract
    terms: Terms


class Leg(NamedTuple):
    """What a signal does to the plain shorts of a path: target, exit, and whether no guard comes near."""

    target: Target
    exit_index: int
    reason: int
    ticks: float
    fee_rate: float
    is_calm: bool


@jit
def _first_reached(lows: Floor, fill_on_touch: bool, first: int, target: int) -> int:
    """The first candle from `first` on in which a resting buy at `target` fills; their number when none."""
    n = len(lows.values)
    j = first_at_or_below(lows, first, n, float(target))
    while j < n and not candle_path.reaches_target(lows.values[j], target, fill_on_touch):
        j = first_at_or_below(lows, j + 1, n, float(target))
    return j


@jit
def _first_trouble(worst: Floor, contract: Contract, terms: Terms, peak: Record, stop_loss_pct: float) -> int:
    """The first candle that may stop or liquidate a plain short entered after a peak; their number when none."""
    level = calm_below(contract, terms, peak.entry, stop_loss_pct)
    return first_at_or_below(worst, peak.at + 1, len(worst.values), -level)


@jit
def _leg_to_market(market: MarketArrays, terms: Terms, target: Target, too_long: int, trouble: int) -> Leg:
    """A leg that ends with a market order: at the opening of a candle, or where the data end."""
    n = len(market.time_ms)
    if too_long < n:
        ticks = market_buy_ticks(market, terms, too_long, market.open[too_long])
        return Leg(target, too_long, _MAX_HOLD, ticks, terms.taker_fee_rate, trouble > too_long)
    ticks = market_buy_ticks(market, terms, n - 1, market.close[n - 1])
    return Leg(target, n - 1, _END_OF_DATA, ticks, terms.taker_fee_rate, trouble >= n)


@jit_inline
def find_leg(field: Field, trial: Trial, signal: Record, peak: Record, memory: NDArray[np.int32], path: Record) -> Leg:
    """Where shorts of a path entered after a peak leave, if no guard stops them."""
    terms, n = field.terms, len(field.ground.lows.values)
    levels = Levels(0.0, signal.highest_low, signal.lowest_high)
    target = position.choose_target(terms, trial, levels, peak.entry)
    known = path.at_level if target.source == _FROM_LEVEL else path.at_take_profit
    reached = int(memory[known, signal.peak])
    if reached == UNKNOWN:
        reached = _first_reached(field.ground.lows, terms.fill_on_touch, peak.at + 1, target.ticks)
        memory[known, signal.peak] = reached
    trouble = int(memory[path.at_trouble, signal.peak])
    if trouble == UNKNOWN:
        trouble = _first_trouble(field.ground.worst, field.contract, terms, peak, trial.stop_loss_pct)
        memory[path.at_trouble, signal.peak] = trouble
    too_long = n
    if trial.max_hold_ms > 0:
        too_long = first_too_long(field.market, peak.at + 1, trial.max_hold_ms)
    if reached < min(too_long, n):
        return Leg(target, reached, _TARGET, float(target.ticks), terms.maker_fee_rate, trouble > reached)
    return _leg_to_market(field.market, terms, target, too_long, trouble)
