"""Today's winner against winners of markets where only luck could win: the whole sweep, repeated on each of them.

A surrogate market is made of the real candles in an order of chance. Each candle keeps its moves (open, high, low,
close, and mark prices and minutes where there are any, relative to the close before it) and comes exactly once, so

- the drift is the real one, exactly: the moves of the closes have the same sum, and the last close is the same tick.
  Whoever earns by being short in a falling market earns it here too;
- the moves are the real ones, all of them: not a larger one, not a smaller one;
- candles that stood close together still do: blocks of MEAN_BLOCK candles on average travel as one, and volatility
  still comes in clusters;
- the order does not survive: neither that of the blocks nor that of the candles within a block. Moves that alternate,
  or follow each other for a few candles, lose it all but for traces; of rises and falls that last as long as a block,
  some of the tilt stays in the block, in another order.

Times, gaps, settlements and the luck of fills stay where they are. A candle after a gap stays there too: a price that
jumped over missing candles never becomes a jump between two that were there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from your_short_trade_margin_call.domain.words import Objective
from your_short_trade_margin_call.research.profits import Account, profits
from your_short_trade_margin_call.research.repeating import repeat
from your_short_trade_margin_call.research.selection import chosen_pct
from your_short_trade_margin_call.research.surrogate_kernel import draw_order, lay_candles
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.research.trials import Trials
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.terms import luck_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flag = NDArray[np.bool_]

MEAN_BLOCK = 10.0
"""Candles of a block, on average: half an hour.

Chosen by measurement. On seven real pairs the autocorrelation of absolute moves within a day is 0.16 after one candle
and 0.12 after five; in surrogates with blocks of 10, shuffled within, 0.09 and 0.05; without blocks, none. Blocks that
keep their inner order keep more of it (0.14 and 0.07), and more of the edge: planted in 60 days, it then shows
(p <= 0.05) on 18 of them instead of 25.
"""


class Prices(NamedTuple):
    """A market's prices as rows of one matrix (ticks): open, high, low, close; then marks; then minutes."""

    rows: Floats
    has_marks: bool


@dataclass(frozen=True)
class Shuffler:
    """Makes surrogates of one market, each known by its number and a seed."""

    market: MarketArrays
    prices: Prices
    movable: Integers
    """Places of the candles that follow another without a gap."""
    mean_block: float

    @classmethod
    def of(cls, market: MarketArrays, mean_block: float = MEAN_BLOCK) -> Self:
        """Prepare a market; `mean_block` 1 shuffles every candle by itself."""
        has_marks = market.mark_high is not market.high
        columns = [market.open, market.high, market.low, market.close]
        columns += [market.mark_open, market.mark_high, market.mark_close] if has_marks else []
        columns += [*market.minute_high.T, *market.minute_low.T] if market.has_minutes else []
        movable = 1 + np.flatnonzero(np.diff(market.time_ms) == market.candle_ms)
        return cls(market, Prices(np.stack(columns), has_marks), movable, mean_block)

    def order(self, key: np.uint64) -> Integers:
        """Which real candle stands at each place, int64[n]: `volume[order]` goes along with them."""
        count = len(self.movable)
        order = np.arange(len(self.market.time_ms), dtype=np.int64)
        starts, turns, sources = (np.empty(size, dtype=np.int64) for size in (count + 1, count, count))
        draw_order(key, self.mean_block, self.movable, starts, turns, sources, order)
        return order

    def surrogate(self, key: np.uint64) -> MarketArrays:
        """The market of `order(key)`."""
        market, laid = self.market, np.empty_like(self.prices.rows)
        lay_candles(self.prices.rows, market.close, self.order(key), laid)
        open_, high, low, close = laid[:4]
        marks = laid[4:7] if self.prices.has_marks else (open_, high, close)
        market = market._replace(open=open_, high=high, low=low, close=close)
        market = market._replace(mark_open=marks[0], mark_high=marks[1], mark_close=marks[2])
        if not market.has_minutes:
            return market
        return market._replace(
            minute_high=np.ascontiguousarray(laid[-6:-3].T), minute_low=np.ascontiguousarray(laid[-3:].T)
        )


def surrogate_key(seed: int, number: int, window: int = 0) -> np.uint64:
    """The luck of one surrogate of one window."""
    return luck_key(seed, f"surrogate:{number}:{window}")


@dataclass(frozen=True)
class SurrogateWinners:
    """What the winner of each surrogate made (`pnl_pct`), and the real one (`real_pct`), by the same procedure."""

    pnl_pct: Floats
    real_pct: float
    mean_block: float
    seed: int

    @property
    def p_value(self) -> float:
        """(1 + surrogate winners as good as the real one, or better) / (surrogates + 1).

        Small: an order of moves that luck rarely brings about. It says nothing about how much of the profit will last.
        """
        return (1 + int(np.count_nonzero(self.pnl_pct >= self.real_pct))) / (len(self.pnl_pct) + 1)

    @property
    def quantile(self) -> float | None:
        """The share of surrogate winners that the real one beats, ties by half; None without surrogates."""
        if not len(self.pnl_pct):
            return None
        beaten = np.count_nonzero(self.pnl_pct < self.real_pct) + np.count_nonzero(self.pnl_pct <= self.real_pct)
        return float(beaten) / (2 * len(self.pnl_pct))

    def document(self) -> dict[str, Any]:
        """Plain values for JSON; `percentiles` are 0, 5, ..., 100 of the surrogates' winners."""
        steps = np.percentile(self.pnl_pct, np.arange(0, 101, 5)).tolist() if len(self.pnl_pct) else []
        return {
            "surrogates": len(self.pnl_pct),
            "mean_block": self.mean_block,
            "seed": self.seed,
            "real_pct": self.real_pct,
            "p_value": self.p_value,
            "quantile": self.quantile,
            "percentiles": steps,
        }


def surrogate_winners(
    windows: Sequence[MarketArrays],
    account: Account,
    trials: Trials,
    *,
    seed: int,
    count: int = 1_000,
    mean_block: float = MEAN_BLOCK,
    objective: Objective = Objective.PNL_PCT,
    progress: Progress | None = None,
    stop: Flag | None = None,
    workers: int | None = None,
) -> SurrogateWinners:
    """Sweep `count` surrogates as the real windows (oldest first) are swept, and choose the winner of each.

    An objective that looks at one window takes the last; every window is shuffled by itself. What counts is the
    chosen trial's `pnl_pct`, its mean where the objective looks at several windows. `progress` is called with
    (surrogates done, surrogates in all). Whoever raises `stop` (bool[1]) gets what is finished by then; an error, or
    Ctrl-C, ends the threads within milliseconds.
    """
    shufflers = [Shuffler.of(market, mean_block) for market in objective.windows_of(windows)]

    def winner(markets: Sequence[MarketArrays], flag: Flag | None) -> float:
        return chosen_pct(objective, [profits(market, account, trials, flag) for market in markets])

    def work(number: int, flag: Flag) -> float:
        keys = (surrogate_key(seed, number, window) for window in range(len(shufflers)))
        return winner([shuffler.surrogate(key) for shuffler, key in zip(shufflers, keys, strict=True)], flag)

    real = winner([shuffler.market for shuffler in shufflers], None)
    made = repeat(work, count, progress, stop, workers)
    return SurrogateWinners(made[~np.isnan(made)], real, mean_block, seed)
