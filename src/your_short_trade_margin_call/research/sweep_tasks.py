"""A sweep as something that can be sent away: what it needs beside the candles, and the parts it may be cut into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.running import MOST_LOOKBACKS
from your_short_trade_margin_call.research.trials import Trials
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, make_market
from your_short_trade_margin_call.rules.terms import Contract, Terms, make_contract, make_terms
from your_short_trade_margin_call.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_WORK = 1_000_000_000
"""Candles times trials that travel together at most: about half a second of one core."""
_AS_MANY_CANDLES = 20_000
"""What a trial costs beside its candles, in candles: mostly its drawdown, in short windows."""


class SweepInputs(NamedTuple):
    """What kernels take: candles in ticks, the instrument, the settings."""

    market: MarketArrays
    contract: Contract
    terms: Terms


@dataclass(frozen=True)
class SweepTask:
    """One sweep without its candles. With a `window_ms` (start, end) only candles that open in it count."""

    settings: Settings
    instrument: Instrument
    trials: Trials
    window_ms: tuple[int, int] | None = None

    def cut(self, candles: Candles) -> Candles:
        """The candles of the window.

        Raises:
            TooFewCandlesError: they are not enough for the longest lookback.
        """
        inside = candles if self.window_ms is None else candles.between(*self.window_ms)
        require_candles(inside, max(self.trials.highest_high_lookback))
        return inside

    def inputs(self, candles: Candles) -> SweepInputs:
        """What kernels take of this sweep.

        Raises:
            TooFewCandlesError: there are not enough candles for the longest lookback.
        """
        return sweep_inputs(self.cut(candles), self.instrument, self.settings)


def sweep_inputs(candles: Candles, instrument: Instrument, settings: Settings) -> SweepInputs:
    """Candles, instrument and settings as kernels take them."""
    market = make_market(candles, float(instrument.tick_size))
    return SweepInputs(market, make_contract(instrument), make_terms(settings, candles.symbol))


def require_candles(candles: Candles, lookback: int) -> None:
    """Insist on candles enough for a lookback.

    Raises:
        TooFewCandlesError: there are fewer.
    """
    candles.require(lookback + 2, f"a lookback of {lookback} (it, the signal candle and the one after)")


class Part(NamedTuple):
    """Some lookbacks and take-profits of a grid, by their places [first, end) on the axes, with all else."""

    lookbacks: tuple[int, int]
    take_profits: tuple[int, int]

    def of(self, trials: Trials) -> Trials:
        """The trials of the part, a grid of their own."""
        return replace(
            trials,
            highest_high_lookback=trials.highest_high_lookback[slice(*self.lookbacks)],
            take_profit_pct=trials.take_profit_pct[slice(*self.take_profits)],
        )

    def numbers(self, trials: Trials) -> NDArray[np.int64]:
        """Which trials of the whole grid they are, in the order of the part's own grid."""
        axes = [np.arange(length) for length in trials.shape]
        axes[0], axes[3] = np.arange(*self.lookbacks), np.arange(*self.take_profits)
        places = np.meshgrid(*axes, indexing="ij")
        return np.asarray(np.ravel_multi_index([place.ravel() for place in places], trials.shape), dtype=np.int64)


def work_of(n_candles: int, trials: Trials) -> int:
    """What a sweep costs, in candles times trials."""
    return (n_candles + _AS_MANY_CANDLES) * len(trials)


def parts_of(n_candles: int, trials: Trials, most_work: int = MOST_WORK) -> Iterator[Part]:
    """A grid in parts of at most so much work (one lookback and take-profit at least).

    Few take-profits with many lookbacks: trials of one take-profit share what they look up, whatever the lookback.
    """
    n_lookbacks, _, _, n_take_profits, _, _ = trials.shape
    each = max(1, work_of(n_candles, trials) // (n_lookbacks * n_take_profits))
    height = min(n_lookbacks, MOST_LOOKBACKS, max(1, most_work // each))
    width = min(n_take_profits, max(1, most_work // (each * height)))
    for i in range(0, n_lookbacks, height):
        for t in range(0, n_take_profits, width):
            yield Part((i, min(i + height, n_lookbacks)), (t, min(t + width, n_take_profits)))
