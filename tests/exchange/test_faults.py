"""Each fault of the menu does what it says, and nothing else."""

from __future__ import annotations

import pytest

from your_short_trade_margin_call.domain.errors import (
    ExchangeError,
    OrderRefusedError,
    OutcomeUnknownError,
    SettingError,
)
from your_short_trade_margin_call.domain.messages import Executed, OrderChanged, StreamLost, StreamRestored
from your_short_trade_margin_call.domain.words import OrderStatus
from your_short_trade_margin_call.exchange.faults import AnswerLateError, Fault, FaultPlan
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange

from .world import T0, close, exchange, executions, orders, short, target


def with_faults(requests: dict[int, Fault | tuple[Fault, ...]], seed: int = 0) -> SimulatedExchange:
    return exchange(faults=FaultPlan.script(requests, seed=seed, outage_requests=3))


def test_a_lost_answer_the_order_exists_and_a_second_one_is_refused() -> None:
    venue = with_faults({1: Fault.LOST_ANSWER})
    with pytest.raises(OutcomeUnknownError) as caught:
        venue.place(short())
    assert not isinstance(caught.value, AnswerLateError)
    order = venue.find("entry")
    assert order is not None
    assert order.status is OrderStatus.FILLED
    with pytest.raises(OrderRefusedError) as refused:
        venue.place(short())
    assert refused.value.code == "duplicate_link_id"
    assert len(executions(venue.drain())) == 1


def test_a_refusal_whose_answer_is_lost_leaves_nothing() -> None:
    venue = with_faults({1: Fault.LOST_ANSWER})
    with pytest.raises(OutcomeUnknownError):
        venue.place(short(lots=10_000))
    assert venue.find("entry") is None


def test_a_late_answer_can_be_told_apart_by_a_driver() -> None:
    venue = with_faults({1: Fault.LATE_ANSWER})
    with pytest.raises(AnswerLateError):
        venue.place(short())
    assert len(executions(venue.drain())) == 1


def test_a_request_that_never_arrived() -> None:
    venue = with_faults({1: Fault.NEVER_ARRIVED})
    with pytest.raises(OutcomeUnknownError):
        venue.place(short())
    assert venue.find("entry") is None
    assert venue.drain() == []
    venue.place(short())


def test_amending_and_cancelling_meet_the_same_faults() -> None:
    venue = with_faults({3: Fault.LOST_ANSWER, 4: Fault.NEVER_ARRIVED, 5: Fault.REJECT})
    venue.place(short(stop=10_850))
    venue.place(target(9_000))
    with pytest.raises(OutcomeUnknownError):
        venue.amend_stop(10_840)
    with pytest.raises(OutcomeUnknownError):
        venue.cancel("target")
    with pytest.raises(OrderRefusedError):
        venue.amend_stop(10_830)
    view = venue.account(0)
    assert view.position is not None
    assert view.position.stop_ticks == 10_840
    assert [order.link_id for order in view.open_orders] == ["target"]


def test_a_reject_and_a_late_reject() -> None:
    venue = with_faults({1: Fault.REJECT, 2: Fault.LATE_REJECT})
    with pytest.raises(OrderRefusedError) as caught:
        venue.place(short())
    assert caught.value.code == "exchange_error"
    assert venue.find("entry") is None
    assert venue.place(short(link_id="second"))
    (order,) = orders(venue.drain())
    assert (order.status, order.filled_lots, order.reason) == (OrderStatus.REJECTED, 0, "exchange_error")
    assert venue.position is None


def test_rejects_by_rate_hit_entries_only() -> None:
    venue = exchange(faults=FaultPlan(reject=1.0, late_reject=1.0))
    with pytest.raises(OrderRefusedError):
        venue.place(short())
    plan = FaultPlan(reject=1.0)
    assert plan.request_fault(1, is_entry=True) is Fault.REJECT
    assert plan.request_fault(1, is_entry=False) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_partial_fill_comes_in_parts_at_one_price_and_sums_up(seed: int) -> None:
    venue = with_faults({1: Fault.PARTIAL_FILL, 2: Fault.PARTIAL_FILL}, seed)
    venue.place(short(stop=10_850))
    venue.place(target(9_800))
    venue.run_candle(T0, 10_000, 10_000, 9_700, 9_750)
    events = venue.drain()
    rows = executions(events)
    for link_id, price in (("entry", 10_000.0), ("target", 9_800.0)):
        parts = [row.lots for row in rows if row.link_id == link_id]
        assert len(parts) in (2, 3)
        assert sum(parts) == 100
        assert {row.price_ticks for row in rows if row.link_id == link_id} == {price}
        statuses = [order.status for order in orders(events) if order.link_id == link_id]
        assert statuses[1:] == [OrderStatus.PARTIALLY_FILLED] * (len(parts) - 1) + [OrderStatus.FILLED]
    assert venue.position is None
    whole = with_faults({})
    whole.place(short(stop=10_850))
    whole.place(target(9_800))
    whole.run_candle(T0, 10_000, 10_000, 9_700, 9_750)
    assert venue.wallet_usdt == pytest.approx(whole.wallet_usdt, abs=1e-9)


