"""Trials over recorded candles, compiled: from signal to exit to signal, never candle by candle.

Trials that differ only in their risk fraction share entries, targets and, as long as nothing comes near their
guards, exits: those are found once, and only the money is reckoned for each. A trial that leaves the common path
(refused, stopped, liquidated, short of margin) goes its own way until they meet again at a signal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research.account_kernel import (
    begin,
    book,
    has_limits_set,
    limited,
    record_trade,
    remember,
    settle_all,
)
from your_short_trade_margin_call.research.curve_kernel import trace_equity
from your_short_trade_margin_call.research.ground_kernel import (
    BEFORE_GAP,
    REJECTED,
    Floor,
    Record,
    Signals,
    first_at_or_below,
)
from your_short_trade_margin_call.research.hold_kernel import Held, Opened, Short, hold
from your_short_trade_margin_call.research.path_kernel import Field, Leg, find_leg
from your_short_trade_margin_call.rules import costs, entry, position
from your_short_trade_margin_call.rules.entry import ALLOWED, Plan, Tally
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.position import Closing, Target
from your_short_trade_margin_call.rules.sizing import LotPrice, lowest_tier_leverage
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial

_POSITION_OPEN = BlockReason.POSITION_OPEN.code
_ORDER_REJECTED = BlockReason.ORDER_REJECTED.code
_STREAM_GAP = BlockReason.STREAM_GAP.code
_INSUFFICIENT = BlockReason.INSUFFICIENT_BALANCE.code
_MIN_QTY = BlockReason.BELOW_MIN_QTY.code


@jit
def _trade_alone(
    field: Field, trial: Trial, target: Target, peak: Record, account: Record, plan: Plan, summary: Record,
    trades: NDArray[np.float64],
) -> int:  # fmt: skip
    """A trade whose exit depends on its own size, limits or funding; returns the exit candle."""
    market, first, wallet = field.market, peak.at + 1, account.wallet
    fee = costs.fee(field.contract, plan.size.lots, peak.entry, field.terms.taker_fee_rate)
    opened = Opened(first, market.time_ms[first], plan.size.lots, peak.entry, plan.size.leverage, fee, target)
    tally = Tally(account.day, account.day_start_wallet, account.peak_wallet, account.cooldown_from_ms)
    held = hold(market, field.ground, field.contract, field.terms, trial, opened, wallet - fee, tally)
    pnl = held.wallet - wallet
    n_trades = summary.wins + summary.losses
    if n_trades < len(trades):
        record_trade(trades[n_trades], held, pnl)
    candles = held.exit_index - first + 1
    book(summary, plan, fee + held.closing.fee, held.short.funding, pnl, held.reason, candles)
    closed_ms = market.time_ms[held.exit_index] + market.candle_ms
    remember(account, held.wallet, entry.after_trade(held.tally, held.wallet, pnl, closed_ms))
    return held.exit_index


@jit
def _stays_calm(
    worst: Floor, contract: Contract, terms: Terms, trial: Trial, leg: Leg, plan: Plan, peak: Record
) -> bool:
    """Whether no guard of a position of this size comes near before its path leaves."""
    size, first, end = plan.size, peak.at + 1, leg.exit_index + 1
    guards = position.guards_of(contract, terms, size.lots, peak.entry, size.leverage, 0.0, trial.stop_loss_pct)
    level = min(float(guards.stop), float(guards.liquidation))
    return first_at_or_below(worst, first, end, -level) == end


@jit
def _record_plainly(
    contract: Contract, terms: Terms, trial: Trial, leg: Leg, plan: Plan, peak: Record, account: Record, fee: float,
    funding: float, closing: Closing, pnl: float, row: NDArray[np.float64],
) -> None:  # fmt: skip
    """Write down a trade that left where its path does; its guards are those of the entry."""
    lots, leverage, ticks = plan.size.lots, plan.size.leverage, peak.entry
    guards = position.guards_of(contract, terms, lots, ticks, leverage, 0.0, trial.stop_loss_pct)
    opened = Opened(peak.at + 1, 0, lots, ticks, leverage, fee, leg.target)
    short = Short(opened, funding, 0.0, guards)
    tally = entry.new_tally(0.0)
    held = Held(short, leg.exit_index, leg.reason, leg.ticks, closing, account.wallet, tally)
    record_trade(row, held, pnl)


@jit_inline
def _trade_plainly(
    field: Field, trial: Trial, meeting: Meeting, account: Record, plan: Plan, summary: Record,
    trades: NDArray[np.float64],
) -> bool:  # fmt: skip
    """A trade that leaves where its path does; False, and nothing done, when funding would take of its margin."""
    contract, terms, lots = field.contract, field.terms, plan.size.lots
    peak, leg = meeting.peak, meeting.leg
    fee = costs.fee(contract, lots, peak.entry, terms.taker_fee_rate)
    funding, wallet = 0.0, account.wallet - fee
    if meeting.first_settlement < meeting.last_settlement:
        funding, wallet, is_paid = settle_all(
            field.market, field.ground.settles_before, contract, terms, plan, peak.entry, meeting.first_settlement,
            meeting.last_settlement, wallet,
        )  # fmt: skip
        if not is_paid:
            return False
    closing = position.close_at(contract, lots, peak.entry, leg.ticks, leg.fee_rate)
    wallet += closing.wallet_change
    pnl = wallet - account.wallet
    account.wallet = wallet
    n_trades = summary.wins + summary.losses
    if n_trades < len(trades):
        row = trades[n_trades]
        _record_plainly(contract, terms, trial, leg, plan, peak, account, fee, funding, closing, pnl, row)
    book(summary, plan, fee + closing.fee, funding, pnl, leg.reason, leg.exit_index - peak.at)
    return True


@jit
def _refused(
    peaks: NDArray[np.void], signals: NDArray[np.void], count: int, min_lots: int, row: int, p: int, budget: float,
    reason: int, blocked: NDArray[np.int64],
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
    while p < count:
        peak = peaks[signals[row, p].peak]
        if peak.state == BEFORE_GAP:
            blocked[_STREAM_GAP] += 1
        elif reason == _INSUFFICIENT or (peak.plain_lots >= 0.0 and budget < enough * peak.lot_cost):
            blocked[reason] += 1
        else:
            break
        p += 1
    return p


@jit_inline
def _plan(field: Field, risk_fraction: float, peak: Record, lot: LotPrice, account: Record, has_limits: bool) -> Plan:
    """May a signal be traded at the opening quote after a peak, and how large?"""
    plan = entry.plan_entry_by_lot(field.contract, field.terms, risk_fraction, account.wallet, peak.mid, lot)
    if has_limits:
        limit = limited(field.terms, account, field.market.time_ms[peak.at + 1])
        if limit != ALLOWED:
            return Plan(limit, plan.size)
    if plan.block == ALLOWED and peak.state == REJECTED:
        return Plan(_ORDER_REJECTED, plan.size)
    return plan


class Meeting(NamedTuple):
    """A signal and what it means to every trial of a path: `met` is the signal after the leg's exit."""

    peak: Record
    lot: LotPrice
    leg: Leg
    met: int
    first_settlement: int
    last_settlement: int


