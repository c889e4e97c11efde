"""Topics and queues, and the server's time."""

from __future__ import annotations

import asyncio
import json

import pytest

from your_short_trade_margin_call.adapters.bybit_server.bus import Bus, Subscriber
from your_short_trade_margin_call.adapters.bybit_server.timeline import Timeline
from your_short_trade_margin_call.domain.errors import SettingError


def heard(subscriber: Subscriber) -> list[object]:
    async def take() -> list[str]:
        return await subscriber.take() if subscriber.queued > subscriber.sent else []

    texts = asyncio.run(take())
    subscriber.sent += len(texts)
    return [json.loads(text)["n"] for text in texts]


def test_every_subscriber_hears_its_topics_in_order() -> None:
    bus, one, two = Bus(), Subscriber(), Subscriber()
    bus.subscribe(one, ["a", "b", "a"])
    bus.subscribe(two, ["b"])
    for n, topic in enumerate(["a", "b", "c", "a"]):
        bus.publish(topic, {"n": n})
    assert (heard(one), heard(two)) == ([0, 1, 3], [1])
    assert bus.published == 3, "nobody listens to c"
    bus.unsubscribe(one, ["a"])
    bus.publish("a", {"n": 4})
    bus.publish("b", {"n": 5})
    assert (heard(one), heard(two)) == ([5], [5])
    bus.unsubscribe(one)
    assert (bus.wants("a"), bus.wants("b"), bus.listeners("b")) == (False, True, 1)


def test_the_bus_knows_when_everything_was_written() -> None:
    bus, slow = Bus(), Subscriber()
    bus.subscribe(slow, ["a"])
    assert bus.is_served
    bus.publish("a", {"n": 1})
    assert not bus.is_served
    heard(slow)
    assert bus.is_served


def test_a_message_may_be_changed_doubled_or_lost_on_its_way_out() -> None:
    bus, one = Bus(lambda _topic, message: [{"n": int(message["n"]) + 10}] * int(message["n"])), Subscriber()
    bus.subscribe(one, ["a"])
    for n in (0, 1, 2):
        bus.publish("a", {"n": n})
    assert heard(one) == [11, 12, 12]


class Stopwatch:
    """A stopwatch that a test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def nap(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now_s += seconds


def test_running_time_runs_so_many_times_as_fast() -> None:
    watch = Stopwatch()
    time = Timeline(1_000_000, 600.0, stopwatch_s=watch, nap=watch.nap)
    watch.now_s += 7
    assert time.now_ms() == 1_000_000, "it has not been started"
    time.start()
    time.start()
    watch.now_s += 0.5
    assert time.now_ms() == 1_300_000
    asyncio.run(time.wait_until(1_600_000))
    assert time.now_ms() == 1_600_000
    time.move_to(9_000_000)
    assert time.now_ms() == 1_600_000, "running time is not stepped"
    asyncio.run(time.wait_until(99_000_000, longest_s=1.0))
    assert watch.naps == [0.5, 1.0]


def test_stepped_time_stands_still_and_never_goes_back() -> None:
    watch = Stopwatch()
    time = Timeline(1_000, stopwatch_s=watch, nap=watch.nap)
    time.start()
    watch.now_s += 50
    assert (time.now_ms(), time.is_stepped) == (1_000, True)
    time.move_to(5_000)
    time.move_to(4_000)
    assert time.now_ms() == 5_000


@pytest.mark.parametrize(("present_ms", "begins_ms"), [(9_000, 9_000), (500, 1_000)])
def test_time_may_begin_at_the_present(present_ms: int, begins_ms: int) -> None:
    watch = Stopwatch()
    time = Timeline(1_000, 1.0, stopwatch_s=watch, nap=watch.nap, present_ms=lambda: present_ms)
    assert time.now_ms() == 1_000, "it does not run yet"
    time.start()
    watch.now_s += 2.0
    time.start()
    assert time.now_ms() == begins_ms + 2_000


def test_time_stands_while_a_phase_is_done_and_the_shown_time_may_be_wrong() -> None:
    watch = Stopwatch()
    time = Timeline(1_000, 600.0, stopwatch_s=watch, nap=watch.nap)
    time.start()
    watch.now_s += 1.0
    with time.standing_at(2_000):
        assert time.now_ms() == 2_000
    assert time.now_ms() == 601_000
    time.offset_ms = -700
    assert (time.now_ms(), time.shown_ms()) == (601_000, 600_300)


@pytest.mark.parametrize("speed", [-1.0, float("inf"), float("nan")])
def test_a_speed_that_cannot_be(speed: float) -> None:
    with pytest.raises(SettingError):
        Timeline(0, speed)
