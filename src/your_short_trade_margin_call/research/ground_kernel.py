"""What every trial of a sweep shares, compiled: where signals may be, what an entry costs there, where to look next.

The ground only *finds* candles. What happens in them is settled by the functions of ``rules/``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules import costs, luck, margin
from your_short_trade_margin_call.rules.grid import whole_steps
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.signal import is_failed_peak
from your_short_trade_margin_call.rules.sizing import lot_price, lowest_tier_leverage, tiers_are_usual
from your_short_trade_margin_call.rules.terms import TIER_LIMIT, TIER_MMR, Contract, Terms

TRADABLE = 0
BEFORE_GAP = 1
REJECTED = 2

FLOORS = 3
"""Of a tower: what it says of 16, 256 and 4,096 candles."""

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
        ("most_affordable", np.float64),
        ("lowest_tier_lots", np.float64),
    ]
)
"""A failed peak that has a candle after it, and what an entry costs there.

`at` is its candle, which ends `unbroken` candles without a gap. `state` is TRADABLE, BEFORE_GAP or REJECTED. `mid`
and `entry`, the fill, are those of the next opening, in ticks. A lot costs `lot_cost` USDT: who can pay for no more
than `most_affordable` of them gets the whole ones, up to the order limit. A position of up to `lowest_tier_lots`
stays in the lowest tier up to its liquidation.
"""

SIGNAL = np.dtype([("peak", np.int64), ("highest_low", np.float64), ("lowest_high", np.float64)])
"""A signal of one lookback: its peak, and the levels before it in ticks."""


class Ground(NamedTuple):
    """The peaks of the shortest lookback, and ways to search the candles.

    `next_peak[j]` is the first peak at candle j or later. `settles_before[k]` is the candle before which settlement
    k is booked, at the mark price `marks[k]`. `lows` and `worst` are towers; worst is minus the higher of a candle's
    mark open and mark high.

    A tower is a column of n candles, then the least value of each 16 of them, of each 256, of each 4,096.
    """

    peaks: NDArray[np.void]
    next_peak: NDArray[np.int32]
    settles_before: NDArray[np.int64]
    marks: NDArray[np.float64]
    lows: NDArray[np.float64]
    worst: NDArray[np.float64]


class Signals(NamedTuple):
    """The signals of some lookbacks: `rows[row, p]` is the p-th SIGNAL of a lookback.

    `place[row, s]` is how many of them lie before peak s; the last, how many there are.
    """

    rows: NDArray[np.void]
    place: NDArray[np.int32]


@jit
def raise_floors(tower: NDArray[np.float64], n: int) -> None:
    """Fill in the least values of the blocks of a tower whose column of `n` candles is there."""
    begin, count = 0, n
    for _ in range(FLOORS):
        end = begin + count
        count = (count + 15) // 16
        for block in range(count):
            first = begin + 16 * block
            least = tower[first]
            for k in range(first + 1, min(first + 16, end)):
                least = min(least, tower[k])
            tower[end + block] = least
        begin = end


@jit
def first_at_or_below(tower: NDArray[np.float64], n: int, start: int, end: int, level: float) -> int:
    """The first candle of start..end-1 whose value is at most `level`, or `end`: whole blocks are passed at once."""
    by_16 = n
    by_256 = by_16 + (n + 15) // 16
    by_4096 = by_256 + (by_256 - by_16 + 15) // 16
    j = start
    while j < end:
        block_end = (j | 15) + 1
        if tower[by_16 + (j >> 4)] <= level:
            for k in range(j, min(block_end, end)):
                if tower[k] <= level:
                    return k
        j = block_end
        while j & 255 == 0 and j < end:
            if j & 4095 == 0 and tower[by_4096 + (j >> 12)] > level:
                j += 4096
            elif tower[by_256 + (j >> 8)] > level:
                j += 256
            else:
                break
    return end


@jit
def first_too_long(time_ms: NDArray[np.int64], candle_ms: int, first: int, max_hold_ms: int) -> int:
    """The first candle at whose opening a short entered in `first` has been held so long; `n` when none (or 0 ms)."""
    n = len(time_ms)
    if max_hold_ms == 0:
        return n
    ends_ms = time_ms[first] + max_hold_ms
    low = first + 1
    high = min(n, first + 1 + max_hold_ms // candle_ms)
    while low < high:
        middle = (low + high) // 2
        if time_ms[middle] >= ends_ms:
            high = middle
        else:
            low = middle + 1
    return low


@jit
def market_buy_ticks(terms: Terms, time_ms: int, reference: float) -> float:
    """The fill of a market buy in the candle that opens at `time_ms`, at a reference price, in ticks."""
    slippage = luck.slippage_bps(terms.luck_key, time_ms, luck.EXIT_SLIPPAGE, terms.slippage_bps)
    return float(costs.buy_fill(reference, terms.spread_bps, slippage))


@jit_inline
def _state_of(market: MarketArrays, terms: Terms, i: int) -> int:
    if market.time_ms[i + 1] - market.time_ms[i] != market.candle_ms:
        return BEFORE_GAP
    return REJECTED if luck.is_rejected(terms.luck_key, market.time_ms[i + 1], terms.order_reject_prob) else TRADABLE


@jit
def _least_liquidation(contract: Contract, terms: Terms, entry_ticks: float, tier: int) -> float:
    """The lowest liquidation price in ticks, not rounded, of any size up to a tier of usual tiers.

    In the lowest tier it is that of any size.
    """
    price = margin.liquidation_price_in_tier(
        entry_ticks * contract.tick_size,
        contract.lot_size,
        lowest_tier_leverage(contract, terms),
        0.0,
        terms.taker_fee_rate,
        contract.tiers[tier, TIER_MMR],
        0.0,
    )
    return price / contract.tick_size


@jit
def calm_below(
    contract: Contract, terms: Terms, entry_ticks: float, stop_loss_pct: float, has_lowest_tier: bool
) -> float:
    """A mark price in ticks below which no position entered here is stopped or liquidated, whatever its size.

    The size is one of the lowest tier, or any up to the order limit. The exact prices depend on it in their last
    digits, hence the margin of two ticks.
    """
    tier = 0
    if not has_lowest_tier:
        most = float(contract.max_lots)
        dearest = entry_ticks * (1.0 + 1.0 / lowest_tier_leverage(contract, terms))
        tier = margin.tier_of(contract.tiers, costs.notional(contract, most, dearest) * (1.0 + _ROUNDING))
    liquidation = _least_liquidation(contract, terms, entry_ticks, tier) * (1.0 - _ROUNDING) - 2.0
    level = liquidation
    if not math.isnan(terms.margin_call_at):
        level = min(level, entry_ticks + terms.margin_call_at * (liquidation - entry_ticks) - 2.0)
    if not math.isnan(stop_loss_pct):
        level = min(level, whole_steps(entry_ticks * (1.0 + stop_loss_pct)))
    return level


@jit
def price_peaks(
    market: MarketArrays, contract: Contract, terms: Terms, at: NDArray[np.int64], peaks: NDArray[np.void]
) -> None:
    """Fill in the peaks at some candles, and what an entry there costs."""
    time_ms, open_, run_length = market.time_ms, market.open, market.run_length
    are_usual = tiers_are_usual(contract)
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
        peak.most_affordable = lot.most_affordable if are_usual else -1.0
        worth = costs.notional(contract, 1.0, _least_liquidation(contract, terms, float(peak.entry), 0))
        peak.lowest_tier_lots = contract.tiers[0, TIER_LIMIT] / max(worth, 1e-300) * (1.0 - _ROUNDING)


@jit_inline
def _list_peak(
    high: NDArray[np.float64], low: NDArray[np.float64], candle_open: float, candle_close: float, peak: Record, s: int,
    lookbacks: NDArray[np.int64], rows: NDArray[np.void], counts: NDArray[np.int64],
) -> None:  # fmt: skip
    """Add peak `s` to the lookbacks it signals for, shortest first: the levels grow on one way back."""
    i = peak.at
    top = high[i]
    highest_high = -np.inf
    highest_low = -np.inf
    lowest_high = np.inf
    j = i - 1
    for row in range(len(lookbacks)):
        if lookbacks[row] >= peak.unbroken:
            break
        # Whoever met a higher high on the way need not go on.
        while j >= i - lookbacks[row] and highest_high <= top:
            highest_high = max(highest_high, high[j])
            lowest_high = min(lowest_high, high[j])
            highest_low = max(highest_low, low[j])
            j -= 1
        if not is_failed_peak(candle_open, top, candle_close, highest_high):
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
