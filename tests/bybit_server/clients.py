"""ccxt and pybit, pointed at a server of this computer: what the tests with other people's clients share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

import pytest

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.adapters.bybit_server.stepping import Stepper
from your_short_trade_margin_call.adapters.bybit_server.world import World

Result = TypeVar("Result")

KEYS = {"api_key": DEMO_KEY, "api_secret": DEMO_SECRET}

ccxt_warnings = pytest.mark.filterwarnings(
    # aiohttp: a workaround that ccxt asks for is no longer needed since Python 3.12.7.
    "ignore:enable_cleanup_closed ignored:DeprecationWarning",
)


class Package:
    """A package that is imported when its first test is set up: whoever runs none of them does not wait for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        if find_spec(name.partition(".")[0]) is None:
            pytest.skip(f"{name} is not installed", allow_module_level=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)

    def load(self) -> None:
        """Import it now, so that no conversation is held up by that."""
        import_module(self._name)


def imported_first(*packages: Package) -> Any:
    """A fixture for a module: its packages are there before its first test talks to anybody."""

    @pytest.fixture(scope="module", autouse=True)
    def load() -> None:
        for package in packages:
            package.load()

    return load


# ---- ccxt -------------------------------------------------------------------------------------------------


def ccxt_exchange(kind: Any, url: str, now_ms: Callable[[], int] | None, **options: Any) -> Any:
    """`ccxt.async_support.bybit` or `ccxt.pro.bybit` of a server; nothing of it goes anywhere else.

    Args:
        kind: the class.
        url: the server's address.
        now_ms: the client's clock; None leaves its own.
        options: ccxt's options, beside those that choose swaps.
    """
    ws = url.replace("http", "ws")
    exchange = kind(
        {
            "apiKey": DEMO_KEY,
            "secret": DEMO_SECRET,
            "enableRateLimit": False,  # its throttle counts requests the server counts as well
            "options": {"defaultType": "swap", **options},
            "urls": {
                "api": {
                    **dict.fromkeys(("spot", "futures", "v2", "public", "private"), url),
                    "ws": {
                        "public": {"linear": f"{ws}/v5/public/linear"},
                        "private": {"contract": f"{ws}/v5/private", "trade": f"{ws}/v5/trade"},
                    },
                }
            },
        }
    )
    if now_ms is not None:
        exchange.milliseconds = now_ms
    return exchange


LINEAR_ONLY = {"fetchMarkets": {"types": ["linear"]}}
"""ccxt's option to ask for no other markets than those there are."""


# ---- a server beside clients that block ------------------------------------------------------------------


class ServerThread:
    """A server whose event loop runs in a thread of its own, for clients that block theirs."""

    def __init__(self, world: World) -> None:
        self.world, self.server = world, Server(world)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server")

    def __enter__(self) -> ServerThread:
        self._thread.start()
        self.run(self.server.start())
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self.run(self.server.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_S)
            self._loop.close()

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.server.url

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def step(self, candles: int = 1) -> None:
        """Cross so many boundaries; clients have been quiet after each phase."""

        async def on_the_loop() -> None:
            stepper: Stepper = self.server.stepper()
            assert await stepper.candles(candles) == candles

        self.run(on_the_loop())

    @contextmanager
    def silent(self) -> Iterator[None]:
        """While the block runs the server hears and says nothing.

        pybit registers what takes an answer after it has asked: a busy computer may let it wait longer than answers do.
        """
        end = threading.Event()
        self._loop.call_soon_threadsafe(end.wait, PATIENCE_S)
        try:
            yield
        finally:
            end.set()


@contextmanager
def all_threads_end() -> Iterator[None]:
    """Whatever thread is begun in the block has ended soon after it."""
    before = set(threading.enumerate())
    try:
        yield
    finally:
        begun = set(threading.enumerate()) - before
        for thread in begun:
            thread.join(PATIENCE_S)
        assert [thread.name for thread in begun if thread.is_alive()] == []


# ---- pybit ------------------------------------------------------------------------------------------------


def point_pybit_at(monkeypatch: pytest.MonkeyPatch, server: ServerThread) -> None:
    """Send pybit's streams to the server, and give it the server's clock; both are fixed in its source."""
    ws = server.url.replace("http", "ws")
    monkeypatch.setattr("pybit.unified_trading.PUBLIC_WSS", f"{ws}/v5/public/{{CHANNEL_TYPE}}")
    monkeypatch.setattr("pybit.unified_trading.PRIVATE_WSS", f"{ws}/v5/private")
    monkeypatch.setattr("pybit._websocket_trading.TRADE_WSS", f"{ws}/v5/trade")
    monkeypatch.setattr("pybit._helpers.generate_timestamp", server.world.timeline.shown_ms)


@contextmanager
def pybit_session(url: str, **options: Any) -> Iterator[Any]:
    """`pybit.unified_trading.HTTP` with the demo key, for as long as the block runs."""
    from pybit.unified_trading import HTTP

    session = HTTP(**{**KEYS, **options})
    session.endpoint = url
    try:
        yield session
    finally:
        session.client.close()


@contextmanager
def pybit_stream(kind: Any, **options: Any) -> Iterator[Any]:
    """One of pybit's streams, for as long as the block runs; its threads end soon after.

    Its reader looks up only so often (seconds) to see that the stream was closed by another thread.
    """
    stream = kind(testnet=False, ping_timeout=0.2, **options)
    try:
        yield stream
    finally:
        stream.exit()
