"""Real and virtual time."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from your_short_trade_margin_call.adapters.system_clock import ScaledClock, SystemClock, stopwatch_s
from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.ports import Clock


class FakeSeconds:
    """Real seconds that pass only while someone sleeps (and then a little too few, as real timers do)."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds * 0.999


def test_system_clock_tells_real_time_and_sleeps_until_a_moment() -> None:
    clock: Clock = SystemClock()
    before = clock.now_ms()
    assert abs(before - time.time() * 1_000) < 1_000
    asyncio.run(clock.sleep_until_ms(before + 30))
    assert before + 30 <= clock.now_ms() < before + 5_000
    asyncio.run(clock.sleep_until_ms(0))


def test_the_stopwatch_never_goes_back() -> None:
    assert stopwatch_s() <= stopwatch_s()


def test_scaled_time_runs_faster() -> None:
    seconds = FakeSeconds()
    clock: Clock = ScaledClock(1_000_000, 600.0, monotonic_s=seconds.read, sleep=seconds.sleep)
    assert clock.now_ms() == 1_000_000
    seconds.now += 0.5
    assert clock.now_ms() == 1_300_000
    asyncio.run(clock.sleep_until_ms(1_900_000))
    assert clock.now_ms() >= 1_900_000
    assert seconds.slept[:2] == [0, 1.0]
    assert sum(seconds.slept) < 1.01


@pytest.mark.parametrize("speed", [None, math.inf])
def test_without_a_speed_time_jumps_and_never_back(speed: float | None) -> None:
    clock = ScaledClock(5_000, speed)
    assert clock.now_ms() == 5_000
    asyncio.run(clock.sleep_until_ms(86_405_000))
    assert clock.now_ms() == 86_405_000
    asyncio.run(clock.sleep_until_ms(7_000))
    assert clock.now_ms() == 86_405_000


def test_sleeping_lets_others_run() -> None:
    async def both() -> list[str]:
        seen: list[str] = []
        clock = ScaledClock(0)

        async def other() -> None:
            seen.append("other")

        task = asyncio.create_task(other())
        await clock.sleep_until_ms(10)
        seen.append("sleeper")
        await task
        return seen

    assert asyncio.run(both()) == ["other", "sleeper"]


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_must_be_above_zero(speed: float) -> None:
    with pytest.raises(SettingError):
        ScaledClock(0, speed)
