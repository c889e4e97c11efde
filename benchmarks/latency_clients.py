"""The clients of the latency benchmark: our engine, ccxt.pro and pybit, each in a process of its own.

Each hears the closed candles of all pairs, and sells the pair that signals when its candle closes. Ours is the whole
live engine: it decides, writes its intent to a journal on disk, sends the order with its stop, books the fill, amends
the stop and places the target. The others only send. Prints `ready`, then serves until stdin ends; ours then prints
how long its journal took between each closed candle and the order, in ns.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.latency_exchange import SETTINGS, SIGNALS, T0, names
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET

QUANTITY = "0.1"
LONGEST_WINDOW_MS = 10**10
"""The exchange's time jumps from candle to candle; clients that read this computer's clock are given all the time."""


async def stdin_ends() -> None:
    """Until the driver hangs up."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# ---- ours ------------------------------------------------------------------------------------------------


class TimedJournal:
    """A journal on disk that notes how long its writes took since the last closed candle, when an entry is intended."""

    def __init__(self, journal: Any) -> None:
        self._journal = journal
        self.spent_ns = 0
        self.taken_ns: list[int] = []

    def __getattr__(self, name: str) -> Any:
        kept = getattr(self._journal, name)
        if name not in ("intent", "event", "equity", "execution", "outcome", "trade", "blocked"):
            return kept

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter_ns()
            try:
                return kept(*arguments)
            finally:
                self.spent_ns += time.perf_counter_ns() - began
                if name == "intent" and str(arguments[0].purpose) == "entry":
                    self.taken_ns.append(self.spent_ns)

        return timed


async def ours(url: str, pairs: int) -> None:
    """The live engine on one pair, and a stream that hears the others."""
    from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
    from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
    from your_short_trade_margin_call.adapters.bybit.keys import Keys
    from your_short_trade_margin_call.adapters.bybit.rest import Rest
    from your_short_trade_margin_call.adapters.bybit.timing import Timing
    from your_short_trade_margin_call.adapters.bybit.venue import BybitVenue
    from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
    from your_short_trade_margin_call.adapters.system_clock import SystemClock, stopwatch_s
    from your_short_trade_margin_call.domain.messages import CandleClosed
    from your_short_trade_margin_call.domain.params import StrategyParams
    from your_short_trade_margin_call.domain.words import Account, ExitType
    from your_short_trade_margin_call.market.instruments import find_instrument
    from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
    from your_short_trade_margin_call.trading.state import make_context

    clock, keys = ServerClock(SystemClock().now_ms, stopwatch_s), Keys(DEMO_KEY, DEMO_SECRET)
    instrument = find_instrument(SIGNALS)
    params = StrategyParams(1, ExitType.TAKE_PROFIT, 0.5, 0.0022)
    async with Rest.open(endpoint_for(Account.DEMO, url), Timing(), clock, keys) as rest:
        venue = BybitVenue(rest, keys, instrument)
        await venue.open()
        others = await hear_others(rest, pairs)
        with tempfile.TemporaryDirectory() as folder:
            journal = TimedJournal(SqliteJournal(Path(folder) / "journal.sqlite"))
            engine = LiveTradingEngine(make_context(SETTINGS, instrument, 1), venue, journal, clock, params=params)
            handle = engine.handle

            async def handle_and_note(event: Any) -> None:
                if isinstance(event, CandleClosed):
                    journal.spent_ns = 0
                await handle(event)

            engine.handle = handle_and_note  # type: ignore[method-assign]
            running = asyncio.create_task(engine.run())
            print("ready", flush=True)
            await stdin_ends()
            engine.stop()
            await running
            print(f"{len(journal.trades())} trades, not traded: {journal.blocked_counts()}", file=sys.stderr)
            print(json.dumps(journal.taken_ns), flush=True)
        for stream in others:
            await stream.close()
        await venue.close()


