"""REAL, CAN'T TELL or LUCK: the rules of the verdict, all of them, and the numbers behind it (docs/evidence.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import ExitReason, Verdict
from your_short_trade_margin_call.research.account_kernel import TRADE_COLUMNS
from your_short_trade_margin_call.research.chance import ChanceShorts
from your_short_trade_margin_call.research.seeds import generator
from your_short_trade_margin_call.research.statistics.bootstrap import mean_interval
from your_short_trade_margin_call.research.statistics.e_values import Stakes, alpha_share, log_wealth
from your_short_trade_margin_call.research.walk_forward import WalkForward
from your_short_trade_margin_call.rules import costs, position
from your_short_trade_margin_call.rules.terms import NO_PRICE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST_TRADES = 30
"""Fewer closed trades than this say nothing."""
LEVEL = 0.9
"""How often the interval printed as "likely" covers the truth."""
MOST_DAYS = 365
"""Who would have to wait longer than this is told that there is no end in sight."""
PROMISE_KEPT = 0.5
"""LUCK: even the interval's upper end is below this part of what was promised."""
STAKES = Stakes((2.0, 4.0, 8.0, 16.0, 32.0), (0.2,) * 5)
"""The bettors against "no edge": from twice the account to 32 times it. Fixed once, for every pair and market."""
ZERO_ALPHA = 0.05
"""How often an account that earns nothing may look as if it earned, over all looks at it.

That no eye for the moment is called one is what the shares of the 5 % are for: they go to the other yardstick, which
all that procedures without an edge must pass as well.
"""

_COLUMN = {name: k for k, name in enumerate(TRADE_COLUMNS)}


class Yardstick(NamedTuple):
    """A bet against "no better than this": its logarithm at the end of each fold, and what was earned beyond it.

    `mean_pct` is the mean excess over the yardstick in percent a fold; `alpha` how often the bet may be won by luck,
    over all looks.
    """

    path: Floats
    mean_pct: float
    alpha: float

    @property
    def log_evidence(self) -> float:
        """The evidence now, as a natural logarithm."""
        return float(self.path[-1])

    @property
    def best_log_evidence(self) -> float:
        """The most it ever was, at the end of a fold."""
        return float(np.max(self.path))

    @property
    def needed(self) -> float:
        """The logarithm that takes."""
        return -math.log(self.alpha)

    @property
    def is_beaten(self) -> bool:
        """Whether the record is better than this, beyond luck."""
        return bool(self.beaten()[-1])

    def beaten(self) -> NDArray[np.bool_]:
        """For each fold, whether the bet had been won by its end, and what it began with not been lost since.

        That luck *ever* wins it has a chance of `alpha`, so a bet that was won need not be won again. Who has lost
        it all since is not shown to be better any more.
        """
        return np.asarray((np.maximum.accumulate(self.path) >= self.needed) & (self.path >= 0.0))


class Risk(NamedTuple):
    """What the record says about the worst: how long shorts were held, and what a margin call costs.

    `cost_pct` is the mean loss of a trade that its margin call (or liquidation) ends, in percent of the balance
    before it; `wins` is how many average wins make up for it (NaN without a win).
    """

    mean_held_ms: int
    longest_held_ms: int
    margin_calls: int
    liquidations: int
    cost_pct: float
    wins: float


@dataclass(frozen=True)
class Evidence:
    """A verdict on a procedure and the numbers it rests on. Percent are of the account's equity, a fold each."""

    verdict: Verdict
    reason: str
    folds: int
    step_ms: int
    trades: int
    mean_pct: float
    low_pct: float
    high_pct: float
    promised_pct: float
    zero: Yardstick
    chance: Yardstick
    risk: Risk

    @property
    def days(self) -> float:
        """How many days the folds cover."""
        return self.folds * self.step_ms / DAY_MS


def judge(walk: WalkForward, chance: ChanceShorts, alpha: float | None = None, seed: int = 0) -> Evidence:
    """The verdict on a record.

    Args:
        walk: the record.
        chance: what chance shorts made beside it.
        alpha: how often REAL may be false, over all looks at this procedure; None is the share of the first.
        seed: of the bootstrap that draws the interval.
    """
    alpha = alpha_share(1) if alpha is None else alpha
    zero, beyond = yardsticks(walk, chance, alpha)
    low, mean, high = _interval(walk.returns, seed)
    evidence = Evidence(
        verdict=Verdict.CANNOT_TELL,
        reason="",
        folds=len(walk.returns),
        step_ms=walk.procedure.step_ms,
        trades=walk.closed_trades,
        mean_pct=mean,
        low_pct=low,
        high_pct=high,
        promised_pct=walk.promised_pct,
        zero=zero,
        chance=beyond,
        risk=_risk(walk),
    )
    verdict, reason = verdict_of(evidence)
    return Evidence(**{**evidence.__dict__, "verdict": verdict, "reason": reason})


def yardsticks(walk: WalkForward, chance: ChanceShorts, alpha: float) -> tuple[Yardstick, Yardstick]:
    """The bets against "no better than nothing" and "no better than chance shorts", the latter at `alpha`."""
    ends = walk.firsts[1:] - walk.firsts[0]
    excess = walk.candle_returns - chance.returns
    beyond_pct = float(np.mean(walk.returns - chance.fold_returns)) * 100.0
    return (
        Yardstick(log_wealth(walk.candle_returns, ends, STAKES), float(np.mean(walk.returns)) * 100.0, ZERO_ALPHA),
        Yardstick(log_wealth(excess, ends, STAKES), beyond_pct, alpha),
    )


