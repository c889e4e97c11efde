"""Closed candles in order, each once, without holes: what the stream missed is asked for before the line goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import Candle

Fetch = Callable[[int | None, int | None], Awaitable[tuple[Candle, ...]]]
"""Closed candles from the first to the last open time named (UTC ms, both included), oldest first.

Without a first one: the newest few. Without a last one: up to the newest closed one. Raises ExchangeError.
"""
LATE_CONFIRM_S = 2.0
"""How long the word that a candle has closed may lag behind the first sign of the next one."""


class LineEnd(Protocol):
    """Where the candles go, in order."""

    def on_candle(self, candle: Candle) -> None:
        """The next closed candle."""

    def on_due(self, opens_candle_ms: int) -> None:
        """Everything before this candle is known: its opening quote is due."""

    def broke(self, error: BaseException) -> None:
        """The repair ended by a bug."""


class CandleLine:
    """Puts confirmed candles in order and mends holes.

    Args:
        candle_ms: length of a candle.
        fetch: asks the exchange for closed candles.
        end: where they go.
        timing: the waits between questions that fail.
        pause_s: how to wait some real seconds.
        late_confirm_s: real seconds a confirmation may be late before the candle is asked for.
    """

    def __init__(
        self,
        candle_ms: int,
        fetch: Fetch,
        end: LineEnd,
        timing: Timing,
        pause_s: Callable[[float], Awaitable[None]],
        late_confirm_s: float = LATE_CONFIRM_S,
    ) -> None:
        self._step = candle_ms
        self._fetch = fetch
        self._end = end
        self._timing = timing
        self._pause_s = pause_s
        self._late_confirm_s = late_confirm_s
        self._waiting: dict[int, Candle] = {}
        self._begun_ms = 0
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self.last_ms: int | None = None
        """Open time of the last candle given out."""
        self.counts: Counter[str] = Counter()
        """`repeated` confirmations, `mended` candles, `lost` ones that the exchange does not have."""

    def confirmed(self, candle: Candle) -> None:
        """The stream says that a candle has closed."""
        last_ms = self.last_ms
        if candle.open_time_ms % self._step:
            self.counts["off the grid"] += 1
            return
        if last_ms is not None and candle.open_time_ms <= last_ms:
            self.counts["repeated"] += 1
            return
        if last_ms is None:
            self.last_ms = candle.open_time_ms - self._step
        self._begun_ms = max(self._begun_ms, candle.open_time_ms + self._step)
        self._waiting[candle.open_time_ms] = candle
        self._advance()
        if self._waiting:
            self._mend(0.0)

    def begun(self, moment_ms: int) -> None:
        """Something proves that the candle holding this moment has begun, so all before it have closed."""
        if moment_ms < self._begun_ms + self._step or self.last_ms is None:
            return
        self._begun_ms = moment_ms - moment_ms % self._step
        if self._is_behind():
            self._mend(self._late_confirm_s)

    async def catch_up(self) -> None:
        """After a (re)connection: give out everything that has closed meanwhile. The first time only take note of it.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        if self.last_ms is None:
            newest = await self._fetch(None, None)
            if newest and self.last_ms is None:
                self.last_ms = newest[-1].open_time_ms
                self._begun_ms = max(self._begun_ms, self.last_ms + self._step)
        else:
            found = await self._fetch(self.last_ms + self._step, None)
            self._take(found, up_to_ms=found[-1].open_time_ms if found else None)
        if self.last_ms is not None and not self._waiting:
            self._end.on_due(self.last_ms + self._step)

    async def close(self) -> None:
        """Stop mending."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    # ---- inside ----------------------------------------------------------------------------------

    def _is_behind(self) -> bool:
        return self.last_ms is not None and self.last_ms + self._step < self._begun_ms

    def _advance(self) -> None:
        """Give out what is next, as far as it goes without a hole."""
        gave = False
        while self.last_ms is not None and (candle := self._waiting.pop(self.last_ms + self._step, None)) is not None:
            self.last_ms = candle.open_time_ms
            self._end.on_candle(candle)
            gave = True
        if gave and not self._waiting and self.last_ms is not None:
            self._end.on_due(self.last_ms + self._step)

    def _take(self, found: tuple[Candle, ...], up_to_ms: int | None) -> None:
        """Fill holes with what was found; what the exchange does not have up to a moment stays a gap."""
        for candle in found:
            if self.last_ms is not None and candle.open_time_ms > self.last_ms:
                self.counts["mended"] += candle.open_time_ms not in self._waiting
                self._waiting.setdefault(candle.open_time_ms, candle)
        while up_to_ms is not None and self.last_ms is not None and self.last_ms < up_to_ms:
            if self.last_ms + self._step not in self._waiting:
                self.counts["lost"] += 1
                self.last_ms += self._step
            self._advance()

    def _mend(self, after_s: float) -> None:
        if self._task is None or self._task.done():
            self._hurry.clear()
            self._task = asyncio.create_task(self._keep_mending(after_s), name="candle repair")
            self._task.add_done_callback(self._ended)
        if not after_s:
            self._hurry.set()

    async def _keep_mending(self, after_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                await self._hurry.wait()
        while self._is_behind():
            last_ms = (self.last_ms or 0) + self._step
            until_ms = self._begun_ms - self._step
            found = await self._ask(last_ms, until_ms)
            self._take(found, up_to_ms=until_ms)

    async def _ask(self, first_ms: int, last_ms: int) -> tuple[Candle, ...]:
        """What the exchange has; nothing when it does not answer for long: then the gap stays."""
        for wait_s in self._timing.reconnect_s:
            with suppress(ExchangeError):
                found = await self._fetch(first_ms, last_ms)
                if found and found[-1].open_time_ms >= last_ms:
                    return found
            self.counts["asked in vain"] += 1
            await self._pause_s(wait_s)
            if not self._is_behind() or (self.last_ms or 0) >= last_ms:
                return ()
        return ()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end.broke(error)
