"""How much of a profit is the luck of the fills: the same candles and trades wished for, other slippage and rejects.

Every draw is a hash of the seed (`rules/luck.py`), so another seed is another luck, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import Objective
from your_short_trade_margin_call.research.profits import Account, profits
from your_short_trade_margin_call.research.repeating import repeat
from your_short_trade_margin_call.research.selection import chosen_pct
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.research.trials import Trials, only_trial
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.terms import luck_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flag = NDArray[np.bool_]


class Band(NamedTuple):
    """Percentiles 5, 50 and 95 of `pnl_pct`: nine in ten lucks lie between the outer two."""

    low_pct: float
    middle_pct: float
    high_pct: float


@dataclass(frozen=True)
class FillLuck:
    """Profits under many lucks, in percent of the starting balance, in the order of the seeds."""

    pnl_pct: Floats

    @property
    def band(self) -> Band | None:
        """The 5/50/95 % band; None without a single luck."""
        return Band(*np.percentile(self.pnl_pct, (5, 50, 95)).tolist()) if len(self.pnl_pct) else None

    @property
    def profitable_frac(self) -> float | None:
        """The share of lucks with a profit; None without a single luck."""
        return float(np.count_nonzero(self.pnl_pct > 0.0) / len(self.pnl_pct)) if len(self.pnl_pct) else None

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        band = self.band
        return {
            "lucks": len(self.pnl_pct),
            "band": None if band is None else band._asdict(),
            "profitable_frac": self.profitable_frac,
        }


def with_luck(account: Account, seed: int, symbol: str) -> Account:
    """The account under the luck of another seed, as `Settings.seed` would give it to this pair."""
    return account._replace(terms=account.terms._replace(luck_key=luck_key(seed, symbol)))


def fill_luck(
    market: MarketArrays, account: Account, params: StrategyParams, symbol: str, seeds: Sequence[int]
) -> FillLuck:
    """One parameter set under the luck of each seed. `params` say all (`trials.with_defaults`)."""
    alone = only_trial(params)
    made = (profits(market, with_luck(account, seed, symbol), alone).pnl_pct[0] for seed in seeds)
    return FillLuck(np.fromiter(made, dtype=np.float64, count=len(seeds)))


def fill_luck_of_winners(
    windows: Sequence[MarketArrays],
    account: Account,
    trials: Trials,
    symbol: str,
    seeds: Sequence[int],
    *,
    objective: Objective = Objective.PNL_PCT,
    progress: Progress | None = None,
    stop: Flag | None = None,
    workers: int | None = None,
) -> FillLuck:
    """The whole sweep under the luck of each seed, and what its own winner made.

    A winner is chosen among trials that met one luck, and some of them owe it their place: this band lies above that
    of any single parameter set. The distance is what choosing by luck of fills adds. Arguments and interruptions as in
    `surrogates.surrogate_winners`.
    """
    seen = objective.windows_of(windows)

    def work(number: int, flag: Flag) -> float:
        lucky = with_luck(account, seeds[number], symbol)
        return chosen_pct(objective, [profits(market, lucky, trials, flag) for market in seen])

    made = repeat(work, len(seeds), progress, stop, workers)
    return FillLuck(made[~np.isnan(made)])
