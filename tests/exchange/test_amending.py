"""Orders that change, margin that is added, orders that may not fill as they like, and a wallet that pairs share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from your_short_trade_margin_call.domain.errors import OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, OrderType, Side
from your_short_trade_margin_call.exchange.desk import Arrival
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange

from .world import (
    CANDLE_MS,
    LIQUIDATION,
    T0,
    close,
    contract,
    exchange,
    executions,
    limit_short,
    orders,
    short,
    stop_order,
    target,
    terms,
)


def code_of(error: pytest.ExceptionInfo[OrderRefusedError]) -> str:
    return error.value.code


def restarted(venue: SimulatedExchange) -> SimulatedExchange:
    return SimulatedExchange.from_state(venue.to_state(), venue.contract, venue.terms, venue.faults)


# ---- amending -----------------------------------------------------------------------------------


def test_a_target_moves_and_shrinks() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(target(9_800))
    venue.drain()
    venue.amend_order("target", lots=40, price_ticks=9_900)
    (told,) = orders(venue.drain())
    assert (told.lots, told.price_ticks, told.status) == (40, 9_900, OrderStatus.NEW)
    restarted(venue).check()
    venue.run_candle(T0, 10_000, 10_000, 9_890, 9_950)
    (fill,) = executions(venue.drain())
    assert (fill.lots, fill.price_ticks, fill.is_maker) == (40, 9_900.0, True)


def test_amended_beyond_the_market_it_takes() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(target(9_800))
    venue.drain()
    venue.amend_order("target", price_ticks=10_100)
    (fill,) = executions(venue.drain())
    assert (fill.price_ticks, fill.is_maker) == (10_000.0, False)


def test_a_resting_entry_costs_what_it_is_now() -> None:
    venue = exchange()
    venue.place(limit_short(10_100))
    before = venue.available_usdt
    venue.amend_order("limit-entry", lots=200)
    assert 1_000.0 - venue.available_usdt == pytest.approx(2 * (1_000.0 - before))
    with pytest.raises(OrderRefusedError) as error:
        venue.amend_order("limit-entry", lots=2_000)
    assert code_of(error) == "insufficient_balance"
    order = venue.find("limit-entry")
    assert order is not None
    assert order.lots == 200


def test_everything_can_be_put_into_an_entry_that_rests_already() -> None:
    """What it reserves counts as available for itself."""
    venue = exchange(balance=130.0)
    venue.place(limit_short(10_100, lots=100))
    venue.amend_order("limit-entry", lots=125)
    assert 0.0 <= venue.available_usdt < 5.0


def test_a_stop_of_its_own_moves() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(stop_order(10_500))
    venue.amend_order("stop", trigger_ticks=10_400)
    venue.run_candle(T0, 10_000, 10_450, 9_990, 10_000)
    assert venue.executions[-1].price_ticks == 10_400.0


REFUSED = [
    ("one that never was", "nobody", {"lots": 5}, "no_order"),
    ("one that is filled", "entry", {"lots": 5}, "no_order"),
    ("to nothing", "target", {"lots": 0}, "bad_request"),
    ("to no price", "target", {"price_ticks": 0}, "bad_request"),
    ("a stop to the wrong side", "stop", {"trigger_ticks": 9_000}, "stop_wrong_side"),
    ("an entry below the smallest value", "limit-entry", {"lots": 0}, "bad_request"),
    ("an entry above the largest order", "limit-entry", {"lots": 60_000}, "above_max_qty"),
]


@pytest.mark.parametrize(("name", "link_id", "change", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_amendments_change_nothing(name: str, link_id: str, change: dict[str, int], code: str) -> None:
    venue = exchange()
    venue.place(short(lots=10))
    venue.place(target(9_800, lots=10))
    venue.place(stop_order(10_500, lots=10))
    venue.place(limit_short(10_100, lots=10))
    before = venue.to_state()
    with pytest.raises(OrderRefusedError) as error:
        venue.amend_order(link_id, **change)
    assert code_of(error) == code
    assert {**venue.to_state(), "writes": before["writes"]} == before


def test_less_than_what_is_filled_is_refused() -> None:
    venue = exchange(faults=FaultPlan.script({2: Fault.PARTIAL_FILL}))
    venue.place(short())
    venue.place(target(9_800))
    order = venue.find("target")
    assert order is not None
    with pytest.raises(OrderRefusedError) as error:
        venue.amend_order("target", lots=0)
    assert code_of(error) == "bad_request"


def test_an_amendment_can_be_lost_like_any_write() -> None:
    venue = exchange(faults=FaultPlan.script({3: Fault.LOST_ANSWER}))
    venue.place(short())
    venue.place(target(9_800))
    with pytest.raises(OutcomeUnknownError):
        venue.amend_order("target", price_ticks=9_900)
    order = venue.find("target")
    assert order is not None
    assert order.price_ticks == 9_900


# ---- leverage -----------------------------------------------------------------------------------


def leveraged(venue: SimulatedExchange) -> tuple[float, float]:
    """Leverage and liquidation price of the open position."""
    assert venue.position is not None
    return venue.position.leverage, venue.position.liquidation_ticks


def test_another_leverage_moves_margin_and_liquidation() -> None:
    """At 5x the short of 100 lots locks 200 USDT and the fee to close at 1200; liquidation is 1000 * 1.2 / 1.005."""
    venue = exchange()
    venue.place(short(stop=10_500))
    venue.change_leverage(5.0)
    assert leveraged(venue) == (5.0, 11_940)
    assert venue.available_usdt == pytest.approx(1_000.0 - 0.55 - 200.0 - 1_200.0 * 0.00055)
    assert venue.position is not None
    assert venue.position.stop_ticks == 10_500
    restarted(venue).check()
    venue.change_leverage(10.0)
    assert leveraged(venue) == (10.0, LIQUIDATION)


def test_resting_entries_take_it_over() -> None:
    venue = exchange()
    venue.place(limit_short(10_100))
    venue.change_leverage(5.0)
    reserved = 202.0 + 1_010.0 * 0.00055 + 1_212.0 * 0.00055
    assert venue.available_usdt == pytest.approx(1_000.0 - reserved)
    venue.run_candle(T0, 10_000, 10_200, 9_990, 10_150)
    assert leveraged(venue)[0] == 5.0
    with pytest.raises(OrderRefusedError) as error:
        venue.place(short(lots=10, link_id="as before"))
    assert code_of(error) == "leverage"


def test_another_leverage_resets_what_was_added_and_what_funding_took() -> None:
    venue = exchange()
    venue.place(short())
    venue.add_margin(50.0)
    venue.change_leverage(5.0)
    venue.change_leverage(10.0)
    assert leveraged(venue) == (10.0, LIQUIDATION)
    poor = exchange(balance=101.2)
    poor.place(short())
    poor.settle_funding(T0 + CANDLE_MS, -0.01, 10_000.0)
    assert leveraged(poor)[1] < LIQUIDATION
    with pytest.raises(OrderRefusedError) as error:
        poor.change_leverage(9.9)
    assert code_of(error) == "insufficient_balance"
    poor.change_leverage(20.0)
    assert poor.position is not None
    assert poor.position.extra_margin_usdt == 0.0


@pytest.mark.parametrize(
    ("leverage", "mark", "code"),
    [
        (0.5, 10_000.0, "leverage"),
        (101.0, 10_000.0, "leverage"),
        (1.0, 10_000.0, "insufficient_balance"),
        (20.0, 10_600.0, "would_liquidate"),
    ],
)
def test_a_leverage_that_is_refused_changes_nothing(leverage: float, mark: float, code: str) -> None:
    venue = exchange()
    venue.place(short())
    venue.place(limit_short(11_000, lots=10))
    venue.on_opening_quote(T0, 10_000.0, mark, check_guards=False)
    before = venue.to_state()
    with pytest.raises(OrderRefusedError) as error:
        venue.change_leverage(leverage)
    assert code_of(error) == code
    assert {**venue.to_state(), "writes": 0} == {**before, "writes": 0}


def test_the_tier_of_position_and_entries_caps_the_leverage() -> None:
    venue = exchange(balance=1e6)
    venue.place(short(lots=6_000))
    venue.place(limit_short(10_001, lots=3_900))
    venue.on_opening_quote(T0, 10_000.0, 10_300.0, check_guards=False)
    with pytest.raises(OrderRefusedError) as error:
        venue.change_leverage(6.0)
    assert code_of(error) == "leverage"
    venue.change_leverage(5.0)


# ---- added margin -------------------------------------------------------------------------------


def test_added_margin_moves_liquidation_away_and_is_locked() -> None:
    venue = exchange()
    venue.place(short())
    available = venue.available_usdt
    venue.add_margin(50.0)
    position = venue.position
    assert position is not None
    assert position.extra_margin_usdt == 50.0
    assert position.liquidation_ticks > LIQUIDATION + 400
    assert venue.available_usdt == pytest.approx(available - 50.0)
    again = restarted(venue)
    assert again.to_state() == venue.to_state()
    again.add_margin(-50.0)
    assert again.position is not None
    assert again.position.liquidation_ticks == LIQUIDATION


def test_liquidation_takes_the_added_margin_too() -> None:
    venue = exchange()
    venue.place(short())
    venue.add_margin(50.0)
    wallet, margin = venue.wallet_usdt, venue.wallet_usdt - venue.available_usdt
    venue.run_candle(T0, 10_000, 12_000, 10_000, 12_000)
    assert executions(venue.drain())[-1].kind is ExecutionKind.LIQUIDATION
    assert venue.wallet_usdt == pytest.approx(wallet - margin)


@pytest.mark.parametrize(
    ("usdt", "mark", "code"),
    [
        (0.0, None, "bad_request"),
        (1_000.0, None, "insufficient_balance"),
        (-51.0, None, "margin_reduction"),
        (-50.0, 11_200.0, "would_liquidate"),
    ],
)
def test_margin_that_cannot_change(usdt: float, mark: float | None, code: str) -> None:
    venue = exchange()
    venue.place(short())
    venue.add_margin(50.0)
    venue.on_opening_quote(T0, 10_000.0, mark, check_guards=False)
    with pytest.raises(OrderRefusedError) as error:
        venue.add_margin(usdt)
    assert code_of(error) == code
    assert venue.position is not None
    assert venue.position.extra_margin_usdt == 50.0


def test_without_a_position_there_is_nothing_to_add_to() -> None:
    with pytest.raises(OrderRefusedError) as error:
        exchange().add_margin(1.0)
    assert code_of(error) == "no_position"


# ---- how an order may arrive ----------------------------------------------------------------------


LIMIT_AT_9_000 = replace(limit_short(9_000), link_id="low")

ARRIVALS = [
    ("a market order within its bound", short(), Arrival(worst_ticks=9_900), OrderStatus.FILLED, ""),
    ("a market order beyond its bound", short(), Arrival(worst_ticks=10_001), OrderStatus.CANCELLED, "no_liquidity"),
    ("immediate only, and it cannot", limit_short(10_100), Arrival(immediate_only=True), "cancelled", "no_liquidity"),
    ("immediate only, and it can", LIMIT_AT_9_000, Arrival(immediate_only=True), OrderStatus.FILLED, ""),
    ("post only, and it would take", LIMIT_AT_9_000, Arrival(post_only=True), OrderStatus.CANCELLED, "post_only"),
    ("post only, and it rests", limit_short(10_100), Arrival(post_only=True), OrderStatus.NEW, ""),
]


@pytest.mark.parametrize(("name", "request_", "arrival", "status", "reason"), ARRIVALS, ids=[r[0] for r in ARRIVALS])
def test_arrivals(name: str, request_: OrderRequest, arrival: Arrival, status: str, reason: str) -> None:
    venue = exchange()
    venue.place(request_, arrival)
    told = orders(venue.drain())
    assert told[0].status is OrderStatus.NEW
    assert (told[-1].status, told[-1].reason) == (status, reason)
    assert (venue.position is not None) == (status == OrderStatus.FILLED)


def test_a_close_beyond_its_bound_leaves_the_position() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(close(), Arrival(worst_ticks=9_999))
    assert venue.position is not None
    assert venue.find("close") is not None


# ---- what the venue does ----------------------------------------------------------------------------


def test_the_venue_takes_over_whenever_it_likes() -> None:
    venue = exchange()
    venue.take_over(T0)
    venue.place(short(stop=10_500))
    venue.place(target(9_800))
    venue.drain()
    venue.take_over(T0 + 5)
    told = venue.drain()
    assert [row.kind for row in executions(told)] == [ExecutionKind.LIQUIDATION]
    assert {row.reason for row in orders(told)} == {"liquidation"}
    assert venue.position is None


def test_faults_can_be_changed_on_the_way() -> None:
    venue = exchange()
    venue.change_faults(FaultPlan.script({venue.writes + 1: Fault.REJECT}))
    with pytest.raises(OrderRefusedError) as error:
        venue.place(short())
    assert code_of(error) == "exchange_error"
    venue.place(short())
    assert venue.position is not None


# ---- a shared wallet --------------------------------------------------------------------------------


def shared(balance: float = 1_000.0) -> tuple[SimulatedExchange, SimulatedExchange]:
    """Two pairs with one wallet, which the first one brings."""
    first = exchange(balance)
    second = SimulatedExchange(contract(), terms(), 0.0, CANDLE_MS)
    second.on_opening_quote(T0, 10_000.0, check_guards=False)
    first.share_wallet(lambda: second.own_available_usdt)
    second.share_wallet(lambda: first.own_available_usdt)
    return first, second


def test_what_one_pair_locks_the_other_cannot_spend() -> None:
    first, second = shared()
    assert second.available_usdt == 1_000.0
    first.place(short(lots=900))
    assert second.available_usdt == first.available_usdt < 100.0
    with pytest.raises(OrderRefusedError) as error:
        second.place(short())
    assert code_of(error) == "insufficient_balance"


def test_what_one_pair_earns_the_other_can_spend() -> None:
    first, second = shared(150.0)
    first.place(short())
    first.run_candle(T0, 10_000, 10_000, 5_000, 5_000)
    first.place(close())
    assert first.wallet_usdt > 600.0
    second.place(short(lots=400))
    assert second.position is not None
    assert second.wallet_usdt < 0.0 < second.available_usdt


def test_funding_is_paid_from_what_all_pairs_leave() -> None:
    first, second = shared()
    second.place(short())
    second.settle_funding(T0 + 1, -0.05, 10_000.0)
    position = second.position
    assert position is not None
    assert position.extra_margin_usdt == 0.0, "the first pair's money was there to pay"
    first.place(limit_short(10_500, lots=785))
    second.settle_funding(T0 + 2, -0.05, 10_000.0)
    assert second.position is not None
    assert second.position.extra_margin_usdt < 0.0


def test_a_pair_alone_counts_as_before() -> None:
    alone, sharing = exchange(), exchange()
    sharing.share_wallet(lambda: 0.0)
    for venue in (alone, sharing):
        venue.place(short(stop=10_500))
        venue.run_candle(T0, 10_000, 10_600, 9_990, 10_000)
    assert sharing.to_state() == alone.to_state()
    assert sharing.find("entry") == alone.find("entry")
    assert sharing.executions[-1].side is Side.BUY
    assert close().order_type is OrderType.MARKET
