"""The noise drill: the whole procedure, verdict included, on markets of which it is known whether they have an edge.

Where they have none, REAL is a false alarm, and may be said 5 times in 100. Where one is planted, it is what a trader
wants to be told. The drill counts both, and says how sure its counts are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import DrillKind, Verdict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.chance import chance_beside
from your_short_trade_margin_call.research.drill_counts import Share
from your_short_trade_margin_call.research.drill_markets import SYMBOL, TICK, drill_candles
from your_short_trade_margin_call.research.evidence import real_at
from your_short_trade_margin_call.research.procedure import Procedure
from your_short_trade_margin_call.research.record import make_record
from your_short_trade_margin_call.research.statistics.e_values import alpha_share
from your_short_trade_margin_call.research.threads import Progress, in_threads
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.research.walk_forward import WalkForward, walk_forward
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, cut, make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings

PAIRS = 10
"""So many markets stand for pairs that somebody tries beside each other."""


@dataclass(frozen=True)
class Drill:
    """What is drilled.

    Args:
        markets: how many of each kind.
        days: of the record that is looked at once.
        looks_days: of the record that is looked at after every fold; 0 leaves that out.
        seed: of the markets.
        settings: costs, leverage and the cycle, as in any other run.
        grid: the parameter sets of each sweep.
        history: what `resampled` is made of; None generates one.

    Raises:
        SettingError: a number makes no sense.
    """

    markets: int = 100
    days: int = 30
    looks_days: int = 90
    seed: int = 42
    settings: Settings = field(default_factory=Settings)
    grid: ParameterGrid = field(default_factory=ParameterGrid)
    history: Candles | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be drilled."""
        if self.markets < 1 or self.days < 1 or self.looks_days < 0 or self.seed < 0:
            raise SettingError(
                f"No drill of {self.markets} markets over {self.days} days.", "Give 1 market and 1 day at least."
            )


class Outcome(NamedTuple):
    """What was said of one market.

    `verdict` is that of one look after `days`; `ever_real` whether any look of the longer record said REAL;
    `ever_real_among` the same, where this was one of ten pairs. Percent are of the account's equity, a fold each.
    """

    verdict: Verdict
    ever_real: bool
    ever_real_among: bool
    trades: int
    mean_pct: float
    chance_pct: float
    promised_pct: float


