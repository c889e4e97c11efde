"""Which orders are taken, which are refused and why, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from your_short_trade_margin_call.domain.errors import BadInputError, OrderRefusedError
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import OrderStatus, OrderType, Side
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.costs import buy_fill, sell_fill
from your_short_trade_margin_call.rules.luck import ENTRY_SLIPPAGE, EXIT_SLIPPAGE, slippage_bps
from your_short_trade_margin_call.rules.margin import order_cost

from .world import (
    CANDLE_MS,
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


def refused(venue: SimulatedExchange, request: OrderRequest) -> str:
    """The code of the refusal; the account must not change."""
    before = venue.to_state()
    with pytest.raises(OrderRefusedError) as caught:
        venue.place(request)
    after = venue.to_state()
    assert {**after, "writes": before["writes"]} == before
    return caught.value.code


REFUSED_WHILE_FLAT = [
    ("no id", short(link_id=""), "bad_request"),
    ("a long id", short(link_id="x" * 37), "bad_request"),
    ("a buy that is not reduce-only", replace(short(), side=Side.BUY), "short_only"),
    ("a reduce-only sell", replace(short(), reduce_only=True), "reduce_only"),
    ("an exit without a position", close(), "reduce_only"),
    ("a target without a position", target(9000), "reduce_only"),
    ("a stop without a position", stop_order(11000), "reduce_only"),
    ("a limit without a price", replace(short(), order_type=OrderType.LIMIT), "bad_request"),
    ("a stop entry", replace(short(), order_type=OrderType.STOP_MARKET, trigger_ticks=9000), "bad_request"),
    ("no lots", short(lots=0), "below_min_qty"),
    ("too many lots", short(lots=50_001), "above_max_qty"),
    ("more than there is", short(lots=1000), "insufficient_balance"),
    ("leverage below 1", short(leverage=0.5), "leverage"),
    ("leverage above the instrument's", short(leverage=101.0), "leverage"),
    ("a stop below the price of the entry", short(stop=9999), "stop_wrong_side"),
]


@pytest.mark.parametrize(("name", "request_", "code"), REFUSED_WHILE_FLAT, ids=[row[0] for row in REFUSED_WHILE_FLAT])
def test_refused_while_flat(name: str, request_: OrderRequest, code: str) -> None:
    assert refused(exchange(), request_) == code


REFUSED_WITH_A_POSITION = [
    ("another leverage", short(link_id="more", leverage=5.0), "leverage"),
    ("no lots", close(lots=0), "below_min_qty"),
    ("a stop below entry and mark", stop_order(9990), "stop_wrong_side"),
    ("an exit with a stop of its own", replace(close(), attached_stop_ticks=11000), "bad_request"),
    ("the entry's id again", short(), "duplicate_link_id"),
]


@pytest.mark.parametrize(
    ("name", "request_", "code"), REFUSED_WITH_A_POSITION, ids=[row[0] for row in REFUSED_WITH_A_POSITION]
)
def test_refused_with_a_position(name: str, request_: OrderRequest, code: str) -> None:
    venue = exchange()
    venue.place(short())
    assert refused(venue, request_) == code


def test_an_id_is_never_used_twice_not_even_after_its_order_was_final() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(target(9000))
    assert refused(venue, target(9000)) == "duplicate_link_id"
    venue.cancel("target")
    assert refused(venue, target(9000)) == "duplicate_link_id"


def test_the_smallest_quantity_and_value() -> None:
    small = SimulatedExchange(contract(min_lots=3, min_notional_usdt=35.0), terms(), 1000.0, CANDLE_MS)
    small.on_quote(T0, 10_000.0)
    assert refused(small, short(lots=2)) == "below_min_qty"
    assert refused(small, short(lots=3)) == "below_min_notional"
    small.place(short(lots=4))
    small.place(target(9000, lots=1))  # exits are exempt


def test_tiers_cap_the_leverage_and_the_size() -> None:
    rich = exchange(balance=1e6)
    assert refused(rich, short(lots=10_001)) == "leverage"  # 100,010 USDT: the tier of 5x
    rich.place(short(lots=10_000))
    assert refused(rich, short(lots=1, link_id="more")) == "leverage"  # counts what is held
    other = SimulatedExchange(contract(max_lots=10**9), terms(), 1e9, CANDLE_MS)
    other.on_quote(T0, 10_000.0)
    assert refused(other, short(lots=100_001, leverage=2.0)) == "risk_limit"


def test_an_order_may_cost_all_there_is_and_not_a_lot_more() -> None:
    cost = order_cost(1000.0, 1.0, 10.0, 0.00055)
    exchange(balance=cost).place(short(lots=100))
    assert refused(exchange(balance=cost), short(lots=101)) == "insufficient_balance"
    assert refused(exchange(balance=cost - 1e-6), short(lots=100)) == "insufficient_balance"


def test_a_limit_below_the_market_costs_what_the_market_does() -> None:
    """It fills at the market: reckoned at its own price, more would be locked than there is."""
    at_limit, at_market = (order_cost(price, 1.0, 10.0, 0.00055) for price in (990.0, 1000.0))
    assert refused(exchange(balance=(at_limit + at_market) / 2), limit_short(9_900)) == "insufficient_balance"
    exact = exchange(balance=at_market, spread_bps=0.0, slippage_bps=0.0)
    exact.place(limit_short(9_900))
    assert exact.position is not None
    assert exact.position.entry_ticks == 10_000


def test_a_resting_entry_reserves_its_cost() -> None:
    venue = exchange(balance=130.0)
    venue.place(limit_short(10_100))
    assert venue.available_usdt == pytest.approx(130.0 - order_cost(1010.0, 1.0, 10.0, 0.00055), abs=1e-12)
    assert refused(venue, short(lots=30)) == "insufficient_balance"
    venue.cancel("limit-entry")
    assert venue.available_usdt == 130.0


def test_luck_rejects_entries_only() -> None:
    venue = exchange(order_reject_prob=1.0)
    assert refused(venue, short()) == "order_rejected"
    assert venue.find("entry") is None
    lucky = exchange()
    lucky.place(short())
    unlucky = SimulatedExchange.from_state(lucky.to_state(), contract(), terms(order_reject_prob=1.0))
    unlucky.place(close())
    assert unlucky.position is None


def test_before_the_first_quote_and_after_the_market_ended() -> None:
    blind = SimulatedExchange(contract(), terms(), 1000.0)
    assert refused(blind, short()) == "no_quote"
    venue = exchange()
    venue.on_market_end()
    assert refused(venue, short()) == "market_ended"
    venue.cancel("never-was")


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_prices_must_be_prices(price: float) -> None:
    with pytest.raises(BadInputError):
        exchange().on_quote(T0, price)


def test_market_orders_pay_spread_and_the_luck_of_the_candle() -> None:
    venue = exchange(spread_bps=2.0, slippage_bps=3.0)
    venue.place(short())
    key = venue.terms.luck_key
    (entry,) = executions(venue.drain())
    assert entry.price_ticks == sell_fill(10_000.0, 2.0, slippage_bps(key, T0, ENTRY_SLIPPAGE, 3.0))
    venue.on_opening_quote(T0 + CANDLE_MS, 9_900.0, check_guards=True)
    venue.place(close())
    (exit_,) = executions(venue.drain())
    assert exit_.price_ticks == buy_fill(9_900.0, 2.0, slippage_bps(key, T0 + CANDLE_MS, EXIT_SLIPPAGE, 3.0))
    assert exit_.candle_ms == T0 + CANDLE_MS


def test_the_story_of_a_round_trip() -> None:
    venue = exchange()
    assert venue.place(short(stop=10_850)) == "o-000001"
    story = [(row.link_id, row.status.value, row.filled_lots) for row in orders(venue.drain())]
    assert story == [("entry", "new", 0), ("entry", "filled", 100), ("", "untriggered", 0)]
    venue.place(target(9_800))
    venue.run_candle(T0, 10_000, 10_000, 9_700, 9_750)
    story = [(row.link_id, row.status.value, row.filled_lots) for row in orders(venue.drain())]
    assert story == [("target", "new", 0), ("target", "filled", 100), ("", "cancelled", 0)]
    assert venue.position is None
    # 100 lots are 1 coin: sold at 1000, bought at 980, taker fee on the first, maker fee on the second
    assert venue.wallet_usdt == pytest.approx(1000.0 - 0.55 + 20.0 - 0.196, abs=1e-12)


def test_executions_are_told_before_the_status_they_lead_to() -> None:
    venue = exchange()
    venue.place(short())
    kinds = [type(event).__name__ for event in venue.drain()]
    assert kinds == ["OrderChanged", "Executed", "OrderChanged"]


def test_an_exit_larger_than_the_position_is_cut() -> None:
    venue = exchange()
    venue.place(short(lots=30))
    venue.place(close(lots=100))
    assert venue.position is None
    order = venue.find("close")
    assert order is not None
    assert (order.status, order.filled_lots, order.lots) == (OrderStatus.FILLED, 30, 30)


def test_a_partial_close_releases_margin_pro_rata() -> None:
    venue = exchange()
    venue.place(short())
    locked = venue.wallet_usdt - venue.available_usdt
    venue.place(close(lots=25))
    assert venue.wallet_usdt - venue.available_usdt == pytest.approx(locked * 0.75, abs=1e-12)
    assert venue.position is not None
    assert (venue.position.lots, venue.position.entry_ticks) == (-75, 10_000.0)


def test_adding_averages_the_entry() -> None:
    venue = exchange()
    venue.place(short(lots=100))
    venue.on_quote(T0 + 1, 10_300.0)
    venue.place(short(lots=50, link_id="more", stop=10_900))
    assert venue.position is not None
    assert (venue.position.lots, venue.position.entry_ticks, venue.position.stop_ticks) == (-150, 10_100.0, 10_900)


def test_flat_leaves_no_exit_behind() -> None:
    venue = exchange()
    venue.place(short(stop=10_850))
    venue.place(target(9_800))
    venue.place(target(9_700, lots=50, link_id="lower"))
    venue.place(stop_order(10_800))
    venue.drain()
    venue.place(close())
    gone = [row.link_id for row in orders(venue.drain()) if row.status is OrderStatus.CANCELLED]
    assert gone == ["", "target", "lower", "stop"]
    assert venue.account(0).open_orders == ()


def test_several_targets_fill_from_the_highest_down() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(target(9_700, lots=60, link_id="lower"))
    venue.place(target(9_800, lots=60, link_id="upper"))
    venue.drain()
    venue.run_candle(T0, 10_000, 10_000, 9_600, 9_650)
    rows = [(row.link_id, row.lots, row.price_ticks) for row in executions(venue.drain())]
    assert rows == [("upper", 60, 9_800.0), ("lower", 40, 9_700.0)]


def test_the_nearest_stop_fires_and_the_rest_of_the_position_keeps_the_next() -> None:
    venue = exchange()
    venue.place(short(stop=10_850))
    venue.place(stop_order(10_500, lots=40))
    venue.drain()
    venue.run_candle(T0, 10_000, 10_600, 10_000, 10_100)
    (row,) = executions(venue.drain())
    assert (row.link_id, row.lots, row.price_ticks, row.from_stop) == ("stop", 40, 10_500.0, True)
    venue.run_candle(T0 + CANDLE_MS, 10_100, 10_900, 10_000, 10_100)
    (row,) = executions(venue.drain())
    assert (row.link_id, row.lots, row.price_ticks, row.from_stop) == ("", 60, 10_850.0, True)


def test_a_standalone_stop_that_closes_all_retires_the_attached_one() -> None:
    venue = exchange()
    venue.place(short(stop=10_850))
    venue.place(stop_order(10_500))
    venue.run_candle(T0, 10_000, 10_600, 10_000, 10_100)
    last = orders(venue.drain())[-1]
    assert (last.link_id, last.status) == ("", OrderStatus.CANCELLED)


def test_a_resting_entry_fills_on_the_way_up_and_meets_the_rest_of_the_candle() -> None:
    venue = exchange()
    venue.place(limit_short(10_100, stop=10_500))
    venue.run_candle(T0, 10_000, 10_100, 9_990, 10_050)
    assert venue.position is None  # a touch
    venue.run_candle(T0 + CANDLE_MS, 10_050, 10_300, 9_900, 10_000)
    assert venue.position is not None
    assert (venue.position.entry_ticks, venue.position.stop_ticks) == (10_100.0, 10_500)
    again = exchange()
    again.place(limit_short(10_100, stop=10_500))
    again.run_candle(T0, 10_000, 10_600, 9_900, 10_000)
    assert [row.price_ticks for row in executions(again.drain())] == [10_100.0, 10_500.0]


def test_an_entry_above_the_stop_fills_after_the_stop() -> None:
    venue = exchange()
    venue.place(short(lots=10, stop=10_200))
    venue.place(limit_short(10_300, lots=10))
    venue.drain()
    venue.run_candle(T0, 10_000, 10_400, 9_990, 10_050)
    assert [(row.side, row.price_ticks) for row in executions(venue.drain())] == [
        (Side.BUY, 10_200.0),
        (Side.SELL, 10_300.0),
    ]


def test_limits_beyond_the_market_take_it_at_once() -> None:
    venue = exchange(spread_bps=2.0)
    venue.place(limit_short(9_900))
    venue.place(target(10_100))
    sold, bought = executions(venue.drain())
    assert (sold.price_ticks, sold.is_maker, bought.price_ticks, bought.is_maker) == (9_999.0, False, 10_001.0, False)


def test_cancel_is_idempotent() -> None:
    venue = exchange()
    venue.place(short())
    venue.place(target(9_000))
    venue.drain()
    for _ in range(3):
        venue.cancel("target")
    venue.cancel("unknown")
    assert [row.status for row in orders(venue.drain())] == [OrderStatus.CANCELLED]


def test_the_stop_moves_is_removed_and_never_twice() -> None:
    venue = exchange()
    with pytest.raises(OrderRefusedError, match="no position"):
        venue.amend_stop(10_850)
    venue.place(short(stop=10_850))
    venue.drain()
    venue.amend_stop(10_840)
    venue.amend_stop(10_840)
    assert [row.trigger_ticks for row in orders(venue.drain())] == [10_840]
    with pytest.raises(OrderRefusedError) as caught:
        venue.amend_stop(9_990)
    assert caught.value.code == "stop_wrong_side"
    assert venue.position is not None
    assert venue.position.stop_ticks == 10_840
    venue.amend_stop(0)
    assert [row.status for row in orders(venue.drain())] == [OrderStatus.CANCELLED]
    venue.amend_stop(10_900)
    assert venue.position.stop_ticks == 10_900


def test_a_stop_in_profit_is_taken_when_above_the_mark() -> None:
    venue = exchange()
    venue.place(short(stop=10_850))
    venue.on_quote(T0 + 1, 9_500.0)
    venue.amend_stop(9_600)
    venue.on_quote(T0 + 2, 9_600.0)
    assert venue.position is None


def test_a_stop_at_or_below_the_mark_fires_at_the_opening_as_in_the_backtest() -> None:
    venue = exchange()
    venue.place(short(stop=10_000))
    venue.drain()
    venue.run_candle(T0, 10_000, 10_000, 9_500, 9_600)
    (row,) = executions(venue.drain())
    assert (row.price_ticks, row.from_stop) == (10_000.0, True)


def test_the_account_shows_orders_position_and_executions_since() -> None:
    venue = exchange()
    venue.place(short(stop=10_850))
    venue.place(target(9_800))
    view = venue.account(T0)
    assert [order.link_id for order in view.open_orders] == ["target"]
    assert view.position is not None
    assert (view.position.lots, view.position.stop_ticks, view.position.liquidation_ticks) == (-100, 10_850, 10_945.0)
    assert len(view.executions) == 1
    assert venue.account(T0 + 1).executions == ()
    assert venue.find("nothing") is None
