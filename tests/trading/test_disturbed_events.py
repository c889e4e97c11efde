"""Orders that die after they were acknowledged, fills in part, events twice and in any order: one state comes of it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.trading.rough import NEW_SIGNAL, QUIET, TARGET_HIT, RoughVenue, assert_in_order, play, world
from your_short_trade_margin_call.domain.errors import OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import Event, Executed, OrderChanged
from your_short_trade_margin_call.domain.words import ExecutionKind, Purpose, Side
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan

MARKET = world(QUIET, QUIET, TARGET_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, QUIET, TARGET_HIT, QUIET, QUIET)


def test_mode_3_acknowledged_then_rejected() -> None:
    venue = RoughVenue(MARKET, faults=FaultPlan.script({1: Fault.LATE_REJECT}))
    story = play(MARKET, venue)
    assert [reason for reason, _ in story.seen.blocked()] == ["order_rejected"]
    assert story.reasons == ["target"]
    assert_in_order(story)


def test_mode_4_filled_in_part_then_cancelled_is_a_short_of_what_filled() -> None:
    venue = RoughVenue(MARKET, faults=FaultPlan.script({1: Fault.PARTIAL_THEN_CANCEL}))
    story = play(MARKET, venue)
    assert story.seen.trades()[0]["quantity"] < 4.0
    assert story.reasons[0] == "target"
    assert_in_order(story)


def test_funding_between_two_fills_of_an_entry_belongs_to_the_trade_and_divides_nothing() -> None:
    """A settlement takes seconds, and an entry is made at the very moment that many settlements are due."""

    class SettledBetween(RoughVenue):
        async def events(self) -> AsyncIterator[Event]:
            is_first = True
            async for event in super().events():
                yield event
                if is_first and isinstance(event, Executed):
                    is_first = False
                    kind = ExecutionKind.FUNDING
                    yield Executed(replace(event.execution, exec_id="funding", link_id="", kind=kind, fee_usdt=0.4))

    venue = SettledBetween(MARKET, faults=FaultPlan.script({1: Fault.PARTIAL_FILL}))
    story = play(MARKET, venue)
    trade = story.seen.trades()[0]
    assert (trade["quantity"], trade["funding"], trade["exit_reason"]) == (4.0, pytest.approx(-0.4), "target")
    assert not story.seen.notes("foreign_execution")
    sold = [e for e in story.journal.executions() if e.candle_ms == trade["entry_time"] and e.side is Side.SELL]
    assert [e.kind for e in sold] == [ExecutionKind.TRADE, ExecutionKind.FUNDING, ExecutionKind.TRADE]


def test_mode_5_a_close_without_takers_is_repeated_until_flat_and_the_trader_is_told() -> None:
    """Ten closes are cancelled for want of liquidity: bursts of five, then by and by; then one fills."""
    market = world(*[QUIET] * 8, params={"max_hold_ms": 360_000})
    dying = dict.fromkeys(range(3, 12), Fault.PARTIAL_THEN_CANCEL)
    venue = RoughVenue(market, faults=FaultPlan.script(dying))  # type: ignore[arg-type]
    story = play(market, venue)
    assert len(venue.sent(Purpose.CLOSE)) >= 3
    assert len({request.link_id for request in venue.sent(Purpose.CLOSE)}) == len(venue.sent(Purpose.CLOSE))
    assert story.reasons == ["max_hold"]
    assert_in_order(story)


def test_mode_5_a_close_that_is_refused_for_minutes_is_told_once_a_burst_and_goes_through_in_the_end() -> None:
    market = world(*[QUIET] * 10, params={"max_hold_ms": 360_000})
    venue = RoughVenue(market)
    left = {"n": 12}

    def refuses(name: str, argument: Any) -> None:
        if name == "place" and argument.purpose is Purpose.CLOSE and left["n"]:
            left["n"] -= 1
            raise OrderRefusedError("no", "order_rejected")

    venue.trouble = refuses
    story = play(market, venue)
    assert len(story.seen.notes("close_failed")) == 2
    assert story.reasons == ["max_hold"]
    assert story.state.halts == ()
    assert_in_order(story)


def test_mode_36_a_cancel_that_races_a_fill_is_a_question_not_an_error() -> None:
    market = world(*[QUIET] * 8, params={"max_hold_ms": 360_000})
    venue = RoughVenue(market)

    def too_late(name: str, _: Any) -> None:
        if name == "cancel":
            raise OrderRefusedError("order not exists or too late to cancel", "order_gone")

    venue.trouble = too_late
    story = play(market, venue)
    assert story.reasons == ["max_hold"]
    assert_in_order(story)


def test_mode_11_nothing_is_sold_twice_and_no_stop_is_set_after_the_close() -> None:
    """I2: every buy is reduce-only (the venue asserts it), and no stop is amended once flat."""
    venue = RoughVenue(MARKET)
    flat_amends: list[int] = []

    def watch(name: str, argument: Any) -> None:
        if name == "amend_stop" and venue.exchange.position is None:
            flat_amends.append(argument)

    venue.trouble = watch
    story = play(MARKET, venue)
    assert flat_amends == []
    sells = [e for e in venue.exchange.executions if e.side is Side.SELL]
    assert len(sells) == len(story.reasons) == 2


class Shuffled(RoughVenue):
    """Tells what happened between two market events twice, and in any order."""

    seed = 0

    async def events(self):  # type: ignore[no-untyped-def]
        luck, held = random.Random(self.seed), []
        async for event in super().events():
            if isinstance(event, Executed | OrderChanged):
                held.append(event)
                continue
            for again in self._shuffled(luck, held):
                yield again
            held = []
            yield event
        for again in self._shuffled(luck, held):
            yield again

    @staticmethod
    def _shuffled(luck: random.Random, held: list[Event]) -> list[Event]:
        twice = held * luck.choice([1, 2, 3])
        luck.shuffle(twice)
        return twice


@pytest.mark.parametrize("seed", range(25))
def test_mode_16_events_twice_and_in_any_order_lead_to_the_same_state(seed: int) -> None:
    honest = play(MARKET, RoughVenue(MARKET))
    venue = Shuffled(MARKET)
    venue.seed = seed
    story = play(MARKET, venue)
    assert story.journal.trades() == honest.journal.trades()
    assert [e.exec_id for e in story.journal.executions()] == [e.exec_id for e in honest.journal.executions()]
    assert (story.state.wallet, story.state.book) == (honest.state.wallet, honest.state.book)
    assert_in_order(story)


@pytest.mark.parametrize("lost", range(1, 14))
def test_modes_1_15_20_any_answer_lost_and_the_events_with_it(lost: int) -> None:
    """The n-th request is carried out, its answer is lost and so is the stream until the next opening quote."""
    market = world(QUIET, QUIET, TARGET_HIT, QUIET, QUIET, QUIET, QUIET, QUIET)
    venue = RoughVenue(market)
    count = {"n": 0}

    def lose(name: str, _: Any) -> None:
        count["n"] += name in ("place", "amend_stop", "cancel", "account", "find")
        if count["n"] == lost:
            venue.exchange.disconnect(venue.clock.now_ms())
            raise OutcomeUnknownError("no answer")

    venue.after = lose
    if lost == 1:  # the account at the start is simply asked again
        venue.exchange.reconnect(venue.clock.now_ms())
    story = play(market, venue)
    assert story.reasons in (["target"], [])
    assert_in_order(story)
