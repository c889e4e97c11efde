"""Trials over recorded candles, compiled: from signal to exit to signal, never candle by candle.

Trials that differ only in their risk fraction share their path: entries, targets and, as long as nothing comes near
their guards, exits. Paths walk in lanes, some steps at a time; then the money of every lane is reckoned for one risk
fraction after the other. A trial that leaves the common path (refused, stopped, liquidated, short of margin) goes
alone until both meet again at a signal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.research.account_kernel import has_limits_set
from your_short_trade_margin_call.research.alone_kernel import go_alone
from your_short_trade_margin_call.research.ground_kernel import Ground, Record, Signals
from your_short_trade_margin_call.research.path_kernel import lay_step
from your_short_trade_margin_call.research.purse_kernel import (
    ALONE,
    LANES,
    close_shorts,
    fill_purse,
    open_shorts,
    put_down,
    settle_shorts,
    take_up,
)
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.sizing import lowest_tier_leverage
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial

IDLE = -1
"""The path of a lane that has none."""


@jit_inline
def _take_paths(
    paths: NDArray[np.void], taken: int, on: NDArray[np.int64], purses: NDArray[np.void], start_wallet: float
) -> int:
    """Give the next paths to lanes whose own has ended, or nothing; returns how many are taken by now."""
    for lane in range(LANES):
        if on[lane] == IDLE or paths[on[lane]].place > paths[on[lane]].count:
            on[lane] = taken if taken < len(paths) else IDLE
            taken += on[lane] != IDLE
            for r in range(len(purses)):
                fill_purse(purses[r], lane, start_wallet)
    return taken


@jit_inline
def _walking(on: NDArray[np.int64]) -> int:
    """How many lanes have a path."""
    count = 0
    for lane in range(LANES):
        count += on[lane] != IDLE
    return count


@jit_inline
def _lay_steps(
    market: MarketArrays, ground: Ground, signals: Signals, contract: Contract, terms: Terms,
    memory: NDArray[np.int32], levels: NDArray[np.float64], paths: NDArray[np.void], on: NDArray[np.int64],
    steps: NDArray[np.void],
) -> None:  # fmt: skip
    """The next steps of every lane. A path ends with a step that all must go alone from: nothing is left to do."""
    for k in range(len(steps)):
        step = steps[k]
        step.is_settled = 0
        for lane in range(LANES):
            step.at[lane] = step.first_settlement[lane] = step.last_settlement[lane] = IDLE
            if on[lane] != IDLE:
                path = paths[on[lane]]
                if path.place < path.count:
                    lay_step(market, ground, signals, contract, terms, memory, levels, path, step, lane)
                elif path.place == path.count:
                    step.at[lane], step.most_lots[lane] = path.count, ALONE
                    path.place += 1


@jit_inline
def _part(
    market: MarketArrays, ground: Ground, signals: Signals, contract: Contract, terms: Terms,
    paths: NDArray[np.void], on: NDArray[np.int64], shares: NDArray[np.float64], step: Record, purses: NDArray[np.void],
    account: Record, summary: NDArray[np.void], blocked: NDArray[np.int64], no_trades: NDArray[np.float64],
) -> None:  # fmt: skip
    """The trials that did not go with a step go alone until they stand behind it."""
    is_clamped = lowest_tier_leverage(contract, terms) < terms.leverage
    for r in range(len(purses)):
        purse = purses[r]
        for lane in range(LANES):
            if purse.place[lane] <= step.at[lane]:
                path = paths[on[lane]]
                row = path.first_trial + r * path.step
                put_down(purse, lane, is_clamped, account, summary[row])
                trial = Trial(0, path.exit_type, shares[r], path.take_profit_pct, path.stop_loss_pct, path.max_hold_ms)
                until = min(int(step.at[lane]) + 1, path.count)
                go_alone(
                    market, ground, contract, terms, trial, signals.rows[path.row], signals.place[path.row],
                    account, until, summary[row], blocked[row], no_trades,
                )  # fmt: skip
                take_up(purse, lane, account, summary[row])


@jit
def run_paths(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, signals: Signals,
    risk_fractions: NDArray[np.float64], memory: NDArray[np.int32], levels: NDArray[np.float64],
    paths: NDArray[np.void], start_wallet: float, on: NDArray[np.int64],
    steps: NDArray[np.void], purses: NDArray[np.void], accounts: NDArray[np.void], summary: NDArray[np.void],
    blocked: NDArray[np.int64], no_trades: NDArray[np.float64], stop: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Run paths into zeroed rows of `summary` and `blocked`, unless told to stop.

    `on`, `steps`, `purses` (one a risk fraction) and `accounts` (one) are room to work in. What is blocked by an open
    position is left to be counted: it is what remains.
    """
    leverage = lowest_tier_leverage(contract, terms)
    if has_limits_set(terms):
        for k in range(len(paths)):
            paths[k].place = paths[k].count
    for lane in range(LANES):
        on[lane] = IDLE
    taken = _take_paths(paths, 0, on, purses, start_wallet)
    while _walking(on) > 0 and not stop[0]:
        _lay_steps(market, ground, signals, contract, terms, memory, levels, paths, on, steps)
        for k in range(len(steps)):
            step, n_alone = steps[k], 0
            for r in range(len(purses)):
                share = min(risk_fractions[r], terms.max_available_frac)
                n_alone += open_shorts(contract, terms.taker_fee_rate, share, step, purses[r])
                if step.is_settled:
                    n_alone += settle_shorts(
                        contract, terms, leverage, market.funding_rate, ground.marks, step, purses[r]
                    )  # fmt: skip
                close_shorts(contract, step, purses[r])
            if n_alone > 0:
                _part(
                    market, ground, signals, contract, terms, paths, on, risk_fractions, step, purses, accounts[0],
                    summary, blocked, no_trades,
                )  # fmt: skip
        taken = _take_paths(paths, taken, on, purses, start_wallet)
