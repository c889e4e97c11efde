"""Closed candles in order, each once: whatever the stream repeats, swaps, delays or loses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bybit.fake_bybit import QUICK, STEP, T0, until
from your_short_trade_margin_call.adapters.bybit.candle_line import CandleLine
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Candle


def candle(i: int) -> Candle:
    return Candle(T0 + i * STEP, 100.0 + i, 110.0 + i, 90.0 + i, 105.0 + i)


@dataclass
class World:
    """An exchange that has closed the first `closed` candles but those of `missing`."""

    closed: int = 0
    missing: set[int] = field(default_factory=set)
    silent: int = 0
    asked: list[tuple[int | None, int | None]] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    due: list[int] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)

    async def fetch(self, first_ms: int | None, last_ms: int | None) -> tuple[Candle, ...]:
        self.asked.append((first_ms, last_ms))
        await asyncio.sleep(0)
        if self.silent:
            self.silent -= 1
            raise ExchangeError("nobody is there")
        known = [candle(i) for i in range(self.closed) if i not in self.missing]
        if first_ms is None:
            return tuple(known[-3:])
        return tuple(c for c in known if first_ms <= c.open_time_ms and (last_ms is None or c.open_time_ms <= last_ms))

    def on_candle(self, candle: Candle) -> None:
        self.given.append((candle.open_time_ms - T0) // STEP)

    def on_due(self, opens_candle_ms: int) -> None:
        self.due.append((opens_candle_ms - T0) // STEP)

    def broke(self, error: BaseException) -> None:
        self.broken.append(error)


async def pause(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.001))


def run(test: Callable[[World, CandleLine], Awaitable[None]], world: World, late_confirm_s: float = 0.02) -> None:
    async def go() -> None:
        line = CandleLine(STEP, world.fetch, world, QUICK, pause, late_confirm_s)
        try:
            await test(world, line)
        finally:
            await line.close()
        assert world.broken == []

    asyncio.run(go())


def test_candles_in_order_go_straight_through_and_each_opens_the_next() -> None:
    async def go(world: World, line: CandleLine) -> None:
        for i in range(5):
            line.confirmed(candle(i))
        assert world.given == [0, 1, 2, 3, 4]
        assert world.due == [1, 2, 3, 4, 5]
        assert world.asked == []

    run(go, World())


def test_a_repeated_and_a_late_confirmation_is_ignored() -> None:
    async def go(world: World, line: CandleLine) -> None:
        for i in (0, 0, 1, 0, 1, 2, 1):
            line.confirmed(candle(i))
        assert world.given == [0, 1, 2]
        assert line.counts["repeated"] == 4

    run(go, World())


def test_the_first_connection_takes_note_without_giving_anything() -> None:
    async def go(world: World, line: CandleLine) -> None:
        await line.catch_up()
        assert (world.given, world.due) == ([], [4])
        line.confirmed(candle(3))  # the exchange repeats what we know
        line.confirmed(candle(4))
        assert world.given == [4]

    run(go, World(closed=4))


def test_a_hole_is_filled_before_the_line_goes_on() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        line.confirmed(candle(4))
        assert world.given == [0]  # what comes after the hole waits
        line.confirmed(candle(5))
        await until(lambda: world.given == [0, 1, 2, 3, 4, 5])
        assert world.asked == [(T0 + STEP, T0 + 4 * STEP)] or world.asked == [(T0 + STEP, T0 + 5 * STEP)]
        assert world.due[-1] == 6
        assert 4 not in world.due
        assert line.counts["mended"] == 3

    run(go, World(closed=6))


def test_what_the_exchange_does_not_have_stays_a_gap() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        line.confirmed(candle(4))
        await until(lambda: world.given[-1:] == [4])
        assert world.given == [0, 1, 3, 4]
        assert line.counts["lost"] == 1

    run(go, World(closed=5, missing={2}))


def test_an_exchange_that_does_not_answer_is_asked_again() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        line.confirmed(candle(2))
        await until(lambda: world.given == [0, 1, 2])
        assert line.counts["asked in vain"] == 3

    run(go, World(closed=3, silent=3))


def test_an_exchange_that_never_answers_leaves_a_gap_in_the_end() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        line.confirmed(candle(2))
        await until(lambda: world.given == [0, 2])
        line.confirmed(candle(3))
        assert world.given == [0, 2, 3]

    run(go, World(closed=3, silent=1_000))


def test_a_lost_confirmation_is_noticed_by_the_next_candle() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        line.begun(T0 + 2 * STEP + 17)  # candle 2 runs, nobody said that 1 has closed
        assert world.given == [0]
        await until(lambda: world.given == [0, 1])
        assert world.due == [1, 2]

    run(go, World(closed=2))


def test_a_confirmation_that_is_only_late_is_waited_for() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        line.begun(T0 + 2 * STEP)
        line.confirmed(candle(1))
        await asyncio.sleep(0.05)
        assert world.given == [0, 1]
        assert world.asked == []

    run(go, World(closed=2))


def test_after_a_reconnection_what_closed_meanwhile_is_given_out() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        world.closed = 4
        await line.catch_up()
        assert world.given == [0, 1, 2, 3]
        assert world.due[-1] == 4
        await line.catch_up()  # nothing new
        assert world.given == [0, 1, 2, 3]

    run(go, World())


def test_a_reconnection_without_an_answer_says_so() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        world.silent = 1
        with pytest.raises(ExchangeError):
            await line.catch_up()
        assert world.given == [0]

    run(go, World(closed=2))


def test_a_candle_off_the_grid_is_ignored() -> None:
    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        line.confirmed(Candle(T0 + STEP + 1, 1.0, 1.0, 1.0, 1.0))
        assert world.given == [0]
        assert line.counts["off the grid"] == 1

    run(go, World())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_the_stream_does_every_candle_comes_once_and_in_order(data: st.DataObject) -> None:
    """Confirmations shuffled, doubled and dropped; reconnections and signs of the next candle in between."""
    size = data.draw(st.integers(3, 8))
    told = [*data.draw(st.lists(st.integers(1, size - 1), max_size=2 * size)), size]
    breaks = data.draw(st.sets(st.integers(0, len(told))))

    async def go(world: World, line: CandleLine) -> None:
        line.confirmed(candle(0))
        for k, i in enumerate(told):
            world.closed = max(world.closed, i + 1)
            if k in breaks:
                await line.catch_up()
            line.begun(T0 + (i + 1) * STEP)
            line.confirmed(candle(i))
            await asyncio.sleep(0)
        await until(lambda: world.given[-1] == size)
        assert world.given == list(range(size + 1))

    run(go, World(closed=1), late_confirm_s=0.001)
