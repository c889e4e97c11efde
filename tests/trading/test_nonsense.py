"""Mode 33 and its kin: numbers that mean nothing, watchers that fail, wishes that cannot be read, a hung loop."""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from tests.scenarios.market_table import at
from tests.trading.rough import NEW_SIGNAL, QUIET, TARGET_HIT, RoughVenue, Watcher, assert_in_order, play, world
from tests.trading.rough import make_engine as engine_of
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.messages import AccountView, Candle, CandleClosed, Executed, QuoteArrived
from your_short_trade_margin_call.domain.words import ExecutionKind, Side
from your_short_trade_margin_call.trading.sanity import nonsense

MARKET = world(QUIET, QUIET, TARGET_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, QUIET, TARGET_HIT, QUIET, QUIET)
BAD = (math.nan, math.inf, -math.inf, 0.0, -1.0)


def test_mode_33_an_observer_that_fails_never_stops_the_engine() -> None:
    class Failing(Watcher):
        def recorded(self, record: Any, state: Any) -> None:
            super().recorded(record, state)
            raise ValueError("NaN cannot be shown")

        def moved(self, state: Any) -> None:
            raise ZeroDivisionError

    seen, honest = Failing(), play(MARKET, RoughVenue(MARKET))
    journal = SqliteJournal(":memory:")
    asyncio.run(engine_of(MARKET, RoughVenue(MARKET), journal, seen).run())
    assert journal.trades() == honest.journal.trades()
    assert len(journal.events_of("observer_failed")) == 2  # once for each kind of error


def test_a_closed_pipe_ends_it_because_the_reader_has_gone() -> None:
    class Gone(Watcher):
        def moved(self, state: Any) -> None:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        asyncio.run(engine_of(MARKET, RoughVenue(MARKET), SqliteJournal(":memory:"), Gone()).run())


def test_mode_33_a_heartbeat_an_adviser_and_controls_that_fail() -> None:
    class Confused:
        async def before_close(self, close_ms: int) -> None:
            raise RuntimeError("out of ideas")

        async def after_close(self, close_ms: int) -> None:
            raise RuntimeError("out of ideas")

    def fails() -> Any:
        raise OSError("no socket")

    story = play(MARKET, RoughVenue(MARKET), heartbeat=fails, adviser=Confused(), controls=fails)
    assert story.reasons == ["target", "target"]
    assert len(story.seen.notes("heartbeat_failed")) == 1
    assert len(story.seen.notes("controls_failed")) == 1
    assert story.seen.notes("adviser_failed")


def test_mode_14_the_heartbeat_comes_from_the_decision_loop() -> None:
    """Once for every event and every turn, and from nowhere else: a loop that hangs is silent."""
    beats: list[int] = []
    venue = RoughVenue(MARKET)
    play(MARKET, venue, heartbeat=lambda: beats.append(venue.clock.now_ms()))
    assert len(beats) > 2 * len(MARKET.candles)
    assert max(b - a for a, b in itertools.pairwise(beats)) <= 180_000


def test_mode_14_the_loop_turns_even_when_no_event_comes() -> None:
    """`turn_every_ms`: a stream that hangs for three minutes does not hide a loop that lives."""
    beats: list[int] = []
    venue = RoughVenue(MARKET)
    play(MARKET, venue, context={"turn_every_ms": 5_000}, heartbeat=lambda: beats.append(venue.clock.now_ms()))
    assert max(b - a for a, b in itertools.pairwise(beats)) <= 5_000


@pytest.mark.parametrize("price", BAD)
def test_mode_33_a_nonsense_quote_is_noted_and_never_traded_on(price: float) -> None:
    class Garbled(RoughVenue):
        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                if isinstance(event, QuoteArrived) and event.opens_candle_ms == at("12:09"):
                    event = replace(event, mid_ticks=price)
                yield event

    story = play(MARKET, Garbled(MARKET))
    assert len(story.seen.notes("nonsense_ignored")) == 1
    assert story.seen.blocked() == [("stream_gap", "its opening quote never came")]
    assert len(story.reasons) == 1
    assert_in_order(story)


@pytest.mark.parametrize("field", ["open", "high", "low", "close"])
@pytest.mark.parametrize("price", BAD)
def test_mode_33_a_nonsense_candle_is_noted_and_its_true_self_is_asked_for(field: str, price: float) -> None:
    class Garbled(RoughVenue):
        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                if isinstance(event, CandleClosed) and event.candle.open_time_ms == at("12:03"):
                    event = CandleClosed(replace(event.candle, **{field: price}))
                yield event

    story = play(MARKET, Garbled(MARKET))
    assert len(story.seen.notes("nonsense_ignored")) == 1
    assert story.reasons == ["target", "target"]


def test_mode_33_nonsense_executions_are_not_booked_and_the_true_ones_are_read_from_the_account() -> None:
    class Garbled(RoughVenue):
        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                if isinstance(event, Executed) and event.execution.side is Side.BUY:
                    event = Executed(replace(event.execution, price_ticks=math.nan, fee_usdt=math.nan))
                yield event

    venue = Garbled(MARKET)
    story = play(MARKET, venue)
    assert story.seen.notes("nonsense_ignored")
    assert story.reasons[0] == "target"
    assert math.isfinite(story.state.wallet)
    assert_in_order(story)


def test_mode_33_an_account_full_of_nan_changes_nothing() -> None:
    class Garbled(RoughVenue):
        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            position = view.position
            if position is not None:
                position = replace(position, liquidation_ticks=math.nan, entry_ticks=math.nan)
            return replace(view, wallet_usdt=math.nan, position=position)

    story = play(MARKET, Garbled(MARKET))
    assert story.reasons == ["target", "target"]
    assert_in_order(story)


def test_what_is_nonsense() -> None:
    assert nonsense(QuoteArrived(0, 100.0)) == ""
    assert nonsense(CandleClosed(Candle(0, 10.0, 12.0, 9.0, 11.0))) == ""
    assert "candle" in nonsense(CandleClosed(Candle(0, 10.0, 10.5, 9.0, 11.0)))
    assert "candle" in nonsense(CandleClosed(Candle(0, 10.0, 12.0, 10.5, 11.0)))
    assert nonsense("anything else") == ""
    assert str(ExecutionKind.FUNDING) == "funding"
