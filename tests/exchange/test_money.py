"""Liquidation, funding, deleveraging: every cent of them."""

from __future__ import annotations

import pytest

from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, Side
from your_short_trade_margin_call.exchange.book import BookingKind
from your_short_trade_margin_call.rules.margin import initial_margin, order_cost

from .world import (
    CANDLE_MS,
    T0,
    close,
    exchange,
    executions,
    limit_short,
    orders,
    short,
    target,
    wallet_from_executions,
)


def test_liquidation_loses_the_position_margin_exactly_and_leaves_nothing_open() -> None:
    venue = exchange()
    venue.place(short(stop=10_850))
    venue.place(target(9_000))
    venue.place(limit_short(10_990, lots=10))
    wallet, margin = venue.wallet_usdt, initial_margin(1000.0, 1.0, 10.0, 0.00055)
    venue.drain()
    venue.on_quote(T0 + 1, 11_000.0)
    assert venue.wallet_usdt == pytest.approx(wallet - margin, abs=1e-9)
    events = venue.drain()
    (row,) = executions(events)
    assert (row.kind, row.side, row.lots, row.price_ticks) == (ExecutionKind.LIQUIDATION, Side.BUY, 100, 11_000.0)
    assert {(order.link_id, order.status) for order in orders(events)} == {
        (link_id, OrderStatus.CANCELLED) for link_id in ("", "target", "limit-entry")
    }
    assert venue.account(0).open_orders == ()
    assert venue.ledger[-1].kind is BookingKind.LIQUIDATION


def test_closing_at_bankruptcy_by_hand_costs_the_same_as_liquidation() -> None:
    by_hand, by_venue = exchange(), exchange()
    for venue in (by_hand, by_venue):
        venue.place(short())
    by_hand.on_opening_quote(T0 + CANDLE_MS, 11_000.0, check_guards=False)
    by_hand.place(close())
    by_venue.on_quote(T0 + CANDLE_MS, 11_000.0)
    assert by_hand.wallet_usdt == pytest.approx(by_venue.wallet_usdt, abs=1e-9)
    assert executions(by_hand.drain())[-1].fee_usdt == pytest.approx(
        executions(by_venue.drain())[-1].fee_usdt, abs=1e-9
    )


@pytest.mark.parametrize("rate", [0.001, -0.001, 0.0])
def test_funding_pays_and_charges_the_short_by_the_mark(rate: float) -> None:
    venue = exchange()
    venue.place(short())
    wallet = venue.wallet_usdt
    venue.drain()
    venue.settle_funding(T0 + CANDLE_MS, rate, 10_200.0)
    (row,) = executions(venue.drain())
    assert (row.kind, row.side, row.lots, row.price_ticks) == (ExecutionKind.FUNDING, Side.SELL, 100, 10_200.0)
    assert row.fee_usdt == pytest.approx(-1020.0 * rate, abs=1e-12)
    assert venue.wallet_usdt == wallet - row.fee_usdt


def test_each_moment_settles_once() -> None:
    venue = exchange()
    venue.place(short())
    for moment in (T0 + 2, T0 + 2, T0 + 1):
        venue.settle_funding(moment, 0.001, 10_000.0)
    assert [row.time_ms for row in executions(venue.drain())] == [T0, T0 + 2]
    assert venue.funding_settled_ms == T0 + 2


def test_funding_needs_a_position_opened_strictly_before() -> None:
    venue = exchange()
    venue.place(short())
    venue.settle_funding(T0, 0.001, 10_000.0)
    assert [row.kind for row in executions(venue.drain())] == [ExecutionKind.TRADE]
    venue.settle_funding(T0 + 1, 0.001, 10_000.0)
    assert [row.kind for row in executions(venue.drain())] == [ExecutionKind.FUNDING]


def test_adding_does_not_make_a_position_younger() -> None:
    venue = exchange()
    venue.place(short(lots=10))
    venue.on_quote(T0 + CANDLE_MS, 10_000.0)
    venue.place(short(lots=10, link_id="more"))
    venue.drain()
    venue.settle_funding(T0 + CANDLE_MS, 0.001, 10_000.0)
    assert [row.lots for row in executions(venue.drain())] == [20]


