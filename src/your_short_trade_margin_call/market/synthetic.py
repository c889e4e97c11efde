"""An invented market: seeded, fat-tailed, clustered, with gaps and jumps on request, and an edge only if planted.

The price is built in steps of a few seconds, minute by minute. Each step multiplies it by ``1 + r`` where r is
symmetric around zero given all that came before: the *price* has no drift (its expected value is always today's
price), so whatever a strategy earns here before costs is luck, unless `drift_per_day` or `edge` say otherwise.

Volatility clusters because its logarithm is the sum of a slow and a fast mean-reverting process; tails are fat
because every minute's steps share a random size (together: Student's t with `tail_index` degrees of freedom).

Every draw belongs to (seed, symbol, UTC day, purpose), never to how much was drawn before: a longer market starts
with the shorter one, byte for byte, as long as its other settings are equal. numpy may change its streams, and a
processor the last bit of an exponential: across versions and machines, prices usually agree because they are on ticks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.errors import EmptyCandlesError, SettingError, UnknownPairError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, MINUTE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.columns import Floats, Times
from your_short_trade_margin_call.market.extras import FundingRates, MarkCandles, MinuteCandles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.ohlc import MINUTES_PER_CANDLE, Ohlc, aggregate
from your_short_trade_margin_call.market.price_path import (
    FAST_HALF_LIFE_MINUTES,
    MINUTES_PER_DAY,
    by_day,
    on_tick,
    price_factors,
    reverting,
    walk,
)
from your_short_trade_margin_call.market.symbols import parse_symbol

START_PRICES = {
    "BTCUSDT": 60_000.0,
    "ETHUSDT": 3_000.0,
    "SOLUSDT": 150.0,
    "XRPUSDT": 0.6,
    "ADAUSDT": 0.5,
    "DOGEUSDT": 0.15,
    "BNBUSDT": 600.0,
    "DOTUSDT": 5.0,
    "AVAXUSDT": 25.0,
    "LTCUSDT": 80.0,
    "LINKUSDT": 14.0,
    "SUIUSDT": 3.0,
    "FILUSDT": 4.0,
    "BCHUSDT": 400.0,
    "NEARUSDT": 5.0,
    "TRXUSDT": 0.12,
}
"""Where an invented price starts (USDT), by pair; any other pair starts at 100."""


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """What an invented market is like.

    Raises:
        SettingError: a value makes no sense.
    """

    seed: int = 42
    symbol: str = "BTCUSDT"
    start_ms: int = 1_767_225_600_000
    """Open time of the first candle, UTC ms, on the 3-minute grid."""
    minutes: int = 2 * MINUTES_PER_DAY
    start_price: float | None = None
    """USDT; None takes the pair's own (`START_PRICES`)."""
    tick_size: float | None = None
    """USDT; None takes the instrument's, or five digits of the price for an unknown pair."""
    volatility_per_minute: float = 0.0007
    """Standard deviation of a minute's return as a fraction: 0.0007 is about 0.12 % a candle and 51 % a year."""
    clustering: float = 0.6
    """Standard deviation of the logarithm of volatility; 0 is a constant volatility."""
    tail_index: float = 4.0
    """Degrees of freedom of a minute's return, above 2: the smaller, the fatter the tails."""
    jump_probability: float = 0.0
    """Chance that a minute opens away from the close before it."""
    jump_size: float = 0.01
    """Largest jump, a fraction of the price, as often up as down; at most 0.5."""
    drift_per_day: float = 0.0
    """Expected return of a day, a fraction."""
    edge: float = 0.0
    """Planted mean reversion, in standard deviations of a 3-minute candle.

    After each failed peak (`PEAK_LOOKBACK`) the price is expected to fall by `edge` times
    ``volatility_per_minute * sqrt(3)`` over the next `EDGE_CANDLES` candles, and to win it back slowly afterwards.
    About 1 pays the costs of a short; 2 to 3 is plain to see. Negative: it rises instead.
    """
    gap_probability: float = 0.0
    """Chance that a gap of 1 to 5 missing minutes begins at a minute."""
    outages_per_day: float = 0.0
    """Expected number of longer holes of `outage_minutes` missing minutes a day."""
    outage_minutes: int = 90
    gaps: tuple[tuple[int, int], ...] = ()
    """Stated holes: minutes that open in [start, end), UTC ms, are missing."""
    funding: bool = True
    funding_interval_minutes: int = 480
    funding_volatility: float = 0.0001
    """Standard deviation of a settlement's rate around 0.0001, a fraction."""
    mark: bool = True
    mark_deviation: float = 0.0002
    """Standard deviation of the mark price around the last price, a fraction."""

    def __post_init__(self) -> None:
        """Refuse what no market can be."""
        object.__setattr__(self, "symbol", parse_symbol(self.symbol))
        _require(0 <= self.seed < 2**63, "seed", "0 or more, below 2**63")
        _require(self.start_ms >= 0 and self.start_ms % CANDLE_MS == 0, "start_ms", "on the 3-minute grid")
        _require(self.minutes >= MINUTES_PER_CANDLE, "minutes", "3 or more")
        _require(self.start_price is None or 0 < self.start_price < 1e12, "start_price", "above 0")
        _require(self.tick_size is None or 0 < self.tick_size < 1e12, "tick_size", "above 0")
        _require(0 <= self.volatility_per_minute <= 0.05, "volatility_per_minute", "between 0 and 0.05")
        _require(0 <= self.clustering <= 2, "clustering", "between 0 and 2")
        _require(2 < self.tail_index < math.inf, "tail_index", "above 2")
        for name in ("jump_probability", "gap_probability"):
            _require(0 <= getattr(self, name) <= 1, name, "between 0 and 1")
        _require(0 <= self.jump_size <= 0.5, "jump_size", "between 0 and 0.5")
        _require(-0.5 <= self.drift_per_day <= 0.5, "drift_per_day", "between -0.5 and 0.5")
        _require(-50 <= self.edge <= 50, "edge", "between -50 and 50")
        _require(0 <= self.outages_per_day <= MINUTES_PER_DAY, "outages_per_day", "between 0 and 1440")
        _require(1 <= self.outage_minutes <= 30 * MINUTES_PER_DAY, "outage_minutes", "between 1 and 43,200")
        _require(self.funding_interval_minutes >= 1, "funding_interval_minutes", "1 or more")
        _require(0 <= self.funding_volatility <= 0.1, "funding_volatility", "between 0 and 0.1")
        _require(0 <= self.mark_deviation <= 0.1, "mark_deviation", "between 0 and 0.1")


