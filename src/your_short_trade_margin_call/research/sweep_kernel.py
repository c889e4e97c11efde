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
from your_short_trade_margin_call.research.curve_kernel import trace_equity
from your_short_trade_margin_call.research.ground_kernel import Ground, Record, Signals
from your_short_trade_margin_call.research.path_kernel import ALL, lay_step
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
            on[lane] = IDLE
            if taken < len(paths):
                on[lane] = taken
                for r in range(len(purses)):
                    fill_purse(purses[r], lane, start_wallet)
                    if paths[taken].only not in (ALL, r):
                        purses[r].place[lane] = np.inf
                taken += 1
    return taken


@jit_inline
def _send_to_the_end(paths: NDArray[np.void]) -> None:
    """Trials that are traced, or have loss limits, go alone all the way."""
    for k in range(len(paths)):
        paths[k].place = paths[k].count


@jit_inline
def _trial_of(path: Record, risk_fraction: float) -> Trial:
    return Trial(0, path.exit_type, risk_fraction, path.take_profit_pct, path.stop_loss_pct, path.max_hold_ms)


@jit_inline
def _walking(on: NDArray[np.int64]) -> int:
    """How many lanes have a path."""
    count = 0
    for lane in range(LANES):
        count += on[lane] != IDLE
    return count


@jit_inline
def _lay_steps(
    time_ms: NDArray[np.int64], candle_ms: int, open_: NDArray[np.float64], funding_first: NDArray[np.int64],
    peaks: NDArray[np.void], next_peak: NDArray[np.int32], lows: NDArray[np.float64], worst: NDArray[np.float64],
    rows: NDArray[np.void], place: NDArray[np.int32], contract: Contract, terms: Terms, has_funding: bool,
    memory: NDArray[np.int32], levels: NDArray[np.float64], paths: NDArray[np.void], on: NDArray[np.int64],
    steps: NDArray[np.void],
) -> None:  # fmt: skip
    """The next steps of every lane. A path ends with one from where all go alone: nothing is left but to write down."""
    for k in range(len(steps)):
        steps[k].is_settled = 0
    for lane in range(LANES):
        for k in range(len(steps)):
            step = steps[k]
            step.at[lane] = step.first_settlement[lane] = step.last_settlement[lane] = IDLE
            if on[lane] != IDLE:
                path = paths[on[lane]]
                if path.place < path.count:
                    lay_step(
                        time_ms, candle_ms, open_, funding_first, peaks, next_peak, lows, worst, rows, place,
                        contract, terms, has_funding, memory, levels, path, step, lane,
                    )  # fmt: skip
                elif path.place == path.count:
                    step.at[lane], step.most_lots[lane] = path.count, ALONE
                    path.place += 1


@jit_inline
def _reckon(
    contract: Contract, terms: Terms, rates: NDArray[np.float64], marks: NDArray[np.float64],
    risk_fractions: NDArray[np.float64], step: Record, purses: NDArray[np.void],
) -> int:  # fmt: skip
    """The money of one step; returns how many trials must go alone."""
    n_alone = 0
    for r in range(len(purses)):
        purse, share = purses[r], min(risk_fractions[r], terms.max_available_frac)
        n_alone += open_shorts(contract, terms.taker_fee_rate, share, step, purse)
        if step.is_settled:
            n_alone += settle_shorts(
                contract, terms, lowest_tier_leverage(contract, terms), rates, marks, step, purse
            )  # fmt: skip
        close_shorts(contract, step, purse)
    return n_alone


@jit
def run_paths(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, signals: Signals,
    risk_fractions: NDArray[np.float64], memory: NDArray[np.int32], levels: NDArray[np.float64],
    paths: NDArray[np.void], start_wallet: float, on: NDArray[np.int64], steps: NDArray[np.void],
    purses: NDArray[np.void], accounts: NDArray[np.void], summary: NDArray[np.void], blocked: NDArray[np.int64],
    trades: NDArray[np.float64], equity: NDArray[np.float64], curves: NDArray[np.float64], stop: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Run paths into zeroed rows of `summary` and `blocked`, unless told to stop.

    `on`, `steps`, `purses` (one a risk fraction) and `accounts` (one) are room to work in. Where there are `curves`,
    drawdown and Sharpe go into a trial's row of them; `trades` then has the room for all signals, and it and `equity`
    (when it has the room) hold those of the last trial. What an open position blocked is left to be counted.
    """
    is_clamped = lowest_tier_leverage(contract, terms) < terms.leverage
    if len(curves) > 0 or has_limits_set(terms):
        _send_to_the_end(paths)
    taken = _take_paths(paths, 0, on, purses, start_wallet)
    while _walking(on) > 0 and not stop[0]:
        _lay_steps(
            market.time_ms, market.candle_ms, market.open, market.funding_first, ground.peaks, ground.next_peak,
            ground.lows, ground.worst, signals.rows, signals.place, contract, terms, len(ground.marks) > 0, memory,
            levels, paths, on, steps,
        )  # fmt: skip
        for k in range(len(steps)):
            step = steps[k]
            n_alone = _reckon(contract, terms, market.funding_rate, ground.marks, risk_fractions, step, purses)
            for place in range(len(purses) * LANES if n_alone > 0 else 0):
                purse, lane = purses[place // LANES], place % LANES
                if purse.place[lane] <= step.at[lane]:
                    path, r = paths[on[lane]], place // LANES
                    row = path.first_trial + r * path.step
                    put_down(purse, lane, is_clamped, accounts[0], summary[row])
                    go_alone(
                        market, ground, contract, terms, _trial_of(path, risk_fractions[r]), signals.rows[path.row],
                        signals.place[path.row], accounts[0], min(int(step.at[lane]) + 1, path.count), summary[row],
                        blocked[row], trades,
                    )  # fmt: skip
                    take_up(purse, lane, accounts[0], summary[row])
                    if len(curves) > 0:
                        curves[row, 0], curves[row, 1] = trace_equity(
                            market.close, market.mark_close, market.funding_first, market.funding_rate, contract,
                            trades, summary[row].wins + summary[row].losses, start_wallet, equity,
                        )  # fmt: skip
        taken = _take_paths(paths, taken, on, purses, start_wallet)
