"""The exchange's time: from the shortest round trip, carried on by a stopwatch, never moved by one strange answer."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bybit.core_server import WALL_MS, Stopwatch
from your_short_trade_margin_call.adapters.bybit.clock import Sample, ServerClock


def clock_on(watch: Stopwatch) -> ServerClock:
    return ServerClock(watch.wall_ms, watch, watch.sleep)


def ask(clock: ServerClock, watch: Stopwatch, offset_ms: float, there_s: float, back_s: float) -> None:
    """A request to a server whose clock is `offset_ms` ahead of the wall."""
    sent_s = watch.now_s
    watch.now_s += there_s
    server_ms = int(watch.wall_ms() + offset_ms)
    watch.now_s += back_s
    clock.observe(server_ms, sent_s, watch.now_s)


def test_before_the_first_answer_this_computers_clock_stands_in() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    assert (clock.now_ms(), clock.offset_ms, clock.skew_ms, clock.is_synced) == (WALL_MS, 0, 0, False)
    assert clock.doubt_ms == 0.0


def test_an_answer_tells_the_time_half_a_round_trip_ago() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    ask(clock, watch, 5_000, 0.1, 0.1)
    assert clock.offset_ms == pytest.approx(5_000, abs=1)
    assert clock.doubt_ms == pytest.approx(101, abs=1)
    watch.now_s += 10
    assert clock.now_ms() == pytest.approx(watch.wall_ms() + 5_000, abs=1)


def test_the_shortest_round_trip_wins() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    ask(clock, watch, 5_000, 0.4, 0.0)  # lopsided: the middle is 200 ms off
    assert clock.offset_ms == pytest.approx(5_200, abs=2)
    ask(clock, watch, 5_000, 0.01, 0.01)
    watch.now_s += 1  # a small step back is hidden for a moment
    assert clock.offset_ms == pytest.approx(5_000, abs=1)
    ask(clock, watch, 5_000, 0.0, 0.4)  # a worse look changes nothing
    assert clock.offset_ms == pytest.approx(5_000, abs=1)
    assert clock.skew_ms == 0


def test_a_wrong_or_corrected_wall_clock_does_no_harm() -> None:
    watch = Stopwatch()
    wall = [WALL_MS - 3_600_000]
    clock = ServerClock(lambda: wall[0], watch, watch.sleep)
    clock.observe(WALL_MS, watch.now_s - 0.002, watch.now_s)
    assert clock.offset_ms == 3_600_001
    before = clock.now_ms()
    wall[0] += 3_600_000
    assert clock.now_ms() == before
    assert clock.offset_ms == 1


def test_one_strange_answer_is_noted_and_a_second_one_believed() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    ask(clock, watch, 0, 0.01, 0.01)
    watch.now_s += 1
    ask(clock, watch, 2_000, 0.01, 0.01)
    assert clock.is_skewed(500)
    assert clock.skew_ms == pytest.approx(2_000, abs=50)
    assert clock.offset_ms == pytest.approx(0, abs=2)
    ask(clock, watch, 2_000, 0.01, 0.01)
    assert clock.offset_ms == pytest.approx(2_000, abs=2)
    ask(clock, watch, 2_000, 0.01, 0.01)
    assert not clock.is_skewed(500)


def test_a_stale_answer_between_good_ones_changes_nothing() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    ask(clock, watch, 0, 0.01, 0.01)
    ask(clock, watch, -30_000, 0.01, 0.01)  # kept by some cache
    assert clock.skew_ms < -29_000
    ask(clock, watch, 0, 0.01, 0.01)
    ask(clock, watch, -30_000, 0.01, 0.01)
    assert clock.offset_ms == pytest.approx(0, abs=2)
    ask(clock, watch, 0, 0.01, 0.01)
    assert clock.skew_ms == 0


def test_time_does_not_run_backwards_for_a_small_correction() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    ask(clock, watch, 150, 0.3, 0.0)
    before = clock.now_ms()
    ask(clock, watch, 150, 0.001, 0.001)
    assert clock.now_ms() == before
    watch.now_s += 1
    assert clock.now_ms() == pytest.approx(watch.wall_ms() + 150, abs=1)


def test_an_explicit_resync_forgets_and_may_step_back() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    ask(clock, watch, 9_000, 0.001, 0.001)
    now_s = watch.now_s
    slow = Sample(watch.wall_ms() + 400, now_s - 0.8, now_s)
    fast = Sample(watch.wall_ms(), now_s - 0.02, now_s)
    clock.resync([slow, fast, slow])
    assert clock.offset_ms == pytest.approx(10, abs=2)
    assert clock.skew_ms == pytest.approx(-9_000, abs=50)
    clock.resync([])
    assert clock.offset_ms == pytest.approx(10, abs=2)


def test_a_streams_message_only_says_not_earlier_than() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    ask(clock, watch, 0, 0.05, 0.05)
    clock.advance(watch.wall_ms() - 5_000, watch.now_s)  # it was long on its way
    assert clock.offset_ms == pytest.approx(0, abs=1)
    clock.advance(watch.wall_ms() + 20, watch.now_s)
    assert clock.offset_ms == pytest.approx(20, abs=1)
    clock.advance(watch.wall_ms() + 5_000, watch.now_s)
    assert clock.is_skewed(500)
    assert clock.offset_ms == pytest.approx(20, abs=1)


def test_the_first_streams_message_is_better_than_nothing() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    clock.advance(WALL_MS + 7_000, watch.now_s)
    assert clock.offset_ms == 7_000
    ask(clock, watch, 7_100, 0.01, 0.01)
    assert clock.offset_ms == pytest.approx(7_100, abs=2)


def test_a_look_alikes_time_runs_faster() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    clock.observe(1_000_000, watch.now_s, watch.now_s, 600.0)
    watch.now_s += 0.5
    assert clock.now_ms() == 1_300_000
    assert clock.speed == 600
    asyncio.run(clock.sleep_until_ms(1_900_000))
    assert sum(watch.slept) == pytest.approx(1.0)
    assert clock.real_s_until(clock.now_ms() + 60_000) == pytest.approx(0.1)
    watch.now_s += 1
    clock.observe(clock.now_ms() + 600_000, watch.now_s, watch.now_s)  # a second of real time off
    assert clock.skew_ms == pytest.approx(1_000, abs=15)


def test_stepped_time_stands_still_until_the_server_shows_a_later_one() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    clock.observe(1_000_000, watch.now_s - 0.1, watch.now_s, 0.0)
    watch.now_s += 100
    assert clock.now_ms() == 1_000_000
    clock.advance(1_180_000, watch.now_s)
    assert clock.now_ms() == 1_180_000
    clock.observe(1_000_000, watch.now_s - 0.1, watch.now_s, 0.0)  # answered before the step
    assert clock.now_ms() == 1_180_000
    assert clock.skew_ms == 0
    asyncio.run(clock.sleep_until_ms(1_180_250))
    assert watch.slept == [0.25]
    assert clock.real_s_until(1_300_000) == 0.0
    clock.resync([Sample(900_000, watch.now_s, watch.now_s, 0.0), Sample(900_001, watch.now_s, watch.now_s + 1, 0.0)])
    assert clock.now_ms() == 900_001


def test_a_change_of_speed_is_believed_at_once() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    clock.observe(1_000_000, watch.now_s, watch.now_s, 0.0)
    clock.observe(5_000, watch.now_s, watch.now_s, 60.0)
    watch.now_s += 1
    assert clock.now_ms() == 65_000


def test_sleeping_follows_corrections_and_the_past_returns_at_once() -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    clock.observe(0, watch.now_s, watch.now_s)
    asyncio.run(clock.sleep_until_ms(-5))
    assert watch.slept == []
    asyncio.run(clock.sleep_until_ms(3_500))
    assert watch.slept == [1.0, 1.0, 1.0, 0.5]


@settings(deadline=None)
@given(
    offset_ms=st.integers(-3_600_000, 3_600_000),
    trips=st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 100.0)), min_size=1, max_size=30),
)
def test_the_estimate_is_never_further_off_than_it_says(
    offset_ms: int, trips: list[tuple[float, float, float]]
) -> None:
    watch = Stopwatch()
    clock = clock_on(watch)
    shown = []
    for there_s, back_s, pause_s in trips:
        ask(clock, watch, offset_ms, there_s, back_s)
        assert abs(clock.offset_ms - offset_ms) <= clock.doubt_ms + 255  # small steps back are hidden
        assert clock.skew_ms == 0
        shown.append(clock.now_ms())
        watch.now_s += pause_s
        assert abs(clock.doubt_ms) < 1_100
    assert len(shown) == len(trips)
