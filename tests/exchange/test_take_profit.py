"""Take profits: attached to a position or of their own, a market buy when the last price falls to the trigger."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from your_short_trade_margin_call.domain.errors import OrderRefusedError
from your_short_trade_margin_call.domain.messages import Order, OrderRequest
from your_short_trade_margin_call.domain.words import OrderStatus, OrderType
from your_short_trade_margin_call.exchange.book import Triggers
from your_short_trade_margin_call.exchange.desk import Arrival
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.terms import NO_PRICE

from .world import CANDLE_MS, T0, close, contract, exchange, executions, limit_short, orders, short, stop_order, target

AT_9800 = Arrival(take_profit_ticks=9_800)


def profit_order(trigger: int, lots: int = 100, link_id: str = "profit") -> OrderRequest:
    """A take profit of its own."""
    return replace(stop_order(trigger, lots, link_id), order_type=OrderType.TAKE_PROFIT_MARKET)


def protected(stop: int | None = 10_500, take_profit: int = 9_800) -> SimulatedExchange:
    """A short of 100 lots at 10000 ticks with both attached; what it told is forgotten."""
    venue = exchange()
    venue.place(short(stop=stop), Arrival(take_profit_ticks=take_profit))
    venue.drain()
    return venue


def ends(told: list[Order]) -> dict[OrderType, OrderStatus]:
    """How the attached orders ended."""
    return {order.order_type: order.status for order in told if not order.link_id and order.status.is_final}


# ---- how it comes and goes ----------------------------------------------------------------------


def test_it_travels_inside_an_entry_and_shows_as_an_order() -> None:
    venue = exchange()
    venue.place(short(stop=10_500), AT_9800)
    stop, profit = orders(venue.drain())[-2:]
    assert (stop.order_type, stop.trigger_ticks) == (OrderType.STOP_MARKET, 10_500)
    assert (profit.order_type, profit.trigger_ticks, profit.lots) == (OrderType.TAKE_PROFIT_MARKET, 9_800, 100)
    assert (profit.status, profit.reduce_only, profit.link_id) == (OrderStatus.UNTRIGGERED, True, "")
    assert venue.take_profit_ticks == 9_800


def test_it_is_attached_moved_and_removed_later() -> None:
    venue = exchange()
    venue.place(short())
    for trigger in (9_800, 9_900, 9_900):
        venue.amend_attached(Triggers(take_profit=trigger))
    told = [order for order in orders(venue.drain()) if not order.link_id]
    assert [order.trigger_ticks for order in told] == [9_800, 9_900], "the same again changes nothing"
    assert len({order.order_id for order in told}) == 1
    venue.amend_attached(Triggers(take_profit=0))
    (gone,) = orders(venue.drain())
    assert (gone.status, venue.take_profit_ticks) == (OrderStatus.CANCELLED, None)


def test_what_is_not_named_stays_and_what_no_price_reaches_is_removed() -> None:
    venue = protected()
    venue.amend_stop(10_400)
    assert venue.take_profit_ticks == 9_800
    venue.amend_attached(Triggers(stop=NO_PRICE))
    assert venue.position is not None
    assert (venue.position.stop_ticks, venue.take_profit_ticks) == (None, 9_800)


@pytest.mark.parametrize("trigger", [10_000, 10_100])
def test_one_that_is_not_below_the_market_is_refused_and_nothing_moves(trigger: int) -> None:
    venue = protected()
    before = venue.to_state()
    with pytest.raises(OrderRefusedError) as error:
        venue.amend_attached(Triggers(stop=10_400, take_profit=trigger))
    assert error.value.code == "take_profit_wrong_side"
    assert {**venue.to_state(), "writes": 0} == {**before, "writes": 0}


def test_a_pair_with_a_stop_on_the_wrong_side_is_refused_as_one() -> None:
    venue = protected()
    with pytest.raises(OrderRefusedError) as error:
        venue.amend_attached(Triggers(stop=9_900, take_profit=9_700))
    assert (error.value.code, venue.take_profit_ticks) == ("stop_wrong_side", 9_800)


def test_an_entry_needs_it_below_its_price() -> None:
    venue = exchange()
    for request, trigger in ((short(), 10_000), (limit_short(10_100), 10_100)):
        with pytest.raises(OrderRefusedError) as error:
            venue.place(request, Arrival(take_profit_ticks=trigger))
        assert error.value.code == "take_profit_wrong_side"
    venue.place(limit_short(10_100), Arrival(take_profit_ticks=10_050))


def test_an_exit_takes_none_along() -> None:
    venue = exchange()
    venue.place(short())
    with pytest.raises(OrderRefusedError) as error:
        venue.place(close(), AT_9800)
    assert error.value.code == "bad_request"
    with pytest.raises(OrderRefusedError):
        exchange().amend_attached(Triggers(take_profit=9_000))


def test_a_resting_entry_changes_what_it_brings() -> None:
    venue = exchange()
    venue.place(limit_short(10_100, stop=10_600), Arrival(take_profit_ticks=9_800))
    venue.amend_order("limit-entry", attached=Triggers(stop=0, take_profit=9_700))
    with pytest.raises(OrderRefusedError) as error:
        venue.amend_order("limit-entry", attached=Triggers(take_profit=10_100))
    assert error.value.code == "take_profit_wrong_side"
    venue.run_candle(T0, 10_000, 10_200, 9_990, 10_150)
    assert venue.position is not None
    assert (venue.position.stop_ticks, venue.take_profit_ticks) == (None, 9_700)
    venue.place(target(9_000))
    with pytest.raises(OrderRefusedError) as error:
        venue.amend_order("target", attached=Triggers(take_profit=8_000))
    assert error.value.code == "bad_request"


# ---- how it fires -------------------------------------------------------------------------------


def test_a_touch_triggers_it_and_it_buys_at_market() -> None:
    venue = exchange(spread_bps=2.0)
    venue.place(short(stop=10_500), AT_9800)
    venue.drain()
    venue.run_candle(T0, 10_000, 10_010, 9_801, 9_810)
    assert venue.drain() == []
    venue.run_candle(T0 + CANDLE_MS, 9_810, 9_820, 9_800, 9_810)
    told = venue.drain()
    (fill,) = executions(told)
    assert (fill.price_ticks, fill.is_maker, fill.lots, fill.from_stop) == (9_801.0, False, 100, False)
    assert ends(orders(told)) == {
        OrderType.TAKE_PROFIT_MARKET: OrderStatus.FILLED,
        OrderType.STOP_MARKET: OrderStatus.CANCELLED,
    }
    assert venue.position is None


def test_when_the_stop_fires_it_is_cancelled() -> None:
    venue = protected()
    venue.run_candle(T0, 10_000, 10_600, 9_990, 10_000)
    told = venue.drain()
    assert [fill.from_stop for fill in executions(told)] == [True]
    assert ends(orders(told)) == {
        OrderType.STOP_MARKET: OrderStatus.FILLED,
        OrderType.TAKE_PROFIT_MARKET: OrderStatus.CANCELLED,
    }


def test_the_adverse_move_comes_first() -> None:
    venue = protected()
    venue.run_candle(T0, 10_000, 10_600, 9_700, 10_000)
    assert [fill.price_ticks for fill in executions(venue.drain())] == [10_500.0]


def test_an_opening_beyond_it_fires_it_there() -> None:
    venue = protected()
    venue.on_opening_quote(T0 + CANDLE_MS, 9_700.0, check_guards=True)
    assert [fill.price_ticks for fill in executions(venue.drain())] == [9_700.0]


def test_a_quote_beyond_it_fires_it_there() -> None:
    venue = protected()
    venue.on_quote(T0 + 1_000, 9_801.0)
    assert venue.position is not None
    venue.on_quote(T0 + 2_000, 9_750.0)
    assert [fill.price_ticks for fill in executions(venue.drain())] == [9_750.0]


def test_set_late_in_a_candle_it_fills_no_better_than_its_trigger() -> None:
    """The candle opened below; what is left of it is known only as a whole."""
    venue = exchange()
    venue.place(short())
    venue.amend_attached(Triggers(take_profit=9_900))
    venue.run_candle(T0, 9_600, 10_000, 9_600, 9_950)
    assert venue.executions[-1].price_ticks == 9_900.0


def test_the_last_price_decides_not_the_mark() -> None:
    venue = protected(stop=None)
    venue.on_quote(T0 + 1_000, 9_900.0, 9_500.0)
    assert venue.position is not None


def test_what_lies_higher_comes_first_on_the_way_down() -> None:
    venue = protected(stop=None)
    venue.place(target(9_900, lots=40))
    venue.place(profit_order(9_850, lots=10))
    venue.place(target(9_800, lots=5, link_id="touched"))
    venue.run_candle(T0, 10_000, 10_000, 9_800, 9_900)
    done = [(fill.link_id, fill.price_ticks, fill.lots, fill.is_maker) for fill in executions(venue.drain())]
    assert done == [("target", 9_900.0, 40, True), ("profit", 9_850.0, 10, False), ("", 9_800.0, 50, False)]
    last = venue.find("touched")
    assert last is not None
    assert (last.status, last.reason) == (OrderStatus.CANCELLED, "position_closed")


def test_it_covers_the_position_however_that_changes() -> None:
    venue = protected()
    venue.place(close(40))
    venue.place(short(lots=25, link_id="more"))
    venue.drain()
    venue.on_quote(T0 + 1_000, 9_800.0)
    (fill,) = executions(venue.drain())
    assert fill.lots == 85


@pytest.mark.parametrize("how", ["close", "liquidation", "adl"])
def test_it_goes_with_its_position(how: str) -> None:
    venue = protected(stop=None)
    if how == "close":
        venue.place(close())
    elif how == "liquidation":
        venue.take_over(T0 + 1_000)
    else:
        venue.auto_deleverage(T0 + 1_000, 100, 10_000)
    assert ends(orders(venue.drain())) == {OrderType.TAKE_PROFIT_MARKET: OrderStatus.CANCELLED}
    assert venue.take_profit_ticks is None


# ---- of its own ---------------------------------------------------------------------------------


def test_one_of_its_own_is_placed_moved_and_fires() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(profit_order(9_800, lots=40))
    with pytest.raises(OrderRefusedError) as error:
        venue.place(profit_order(10_000, link_id="above"))
    assert error.value.code == "take_profit_wrong_side"
    venue.amend_order("profit", trigger_ticks=9_900)
    with pytest.raises(OrderRefusedError):
        venue.amend_order("profit", trigger_ticks=10_100)
    venue.on_quote(T0 + 1_000, 9_900.0)
    assert venue.position is not None
    assert (venue.position.lots, venue.executions[-1].link_id) == (-60, "profit")


def test_one_of_its_own_needs_a_position_and_a_trigger() -> None:
    with pytest.raises(OrderRefusedError) as error:
        exchange().place(profit_order(9_800))
    assert error.value.code == "reduce_only"
    venue = exchange()
    venue.place(short())
    with pytest.raises(OrderRefusedError) as error:
        venue.place(replace(profit_order(9_800), trigger_ticks=None))
    assert error.value.code == "bad_request"


# ---- a restart ----------------------------------------------------------------------------------


def test_a_restart_keeps_it() -> None:
    venue = protected()
    venue.place(limit_short(10_100, lots=10), Arrival(take_profit_ticks=9_700))
    state = json.loads(json.dumps(venue.to_state(), allow_nan=False))
    again = SimulatedExchange.from_state(state, contract(), venue.terms)
    for one in (venue, again):
        one.run_candle(T0, 10_000, 10_200, 9_750, 9_800)
        one.run_candle(T0 + CANDLE_MS, 9_800, 9_800, 9_700, 9_700)
    assert again.to_state() == venue.to_state()
    assert venue.position is None


def test_a_state_from_before_there_were_any_is_read() -> None:
    venue = exchange()
    venue.place(short(stop=10_500))
    venue.place(limit_short(10_100))
    state = venue.to_state()
    del state["position"]["take_profit"], state["open_orders"][0]["attached_take_profit_ticks"]
    again = SimulatedExchange.from_state(state, contract(), venue.terms)
    assert again.to_state() == venue.to_state()
