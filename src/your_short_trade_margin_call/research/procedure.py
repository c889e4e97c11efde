"""What is repeated every step: a sweep of the last window, a choice, and the rule by which it is adopted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import Adopt, Objective
from your_short_trade_margin_call.research.adoption import Chosen, adoption
from your_short_trade_margin_call.research.selection import choose
from your_short_trade_margin_call.research.sweep import Sweep, run_sweep
from your_short_trade_margin_call.research.threads import Progress, in_threads
from your_short_trade_margin_call.research.trials import Trials
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, cut
from your_short_trade_margin_call.rules.terms import Contract, Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

STEP_MS = DAY_MS // 2


@dataclass(frozen=True)
class Procedure:
    """All trials on the last `window_ms`, every `step_ms`.

    `objective` chooses among them; one that is pooled looks at `windows` windows, one after the other. `adopt` says
    when what was chosen replaces what runs.
    """

    trials: Trials
    window_ms: int = DAY_MS
    step_ms: int = STEP_MS
    adopt: Adopt = Adopt.ALWAYS
    objective: Objective = Objective.PNL_PCT
    windows: int = 5


class Choice(NamedTuple):
    """What a step chose: parameters (None: there were too few candles), what they made where they were chosen.

    `end_ms` is where their window ends; `adopted` is False where the step kept what ran before.
    """

    params: StrategyParams | None
    promised_pct: float
    has_edge: bool
    end_ms: int = 0
    adopted: bool = True


NOTHING_CHOSEN = Choice(None, float("nan"), False)


@dataclass(frozen=True)
class Choosing:
    """A procedure on a market."""

    market: MarketArrays
    contract: Contract
    terms: Terms
    procedure: Procedure
    start_wallet: float

    def at(self, until_ms: int) -> Choice:
        """What the procedure chooses at a moment, or NOTHING_CHOSEN where there are too few candles."""
        pooled = self.procedure.objective.is_pooled
        ends = [until_ms - k * self.procedure.window_ms for k in range(self.procedure.windows if pooled else 1)]
        sweeps = [swept for end_ms in reversed(ends) if (swept := self._swept(end_ms)) is not None]
        if not sweeps or self._rows(until_ms) is None:
            return NOTHING_CHOSEN
        trial = choose(self.procedure.objective, sweeps)
        promised = float(np.mean([sweep.columns["pnl_pct"][trial] for sweep in sweeps]))
        return Choice(sweeps[-1].params[trial], promised, promised > 0.0, until_ms)

    def adopted(self, made: list[Choice]) -> Iterator[Choice]:
        """What runs after each step; where nothing could be chosen, the old parameters stay, as in a live run."""
        running = NOTHING_CHOSEN
        for choice in made:
            if choice.params is None or not self._replaces(running, choice):
                running = running._replace(adopted=False)
            else:
                running = choice
            yield running

    def _replaces(self, running: Choice, choice: Choice) -> bool:
        if self.procedure.adopt is Adopt.ALWAYS:
            return True
        champion = self._chosen(running) if running.has_edge else None
        known = cut(self.market, 0, int(np.searchsorted(self.market.time_ms, choice.end_ms)))
        challenger, rule = self._chosen(choice), self.procedure.adopt
        if challenger is None:
            return False
        return adoption(
            rule, known, self.contract, self.terms, champion, challenger, self.start_wallet
        ).adopted  # fmt: skip

    def _chosen(self, choice: Choice) -> Chosen | None:
        if choice.params is None:
            return None
        return Chosen(choice.params, choice.end_ms - self.procedure.window_ms, choice.end_ms)

    def _rows(self, end_ms: int) -> tuple[int, int] | None:
        """The rows of the window that ends there; None where it is too short for the longest lookback."""
        first, end = np.searchsorted(self.market.time_ms, (end_ms - self.procedure.window_ms, end_ms)).tolist()
        return (first, end) if end - first >= max(self.procedure.trials.highest_high_lookback) + 2 else None

    def _swept(self, end_ms: int) -> Sweep | None:
        rows = self._rows(end_ms)
        if rows is None:
            return None
        window = cut(self.market, *rows)
        trials = self.procedure.trials
        return run_sweep(window, self.contract, self.terms, trials, self.start_wallet, workers=1, curves="needed")


def choose_all(
    choosing: Choosing, moments_ms: Integers, progress: Progress | None = None, workers: int | None = None
) -> tuple[Choice, ...]:
    """What runs after each moment, swept on all cores or so many of them."""
    made: dict[int, Choice] = {}
    tasks = (lambda k=k, at=at: (k, choosing.at(at)) for k, at in enumerate(moments_ms.tolist()))
    with closing(in_threads(tasks, workers)) as chosen:
        for one in chosen:
            if one is not None:
                made[one[0]] = one[1]
            if progress is not None:
                progress(len(made), len(moments_ms))
    return tuple(choosing.adopted([made[k] for k in range(len(moments_ms))]))