async def hear_others(rest: Any, pairs: int) -> list[Any]:
    """One stream with the candles of all other pairs, each read and checked as ours are."""
    from dataclasses import replace

    from your_short_trade_margin_call.adapters.bybit.numbers import Grid
    from your_short_trade_margin_call.adapters.bybit.public_feed import PublicFeed
    from your_short_trade_margin_call.adapters.bybit.stream import Stream
    from your_short_trade_margin_call.market.instruments import find_instrument
    from your_short_trade_margin_call.settings import CANDLE_MS

    class Listener:
        def __getattr__(self, _name: str) -> Any:
            return lambda *_: None

    known = find_instrument(SIGNALS)
    feeds = {}
    for symbol in names(pairs):
        if symbol != SIGNALS:
            grid = Grid(replace(known, symbol=symbol))
            feed = PublicFeed(symbol, grid, CANDLE_MS, Listener())
            feeds[feed.topics[0]] = feed
    if not feeds:
        return []
    stream = Stream(
        rest.session, rest.endpoint.public_stream, tuple(feeds), lambda message: feeds[message.topic].take(message),
        Listener(), clock=rest.clock, timing=rest.timing, must_flow=lambda: False,
    )  # fmt: skip
    await stream.open()
    return [stream]


# ---- ccxt.pro --------------------------------------------------------------------------------------------


async def ccxt_pro(url: str, pairs: int) -> None:
    """Watches each pair's candles; it hides that one has closed, so the next one's first word is what it sells at."""
    import ccxt.pro

    stream = url.replace("http://", "ws://")
    exchange = ccxt.pro.bybit(
        {
            "apiKey": DEMO_KEY,
            "secret": DEMO_SECRET,
            "enableRateLimit": False,
            "options": {
                "fetchMarkets": {"types": ["linear"]},
                "enableUnifiedMargin": False,
                "enableUnifiedAccount": True,
                "unifiedMarginStatus": 5,
                "defaultType": "swap",
                "recvWindow": LONGEST_WINDOW_MS,
            },
        }
    )
    exchange.urls["api"] = {name: url if isinstance(at, str) else at for name, at in exchange.urls["api"].items()}
    exchange.urls["api"]["ws"] = {
        "public": {"linear": f"{stream}/v5/public/linear"},
        "private": {
            "usdc": f"{stream}/v5/private",
            "contract": f"{stream}/v5/private",
            "unified": f"{stream}/v5/private",
        },
    }
    exchange.milliseconds = lambda: T0
    await exchange.load_markets()
    symbols = {exchange.markets_by_id[name][0]["symbol"]: name for name in names(pairs)}

    async def watch(symbol: str) -> None:
        newest = 0
        while True:
            for candle in await exchange.watch_ohlcv(symbol, "3m"):
                if symbols[symbol] == SIGNALS and 0 < newest < candle[0]:
                    await exchange.create_order(symbol, "market", "sell", float(QUANTITY), None, {"positionIdx": 0})
                newest = max(newest, candle[0])

    watching = [asyncio.create_task(watch(symbol)) for symbol in symbols]
    await asyncio.sleep(1.0)
    print("ready", flush=True)
    await stdin_ends()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    await exchange.close()


# ---- pybit -----------------------------------------------------------------------------------------------


async def pybit_http(url: str, pairs: int) -> None:
    """Sells from the callback of the confirmed candle."""
    import pybit._helpers as pybit_helpers
    import pybit.unified_trading as pybit

    pybit.PUBLIC_WSS = url.replace("http://", "ws://") + "/v5/public/{CHANNEL_TYPE}"
    pybit_helpers.generate_timestamp = lambda: T0
    session = pybit.HTTP(api_key=DEMO_KEY, api_secret=DEMO_SECRET, recv_window=LONGEST_WINDOW_MS)
    session.endpoint = url
    session.get_server_time()

    def heard(message: dict[str, Any]) -> None:
        if message["topic"].endswith(SIGNALS) and message["data"][0]["confirm"]:
            session.place_order(
                category="linear", symbol=SIGNALS, side="Sell", orderType="Market", qty=QUANTITY, positionIdx=0
            )

    stream = pybit.WebSocket(testnet=False, channel_type="linear")
    stream.kline_stream(interval=3, symbol=names(pairs), callback=heard)
    await asyncio.sleep(1.0)
    print("ready", flush=True)
    await stdin_ends()
    stream.exit()


CLIENTS = {"ours": ours, "ccxt.pro": ccxt_pro, "pybit": pybit_http}

if __name__ == "__main__":
    asyncio.run(CLIENTS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
