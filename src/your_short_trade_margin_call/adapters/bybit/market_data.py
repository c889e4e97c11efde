"""Questions about the market that need no key: candles, settlements, instruments, tiers, prices of the moment."""

from __future__ import annotations

import difflib
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint
from your_short_trade_margin_call.adapters.bybit.market_rows import (
    FUNDING_PATH,
    QUESTIONS,
    SETTLEMENTS_A_PAGE,
    candle_params,
    candle_rows,
    funding_params,
    funding_rows,
    pages,
)
from your_short_trade_margin_call.adapters.bybit.numbers import float_of
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.wire import (
    Book,
    CandleList,
    FundingList,
    InstrumentList,
    RiskLimitList,
    Ticker,
    TickerList,
)
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Rows, Span, joined, missing_times
from your_short_trade_margin_call.adapters.system_clock import SystemClock, stopwatch_s
from your_short_trade_margin_call.domain.errors import BadInputError, ExchangeError, ForbiddenError, UnknownPairError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.spans import MINUTE_MS
from your_short_trade_margin_call.market.columns import moment
from your_short_trade_margin_call.market.instruments import parse_instrument

SETTLING_MS = 1_000
"""How long after its close a candle still counts as running: the exchange may be booking its last fills."""

_MOST_PAGES = 100
_NOT_TRADING = {
    "PreLaunch": "is not listed yet",
    "Settling": "is being settled: it leaves the exchange",
    "Delivering": "is being delivered: it leaves the exchange",
    "Closed": "is no longer listed",
}


@dataclass(frozen=True)
class Fetched:
    """What came for a stretch: the rows in it, and up to when they are all that there will be (UTC ms)."""

    rows: Rows
    until_ms: int


@dataclass(frozen=True, slots=True)
class Top:
    """The best bid and ask with their sizes, as the exchange wrote them, and when (UTC ms)."""

    time_ms: int
    bid: str
    bid_size: str
    ask: str
    ask_size: str


