"""The exchange does not answer, forbids, or refuses the key: entries off, exits on, and back to work afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.market_table import at
from tests.trading.rough import (
    NEW_SIGNAL,
    QUIET,
    STOP_HIT,
    TARGET_HIT,
    RoughVenue,
    Watcher,
    assert_in_order,
    make_engine,
    play,
    world,
)
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import (
    ExchangeError,
    ForbiddenError,
    KeyRefusedError,
    OutcomeUnknownError,
)
from your_short_trade_margin_call.domain.messages import ControlsChanged, StreamLost, StreamRestored
from your_short_trade_margin_call.domain.words import Purpose
from your_short_trade_margin_call.trading.patience import ASK_AGAIN_MS

MARKET = world(QUIET, QUIET, QUIET, TARGET_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, TARGET_HIT, QUIET)


def silent(venue: RoughVenue) -> None:
    venue.is_silent = True


def speaking(venue: RoughVenue) -> None:
    venue.is_silent = False


def flatten(venue: RoughVenue) -> list[ControlsChanged]:
    return [ControlsChanged(venue.clock.now_ms(), paused=False, flatten=True)]


def test_a_silence_is_told_with_its_reason_and_nothing_run_into_it() -> None:
    venue = RoughVenue(MARKET, {"12:15": lambda v: [StreamRestored(v.clock.now_ms())]})

    def mute(name: str, _: Any) -> None:
        if name == "account" and at("12:15") <= venue.clock.now_ms() < at("12:20"):
            raise ExchangeError("Nobody is there.", "Look at the network.")

    venue.trouble = mute
    told = play(MARKET, venue).seen.notes("exchange_silent")
    assert [detail["why"] for detail in told] == ["the account: Nobody is there."]


def test_modes_1_and_2_an_answer_lost_for_minutes_leads_to_one_order() -> None:
    """The create times out but fills, and nobody answers what became of it for six minutes."""
    venue = RoughVenue(MARKET, {"12:15": speaking})

    def lose(name: str, argument: Any) -> None:
        if name == "place" and argument.link_id == f"BTCUSDT-{at('12:09')}-E0":
            venue.is_silent = True
            raise OutcomeUnknownError("no answer")

    venue.after = lose
    story = play(MARKET, venue)
    assert len(venue.sent(Purpose.ENTRY)) == 2
    assert story.reasons == ["target", "target"]
    assert story.seen.notes("exchange_silent")
    assert story.seen.notes("halt_over")
    assert_in_order(story)


def test_mode_17_an_order_that_cannot_be_found_is_not_declared_dead_at_once() -> None:
    """Looked for during seven seconds, longer than a request stays valid; then the signal is blocked, once."""
    venue = RoughVenue(MARKET)

    def never_arrives(name: str, argument: Any) -> None:
        if name == "place" and argument.purpose is Purpose.ENTRY and argument.link_id.endswith(f"{at('12:09')}-E0"):
            raise OutcomeUnknownError("no answer")

    venue.trouble = never_arrives
    story = play(MARKET, venue)
    looks = [link for name, link in venue.requests if name == "find" and link.endswith(f"{at('12:09')}-E0")]
    assert len(looks) == 5
    assert ("exchange_error", "the order never arrived") in story.seen.blocked()
    assert_in_order(story)


def test_an_outage_while_a_short_is_open_does_not_end_the_engine_and_entries_come_back() -> None:
    """Modes 15 and 26: the target fills unseen during the outage; it is read from the account afterwards."""
    venue = RoughVenue(MARKET, {"12:12": silent, "12:27": speaking})
    story = play(MARKET, venue)
    assert story.reasons == ["target", "target"]
    assert story.seen.notes("exchange_silent")
    assert [detail["was"] for detail in story.seen.notes("halt_over")] == ["exchange_silent"]
    assert_in_order(story)


def test_no_entry_before_the_account_was_compared_again() -> None:
    """I7: the signal of 12:30 meets an exchange that is silent until 12:36."""
    venue = RoughVenue(MARKET, {"12:24": silent, "12:36": speaking})
    story = play(MARKET, venue)
    assert story.reasons == ["target"]
    assert [reason for reason, _ in story.seen.blocked()] == ["exchange_error"]
    assert "nobody answers" in story.seen.blocked()[0][1]
    assert_in_order(story)


def test_questions_are_repeated_with_growing_waits_not_at_every_event() -> None:
    """I10: an outage of half an hour costs few requests."""
    quiet = world(*[QUIET] * 12)
    venue = RoughVenue(quiet, {"12:12": silent, "12:42": speaking})
    story = play(quiet, venue)
    begun = next(k for k, (name, _) in enumerate(venue.requests) if name == "account" and k > 5)
    assert len(venue.requests) - begun < 60
    assert_in_order(story)


@pytest.mark.parametrize("request_ms", [0, 2_000, 5_000])
@pytest.mark.parametrize("silent_from", ["12:06", "12:09", "12:12", "12:15"])
def test_mode_14_a_silence_never_holds_events_up_for_long(request_ms: int, silent_from: str) -> None:
    """Every request takes its time to fail; what is not answered is put off, and events go on being dealt with."""

    class Slow(RoughVenue):
        async def _fail(self) -> None:
            if self.is_silent:
                await self.clock.sleep_until_ms(self.clock.now_ms() + request_ms)

        async def place(self, request: Any) -> str:
            await self._fail()
            return await super().place(request)

        async def amend_stop(self, trigger_ticks: int) -> None:
            await self._fail()
            await super().amend_stop(trigger_ticks)

        async def find(self, link_id: str) -> Any:
            await self._fail()
            return await super().find(link_id)

        async def account(self, executions_since_ms: int) -> Any:
            await self._fail()
            return await super().account(executions_since_ms)

    assert sum(ASK_AGAIN_MS) <= 10_000
    venue = Slow(MARKET, {silent_from: silent, "12:18": flatten, "12:30": speaking})
    story = play(MARKET, venue, context={"turn_every_ms": 10_000})
    print(f"longest {venue.longest_ms} ms")
    assert venue.longest_ms <= 25_000
    assert_in_order(story)


def test_flatten_during_an_outage_closes_when_it_is_over() -> None:
    """Exits on: the close is decided at once, and sent again until the exchange takes it, under one id."""
    venue = RoughVenue(MARKET, {"12:12": silent, "12:15": flatten, "12:18": speaking})
    story = play(MARKET, venue)
    assert story.reasons == ["closed"]
    assert len({request.link_id for request in venue.sent(Purpose.CLOSE)}) == 1
    assert_in_order(story)


@pytest.mark.parametrize(("error", "kind"), [(ForbiddenError, "forbidden"), (KeyRefusedError, "key_refused")])
def test_modes_26_and_27_barred_or_without_a_key_the_stop_rests_and_exits_are_tried_slowly(
    error: type[ExchangeError], kind: str
) -> None:
    """From 12:12 to the end the exchange bars us: the stop on the exchange ends the trade, we find no way to say so."""
    market = world(QUIET, QUIET, QUIET, QUIET, QUIET, STOP_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET)
    venue = RoughVenue(market)

    def barred(name: str, _: Any) -> None:
        if venue.clock.now_ms() >= at("12:12"):
            raise error("barred")

    venue.trouble = barred
    story = play(market, venue)
    assert len(story.seen.notes(kind)) == 1
    assert story.reasons == ["margin_call"]
    tries = list(venue.names()[venue.names().index("account") :])
    assert len(tries) < 40
    assert [reason for reason, _ in story.seen.blocked()] == ["exchange_error"]
    assert venue.exchange.position is None


def test_a_bar_is_not_met_with_quick_repetitions() -> None:
    """Asking more often makes a bar longer: one question, then nothing for half a minute at least."""
    venue = RoughVenue(MARKET, {"12:12": lambda v: None})
    asked: list[int] = []

    def barred(name: str, _: Any) -> None:
        if at("12:12") <= venue.clock.now_ms() < at("12:30"):
            asked.append(venue.clock.now_ms())
            raise ForbiddenError("403")

    venue.trouble = barred
    story = play(MARKET, venue)
    assert 1 < len(asked) <= 8
    assert story.reasons[0] == "target"
    assert_in_order(story)


def test_the_first_answer_after_a_reconnect_may_be_late() -> None:
    """Modes 13 and 15: fills are missed while the line is down, and the first questions after it stay unanswered."""

    def lost(venue: RoughVenue) -> list[StreamLost]:
        venue.exchange.disconnect(venue.clock.now_ms())
        venue.is_silent = True
        return []

    def back(venue: RoughVenue) -> list[StreamRestored]:
        return [StreamRestored(venue.clock.now_ms())]

    venue = RoughVenue(MARKET, {"12:12": lost, "12:21": back, "12:27": speaking})
    story = play(MARKET, venue)
    assert story.reasons[0] == "target"
    assert story.state.connected
    assert_in_order(story)


def test_at_the_start_nobody_answering_is_an_error() -> None:
    venue = RoughVenue(MARKET)
    venue.is_silent = True
    import asyncio

    with pytest.raises(ExchangeError, match="nobody answers"):
        asyncio.run(make_engine(MARKET, venue, SqliteJournal(":memory:"), Watcher()).run())


def test_an_error_of_the_stream_itself_begins_it_anew() -> None:
    """Mode 14: the iterator of events raises; the engine asks for another one and reconciles."""
    broken = {"left": 1}

    class Breaking(RoughVenue):
        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                yield event
                if broken["left"] and self.venue.cursor == 5:
                    broken["left"] -= 1
                    raise ExchangeError("the stream broke off")

    venue = Breaking(MARKET)
    story = play(MARKET, venue)
    assert not broken["left"]
    assert story.reasons[0] == "target"
    assert story.seen.notes("exchange_silent")
    assert_in_order(story)
