"""One short from its entry to its exit, compiled: exact for any size, leverage, stop and funding.

Candles that touch neither side are passed in blocks; in the others, and at every settlement, the functions of
``rules/`` say what happens, in the order of DESIGN 3.
"""

from __future__ import annotations

from typing import NamedTuple

from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.ground_kernel import Ground, first_at_or_below
from your_short_trade_margin_call.rules import candle_path, costs, entry, luck, position
from your_short_trade_margin_call.rules.entry import Tally
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.position import Closing, Guards, Target
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial

_TARGET = ExitReason.TARGET.code
_LIQUIDATION = ExitReason.LIQUIDATION.code
_MAX_HOLD = ExitReason.MAX_HOLD.code
_END_OF_DATA = ExitReason.END_OF_DATA.code


class Opened(NamedTuple):
    """What an entry fixed for the life of its short."""

    first_index: int
    entry_time_ms: int
    lots: int
    ticks: int
    leverage: float
    entry_fee: float
    target: Target


class Short(NamedTuple):
    """An open short: its entry, the funding booked so far, and what stands on its loss side."""

    opened: Opened
    funding: float
    extra_margin: float
    guards: Guards


class Held(NamedTuple):
    """A short after its exit: where, why and what it did to the wallet."""

    short: Short
    exit_index: int
    reason: int
    exit_ticks: float
    closing: Closing
    wallet: float
    tally: Tally


@jit_inline
def _guarded(
    contract: Contract, terms: Terms, trial: Trial, opened: Opened, funding: float, extra_margin: float
) -> Short:
    """The short with its guards worked out (at the entry, and again when funding took margin)."""
    guards = position.guards_of(
        contract, terms, opened.lots, opened.ticks, opened.leverage, extra_margin, trial.stop_loss_pct
    )
    return Short(opened, funding, extra_margin, guards)


@jit_inline
def _settle(
    contract: Contract, terms: Terms, trial: Trial, short: Short, wallet: float, mark: float, rate: float
) -> tuple[Short, float]:
    """One funding settlement: what the available balance cannot pay comes out of the position margin."""
    opened = short.opened
    received = costs.funding_received(contract, opened.lots, mark, rate)
    locked = position.position_margin(contract, terms, opened.lots, opened.ticks, opened.leverage, short.extra_margin)
    taken = position.margin_taken_by_funding(wallet, locked, received)
    extra = short.extra_margin
    guards = short.guards
    if taken > 0.0:
        extra -= taken
        guards = position.guards_of(
            contract, terms, opened.lots, opened.ticks, opened.leverage, extra, trial.stop_loss_pct
        )
    return Short(opened, short.funding + received, extra, guards), wallet + received


@jit
def market_buy_ticks(market: MarketArrays, terms: Terms, j: int, reference: float) -> float:
    """The fill of a market buy in candle `j` at a reference price, in ticks."""
    slippage = luck.slippage_bps(terms.luck_key, market.time_ms[j], luck.EXIT_SLIPPAGE, terms.slippage_bps)
    return float(costs.buy_fill(reference, terms.spread_bps, slippage))


@jit_inline
def _closed(
    contract: Contract, short: Short, j: int, reason: int, ticks: float, fee_rate: float, wallet: float, tally: Tally
) -> Held:
    """The short bought back at `ticks`."""
    closing = position.close_at(contract, short.opened.lots, short.opened.ticks, ticks, fee_rate)
    return Held(short, j, reason, ticks, closing, wallet + closing.wallet_change, tally)


@jit_inline
def _liquidated(contract: Contract, terms: Terms, short: Short, j: int, wallet: float, tally: Tally) -> Held:
    """The short taken by the exchange, its whole margin with it."""
    o = short.opened
    ticks = position.bankruptcy_ticks(contract, terms, o.lots, o.ticks, o.leverage, short.extra_margin)
    closing = position.liquidate(contract, terms, o.lots, o.ticks, o.leverage, short.extra_margin)
    return Held(short, j, _LIQUIDATION, ticks, closing, wallet + closing.wallet_change, tally)


@jit_inline
def _leave(
    market: MarketArrays, contract: Contract, terms: Terms, short: Short, j: int, event: int, wallet: float,
    tally: Tally,
) -> Held:  # fmt: skip
    """The exit that candle `j` made by a guard or the target."""
    tally = entry.begin_day(tally, wallet, market.time_ms[j])
    if event == candle_path.LIQUIDATED:
        return _liquidated(contract, terms, short, j, wallet, tally)
    if event == candle_path.STOPPED:
        ticks = market_buy_ticks(market, terms, j, max(float(short.guards.stop), market.open[j]))
        return _closed(contract, short, j, short.guards.stop_reason, ticks, terms.taker_fee_rate, wallet, tally)
    ticks = float(short.opened.target.ticks)
    return _closed(contract, short, j, _TARGET, ticks, terms.maker_fee_rate, wallet, tally)


