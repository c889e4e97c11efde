"""The small rules against naive readings of them: grid, fills, size, signal, target, loss limits."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.twin.walking_kernel import find_signals
from your_short_trade_margin_call.domain.words import BlockReason, ExitType, TargetSource
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.survey import tops_before
from your_short_trade_margin_call.rules import costs, entry, grid, position, sizing
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, make_market
from your_short_trade_margin_call.rules.signal import Levels, is_failed_peak, levels_before
from your_short_trade_margin_call.rules.terms import Contract, Terms, Trial, make_terms, price_to_ticks, to_ticks
from your_short_trade_margin_call.settings import Settings

START_MS = 1_748_545_200_000
CANDLE_MS = 180_000
DAY_MS = 86_400_000

# ---- the grid ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(st.integers(-(10**6), 10**6), st.floats(-0.49, 0.49))
def test_a_step_within_the_tolerance_is_a_step_and_no_other_is(whole: int, off: float) -> None:
    steps = whole + off
    beside = abs(Fraction(steps) - whole)
    assume(abs(beside - Fraction(1, 10**9)) > Fraction(1, 10**12))  # the tolerance's own edge is nobody's
    is_on = beside < Fraction(1, 10**9)
    assert grid.snap(steps) == (whole if is_on else steps)
    assert grid.floor_step(steps) == (whole if is_on else math.floor(Fraction(steps)))
    assert grid.ceil_step(steps) == (whole if is_on else math.ceil(Fraction(steps)))


@pytest.mark.parametrize(
    ("steps", "down", "up"),
    [
        (0.0, 0, 0),
        (3.0, 3, 3),
        (2.9999999995, 3, 3),
        (3.0000000005, 3, 3),
        (2.99999999, 2, 3),
        (3.00000001, 3, 4),
        (-1.5, -2, -1),
        (5e12, 5 * 10**12, 5 * 10**12),
        (5e12 + 0.001, 5 * 10**12, 5 * 10**12),  # a float cannot tell these apart: four units in the last place
        (1e9 + 0.25, 10**9, 10**9 + 1),
    ],
)
def test_rounding_to_steps(steps: float, down: int, up: int) -> None:
    assert (grid.floor_step(steps), grid.ceil_step(steps)) == (down, up)


@settings(deadline=None, max_examples=120)
@given(st.integers(1, 10**7), st.sampled_from(("0.1", "0.01", "0.05", "0.0001", "0.00005", "5", "0.5")))
def test_every_price_on_the_grid_is_a_whole_number_of_ticks(ticks: int, tick: str) -> None:
    """As a file has it: the decimal, read as a float, divided by a float."""
    price, size = float(Fraction(tick) * ticks), float(tick)
    assert price_to_ticks(price, size) == ticks
    assert to_ticks(np.array([price]), size)[0] == ticks
    between = float(Fraction(tick) * ticks + Fraction(tick) / 3)
    assert ticks < price_to_ticks(between, size) < ticks + 1


# ---- fills ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(st.floats(1.0, 1e7), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_market_fills_are_worse_than_the_reference_and_on_the_grid(mid: float, spread: float, slippage: float) -> None:
    cost = (Fraction(spread) / 2 + Fraction(slippage)) / 10_000
    sold, bought = Fraction(mid) * (1 - cost), Fraction(mid) * (1 + cost)
    dust = Fraction(1, 10**8) * (1 + Fraction(mid) / 10**6)
    assert sold - 1 - dust < costs.sell_fill(mid, spread, slippage) <= sold + dust
    assert bought - dust <= costs.buy_fill(mid, spread, slippage) < bought + 1 + dust


# ---- size -------------------------------------------------------------------------------------------


class Order(NamedTuple):
    """Everything that decides a size."""

    contract: Contract
    terms: Terms
    budget: float
    mid: float


@st.composite
def small_orders(draw: st.DrawFn) -> Order:
    """Coarse lots, low tiers whose leverage caps fall: at most some hundred candidates, so all of them can be tried."""
    mid = float(draw(st.integers(1, 400)))
    lot_value = draw(st.sampled_from((0.5, 1.0, 3.0, 20.0)))
    lot, budget = lot_value / mid, draw(st.floats(0.01, 100.0))
    tiers, limit, mmr = [], 0.0, 0.005
    caps = draw(st.lists(st.sampled_from((1.0, 2.0, 5.0, 12.5, 25.0, 75.0)), min_size=1, max_size=6))
    for cap in sorted(caps, reverse=True):
        limit += lot_value * draw(st.integers(1, 60)) * draw(st.sampled_from((1.0, 0.77)))
        tiers.append((limit, mmr, cap, 0.0))
        mmr += 0.0025
    cap_lots = draw(st.sampled_from((1, 3, 20, 10**9)))
    contract = Contract(1.0, lot, 1, cap_lots, 0.0, draw(st.sampled_from((3.0, 10.0, 100.0))), np.array(tiers))
    leverage = draw(st.sampled_from((1.0, 3.0, 10.0, 75.0)))
    terms = make_terms(Settings(leverage=leverage, taker_fee_rate=draw(st.sampled_from((0.0, 0.00055)))), "BTCUSDT")
    return Order(contract, terms, budget, mid)


def fits(order: Order, lots: NDArray[np.int64], slack: float) -> NDArray[np.float64]:
    """For each quantity the leverage at which it is allowed and paid for, 0 where it is not: read off the rules."""
    contract, terms = order.contract, order.terms
    value = lots * contract.lot_size * order.mid
    limits, caps = contract.tiers[:, 0] * (1.0 + slack), contract.tiers[:, 2]
    tier = np.searchsorted(limits, value)  # the first whose limit the value does not exceed
    within = tier < len(limits)
    leverage = np.minimum(min(terms.leverage, contract.max_leverage), caps[np.minimum(tier, len(caps) - 1)])
    fee = terms.taker_fee_rate
    cost = value / leverage + value * fee + value * (1.0 + 1.0 / leverage) * fee
    return np.where(within & (cost <= order.budget * (1.0 + slack)), leverage, 0.0)


def try_all(order: Order, slack: float, cap: int) -> int:
    """The largest of all quantities that fit."""
    most = 1 + int(order.contract.tiers[-1, 0] * 1.01 / (order.mid * order.contract.lot_size))
    lots = np.arange(1, min(most, cap) + 1)
    return int(max(lots[fits(order, lots, slack) > 0.0], default=0))


def fits_at(order: Order, lots: int, slack: float) -> float:
    return float(fits(order, np.array([lots]), slack)[0])


DUST = 1e-8
"""Relative: a quantity that fits to the last digit may fall either way; everything else may not."""


@settings(deadline=None, max_examples=150)
@given(small_orders())
def test_the_size_is_the_largest_of_all_that_fit(order: Order) -> None:
    size = sizing.largest_size(*order)
    cap = order.contract.max_lots
    assert try_all(order, -DUST, cap) <= size.lots <= try_all(order, DUST, cap)
    if size.lots:
        leverage = fits_at(order, size.lots, DUST)
        on_a_limit = fits_at(order, size.lots, -DUST) != leverage
        assert on_a_limit or size.leverage == leverage
        assert size.leverage_clamped == (size.leverage < order.terms.leverage)
    else:
        assert not size.leverage_clamped
    unbound = try_all(order, -DUST, 10**9), try_all(order, DUST, 10**9)
    if unbound[0] == unbound[1]:
        assert size.quantity_clamped == (unbound[0] > size.lots)


@settings(deadline=None, max_examples=120)
@given(small_orders(), st.integers(0, 10**6))
def test_one_more_lot_does_not_fit(order: Order, finer: int) -> None:
    """The same on a fine lot grid, where trying all would take forever."""
    contract = order.contract._replace(lot_size=order.contract.lot_size / (1 + finer))
    order = order._replace(contract=contract)
    size = sizing.largest_size(*order)
    dust = max(1e-12, DUST / (1 + finer))
    if size.lots:
        assert fits_at(order, size.lots, dust) > 0.0
    if size.lots < contract.max_lots:
        assert fits_at(order, size.lots + 1, -dust) == 0.0


@settings(deadline=None, max_examples=100)
@given(small_orders(), st.floats(1.0, 3.0))
def test_more_money_never_buys_less(order: Order, factor: float) -> None:
    assert sizing.largest_size(*order).lots <= sizing.largest_size(*order._replace(budget=order.budget * factor)).lots


@settings(deadline=None, max_examples=120)
@given(small_orders(), st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.integers(0, 6), st.floats(0.0, 50.0))
def test_the_checks_of_an_entry_come_in_their_order(
    order: Order, risk: float, cap: float, min_lots: int, min_notional: float
) -> None:
    contract = order.contract._replace(min_lots=min_lots, min_notional_usdt=min_notional)
    terms = order.terms._replace(max_available_frac=cap)
    size = sizing.largest_size(contract, terms, order.budget * min(risk, cap), order.mid)
    plan = entry.plan_entry(contract, terms, risk, order.budget, order.mid)
    assert plan.size == size
    if size.lots == 0 or size.lots < min_lots:
        expected = BlockReason.BELOW_MIN_QTY.code
    elif size.lots * contract.lot_size * order.mid < min_notional:
        expected = BlockReason.BELOW_MIN_NOTIONAL.code
    else:
        expected = entry.ALLOWED
    assert plan.block == expected
    nothing = entry.plan_entry(contract, terms, risk, 0.0, order.mid)
    assert nothing.block == BlockReason.INSUFFICIENT_BALANCE.code


# ---- signals ----------------------------------------------------------------------------------------


@st.composite
def markets(draw: st.DrawFn) -> MarketArrays:
    """Few distinct prices, so that highs tie often; a gap now and then."""
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32))))
    count = draw(st.integers(2, 60))
    rows = np.sort(rng.integers(1, draw(st.integers(2, 9)), (count, 4)).astype(float), axis=1)
    falls = rng.random(count) < 0.5
    steps = rng.choice((1, 2, 9), count, p=(0.9, 0.05, 0.05))
    candles = Candles.from_columns(
        "BTCUSDT",
        START_MS + CANDLE_MS * np.cumsum(steps),
        np.where(falls, rows[:, 2], rows[:, 1]),
        rows[:, 3],
        rows[:, 0],
        np.where(falls, rows[:, 1], rows[:, 2]),
        timeframe_ms=CANDLE_MS,
    )
    return make_market(candles, 1.0)


@settings(deadline=None, max_examples=120)
@given(markets(), st.integers(1, 12))
def test_tops_are_the_highest_of_the_candles_before(market: MarketArrays, width: int) -> None:
    high, tops = market.high.tolist(), tops_before(market.high, width).tolist()
    assert all(math.isnan(top) for top in tops[:width])
    assert tops[width:] == [max(high[i - width : i]) for i in range(width, len(high))]


@settings(deadline=None, max_examples=120)
@given(markets(), st.integers(1, 12))
def test_signals_are_the_failed_new_peaks_of_unbroken_candles(market: MarketArrays, lookback: int) -> None:
    found = find_signals(market, lookback)
    expected = []
    for i in range(lookback, len(market.high)):
        before = slice(i - lookback, i)
        unbroken = market.time_ms[i] - market.time_ms[i - lookback] == lookback * CANDLE_MS
        if unbroken and market.high[i] >= max(market.high[before]) and market.close[i] < market.open[i]:
            expected.append((i, max(market.low[before]), min(market.high[before])))
    ours = zip(found.at.tolist(), found.highest_low.tolist(), found.lowest_high.tolist(), strict=True)
    assert list(ours) == expected


@settings(deadline=None, max_examples=100)
@given(markets(), st.integers(1, 12))
def test_levels_are_of_the_candles_before_and_of_no_other(market: MarketArrays, lookback: int) -> None:
    for i in range(lookback, len(market.high)):
        levels = levels_before(market.high, market.low, i, lookback)
        high, low = market.high[i - lookback : i], market.low[i - lookback : i]
        assert levels == (high.max(), low.max(), high.min())
        failed = market.high[i] >= high.max() and market.close[i] < market.open[i]
        assert is_failed_peak(market.open[i], market.high[i], market.close[i], levels[0]) == failed


# ---- target -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(list(ExitType)),
    st.integers(100, 10**6),
    st.floats(0.9, 1.01),
    st.floats(0.9, 1.01),
    st.floats(0.0, 0.05),
    st.floats(0.0001, 0.2),
)
def test_the_target_is_the_level_if_it_is_far_enough_else_the_take_profit(
    exit_type: ExitType, sold: int, low: float, high: float, least: float, take_profit: float
) -> None:
    levels = Levels(sold * 1.02, round(sold * low * 4) / 4, round(sold * high * 4) / 4)
    terms = make_terms(Settings(min_take_profit_pct=least), "BTCUSDT")
    trial = Trial(10, exit_type.code, 0.5, take_profit, math.nan, 0)
    level = {
        ExitType.HIGHEST_LOW: levels.highest_low,
        ExitType.LOWEST_HIGH: levels.lowest_high,
        ExitType.MIDPOINT: (levels.highest_low + levels.lowest_high) / 2,
        ExitType.TAKE_PROFIT: math.inf,
    }[exit_type]
    furthest = Fraction(sold) * (1 - Fraction(least))
    assume(math.isinf(level) or abs(Fraction(level) - furthest) > Fraction(1, 10**6))
    target = position.choose_target(terms, trial, levels, float(sold))
    if level <= furthest:
        assert target == (math.floor(level), TargetSource.LEVEL.code)
    else:
        exact = Fraction(sold) * (1 - Fraction(take_profit))
        assert target.source == TargetSource.TAKE_PROFIT.code
        assert exact - 1 - Fraction(DUST) < target.ticks <= exact + Fraction(DUST)


# ---- loss limits ------------------------------------------------------------------------------------


class Closed(NamedTuple):
    """A closed trade: minutes until its candle closed, and its profit."""

    after_minutes: int
    pnl: float


@settings(deadline=None, max_examples=120)
@given(
    st.lists(st.builds(Closed, st.integers(3, 2_000), st.floats(-60.0, 50.0)), max_size=12),
    st.one_of(st.none(), st.sampled_from((0.02, 0.2))),
    st.one_of(st.none(), st.sampled_from((0.1, 0.5))),
    st.one_of(st.none(), st.sampled_from((180_000, 3_600_000))),
    st.integers(0, 3_000),
)
def test_loss_limits_remember_the_day_the_peak_and_the_last_loss(
    trades: list[Closed], daily: float | None, drawdown: float | None, cooldown: int | None, later: int
) -> None:
    """The tally, fed trade by trade, says the same as looking all of history up again."""
    terms = make_terms(Settings(daily_loss=daily, max_drawdown=drawdown, cooldown=cooldown), "BTCUSDT")
    now, wallet = START_MS, 1_000.0
    tally, history = entry.new_tally(wallet), [(0, wallet, 0.0)]
    for trade in trades:
        now += 60_000 * trade.after_minutes
        tally = entry.begin_day(tally, wallet, now - CANDLE_MS)
        wallet += trade.pnl
        history.append((now, wallet, trade.pnl))
        tally = entry.after_trade(tally, wallet, trade.pnl, now)
    now += 60_000 * later
    tally = entry.begin_day(tally, wallet, now)

    midnight = now - now % DAY_MS
    # A trade counts where its candle opens, three minutes before it has closed.
    day_start = [after for time_ms, after, _ in history if time_ms - CANDLE_MS < midnight][-1]
    losses = [time_ms for time_ms, _, pnl in history[1:] if pnl <= 0.0]
    expected = entry.ALLOWED
    if cooldown is not None and losses and now < losses[-1] + cooldown:
        expected = BlockReason.COOLDOWN.code
    if drawdown is not None and wallet <= max(after for _, after, _ in history) * (1.0 - drawdown):
        expected = BlockReason.MAX_DRAWDOWN.code
    if daily is not None and wallet <= day_start * (1.0 - daily):
        expected = BlockReason.DAILY_LOSS.code
    assert entry.limit_block(terms, tally, wallet, now) == expected
