"""What all streams share: a conversation for as long as the connection lasts, and the reading of what clients say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.envelope import STREAMS, WORLD
from your_short_trade_margin_call.adapters.bybit_server.request_fields import json_object
from your_short_trade_margin_call.adapters.bybit_server.streams import StreamConnection
from your_short_trade_margin_call.adapters.bybit_server.world import World


class Talk(Protocol):
    """What one client says and is answered."""

    async def hear(self, text: str) -> None:
        """Answer one message."""


async def converse(request: web.Request, begin: Callable[[World, StreamConnection], Talk]) -> web.StreamResponse:
    """Accept a connection, and answer what its client says until it ends."""
    async with request.app[STREAMS].accept(request) as connection:
        await connection.listen(begin(request.app[WORLD], connection).hear)
        return connection.socket


def parsed(text: str) -> dict[str, Any]:
    """The object a client said; empty when it said none."""
    return json_object(text) or {}


def topics_of(said: dict[str, Any]) -> list[str]:
    """The topics a message names."""
    args = said.get("args")
    return [str(topic) for topic in args] if isinstance(args, list) else []
