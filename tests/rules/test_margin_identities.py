"""What must hold of margin whatever the numbers: the identities of Bybit's formulas, on random shorts and tiers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from your_short_trade_margin_call.rules import margin, position
from your_short_trade_margin_call.rules.terms import (
    NO_PRICE,
    TIER_DEDUCTION,
    TIER_LIMIT,
    TIER_MMR,
    Contract,
    Terms,
    make_terms,
)
from your_short_trade_margin_call.settings import Settings

CLOSE = 1e-9
"""Relative: what float arithmetic may lose in a handful of operations."""


class Short(NamedTuple):
    """A random short: USDT, base coin, and `extra` margin added (negative: taken by funding)."""

    tiers: NDArray[np.float64]
    entry: float
    qty: float
    leverage: float
    fee: float
    extra: float

    def price(self, extra: float | None = None) -> float:
        more = self.extra if extra is None else extra
        return float(margin.liquidation_price(self.tiers, self.entry, self.qty, self.leverage, more, self.fee))

    def bankruptcy(self) -> float:
        return float(margin.bankruptcy_price(self.entry, self.qty, self.leverage, self.extra, self.fee))

    def initial_margin(self) -> float:
        return float(margin.initial_margin(self.entry, self.qty, self.leverage, self.fee))

    def tier_at(self, price: float) -> NDArray[np.float64]:
        row: NDArray[np.float64] = self.tiers[margin.tier_of(self.tiers, self.qty * price)]
        return row


@st.composite
def ladders(draw: st.DrawFn, scale: float) -> NDArray[np.float64]:
    """Tiers as Bybit makes them: rates rise, deductions keep the maintenance margin continuous."""
    rows, limit, mmr, deduction = [], 0.0, 0.0, 0.0
    for _ in range(draw(st.integers(1, 6))):
        step = draw(st.sampled_from((0.0025, 0.005, 0.01, 0.02)))
        deduction += limit * step
        mmr += step
        limit += scale * draw(st.floats(0.05, 2.0))
        rows.append((limit, mmr, 100.0, deduction))
    return np.array(rows)


@st.composite
def shorts(draw: st.DrawFn) -> Short:
    """From a cent to a hundred thousand USDT a coin, 1x to 100x, around the limits of its tiers."""
    entry = 10.0 ** draw(st.floats(-2.0, 5.0))
    value = 10.0 ** draw(st.floats(0.5, 6.5))
    leverage = draw(st.sampled_from((1.0, 2.0, 3.0, 4.2, 10.0, 25.0, 50.0, 75.0, 100.0)))
    fee = draw(st.sampled_from((0.0, 0.0002, 0.00055, 0.001)))
    share = draw(st.floats(-0.9, 3.0))
    short = Short(draw(ladders(value)), entry, value / entry, leverage, fee, 0.0)
    return short._replace(extra=share * short.initial_margin())


@settings(deadline=None, max_examples=200)
@given(shorts())
def test_liquidation_is_bankruptcy_less_the_maintenance_margin(short: Short) -> None:
    """(a) LP = (Q * BP + ded) / (Q * (1 + MMR)), with the rate and the deduction of the tier at LP."""
    price = short.price()
    tier = short.tier_at(price)
    expected = (short.qty * short.bankruptcy() + tier[TIER_DEDUCTION]) / (short.qty * (1.0 + tier[TIER_MMR]))
    assert price == pytest.approx(expected, rel=CLOSE)


@settings(deadline=None, max_examples=200)
@given(shorts())
def test_at_liquidation_the_equity_is_the_maintenance_margin(short: Short) -> None:
    """(b) Both count the same fee to close, that of the bankruptcy price, so it cancels."""
    price = short.price()
    tier = short.tier_at(price)
    equity = short.initial_margin() + short.extra + short.qty * (short.entry - price)
    fee_to_close = short.qty * short.bankruptcy() * short.fee
    needed = margin.maintenance_margin(short.qty * price, tier[TIER_MMR], tier[TIER_DEDUCTION], fee_to_close)
    scale = short.qty * max(price, short.entry) + abs(short.extra)
    assert equity == pytest.approx(needed, abs=CLOSE * scale)


@settings(deadline=None, max_examples=200)
@given(shorts())
def test_closing_at_bankruptcy_loses_exactly_the_position_margin(short: Short) -> None:
    """(c) The price loss and the taker fee there are IM + X, no more and no less."""
    bankruptcy = short.bankruptcy()
    lost = short.qty * (bankruptcy - short.entry) + short.qty * bankruptcy * short.fee
    assert lost == pytest.approx(short.initial_margin() + short.extra, abs=CLOSE * short.qty * bankruptcy)


@settings(deadline=None, max_examples=200)
@given(shorts())
def test_exactly_one_tier_holds_its_own_solution(short: Short) -> None:
    price, below, found = short.price(), 0.0, []
    for k, tier in enumerate(short.tiers):
        limit = math.inf if k == len(short.tiers) - 1 else tier[TIER_LIMIT]
        solution = margin.liquidation_price_in_tier(
            short.entry, short.qty, short.leverage, short.extra, short.fee, tier[TIER_MMR], tier[TIER_DEDUCTION]
        )
        # On a limit two tiers say the same: maintenance margin is continuous there.
        if below * (1 - CLOSE) < short.qty * solution <= limit * (1 + CLOSE):
            found.append(solution)
        below = limit
    assert found
    assert found == pytest.approx([price] * len(found), rel=10 * CLOSE)
    assert len(found) == 1 or any(abs(short.qty * price / t[TIER_LIMIT] - 1) < 10 * CLOSE for t in short.tiers)


@settings(deadline=None, max_examples=200)
@given(shorts(), st.floats(0.001, 2.0))
def test_more_margin_moves_liquidation_away_and_more_leverage_brings_it_near(short: Short, more: float) -> None:
    richer = short.price(short.extra + more * short.initial_margin())
    assert richer > short.price()
    bolder = short._replace(leverage=short.leverage * (1.0 + more))
    assert bolder.price() < short.price()


@settings(deadline=None, max_examples=200)
@given(shorts())
def test_liquidation_comes_before_bankruptcy(short: Short) -> None:
    """So the exchange always takes a position that is still worth something: its maintenance margin."""
    assert short.price() < short.bankruptcy()


# ---- on the tick grid -----------------------------------------------------------------------------


def contract_of(short: Short, tick: float) -> Contract:
    """Lots of a thousandth of the position."""
    return Contract(tick, short.qty / 1_000, 1, 1 << 40, 0.0, 100.0, short.tiers)


def terms_of(short: Short, margin_call_at: float | None) -> Terms:
    return make_terms(Settings(taker_fee_rate=short.fee, margin_call_at=margin_call_at), "BTCUSDT")


@settings(deadline=None, max_examples=200)
@given(
    shorts(),
    st.floats(-6.0, -2.0),
    st.one_of(st.none(), st.sampled_from((0.1, 0.5, 0.9, 0.97, 0.999))),
    st.one_of(st.none(), st.floats(0.0005, 2.0)),
)
def test_liquidation_is_never_later_than_its_price_and_stops_come_before_it(
    short: Short, tick_exponent: float, margin_call_at: float | None, stop_loss_pct: float | None
) -> None:
    """Each price is rounded down to the tick: for a short, never to a later one, and by less than a tick."""
    tick = short.entry * 10.0**tick_exponent
    entry = round(short.entry / tick)
    short = short._replace(entry=entry * tick)
    contract, terms = contract_of(short, tick), terms_of(short, margin_call_at)
    stop_loss = math.nan if stop_loss_pct is None else stop_loss_pct
    guards = position.guards_of(contract, terms, 1_000, float(entry), short.leverage, short.extra, stop_loss)

    assert_floor(guards.liquidation, short.price() / tick)
    stops = {}
    if margin_call_at is None:
        assert guards.margin_call == NO_PRICE
    else:
        assert_floor(guards.margin_call, entry + margin_call_at * (guards.liquidation - entry))
        stops["margin_call"] = guards.margin_call
    if stop_loss_pct is not None:
        wanted = entry * (1.0 + stop_loss_pct)
        if guards.stop != guards.margin_call and guards.stop != NO_PRICE:
            assert_floor(guards.stop, wanted)
        stops["stop_loss"] = math.floor(wanted + 1e-6)
    in_time = [price for price in stops.values() if price < guards.liquidation]
    assert (guards.stop == NO_PRICE) == (not in_time)
    if in_time:
        assert guards.stop < guards.liquidation
        assert abs(guards.stop - min(in_time)) <= 1e-6 * min(in_time)


def assert_floor(got: int, steps: float) -> None:
    """`got` is `steps` rounded down, give or take what floats lose on the way."""
    dust = 1e-9 + 1e-12 * abs(steps)
    assert math.floor(steps - dust) <= got <= math.floor(steps + dust)
