"""From the exchange into the store: what is missing of a stretch, page by page, each kept when it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from yarl import URL

from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint
from your_short_trade_margin_call.adapters.bybit.market_data import MarketData
from your_short_trade_margin_call.adapters.storage.candle_store import RECORDED, CandleStore
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Rows, Span, day_of, days_in
from your_short_trade_margin_call.adapters.storage.kept_instruments import BYBIT
from your_short_trade_margin_call.domain.errors import ExchangeError, ForbiddenError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.paths import is_look_alike

Report = Callable[[int, int], None]
"""Called with (done, in all): days, counted once for each kind."""

_ONE_MARKET = ("api.bybit.com", "api.bytick.com", "api-demo.bybit.com", "api-demo.bytick.com")
_DAYS_A_PAGE = {HistoryKind.CANDLES: 2, HistoryKind.MARK: 2, HistoryKind.MINUTES: 1, HistoryKind.FUNDING: 8}
_AT_ONCE = 4
_ROUNDS = 2
_COMPARED = 5


class Batch(NamedTuple):
    """What is asked for together and kept together: whole days of one kind."""

    kind: HistoryKind
    span: Span
    days: int


def source_of(endpoint: Endpoint) -> str:
    """The name under which an endpoint's market is kept: equal names, equal prices."""
    url = URL(endpoint.rest)
    if endpoint.is_loopback:
        return f"loopback-{url.port}"
    if endpoint.account is Account.TESTNET:
        return f"{BYBIT}-testnet"
    return BYBIT if url.host in _ONE_MARKET else f"{BYBIT}-at-{url.host}"


def is_throwaway(source: str) -> bool:
    """Whether what stands behind a source may be another market tomorrow."""
    return is_look_alike(source)


async def forget_another_market(data: MarketData, store: CandleStore) -> bool:
    """Wipe a store whose first or last candles the exchange does not confirm; whether it did.

    For servers on this computer: what runs behind a port changes, and is usually invented.
    """
    days = store.days(HistoryKind.CANDLES)
    if not any(store.days(kind) for kind in HistoryKind):
        return False
    kept = [store.rows(HistoryKind.CANDLES, Span(day, day + DAY_MS)) for day in dict.fromkeys((*days[:1], *days[-1:]))]
    ends = [part for rows in kept for part in (_rows(rows, 0, _COMPARED), _rows(rows, -_COMPARED, None)) if len(part)]
    for part in ends:
        first, last = int(part.time_ms[0]), int(part.time_ms[-1])
        now = await data.candles(store.symbol, first, last + CANDLE_MS)
        if not now.equals(part):
            break
    else:
        if ends:
            return False
    store.wipe()
    return True


async def fill(
    data: MarketData,
    store: CandleStore,
    span: Span,
    kinds: Collection[HistoryKind] = RECORDED,
    report: Report | None = None,
) -> int:
    """Ask for what the store lacks of a stretch, up to now, and keep it; returns how many rows are new.

    Every page is kept as soon as it comes, so whoever stops this loses nothing that is whole. What fails is tried
    once more at the end.

    Raises:
        ExchangeError: something could not be had twice; the rest is kept.
        DiskError: it could not be kept.
    """
    new = 0
    for left in reversed(range(_ROUNDS)):
        work = list(batches(store, span, kinds, data.settled_ms()))
        keeper = _Keeper(data, store, _Progress(span, kinds, work, report))
        try:
            await keeper.run(work)
            return new + keeper.new
        except ForbiddenError:
            raise
        except ExchangeError:
            new += keeper.new
            if not left:
                raise
    return new


def batches(store: CandleStore, span: Span, kinds: Collection[HistoryKind], now_ms: int) -> Iterator[Batch]:
    """What must be asked for, the oldest first: days beside each other in one request as far as it takes them."""
    for kind in kinds:
        # A settlement at the very end belongs to the stretch: it is due when the last candle closes.
        wanted = Span(span.start_ms, span.end_ms + 1) if kind is HistoryKind.FUNDING else span
        group: list[Span] = []
        for need in store.needed(kind, wanted, now_ms):
            if group and day_of(need.start_ms) - day_of(group[0].start_ms) >= _DAYS_A_PAGE[kind] * DAY_MS:
                yield _batch(kind, group)
                group = []
            group.append(need)
        if group:
            yield _batch(kind, group)


class _Keeper:
    """Some workers on one list of batches."""

    def __init__(self, data: MarketData, store: CandleStore, progress: _Progress) -> None:
        self._data = data
        self._store = store
        self._progress = progress
        self.new = 0

    async def run(self, work: Sequence[Batch]) -> None:
        """Do it all; the first failure is raised when the other batches are done or have failed too."""
        waiting, failures = iter(work), list[ExchangeError]()

        async def worker() -> None:
            for batch in waiting:
                try:
                    await self._keep(batch)
                except ForbiddenError:
                    raise
                except ExchangeError as error:
                    failures.append(error)

        workers = [asyncio.create_task(worker()) for _ in range(min(_AT_ONCE, len(work)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if failures:
            raise failures[0]

    async def _keep(self, batch: Batch) -> None:
        fetched = await self._data.fetch(batch.kind, self._store.symbol, batch.span)
        asked = batch.span.cut(batch.span.start_ms, fetched.until_ms)
        if asked is not None:
            self.new += self._store.put(fetched.rows, asked, self._data.settled_ms())
        self._progress.add(batch.days)


class _Progress:
    """Counts days; those that were kept before are done from the beginning."""

    def __init__(self, span: Span, kinds: Collection[HistoryKind], work: list[Batch], report: Report | None) -> None:
        self._report = report
        self._total = len(kinds) * sum(1 for _ in days_in(span))
        self._done = 0
        self.add(max(0, self._total - sum(batch.days for batch in work)))

    def add(self, days: int) -> None:
        self._done = min(self._done + days, self._total)
        if self._report is not None:
            self._report(self._done, self._total)


def _batch(kind: HistoryKind, needs: list[Span]) -> Batch:
    return Batch(kind, Span(needs[0].start_ms, needs[-1].end_ms), len(needs))


def _rows(rows: Rows, first: int, end: int | None) -> Rows:
    return Rows(rows.kind, rows.time_ms[first:end], rows.values[first:end])
