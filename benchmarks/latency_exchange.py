"""The exchange of the latency benchmark, in a process of its own: a look-alike whose candles close when it is told to.

Reads lines from stdin: `round` closes the running candle of every pair at once and prints how long it took, in ns,
until an entry order for the pair that signals had arrived (`null` when none came); `close` buys back what is open.
Both moments are taken here, on one clock. The new books are published first and the closed candles last, as on a
real exchange, where the book never waits for a candle; behind each closed candle comes the first word of the next.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.bus import encode
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.settings import CANDLE_MS, Settings

T0 = 1_767_225_600_000
HISTORY = 20
SIGNALS = "SOLUSDT"
SETTINGS = Settings(order_reject_prob=0.0, slippage_bps=0.0, starting_balance=10_000.0)
QUIET_S = 0.06
PATIENCE_S = 3.0


def candles_of(symbol: str, count: int, signals: bool) -> Candles:
    """Every candle makes a failed new high and reaches a near target, or never does."""
    close = 99.9 if signals else 100.1
    columns = [np.full(count, price) for price in (100.0, 101.0, 99.0, close)]
    time_ms = T0 + CANDLE_MS * np.arange(count, dtype=np.int64)
    return Candles.from_columns(symbol, time_ms, *columns, volume=np.full(count, 5_000.0), timeframe_ms=CANDLE_MS)


def names(pairs: int) -> list[str]:
    """Pairs; the one that signals stands in the middle."""
    others = [f"COIN{k:02}USDT" for k in range(pairs - 1)]
    return [*others[: len(others) // 2], SIGNALS, *others[len(others) // 2 :]]


def make_exchange(pairs: int, rounds: int) -> World:
    """A stepped world."""
    known = find_instrument(SIGNALS)
    count = HISTORY + rounds + 2
    markets = [Market(replace(known, symbol=s), candles_of(s, count, s == SIGNALS)) for s in names(pairs)]
    return make_world(markets, SETTINGS, history_ms=HISTORY * CANDLE_MS)


async def silence(world: World) -> None:
    """Until nobody has asked for anything for a while, and everything is sent."""
    # ASYNC110 wants an event to wait for; silence is none.
    while not world.is_served or world.requests.quiet_s < QUIET_S:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def one_round(world: World) -> int | None:
    """Nanoseconds from the push of the closed candles to the arrival of the entry."""
    held: list[tuple[str, str]] = []
    publish = world.public.publish

    def hold(topic: str, message: Any) -> None:
        if topic.startswith("kline."):
            held.append((topic, encode(message)))  # encoded beforehand: only the sending is measured
        else:
            publish(topic, message)

    world.public.publish = hold  # type: ignore[method-assign]
    for phase in Phase:
        for pair in world.pairs.values():
            if pair.phase.next is phase:
                world.do_phase(pair)
        if phase is Phase.PATH:
            await silence(world)
    await silence(world)
    world.public.publish = publish  # type: ignore[method-assign]
    everybody = world.public.subscribers()
    leaving = [(each, text) for topic, text in held for each in everybody if topic in each.topics]
    seen = world.requests.count
    pushed_ns = world.requests.now_ns()
    for subscriber, text in leaving:
        subscriber.put(text)
    return await _entry_arrives(world, seen) - pushed_ns


async def _entry_arrives(world: World, seen: int) -> int:
    """When the first order after so many requests arrives."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await asyncio.sleep(0.0005)
            fresh = list(world.requests.rows)[seen - world.requests.count :] if world.requests.count > seen else []
            for row in fresh:
                if row.path.endswith("order/create") or row.method == "WS":
                    return row.arrived_ns


def close_by_hand(world: World) -> None:
    """Flat again, for clients that do not look after their exits."""
    account = world.accounts[DEMO_KEY]
    if account.sim(SIGNALS).position is not None:
        account.manual_close(SIGNALS)


async def main(pairs: int, rounds: int) -> None:
    """Serve until stdin ends."""
    world = make_exchange(pairs, rounds)
    server = Server(world)
    await server.start()
    print(json.dumps({"url": server.url}), flush=True)
    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "close":
            close_by_hand(world)
            continue
        try:
            taken = await one_round(world)
        except TimeoutError:
            taken = None
        await silence(world)
        print(json.dumps(taken), flush=True)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
