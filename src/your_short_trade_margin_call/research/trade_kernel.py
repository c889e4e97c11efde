"""One trade of an account, compiled: from an allowed entry to its exit."""

from __future__ import annotations

from typing import NamedTuple

from your_short_trade_margin_call.research.account_kernel import remember, tally_of
from your_short_trade_margin_call.research.ground_kernel import Ground, Record
from your_short_trade_margin_call.research.hold_kernel import Held, Opened, hold
from your_short_trade_margin_call.rules import costs, entry, position
from your_short_trade_margin_call.rules.jit import jit
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.signal import Levels
from your_short_trade_margin_call.rules.sizing import Size
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial


class Traded(NamedTuple):
    """A short from entry to exit, and what it did to the wallet, the entry fee included."""

    short: Opened
    held: Held
    pnl: float


@jit
def trade(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, trial: Trial, size: Size, levels: Levels,
    first: int, ticks: int, account: Record,
) -> Traded:  # fmt: skip
    """Sell at the opening of candle `first`, filled at `ticks`; hold; write the account down as the exit leaves it."""
    wallet = account.wallet
    fee = costs.fee(contract, size.lots, ticks, terms.taker_fee_rate)
    target = position.choose_target(terms, trial, levels, float(ticks))
    short = Opened(first, size.lots, ticks, size.leverage, fee, target)
    held = hold(
        market, ground, contract, terms, trial.stop_loss_pct, trial.max_hold_ms, short, wallet - fee, tally_of(account)
    )
    pnl = held.wallet - wallet
    closed_ms = market.time_ms[held.exit_index] + market.candle_ms
    remember(account, held.wallet, entry.after_trade(held.tally, held.wallet, pnl, closed_ms))
    return Traded(short, held, pnl)
