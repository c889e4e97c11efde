"""The markets of the noise drill: made only for it, so that nothing else was ever tuned on them.

In all kinds but `planted` and `half` nothing can be earned beyond luck. The price has no drift: given all that came
before, its expected value is today's price. There are three stated exceptions. In `falling` and `rising` it drifts at
a constant pace, which pays or costs whoever is short at any odd time. In `reverting` it is drawn back to a level, by
less than a trade costs.

In `planted` and `half` it falls after failed peaks, and wins that back at all times, so that being short at any odd
time earns next to nothing.

Every market begins anew from (seed, kind, number). Steps of some seconds make each candle's high and low; then prices
go on ticks. numpy may change its streams: across its versions a market may differ.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.domain.words import DrillKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.columns import Floats
from your_short_trade_margin_call.research.drill_kernel import Falls, cluster, fade, walk
from your_short_trade_margin_call.research.drill_rows import CANDLES_A_DAY, Rows, resampled, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYMBOL = "SOLUSDT"
"""The pair whose rules apply; its ticks are about 0.7 bps of the price, its lots 3 % of the balance."""
TICK = 0.01
START_PRICES = (100.0, 200.0)
"""Where a price begins, USDT: anywhere between."""
STEPS = 8
"""Moves of the price inside a candle."""
VOLATILITIES = (0.0008, 0.0025)
"""Standard deviation of a candle's return, a fraction: each market has its own, from a calm BTC to a small coin."""
LARGEST_STEP = 0.05

MONTH = 30 * CANDLES_A_DAY
PACE = 0.30
"""What `falling` loses of its price in 30 days, and `rising` gains, in expectation."""

NEWS, MEMORY, TAIL_INDEX = 0.08, 0.90, 5.0
"""GARCH(1, 1) per candle (bursts fade by half within 1.7 hours), Student's t for the size of a candle."""

JUMPS_A_DAY, JUMP_SIZES = 1.0, (0.005, 0.04)
"""`jumps`: as often up as down, at the open of a candle."""
SQUEEZES_A_DAY, SQUEEZE_SIZES = 1.0 / 3.0, (0.03, 0.09)
"""`squeezes`: jumps up only; between them the price falls just as much, 2 % a day."""

HISTORY_DAYS = 20
"""The generated history that `resampled` is made of where no file is given."""
QUIETEST, BUSIEST_HOUR = 0.6, 14.5
"""Its volatility over the day: the least, as a share of the mean, and the UTC hour of the most."""

REVERSION, REVERSION_CANDLES = 0.0007, 5.0
"""`reverting`: standard deviation of the distance from its level (a fraction), and how long it takes to fade to 1/e.

It is worth +0.011 ± 0.006 % of the account per 12 h; after costs -0.07 ± 0.05 % remain (100 markets of 30 days,
`make calibrate-drill ARGS="--reverting 100"`)."""
QUIET = (0.0005, 0.0008)
"""Volatilities of `reverting`, low so that the reversion is plain to see in them."""

PLANTED_VOLATILITY, PLANTED_FADE = 0.0006, 240.0
"""`planted`, `half`: the rest fades to 1/e in half a day, so that few shorts are stuck for long."""
PLANTED_LOOKBACK, PLANTED_CANDLES, GIVE_BACK = 40, 5, 1.0 / 480.0
"""A fall of a quarter of an hour follows failed peaks of the grid's middle lookback, and is won back over a day."""
WARM_UP = 4_800
"""Candles before the first one, until falls and winning back balance."""
PLANTED_FALL, HALF_FALL = 0.0080, 0.0064
"""The expected falls, fractions. What the record of the procedure makes of them, percent of the account per 12 h
(`make calibrate-drill ARGS="--markets 96"`, 30 days each): +2.06 ± 0.10 and +0.93 ± 0.07;
chance shorts +0.06 and +0.04.
Nine trades in ten close within 4 and 9 hours."""


class Moves(NamedTuple):
    """What makes a price: jumps at the open [n], steps inside [n, s], both fractions; and what is planted."""

    opening: Floats
    steps: Floats
    falls: Falls = Falls(0.0, PLANTED_LOOKBACK, PLANTED_CANDLES, GIVE_BACK)