@jit_inline
def _meeting(
    field: Field, signals: Signals, trial: Trial, memory: NDArray[np.int32], path: Record, leverage: float, p: int
) -> Meeting:
    ground = field.ground
    signal = signals.rows[path.row, p]
    peak = ground.peaks[signal.peak]
    leg = find_leg(field, trial, signal, peak, memory, path)
    met = int(signals.place[path.row, ground.next_peak[leg.exit_index]])
    first, last = 0, 0
    if len(ground.settles_before) > 0:
        first, last = field.market.funding_first[peak.at + 2], field.market.funding_first[leg.exit_index + 1]
    return Meeting(peak, LotPrice(peak.lot_cost, peak.plain_lots, leverage), leg, met, first, last)


@jit_inline
def _meet(
    field: Field, signals: Signals, trial: Trial, meeting: Meeting, row: int, risk_fraction: float, has_limits: bool,
    account: Record, summary: Record, blocked: NDArray[np.int64], trades: NDArray[np.float64],
) -> int:  # fmt: skip
    """One flat trial at a signal; returns the signal it meets next."""
    contract, terms, peaks = field.contract, field.terms, field.ground.peaks
    peak, place = meeting.peak, signals.place
    if peak.state == BEFORE_GAP:
        blocked[_STREAM_GAP] += 1
        return int(account.place) + 1
    plan = _plan(field, risk_fraction, peak, meeting.lot, account, has_limits)
    if plan.block != ALLOWED:
        budget = account.wallet * min(risk_fraction, terms.max_available_frac)
        end = account.place + 1 if has_limits else int(place[row, len(peaks)])
        return _refused(
            peaks, signals.rows, end, contract.min_lots, row, account.place, budget, plan.block, blocked
        )  # fmt: skip
    is_plain = meeting.leg.is_calm and plan.size.lots <= peak.plain_lots
    if not (is_plain or has_limits):
        is_plain = _stays_calm(field.ground.worst, contract, terms, trial, meeting.leg, plan, peak)
    if is_plain and not has_limits and _trade_plainly(field, trial, meeting, account, plan, summary, trades):
        return meeting.met
    last = _trade_alone(field, trial, meeting.leg.target, peak, account, plan, summary, trades)
    return int(place[row, field.ground.next_peak[last]])


