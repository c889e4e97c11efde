"""`Reoptimizer`: the optimisations that fall due while trading goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Generic, Protocol, TypeVar

from your_short_trade_margin_call.adapters.storage.optimization_queue import Entry, OptimizationQueue, RunStatus
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.messages import ParametersAdopted
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.trading.schedule import next_due_ms


class OptimizationLeftError(Exception):
    """An optimisation was left because trading is to stop; never leaves the adviser."""


class Found(Protocol):
    """What an optimisation found."""

    @property
    def params(self) -> StrategyParams:
        """The winner."""

    @property
    def has_edge(self) -> bool:
        """Whether it may be traded."""


FoundT = TypeVar("FoundT", bound=Found)
FoundT_co = TypeVar("FoundT_co", bound=Found, covariant=True)


class Optimizer(Protocol[FoundT_co]):
    """Who optimises (`main_engine.MainEngine`)."""

    def claim(self, now_ms: int) -> Entry | None:
        """Take over a run that is due."""

    def optimize(self, until_ms: int, progress: Callable[[int, int], None] | None = None) -> FoundT_co:
        """Sweep the window that ends at `until_ms`."""

    def heed_stop(self, done: int, trials: int, /) -> None:
        """Raise OptimizationLeftError when trading is to stop."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which runs: of a pair and market, every so many milliseconds (0: never).

    `takes_market_time` tells whether the market goes on while a sweep runs. `account` is whose runs these are; None
    where they belong to no account.
    """

    symbol: str
    market: str
    every_ms: int
    takes_market_time: bool
    account: str | None = None


class Reoptimizer(Generic[FoundT]):
    """Runs the optimisations that fall due while trading (`live_trading_engine.Adviser`).

    On virtual time the sweep takes no market time: its window ends at the due moment, and its result applies from the
    next candle. What fell due inside a gap is made up for, each run in its turn, as in the record of the procedure. On
    real time a run looks at what has closed until it begins, beside the loop, and its result applies from the first
    close after it has finished. Whatever goes wrong with a run, the old parameters stay and trading goes on.
    """

    def __init__(
        self,
        main: Optimizer[FoundT],
        queue: OptimizationQueue,
        schedule: Schedule,
        on_optimized: Callable[[FoundT], None] | None = None,
        on_problem: Callable[[str], None] | None = None,
    ) -> None:
        self._main = main
        self._queue = queue
        self._schedule = schedule
        self._on_optimized = on_optimized
        self._on_problem = on_problem
        self._due_ms: int | None = None
        self._closed_ms: int | None = None
        self._running: asyncio.Task[FoundT | None] | None = None
        if schedule.every_ms:
            self._guarded(self._look_up_due)

    async def before_close(self, close_ms: int) -> ParametersAdopted | None:
        """The result of a run that finished since the last close: it applies to this one."""
        if self._running is None or not self._running.done():
            return None
        task, self._running = self._running, None
        return _adopted(task.result(), close_ms - 1)

    async def after_close(self, close_ms: int) -> ParametersAdopted | None:
        """Begin a run that is due; on virtual time, its result."""
        every_ms = self._schedule.every_ms
        before_ms, self._closed_ms = self._closed_ms, close_ms
        if not every_ms or self._running is not None:
            return None
        due_ms = self._due_ms = self._due_ms or close_ms + every_ms
        if due_ms > close_ms:
            return None
        if not self._schedule.takes_market_time:
            return await self._make_up(due_ms, before_ms, close_ms)
        entry = self._guarded(lambda: self._claim(due_ms, close_ms))
        self._due_ms = next_due_ms(due_ms, every_ms, close_ms)
        if entry is not None:
            self._running = asyncio.create_task(self._optimize(entry, close_ms))
        return None

    async def _make_up(self, due_ms: int, before_ms: int | None, close_ms: int) -> ParametersAdopted | None:
        """Every run that fell due since the close before, at its own moment; what the last of them found applies.

        Of what fell due before this program saw a close, the latest alone.
        """
        every_ms, adopted = self._schedule.every_ms, None
        first_ms = due_ms if before_ms is not None else next_due_ms(due_ms, every_ms, close_ms) - every_ms
        for due_ms in range(first_ms, close_ms + 1, every_ms):
            entry = self._guarded(lambda due_ms=due_ms: self._claim(due_ms, due_ms))
            self._due_ms = due_ms + every_ms
            if entry is not None:
                adopted = _adopted(await self._optimize(entry, due_ms), close_ms) or adopted
        return adopted

    def _look_up_due(self) -> None:
        lane = self._schedule
        self._due_ms = self._queue.next_due(lane.symbol, lane.market, account=lane.account)

    def _claim(self, due_ms: int, now_ms: int) -> Entry | None:
        """The run that is due, planned now if nobody did; None when another process has taken it."""
        lane = self._schedule
        entry = self._main.claim(now_ms)
        own = (lane.symbol, lane.market, lane.account)
        runs = [e for e in self._queue.entries() if (e.symbol, e.market, e.account) == own]
        taken = any(e.due_ms >= due_ms and e.status in (RunStatus.RUNNING, RunStatus.DONE) for e in runs)
        if entry is not None or taken:
            return entry
        self._queue.enqueue(lane.symbol, lane.market, due_ms, now_ms, account=lane.account)
        return self._main.claim(now_ms)

    async def _optimize(self, entry: Entry, until_ms: int) -> FoundT | None:
        try:
            result = await _beside(lambda: self._main.optimize(until_ms, self._main.heed_stop))
        except OptimizationLeftError:
            self._guarded(lambda: self._settle(entry, until_ms, "left unfinished: trading was stopped"))
            return None
        except Exception as error:  # also a bug or too little memory: the position still needs its guard
            why = str(error) or type(error).__name__
            self._tell(f"Not re-optimised, the old parameters stay: {why}")
            self._guarded(lambda: self._settle(entry, until_ms, why))
            return None
        self._guarded(lambda: self._settle(entry, until_ms, None))
        if self._on_optimized is not None:
            self._on_optimized(result)
        return result

    def _settle(self, entry: Entry, now_ms: int, error: str | None) -> None:
        """Write down how a run ended, and plan the next."""
        queue, lane = self._queue, self._schedule
        if error is None:
            queue.finish(entry.id, now_ms)
        else:
            queue.fail(entry.id, error, now_ms)
        if self._due_ms is not None:
            queue.enqueue(lane.symbol, lane.market, self._due_ms, now_ms, account=lane.account)

    def _guarded(self, act: Callable[[], Entry | None] | Callable[[], None]) -> Entry | None:
        """Use the queue; its failure is told, never raised into the trading loop."""
        try:
            return act()
        except ShortestPeakError as error:
            self._tell(f"The optimisation queue cannot be used: {error}")
            return None

    def _tell(self, text: str) -> None:
        if self._on_problem is not None:
            self._on_problem(text)


async def _beside(work: Callable[[], FoundT]) -> FoundT:
    """Run `work` beside the loop, in a thread that nobody waits for when the program ends.

    It may be asking a silent exchange for candles then; what it writes is whole or not there.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[FoundT] = loop.create_future()

    def tell(act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has been left meanwhile
            loop.call_soon_threadsafe(lambda: None if answer.done() else act())

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            failure = error
            tell(lambda: answer.set_exception(failure))
        else:
            tell(lambda: answer.set_result(result))

    Thread(target=run, daemon=True, name="optimising").start()
    return await answer


def _adopted(result: Found | None, moment_ms: int) -> ParametersAdopted | None:
    """The result as parameters for closes after `moment_ms`."""
    return None if result is None else ParametersAdopted(moment_ms, result.params, result.has_edge)
