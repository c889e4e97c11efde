"""The server's time: the time of its market, running `speed` times as fast as real time, or standing still."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from your_short_trade_margin_call.adapters.system_clock import pause_s, stopwatch_s
from your_short_trade_margin_call.domain.errors import SettingError

STEPPED = 0.0
"""The speed of a market that only moves when it is told to."""


class Timeline:
    """Market time in UTC milliseconds; it never runs backwards, and stands at the first moment until `start`.

    Args:
        start_ms: the first moment.
        speed: how many times faster than real time; 0 stands still until `move_to`.
        stopwatch_s: a real stopwatch in seconds.
        nap: how to wait some real seconds.
        present_ms: a clock that is looked at once, when time begins to run: from its moment on, if that is later
            than `start_ms`.

    Raises:
        SettingError: the speed is negative or not finite.
    """

    def __init__(
        self,
        start_ms: int,
        speed: float = STEPPED,
        *,
        stopwatch_s: Callable[[], float] = stopwatch_s,
        nap: Callable[[float], Awaitable[None]] = pause_s,
        present_ms: Callable[[], int] | None = None,
    ) -> None:
        if not (math.isfinite(speed) and speed >= 0):
            raise SettingError(f"The market's speed cannot be {speed}.", "Give a number above 0, or 0 to step it.")
        self.speed = float(speed)
        self.offset_ms = 0
        """How far the shown time is off on purpose (fault `clock_offset`)."""
        self.stopwatch_s = stopwatch_s
        self.nap = nap
        self._start_ms, self._present_ms = start_ms, present_ms
        self._started_s: float | None = None
        self._stood_at_ms: int | None = None

    @property
    def is_stepped(self) -> bool:
        """Whether time stands still between steps."""
        return self.speed == STEPPED

    def start(self) -> None:
        """Let time run from now on; once it does, or where it is stepped, this changes nothing."""
        if self._started_s is None:
            self._started_s = self.stopwatch_s()
            if self._present_ms is not None:
                self._start_ms = max(self._start_ms, self._present_ms())

    def now_ms(self) -> int:
        """The market's present moment: what candles, books and private messages are stamped with."""
        if self._stood_at_ms is not None:
            return self._stood_at_ms
        if self._started_s is None:
            return self._start_ms
        return self._start_ms + math.floor((self.stopwatch_s() - self._started_s) * self.speed * 1_000.0)

    def shown_ms(self) -> int:
        """The moment that answers carry and signatures are judged by: now, and the offset put on it on purpose."""
        return self.now_ms() + self.offset_ms

    def move_to(self, moment_ms: int) -> None:
        """Step forward; an earlier moment changes nothing, nor does anything on a running timeline."""
        if self.is_stepped:
            self._start_ms = max(self._start_ms, moment_ms)

    @contextmanager
    def standing_at(self, moment_ms: int) -> Iterator[None]:
        """While a phase is being done, time stands at its moment, however late a running server gets to it."""
        self.move_to(moment_ms)
        before, self._stood_at_ms = self._stood_at_ms, moment_ms
        try:
            yield
        finally:
            self._stood_at_ms = before

    async def wait_until(self, moment_ms: int, longest_s: float = math.inf) -> None:
        """Sleep towards a moment, at most so many real seconds; a stepped timeline sleeps `longest_s` in any case."""
        left_s = longest_s if self.is_stepped else (moment_ms - self.now_ms()) / 1_000.0 / self.speed
        await self.nap(max(0.0, min(left_s, longest_s)))