def test_funding_beyond_the_available_balance_eats_margin_and_lowers_liquidation() -> None:
    venue = exchange(balance=order_cost(1000.0, 1.0, 10.0, 0.00055))
    venue.place(short())
    assert venue.available_usdt == pytest.approx(0.0, abs=1e-9)
    venue.settle_funding(T0 + CANDLE_MS, -0.02, 10_000.0)
    assert venue.position is not None
    assert venue.position.extra_margin_usdt == pytest.approx(-20.0, abs=1e-9)
    # (1000 * 1.1 - 20 / 1.00055) / 1.005 = 1074.63...
    assert venue.position.liquidation_ticks == 10_746
    wallet = venue.wallet_usdt
    venue.drain()
    venue.on_quote(T0 + CANDLE_MS + 1, 10_746.0)
    assert executions(venue.drain())[0].kind is ExecutionKind.LIQUIDATION
    assert venue.wallet_usdt == pytest.approx(wallet - initial_margin(1000.0, 1.0, 10.0, 0.00055) + 20.0, abs=1e-9)
    assert venue.wallet_usdt == pytest.approx(0.0, abs=1e-9)


def test_funding_that_drops_liquidation_below_the_stop_leaves_the_stop_to_the_trader() -> None:
    venue = exchange(balance=order_cost(1000.0, 1.0, 10.0, 0.00055))
    venue.place(short(stop=10_850))
    venue.settle_funding(T0 + CANDLE_MS, -0.02, 10_000.0)
    assert venue.position is not None
    assert venue.position.stop_ticks == 10_850
    venue.amend_stop(10_650)
    venue.drain()
    venue.run_candle(T0 + CANDLE_MS, 10_000, 10_800, 10_000, 10_000)
    (row,) = executions(venue.drain())
    assert (row.kind, row.price_ticks) == (ExecutionKind.TRADE, 10_650.0)


def test_a_partial_close_takes_its_share_of_what_funding_ate() -> None:
    venue = exchange(balance=order_cost(1000.0, 1.0, 10.0, 0.00055))
    venue.place(short())
    venue.settle_funding(T0 + CANDLE_MS, -0.02, 10_000.0)
    assert venue.position is not None
    before = venue.position
    venue.place(close(lots=40))
    assert venue.position.extra_margin_usdt == pytest.approx(before.extra_margin_usdt * 0.6, abs=1e-12)
    assert venue.position.liquidation_ticks == before.liquidation_ticks


def test_a_close_beyond_bankruptcy_may_overdraw_and_then_entries_are_gone() -> None:
    """Last prices far above a quiet mark: the rules fill at last, so more than the margin can be lost."""
    venue = exchange(balance=order_cost(1000.0, 1.0, 10.0, 0.00055) + 13.0)
    venue.place(short())
    venue.place(limit_short(15_500, lots=8))
    venue.on_opening_quote(T0 + CANDLE_MS, 15_000.0, 10_000.0, check_guards=True)
    venue.place(close())
    assert venue.wallet_usdt < 0.0
    order = venue.find("limit-entry")
    assert order is not None
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "insufficient_balance")
    venue.check()


def test_the_venue_may_close_a_position_without_an_order() -> None:
    venue = exchange()
    venue.place(short(stop=10_850))
    venue.drain()
    venue.auto_deleverage(T0 + 5, 30, 9_000)
    (row,) = executions(venue.drain())
    assert (row.kind, row.link_id, row.lots, row.price_ticks) == (ExecutionKind.ADL, "", 30, 9_000.0)
    venue.auto_deleverage(T0 + 6, 1_000, 9_000)
    assert venue.position is None
    assert orders(venue.drain())[-1].status is OrderStatus.CANCELLED
    venue.auto_deleverage(T0 + 7, 1, 9_000)
    assert venue.drain() == []


def test_executions_alone_explain_the_wallet() -> None:
    venue = exchange(spread_bps=2.0, slippage_bps=3.0)
    venue.place(short(lots=70))
    venue.on_quote(T0 + 1, 10_200.5)
    venue.place(short(lots=33, link_id="more"))
    venue.settle_funding(T0 + CANDLE_MS, -0.0003, 10_150.0)
    venue.place(close(lots=41))
    venue.on_quote(T0 + CANDLE_MS + 1, 11_300.0)
    assert venue.position is None
    rows = venue.account(0).executions
    assert venue.wallet_usdt == pytest.approx(wallet_from_executions(1000.0, rows, venue.contract), abs=1e-8)
    assert venue.wallet_usdt == pytest.approx(1000.0 + sum(row.amount_usdt for row in venue.ledger), abs=1e-8)
