"""Asking an exchange that may not answer: how often, how long between, and when to do something else meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from your_short_trade_margin_call.domain.errors import ExchangeError, ForbiddenError, KeyRefusedError, OrderRefusedError
from your_short_trade_margin_call.domain.ports import Clock
from your_short_trade_margin_call.trading.state import Halt

ASK_AGAIN_MS = (200, 500, 1_000, 2_000, 3_000)
"""Waits between questions that get no answer: seven seconds in all, then events that wait have their turn."""
GIVES_UP_AFTER_MS = 10_000
"""No question is repeated after so long: where each answer takes its time to stay out, less often than above."""
ARRIVES_WITHIN_MS = 7_000
"""An order that cannot be found so long after it was sent never arrived: longer than a request stays valid."""
LATER_MS = (1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000)
"""Waits between tries of what stays open; the last one again and again."""
BARRED_LATER_MS = (30_000, 60_000, 120_000, 300_000)
"""The same where the exchange has barred us: asking more often makes it worse."""

Answer = TypeVar("Answer")
Outside = (ExchangeError, OSError)
"""What an exchange that cannot be reached may raise."""


class Patience:
    """The clock of the trading room, and how it waits.

    `is_silent` is set while the exchange does not answer: every question is put once then, not again and again.
    Market time is the clock's, or that of the newest event where the clock stands still.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest_ms = 0
        self.is_silent = False

    def saw(self, time_ms: int) -> None:
        """An event of this moment has arrived."""
        self._newest_ms = max(self._newest_ms, time_ms)

    def now_ms(self) -> int:
        """The clock's present moment."""
        return self._clock.now_ms()

    def market_ms(self) -> int:
        """The present moment of the market."""
        return max(self._clock.now_ms(), self._newest_ms)

    async def wait(self, for_ms: int) -> None:
        """Sleep so many milliseconds of the market's time."""
        await self._clock.sleep_until_ms(self._clock.now_ms() + for_ms)

    async def sleep_until(self, market_ms: int) -> None:
        """Sleep until a moment of the market's time."""
        await self.wait(max(0, market_ms - self.market_ms()))

    async def ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Put a question that changes nothing until it is answered, or for some seconds.

        Raises:
            OrderRefusedError: the answer is no.
            ExchangeError: no answer came.
            OSError: the same.
        """
        started_ms = self._clock.now_ms()
        for wait_ms in () if self.is_silent else ASK_AGAIN_MS:
            try:
                return await question()
            except (OrderRefusedError, KeyRefusedError, ForbiddenError):  # answers, all of them
                raise
            except Outside:
                if self._clock.now_ms() + wait_ms - started_ms > GIVES_UP_AFTER_MS:
                    raise
                await self.wait(wait_ms)
        return await question()


def kind_of(error: ExchangeError | OSError) -> Halt:
    """The halt that an unanswered question leads to."""
    if isinstance(error, KeyRefusedError):
        return Halt.KEY_REFUSED
    return Halt.FORBIDDEN if isinstance(error, ForbiddenError) else Halt.EXCHANGE_SILENT