@jit_inline
def _run_path(
    field: Field, signals: Signals, risk_fractions: NDArray[np.float64], memory: NDArray[np.int32], path: Record,
    start_wallet: float, accounts: NDArray[np.void], summary: NDArray[np.void], blocked: NDArray[np.int64],
    trades: NDArray[np.float64],
) -> None:  # fmt: skip
    """Run the trials of a path, a zeroed row of `summary` and `blocked` for each risk fraction."""
    trial = Trial(0, path.exit_type, 0.0, path.take_profit_pct, path.stop_loss_pct, path.max_hold_ms)
    count = int(signals.place[path.row, len(field.ground.peaks)])
    leverage = lowest_tier_leverage(field.contract, field.terms)
    has_limits = has_limits_set(field.terms)
    begin(accounts, start_wallet)
    p = 0
    while p < count:
        meeting = _meeting(field, signals, trial, memory, path, leverage, p)
        following = count
        for r in range(len(accounts)):
            account = accounts[r]
            if account.place == p:
                k = path.first_trial + r * path.step
                account.place = _meet(
                    field, signals, trial, meeting, path.row, risk_fractions[r], has_limits, account, summary[k],
                    blocked[k], trades,
                )  # fmt: skip
            following = min(following, account.place)
        p = following
    for r in range(len(accounts)):
        k = path.first_trial + r * path.step
        summary[k].final_balance = accounts[r].wallet
        blocked[k, _POSITION_OPEN] = count - summary[k].wins - summary[k].losses - _sum(blocked[k])


@jit_inline
def _sum(counts: NDArray[np.int64]) -> int:
    total = 0
    for k in range(len(counts)):
        total += counts[k]
    return total


@jit
def run_paths(
    field: Field, signals: Signals, risk_fractions: NDArray[np.float64], memory: NDArray[np.int32],
    paths: NDArray[np.void], start_wallet: float, accounts: NDArray[np.void], summary: NDArray[np.void],
    blocked: NDArray[np.int64], trades: NDArray[np.float64], equity: NDArray[np.float64],
    curves: NDArray[np.float64], stop: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Run paths into zeroed rows of `summary` and `blocked`, unless told to stop. `accounts` is room to work in.

    Where there are `curves`, each path is a single trial, and drawdown and Sharpe go into its row of them. Then
    `trades` has the room for all signals; it and `equity` (when it has the room) hold those of the last trial.
    """
    for k in range(len(paths)):
        if stop[0]:
            return
        path = paths[k]
        own = risk_fractions if len(curves) == 0 else risk_fractions[path.first_trial : path.first_trial + 1]
        _run_path(field, signals, own, memory, path, start_wallet, accounts, summary, blocked, trades)
        if len(curves) > 0:
            done = summary[path.first_trial].wins + summary[path.first_trial].losses
            drawdown, sharpe = trace_equity(field.market, field.contract, trades[:done], start_wallet, equity)
            curves[path.first_trial, 0], curves[path.first_trial, 1] = drawdown, sharpe
