"""Never naked (I1): the stop rests on the exchange, is set again when it is not there, or the short is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.scenarios.market_table import at
from tests.trading.rough import QUIET, STOP_HIT, TARGET_HIT, RoughVenue, assert_in_order, play, world
from your_short_trade_margin_call.domain.errors import OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Event,
    Executed,
    Order,
    OrderChanged,
    OrderRequest,
    QuoteArrived,
)
from your_short_trade_margin_call.domain.words import OrderStatus, OrderType, Purpose, Side
from your_short_trade_margin_call.trading.stop_watch import NAKED_MS, TRIES

MARKET = world(*[QUIET] * 8)
STOP = 2_167


def ticks(venue: RoughVenue, *seconds: int) -> list[QuoteArrived]:
    """Quotes in the middle of a candle."""
    now = venue.clock.now_ms()
    return [QuoteArrived(now + 1_000 * second, 2_000.0) for second in seconds]


class WithoutStop(RoughVenue):
    """The exchange loses the stop that travelled with the entry."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.wants_stop = False

    async def place(self, request: OrderRequest) -> str:
        answer = await super().place(replace(request, attached_stop_ticks=None))
        if request.purpose is Purpose.ENTRY:
            assert request.attached_stop_ticks is not None
        return answer


def test_mode_6_the_stop_travels_inside_the_entry() -> None:
    venue = RoughVenue(MARKET)
    play(MARKET, venue)
    assert [request.attached_stop_ticks is not None for request in venue.sent(Purpose.ENTRY)] == [True]


def test_mode_6_a_stop_that_did_not_travel_is_seen_a_second_after_the_entry_and_set() -> None:
    venue = WithoutStop(MARKET)
    story = play(MARKET, venue, context={"verify_stop": True})
    assert len(story.seen.notes("stop_missing")) == 1
    assert [trigger for name, trigger in venue.requests if name == "amend_stop"] == [STOP]
    assert_in_order(story)


def test_mode_8_a_stop_that_was_acknowledged_and_is_not_there_is_set_at_the_next_look() -> None:
    venue = WithoutStop(MARKET)
    _swallow_amends(venue, 1)
    story = play(MARKET, venue, context={"verify_stop": True})
    assert len(story.seen.notes("stop_missing")) == 2
    assert [trigger for name, trigger in venue.requests if name == "amend_stop"] == [STOP, STOP]
    assert_in_order(story)


@pytest.mark.parametrize("swallowed", [1, 2])
def test_mode_8_a_missing_stop_that_was_set_is_looked_for_again_at_once(swallowed: int) -> None:
    """An acknowledgement is no stop: nobody waits two candles to see whether it is there now."""
    venue = WithoutStop(MARKET)
    _swallow_amends(venue, swallowed)
    set_ms: list[int] = []
    venue.after = lambda name, _: set_ms.append(venue.clock.now_ms()) if name == "amend_stop" else None
    story = play(MARKET, venue, context={"verify_stop": True, "light_every_candles": 0})
    assert len(story.seen.notes("stop_missing")) == len(set_ms) == swallowed + 1
    assert set_ms[-1] - at("12:09") <= (swallowed + 1) * NAKED_MS
    assert_in_order(story)


def test_mode_8_a_stop_that_never_comes_is_not_asked_for_without_end() -> None:
    """After some tries in a row the usual looks go on, every second candle."""
    venue = WithoutStop(MARKET)
    _swallow_amends(venue, 1_000)
    story = play(MARKET, venue, context={"verify_stop": True, "light_every_candles": 0})
    assert len(story.seen.notes("stop_missing")) == TRIES + 1
    assert_in_order(story)


def _swallow_amends(venue: RoughVenue, count: int) -> None:
    left = {"n": count}
    honest = venue.venue.amend_stop

    async def amend_stop(trigger: int) -> None:
        if left["n"]:
            left["n"] -= 1
            return
        await honest(trigger)

    venue.venue.amend_stop = amend_stop  # type: ignore[method-assign]


