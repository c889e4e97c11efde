"""Chance shorts, compiled: random entries with the exits, the size and the time in the market of a record.

They earn what being short earned, in this market and at these costs, without any eye for where to enter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.research.account_kernel import begin_account
from your_short_trade_margin_call.research.ground_kernel import Ground
from your_short_trade_margin_call.research.walk_kernel import (
    NOT_ENTERED,
    mark_trade,
    may_look_back,
    trade_after,
    trial_of,
)
from your_short_trade_margin_call.rules import luck
from your_short_trade_margin_call.rules.jit import jit
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.signal import levels_before
from your_short_trade_margin_call.rules.terms import Contract, Terms


@jit
def chance_shorts(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, stretches: NDArray[np.void],
    hazards: NDArray[np.float64], keys: NDArray[np.uint64], start_wallet: float, accounts: NDArray[np.void],
    trade: NDArray[np.float64], equity: NDArray[np.float64],
    returns: NDArray[np.float64], held: NDArray[np.float64],
) -> None:  # fmt: skip
    """Let a short-seller for each of `keys` enter at random, while flat, with probability `hazards[s]` a close.

    Every short begins with `start_wallet`: the size never shrinks. Adds, for every candle, the changes of equity of
    the accounts (fractions of that balance) to `returns`, and how many of them held a short to `held`.
    `accounts`, `trade` and `equity` are room to work in.
    """
    for k in range(len(keys)):
        i = 0
        for s in range(len(stretches)):
            stretch = stretches[s]
            trial = trial_of(stretch)
            i = max(i, stretch.first)
            while stretch.may_enter and i < stretch.end:
                last = NOT_ENTERED
                is_drawn = luck.enters_by_chance(keys[k], market.time_ms[i], hazards[s])
                if is_drawn and may_look_back(market, i, trial.lookback):
                    begin_account(accounts[0], start_wallet)
                    levels = levels_before(market.high, market.low, i, trial.lookback)
                    last = trade_after(market, ground, contract, terms, trial, i, levels, accounts[0], trade)
                if last == NOT_ENTERED:
                    i += 1
                    continue
                mark_trade(market, contract, terms, trade, start_wallet, equity)
                before = start_wallet
                for j in range(i + 1, last + 1):
                    returns[j] += (equity[j] - before) / start_wallet
                    before = equity[j]
                    held[j] += 1.0
                i = last
