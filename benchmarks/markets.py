"""The markets of the benchmark: fixed, seeded, and wild enough that every path of the kernel is walked.

The log price is a slow random walk, plus a deviation that reverts to it, both moved by volatility that clusters,
plus a ramp of 45 % every 25,000 candles that a short does not survive, and that fades again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.price_path import reverting

YEAR = 175_200
"""3-minute candles of 365 days."""
START_MS = 1_735_689_600_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BenchMarket:
    """What the generator is told; volatility is that of one candle."""

    volatility: float = 0.0019
    reversion_candles: float = 16.0
    walk_share: float = 0.05
    clustering: float = 0.2
    ramp: float = 0.45
    ramp_every: int = 25_000
    ramp_candles: int = 250
    seed: int = 20_250_101
    price: float = 60_000.0
    tick: float = 0.1


STEPS = 4
"""Prices drawn in each candle: its open is the close before, its high and low are those of the steps."""


def bench_candles(market: BenchMarket, count: int = YEAR) -> Candles:
    """The first `count` candles of a market: the same for the same settings, however many are asked for."""
    steps = market.price * np.exp(_log_price(market, count))
    path = np.concatenate(([steps[0]], steps)) if count else steps
    inside = np.column_stack((path[:-1:STEPS][:count], path[1:].reshape(count, STEPS)))
    ticks = np.maximum(np.round(inside / market.tick), 1.0)
    decimals = max(0, -int(np.floor(np.log10(market.tick))))
    prices = np.round(ticks * market.tick, decimals)
    time_ms = START_MS + 180_000 * np.arange(count)
    return Candles.from_columns(
        "BTCUSDT",
        time_ms,
        prices[:, 0],
        prices.max(axis=1),
        prices.min(axis=1),
        prices[:, -1],
        np.ones(count),
        timeframe_ms=180_000,
    )


def _log_price(market: BenchMarket, count: int) -> Floats:
    """The log of the price over the starting price at each step."""
    rng = np.random.Generator(np.random.PCG64(market.seed))
    noise = rng.standard_normal((YEAR, 1 + 2 * STEPS))[:count]
    level = market.volatility * np.exp(market.clustering * reverting(noise[:, 0], 0.0, 100.0) - market.clustering**2)
    scale = np.repeat(level, STEPS) / np.sqrt(STEPS)
    walk = np.cumsum(market.walk_share * scale * noise[:, 1 : 1 + STEPS].ravel())
    keep = np.exp(-1.0 / (market.reversion_candles * STEPS))
    return walk + _decaying(scale * noise[:, 1 + STEPS :].ravel(), keep) + np.repeat(_ramps(market, count), STEPS)


def _decaying(shocks: Floats, keep: float) -> Floats:
    """The sum of all shocks so far, each fading by `keep` a step."""
    levels, level = np.empty(len(shocks)), 0.0
    for k, shock in enumerate(shocks.tolist()):
        level = keep * level + shock
        levels[k] = level
    return levels


def _ramps(market: BenchMarket, count: int) -> Floats:
    """The log of the ramps: up within the last candles of each stretch, and back during the next."""
    place = np.arange(count) % market.ramp_every
    begin = market.ramp_every - market.ramp_candles
    rising = np.clip((place - begin) / market.ramp_candles, 0.0, 1.0)
    fading = np.clip(1.0 - place / begin, 0.0, 1.0)
    fading[: market.ramp_every] = 0.0
    return np.log1p(market.ramp) * np.maximum(rising, fading)