def drill_candles(
    kind: DrillKind, seed: int, number: int, days: float, *, history: Candles | None = None, fall: float | None = None
) -> Candles:
    """The candles of market `number` of a kind; a longer one does not begin with the shorter one.

    Args:
        kind: what it is like.
        seed: of the whole drill, 0 or more.
        number: which market, 0 or more.
        days: how long.
        history: what `resampled` is made of; other kinds take no notice.
        fall: another size for the planted falls, to calibrate them.

    Raises:
        SettingError: no such market can be.
        TooFewCandlesError: the history is shorter than `drill_rows.FEWEST_DAYS`.
    """
    count = round(days * CANDLES_A_DAY)
    if count < 1 or seed < 0 or number < 0:
        raise SettingError(
            f"No drill market lasts {days:g} days (seed {seed}).", "Give days above 0 and a seed from 0."
        )
    rng = _generator(kind, seed, number)
    start = math.exp(rng.uniform(*np.log(START_PRICES))) / TICK
    start_ms = CANDLE_MS * CANDLES_A_DAY * int(rng.integers(10_000, 20_000))
    made = count + (WARM_UP if kind.has_edge else 0)
    moves = _MOVES[kind](rng, made) if history is None or kind is not DrillKind.RESAMPLED else _of(rng, made, history)
    if fall is not None:
        moves = moves._replace(falls=moves.falls._replace(size=fall))
    return _candles(rng, start_ms, path_of(moves, start)[0][-count:])