def test_mode_7_a_stop_refused_because_the_price_is_past_closes_the_short_at_once() -> None:
    venue = WithoutStop(MARKET)

    def past(name: str, _: Any) -> None:
        if name == "amend_stop":
            raise OrderRefusedError("the price is past", "stop_wrong_side")

    venue.trouble = past
    story = play(MARKET, venue)
    assert story.reasons == ["closed"]
    assert story.seen.notes("stop_refused")[0]["standing"] is None
    assert int(story.seen.trades()[0]["entry_time"]) == int(story.seen.trades()[0]["exit_time"])
    assert_in_order(story)


def test_a_stop_refused_while_the_account_does_not_show_the_short_yet_is_set_a_moment_later() -> None:
    """The execution came by stream; what is asked lags behind it: no position, so none that a stop could be set for."""

    class Lagging(RoughVenue):
        shows_ms = at("12:09") + 500

        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            return view if self.clock.now_ms() >= self.shows_ms else replace(view, position=None)

    def not_yet(name: str, _: Any) -> None:
        if name == "amend_stop" and venue.clock.now_ms() < venue.shows_ms:
            raise OrderRefusedError("can not set tp/sl/ts for zero position", "no_position")

    market = world(*[QUIET] * 6, TARGET_HIT, QUIET, settings={"spread_bps": 20.0})  # the exact stop is another one
    venue = Lagging(market)
    venue.trouble = not_yet
    story = play(market, venue, context={"verify_stop": True})
    assert story.reasons == ["target"]
    assert not venue.sent(Purpose.CLOSE)
    assert venue.names().count("amend_stop") == 2
    assert_in_order(story)


def test_a_stop_refused_because_the_short_is_gone_already_alarms_nobody() -> None:
    """The position is closed between the entry and the amend of its stop."""
    venue = WithoutStop(MARKET)

    def gone(name: str, _: Any) -> None:
        if name == "amend_stop" and venue.exchange.position:
            venue.by_hand(Side.BUY, -venue.exchange.position.lots, reduce_only=True)
            raise OrderRefusedError("can not set tp/sl/ts for zero position", "no_position")

    venue.trouble = gone
    story = play(MARKET, venue, context={"verify_stop": True})
    assert story.reasons == ["closed"]
    assert not story.seen.notes("stop_refused")
    assert_in_order(story)


def test_mode_8_a_stop_that_vanishes_later_is_set_again_within_two_candles() -> None:
    """Amended only, never cancelled and placed anew: at no step is the short without what it had."""
    market = world(*[QUIET] * 6, STOP_HIT, QUIET)
    venue = RoughVenue(market, {"12:15": lambda v: v.exchange.amend_stop(0)})
    venue.wants_stop = False
    story = play(market, venue)
    assert len(story.seen.notes("stop_missing")) == 1
    assert story.reasons == ["margin_call"]
    assert "cancel" not in venue.names()[:-1]
    assert_in_order(story)


@pytest.mark.parametrize("news", ["fired in part", "cancelled"])
def test_a_stop_that_ended_while_the_short_is_open_is_looked_for_within_two_seconds(news: str) -> None:
    """A stop that fires takes what there is: without takers the rest of it is gone, and the short is not."""
    set_ms: list[int] = []

    def cut_short(venue: RoughVenue) -> list[Event]:
        exchange = venue.exchange
        exchange.amend_stop(0)
        exchange.drain()
        if news == "cancelled":
            return [OrderChanged(_stop_order(OrderStatus.CANCELLED))]
        venue.by_hand(Side.BUY, 1, reduce_only=True)
        told = exchange.drain()
        return [Executed(replace(e.execution, from_stop=True, link_id="")) for e in told if isinstance(e, Executed)]

    venue = RoughVenue(MARKET, {"12:15": cut_short})
    venue.wants_stop = False
    venue.after = lambda name, _: set_ms.append(venue.clock.now_ms()) if name == "amend_stop" else None
    story = play(MARKET, venue, context={"verify_stop": True, "light_every_candles": 0})
    assert [moment - at("12:15") <= NAKED_MS for moment in set_ms if moment > at("12:15")] == [True]
    assert len(story.seen.notes("stop_missing")) == 1
    assert_in_order(story)


def _stop_order(status: OrderStatus) -> Order:
    """The stop that belongs to the position, as a real exchange tells of it: without an id of ours."""
    return Order("stop", "", Side.BUY, OrderType.STOP_MARKET, 4, 0, status, None, STOP, True)