class MarketData:
    """The market of one endpoint. Moments are the exchange's time (UTC ms).

    Every method may raise ExchangeError: the exchange cannot be reached, or answers nonsense again and again.

    Args:
        rest: how to ask; no key is needed.
        settling_ms: see `SETTLING_MS`; None takes it, and 0 for a server on this computer.
    """

    def __init__(self, rest: Rest, settling_ms: int | None = None) -> None:
        self.rest = rest
        usual = 0 if rest.endpoint.is_loopback else SETTLING_MS
        self.settling_ms = usual if settling_ms is None else settling_ms

    # ---- time --------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The exchange's time, certainly not too late."""
        clock = self.rest.clock
        doubt = clock.doubt_ms
        return math.floor(clock.now_ms() - (doubt if math.isfinite(doubt) else 0.0))

    def settled_ms(self) -> int:
        """The latest moment at which a candle may have closed that counts as closed now."""
        return self.now_ms() - self.settling_ms

    async def until_settled(self, moment_ms: int) -> None:
        """Wait until a candle that closes at `moment_ms` counts as closed."""
        while (left_ms := moment_ms - self.settled_ms()) > 0 and self.rest.clock.speed > 0:
            await self.rest.clock.sleep_until_ms(self.rest.clock.now_ms() + left_ms)

    # ---- history -----------------------------------------------------------------------------------

    async def candles(self, symbol: str, start_ms: int, end_ms: int) -> Rows:
        """The closed 3-minute candles that open in [start, end), oldest first; what is missing is not there."""
        return (await self.fetch(HistoryKind.CANDLES, symbol, Span(start_ms, end_ms))).rows

    async def mark(self, symbol: str, start_ms: int, end_ms: int) -> Rows:
        """The closed 3-minute mark-price candles that open in [start, end)."""
        return (await self.fetch(HistoryKind.MARK, symbol, Span(start_ms, end_ms))).rows

    async def minutes(self, symbol: str, start_ms: int, end_ms: int) -> Rows:
        """The closed 1-minute candles that open in [start, end)."""
        return (await self.fetch(HistoryKind.MINUTES, symbol, Span(start_ms, end_ms))).rows

    async def funding(self, symbol: str, start_ms: int, end_ms: int) -> Rows:
        """The settlements in [start, end): time and rate."""
        return (await self.fetch(HistoryKind.FUNDING, symbol, Span(start_ms, end_ms))).rows

    async def fetch(self, kind: HistoryKind, symbol: str, span: Span) -> Fetched:
        """All rows of a kind in a stretch, page by page. A page with holes is asked for once more."""
        if kind is HistoryKind.FUNDING:
            return await self._settlements(symbol, span)
        parts, until = [], span.start_ms
        for page in pages(span, kind.step_ms or MINUTE_MS):
            fetched = await self._whole_page(kind, symbol, page)
            parts.append(fetched.rows)
            until = fetched.until_ms
            if until < page.end_ms:
                break
        return Fetched(joined(kind, parts), until)

    async def _whole_page(self, kind: HistoryKind, symbol: str, page: Span) -> Fetched:
        first = await self._page(kind, symbol, page)
        missing = missing_times(first.rows, Span(page.start_ms, first.until_ms))
        if not len(missing):
            return first
        again = Span(int(missing[0]), int(missing[-1]) + (kind.step_ms or MINUTE_MS))
        second = await self._page(kind, symbol, again)
        return Fetched(first.rows.merged(second.rows), first.until_ms)

    async def _page(self, kind: HistoryKind, symbol: str, page: Span) -> Fetched:
        """One request. The time before it is sent decides what is closed: the answer may be as old as that."""
        settled, step = self.settled_ms(), kind.step_ms or MINUTE_MS
        until = min(page.end_ms, settled // step * step)
        if until <= page.start_ms:
            return Fetched(Rows.empty(kind), page.start_ms)
        answer = await self.rest.get(QUESTIONS[kind].path, candle_params(kind, symbol, page), CandleList)
        return Fetched(candle_rows(kind, answer).between(page.start_ms, until), until)

    async def _settlements(self, symbol: str, span: Span) -> Fetched:
        """Newest first, 200 at most: the older ones are asked for until a page is not full."""
        until, rest_of = min(span.end_ms, self.now_ms() + 1), span
        rows = Rows.empty(HistoryKind.FUNDING)
        while rest_of.start_ms < rest_of.end_ms:
            answer = await self.rest.get(FUNDING_PATH, funding_params(symbol, rest_of), FundingList)
            page = funding_rows(answer, symbol).between(*rest_of)
            rows = page.merged(rows)
            if len(answer.rows) < SETTLEMENTS_A_PAGE or not len(page):
                break
            rest_of = Span(span.start_ms, int(page.time_ms[0]))
        return Fetched(rows, max(until, span.start_ms))

    # ---- instruments -------------------------------------------------------------------------------

    async def instruments(self) -> tuple[dict[str, Any], ...]:
        """Every linear contract, as the exchange describes it."""
        return await self._all_rows("/v5/market/instruments-info", {"limit": 1_000}, InstrumentList)

    async def instrument(self, symbol: str) -> tuple[Instrument, dict[str, Any]]:
        """One contract with its risk tiers, and the raw item. It may not be trading: see `check_trading`.

        Raises:
            UnknownPairError: the exchange does not have it; names pairs that it has.
            BadInputError: it is no USDT perpetual, or a field makes no sense.
        """
        item = await self.item(symbol)
        return parse_instrument(item, await self.tiers(symbol), "exchange"), item

    async def item(self, symbol: str) -> dict[str, Any]:
        """The exchange's description of one contract, unchanged.

        Raises:
            UnknownPairError: it does not have it; names pairs that it has.
        """
        try:
            answer = await self.rest.get(
                "/v5/market/instruments-info", {"category": "linear", "symbol": symbol}, InstrumentList
            )
        except ForbiddenError:
            raise
        except ExchangeError as error:  # a name it does not know is a bad parameter to it, among many others
            names = await self._perpetuals()
            if symbol in names:
                raise
            raise _unknown(symbol, names) from error
        for item in answer.rows:
            if item.get("symbol") == symbol:
                return item
        raise _unknown(symbol, await self._perpetuals())

    async def tiers(self, symbol: str) -> tuple[dict[str, Any], ...]:
        """The rows of the contract's risk tiers, unchanged; none when the exchange names none."""
        rows = await self._all_rows("/v5/market/risk-limit", {"symbol": symbol}, RiskLimitList)
        return tuple(row for row in rows if row.get("symbol") == symbol)

    async def _all_rows(
        self, path: str, params: Mapping[str, str | int | None], kind: type[InstrumentList] | type[RiskLimitList]
    ) -> tuple[dict[str, Any], ...]:
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            answer = await self.rest.get(path, {"category": "linear", **params, "cursor": cursor}, kind)
            rows += answer.rows
            if not answer.next_page_cursor or answer.next_page_cursor == cursor:
                return tuple(rows)
            cursor = answer.next_page_cursor
        raise ExchangeError(f"{path} does not come to an end.", "Try again later.")

    async def _perpetuals(self) -> list[str]:
        return [str(item.get("symbol")) for item in await self.instruments() if _is_usdt_perpetual(item)]

    # ---- the moment --------------------------------------------------------------------------------

    async def ticker(self, symbol: str) -> Ticker:
        """Last, mark and index price, the next settlement and more, as the exchange wrote them."""
        answer = await self.rest.get("/v5/market/tickers", {"category": "linear", "symbol": symbol}, TickerList)
        for row in answer.rows:
            if row.symbol == symbol:
                return row
        raise ExchangeError(f"The exchange has no prices of {symbol}.", "Check the pair's name, or try again later.")

    async def turnovers(self) -> list[tuple[str, float]]:
        """Each USDT perpetual that trades and stays, with its turnover of 24 hours in USDT; the largest first."""
        staying = {str(item.get("symbol")) for item in await self.instruments() if _stays(item)}
        answer = await self.rest.get("/v5/market/tickers", {"category": "linear"}, TickerList)
        told = [(row.symbol, float_of(row.turnover24h or "")) for row in answer.rows if row.symbol in staying]
        return sorted(told, key=lambda pair: (-pair[1], pair[0]))

    async def top(self, symbol: str) -> Top:
        """The best bid and ask."""
        book = await self.rest.get("/v5/market/orderbook", {"category": "linear", "symbol": symbol, "limit": 1}, Book)
        if book.s != symbol or not book.b or not book.a:
            raise ExchangeError(f"The book of {symbol} has an empty side.", "Nobody makes a market now: try later.")
        (bid, bid_size), (ask, ask_size) = book.b[0], book.a[0]
        return Top(book.ts or self.now_ms(), bid, bid_size, ask, ask_size)


def check_trading(item: Mapping[str, Any]) -> None:
    """Insist on a contract that trades and stays.

    Raises:
        BadInputError: it is not listed yet, no longer, or will be delisted.
    """
    symbol, status = item.get("symbol"), str(item.get("status") or "Trading")
    other = "Choose another pair; its recorded candles can still be fetched."
    if status != "Trading":
        raise BadInputError(f"{symbol} {_NOT_TRADING.get(status, f'is not trading (status {status})')}.", other)
    if (delivery := str(item.get("deliveryTime") or "0")) != "0":
        when = moment(int(delivery)) if delivery.isdigit() else delivery
        raise BadInputError(f"{symbol} is delisted at {when}: no new position is opened.", other)


def near_pairs(symbol: str, names: list[str], most: int = 4) -> list[str]:
    """Which of the pairs may have been meant: those that hold the coin's name first, then those spelt alike."""
    coin = symbol.removesuffix("USDT")
    holding = sorted((name for name in names if len(coin) > 2 and coin in name), key=len)
    alike = difflib.get_close_matches(symbol, names, n=most, cutoff=0.7)
    return list(dict.fromkeys([*holding, *alike]))[:most]


def _unknown(symbol: str, names: list[str]) -> UnknownPairError:
    near = near_pairs(symbol, names)
    cure = f"Did you mean {' or '.join(near)}?" if near else "Look the pair's name up on the exchange."
    return UnknownPairError(f"The exchange has no perpetual called {symbol}.", cure)


def _stays(item: Mapping[str, Any]) -> bool:
    """Whether a contract is a USDT perpetual in which a position may still be opened."""
    try:
        check_trading(item)
    except BadInputError:
        return False
    return _is_usdt_perpetual(item)


def _is_usdt_perpetual(item: Mapping[str, Any]) -> bool:
    return item.get("contractType") == "LinearPerpetual" and item.get("quoteCoin") == "USDT"


@asynccontextmanager
async def open_market_data(
    endpoint: Endpoint,
    timing: Timing,
    make_clock: Callable[[], ServerClock] = lambda: ServerClock(SystemClock().now_ms, stopwatch_s),
) -> AsyncIterator[MarketData]:
    """A connection of its own for some questions, with the exchange's time known; it is closed behind them.

    Raises:
        ExchangeError: the exchange cannot be reached.
    """
    async with Rest.open(endpoint, timing, make_clock()) as rest:
        await rest.sync_clock()
        yield MarketData(rest)
