"""`BybitCandleSource`: the candles an optimisation looks at, from the store, and from Bybit what the store lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager

from your_short_trade_margin_call.adapters.bybit.history import Report, fill, forget_another_market
from your_short_trade_margin_call.adapters.bybit.market_data import MarketData
from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.storage.candle_store import RECORDED, TAIL_MS, CandleStore
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Span
from your_short_trade_margin_call.domain.errors import ExchangeError, ForbiddenError
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.quality import counted

OpenMarketData = Callable[[], AbstractAsyncContextManager[MarketData]]

_LONGEST_WAIT_MS = 10_000
_LATE_TRIES = 3
_LATE_WAIT_MS = 1_000


class BybitCandleSource:
    """Closed candles of one pair (`main_engine.CandleSource`), with mark prices and settlements beside them.

    Its plain methods open a connection and an event loop of their own for as long as they take, so they may be
    called from any thread in which no loop runs; where one runs, `await` `fetch` instead.

    Args:
        store: where candles are kept; only what it lacks is asked for.
        open_data: opens a connection (`market_data.open_market_data`).
        kinds: what comes beside the candles.
        throwaway: the store may be about another market than the one that answers today (a server on this
            computer): then it is compared once, before anything is taken from it.
    """

    def __init__(
        self,
        store: CandleStore,
        open_data: OpenMarketData,
        *,
        kinds: Collection[HistoryKind] = RECORDED,
        throwaway: bool = False,
    ) -> None:
        self.store = store
        self._open_data = open_data
        self._kinds = kinds
        self._must_compare = throwaway

    def window(self, until_ms: int, window_ms: int) -> Candles:
        """Candles that closed in (until - window, until].

        Raises:
            EmptyCandlesError: there are none.
            ExchangeError: some are not kept, and the exchange cannot be asked.
        """
        return self.candles(until_ms - window_ms, until_ms)

    def candles(self, start_ms: int, end_ms: int) -> Candles:
        """Candles that open at or after `start_ms` and have closed by `end_ms`; see `window`."""
        self.prepare(start_ms, end_ms)
        return self.store.candles(_on_grid(start_ms, end_ms), self._kinds)

    def prepare(self, start_ms: int, end_ms: int, report: Report | None = None) -> int:
        """See to it that the store has a stretch, as far as it has closed; returns how many rows are new.

        `report` is called with (done, in all), in days.

        Raises:
            ExchangeError: some candles are not kept, and the exchange cannot be asked.
        """
        span = _on_grid(start_ms, end_ms)
        if not self._must_compare and not self._lacks(span, self._kinds):
            return 0
        _refuse_inside_a_loop()
        return run_async(self.fetch(start_ms, end_ms, report))

    async def fetch(self, start_ms: int, end_ms: int, report: Report | None = None) -> int:
        """`prepare` for those who run an event loop already."""
        span = _on_grid(start_ms, end_ms)
        try:
            async with self._open_data() as data:
                await self._compare(data)
                return await self._fill(data, span, report)
        except ExchangeError as error:
            # Without mark prices or a settlement the candles can still be used, and say what is not beside them.
            if not self._must_compare and not self._lacks(span, (HistoryKind.CANDLES,)):
                return 0
            raise _explained(error, self.store) from error

    async def _fill(self, data: MarketData, span: Span, report: Report | None) -> int:
        """Fill the store; the newest candle is waited for, because one may come in the moment it closes."""
        if span.end_ms - data.settled_ms() <= _LONGEST_WAIT_MS:
            await data.until_settled(span.end_ms)
        new = await fill(data, self.store, span, self._kinds, report)
        for _ in range(_LATE_TRIES):
            if not self._is_late(data, span):
                break
            clock = data.rest.clock
            await clock.sleep_until_ms(clock.now_ms() + round(_LATE_WAIT_MS * clock.speed))
            new += await fill(data, self.store, span, self._kinds)
        return new

    def _is_late(self, data: MarketData, span: Span) -> bool:
        """Whether a candle that has just closed is still missing."""
        now = data.settled_ms()
        tail = span.cut(now - TAIL_MS, now)
        kinds = [kind for kind in self._kinds if kind.step_ms is not None]
        return tail is not None and any(self.store.needed(kind, tail, now) for kind in kinds)

    async def _compare(self, data: MarketData) -> None:
        if self._must_compare:
            await forget_another_market(data, self.store)
            self._must_compare = False

    def _lacks(self, span: Span, kinds: Collection[HistoryKind]) -> bool:
        """Whether any of a stretch is neither kept nor known not to exist, all of it taken as past."""
        return any(self.store.needed(kind, span, span.end_ms) for kind in kinds)


def _on_grid(start_ms: int, end_ms: int) -> Span:
    """The opens of the candles that lie wholly inside."""
    return Span(-(-start_ms // CANDLE_MS) * CANDLE_MS, end_ms // CANDLE_MS * CANDLE_MS)


def _refuse_inside_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "An event loop runs in this thread: await fetch(...) first, or call this from a worker thread "
        "(asyncio.to_thread)."
    )


def _explained(error: ExchangeError, store: CandleStore) -> ExchangeError:
    """The error with what can be done without the exchange."""
    if isinstance(error, ForbiddenError):
        return error
    days = len(store.days(HistoryKind.CANDLES))
    kept = f"only {counted(days, 'day')} in {store.folder}" if days else "none is kept"
    return ExchangeError(
        f"Candles of {store.symbol} must be fetched ({kept}): {error.message}",
        f"{error.cure} Recorded candles can be used without the exchange: --candles FILE.".strip(),
    )