def test_an_unconfirmed_stop_is_amended_every_two_seconds_then_the_short_is_closed() -> None:
    """The look shows no stop; amends are neither answered nor carried out: three tries, then out."""
    tries: list[int] = []
    venue = RoughVenue(MARKET)
    venue.wants_stop = False

    def mute(name: str, _: Any) -> None:
        if name == "amend_stop" and venue.exchange.position and venue.exchange.position.stop_ticks is None:
            tries.append(venue.clock.now_ms())
            raise OutcomeUnknownError("no answer")

    venue.trouble = mute
    venue.hooks = {int(MARKET.candles.time_ms[5]): lambda v: v.exchange.amend_stop(0)}
    story = play(MARKET, venue)
    assert story.reasons == ["closed"]
    assert story.seen.notes("naked")
    assert story.seen.notes("stop_refused")[-1]["why"] == "the exchange did not confirm it"
    assert len(tries) >= TRIES
    assert_in_order(story)


@pytest.mark.parametrize("lost", [1, 2, 9])
def test_a_missing_stop_is_set_within_seconds_although_answers_are_lost(lost: int) -> None:
    """No candle is waited for: the loop turns by itself when something is due."""
    venue = WithoutStop(MARKET)
    left, set_ms = {"n": lost}, []

    def mute(name: str, _: Any) -> None:
        if name == "amend_stop" and left["n"]:
            left["n"] -= 1
            raise OutcomeUnknownError("no answer")

    venue.trouble = mute
    venue.after = lambda name, _: set_ms.append(venue.clock.now_ms()) if name == "amend_stop" else None
    story = play(MARKET, venue, context={"verify_stop": True, "light_every_candles": 0})
    assert set_ms[0] - at("12:09") <= 20_000
    assert_in_order(story)


def test_ticks_in_the_middle_of_a_candle_move_the_watch() -> None:
    """Quotes alone are turns, too."""
    venue = RoughVenue(MARKET, {"12:12": lambda v: ticks(v, 0, 1, 2, 3)})
    beats: list[int] = []
    play(MARKET, venue, heartbeat=lambda: beats.append(1))
    still: list[int] = []
    play(MARKET, RoughVenue(MARKET), heartbeat=lambda: still.append(1))
    assert len(beats) == len(still) + 4
    assert NAKED_MS == 2_000


def test_mode_10_setting_the_same_stop_again_is_no_failure() -> None:
    """The look sees another trigger each time (a list that lags): the amend is repeated and changes nothing."""

    class Lagging(RoughVenue):
        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            if view.position is None:
                return view
            return replace(view, position=replace(view.position, stop_ticks=STOP + 3))

    market = world(*[QUIET] * 6, TARGET_HIT, QUIET)
    venue = Lagging(market)
    story = play(market, venue)
    assert venue.names().count("amend_stop") > 2
    assert story.reasons == ["target"]
    assert_in_order(story)


def test_a_missing_target_is_placed_again_under_a_new_id() -> None:
    """Mode 35: cancelled behind our back, and the event that says so is lost."""

    def cancels(venue: RoughVenue) -> None:
        venue.exchange.cancel(venue.sent(Purpose.TARGET)[0].link_id)
        venue.exchange.drain()

    market = world(*[QUIET] * 6, TARGET_HIT, QUIET)
    venue = RoughVenue(market, {"12:15": cancels})
    story = play(market, venue)
    assert [request.link_id[-2:] for request in venue.sent(Purpose.TARGET)] == ["T0", "T1"]
    assert story.reasons == ["target"]
    assert_in_order(story)


@pytest.mark.parametrize("ride", [True, False])
def test_without_a_margin_call_there_is_no_stop_and_nobody_minds(ride: bool) -> None:
    market = world(*[QUIET] * 8, settings={"margin_call_at": None if ride else 0.9})
    venue = RoughVenue(market)
    venue.wants_stop = not ride
    story = play(market, venue, context={"verify_stop": True})
    assert story.seen.notes("naked") == story.seen.notes("stop_missing") == []
    assert_in_order(story)
