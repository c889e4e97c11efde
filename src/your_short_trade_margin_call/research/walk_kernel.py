"""One account through a history whose parameters change on the way, compiled.

Slower than the sweep and simpler: it walks from candle to candle, and lets the functions of ``rules/`` and the exact
`hold` settle everything. A position keeps the parameters of its entry.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.account_kernel import (
    begin_account,
    has_limits_set,
    limited,
    record_trade,
)
from your_short_trade_margin_call.research.ground_kernel import Ground, Record
from your_short_trade_margin_call.research.trade_kernel import trade
from your_short_trade_margin_call.rules import costs, entry, luck, position
from your_short_trade_margin_call.rules.entry import ALLOWED
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.signal import Levels, is_failed_peak, levels_before
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial

NOT_ENTERED = -1
_END_OF_DATA = ExitReason.END_OF_DATA.code

STRETCH = np.dtype(
    [
        ("first", np.int64),
        ("end", np.int64),
        ("lookback", np.int64),
        ("exit_type", np.int64),
        ("risk_fraction", np.float64),
        ("take_profit_pct", np.float64),
        ("stop_loss_pct", np.float64),
        ("max_hold_ms", np.int64),
        ("may_enter", np.int64),
    ]
)
"""Closes of candles first..end-1 take these parameters; nothing is entered where `may_enter` is 0.

NaN and 0 are off. Stretches follow each other without overlap, and none holds the last candle: after its close there
is no opening to trade at.
"""


@jit_inline
def trial_of(stretch: Record) -> Trial:
    """The parameters of a stretch."""
    return Trial(
        stretch.lookback, stretch.exit_type, stretch.risk_fraction, stretch.take_profit_pct, stretch.stop_loss_pct,
        stretch.max_hold_ms,
    )  # fmt: skip


@jit_inline
def may_look_back(market: MarketArrays, i: int, lookback: int) -> bool:
    """Whether candle `i` has its lookback and a next candle, all without a gap."""
    if market.run_length[i] <= lookback:
        return False
    return bool(market.time_ms[i + 1] - market.time_ms[i] == market.candle_ms)


@jit
def trade_after(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, trial: Trial, i: int, levels: Levels,
    account: Record, row: NDArray[np.float64],
) -> int:  # fmt: skip
    """Sell at the opening after candle `i`, and hold. Returns the candle of the exit, or NOT_ENTERED.

    `row` is filled with the trade, a row of TRADE_COLUMNS.
    """
    first, wallet = i + 1, account.wallet
    entry_ms, mid = market.time_ms[first], market.open[first]
    plan = entry.plan_entry(contract, terms, trial.risk_fraction, wallet, mid)
    if has_limits_set(terms) and limited(terms, account, entry_ms) != ALLOWED:
        return NOT_ENTERED
    if plan.block != ALLOWED or luck.is_rejected(terms.luck_key, entry_ms, terms.order_reject_prob):
        return NOT_ENTERED
    slippage = luck.slippage_bps(terms.luck_key, entry_ms, luck.ENTRY_SLIPPAGE, terms.slippage_bps)
    ticks = costs.sell_fill(mid, terms.spread_bps, slippage)
    made = trade(market, ground, contract, terms, trial, plan.size, levels, first, ticks, account)
    record_trade(row, made.short, made.held, made.pnl)
    return made.held.exit_index


@jit
def _trade_signal(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, trial: Trial, i: int, account: Record,
    row: NDArray[np.float64],
) -> int:  # fmt: skip
    """Trade candle `i` where it is a signal; returns the candle of the exit, or NOT_ENTERED."""
    if market.close[i] >= market.open[i] or not may_look_back(market, i, trial.lookback):
        return NOT_ENTERED
    levels = levels_before(market.high, market.low, i, trial.lookback)
    if not is_failed_peak(market.open[i], market.high[i], market.close[i], levels.highest_high):
        return NOT_ENTERED
    return trade_after(market, ground, contract, terms, trial, i, levels, account, row)


@jit
def walk(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, stretches: NDArray[np.void],
    start_wallet: float, accounts: NDArray[np.void], trades: NDArray[np.float64],
) -> int:  # fmt: skip
    """Walk the stretches with one account; returns how many trades it made, rows of TRADE_COLUMNS.

    `accounts` is room for one, `trades` for one a candle. What is open at the end is bought back there.
    """
    begin_account(accounts[0], start_wallet)
    count = 0
    i = 0
    for s in range(len(stretches)):
        stretch = stretches[s]
        trial = trial_of(stretch)
        i = max(i, stretch.first)
        while stretch.may_enter and i < stretch.end:
            last = _trade_signal(market, ground, contract, terms, trial, i, accounts[0], trades[count])
            if last == NOT_ENTERED:
                i += 1
            else:
                # Flat at the close of the candle of the exit: a signal there counts.
                i = last
                count += 1
    return count


@jit
def marked(contract: Contract, terms: Terms, lots: int, ticks: float, close: float) -> float:
    """What buying a short back at a close would bring, costs included: the usual slippage, no luck."""
    buy = costs.buy_fill(close, terms.spread_bps, terms.slippage_bps)
    return position.close_at(contract, lots, ticks, float(buy), terms.taker_fee_rate).wallet_change


@jit
def mark_trade(
    market: MarketArrays, contract: Contract, terms: Terms, trade: NDArray[np.float64], wallet: float,
    equity: NDArray[np.float64],
) -> None:  # fmt: skip
    """Equity at the closes of the candles of a trade, from entry to exit; `wallet` is that before it.

    A position that only the end of the data closed is still marked there: more candles change nothing of it.
    """
    first, last, ticks, lots = int(trade[0]), int(trade[1]), trade[2], int(trade[4])
    wallet -= trade[10]
    equity[last] = trade[15]
    for j in range(first, last + (trade[14] == _END_OF_DATA)):
        if j > first:
            for k in range(market.funding_first[j], market.funding_first[j + 1]):
                wallet += costs.funding_received(contract, lots, market.mark_close[j - 1], market.funding_rate[k])
        equity[j] = wallet + marked(contract, terms, lots, ticks, market.close[j])


@jit
def mark_account(
    market: MarketArrays, contract: Contract, terms: Terms, trades: NDArray[np.float64], start_wallet: float,
    equity: NDArray[np.float64],
    held: NDArray[np.float64],
) -> None:  # fmt: skip
    """Equity at every candle close, the open position marked and its exit cost charged.

    `held` becomes 1 from the candle of an entry to that of its exit.
    """
    wallet, flat_from = start_wallet, 0
    for k in range(len(trades)):
        first, last = int(trades[k, 0]), int(trades[k, 1])
        for j in range(flat_from, first):
            equity[j] = wallet
        mark_trade(market, contract, terms, trades[k], wallet, equity)
        for j in range(first, last + 1):
            held[j] = 1.0
        wallet = trades[k, 15]
        flat_from = last + 1
    for j in range(flat_from, len(equity)):
        equity[j] = wallet
