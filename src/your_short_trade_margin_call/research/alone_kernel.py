"""A trial on its own, compiled: from signal to exit to signal, exact whatever its size, its guards and its limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research.account_kernel import (
    book,
    has_limits_set,
    limited,
    record_trade,
)
from your_short_trade_margin_call.research.ground_kernel import BEFORE_GAP, REJECTED, Ground, Record
from your_short_trade_margin_call.research.trade_kernel import trade
from your_short_trade_margin_call.rules import entry
from your_short_trade_margin_call.rules.entry import ALLOWED
from your_short_trade_margin_call.rules.jit import jit
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial

_ORDER_REJECTED = BlockReason.ORDER_REJECTED.code
_STREAM_GAP = BlockReason.STREAM_GAP.code
_INSUFFICIENT = BlockReason.INSUFFICIENT_BALANCE.code
_MIN_QTY = BlockReason.BELOW_MIN_QTY.code


@jit
def _refused(
    peaks: NDArray[np.void], rows: NDArray[np.void], p: int, end: int, min_lots: int, budget: float, reason: int,
    blocked: NDArray[np.int64],
) -> int:  # fmt: skip
    """The next signal after one refused for `reason` that may answer this balance otherwise.

    While an account is flat its balance stands still: what is surely too little for the smallest order is passed
    over without being reckoned again.
    """
    blocked[reason] += 1
    p += 1
    if reason != _MIN_QTY and reason != _INSUFFICIENT:
        return p
    enough = max(1, min_lots) * (1.0 - 1e-6)
    while p < end:
        peak = peaks[rows[p].peak]
        if peak.state == BEFORE_GAP:
            blocked[_STREAM_GAP] += 1
        elif reason == _INSUFFICIENT or (peak.most_affordable >= 0.0 and budget < enough * peak.lot_cost):
            blocked[reason] += 1
        else:
            break
        p += 1
    return p


@jit
def go_alone(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, trial: Trial, rows: NDArray[np.void],
    place: NDArray[np.int32], account: Record, until: int, summary: Record, blocked: NDArray[np.int64],
    trades: NDArray[np.float64],
) -> None:  # fmt: skip
    """Take an account from signal to signal as long as it stands before `until`.

    `rows` and `place` are those of its lookback. `trades` takes its trades where it has the room for all.
    """
    count, has_limits = int(place[-1]), has_limits_set(terms)
    while account.place < until:
        peak = ground.peaks[rows[account.place].peak]
        if peak.state == BEFORE_GAP:
            blocked[_STREAM_GAP] += 1
            account.place += 1
            continue
        plan = entry.plan_entry(contract, terms, trial.risk_fraction, account.wallet, peak.mid)
        block = plan.block
        if has_limits:
            limit = limited(terms, account, market.time_ms[peak.at + 1])
            block = limit if limit != ALLOWED else block
        if block == ALLOWED and peak.state == REJECTED:
            block = _ORDER_REJECTED
        if block != ALLOWED:
            budget = account.wallet * min(trial.risk_fraction, terms.max_available_frac)
            end = account.place + 1 if has_limits else count
            account.place = _refused(
                ground.peaks, rows, account.place, end, contract.min_lots, budget, block, blocked
            )  # fmt: skip
            continue
        signal = rows[account.place]
        levels = Levels(0.0, signal.highest_low, signal.lowest_high)
        made = trade(
            market, ground, contract, terms, trial, plan.size, levels, peak.at + 1, peak.entry, account
        )  # fmt: skip
        n_trades = summary.wins + summary.losses
        if n_trades < len(trades):
            record_trade(trades[n_trades], made.short, made.held, made.pnl)
        book(summary, plan, made.short, made.held, made.pnl)
        account.place = place[ground.next_peak[made.held.exit_index]]
    summary.final_balance = account.wallet
