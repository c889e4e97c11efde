"""One short from its entry to its exit, compiled: exact for any size, leverage, stop and funding.

Candles that touch neither side are passed in blocks; in the others, and at every settlement, the functions of
``rules/`` say what happens, in the order of DESIGN 3.
"""

from __future__ import annotations

from typing import NamedTuple

from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.ground_kernel import (
    Ground,
    first_at_or_below,
    first_too_long,
    market_buy_ticks,
)
from your_short_trade_margin_call.rules import candle_path, costs, entry, position
from your_short_trade_margin_call.rules.entry import Tally
from your_short_trade_margin_call.rules.jit import jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.position import Closing, Guards, Target
from your_short_trade_margin_call.rules.terms import Contract, Terms

_TARGET = ExitReason.TARGET.code
_LIQUIDATION = ExitReason.LIQUIDATION.code
_MAX_HOLD = ExitReason.MAX_HOLD.code
_END_OF_DATA = ExitReason.END_OF_DATA.code

_TOO_LONG = candle_path.TARGET_FILLED + 1
"""What else may end a short: the longest hold."""


class Opened(NamedTuple):
    """What an entry fixed for the life of its short."""

    first_index: int
    lots: int
    ticks: int
    leverage: float
    entry_fee: float
    target: Target


class Held(NamedTuple):
    """A short after its exit: where, why and what it did to the wallet; its guards as they stood at the end."""

    exit_index: int
    reason: int
    exit_ticks: float
    closing: Closing
    funding: float
    guards: Guards
    wallet: float
    tally: Tally


@jit_inline
def _next_settled(market: MarketArrays, ground: Ground, j: int) -> int:
    """The first candle after `j` with funding to settle before it; `n` when none."""
    k = market.funding_first[j + 1]
    return ground.settles_before[k] if k < len(ground.settles_before) else len(market.time_ms)


@jit_inline
def hold(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, stop_loss_pct: float, max_hold_ms: int,
    short: Opened, wallet: float, tally: Tally,
) -> Held:  # fmt: skip
    """From the entry to the exit; `wallet` is what is left after the entry fee."""
    n, time_ms = len(market.time_ms), market.time_ms
    lots, ticks, leverage = short.lots, short.ticks, short.leverage
    funding, extra, event = 0.0, 0.0, candle_path.NOTHING
    guards = position.guards_of(contract, terms, lots, ticks, leverage, extra, stop_loss_pct)
    too_long = first_too_long(time_ms, market.candle_ms, short.first_index, max_hold_ms)
    j = short.first_index
    while j < n:
        first_settlement = market.funding_first[j] if j > short.first_index else market.funding_first[j + 1]
        for k in range(first_settlement, market.funding_first[j + 1]):
            tally = entry.begin_day(tally, wallet, market.funding_time_ms[k])
            received = costs.funding_received(contract, lots, market.mark_close[j - 1], market.funding_rate[k])
            locked = position.position_margin(contract, terms, lots, ticks, leverage, extra)
            taken = position.margin_taken_by_funding(wallet, locked, received)
            funding += received
            wallet += received
            if taken > 0.0:
                extra -= taken
                guards = position.guards_of(contract, terms, lots, ticks, leverage, extra, stop_loss_pct)
        minute = j if market.has_minutes else 0
        event = candle_path.candle_event(
            market.mark_open[j], market.mark_high[j], market.low[j], guards.liquidation, guards.stop,
            short.target.ticks, terms.fill_on_touch, market.minute_high[minute], market.minute_low[minute],
        )  # fmt: skip
        if j >= too_long and candle_path.opening_event(market.mark_open[j], guards.liquidation, guards.stop) == 0:
            event = _TOO_LONG
        if event != candle_path.NOTHING:
            break
        until = first_at_or_below(
            ground.lows, n, j + 1, min(too_long, _next_settled(market, ground, j)), float(short.target.ticks)
        )
        j = first_at_or_below(ground.worst, n, j + 1, until, -float(min(guards.stop, guards.liquidation)))
    return _left(market, contract, terms, short, guards, min(j, n - 1), event, extra, funding, wallet, tally)


@jit_inline
def _left(
    market: MarketArrays, contract: Contract, terms: Terms, short: Opened, guards: Guards, j: int, event: int,
    extra: float, funding: float, wallet: float, tally: Tally,
) -> Held:  # fmt: skip
    """What the end of a short in candle `j` came to; no event means that the data ended."""
    lots, entered, leverage = short.lots, short.ticks, short.leverage
    reason, ticks, fee_rate = _TARGET, float(short.target.ticks), terms.maker_fee_rate
    if event == candle_path.LIQUIDATED:
        reason = _LIQUIDATION
        ticks = position.bankruptcy_ticks(contract, terms, lots, entered, leverage, extra)
        closing = position.liquidate(contract, terms, lots, entered, leverage, extra)
    else:
        if event != candle_path.TARGET_FILLED:
            reason, reference = _END_OF_DATA, market.close[j]
            if event == candle_path.STOPPED:
                reason, reference = guards.stop_reason, max(float(guards.stop), market.open[j])
            elif event == _TOO_LONG:
                reason, reference = _MAX_HOLD, market.open[j]
            ticks, fee_rate = market_buy_ticks(terms, market.time_ms[j], reference), terms.taker_fee_rate
        closing = position.close_at(contract, lots, entered, ticks, fee_rate)
    if event != candle_path.NOTHING:
        tally = entry.begin_day(tally, wallet, market.time_ms[j])
    return Held(j, reason, ticks, closing, funding, guards, wallet + closing.wallet_change, tally)
