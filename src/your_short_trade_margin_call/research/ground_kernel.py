"""What every trial of a sweep shares, compiled: where signals may be, what an entry costs there, where to look next.

The ground only *finds* candles. What happens in them is settled by the functions of ``rules/``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules import costs, luck, margin
from your_short_trade_margin_call.rules.grid import floor_step
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.signal import is_failed_peak
from your_short_trade_margin_call.rules.sizing import leverage_never_rises, lot_price, lowest_tier_leverage
from your_short_trade_margin_call.rules.terms import TIER_DEDUCTION, TIER_LIMIT, TIER_MMR, Contract, Terms

TRADABLE = 0
BEFORE_GAP = 1
REJECTED = 2

_ROUNDING = 1e-9
"""Far more than what arithmetic may round away, as a fraction of a price or a quantity."""


Record: TypeAlias = Any
"""A row of a structured array: a pointer for kernels, whatever the number of its fields."""

PEAK = np.dtype(
    [
        ("at", np.int64),
        ("unbroken", np.int64),
        ("state", np.int64),
        ("entry", np.int64),
        ("mid", np.float64),
        ("lot_cost", np.float64),
        ("plain_lots", np.float64),
    ]
)
"""A failed peak that has a candle after it, and what an entry costs there.

`at` is its candle, which ends `unbroken` candles without a gap. `state` is TRADABLE, BEFORE_GAP or REJECTED. `mid`
and `entry`, the fill, are those of the next opening, in ticks. A position of up to `plain_lots` lots costs `lot_cost`
a lot and stays in the lowest tier up to its liquidation.
"""

SIGNAL = np.dtype([("peak", np.int64), ("highest_low", np.float64), ("lowest_high", np.float64)])
"""A signal of one lookback: its peak, and the levels before it in ticks."""


class Floor(NamedTuple):
    """A column and the least value of each block of 16 rows; then those of 256 rows, then those of 4,096."""

    values: NDArray[np.float64]
    blocks: NDArray[np.float64]


class Ground(NamedTuple):
    """The peaks of the shortest lookback, and ways to search the candles.

    `next_peak[j]` is the first peak at candle j or later. `settles_before[k]` is the candle before which settlement
    k is booked. `worst` is minus the higher of a candle's mark open and mark high.
    """

    peaks: NDArray[np.void]
    next_peak: NDArray[np.int32]
    settles_before: NDArray[np.int64]
    lows: Floor
    worst: Floor


class Signals(NamedTuple):
    """The signals of some lookbacks: `rows[row, p]` is the p-th SIGNAL of a lookback.

    `place[row, s]` is how many of them lie before peak s; the last, how many there are.
    """

    rows: NDArray[np.void]
    place: NDArray[np.int32]


@jit
def first_at_or_below(floor: Floor, start: int, end: int, level: float) -> int:
    """The first row of start..end-1 whose value is at most `level`, or `end`: whole blocks are passed at once."""
    values, blocks = floor.values, floor.blocks
    by_256 = (len(values) + 15) // 16
    by_4096 = by_256 + (by_256 + 15) // 16
    j = start
    while j < end:
        for k in range(j, min((j | 15) + 1, end)):
            if values[k] <= level:
                return k
        block = (j >> 4) + 1
        last = min((block | 15) + 1, by_256) if block & 15 else block
        while block < last and blocks[block] > level:
            block += 1
        # At a boundary of 256: pass by larger blocks as long as they are clear.
        while block & 15 == 0 and block < by_256:
            if block & 255 == 0 and blocks[by_4096 + (block >> 8)] > level:
                block += 256
            elif blocks[by_256 + (block >> 4)] > level:
                block += 16
            else:
                break
        while block < by_256 and blocks[block] > level:
            block += 1
        j = block << 4
    return end


@jit_inline
def _state_of(market: MarketArrays, terms: Terms, i: int) -> int:
    if market.time_ms[i + 1] - market.time_ms[i] != market.candle_ms:
        return BEFORE_GAP
    return REJECTED if luck.is_rejected(terms.luck_key, market.time_ms[i + 1], terms.order_reject_prob) else TRADABLE


@jit
def lowest_tier_liquidation(contract: Contract, terms: Terms, entry_ticks: int) -> float:
    """Liquidation price in ticks, not rounded, of any quantity that stays in a lowest tier without a deduction."""
    leverage = lowest_tier_leverage(contract, terms)
    price = margin.liquidation_price_in_tier(
        entry_ticks * contract.tick_size,
        contract.lot_size,
        leverage,
        0.0,
        terms.taker_fee_rate,
        contract.tiers[0, TIER_MMR],
        0.0,
    )
    return price / contract.tick_size


@jit_inline
def _plain_lots(contract: Contract, terms: Terms, entry_ticks: int, only_money: float) -> float:
    """Up to how many lots an entry lies in the lowest tier, at its mid and at its liquidation price."""
    liquidation = lowest_tier_liquidation(contract, terms, entry_ticks) * contract.tick_size
    worth = contract.lot_size * max(liquidation, 1e-300)
    limit: float = contract.tiers[0, TIER_LIMIT]
    return min(only_money, limit / worth * (1.0 - _ROUNDING))


@jit
def calm_below(contract: Contract, terms: Terms, entry_ticks: int, stop_loss_pct: float) -> float:
    """A mark price in ticks below which no plain position entered here is stopped or liquidated, whatever its size.

    The exact prices depend on the size in their last digits, hence the margin of two ticks.
    """
    liquidation = lowest_tier_liquidation(contract, terms, entry_ticks) * (1.0 - _ROUNDING) - 2.0
    level = liquidation
    if not math.isnan(terms.margin_call_at):
        level = min(level, entry_ticks + terms.margin_call_at * (liquidation - entry_ticks) - 2.0)
    if not math.isnan(stop_loss_pct):
        level = min(level, float(floor_step(entry_ticks * (1.0 + stop_loss_pct))))
    return level


@jit
def price_peaks(
    market: MarketArrays, contract: Contract, terms: Terms, at: NDArray[np.int64], peaks: NDArray[np.void]
) -> None:
    """Fill in the peaks at some candles, and what an entry there costs."""
    time_ms, open_, run_length = market.time_ms, market.open, market.run_length
    is_plain = leverage_never_rises(contract) and contract.tiers[0, TIER_DEDUCTION] == 0.0
    for s in range(len(peaks)):
        peak = peaks[s]
        first = at[s] + 1
        mid = open_[first]
        peak.at = at[s]
        peak.unbroken = run_length[at[s]]
        peak.state = _state_of(market, terms, at[s])
        peak.mid = mid
        slippage = luck.slippage_bps(terms.luck_key, time_ms[first], luck.ENTRY_SLIPPAGE, terms.slippage_bps)
        peak.entry = costs.sell_fill(mid, terms.spread_bps, slippage)
        lot = lot_price(contract, terms, mid)
        peak.lot_cost = lot.cost_usdt
        peak.plain_lots = _plain_lots(contract, terms, peak.entry, lot.only_money) if is_plain else -1.0


@jit_inline
def _list_peak(
    high: NDArray[np.float64], low: NDArray[np.float64], candle_open: float, candle_close: float, peak: Record, s: int,
    lookbacks: NDArray[np.int64], rows: NDArray[np.void], counts: NDArray[np.int64],
) -> None:  # fmt: skip
    """Add peak `s` to the lookbacks it signals for, shortest first: the levels grow on one way back."""
    i = peak.at
    highest_high = -np.inf
    highest_low = -np.inf
    lowest_high = np.inf
    j = i - 1
    for row in range(len(lookbacks)):
        if lookbacks[row] >= peak.unbroken:
            break
        while j >= i - lookbacks[row]:
            highest_high = max(highest_high, high[j])
            lowest_high = min(lowest_high, high[j])
            highest_low = max(highest_low, low[j])
            j -= 1
        if not is_failed_peak(candle_open, high[i], candle_close, highest_high):
            break
        signal = rows[row, counts[row]]
        signal.peak = s
        signal.highest_low = highest_low
        signal.lowest_high = lowest_high
        counts[row] += 1


@jit
def list_signals(
    market: MarketArrays, peaks: NDArray[np.void], lookbacks: NDArray[np.int64], counts: NDArray[np.int64],
    rows: NDArray[np.void], place: NDArray[np.int32],
) -> None:  # fmt: skip
    """Fill Signals for each lookback, shortest first. One way back from a peak serves them all."""
    open_, high, low, close = market.open, market.high, market.low, market.close
    for s in range(len(peaks)):
        for row in range(len(lookbacks)):
            place[row, s] = counts[row]
        peak = peaks[s]
        _list_peak(high, low, open_[peak.at], close[peak.at], peak, s, lookbacks, rows, counts)
    for row in range(len(lookbacks)):
        place[row, len(peaks)] = counts[row]