def path_of(moves: Moves, start: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Open, high, low and close in ticks [n, 4], and where a planted fall was under way [n]."""
    ticks, falling = np.empty((len(moves.steps), 4)), np.zeros(len(moves.steps), dtype=np.bool_)
    np.clip(moves.steps, -LARGEST_STEP, LARGEST_STEP, out=moves.steps)
    walk(moves.opening, moves.steps, moves.falls, start, ticks, falling)
    return ticks, falling


def _generator(kind: DrillKind, seed: int, number: int) -> Generator:
    name = int.from_bytes(hashlib.blake2b(f"drill:{kind}".encode(), digest_size=8).digest(), "little")
    return Generator(PCG64(SeedSequence([seed, name, number])))


def _candles(rng: Generator, start_ms: int, ticks: Floats) -> Candles:
    prices = np.round(ticks * TICK, 2)
    open_, high, low, close = prices.T
    volume = np.round((1.0 + (high - low) / TICK) * np.exp(0.5 * rng.standard_normal(len(prices))), 1) + 0.1
    time_ms = start_ms + CANDLE_MS * np.arange(len(prices), dtype=np.int64)
    return Candles.from_columns(SYMBOL, time_ms, open_, high, low, close, volume, timeframe_ms=CANDLE_MS)


# ---- kinds ------------------------------------------------------------------------------------------


def _random_walk(rng: Generator, count: int) -> Moves:
    return Moves(np.zeros(count), _plain_steps(rng, count, _volatility(rng)))


def _clustering(rng: Generator, count: int) -> Moves:
    return Moves(np.zeros(count), _clustered_steps(rng, count, _volatility(rng)))


def _jumps(rng: Generator, count: int) -> Moves:
    size = rng.uniform(*JUMP_SIZES, count) * rng.choice((-1.0, 1.0), count)
    steps = _plain_steps(rng, count, _volatility(rng))
    return Moves(size * (rng.random(count) < JUMPS_A_DAY / CANDLES_A_DAY), steps)


def _squeezes(rng: Generator, count: int) -> Moves:
    chance = SQUEEZES_A_DAY / CANDLES_A_DAY
    jumps = rng.uniform(*SQUEEZE_SIZES, count) * (rng.random(count) < chance)
    expected = chance * sum(SQUEEZE_SIZES) / 2.0
    return Moves(jumps, _plain_steps(rng, count, _volatility(rng)) - expected / STEPS)


def _falling(rng: Generator, count: int) -> Moves:
    return Moves(np.zeros(count), _plain_steps(rng, count, _volatility(rng)) + math.log1p(-PACE) / MONTH / STEPS)


def _rising(rng: Generator, count: int) -> Moves:
    return Moves(np.zeros(count), _plain_steps(rng, count, _volatility(rng)) + math.log1p(PACE) / MONTH / STEPS)


def _reverting(rng: Generator, count: int) -> Moves:
    around = _fading_steps(rng, count, REVERSION, REVERSION_CANDLES)
    steps = _plain_steps(rng, count, _volatility(rng, QUIET))
    return Moves(np.zeros(count), (1.0 + steps) * (1.0 + around) - 1.0)


def _resampled(rng: Generator, count: int) -> Moves:
    """Blocks of a history whose volatility clusters and has its hours."""
    n = HISTORY_DAYS * CANDLES_A_DAY
    hour = np.arange(n) % CANDLES_A_DAY / CANDLES_A_DAY * 24.0
    level = 1.0 + (1.0 - QUIETEST) * np.cos((hour - BUSIEST_HOUR) * 2.0 * math.pi / 24.0)
    steps = _clustered_steps(rng, n, _volatility(rng)) * level[:, None]
    return Moves(*resampled(rng, Rows(np.zeros(n), steps, np.arange(n) % CANDLES_A_DAY), count))


def _of(rng: Generator, count: int, history: Candles) -> Moves:
    return Moves(*resampled(rng, rows_of(history), count))


def _planted(size: float) -> Callable[[Generator, int], Moves]:
    def moves(rng: Generator, count: int) -> Moves:
        spread = PLANTED_VOLATILITY * math.sqrt(PLANTED_FADE / 2.0)
        steps = _fading_steps(rng, count, spread, PLANTED_FADE)
        return Moves(np.zeros(count), steps, Falls(size, PLANTED_LOOKBACK, PLANTED_CANDLES, GIVE_BACK))

    return moves


_MOVES: dict[DrillKind, Callable[[Generator, int], Moves]] = {
    DrillKind.RANDOM_WALK: _random_walk,
    DrillKind.CLUSTERING: _clustering,
    DrillKind.JUMPS: _jumps,
    DrillKind.SQUEEZES: _squeezes,
    DrillKind.RESAMPLED: _resampled,
    DrillKind.FALLING: _falling,
    DrillKind.RISING: _rising,
    DrillKind.REVERTING: _reverting,
    DrillKind.PLANTED: _planted(PLANTED_FALL),
    DrillKind.HALF: _planted(HALF_FALL),
}


# ---- steps ------------------------------------------------------------------------------------------


def _volatility(rng: Generator, between: tuple[float, float] = VOLATILITIES) -> float:
    return math.exp(rng.uniform(*np.log(between)))


def _plain_steps(rng: Generator, count: int, volatility: float) -> Floats:
    steps = rng.standard_normal((count, STEPS))
    steps *= volatility / math.sqrt(STEPS)
    return steps


def _clustered_steps(rng: Generator, count: int, volatility: float) -> Floats:
    """Steps of a candle share a random size (tails), and volatility follows what happened (clusters)."""
    steps = rng.standard_normal((count, STEPS)) / math.sqrt(STEPS)
    steps *= np.sqrt((TAIL_INDEX - 2.0) / rng.chisquare(TAIL_INDEX, count))[:, None]
    levels = np.empty(count)
    cluster(steps.sum(axis=1), NEWS, MEMORY, levels)
    steps *= volatility * levels[:, None]
    return steps


def _fading_steps(rng: Generator, count: int, spread: float, fade_candles: float) -> Floats:
    """Steps of a price that is drawn back to a level: off it by `spread` (a standard deviation), for so long."""
    keep = math.exp(-1.0 / (fade_candles * STEPS))
    away = rng.standard_normal(count * STEPS + 1) * spread * math.sqrt(1.0 - keep**2)
    away[0] = rng.standard_normal() * spread
    fade(away, keep)
    steps: Floats = ((1.0 + away[1:]) / (1.0 + away[:-1])).reshape(count, STEPS) - 1.0
    return steps