def generate(market: SyntheticMarket) -> Candles:
    """The candles of an invented market, with their minutes, and mark prices and funding if asked for.

    Raises:
        EmptyCandlesError: its holes leave not one whole candle.
    """
    start_price = market.start_price or START_PRICES.get(market.symbol, 100.0)
    tick = market.tick_size or _usual_tick(market.symbol, start_price)
    latent = walk(market, start_price, price_factors(market))
    path = on_tick(latent, tick)
    rows = Ohlc(
        time_ms=market.start_ms + MINUTE_MS * np.arange(market.minutes, dtype=np.int64),
        open=path[:, 0],
        high=path.max(axis=1),
        low=path.min(axis=1),
        close=path[:, -1],
        volume=_volume(market, latent),
    )
    there = ~_holes(market, rows.time_ms)
    kept = rows.take(there)
    candles = Candles.from_columns(market.symbol, *kept, timeframe_ms=MINUTE_MS)
    mark = _mark(market, rows, tick, there) if market.mark else None
    return replace(candles, mark=mark, funding=_funding(market) if market.funding else None)


def random_market(rng_seed: int, n_candles: int, **overrides: Any) -> Candles:
    """`n_candles` wild candles for property tests: everything about the market follows from `rng_seed`.

    Jumps, gaps, ties on coarse ticks, prices from cents to tens of thousands, settlements at odd minutes with large
    rates of either sign, marks away from last prices, marks and minutes with holes or absent. `overrides` are fields
    of `SyntheticMarket`. Minutes, where there are any, agree with their candles.

    Raises:
        SettingError: an override makes no sense, or leaves too few candles.
    """
    rng = Generator(PCG64(SeedSequence([rng_seed, 0x6D61726B6574])))
    market = replace(_wild(rng, rng_seed), **overrides)
    minutes = MINUTES_PER_CANDLE * (n_candles + 10)
    for _ in range(8):
        try:
            candles = generate(replace(market, minutes=minutes))
        except EmptyCandlesError:
            candles = None
        if candles is not None and len(candles) >= n_candles:
            return _with_holes(rng, candles.rows(0, n_candles))
        minutes *= 2
    raise SettingError("These gaps leave too few candles.", "Ask for fewer gaps, or for fewer candles.")


# ---- what belongs to it -------------------------------------------------------------------------


def _usual_tick(symbol: str, price: float) -> float:
    try:
        return float(find_instrument(symbol).tick_size)
    except UnknownPairError:
        return 10.0 ** (math.floor(math.log10(price)) - 4)


def _volume(market: SyntheticMarket, path: Floats) -> Floats:
    """Base coin traded in each minute: more when the price moves more."""
    luck = by_day(market, "volume", lambda rng: rng.standard_normal(MINUTES_PER_DAY))
    move = np.abs(path[:, -1] / path[:, 0] - 1.0) / max(market.volatility_per_minute, 1e-9)
    volume: Floats = np.round(1e6 / path[:, 0] * (0.3 + np.minimum(move, 50.0)) * np.exp(0.5 * luck), 3)
    return volume


