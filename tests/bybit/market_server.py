"""A small Bybit of candles and settlements on loopback, with the faults that a history has to survive."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.patience import PATIENCE_S

DAY_MS, CANDLE_MS, MINUTE_MS, HOUR_MS = 86_400_000, 180_000, 60_000, 3_600_000
FIRST_DAY = 1_748_563_200_000  # 2025-05-30
KLINE, MARK, FUNDING = "/v5/market/kline", "/v5/market/mark-price-kline", "/v5/market/funding/history"
INSTRUMENTS, TIERS, TIME = "/v5/market/instruments-info", "/v5/market/risk-limit", "/v5/market/time"
_INTERVALS = {"1": MINUTE_MS, "3": CANDLE_MS}


def prices(time_ms: int, seed: int, step_ms: int) -> tuple[float, ...]:
    """Open, high, low, close of a candle: no luck, so that any test can say what must come."""
    n, width = time_ms // step_ms, 1 + seed % 3
    open_, close = (30_000 + (k * k + 7 * k + seed) % 997 for k in (n, n + 1))
    return float(open_), max(open_, close) + width, min(open_, close) - width, float(close)


@dataclass
class FakeMarket:
    """What the server knows, and how it misbehaves. Moments are its own time."""

    now_ms: int = FIRST_DAY + 3 * DAY_MS + 100 * CANDLE_MS + 61_000
    seed: int = 0
    launch_ms: int = 1_585_526_400_000
    lost: set[int] = field(default_factory=set)
    """Opens of 3-minute candles that it does not have."""
    drop_once: int = 0
    """How many rows of the next page of candles go missing (only there)."""
    late: set[int] = field(default_factory=set)
    """Opens of candles that the first question about them does not get."""
    duplicates: bool = False
    contradiction: bool = False
    truncated: int = 0
    too_many: int = 0
    too_many_after: int | None = None
    """After so many pages it answers 10006 and nothing else."""
    failing: Counter[str] = field(default_factory=Counter)
    """Paths that answer 10016 so many times."""
    funding_every_ms: int = 8 * HOUR_MS
    status: str = "Trading"
    page_size: int = 3
    stops_after: int | None = None
    """After so many candle pages it breaks every connection."""
    log: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    # ---- what tests ask ------------------------------------------------------------------------

    def asked(self, path: str) -> list[dict[str, str]]:
        """The questions of a kind."""
        return [query for asked, query in self.log if asked == path]

    def times(self, start_ms: int, end_ms: int) -> list[int]:
        """The opens of the closed 3-minute candles in [start, end) that exist."""
        closed = range(start_ms, min(end_ms, self.now_ms - CANDLE_MS + 1), CANDLE_MS)
        return [time for time in closed if time not in self.lost]

    # ---- what clients ask ----------------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path, query = request.path, dict(request.query)
        self.log.append((path, query))
        if path in (KLINE, MARK, FUNDING):
            if self.stops_after is not None:
                self.stops_after -= 1
                if self.stops_after < 0:
                    assert request.transport is not None
                    request.transport.abort()
                    return web.Response()
            if self.too_many_after is not None:
                self.too_many_after -= 1
                self.too_many += self.too_many_after < 0
            if self.too_many:
                self.too_many -= 1
                reset = {"X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(self.now_ms + 50)}
                return self._told({}, 10006, "Too many visits!", headers=reset)
            if self.truncated:
                self.truncated -= 1
                return web.Response(text='{"retCode":0,"retMsg":"OK","result":{"list":[["17486', status=200)
        if self.failing[path]:
            self.failing[path] -= 1
            return self._told({}, 10016, "Request timeout, please try again later")
        return self._told(*self._result(path, query))

    def _result(self, path: str, query: dict[str, str]) -> tuple[dict[str, Any], int, str]:
        if path == TIME:
            return {"timeSecond": str(self.now_ms // 1_000), "timeNano": str(self.now_ms * 1_000_000)}, 0, "OK"
        if path in (INSTRUMENTS, TIERS):
            return self._described(path, query)
        if query.get("symbol") not in ("BTCUSDT", "SOLUSDT"):
            return {}, 10001, "params error: Symbol Is Invalid"
        rows = self._settlements(query) if path == FUNDING else self._candles(path, query)
        return {"category": "linear", "symbol": query["symbol"], "list": rows}, 0, "OK"

    def _candles(self, path: str, query: dict[str, str]) -> list[list[str]]:
        step = _INTERVALS[query["interval"]]
        start, end = int(query["start"]) // step * step, int(query["end"])
        limit = int(query.get("limit", "200"))
        assert limit <= 1_000
        assert (end - start) / step < limit
        rows = [self._candle(path, time, step) for time in range(start, min(end, self.now_ms) + 1, step)]
        found = [row for row in rows if int(row[0]) not in self.lost and int(row[0]) >= self.launch_ms]
        found = [row for row in found if int(row[0]) not in self.late]
        self.late -= set(range(start, end + 1, step))
        if self.drop_once and len(found) > self.drop_once:
            found, self.drop_once = found[: len(found) // 2] + found[len(found) // 2 + self.drop_once :], 0
        if self.duplicates:
            found += found[:3]
        if self.contradiction:
            self.contradiction = False
            found.insert(1, [found[1][0], *(str(float(text) + 1) for text in found[1][1:])])
        return found[::-1][:limit]

    def _candle(self, path: str, time_ms: int, step_ms: int) -> list[str]:
        """The running candle has the prices of the moment: they are not final."""
        is_running = time_ms + step_ms > self.now_ms
        open_, high, low, close = prices(time_ms, self.seed + is_running, step_ms)
        shift = 5.0 if path == MARK else 0.0
        numbers = [str(price + shift) for price in (open_, high, low, close)]
        return [str(time_ms), *numbers] + ([] if path == MARK else ["12.5", "375000"])

    def _settlements(self, query: dict[str, str]) -> list[dict[str, str]]:
        start, end, every = int(query["startTime"]), int(query["endTime"]), self.funding_every_ms
        limit = int(query.get("limit", "200"))
        assert limit <= 200
        times = range(-(-start // every) * every, min(end, self.now_ms) + 1, every)
        return [
            {"symbol": query["symbol"], "fundingRate": rate(time), "fundingRateTimestamp": str(time)}
            for time in list(times)[::-1][:limit]
        ]

    def _described(self, path: str, query: dict[str, str]) -> tuple[dict[str, Any], int, str]:
        items = [self._item(symbol) for symbol in ("BTCUSDT", "SOLUSDT", "1000PEPEUSDT", "DOGEUSDT", "BTCPERP")]
        rows = items if path == INSTRUMENTS else [row for item in items for row in _tiers(item["symbol"])]
        if "symbol" in query:
            rows = [row for row in rows if row["symbol"] == query["symbol"]]
            if not rows:
                return {}, 10001, "params error: symbol invalid"
        first = int(query.get("cursor") or 0)
        page, rest = rows[first : first + self.page_size], rows[first + self.page_size :]
        cursor = str(first + self.page_size) if rest else ""
        return {"category": "linear", "list": page, "nextPageCursor": cursor}, 0, "OK"

    def _item(self, symbol: str) -> dict[str, Any]:
        quote = "USDC" if symbol.endswith("PERP") else "USDT"
        return {
            "symbol": symbol,
            "contractType": "LinearPerpetual",
            "status": self.status,
            "quoteCoin": quote,
            "settleCoin": quote,
            "launchTime": str(self.launch_ms),
            "deliveryTime": "0",
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
            "lotSizeFilter": {"maxMktOrderQty": "500", "minOrderQty": "0.001", "qtyStep": "0.001",
                              "minNotionalValue": "5"},
            "fundingInterval": 480,
        }  # fmt: skip

    def _told(
        self, result: dict[str, Any], code: int = 0, text: str = "OK", headers: dict[str, str] | None = None
    ) -> web.Response:
        document = {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": self.now_ms}
        return web.Response(text=json.dumps(document), content_type="application/json", headers=headers)


def rate(time_ms: int) -> str:
    """The settled rate of a moment."""
    return f"{(time_ms // HOUR_MS % 7 - 3) / 10_000:.4f}"


def _tiers(symbol: str) -> list[dict[str, Any]]:
    return [
        {"id": n, "symbol": symbol, "riskLimitValue": str(n * 1_000_000), "maintenanceMargin": f"{0.005 * n:.3f}",
         "initialMargin": f"{0.01 * n:.2f}", "isLowestRisk": int(n == 1), "maxLeverage": str(100 // n),
         "mmDeduction": "" if n == 1 else str(5_000 * (n - 1) * n // 2)}
        for n in range(1, 6)
    ]  # fmt: skip


@contextmanager
def serving(market: FakeMarket) -> Iterator[str]:
    """The server in a thread of its own; gives its address."""
    address: Future[str] = Future()
    stop: Future[Callable[[], None]] = Future()

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", market.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        stop.set_result(lambda: (loop.call_soon_threadsafe(stopped.set), None)[1])
        address.set_result(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await stopped.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield address.result(PATIENCE_S)
    finally:
        stop.result(PATIENCE_S)()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
