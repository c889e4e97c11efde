"""The walking twin: one trial, candle after candle while a short is open, compiled.

It is the plain reading of the order of things, with the product's own rules and floats: what the product jumps to,
this walks to, so that both must agree to the last bit. The slow twin beside it is the judge of the rules themselves.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason, ExitReason
from your_short_trade_margin_call.rules import candle_path, costs, entry, luck, position
from your_short_trade_margin_call.rules.entry import ALLOWED, Tally
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.position import Closing, Guards, Target
from your_short_trade_margin_call.rules.signal import Levels, is_failed_peak, levels_before
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial, make_trial

_POSITION_OPEN = BlockReason.POSITION_OPEN.code
_ORDER_REJECTED = BlockReason.ORDER_REJECTED.code
_STREAM_GAP = BlockReason.STREAM_GAP.code
_TARGET = ExitReason.TARGET.code
_LIQUIDATION = ExitReason.LIQUIDATION.code
_MAX_HOLD = ExitReason.MAX_HOLD.code
_END_OF_DATA = ExitReason.END_OF_DATA.code
_MARGIN_CALL = ExitReason.MARGIN_CALL.code

CANDLES_PER_YEAR = 175_200.0

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

SUMMARY_COLUMNS = (
    "final_balance",
    "wins",
    "losses",
    "win_sum",
    "loss_sum",
    "fees",
    "funding",
    "drawdown",
    "sharpe",
    "margin_calls",
    "liquidations",
    "end_of_data",
    "leverage_clamped",
    "quantity_clamped",
    "candles_held",
)
N_SUMMARY_COLUMNS = len(SUMMARY_COLUMNS)


class Signals(NamedTuple):
    """All signals of one lookback: candle indices and the levels before them, in ticks."""

    at: NDArray[np.int64]
    highest_low: NDArray[np.float64]
    lowest_high: NDArray[np.float64]


@numba.njit(error_model="numpy")
def find_signals(market: MarketArrays, lookback: int) -> Signals:
    """Every failed new peak of one lookback, oldest first."""
    n = len(market.time_ms)
    index = np.empty(n, dtype=np.int64)
    highest_low = np.empty(n, dtype=np.float64)
    lowest_high = np.empty(n, dtype=np.float64)
    found = 0
    for i in range(lookback, n):
        if market.run_length[i] <= lookback:
            continue
        if market.close[i] >= market.open[i]:
            continue
        levels = levels_before(market.high, market.low, i, lookback)
        if is_failed_peak(market.open[i], market.high[i], market.close[i], levels.highest_high):
            index[found] = i
            highest_low[found] = levels.highest_low
            lowest_high[found] = levels.lowest_high
            found += 1
    return Signals(index[:found].copy(), highest_low[:found].copy(), lowest_high[:found].copy())


class Curve(NamedTuple):
    """What drawdown and Sharpe need of the equity curve, carried candle by candle."""

    last: float
    peak: float
    drawdown: float
    sum_returns: float
    sum_squares: float


class Walked(NamedTuple):
    """A walked trial: SUMMARY_COLUMNS by name, blocked counts, rows of TRADE_COLUMNS, equity at each close."""

    summary: dict[str, float]
    blocked: NDArray[np.int64]
    trades: NDArray[np.float64]
    equity: NDArray[np.float64]


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
    curve: Curve


@jit_inline
def _mark_equity(curve: Curve, equity: float) -> Curve:
    """The curve after one more candle close."""
    change = equity / curve.last - 1.0 if curve.last > 0.0 else 0.0
    peak = max(curve.peak, equity)
    drop = (peak - equity) / peak if peak > 0.0 else 0.0
    return Curve(
        equity,
        peak,
        max(curve.drawdown, drop),
        curve.sum_returns + change,
        curve.sum_squares + change * change,
    )


@jit
def _sharpe(curve: Curve, n_candles: int) -> float:
    """Mean over standard deviation (ddof 1) of simple per-candle returns, a year of them; 0 when flat."""
    n = n_candles - 1
    if n < 2:
        return 0.0
    mean = curve.sum_returns / n
    variance = (curve.sum_squares - n * mean * mean) / (n - 1)
    return mean / math.sqrt(variance) * math.sqrt(CANDLES_PER_YEAR) if variance > 0.0 else 0.0


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
def _open_short(
    contract: Contract, terms: Terms, trial: Trial, levels: Levels, plan: entry.Plan, j: int, time_ms: int, mid: float
) -> Short:
    """The short that a market sell at the opening quote of candle `j` makes."""
    slippage = luck.slippage_bps(terms.luck_key, time_ms, luck.ENTRY_SLIPPAGE, terms.slippage_bps)
    ticks = costs.sell_fill(mid, terms.spread_bps, slippage)
    paid = costs.fee(contract, plan.size.lots, ticks, terms.taker_fee_rate)
    target = position.choose_target(terms, trial, levels, ticks)
    opened = Opened(j, time_ms, plan.size.lots, ticks, plan.size.leverage, paid, target)
    return _guarded(contract, terms, trial, opened, 0.0, 0.0)


@jit_inline
def _settle(
    contract: Contract, terms: Terms, trial: Trial, short: Short, wallet: float, mark: float, rate: float
) -> tuple[Short, float]:
    """One funding settlement: what the available balance cannot pay comes out of the position margin."""
    opened = short.opened
    received = costs.funding_received(contract, opened.lots, mark, rate)
    locked = position.position_margin(contract, terms, opened.lots, opened.ticks, opened.leverage, short.extra_margin)
    taken = position.margin_taken_by_funding(wallet, locked, received)
    funding = short.funding + received
    if taken > 0.0:
        return _guarded(contract, terms, trial, opened, funding, short.extra_margin - taken), wallet + received
    return Short(opened, funding, short.extra_margin, short.guards), wallet + received


@jit
def _market_exit(
    contract: Contract, terms: Terms, opened: Opened, time_ms: int, reference: float
) -> tuple[float, Closing]:
    """Buying back with a market order in the candle that opens at `time_ms`, at a reference price."""
    slippage = luck.slippage_bps(terms.luck_key, time_ms, luck.EXIT_SLIPPAGE, terms.slippage_bps)
    ticks = float(costs.buy_fill(reference, terms.spread_bps, slippage))
    return ticks, position.close_at(contract, opened.lots, opened.ticks, ticks, terms.taker_fee_rate)


@jit_inline
def _exit_of(
    contract: Contract, terms: Terms, short: Short, event: int, time_ms: int, candle_open: float
) -> tuple[int, float, Closing]:
    """Reason, price and consequences of what a candle did to the short."""
    o = short.opened
    if event == candle_path.LIQUIDATED:
        ticks = position.bankruptcy_ticks(contract, terms, o.lots, o.ticks, o.leverage, short.extra_margin)
        closing = position.liquidate(contract, terms, o.lots, o.ticks, o.leverage, short.extra_margin)
        return _LIQUIDATION, ticks, closing
    if event == candle_path.STOPPED:
        reference = max(float(short.guards.stop), candle_open)
        ticks, closing = _market_exit(contract, terms, o, time_ms, reference)
        return short.guards.stop_reason, ticks, closing
    ticks = float(o.target.ticks)
    return _TARGET, ticks, position.close_at(contract, o.lots, o.ticks, ticks, terms.maker_fee_rate)


@jit_inline
def _held_too_long(trial: Trial, short: Short, time_ms: int, mark_open: float) -> bool:
    """Whether the longest hold ends at this opening, with no guard firing there first."""
    held_ms = time_ms - short.opened.entry_time_ms
    if trial.max_hold_ms == 0 or held_ms == 0 or held_ms < trial.max_hold_ms:
        return False
    return candle_path.opening_event(mark_open, short.guards.liquidation, short.guards.stop) == candle_path.NOTHING


@jit_inline
def _settle_before(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    trial: Trial,
    short: Short,
    wallet: float,
    tally: Tally,
    j: int,
) -> tuple[Short, float, Tally]:
    """All funding that falls due between the opening of candle j-1 and that of candle j."""
    for k in range(market.funding_first[j], market.funding_first[j + 1]):
        tally = entry.begin_day(tally, wallet, market.funding_time_ms[k])
        mark = market.mark_close[j - 1]
        short, wallet = _settle(contract, terms, trial, short, wallet, mark, market.funding_rate[k])
    return short, wallet, tally


@jit
def _event_in(market: MarketArrays, terms: Terms, short: Short, j: int) -> int:
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


@jit
def _hold(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    trial: Trial,
    short: Short,
    wallet: float,
    tally: Tally,
    curve: Curve,
    equity: NDArray[np.float64],
) -> Held:
    """Walk from the entry to the exit. `equity` is filled at each close when it has the room."""
    n = len(market.time_ms)
    first = short.opened.first_index
    lots, ticks_in, target = short.opened.lots, short.opened.ticks, short.opened.target.ticks
    for j in range(first, n):
        time_ms = market.time_ms[j]
        if j > first and market.funding_first[j] < market.funding_first[j + 1]:
            short, wallet, tally = _settle_before(market, contract, terms, trial, short, wallet, tally, j)
        if _held_too_long(trial, short, time_ms, market.mark_open[j]):
            tally = entry.begin_day(tally, wallet, time_ms)
            ticks, closing = _market_exit(contract, terms, short.opened, time_ms, market.open[j])
            return Held(short, j, _MAX_HOLD, ticks, closing, wallet + closing.wallet_change, tally, curve)
        event = candle_path.NOTHING
        # Most candles touch neither side: only the others are worth the full reading.
        if (
            market.mark_high[j] >= short.guards.stop
            or market.mark_high[j] >= short.guards.liquidation
            or (market.low[j] <= target)
        ):
            event = _event_in(market, terms, short, j)
        if event != candle_path.NOTHING:
            tally = entry.begin_day(tally, wallet, time_ms)
            reason, ticks, closing = _exit_of(contract, terms, short, event, time_ms, market.open[j])
            return Held(short, j, reason, ticks, closing, wallet + closing.wallet_change, tally, curve)
        if j < n - 1:
            marked = wallet + position.unrealized_pnl(contract, lots, ticks_in, market.close[j])
            curve = _mark_equity(curve, marked)
            if len(equity) > 0:
                equity[j] = marked
    ticks, closing = _market_exit(contract, terms, short.opened, market.time_ms[n - 1], market.close[n - 1])
    return Held(short, n - 1, _END_OF_DATA, ticks, closing, wallet + closing.wallet_change, tally, curve)


@jit_inline
def _record(row: NDArray[np.float64], held: Held, pnl: float) -> None:
    """Write a trade into a row of TRADE_COLUMNS."""
    opened = held.short.opened
    row[0] = opened.first_index
    row[1] = held.exit_index
    row[2] = opened.ticks
    row[3] = held.exit_ticks
    row[4] = opened.lots
    row[5] = opened.leverage
    row[6] = opened.target.ticks
    row[7] = opened.target.source
    row[8] = held.short.guards.liquidation
    row[9] = held.short.guards.margin_call
    row[10] = opened.entry_fee
    row[11] = held.closing.fee
    row[12] = held.short.funding
    row[13] = pnl
    row[14] = held.reason
    row[15] = held.wallet


@jit_inline
def _count(summary: NDArray[np.float64], held: Held, pnl: float, plan: entry.Plan) -> None:
    """Add a trade to the sums of SUMMARY_COLUMNS."""
    if pnl > 0.0:
        summary[1] += 1
        summary[3] += pnl
    else:
        summary[2] += 1
        summary[4] += pnl
    summary[5] += held.short.opened.entry_fee + held.closing.fee
    summary[6] += held.short.funding
    summary[9] += held.reason == _MARGIN_CALL
    summary[10] += held.reason == _LIQUIDATION
    summary[11] += held.reason == _END_OF_DATA
    summary[12] += plan.size.leverage_clamped
    summary[13] += plan.size.quantity_clamped
    summary[14] += held.exit_index - held.short.opened.first_index + 1


@jit_inline
def _plan(
    contract: Contract, terms: Terms, trial: Trial, tally: Tally, wallet: float, time_ms: int, mid: float
) -> entry.Plan:
    """May a signal be traded at the opening quote of the candle at `time_ms`, and how large?"""
    limit = entry.limit_block(terms, tally, wallet, time_ms)
    plan = entry.plan_entry(contract, terms, trial.risk_fraction, wallet, mid)
    if limit != ALLOWED:
        return entry.Plan(limit, plan.size)
    if plan.block == ALLOWED and luck.is_rejected(terms.luck_key, time_ms, terms.order_reject_prob):
        return entry.Plan(_ORDER_REJECTED, plan.size)
    return plan


@jit_inline
def run_trial(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    trial: Trial,
    signals: Signals,
    start_wallet: float,
    summary: NDArray[np.float64],
    blocked: NDArray[np.int64],
    trades: NDArray[np.float64],
    equity: NDArray[np.float64],
) -> None:
    """Run one trial into one row of `summary` (SUMMARY_COLUMNS) and `blocked` (by BlockReason code)."""
    n = len(market.time_ms)
    wallet = start_wallet
    tally = entry.new_tally(wallet)
    curve = Curve(wallet, wallet, 0.0, 0.0, 0.0)
    equity[:] = wallet
    n_trades = 0
    p = 0
    while p < len(signals.at) and signals.at[p] < n - 1:
        i = signals.at[p]
        time_ms = market.time_ms[i + 1]
        if time_ms - market.time_ms[i] != market.candle_ms:
            blocked[_STREAM_GAP] += 1
            p += 1
            continue
        tally = entry.begin_day(tally, wallet, time_ms)
        plan = _plan(contract, terms, trial, tally, wallet, time_ms, market.open[i + 1])
        if plan.block != ALLOWED:
            blocked[plan.block] += 1
            p += 1
            continue
        levels = Levels(0.0, signals.highest_low[p], signals.lowest_high[p])
        short = _open_short(contract, terms, trial, levels, plan, i + 1, time_ms, market.open[i + 1])
        before = wallet
        held = _hold(market, contract, terms, trial, short, wallet - short.opened.entry_fee, tally, curve, equity)
        wallet = held.wallet
        pnl = wallet - before
        tally = entry.after_trade(held.tally, wallet, pnl, market.time_ms[held.exit_index] + market.candle_ms)
        curve = _mark_equity(held.curve, wallet)
        equity[held.exit_index :] = wallet
        if n_trades < len(trades):
            _record(trades[n_trades], held, pnl)
        _count(summary, held, pnl, plan)
        n_trades += 1
        p += 1
        while p < len(signals.at) and signals.at[p] < held.exit_index:
            blocked[_POSITION_OPEN] += 1
            p += 1
    summary[0] = wallet
    summary[7] = curve.drawdown
    summary[8] = _sharpe(curve, n)


@jit
def run_trials(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    lookback: int,
    signals: Signals,
    exit_type: NDArray[np.int64],
    risk_fraction: NDArray[np.float64],
    take_profit_pct: NDArray[np.float64],
    stop_loss_pct: NDArray[np.float64],
    max_hold_ms: NDArray[np.int64],
    start_wallet: float,
    summary: NDArray[np.float64],
    blocked: NDArray[np.int64],
    trades: NDArray[np.float64],
    equity: NDArray[np.float64],
) -> None:
    """Run the trials of one lookback, one zeroed row of `summary` and `blocked` each.

    `trades` [m, TRADE_COLUMNS] and `equity` [candles] are filled when they have the room (for a single
    trial) and left alone when empty.
    """
    for k in range(len(exit_type)):
        trial = Trial(lookback, exit_type[k], risk_fraction[k], take_profit_pct[k], stop_loss_pct[k], max_hold_ms[k])
        run_trial(market, contract, terms, trial, signals, start_wallet, summary[k], blocked[k], trades, equity)


def walk(market: MarketArrays, contract: Contract, terms: Terms, params: StrategyParams, start_wallet: float) -> Walked:
    """Walk one trial."""
    trial = make_trial(params)
    signals = find_signals(market, trial.lookback)
    summary = np.zeros((1, N_SUMMARY_COLUMNS))
    blocked = np.zeros((1, len(BlockReason)), dtype=np.int64)
    trades = np.zeros((len(signals.at), N_TRADE_COLUMNS))
    equity = np.zeros(len(market.time_ms))
    run_trials(
        market,
        contract,
        terms,
        trial.lookback,
        signals,
        np.array([trial.exit_type]),
        np.array([trial.risk_fraction]),
        np.array([trial.take_profit_pct]),
        np.array([trial.stop_loss_pct]),
        np.array([trial.max_hold_ms]),
        start_wallet,
        summary,
        blocked,
        trades,
        equity,
    )
    row = dict(zip(SUMMARY_COLUMNS, summary[0].tolist(), strict=True))
    return Walked(row, blocked[0], trades[: int(row["wins"] + row["losses"])], equity)