def real_at(walk: WalkForward, chance: ChanceShorts, alpha: float) -> NDArray[np.bool_]:
    """For each fold, whether somebody who had looked at its end would have read REAL."""
    zero, beyond = yardsticks(walk, chance, alpha)
    exits = walk.trades[:, _COLUMN["exit_index"]]
    by_itself = exits[walk.trades[:, _COLUMN["exit_reason"]] != ExitReason.END_OF_DATA.code]
    closed = np.searchsorted(by_itself, walk.firsts[1:])
    return np.asarray(zero.beaten() & beyond.beaten() & (closed >= LEAST_TRADES))


def _interval(returns: Floats, seed: int) -> tuple[float, float, float]:
    """Low end, mean and high end of the mean return in percent; a single fold says nothing about its spread."""
    mean = float(np.mean(returns)) * 100.0
    if len(returns) < 2:
        return -math.inf, mean, math.inf
    interval = mean_interval(returns, generator(seed, "interval"), level=LEVEL)
    return interval.low * 100.0, mean, interval.high * 100.0


# ---- the rules ---------------------------------------------------------------------------------------


def verdict_of(evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict that the numbers of some evidence make, and its reason in one sentence."""
    e = evidence
    if e.trades < LEAST_TRADES:
        return Verdict.CANNOT_TELL, _too_few_trades(e)
    if e.zero.is_beaten and e.chance.is_beaten:
        return Verdict.REAL, "It beat both nothing and chance shorts, in this simulation of the past; not a forecast."
    if e.high_pct < PROMISE_KEPT * e.promised_pct:
        left = f"edges up to {e.high_pct:+.2f} % are not excluded" if e.high_pct > 0 else "it lost even at best"
        return Verdict.LUCK, f"The promised {e.promised_pct:+.1f} % was luck; {left}."
    return Verdict.CANNOT_TELL, _too_little(e)


def _too_few_trades(evidence: Evidence) -> str:
    e = evidence
    has = f"{LEAST_TRADES} closed trades are needed, there {'is 1' if e.trades == 1 else f'are {e.trades}'}"
    if not e.trades:
        return f"{has}."
    more = math.ceil((LEAST_TRADES - e.trades) * e.days / e.trades)
    return f"{has}: at this rate about {more} more {'day' if more == 1 else 'days'} of candles."


def _too_little(evidence: Evidence) -> str:
    """What stands between a record and REAL, the nearest hindrance first."""
    e = evidence
    if e.mean_pct <= 0:
        return "It made nothing, and yet too little is known to call the promise luck: more days of candles are needed."
    if e.chance.mean_pct <= 0:
        return "Shorts at random moments made as much before costs: the market fell, and no skill shows."
    pairs = ((e.chance, "shorts at random moments"), (e.zero, "luck"))
    left = [pair for pair in pairs if not pair[0].is_beaten]
    weaker, what = min(left, key=lambda pair: pair[0].log_evidence - pair[0].needed)
    so_far = weaker.log_evidence
    if so_far <= 0:
        return f"What it made, {what} might have made too: more days of candles are needed."
    more = math.ceil((weaker.needed - so_far) * e.days / so_far)
    days = f"about {more} more {'day' if more == 1 else 'days'}" if more <= MOST_DAYS else "no year of days"
    return f"What it made, {what} might have made too: if it goes on like this, {days} would tell."


# ---- what it risks -----------------------------------------------------------------------------------


def _risk(walk: WalkForward) -> Risk:
    held = walk.held_ms
    wins = _win_fractions(walk)
    cost = _cost_of_a_margin_call(walk)
    mean_win = float(wins.mean()) if len(wins) else math.nan
    return Risk(
        mean_held_ms=int(held.mean()) if len(held) else 0,
        longest_held_ms=int(held.max()) if len(held) else 0,
        margin_calls=walk.count(ExitReason.MARGIN_CALL),
        liquidations=walk.count(ExitReason.LIQUIDATION),
        cost_pct=cost * 100.0,
        wins=cost / mean_win,
    )


def _before(walk: WalkForward) -> Floats:
    """The balance before each trade."""
    return np.asarray(walk.trades[:, _COLUMN["balance_after"]] - walk.trades[:, _COLUMN["pnl_value"]])


def _win_fractions(walk: WalkForward) -> Floats:
    gains = walk.trades[:, _COLUMN["pnl_value"]] / np.maximum(_before(walk), 1e-300)
    return np.asarray(gains[gains > 0])


def _cost_of_a_margin_call(walk: WalkForward) -> float:
    """What a trade of this record loses at its margin call (or liquidation), as a fraction of the balance before."""
    contract, terms = walk.ground.contract, walk.ground.terms
    losses = []
    for trade, before in zip(walk.trades, _before(walk), strict=True):
        lots, ticks = int(trade[_COLUMN["lots"]]), trade[_COLUMN["entry_ticks"]]
        stop = trade[_COLUMN["margin_call_ticks"]]
        closing = position.liquidate(contract, terms, lots, ticks, trade[_COLUMN["leverage"]], 0.0)
        if stop < NO_PRICE:
            bought = float(costs.buy_fill(stop, terms.spread_bps, terms.slippage_bps))
            closing = position.close_at(contract, lots, ticks, bought, terms.taker_fee_rate)
        losses.append((trade[_COLUMN["entry_fee"]] - closing.wallet_change) / max(before, 1e-300))
    return float(np.mean(losses)) if losses else math.nan
