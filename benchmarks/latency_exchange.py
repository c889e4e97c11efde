"""The exchange of the latency benchmark, in a process of its own: a look-alike whose candles close when it is told to.

Reads lines from stdin: `round` closes the running candle of every pair at once and prints how long it took, in ns, from
handing the closed candle of the pair that signals to a socket until an entry order was read (`null` when none came);
`close` buys back what is open. The new books are published first and the closed candles last, as on a real exchange,
where the book never waits for a candle; behind each closed candle comes the first word of the next.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.bus import encode
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.request_log import LoggedRequest
from your_short_trade_margin_call.adapters.bybit_server.streams import Streams
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.settings import Settings

T0 = 1_767_225_600_000
HISTORY = 20
SIGNALS = "SOLUSDT"
SIGNAL_TOPIC = f"kline.{CANDLE_MS // 60_000}.{SIGNALS}"
SETTINGS = Settings(order_reject_prob=0.0, slippage_bps=0.0, starting_balance=10_000.0)
QUIET_S = 0.06
PATIENCE_S = 3.0
SUBSCRIBED_S = 30.0


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


class NobodyHearsError(Exception):
    """The client has no stream of candles, or has lost it and does not come back."""


class Moments:
    """When the signalling pair's closed candle was handed to a socket first, and when an entry order was read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.closing = ""
        """The text that closes the candle; whoever is sent exactly this begins the measurement."""
        self._pushed_ns: int | None = None
        self._arrived: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def before_write(self, text: str) -> None:
        """A text is about to be handed to a socket."""
        if text is self.closing and self._pushed_ns is None:
            self._pushed_ns = self._world.requests.now_ns()

    def on_arrival(self, row: LoggedRequest) -> None:
        """A request was read."""
        if self._pushed_ns is not None and row.path.endswith("order/create") and not self._arrived.done():
            self._arrived.set_result(row.arrived_ns)

    async def taken_ns(self) -> int:
        """Nanoseconds between the two.

        Raises:
            TimeoutError: no order came.
        """
        async with asyncio.timeout(PATIENCE_S):
            arrived_ns = await self._arrived
        return arrived_ns - (self._pushed_ns or 0)


async def one_round(world: World, streams: Streams) -> int | None:
    """Nanoseconds from the closed candle on its way to the arrival of the entry; None when none came."""
    held = await _prepared(world)
    moments = Moments(world)
    moments.closing = next(text for topic, text in held if topic == SIGNAL_TOPIC)
    for connection in streams.open("/v5/public"):
        connection.before_write = moments.before_write
    everybody = world.public.subscribers()
    leaving = [(each, text) for topic, text in held for each in everybody if topic in each.topics]
    world.requests.on_arrival = moments.on_arrival
    gc.collect()
    gc.disable()
    try:
        for subscriber, text in leaving:
            subscriber.put(text)
        return await moments.taken_ns()
    except TimeoutError:
        return None
    finally:
        gc.enable()


async def _prepared(world: World) -> list[tuple[str, str]]:
    """Everything but the candles has been sent; topic and text of each pair's closed candle and the next one."""
    await _heard_by_somebody(world)
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
    order = {name: k for k, name in enumerate(world.pairs)}
    return sorted(held, key=lambda each: order[each[0].rpartition(".")[2]])  # stable: closed first, then the next


async def _heard_by_somebody(world: World) -> None:
    """Until the client has subscribed to the candles of every pair.

    Raises:
        NobodyHearsError: it has not, or its stream is gone.
    """
    topics = [SIGNAL_TOPIC.replace(SIGNALS, name) for name in world.pairs]
    try:
        async with asyncio.timeout(SUBSCRIBED_S):
            # ASYNC110 wants an event to wait for; the bus has none.
            while not all(world.public.wants(topic) for topic in topics):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise NobodyHearsError from None


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
    # What stays is not looked through again before each round: that would empty the caches of a client which, outside
    # a benchmark, shares no processor with the exchange.
    gc.collect()
    gc.freeze()
    print(json.dumps({"url": server.url}), flush=True)
    loop, is_heard = asyncio.get_running_loop(), True
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "close":
            close_by_hand(world)
            continue
        taken = None
        if is_heard:
            try:
                taken = await one_round(world, server.streams)
            except NobodyHearsError:  # what it does not hear it cannot trade, in this round and all others
                is_heard = False
            await silence(world)
        print(json.dumps(taken), flush=True)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
