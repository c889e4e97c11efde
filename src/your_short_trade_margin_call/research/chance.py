"""The second yardstick of a record: what shorts at random moments made, with its exits, its size, its time.

They trade for free. So they earn what being short earned in this market, nothing else, and a record that earns more
has an eye for the moment that is worth more than its costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.account_kernel import ACCOUNT, N_TRADE_COLUMNS, TRADE_COLUMNS
from your_short_trade_margin_call.research.chance_kernel import chance_shorts
from your_short_trade_margin_call.research.seeds import generator
from your_short_trade_margin_call.research.walk_forward import WalkForward, fold_sums
from your_short_trade_margin_call.rules.terms import Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ACCOUNTS = 64
"""How many accounts short at random. Their mean wobbles by an eighth of what one of them does."""
MOST_SCALE = 5.0
"""Chance shorts that were hardly ever in the market are not blown up beyond this."""
_ENTRY_INDEX, _EXIT_INDEX, _EXIT_REASON = (
    TRADE_COLUMNS.index(name) for name in ("entry_index", "exit_index", "exit_reason")
)


@dataclass(frozen=True)
class ChanceShorts:
    """What chance shorts made beside a record.

    `returns` has an element for each candle from the first fold on: the mean return of the accounts, a fraction of
    their balance, scaled to the record's time in the market. `fold_returns` are their sums over the folds.
    """

    returns: Floats
    fold_returns: Floats


def chance_beside(walk: WalkForward, accounts: int = ACCOUNTS, seed: int = 0) -> ChanceShorts:
    """Shorts at random moments beside a record: as often as it entered while it was flat and allowed to.

    What a fold takes from the record is what was known at the fold's end: the record of a longer history begins with
    exactly this one.
    """
    n, free = len(walk.equity), _for_free(walk.ground.terms)
    returns, held = np.zeros(n), np.zeros(n)
    chance_shorts(
        *walk.ground._replace(terms=free), walk.stretches, _hazards(walk), _keys(accounts, seed), walk.start_wallet,
        np.empty(1, dtype=ACCOUNT), np.empty(N_TRADE_COLUMNS), np.empty(n), returns, held,
    )  # fmt: skip
    scale = _scale(walk, held / accounts)
    lengths = np.diff(walk.firsts)
    mean = returns[walk.firsts[0] :] / accounts * np.repeat(scale, lengths)
    return ChanceShorts(mean, fold_sums(mean, walk.firsts - walk.firsts[0]))


def _for_free(terms: Terms) -> Terms:
    return terms._replace(taker_fee_rate=0.0, maker_fee_rate=0.0, spread_bps=0.0, slippage_bps=0.0)


def _keys(accounts: int, seed: int) -> NDArray[np.uint64]:
    return generator(seed, "chance shorts").integers(0, 2**64, accounts, dtype=np.uint64)


def _hazards(walk: WalkForward) -> Floats:
    """The chance of an entry at the close of a flat candle, for each fold: the record's own up to its end.

    An entry belongs to the fold of its fill, and what only the end of the data closed is open at that close: whether
    more candles follow makes no difference.
    """
    first, last = (walk.trades[:, column].astype(np.int64) for column in (_ENTRY_INDEX, _EXIT_INDEX))
    entered, is_open = np.zeros(len(walk.held)), np.zeros(len(walk.held))
    entered[first] = 1.0
    is_open[first] += 1.0
    is_open[last[walk.trades[:, _EXIT_REASON] != ExitReason.END_OF_DATA.code]] -= 1.0
    flat = 1.0 - np.cumsum(is_open)
    flat[walk.firsts[0] :] *= np.repeat(walk.stretches["may_enter"], np.diff(walk.firsts))
    entries, chances = (np.cumsum(fold_sums(x, walk.firsts)) for x in (entered, flat))
    return np.asarray(np.minimum(1.0, entries / np.maximum(1.0, chances)))


def _scale(walk: WalkForward, held: Floats) -> Floats:
    """The record's time in the market over that of the chance shorts, up to the end of each fold."""
    own, theirs = (np.cumsum(fold_sums(x, walk.firsts)) for x in (walk.held, held))
    return np.clip(own / np.maximum(theirs, 1e-9), 0.0, MOST_SCALE)
