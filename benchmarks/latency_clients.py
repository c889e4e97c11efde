"""The clients of the latency benchmark: our engine, ccxt.pro and pybit, each in a process of its own.

Each hears the closed candles of all pairs, and sells the pair that signals when its candle closes. Ours is the whole
live engine: it decides, writes its intent to a journal on disk, sends the order with its stop, books the fill, amends
the stop and places the target. The others only send. Prints `ready`, then serves until stdin ends; ours then prints
how long its journal took between each closed candle and the order, in ns.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.latency_exchange import SETTINGS, SIGNALS, names
from benchmarks.latency_rivals import Served, ccxt_pro, pybit
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.domain.words import Account

READ_LATER_S = 0.005
"""What the other pairs' candles say is read so long after they arrived: the pair that is traded comes first."""


async def served() -> None:
    """Say that everything is set up, and wait until the driver hangs up.

    What setting up took is not looked through for rubbish again, whoever the client is.
    """
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
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


async def ours(url: str, pairs: int, served: Served, *, account: Account) -> None:
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
    from your_short_trade_margin_call.domain.words import ExitType
    from your_short_trade_margin_call.market.instruments import find_instrument
    from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
    from your_short_trade_margin_call.trading.state import make_context

    clock, keys = ServerClock(SystemClock().now_ms, stopwatch_s), Keys(DEMO_KEY, DEMO_SECRET)
    instrument = find_instrument(SIGNALS)
    params = StrategyParams(1, ExitType.TAKE_PROFIT, 0.5, 0.0022)
    async with Rest.open(endpoint_for(account, url), Timing(), clock, keys) as rest:
        venue = BybitVenue(rest, keys, instrument)
        await venue.open()
        others = await hear_others(rest, pairs)
        with tempfile.TemporaryDirectory() as folder:
            journal = TimedJournal(SqliteJournal(Path(folder) / "journal.sqlite"))
            engine = LiveTradingEngine(
                replace(make_context(SETTINGS, instrument, 1), turn_every_ms=1_000),
                venue,
                journal,
                clock,
                params=params,
            )
            handle = engine.handle

            async def handle_and_note(event: Any) -> None:
                if isinstance(event, CandleClosed):
                    journal.spent_ns = 0
                await handle(event)

            engine.handle = handle_and_note  # type: ignore[method-assign]
            running = asyncio.create_task(engine.run())
            await _line_is_up(venue)
            await served()
            engine.stop()
            await running
            print(f"{len(journal.trades())} trades, not traded: {journal.blocked_counts()}", file=sys.stderr)
            print(json.dumps(journal.taken_ns), flush=True)
        for stream in others:
            await stream.close()
        await venue.close()


async def _line_is_up(venue: Any) -> None:
    """Until orders may go by stream, where they do."""
    # ASYNC110 wants an event to wait for; this happens once, before anything is measured.
    while venue.trade_line is not None and not venue.trade_line.is_up:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def hear_others(rest: Any, pairs: int) -> list[Any]:
    """One stream with the candles of all other pairs, each read and checked as ours are."""
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
    unread: list[Any] = []

    def hear(message: Any) -> None:
        if not unread:
            asyncio.get_running_loop().call_later(READ_LATER_S, read)
        unread.append(message)

    def read() -> None:
        for message in unread:
            feeds[message.topic].take(message)
        unread.clear()

    stream = Stream(
        rest.session, rest.endpoint.public_stream, tuple(feeds), hear,
        Listener(), clock=rest.clock, timing=rest.timing, must_flow=lambda: False,
    )  # fmt: skip
    await stream.open()
    return [stream]


RUNS = {
    "ours, stream": partial(ours, account=Account.MAINNET),
    "ours, REST": partial(ours, account=Account.DEMO),
    "ccxt.pro, stream": partial(ccxt_pro, by_stream=True),
    "ccxt.pro, REST": partial(ccxt_pro, by_stream=False),
    "pybit, stream": partial(pybit, by_stream=True),
    "pybit, REST": partial(pybit, by_stream=False),
}
"""Each client with its orders by stream, and by REST: a demo account takes none by stream."""

if __name__ == "__main__":
    gc.set_threshold(100_000, 20, 20)  # as our program does; for the others alike
    asyncio.run(RUNS[sys.argv[1]](sys.argv[2], int(sys.argv[3]), served))
