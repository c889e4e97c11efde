"""Randomness as a function: a draw is a hash of (seed, symbol, candle, purpose), never a stream.

So every trial of a sweep meets the same luck at the same candle, a replay meets it again, and no draw
depends on how many came before. The mixing is SplitMix64's finaliser (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

import math

import numpy as np

from your_short_trade_margin_call.rules.jit import jit, jit_inline

ENTRY_REJECT = np.uint64(1)
ENTRY_SLIPPAGE = np.uint64(2)
EXIT_SLIPPAGE = np.uint64(3)
CHANCE_ENTRY = np.uint64(4)


@jit_inline
def _mix(bits: np.uint64) -> np.uint64:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@jit
def draw(key: np.uint64, candle_ms: int, purpose: np.uint64) -> np.uint64:
    """64 bits of luck: a hash of the key, the candle (or any number that stands for a place) and the purpose."""
    bits = _mix(key + np.uint64(0x9E3779B97F4A7C15) * purpose)
    return _mix(bits ^ _mix(np.uint64(candle_ms) + np.uint64(0x9E3779B97F4A7C15)))


@jit_inline
def uniform(bits: np.uint64) -> float:
    """A number in [0, 1) from the upper 53 bits."""
    return float(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@jit_inline
def is_rejected(key: np.uint64, candle_ms: int, probability: float) -> bool:
    """Whether the exchange rejects the entry that would fill in this candle."""
    return uniform(draw(key, candle_ms, ENTRY_REJECT)) < probability


@jit_inline
def enters_by_chance(key: np.uint64, candle_ms: int, probability: float) -> bool:
    """Whether a short-seller without an eye for it sells after this candle."""
    return uniform(draw(key, candle_ms, CHANCE_ENTRY)) < probability


@jit
def slippage_bps(key: np.uint64, candle_ms: int, purpose: np.uint64, mean_bps: float) -> float:
    """|Normal(mean, mean / 2)| in basis points for a market fill in this candle (Box-Muller)."""
    if mean_bps <= 0.0:
        return 0.0
    bits = draw(key, candle_ms, purpose)
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(bits)))
    angle = 6.283185307179586 * uniform(_mix(bits + np.uint64(0x9E3779B97F4A7C15)))
    return abs(mean_bps + 0.5 * mean_bps * radius * math.cos(angle))
