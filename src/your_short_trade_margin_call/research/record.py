"""A walk through the history with both its yardsticks and the verdict on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.research.chance import ChanceShorts, chance_beside
from your_short_trade_margin_call.research.evidence import Evidence, judge
from your_short_trade_margin_call.research.walk_forward import WalkForward

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Record:
    """What a procedure would have been worth over a history."""

    walk: WalkForward
    chance: ChanceShorts
    evidence: Evidence

    @property
    def verdict(self) -> Verdict:
        """REAL, CAN'T TELL or LUCK."""
        return self.evidence.verdict

    @cached_property
    def folds(self) -> polars.DataFrame:
        """One row a fold: what was chosen, promised and delivered, and what chance shorts made beside it."""
        import polars as pl

        return self.walk.folds.with_columns(pl.Series("chance_pct", self.chance.fold_returns * 100.0))


def make_record(walk: WalkForward, alpha: float | None = None, seed: int = 0) -> Record:
    """Judge a walk (see `evidence.judge`)."""
    chance = chance_beside(walk)
    return Record(walk, chance, judge(walk, chance, alpha, seed))
