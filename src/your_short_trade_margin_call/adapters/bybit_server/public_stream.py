"""The public stream of linear contracts: subscriptions, pings, and what a newcomer is told."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.publishing import BOOK_DEPTHS
from your_short_trade_margin_call.adapters.bybit_server.stream_talk import converse, parsed, topics_of
from your_short_trade_margin_call.adapters.bybit_server.streams import StreamConnection
from your_short_trade_margin_call.adapters.bybit_server.world import World

SILENT = ("allLiquidation", "liquidation")
"""Topics of a pair on which nothing ever happens: nobody else trades here, so nobody else is liquidated."""
SILENT_OF_COINS = {f"{kind}.{coin}" for kind in ("insurance", "adlAlert") for coin in ("USDT", "USDC", "inverse")}
"""And so there is no pool of an insurance."""
LONGEST_ARGS = 21_000
"""Letters that all topics of a connection may have together."""


async def public_stream(request: web.Request) -> web.StreamResponse:
    """/v5/public/linear."""
    return await converse(request, _Conversation)


async def other_stream(request: web.Request) -> web.StreamResponse:
    """/v5/public/spot and the like: a conversation like any other, about nothing."""
    return await converse(request, _OtherConversation)


class _Conversation:
    """What one client says and is answered."""

    def __init__(self, world: World, connection: StreamConnection) -> None:
        self._world, self._connection = world, connection

    def _has(self, topic: str) -> bool:
        return is_topic(self._world, topic)

    async def hear(self, text: str) -> None:
        said = parsed(text)
        operation = said.get("op")
        answer = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "ping": self._pong}.get(
            str(operation)
        )
        if answer is None:
            self._say(said, "error:invalid op", success=False)
        else:
            answer(said)

    def _subscribe(self, said: dict[str, Any]) -> None:
        topics = topics_of(said)
        wrong = next((topic for topic in topics if not self._has(topic)), None)
        if wrong is not None or not topics:
            self._say(said, f"error:handler not found,topic:{wrong or ''}", success=False)
            return
        known = self._connection.subscriber.topics
        if sum(map(len, {*known, *topics})) > LONGEST_ARGS:
            self._say(said, "error:args size >21000", success=False)
            return
        fresh = [topic for topic in dict.fromkeys(topics) if topic not in known]
        self._say(said, "")
        self._connection.join(self._world.public, fresh)
        for topic in fresh:
            face = self._world.faces.get(topic.rpartition(".")[2])
            for message in () if face is None else face.snapshots(topic):
                self._connection.send(message)

    def _unsubscribe(self, said: dict[str, Any]) -> None:
        self._connection.leave(self._world.public, topics_of(said))
        self._say(said, "")

    def _pong(self, said: dict[str, Any]) -> None:
        self._say(said, "pong")

    def _say(self, said: dict[str, Any], text: str, *, success: bool = True) -> None:
        self._connection.answer(
            {
                "success": success,
                "ret_msg": text,
                "conn_id": self._connection.conn_id,
                "req_id": str(said.get("req_id", "")),
                "op": str(said.get("op", "")),
            }
        )


class _OtherConversation(_Conversation):
    """Of other kinds of markets there are no topics, and of the exchange's own state there is no news."""

    def _has(self, topic: str) -> bool:
        return topic == "system.status" and self._connection.path.endswith("/status")


def is_topic(world: World, topic: str) -> bool:
    """Whether this server has the topic."""
    if topic in SILENT_OF_COINS:
        return True
    kind, _, rest = topic.partition(".")
    detail, _, symbol = rest.rpartition(".")
    face = world.faces.get(symbol)
    if face is None:
        return False
    if kind == "kline":
        return detail in face.pair.rows.intervals
    if kind == "orderbook":
        return detail in BOOK_DEPTHS
    return kind in ("tickers", "publicTrade", "priceLimit", *SILENT) and not detail
