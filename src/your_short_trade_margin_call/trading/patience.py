"""Asking an exchange that may not answer: how often, how long between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.ports import Clock

ASK_AGAIN_MS = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 20_000)
"""Waits between questions that get no answer: about a minute in all."""
ARRIVES_WITHIN_MS = (500, 1_000, 2_500, 3_000)
"""Waits before an order that cannot be found counts as never arrived: longer than a request stays valid."""

Answer = TypeVar("Answer")


async def wait(clock: Clock, for_ms: int) -> None:
    """Sleep so many milliseconds of the market's time."""
    await clock.sleep_until_ms(clock.now_ms() + for_ms)


async def ask(clock: Clock, question: Callable[[], Awaitable[Answer]], what: str) -> Answer:
    """Put a question that changes nothing until it is answered, about a minute long.

    Raises:
        ExchangeError: no answer came.
    """
    for wait_ms in ASK_AGAIN_MS:
        try:
            return await question()
        except ExchangeError:
            await wait(clock, wait_ms)
    raise ExchangeError(
        f"The exchange does not say what became of {what}.",
        "The stop rests on the exchange. Start again when it answers: the journal knows where to go on.",
    )