def _holes(market: SyntheticMarket, time_ms: Times) -> NDArray[np.bool_]:
    """Which minutes are missing."""

    def draw(rng: Generator) -> Floats:
        gap = (rng.random(MINUTES_PER_DAY) < market.gap_probability) * rng.integers(1, 6, MINUTES_PER_DAY)
        outage = (rng.random(MINUTES_PER_DAY) < market.outages_per_day / MINUTES_PER_DAY) * market.outage_minutes
        longer: Floats = np.maximum(gap, outage).astype(np.float64)
        return longer

    length = by_day(market, "holes", draw).astype(np.int64)
    minute = np.arange(len(length))
    missing = minute < np.maximum.accumulate(np.where(length > 0, minute + length, 0))
    for start_ms, end_ms in market.gaps:
        missing |= (time_ms >= start_ms) & (time_ms < end_ms)
    return missing


def _mark(market: SyntheticMarket, rows: Ohlc, tick: float, there: NDArray[np.bool_]) -> MarkCandles:
    """Mark prices: last prices with half the wick, moved by a slow deviation that is the same within a minute."""
    noise = by_day(market, "mark", lambda rng: rng.standard_normal(MINUTES_PER_DAY))
    deviation = np.clip(market.mark_deviation * reverting(noise, 0.0, FAST_HALF_LIFE_MINUTES), -0.5, 0.5)
    top, bottom = np.maximum(rows.open, rows.close), np.minimum(rows.open, rows.close)
    prices = (rows.open, (rows.high + top) / 2, (rows.low + bottom) / 2, rows.close)
    open_, high, low, close = (on_tick(price * (1.0 + deviation), tick) for price in prices)
    candles, _, _ = aggregate(Ohlc(rows.time_ms, open_, high, low, close, rows.volume).take(there), "mark candles")
    return MarkCandles(candles.time_ms, candles.open, candles.high, candles.low, candles.close)


def _funding(market: SyntheticMarket) -> FundingRates:
    """A settlement at every multiple of the interval after the first open, up to the last close."""
    luck = by_day(market, "funding", lambda rng: rng.standard_normal(MINUTES_PER_DAY), market.minutes + 1)
    minute = np.arange(1, market.minutes + 1)
    time_ms = market.start_ms + MINUTE_MS * minute
    due = time_ms % (MINUTE_MS * market.funding_interval_minutes) == 0
    rate = np.clip(0.0001 + market.funding_volatility * luck[minute[due]], -0.5, 0.5)
    return FundingRates(time_ms[due], np.round(rate, 8))


def _require(holds: bool, name: str, wanted: str) -> None:
    if not holds:
        raise SettingError(f"The synthetic market's {name} is out of range.", f"It must be {wanted}.")


# ---- wild markets for property tests ------------------------------------------------------------


def _wild(rng: Generator, seed: int) -> SyntheticMarket:
    price = float(10.0 ** rng.uniform(-1.0, 4.8))
    tick = float(f"{rng.choice([1, 2, 5])}e{math.floor(math.log10(price) - rng.uniform(2.7, 6.0))}")
    rare = bool(rng.random() < 0.5)
    return SyntheticMarket(
        seed=seed,
        start_ms=CANDLE_MS * int(rng.integers(9_000_000, 10_000_000)),
        start_price=price,
        tick_size=tick,
        volatility_per_minute=float(10.0 ** rng.uniform(-3.7, -2.0)),
        clustering=float(rng.uniform(0.0, 1.0)),
        tail_index=float(rng.uniform(2.5, 8.0)),
        jump_probability=0.0 if rare else float(rng.uniform(0.0, 0.02)),
        jump_size=float(rng.uniform(0.005, 0.3)),
        drift_per_day=float(rng.uniform(-0.3, 0.3)),
        gap_probability=0.0 if rng.random() < 0.3 else float(rng.uniform(0.0, 0.02)),
        outages_per_day=float(rng.choice([0.0, 2.0])),
        outage_minutes=int(rng.integers(3, 600)),
        funding=bool(rng.random() < 0.75),
        funding_interval_minutes=int(rng.choice([2, 7, 47, 60, 480])),
        funding_volatility=float(10.0 ** rng.uniform(-4.0, -1.5)),
        mark=bool(rng.random() < 0.75),
        mark_deviation=float(10.0 ** rng.uniform(-4.0, -1.3)),
    )


def _with_holes(rng: Generator, candles: Candles) -> Candles:
    """The candles with some marks and minutes taken away, or all minutes."""
    mark, minutes = candles.mark, candles.minutes
    lost = float(rng.choice([0.0, 0.1]))
    if mark is not None:
        keep = rng.random(len(mark)) >= lost
        mark = MarkCandles(*(column[keep] for column in mark.columns().values()))
    if minutes is not None:
        keep = rng.random(len(minutes)) >= lost
        minutes = MinuteCandles(*(column[keep] for column in minutes.columns().values()))
    return replace(candles, mark=mark, minutes=minutes if rng.random() < 0.75 else None)
