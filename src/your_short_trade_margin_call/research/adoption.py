"""Champion and challenger: whether a new winner replaces the running parameters.

Each was the best where it was chosen, which says little. So they are compared on candles that neither was chosen on:
those of the last days, without both windows, every stretch of them from a flat start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import Adopt
from your_short_trade_margin_call.research.running import trace
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.trials import only_trial
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, cut
from your_short_trade_margin_call.rules.terms import Contract, Terms

if TYPE_CHECKING:
    from collections.abc import Iterator

JUDGED_MS = 7 * DAY_MS
"""So much before the latest window is looked at."""
LEAST_JUDGED_MS = DAY_MS
"""With less than this that neither has seen, nothing can be compared."""


class Chosen(NamedTuple):
    """Parameters, and the window [start, end) they were chosen in, UTC ms."""

    params: StrategyParams
    start_ms: int
    end_ms: int


class Adoption(NamedTuple):
    """Whether the challenger replaces the champion, and why. Percent of the starting balance; NaN: not compared."""

    adopted: bool
    reason: str
    champion_pct: float = float("nan")
    challenger_pct: float = float("nan")


def adoption(
    rule: Adopt,
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    champion: Chosen | None,
    challenger: Chosen,
    start_wallet: float,
) -> Adoption:
    """Apply a rule of adoption. `market` holds candles up to the end of the challenger's window.

    `champion` is None where nothing runs that may be traded.
    """
    if rule is Adopt.ALWAYS:
        return Adoption(True, "The new winner is always adopted.")
    if champion is None:
        return Adoption(True, "Nothing that may be traded was running.")
    if champion.params == challenger.params:
        return Adoption(True, "The running parameters have won again.")
    stretches = list(_unseen(market, champion, challenger))
    if sum(end - first for first, end in stretches) * market.candle_ms < LEAST_JUDGED_MS:  # gaps are no candles
        return Adoption(True, "There is less than a day of candles that neither was chosen on.")
    own, new = (
        sum(_pnl_pct(cut(market, *rows), contract, terms, one.params, start_wallet) for rows in stretches)
        for one in (champion, challenger)
    )
    better = new > own
    made = f"the new winner made {new:+.2f} %, {'better' if better else 'no better'} than {own:+.2f} %"
    return Adoption(better, f"On candles neither was chosen on, {made}.", own, new)


def _unseen(market: MarketArrays, champion: Chosen, challenger: Chosen) -> Iterator[tuple[int, int]]:
    """Rows [first, end) of the stretches of the judged days that lie in neither window."""
    at = challenger.start_ms - JUDGED_MS
    for start_ms, end_ms in sorted((one.start_ms, one.end_ms) for one in (champion, challenger)):
        if start_ms > at:
            first, end = np.searchsorted(market.time_ms, (at, start_ms)).tolist()
            if first < end:
                yield first, end
        at = max(at, end_ms)


def _pnl_pct(
    market: MarketArrays, contract: Contract, terms: Terms, params: StrategyParams, start_wallet: float
) -> float:
    """What parameters make from a flat start, in percent; 0 where there are too few candles to trade."""
    if len(market.time_ms) < params.highest_high_lookback + 2:
        return 0.0
    field = make_field(market, contract, terms, params.highest_high_lookback)
    made = trace(field, only_trial(params), np.zeros(1, dtype=np.int64), start_wallet)
    return (float(made.summary["final_balance"][0]) / start_wallet - 1.0) * 100.0
