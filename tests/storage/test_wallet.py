"""Fills, fees and funding are the change of the wallet."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from your_short_trade_margin_call.adapters.storage.wallet import wallet_change
from your_short_trade_margin_call.domain.errors import BrokenInvariantError
from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.words import ExecutionKind, Side

from .builders import an_execution

TICK, LOT = 0.1, 0.001


def test_a_worked_example() -> None:
    """Sold 2 lots at 1000 and 1 at 1030 ticks (mean 1010); 1 bought back at 980, 2 liquidated at 1340.5.

    Realised, in ticks x lots: 1 * (1010 - 980) + 2 * (1010 - 1340.5) = 30 - 661 = -631; times 0.1 * 0.001 USDT
    = -0.0631. Fees 3 * 0.1 + 0.2 = 0.5; funding: 0.05 paid, 0.02 received. Together -0.0631 - 0.5 - 0.03.
    """
    executions = [
        an_execution("1", Side.SELL, 2, 1000.0),
        an_execution("2", Side.SELL, 1, 1030.0),
        an_execution("3", Side.SELL, 3, 1011.0, kind=ExecutionKind.FUNDING, fee_usdt=0.05),
        an_execution("4", Side.BUY, 1, 980.0),
        an_execution("5", Side.SELL, 2, 1011.0, kind=ExecutionKind.FUNDING, fee_usdt=-0.02),
        an_execution("6", Side.BUY, 2, 1340.5, kind=ExecutionKind.LIQUIDATION, fee_usdt=0.2),
    ]
    assert wallet_change(executions, TICK, LOT) == pytest.approx(-0.5931, abs=1e-12)


def test_nothing_and_an_open_position() -> None:
    assert wallet_change([], TICK, LOT) == 0.0
    assert wallet_change([an_execution("1", Side.SELL, 5, 1000.0)], TICK, LOT) == -0.1


def test_buying_more_than_was_sold_is_a_broken_invariant() -> None:
    with pytest.raises(BrokenInvariantError, match="buys back 2 lots of a short of 1"):
        wallet_change([an_execution("1"), an_execution("2", Side.BUY, 2)], TICK, LOT)


@st.composite
def round_trips(draw: st.DrawFn) -> list[Execution]:
    """Sales and buys in any order, never long, flat at the end."""
    executions, lots = [], 0
    prices = st.floats(1.0, 2e6)
    fees = st.floats(-1.0, 1.0)
    for n in range(draw(st.integers(0, 12))):
        buys = lots > 0 and draw(st.booleans())
        size = draw(st.integers(1, lots if buys else 1_000))
        side = Side.BUY if buys else Side.SELL
        executions.append(an_execution(str(n), side, size, draw(prices), fee_usdt=draw(fees)))
        lots -= side * size
    if lots:
        executions.append(an_execution("last", Side.BUY, lots, draw(prices), fee_usdt=draw(fees)))
    return executions


@given(round_trips())
def test_once_flat_it_is_the_cash_that_came_in_minus_fees(executions: list[Execution]) -> None:
    """The slow twin needs no average: what was sold minus what was paid, in exact fractions."""
    cash = sum((-e.side * e.lots * Fraction(e.price_ticks) for e in executions), Fraction(0))
    exact = cash * Fraction(TICK) * Fraction(LOT) - sum((Fraction(e.fee_usdt) for e in executions), Fraction(0))
    assert wallet_change(executions, TICK, LOT) == pytest.approx(float(exact), abs=1e-8)
