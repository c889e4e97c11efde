"""The server: its two applications, its sockets, and what keeps the market going while they are open."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import Any

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server import admin, elsewhere, market_routes, private_routes
from your_short_trade_margin_call.adapters.bybit_server.auth import auth
from your_short_trade_margin_call.adapters.bybit_server.envelope import STREAMS, WORLD
from your_short_trade_margin_call.adapters.bybit_server.fault_layer import StreamFaults, fault_layer
from your_short_trade_margin_call.adapters.bybit_server.private_stream import private_stream
from your_short_trade_margin_call.adapters.bybit_server.public_stream import other_stream, public_stream
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import rate_limits
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import SocketFaults
from your_short_trade_margin_call.adapters.bybit_server.stepping import Stepper
from your_short_trade_margin_call.adapters.bybit_server.streams import Streams
from your_short_trade_margin_call.adapters.bybit_server.trade_stream import trade_stream
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.errors import BusyError, SettingError

LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65_535
_LOOK_AT_BOOKS_S = 0.5
_FAREWELL_S = 0.5
"""How long requests that are being answered may take when the server stops."""


def make_app(world: World, streams: Streams | None = None) -> web.Application:
    """The exchange's side: REST and streams. The outermost layer logs, lets time catch up and strikes with faults."""
    app = web.Application(middlewares=[fault_layer, rate_limits, auth])
    app[WORLD] = world
    app[STREAMS] = streams or Streams(world)
    app.router.add_routes(market_routes.routes())
    app.router.add_routes(private_routes.routes())
    app.router.add_routes(elsewhere.routes())
    app.router.add_routes(
        [
            web.get("/v5/public/linear", public_stream),
            *(web.get(f"/v5/public/{kind}", other_stream) for kind in ("spot", "inverse", "option", "misc/status")),
            web.get("/v5/private", private_stream),
            web.get("/v5/trade", trade_stream),
        ]
    )
    return app


def make_admin_app(world: World, streams: Streams) -> web.Application:
    """The admin's side, for a port of its own."""
    app = web.Application(middlewares=[admin.named_errors])
    app[WORLD], app[STREAMS] = world, streams
    app.router.add_routes(admin.routes())
    return app


class Server:
    """A world behind sockets of this computer.

    Args:
        world: what is served; `faults` and everything else of it may be used from the same thread at any time.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.streams = Streams(world)
        self._app = make_app(world, self.streams)
        StreamFaults(world, self.streams)
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._ports: list[int] = []

    @property
    def faults(self) -> SocketFaults:
        """The plan of what goes wrong."""
        return self.world.faults

    @property
    def url(self) -> str:
        """Where requests go; streams are at ``ws://`` the same address, ``/v5/public/linear`` and so on."""
        return f"http://{LOOPBACK}:{self._ports[0]}"

    @property
    def admin_url(self) -> str:
        """Where the admin is."""
        return f"http://{LOOPBACK}:{self._ports[1]}"

    async def start(self, host: str = LOOPBACK, port: int = 0, admin_port: int = 0) -> None:
        """Open both ports (0 is any free one) and let time run.

        Raises:
            BusyError: a port is taken.
            SettingError: a port is no port.
        """
        try:
            for app, wanted in ((self._app, port), (make_admin_app(self.world, self.streams), admin_port)):
                await self._open(app, host, wanted)
        except BaseException:
            await self.stop()
            raise
        self.streams.cut_connections = self._cut_connections
        self._tasks.append(asyncio.create_task(self._repeat_books()))
        self.world.timeline.start()
        if not self.world.timeline.is_stepped:
            self._tasks.append(asyncio.create_task(self.world.run()))

    async def stop(self) -> None:
        """Cut every stream and close the ports."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        self.streams.drop()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def wait(self) -> None:
        """Return only by an error: that of the market, should it stop."""
        await asyncio.gather(*self._tasks)

    def restart(self) -> None:
        """Every connection is cut, and what a restart forgets is forgotten; the ports stay open."""
        self.world.restart()
        self.streams.drop_everything()

    def stepper(self) -> Stepper:
        """Moves a stepped market on, and waits for clients in between.

        Raises:
            SettingError: the market runs by itself.
        """
        return Stepper(self.world, self.streams)

    async def _open(self, app: web.Application, host: str, port: int) -> None:
        if not 0 <= port <= HIGHEST_PORT:
            raise SettingError(f"{port} is no port.", f"Ports go to {HIGHEST_PORT:,}; 0 is any free one.")
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_FAREWELL_S)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise BusyError(
                f"Port {port} of {host} cannot be opened: {error.strerror}.",
                "Choose another with --port or --admin-port; 0 is any free one.",
            ) from None
        self._ports.append(_port_of(runner))

    def _cut_connections(self) -> None:
        server = self._runners[0].server
        for connection in [] if server is None else list(server.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def _repeat_books(self) -> None:
        while True:
            await self.world.timeline.nap(_LOOK_AT_BOOKS_S)
            self.world.repeat_books()


def _port_of(runner: web.AppRunner) -> int:
    address: Any = runner.addresses[0]
    return int(address[1])
