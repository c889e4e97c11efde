"""A trial's books, compiled: its account, the sums of its trades, and the trades themselves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.ground_kernel import Record
from your_short_trade_margin_call.research.hold_kernel import Held, Opened
from your_short_trade_margin_call.rules import entry
from your_short_trade_margin_call.rules.entry import Plan, Tally
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.terms import Terms

_END_OF_DATA = ExitReason.END_OF_DATA.code
_MARGIN_CALL = ExitReason.MARGIN_CALL.code
_LIQUIDATION = ExitReason.LIQUIDATION.code

TRADE_COLUMNS = (
    "entry_index",
    "exit_index",
    "entry_ticks",
    "exit_ticks",
    "lots",
    "leverage",
    "target_ticks",
    "target_source",
    "liquidation_ticks",
    "margin_call_ticks",
    "entry_fee",
    "exit_fee",
    "funding",
    "pnl_value",
    "exit_reason",
    "balance_after",
)
N_TRADE_COLUMNS = len(TRADE_COLUMNS)

SUMMARY = np.dtype(
    [
        ("final_balance", np.float64),
        ("win_sum", np.float64),
        ("loss_sum", np.float64),
        ("fees", np.float64),
        ("funding", np.float64),
        ("wins", np.int64),
        ("losses", np.int64),
        ("margin_calls", np.int64),
        ("liquidations", np.int64),
        ("end_of_data", np.int64),
        ("leverage_clamped", np.int64),
        ("quantity_clamped", np.int64),
        ("candles_held", np.int64),
    ]
)
"""What a trial came to. The sums grow trade by trade, in order."""

ACCOUNT = np.dtype(
    [
        ("wallet", np.float64),
        ("day", np.int64),
        ("day_start_wallet", np.float64),
        ("peak_wallet", np.float64),
        ("cooldown_from_ms", np.int64),
        ("place", np.int64),
    ]
)
"""A trial between two trades: its wallet, its Tally, and the signal it meets next."""


@jit_inline
def has_limits_set(terms: Terms) -> bool:
    """Whether any loss limit is on."""
    return not (math.isnan(terms.daily_loss) and math.isnan(terms.max_drawdown)) or terms.cooldown_ms > 0


@jit_inline
def remember(account: Record, wallet: float, tally: Tally) -> None:
    """Write an account down."""
    account.wallet = wallet
    account.day = tally.day
    account.day_start_wallet = tally.day_start_wallet
    account.peak_wallet = tally.peak_wallet
    account.cooldown_from_ms = tally.cooldown_from_ms


@jit_inline
def begin_account(account: Record, start_wallet: float) -> None:
    """An account that has not traded."""
    remember(account, start_wallet, entry.new_tally(start_wallet))
    account.place = 0


@jit_inline
def tally_of(account: Record) -> Tally:
    """What the loss limits remember of an account."""
    return Tally(account.day, account.day_start_wallet, account.peak_wallet, account.cooldown_from_ms)


@jit
def limited(terms: Terms, account: Record, time_ms: int) -> int:
    """The loss limit that forbids this account an entry, or ALLOWED."""
    tally = entry.begin_day(tally_of(account), account.wallet, time_ms)
    remember(account, account.wallet, tally)
    return entry.limit_block(terms, tally, account.wallet, time_ms)


@jit_inline
def book(summary: Record, plan: Plan, short: Opened, held: Held, pnl: float) -> None:
    """Add a trade to a trial's sums."""
    if pnl > 0.0:
        summary.wins += 1
        summary.win_sum += pnl
    else:
        summary.losses += 1
        summary.loss_sum += pnl
    summary.fees += short.entry_fee + held.closing.fee
    summary.funding += held.funding
    summary.candles_held += held.exit_index - short.first_index + 1
    summary.margin_calls += held.reason == _MARGIN_CALL
    summary.liquidations += held.reason == _LIQUIDATION
    summary.end_of_data += held.reason == _END_OF_DATA
    summary.leverage_clamped += plan.size.leverage_clamped
    summary.quantity_clamped += plan.size.quantity_clamped


@jit_inline
def record_trade(row: NDArray[np.float64], short: Opened, held: Held, pnl: float) -> None:
    """Write a trade into a row of TRADE_COLUMNS."""
    row[0] = short.first_index
    row[1] = held.exit_index
    row[2] = short.ticks
    row[3] = held.exit_ticks
    row[4] = short.lots
    row[5] = short.leverage
    row[6] = short.target.ticks
    row[7] = short.target.source
    row[8] = held.guards.liquidation
    row[9] = held.guards.margin_call
    row[10] = short.entry_fee
    row[11] = held.closing.fee
    row[12] = held.funding
    row[13] = pnl
    row[14] = held.reason
    row[15] = held.wallet