def test_an_entry_filled_in_part_then_cancelled_keeps_its_stop_on_the_part() -> None:
    venue = with_faults({1: Fault.PARTIAL_THEN_CANCEL})
    venue.place(short(stop=10_850))
    order = venue.find("entry")
    assert order is not None
    assert order.status is OrderStatus.CANCELLED
    assert 0 < order.filled_lots < 100
    assert venue.position is not None
    assert (venue.position.lots, venue.position.stop_ticks) == (-order.filled_lots, 10_850)


def test_a_close_cancelled_for_want_of_liquidity_leaves_the_rest_open() -> None:
    venue = with_faults({2: Fault.PARTIAL_THEN_CANCEL})
    venue.place(short(stop=10_850))
    venue.place(close())
    assert venue.position is not None
    order = venue.find("close")
    assert order is not None
    assert order.filled_lots - 100 == venue.position.lots
    venue.place(close(link_id="close-2"))
    assert venue.position is None


def test_a_single_lot_is_cancelled_unfilled() -> None:
    venue = with_faults({1: Fault.PARTIAL_THEN_CANCEL})
    venue.place(short(lots=1))
    assert venue.position is None
    assert [order.status for order in orders(venue.drain())] == [OrderStatus.NEW, OrderStatus.CANCELLED]


def test_a_duplicated_event() -> None:
    venue = with_faults({1: Fault.DUPLICATE_EVENT})
    venue.place(short())
    events = venue.drain()
    assert events[0] == events[1]
    assert len(events) == 4


def test_a_reordered_event() -> None:
    venue = with_faults({1: Fault.REORDERED_EVENT})
    venue.place(short())
    assert [type(event) for event in venue.drain()] == [Executed, OrderChanged, OrderChanged]


def test_a_disconnect_loses_events_for_good_while_requests_still_work() -> None:
    venue = with_faults({1: Fault.DISCONNECT})
    venue.place(short())
    assert not venue.connected
    venue.settle_funding(T0 + 1, 0.001, 10_000.0)
    assert venue.drain() == [StreamLost(T0)]
    venue.reconnect(T0 + 2)
    venue.reconnect(T0 + 2)
    assert venue.drain() == [StreamRestored(T0 + 2)]
    assert len(venue.account(0).executions) == 2
    venue.disconnect(T0 + 3)
    venue.disconnect(T0 + 4)
    assert venue.drain() == [StreamLost(T0 + 3)]


def test_an_outage_fails_every_request_for_a_while() -> None:
    venue = with_faults({2: Fault.OUTAGE})
    venue.place(short(stop=10_850))
    with pytest.raises(OutcomeUnknownError):
        venue.amend_stop(10_840)
    with pytest.raises(ExchangeError):
        venue.find("entry")
    with pytest.raises(ExchangeError):
        venue.account(0)
    view = venue.account(0)
    assert view.position is not None
    assert view.position.stop_ticks == 10_850


def test_a_plan_is_a_function_of_its_seed() -> None:
    plan, same, other = (FaultPlan(seed, lost_answer=0.3, partial_fill=0.3, duplicate_event=0.3) for seed in (1, 1, 2))

    def drawn(some: FaultPlan) -> list[object]:
        return [
            (some.request_fault(n, is_entry=True), some.fill_fault(n, is_market=True), some.event_fault(n))
            for n in range(200)
        ]

    assert drawn(plan) == drawn(same) != drawn(other)
    hits = sum(plan.request_fault(n, is_entry=True) is Fault.LOST_ANSWER for n in range(2000))
    assert 500 < hits < 700


def test_parts_are_positive_and_sum_up() -> None:
    plan = FaultPlan(7)
    for number in range(200):
        for lots in (1, 2, 3, 5, 1000):
            parts = plan.parts(number, lots)
            assert sum(parts) == lots
            assert all(part > 0 for part in parts)
            assert len(parts) == 1 if lots == 1 else len(parts) in (2, 3)


def test_rates_are_checked() -> None:
    with pytest.raises(SettingError):
        FaultPlan(lost_answer=1.5)
    with pytest.raises(SettingError):
        FaultPlan(outage_requests=0)
    assert FaultPlan.none() == FaultPlan()
