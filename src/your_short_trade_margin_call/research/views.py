"""The secondary views of today's winner, together. Each is shown, none is a verdict.

The verdict is the pooled record of the procedure over stored history. One window is little: a test on a single day
finds an edge worth having in one case of twenty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import Objective
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.break_even import BreakEven, break_even
from your_short_trade_margin_call.research.fill_luck import FillLuck, fill_luck, fill_luck_of_winners
from your_short_trade_margin_call.research.plateau import Plateau, plateau_of
from your_short_trade_margin_call.research.profits import Account, prepare
from your_short_trade_margin_call.research.selection import choose
from your_short_trade_margin_call.research.surrogates import SurrogateWinners, surrogate_winners
from your_short_trade_margin_call.research.sweep import run_sweep
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.research.trials import Trials, grid_params
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.settings import ParameterGrid, Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flag = NDArray[np.bool_]

Stopwatch = Callable[[], float]
"""Seconds since some moment, ever more."""
ViewsProgress = Callable[[str, int, int], None]
"""Called with (the view at work, how much is done, how much in all)."""


class Effort(NamedTuple):
    """How much is repeated, and with which luck.

    `surrogates` are made with `seed`; fills are drawn again under each of `fill_seeds`, for the chosen trial alone and
    for whole sweeps unless `of_winners` is False (that is dear).
    """

    seed: int
    fill_seeds: Sequence[int]
    surrogates: int = 1_000
    workers: int | None = None
    of_winners: bool = True


@dataclass(frozen=True)
class Views:
    """What else can be said of a window's winner; see the modules of each."""

    symbol: str
    start_ms: int
    end_ms: int
    trials: int
    objective: Objective
    chosen: StrategyParams
    pnl_pct: float
    """What the chosen trial made in the window: a choice, not a promise."""
    surrogates: SurrogateWinners
    fill_luck: FillLuck
    fill_luck_of_winners: FillLuck | None
    """None where that was not asked for."""
    plateau: Plateau
    break_even: BreakEven
    elapsed_s: dict[str, float] = field(compare=False)
    """Seconds for each view; empty without a stopwatch."""

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "symbol": self.symbol,
            "candles": {"start_ms": self.start_ms, "end_ms": self.end_ms},
            "trials": self.trials,
            "objective": str(self.objective),
            "chosen": {**asdict(self.chosen), "exit_type": str(self.chosen.exit_type)},
            "pnl_pct": self.pnl_pct,
            "surrogates": self.surrogates.document(),
            "fill_luck": self.fill_luck.document(),
            "fill_luck_of_winners": None if self.fill_luck_of_winners is None else self.fill_luck_of_winners.document(),
            "plateau": self.plateau.document(),
            "break_even": self.break_even.document(),
            "elapsed_s": dict(self.elapsed_s),
        }


class _Laps:
    """How long each view took, and the progress of the one at work."""

    def __init__(self, stopwatch: Stopwatch | None, progress: ViewsProgress | None) -> None:
        self.elapsed_s: dict[str, float] = {}
        self._stopwatch, self._progress = stopwatch, progress
        self._since = stopwatch() if stopwatch is not None else 0.0

    def end(self, view: str) -> None:
        if self._stopwatch is not None:
            now = self._stopwatch()
            self.elapsed_s[view], self._since = now - self._since, now

    def progress(self, view: str) -> Progress | None:
        tell = self._progress
        return None if tell is None else lambda done, total: tell(view, done, total)


def look_at(
    windows: Sequence[Candles],
    settings: Settings,
    grid: ParameterGrid,
    effort: Effort,
    *,
    objective: Objective = Objective.PNL_PCT,
    instrument: Instrument | None = None,
    progress: ViewsProgress | None = None,
    stop: Flag | None = None,
    stopwatch: Stopwatch | None = None,
) -> Views:
    """Sweep the last of `windows` (oldest first, of one pair; others for objectives that pool) and look at the winner.

    `instrument` is needed for pairs the package does not know. Raising `stop` (bool[1]) cuts short whatever is being
    repeated: the views then rest on what was finished, and say how much that was.

    Raises:
        BadInputError: there is no window, or they are of several pairs.
        TooFewCandlesError: a window is too short for the longest lookback.
        UnknownPairError: the package does not know the pair, and no instrument was given.
    """
    laps = _Laps(stopwatch, progress)
    trials, seen = grid_params(grid, settings), objective.windows_of(_of_one_pair(windows))
    markets, account = prepare(seen, settings, max(trials.highest_high_lookback), instrument)
    chosen, pnl_pct = _choose(objective, markets, account, trials, effort.workers)
    params, number, symbol = trials[chosen], pnl_pct[chosen], seen[-1].symbol
    laps.end("sweep")
    plateau = plateau_of(trials, pnl_pct, chosen)
    laps.end("plateau")
    alone = fill_luck(markets[-1], account, params, symbol, effort.fill_seeds)
    laps.end("fill_luck")
    dies = break_even(markets[-1], account, params)
    laps.end("break_even")
    lucky = None if not effort.of_winners else fill_luck_of_winners(
        markets, account, trials, symbol, effort.fill_seeds, objective=objective,
        progress=laps.progress("fill_luck_of_winners"), stop=stop, workers=effort.workers,
    )  # fmt: skip
    laps.end("fill_luck_of_winners")
    shuffled = surrogate_winners(
        markets, account, trials, seed=effort.seed, count=effort.surrogates, objective=objective,
        progress=laps.progress("surrogates"), stop=stop, workers=effort.workers,
    )  # fmt: skip
    laps.end("surrogates")
    return Views(
        symbol, seen[-1].start_ms, seen[-1].end_ms, len(trials), objective, params, float(number), shuffled, alone,
        lucky, plateau, dies, laps.elapsed_s,
    )  # fmt: skip


def _of_one_pair(windows: Sequence[Candles]) -> Sequence[Candles]:
    if len({candles.symbol for candles in windows}) != 1:
        raise BadInputError("The views need candles of one pair.", "Give one window or more, all of the same pair.")
    return windows


def _choose(
    objective: Objective, markets: Sequence[MarketArrays], account: Account, trials: Trials, workers: int | None
) -> tuple[int, NDArray[np.float64]]:
    """The number of the chosen trial, and what each trial made in the last window."""
    contract, terms, start = account
    sweeps = [run_sweep(market, contract, terms, trials, start, workers=workers) for market in markets]
    return choose(objective, sweeps), sweeps[-1].columns["pnl_pct"]