@dataclass(frozen=True)
class KindResult:
    """All markets of one kind."""

    kind: DrillKind
    outcomes: tuple[Outcome, ...]
    looks_days: int

    @property
    def once(self) -> Share:
        """How many were called REAL by one look."""
        return Share(sum(one.verdict is Verdict.REAL for one in self.outcomes), len(self.outcomes))

    @property
    def ever(self) -> Share | None:
        """How many were called REAL by any look of the longer record; None without one."""
        return Share(sum(one.ever_real for one in self.outcomes), len(self.outcomes)) if self.looks_days else None

    @property
    def among_ten(self) -> Share | None:
        """In how many groups of ten pairs any look called any pair REAL; None without a whole group."""
        groups = [self.outcomes[k : k + PAIRS] for k in range(0, len(self.outcomes) - PAIRS + 1, PAIRS)]
        if not self.looks_days or not groups:
            return None
        return Share(sum(any(one.ever_real_among for one in group) for group in groups), len(groups))

    @property
    def verdicts(self) -> dict[str, int]:
        """How often each verdict was given by one look."""
        counts = Counter(one.verdict for one in self.outcomes)
        return {str(verdict): counts[verdict] for verdict in Verdict}

    def mean(self, name: str) -> float:
        """The mean of a number of the outcomes, over all markets that have it; NaN without any."""
        numbers = [value for one in self.outcomes if math.isfinite(value := float(getattr(one, name)))]
        return float(np.mean(numbers)) if numbers else math.nan

    @property
    def mean_error_pct(self) -> float:
        """Standard error of the mean return of a fold; NaN for a single market."""
        means = [one.mean_pct for one in self.outcomes]
        return float(np.std(means, ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else math.nan

    @property
    def shares(self) -> dict[str, Share]:
        """What was counted, by name."""
        named = {"once": self.once, "ever": self.ever, "among_ten": self.among_ten}
        return {name: share for name, share in named.items() if share is not None}

    @property
    def alarms_too_often(self) -> bool:
        """Whether REAL is said significantly more than 5 times in 100 although there is no edge."""
        return not self.kind.has_edge and any(share.is_above_allowed for share in self.shares.values())

    def as_dict(self) -> dict[str, Any]:
        """Everything, for machines."""
        numbers = {name: self.mean(name) for name in ("trades", "mean_pct", "chance_pct", "promised_pct")}
        numbers["mean_error_pct"] = self.mean_error_pct
        return {
            "kind": str(self.kind),
            "has_edge": self.kind.has_edge,
            "markets": len(self.outcomes),
            "verdicts": self.verdicts,
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            **{name: share.as_dict() for name, share in self.shares.items()},
            "alarms_too_often": self.alarms_too_often,
        }


@dataclass(frozen=True)
class DrillResult:
    """What the drill counted, a row a kind. A drill that was stopped has what was done before."""

    drill: Drill
    kinds: tuple[KindResult, ...]

    @property
    def alarming(self) -> tuple[DrillKind, ...]:
        """Kinds without an edge that were called REAL significantly more often than allowed."""
        return tuple(result.kind for result in self.kinds if result.alarms_too_often)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for machines."""
        drill = self.drill
        return {
            "seed": drill.seed,
            "days": drill.days,
            "looks_days": drill.looks_days,
            "settings_hash": drill.settings.fingerprint(),
            "kinds": [one.as_dict() for one in self.kinds],
            "alarming": [str(kind) for kind in self.alarming],
        }


def run_drill(
    drill: Drill,
    kinds: Sequence[DrillKind] = tuple(DrillKind),
    workers: int = 1,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> DrillResult:
    """Drill some kinds of markets.

    Args:
        drill: what is drilled.
        kinds: which markets.
        workers: threads; whatever their number, the result is the same.
        progress: called with (markets done, markets in all).
        stop: asked after each market; True ends the drill with the markets that are done.
    """
    wanted = [(kind, number) for kind in dict.fromkeys(kinds) for number in range(drill.markets)]
    outcomes: dict[tuple[DrillKind, int], Outcome] = {}
    tasks = (lambda place=place: (place, drill_market(drill, *place)) for place in wanted)
    with closing(in_threads(tasks, max(1, workers))) as found:
        for one in found:
            if one is not None:
                outcomes[one[0]] = one[1]
            if progress is not None:
                progress(len(outcomes), len(wanted))
            if stop():
                break
    results = []
    for kind in dict.fromkeys(kinds):
        done = tuple(outcomes[place] for place in wanted if place[0] is kind and place in outcomes)
        if done:
            results.append(KindResult(kind, done, drill.looks_days))
    return DrillResult(drill, tuple(results))


def drill_market(drill: Drill, kind: DrillKind, number: int) -> Outcome:
    """What is said of one market, looked at once and again and again."""
    window_days = drill.settings.window / DAY_MS
    candles = drill_candles(
        kind, drill.seed, number, window_days + max(drill.days, drill.looks_days), history=drill.history
    )
    market = make_market(candles, TICK)
    once = make_record(_walk(drill, _first_days(market, window_days + drill.days)), alpha_share(1))
    ever = among = False
    if drill.looks_days:
        walk = _walk(drill, _first_days(market, window_days + drill.looks_days))
        chance = chance_beside(walk)
        ever, among = (bool(real_at(walk, chance, alpha_share(k)).any()) for k in (1, number % PAIRS + 1))
    evidence = once.evidence
    return Outcome(
        verdict=evidence.verdict,
        ever_real=ever,
        ever_real_among=among,
        trades=evidence.trades,
        mean_pct=evidence.mean_pct,
        chance_pct=float(np.mean(once.chance.fold_returns)) * 100.0,
        promised_pct=evidence.promised_pct,
    )


def _first_days(market: MarketArrays, days: float) -> MarketArrays:
    return cut(market, 0, round(days * DAY_MS / market.candle_ms))


def _walk(drill: Drill, market: MarketArrays) -> WalkForward:
    settings = drill.settings
    procedure = Procedure(grid_params(drill.grid, settings), settings.window, settings.reoptimize or settings.window)
    contract, terms = make_contract(find_instrument(SYMBOL)), make_terms(settings, SYMBOL)
    return walk_forward(market, contract, terms, procedure, settings.starting_balance, workers=1)
