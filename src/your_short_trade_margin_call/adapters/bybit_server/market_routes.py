"""The public market requests. Each answers in Bybit's shape; what it cannot answer is a 10001 in Bybit's words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

import numpy as np
from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server import market_rows
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.envelope import WORLD, fail, ok
from your_short_trade_margin_call.adapters.bybit_server.intervals import PriceRow
from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text, whole_of
from your_short_trade_margin_call.adapters.bybit_server.pair_market import PairMarket
from your_short_trade_margin_call.domain.spans import DAY_MS, HOUR_MS, MINUTE_MS

CATEGORY = market_rows.CATEGORY
OTHER_CATEGORIES = ("spot", "inverse", "option")
SYMBOLS_A_PAGE = 15
"""Pairs on a page of risk-limit."""
MOST_CANDLES, USUAL_CANDLES = 1_000, 200
LAST_MOMENT_MS = 9_999_999_999_999
MOST_LEVELS, USUAL_LEVELS = 1_000, 25
PERIODS_MS = {
    **{"5min": 5 * MINUTE_MS, "15min": 15 * MINUTE_MS, "30min": 30 * MINUTE_MS},
    **{"1h": HOUR_MS, "4h": 4 * HOUR_MS, "1d": DAY_MS},
}
"""Of open interest and of the ratio of accounts."""

Query = Mapping[str, str]
Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes() -> list[web.RouteDef]:
    """Everything below /v5/market, and the system's status."""
    handlers = {
        "time": _time,
        "kline": _kline,
        "mark-price-kline": _mark_kline,
        "index-price-kline": _mark_kline,
        "instruments-info": _instruments,
        "risk-limit": _risk_limit,
        "tickers": _tickers,
        "orderbook": _orderbook,
        "funding/history": _funding_history,
        "price-limit": _price_limit,
        "recent-trade": _recent_trades,
        "premium-index-price-kline": _premium_kline,
        "open-interest": _open_interest,
        "account-ratio": _account_ratio,
        "delivery-price": _deliveries,
        "new-delivery-price": _deliveries,
        "rpi_orderbook": _retail_book,
        "historical-volatility": _volatility,
    }
    market = [web.get(f"/v5/market/{name}", _refusing(handler)) for name, handler in handlers.items()]
    return [*market, web.get("/v5/system/status", _system_status)]


