"""What keeps an entry from being made, each with its own reason; and how large it may be at most."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.scenarios.market_table import at
from tests.trading.rough import (
    NEW_SIGNAL,
    QUIET,
    TARGET_HIT,
    RoughVenue,
    assert_in_order,
    context_of,
    make_engine,
    play,
    world,
)
from your_short_trade_margin_call.domain.messages import CandleClosed, ConditionChanged, QuoteArrived
from your_short_trade_margin_call.domain.words import BlockReason, Purpose
from your_short_trade_margin_call.rules.entry import ALLOWED, Plan
from your_short_trade_margin_call.rules.sizing import Size
from your_short_trade_margin_call.rules.terms import make_contract
from your_short_trade_margin_call.trading.entries import within_cap

MARKET = world(QUIET, QUIET, TARGET_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, QUIET, TARGET_HIT, QUIET, QUIET)


def turns(condition: BlockReason, is_on: bool) -> Any:
    return lambda venue: [ConditionChanged(venue.clock.now_ms(), condition, is_on, "said so")]


@pytest.mark.parametrize(
    ("mode", "condition"),
    [
        (25, BlockReason.CLOCK_SKEW),
        (26, BlockReason.RATE_LIMITED),
        (32, BlockReason.INSTRUMENT_NOT_TRADING),
        (13, BlockReason.STREAM_GAP),
    ],
)
def test_modes_25_26_32_a_condition_blocks_entries_under_its_own_name_while_it_lasts(
    mode: int, condition: BlockReason
) -> None:
    venue = RoughVenue(MARKET, {"12:06": turns(condition, True), "12:15": turns(condition, False)})
    story = play(MARKET, venue)
    assert [reason for reason, _ in story.seen.blocked()] == [str(condition)]
    assert len(story.reasons) == 1
    told = [(note["condition"], note["is_on"]) for note in story.seen.notes("condition")]
    assert told == [(str(condition), True), (str(condition), False)]
    assert_in_order(story)


def test_several_conditions_and_one_ends() -> None:
    hooks = {
        "12:03": turns(BlockReason.RATE_LIMITED, True),
        "12:06": turns(BlockReason.CLOCK_SKEW, True),
        "12:15": turns(BlockReason.CLOCK_SKEW, False),
    }
    story = play(MARKET, RoughVenue(MARKET, hooks))
    assert [reason for reason, _ in story.seen.blocked()] == ["clock_skew", "rate_limited"]


def test_mode_25_a_skewed_clock_or_a_used_up_budget_leaves_an_open_short_its_exits() -> None:
    hooks = {"12:12": turns(BlockReason.CLOCK_SKEW, True), "12:15": turns(BlockReason.RATE_LIMITED, True)}
    story = play(MARKET, RoughVenue(MARKET, hooks))
    assert story.reasons == ["target"]
    assert [reason for reason, _ in story.seen.blocked()] == ["clock_skew"]
    assert_in_order(story)


def test_mode_32_delisting_closes_an_open_short_early() -> None:
    market = world(*[QUIET] * 8)
    story = play(market, RoughVenue(market, {"12:15": turns(BlockReason.INSTRUMENT_NOT_TRADING, True)}))
    assert story.reasons == ["closed"]
    assert int(story.seen.trades()[0]["exit_time"]) < at("12:18")
    assert_in_order(story)


def test_mode_32_unless_told_otherwise() -> None:
    venue = RoughVenue(MARKET, {"12:12": turns(BlockReason.INSTRUMENT_NOT_TRADING, True)})
    story = play(MARKET, venue, context={"close_when_not_trading": False})
    assert story.reasons == ["target"]
    assert [reason for reason, _ in story.seen.blocked()] == ["instrument_not_trading"]


def test_mode_32_an_instrument_that_does_not_trade_from_the_start() -> None:
    market = replace(MARKET, instrument=replace(MARKET.instrument, is_trading=False))
    story = play(market, RoughVenue(market))
    assert {reason for reason, _ in story.seen.blocked()} == {"instrument_not_trading"}
    assert story.reasons == []


class Late(RoughVenue):
    """Opening quotes come so much later than their candle opens."""

    late_ms = 0

    async def events(self):  # type: ignore[no-untyped-def]
        async for event in super().events():
            is_opening = isinstance(event, QuoteArrived) and event.opens_candle_ms is not None
            yield replace(event, time_ms=event.time_ms + self.late_ms) if is_opening else event


@pytest.mark.parametrize(("late_ms", "trades"), [(0, 2), (359_000, 2), (361_000, 0)])
def test_an_entry_on_a_stale_candle_is_refused(late_ms: int, trades: int) -> None:
    """I7: older than two candles (`stale_after`)."""
    venue = Late(MARKET)
    venue.late_ms = late_ms
    story = play(MARKET, venue)
    assert len(story.reasons) == trades
    assert {reason for reason, _ in story.seen.blocked()} == ({"stale_candle"} if not trades else set())


def test_a_signal_whose_opening_quote_never_comes_is_blocked_not_forgotten() -> None:
    class Gap(RoughVenue):
        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                if not (isinstance(event, QuoteArrived) and event.opens_candle_ms == at("12:09")):
                    yield event

    story = play(MARKET, Gap(MARKET))
    assert story.seen.blocked() == [("stream_gap", "its opening quote never came")]


def test_mode_29_candles_missed_without_a_word_are_asked_for_before_a_signal_is_looked_for() -> None:
    class Skips(RoughVenue):
        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                if not (isinstance(event, CandleClosed) and event.candle.open_time_ms in (at("12:03"), at("12:21"))):
                    yield event

    honest = play(MARKET, RoughVenue(MARKET))
    story = play(MARKET, Skips(MARKET))
    assert story.seen.trades() == honest.seen.trades()
    assert len(honest.seen.trades()) == 2


@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [("no_edge", "no_edge", ""), ("the winner is luck", "no_edge", "the winner is luck"), ("paused", "paused", "")],
)
def test_may_enter_blocks_from_the_start(said: str, reason: str, detail: str) -> None:
    story = play(MARKET, RoughVenue(MARKET), context={"may_enter": said})
    assert set(story.seen.blocked()) == {(reason, detail)}
    assert story.reasons == []


@pytest.mark.parametrize(("cap", "lots"), [(None, 4), (10_000.0, 4), (3_000.0, 3), (1_998.0, 2), (0.0, 1)])
def test_i4_the_cap_cuts_the_entry(cap: float | None, lots: int) -> None:
    venue = RoughVenue(MARKET)
    venue.cap_usdt = 999.0 if cap == 0.0 else cap
    story = play(MARKET, venue, context={"max_notional_usdt": cap})
    assert venue.sent(Purpose.ENTRY)[0].lots == lots
    news = [r for r in story.seen.records if type(r).__name__ == "RecordEntry"][0].detail  # noqa: RUF015
    assert news["quantity_clamped"] is (lots < 4)
    assert_in_order(story)


def test_a_cap_below_the_smallest_order_blocks() -> None:
    story = play(MARKET, RoughVenue(MARKET), context={"max_notional_usdt": 500.0})
    assert {reason for reason, _ in story.seen.blocked()} == {"below_min_qty"}


def test_mode_34_the_smallest_quantity_heeds_the_smallest_value() -> None:
    """Lots of 1 USDT at a price of 1, and orders of at least 5 USDT: a cap of 0 means five lots."""
    contract = make_contract(MARKET.instrument)._replace(min_notional_usdt=5.0)
    plan = Plan(ALLOWED, Size(100, 3.0, False, False))
    assert within_cap(contract, plan, 0.0, 2.0).size.lots == 5
    assert within_cap(contract, plan, 4.0, 2.0).block == BlockReason.BELOW_MIN_NOTIONAL.code
    assert within_cap(contract, plan, 50.0, 2.0).size == Size(50, 3.0, False, True)
    blocked = Plan(BlockReason.BELOW_MIN_QTY.code, Size(0, 3.0, False, False))
    assert within_cap(contract, blocked, 0.0, 2.0) is blocked


def test_i4_an_entry_of_unknown_fate_counts_as_live() -> None:
    """While the first entry's fate is unknown the next signal is blocked: position_open, not a second order."""
    market = world("1000 1004 998 999", "1000 1005 998 999", "1000 1006 998 999", QUIET, QUIET, QUIET)
    venue = RoughVenue(market)
    venue.cap_usdt = 4_000.0

    def lose(name: str, argument: Any) -> None:
        if name == "place":
            venue.is_silent = True
            from your_short_trade_margin_call.domain.errors import OutcomeUnknownError

            raise OutcomeUnknownError("no answer")

    venue.after = lose
    venue.hooks[at("12:18")] = lambda v: setattr(v, "is_silent", False) or setattr(v, "after", lambda n, a: None)
    story = play(market, venue, context={"max_notional_usdt": 4_000.0})
    assert len(venue.sent(Purpose.ENTRY)) == 1
    assert {reason for reason, _ in story.seen.blocked()} == {"position_open"}
    assert_in_order(story)


def test_a_context_is_as_it_was_unless_more_is_said() -> None:
    context = context_of(MARKET)
    assert (context.light_every_candles, context.verify_stop, context.turn_every_ms) == (2, False, 0)
    assert (context.max_notional_usdt, context.may_enter, context.close_when_not_trading) == (None, None, True)
    assert make_engine(MARKET, RoughVenue(MARKET), None, None).state.conditions == frozenset()
