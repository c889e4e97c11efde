"""A look-alike of Bybit beside the tests: a server in a thread of its own, and commands that are pointed at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

from tests.cli.face import Answer, Face
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import Market, make_world
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

T = TypeVar("T")
KEY, SECRET = "marked-key-7f3a1c", "marked-secret-b9d24e"
"""Found again wherever they should not be."""
HOUR_MS = 3_600_000
WINDOW = "6h"
FAST = 1_200.0
"""A candle every 0.15 s."""
GRID = """
highest_high_lookback = [3]
exit_type = ["lowest_high", "highest_low"]
risk_fraction = [0.5]
take_profit_pct = [0.0022, 0.0044]
"""
"""So small that an optimisation is nothing to wait for. In the market below it has an edge, and trades often."""


@dataclass
class LookAlike:
    """A server that runs; its world may only be touched through `do`."""

    server: Server
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def account(self) -> TradingAccount:
        return self.server.world.accounts[KEY]

    def do(self, act: Callable[[], T]) -> T:
        """Call `act` in the server's own thread."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(act())
            except BaseException as error:
                answer.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return answer.result(PATIENCE_S)

    def configure(self, **knobs: object) -> None:
        """Turn knobs of the account (`AccountConfig`)."""
        self.do(lambda: [setattr(self.account.config, name, value) for name, value in knobs.items()])


@contextmanager
def look_alike(
    speed: float = FAST,
    config: AccountConfig | None = None,
    hours: float = 60.0,
    symbols: Sequence[str] = ("BTCUSDT",),
    history_hours: int = 6,
) -> Iterator[LookAlike]:
    """A server of some pairs with six hours of history, on a free port of this computer."""
    started: Future[LookAlike] = Future()
    stopped = asyncio.Event()

    async def serve() -> None:
        minutes = int((hours + history_hours - 6) * 60)
        markets = [
            Market(
                find_instrument(symbol), generate(SyntheticMarket(seed=27, symbol=symbol, minutes=minutes, edge=4.0))
            )
            for symbol in symbols
        ]
        past_ms = history_hours * HOUR_MS
        world = make_world(markets, Settings(), speed=speed, history_ms=past_ms, keys={KEY: SECRET}, config=config)
        server = Server(world)
        await server.start()
        started.set_result(LookAlike(server, asyncio.get_running_loop()))
        await stopped.wait()
        await server.stop()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = Thread(target=run, name="look-alike")
    thread.start()
    try:
        running = started.result(PATIENCE_S)
        yield running
        running.loop.call_soon_threadsafe(stopped.set)
    finally:
        if started.done() and not stopped.is_set():
            started.result().loop.call_soon_threadsafe(stopped.set)
        thread.join(PATIENCE_S)


def keys_for(account: Account = Account.DEMO, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    """The environment that holds an account's keys."""
    name = f"BYBIT_{account.upper()}_API"
    return {f"{name}_KEY": key, f"{name}_SECRET": secret}


def trading(face: Face, server: LookAlike, *args: object, **env: str) -> Answer:
    """The main job on a small grid against the server."""
    return face(*at(face, server), *args, **env)


def at(face: Face, server: LookAlike) -> list[object]:
    """The options that point a command at the server, with a window and a grid that take no time."""
    grid = face.data.parent / "grid.toml"
    grid.write_text(GRID)
    window = ("--set", f"window={WINDOW}", "--set", "order_reject_prob=0")
    return ["--endpoint", server.url, "--grid", grid, *window]
