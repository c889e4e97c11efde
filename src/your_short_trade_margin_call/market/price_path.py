"""The price of an invented market: its volatility, its steps, and the planted move, drawn a UTC day at a time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from your_short_trade_margin_call.domain.spans import MINUTE_MS
from your_short_trade_margin_call.market.columns import Floats
from your_short_trade_margin_call.market.ohlc import MINUTES_PER_CANDLE

if TYPE_CHECKING:
    from your_short_trade_margin_call.market.synthetic import SyntheticMarket

MINUTES_PER_DAY = 1_440
STEPS_PER_MINUTE = 8
"""Steps of the price inside a minute; its high and low are those of the steps."""

PEAK_LOOKBACK = 30
"""A planted move follows a candle whose high reaches those of this many before, and that closes below its open."""
EDGE_CANDLES = 10
"""The planted move takes this many candles."""
EDGE_RETURN_CANDLES = 480
"""It is given back over this many candles, so that being short at any odd time earns nothing."""

FAST_HALF_LIFE_MINUTES = 20.0
"""How fast bursts of volatility, and the deviation of the mark price, fade."""
_SLOW_HALF_LIFE_MINUTES = 1_440.0
_LARGEST_STEP = 0.05


def price_factors(market: SyntheticMarket) -> Floats:
    """What multiplies the price at each step: [minutes, 1 + STEPS_PER_MINUTE], the first being the opening jump."""

    def draw(rng: Generator) -> Floats:
        size = np.sqrt((market.tail_index - 2) / rng.chisquare(market.tail_index, MINUTES_PER_DAY))
        steps = rng.standard_normal((MINUTES_PER_DAY, STEPS_PER_MINUTE)) * size[:, None]
        jumps = rng.random(MINUTES_PER_DAY) < market.jump_probability
        jump = jumps * rng.uniform(-market.jump_size, market.jump_size, MINUTES_PER_DAY)
        return np.column_stack((jump, steps))

    moves = by_day(market, "path", draw)
    scale = _volatility(market) / math.sqrt(STEPS_PER_MINUTE)
    np.clip(moves[:, 1:] * scale[:, None], -_LARGEST_STEP, _LARGEST_STEP, out=moves[:, 1:])
    moves[:, 1:] += market.drift_per_day / (MINUTES_PER_DAY * STEPS_PER_MINUTE)
    return 1.0 + moves


def _volatility(market: SyntheticMarket) -> Floats:
    """Standard deviation of each minute's return; its mean square is `volatility_per_minute` squared."""
    noise = by_day(market, "volatility", lambda rng: rng.standard_normal((MINUTES_PER_DAY, 2)))
    start = _generator(market, "start", 0).standard_normal(2)
    slow = reverting(noise[:, 0], start[0], _SLOW_HALF_LIFE_MINUTES)
    fast = reverting(noise[:, 1], start[1], FAST_HALF_LIFE_MINUTES)
    log_level = market.clustering * (slow + fast) / math.sqrt(2)
    return market.volatility_per_minute * np.exp(log_level - market.clustering**2)


def reverting(noise: Floats, start: float, half_life: float) -> Floats:
    """A mean-reverting process of variance 1 driven by standard normal `noise`."""
    keep = 0.5 ** (1 / half_life)
    shocks = noise * math.sqrt(1 - keep**2)
    levels = accumulate(shocks.tolist(), lambda level, shock: keep * level + shock, initial=start)
    return np.fromiter(levels, dtype=np.float64)[1:]


def walk(market: SyntheticMarket, start_price: float, factors: Floats) -> Floats:
    """The price after each step, candle by candle because a planted edge looks at the candles before."""
    minutes, width = factors.shape
    path = np.empty_like(factors)
    pull = _Pull(market)
    # The opening of a minute is not moved: it is the close before, unless the market jumps.
    share = np.tile(
        np.concatenate(([0.0], np.full(width - 1, 1.0 / ((width - 1) * MINUTES_PER_CANDLE)))), MINUTES_PER_CANDLE
    )
    price = start_price
    for first in range(0, minutes, MINUTES_PER_CANDLE):
        block = factors[first : first + MINUTES_PER_CANDLE].ravel()
        if push := pull.of(first // MINUTES_PER_CANDLE):
            block = block * (1.0 + push * share[: len(block)])
        steps = price * np.multiply.accumulate(block)
        path[first : first + MINUTES_PER_CANDLE] = steps.reshape(-1, width)
        price = float(steps[-1])
        pull.see(first // MINUTES_PER_CANDLE, float(steps[0]), float(steps.max()), price)
    return path


class _Pull:
    """The planted move: the expected return of each coming candle, from the failed peaks seen so far."""

    def __init__(self, market: SyntheticMarket) -> None:
        candles = market.minutes // MINUTES_PER_CANDLE + EDGE_CANDLES + EDGE_RETURN_CANDLES + 2
        self._size = market.edge * market.volatility_per_minute * math.sqrt(MINUTES_PER_CANDLE)
        self._expected = np.zeros(candles if self._size else 0)
        self._highs: list[float] = []

    def of(self, candle: int) -> float:
        """Expected return of a candle, a fraction."""
        return max(-0.5, min(0.5, float(self._expected[candle]))) if self._size else 0.0

    def see(self, candle: int, open_: float, high: float, close: float) -> None:
        """Note a candle that has closed, and what it plants."""
        if not self._size:
            return
        before = self._highs[-PEAK_LOOKBACK:]
        if len(before) == PEAK_LOOKBACK and high >= max(before) and close < open_:
            falls = candle + 1 + EDGE_CANDLES
            self._expected[candle + 1 : falls] -= self._size / EDGE_CANDLES
            self._expected[falls : falls + EDGE_RETURN_CANDLES] += self._size / EDGE_RETURN_CANDLES
        self._highs.append(high)


def on_tick(prices: Floats, tick: float) -> Floats:
    """The nearest whole ticks, at least one, clean of binary dust."""
    decimals = max(0, -int(Decimal(repr(tick)).normalize().as_tuple().exponent))
    ticks: Floats = np.maximum(np.round(prices / tick), 1.0)
    return np.round(ticks * tick, decimals)


def by_day(
    market: SyntheticMarket, purpose: str, draw: Callable[[Generator], Floats], minutes: int | None = None
) -> Floats:
    """One row for each minute of the market (or the first `minutes`), drawn a whole UTC day at a time."""
    count = market.minutes if minutes is None else minutes
    first_day, offset = divmod(market.start_ms // MINUTE_MS, MINUTES_PER_DAY)
    days = range(first_day, first_day + (offset + count - 1) // MINUTES_PER_DAY + 1)
    drawn = np.concatenate([draw(_generator(market, purpose, day)) for day in days])
    return drawn[offset : offset + count]


def _generator(market: SyntheticMarket, purpose: str, day: int) -> Generator:
    name = hashlib.blake2b(f"{market.symbol}:{purpose}".encode(), digest_size=8).digest()
    return Generator(PCG64(SeedSequence([market.seed, int.from_bytes(name, "little"), day])))