@jit_inline
def _leave_at(
    market: MarketArrays, contract: Contract, terms: Terms, short: Short, j: int, reason: int, price: float,
    wallet: float, tally: Tally,
) -> Held:  # fmt: skip
    """The exit by a market order in candle `j`, at a reference price."""
    ticks = market_buy_ticks(market, terms, j, price)
    return _closed(contract, short, j, reason, ticks, terms.taker_fee_rate, wallet, tally)


@jit_inline
def _settle_before(
    market: MarketArrays, contract: Contract, terms: Terms, trial: Trial, short: Short, wallet: float, tally: Tally,
    j: int,
) -> tuple[Short, float, Tally]:  # fmt: skip
    """All funding that falls due between the opening of candle j-1 and that of candle j."""
    for k in range(market.funding_first[j], market.funding_first[j + 1]):
        tally = entry.begin_day(tally, wallet, market.funding_time_ms[k])
        mark = market.mark_close[j - 1]
        short, wallet = _settle(contract, terms, trial, short, wallet, mark, market.funding_rate[k])
    return short, wallet, tally


@jit_inline
def _held_too_long(market: MarketArrays, trial: Trial, short: Short, j: int) -> bool:
    """Whether the longest hold ends at this opening, with no guard firing there first."""
    held_ms = market.time_ms[j] - short.opened.entry_time_ms
    if trial.max_hold_ms == 0 or held_ms == 0 or held_ms < trial.max_hold_ms:
        return False
    guards = short.guards
    return candle_path.opening_event(market.mark_open[j], guards.liquidation, guards.stop) == candle_path.NOTHING


@jit
def event_in(market: MarketArrays, terms: Terms, short: Short, j: int) -> int:
    """What candle `j` does to the short."""
    minute = j if market.has_minutes else 0
    return candle_path.candle_event(
        market.mark_open[j],
        market.mark_high[j],
        market.low[j],
        short.guards.liquidation,
        short.guards.stop,
        short.opened.target.ticks,
        terms.fill_on_touch,
        market.minute_high[minute],
        market.minute_low[minute],
    )


@jit_inline
def _next_touched(ground: Ground, short: Short, start: int, end: int) -> int:
    """The first candle of start..end-1 that may touch a side, or `end`."""
    touched = first_at_or_below(ground.lows, start, end, float(short.opened.target.ticks))
    level = min(float(short.guards.stop), float(short.guards.liquidation))
    return first_at_or_below(ground.worst, start, touched, -level)


@jit
def first_too_long(market: MarketArrays, first: int, max_hold_ms: int) -> int:
    """The first candle at whose opening a short entered in `first` has been held so long; `n` when none (or 0 ms)."""
    n = len(market.time_ms)
    if max_hold_ms == 0:
        return n
    ends_ms = market.time_ms[first] + max_hold_ms
    low = first + 1
    high = min(n, first + 1 + max_hold_ms // market.candle_ms)
    while low < high:
        middle = (low + high) // 2
        if market.time_ms[middle] >= ends_ms:
            high = middle
        else:
            low = middle + 1
    return low


@jit_inline
def _next_settled(market: MarketArrays, ground: Ground, j: int) -> int:
    """The first candle after `j` with funding to settle before it; `n` when none."""
    k = market.funding_first[j + 1]
    return ground.settles_before[k] if k < len(ground.settles_before) else len(market.time_ms)


@jit_inline
def hold(
    market: MarketArrays, ground: Ground, contract: Contract, terms: Terms, trial: Trial, opened: Opened,
    wallet: float, tally: Tally,
) -> Held:  # fmt: skip
    """From the entry to the exit; `wallet` is what is left after the entry fee."""
    n = len(market.time_ms)
    first = opened.first_index
    short = _guarded(contract, terms, trial, opened, 0.0, 0.0)
    too_long = first_too_long(market, first, trial.max_hold_ms)
    j = first
    while j < n:
        if j > first and market.funding_first[j] < market.funding_first[j + 1]:
            short, wallet, tally = _settle_before(market, contract, terms, trial, short, wallet, tally, j)
        if j >= too_long and _held_too_long(market, trial, short, j):
            tally = entry.begin_day(tally, wallet, market.time_ms[j])
            return _leave_at(market, contract, terms, short, j, _MAX_HOLD, market.open[j], wallet, tally)
        until = min(max(too_long, j + 1), _next_settled(market, ground, j))
        while j < until:
            j = _next_touched(ground, short, j, until)
            if j < until:
                event = event_in(market, terms, short, j)
                if event != candle_path.NOTHING:
                    return _leave(market, contract, terms, short, j, event, wallet, tally)
                j += 1
    return _leave_at(market, contract, terms, short, n - 1, _END_OF_DATA, market.close[n - 1], wallet, tally)