def _refusing(handler: Handler) -> Handler:
    """The handler, with its refusals turned into answers."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ApiError as refusal:
            return fail(request, refusal.code, refusal.text, refusal.result)

    return answer


async def _system_status(request: web.Request) -> web.Response:
    """Planned maintenance: there is none. What goes wrong here on purpose is not announced."""
    return ok(request, {"list": []}, text="")


# ---- the requests -------------------------------------------------------------------------------------


async def _time(request: web.Request) -> web.Response:
    now_ms = request.app[WORLD].answer_ms
    return ok(request, {"timeSecond": str(now_ms // 1_000), "timeNano": str(now_ms * 1_000_000)})


async def _kline(request: web.Request) -> web.Response:
    _category(request.query, default=CATEGORY)
    pair = _pair(request)
    rows = _candles(pair, pair.rows.intervals, request.query)
    shown = [market_rows.kline_row(pair, row) for row in reversed(rows)]
    return ok(request, {"symbol": pair.symbol, "category": CATEGORY, "list": shown})


async def _mark_kline(request: web.Request) -> web.Response:
    _category(request.query, default=CATEGORY)
    pair = _pair(request)
    rows = _candles(pair, pair.mark_rows.intervals, request.query, mark=True)
    shown = [market_rows.mark_kline_row(pair, row) for row in reversed(rows)]
    return ok(request, {"symbol": pair.symbol, "category": CATEGORY, "list": shown})


async def _instruments(request: web.Request) -> web.Response:
    query = request.query
    category = _category(query, allow_others=True)
    if category != CATEGORY:
        return ok(request, {"category": category, "list": [], "nextPageCursor": ""})
    pairs = _asked_for(request)
    limit = _whole(query, "limit", 500, 1, 1_000)
    page, cursor = _page(pairs, query.get("cursor", ""), limit)
    return ok(request, {"category": CATEGORY, "list": [pair.item for pair in page], "nextPageCursor": cursor})


async def _risk_limit(request: web.Request) -> web.Response:
    category = _category(request.query, allow_others=True)
    pairs = _known(request) if category == CATEGORY else []
    if request.query.get("symbol"):
        pairs = [_pair(request)]
    page, cursor = _page(pairs, request.query.get("cursor", ""), SYMBOLS_A_PAGE)
    rows = [row for pair in page for row in pair.tiers]
    return ok(request, {"category": category, "list": rows, "nextPageCursor": cursor})


async def _tickers(request: web.Request) -> web.Response:
    category = _category(request.query, allow_others=True)
    if category != CATEGORY:
        if request.query.get("symbol"):
            bad_parameter("Not supported symbols")
        return ok(request, {"category": category, "list": []})
    now_ms = request.app[WORLD].timeline.now_ms()
    pairs = [_pair(request)] if request.query.get("symbol") else _known(request)
    rows = [market_rows.rest_ticker(pair, pair.market_ms(now_ms)) for pair in pairs]
    return ok(request, {"category": CATEGORY, "list": rows})


async def _orderbook(request: web.Request) -> web.Response:
    _category(request.query)
    pair = _pair(request)
    depth = min(_whole(request.query, "limit", USUAL_LEVELS, 1, MOST_LEVELS), market_rows.SHOWN_LEVELS)
    moment = pair.market_ms(request.app[WORLD].timeline.now_ms())
    return ok(request, market_rows.book_row(pair, depth, moment))


async def _retail_book(request: web.Request) -> web.Response:
    _category(request.query, default=CATEGORY)
    pair = _pair(request)
    depth = _whole(request.query, "limit", market_rows.SHOWN_LEVELS, 1, market_rows.SHOWN_LEVELS)
    return ok(request, market_rows.retail_row(pair, depth, pair.market_ms(request.app[WORLD].timeline.now_ms())))


async def _funding_history(request: web.Request) -> web.Response:
    query = request.query
    _category(query)
    pair = _pair(request)
    start, end = _moment(query, "startTime"), _moment(query, "endTime")
    if start is not None and end is None:
        bad_parameter("params error: endTime is needed with startTime")
    _require_order(start, end)
    limit = _whole(query, "limit", 200, 1, 200)
    return ok(request, {"category": CATEGORY, "list": _settled(pair, start or 0, end, limit)})


async def _price_limit(request: web.Request) -> web.Response:
    _category(request.query, default=CATEGORY)
    pair = _pair(request)
    return ok(request, market_rows.limit_row(pair, pair.market_ms(request.app[WORLD].timeline.now_ms())), text="")


async def _recent_trades(request: web.Request) -> web.Response:
    _category(request.query)
    pair = _pair(request)
    limit = _whole(request.query, "limit", 500, 1, 1_000)
    newest_first = list(reversed(pair.tape.trades))[:limit]
    return ok(request, {"category": CATEGORY, "list": [market_rows.trade_row(pair, trade) for trade in newest_first]})


# ---- what nobody recorded of these markets ----------------------------------------------------------


async def _premium_kline(request: web.Request) -> web.Response:
    _category(request.query, default=CATEGORY)
    pair = _pair(request)
    _candles(pair, pair.rows.intervals, request.query)
    return ok(request, {"symbol": pair.symbol, "category": CATEGORY, "list": []})


async def _open_interest(request: web.Request) -> web.Response:
    """Nobody recorded it: the present figure is all there is, where the present is asked for."""
    query = request.query
    _category(query)
    pair, step_ms = _pair(request), _period_ms(query, "intervalTime")
    start, end = _moment(query, "startTime"), _moment(query, "endTime")
    _require_order(start, end)
    _whole(query, "limit", 50, 1, 200)
    row = market_rows.interest_row(pair, step_ms, pair.market_ms(request.app[WORLD].timeline.now_ms()))
    is_asked = (start or 0) <= int(row["timestamp"]) <= (LAST_MOMENT_MS if end is None else end)
    rows = [row] if is_asked and not query.get("cursor") else []
    return ok(request, {"symbol": pair.symbol, "category": CATEGORY, "list": rows, "nextPageCursor": ""})


async def _account_ratio(request: web.Request) -> web.Response:
    _category(request.query)
    _pair(request)
    _period_ms(request.query, "period")
    return ok(request, {"list": [], "nextPageCursor": ""})


async def _deliveries(request: web.Request) -> web.Response:
    category = _category(request.query, allow_others=True)
    return ok(request, {"category": category, "list": [], "nextPageCursor": ""})


async def _volatility(request: web.Request) -> web.Response:
    bad_parameter("params error: there are no options here")


# ---- what they ask for ----------------------------------------------------------------------------------


def _category(query: Query, default: str = "", *, allow_others: bool = False) -> str:
    category = query.get("category", default)
    if category == CATEGORY or (allow_others and category in OTHER_CATEGORIES):
        return category
    return bad_parameter("params error: Category is invalid")


def _period_ms(query: Query, name: str) -> int:
    return PERIODS_MS.get(query.get(name, "")) or bad_parameter(f"params error: {name} invalid")


def _known(request: web.Request) -> list[PairMarket]:
    return sorted(request.app[WORLD].pairs.values(), key=lambda pair: pair.symbol)


def _pair(request: web.Request) -> PairMarket:
    pair = request.app[WORLD].pairs.get(request.query.get("symbol", ""))
    return bad_parameter("Not supported symbols") if pair is None else pair


def _asked_for(request: web.Request) -> list[PairMarket]:
    """Pairs by symbol, status and base coin."""
    query = request.query
    pairs = [_pair(request)] if query.get("symbol") else _known(request)
    for name, field in (("status", "status"), ("baseCoin", "baseCoin")):
        if wanted := query.get(name):
            pairs = [pair for pair in pairs if pair.item[field] == wanted]
    return pairs


def _page(pairs: Sequence[PairMarket], cursor: str, size: int) -> tuple[Sequence[PairMarket], str]:
    """One page, and the cursor of the next ("" after the last): it names the pairs the page began and ended with."""
    first = 0
    if cursor:
        last = parse_qs(cursor).get("last", [""])[0] or parse_qs(unquote(cursor)).get("last", [""])[0]
        symbols = [pair.symbol for pair in pairs]
        if last not in symbols:
            bad_parameter("params error: cursor invalid")
        first = symbols.index(last) + 1
    page = pairs[first : first + size]
    if first + size >= len(pairs):
        return page, ""
    return page, quote(urlencode({"first": page[0].symbol, "last": page[-1].symbol}))


def _whole(query: Query, name: str, usual: int, least: int, most: int) -> int:
    """A whole number of the query, between bounds."""
    text = query.get(name, "")
    if not text:
        return usual
    found = whole_of(text)
    return found if found is not None and least <= found <= most else bad_parameter(f"params error: {name} invalid")


def _moment(query: Query, name: str) -> int | None:
    """A moment in ms, or None."""
    text = query.get(name, "")
    if not text:
        return None
    found = whole_of(text)
    if found is None or not 0 <= found <= LAST_MOMENT_MS:
        bad_parameter(f"params error: {name} invalid")
    return found


def _require_order(start_ms: int | None, end_ms: int | None) -> None:
    if start_ms is not None and end_ms is not None and end_ms < start_ms:
        bad_parameter("params error: End time should be greater than Start time")


def _candles(pair: PairMarket, intervals: Sequence[str], query: Query, *, mark: bool = False) -> list[PriceRow]:
    interval = query.get("interval", "")
    if interval not in intervals:
        bad_parameter("Invalid period!")
    start, end = _moment(query, "start"), _moment(query, "end")
    _require_order(start, end)
    limit = _whole(query, "limit", USUAL_CANDLES, 1, MOST_CANDLES)
    return (pair.mark_rows if mark else pair.rows).between(interval, start, end, limit)


def _settled(pair: PairMarket, start_ms: int, end_ms: int | None, limit: int) -> list[dict[str, Any]]:
    """Settlements made so far, newest first."""
    funding = pair.candles.funding
    if funding is None:
        return []
    until = pair.settled_ms if end_ms is None else min(end_ms, pair.settled_ms)
    first, end = np.searchsorted(funding.time_ms, (start_ms, until + 1)).tolist()
    picked = range(max(first, end - limit), end)
    return [
        {
            "symbol": pair.symbol,
            "fundingRate": number_text(float(funding.rate[k])),
            "fundingRateTimestamp": str(int(funding.time_ms[k])),
        }
        for k in reversed(picked)
    ]
