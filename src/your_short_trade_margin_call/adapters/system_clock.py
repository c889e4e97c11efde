"""The only place that reads the real clock; everything else is handed one of these.

Moments are UTC epoch milliseconds.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from your_short_trade_margin_call.domain.errors import SettingError

# Long sleeps are cut: after a suspended laptop or a corrected clock the wall time is looked at again within this.
_LONGEST_NAP_S = 1.0


def stopwatch_s() -> float:
    """Seconds since some fixed moment, never going back: only differences mean anything."""
    return time.monotonic()


async def pause_s(seconds: float) -> None:
    """Let others work for so many real seconds."""
    await asyncio.sleep(seconds)


class SystemClock:
    """Real time. Implements `ports.Clock`."""

    def now_ms(self) -> int:
        """The present moment by the computer's clock."""
        return time.time_ns() // 1_000_000

    async def sleep_until_ms(self, moment_ms: int) -> None:
        """Return at or after `moment_ms`; when it has passed, others get one turn and it returns."""
        await asyncio.sleep(0)
        # ASYNC110 wants an event to wait for; here the clock itself is what is watched.
        while (left_ms := moment_ms - self.now_ms()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left_ms / 1_000.0, _LONGEST_NAP_S))


class ScaledClock:
    """Virtual time: begins at `start_ms` and runs `speed` times as fast as `monotonic_s`. Implements `ports.Clock`.

    With a speed of None or infinity time stands still until someone sleeps: the sleep returns at once and
    time jumps to the moment asked for. It never runs backwards.

    Args:
        start_ms: the first moment.
        speed: how many times faster than real time; above 0.
        monotonic_s: a stopwatch in seconds.
        sleep: how to wait some real seconds.

    Raises:
        SettingError: the speed is not above 0.
    """

    def __init__(
        self,
        start_ms: int,
        speed: float | None = None,
        *,
        monotonic_s: Callable[[], float] = stopwatch_s,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._speed = math.inf if speed is None else speed
        if not self._speed > 0:
            raise SettingError(f"The clock's speed cannot be {speed}.", "Give a number above 0, such as 600.")
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._started_s = monotonic_s()
        self._start_ms = start_ms
        self._jumped_to_ms = start_ms

    def now_ms(self) -> int:
        """The present virtual moment."""
        if math.isinf(self._speed):
            return self._jumped_to_ms
        return self._start_ms + math.floor((self._monotonic_s() - self._started_s) * self._speed * 1_000.0)

    async def sleep_until_ms(self, moment_ms: int) -> None:
        """Return at or after the virtual `moment_ms`; when it has passed, others get one turn and it returns."""
        await self._sleep(0)
        if math.isinf(self._speed):
            self._jumped_to_ms = max(self._jumped_to_ms, moment_ms)
            return
        while (left_ms := moment_ms - self.now_ms()) > 0:
            await self._sleep(left_ms / 1_000.0 / self._speed)
