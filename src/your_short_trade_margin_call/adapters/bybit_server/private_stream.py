"""The private stream: orders, executions, positions and the wallet of the account that authenticates."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server.account import FAST_TOPIC, TOPICS, TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.auth import check_stream_auth
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError
from your_short_trade_margin_call.adapters.bybit_server.order_rows import CATEGORY
from your_short_trade_margin_call.adapters.bybit_server.stream_talk import converse, parsed, topics_of
from your_short_trade_margin_call.adapters.bybit_server.streams import StreamConnection
from your_short_trade_margin_call.adapters.bybit_server.world import World

_OF_CATEGORIES = (*(topic for topic in TOPICS if topic != "wallet"), FAST_TOPIC)
CATEGORISED = tuple(f"{topic}.{CATEGORY}" for topic in _OF_CATEGORIES)
SILENT = {
    *("greeks", "dcp.future", "dcp.spot", "dcp.option", "spread.order", "spread.execution"),
    *(f"{topic}.{other}" for topic in _OF_CATEGORIES for other in ("spot", "inverse", "option")),
}
"""Topics of the exchange that an account of linear contracts may listen to, and that never say anything to it."""


async def private_stream(request: web.Request) -> web.StreamResponse:
    """/v5/private."""
    return await converse(request, _Conversation)


class _Conversation:
    """What one client says and is answered. Nothing is told of before; there is no snapshot on subscribing."""

    def __init__(self, world: World, connection: StreamConnection) -> None:
        self._world, self._connection = world, connection
        self._account: TradingAccount | None = None

    async def hear(self, text: str) -> None:
        """Answer one message."""
        said = parsed(text)
        answers = {"auth": self._auth, "subscribe": self._subscribe, "unsubscribe": self._leave, "ping": self._pong}
        answer = answers.get(str(said.get("op")))
        if answer is None:
            self._say(said, "error:invalid op", success=False)
        else:
            answer(said)

    def _auth(self, said: dict[str, Any]) -> None:
        try:
            self._account = check_stream_auth(self._world, said.get("args"))
        except ApiError as error:
            self._say(said, error.text, success=False)
            return
        self._connection.account = self._account.key
        self._say(said, "")

    def _subscribe(self, said: dict[str, Any]) -> None:
        topics = topics_of(said)
        if self._account is None:
            self._say(said, "Request not authorized", success=False)
            return
        unknown = [topic for topic in topics if topic not in {*TOPICS, FAST_TOPIC, *CATEGORISED, *SILENT}]
        if unknown or not topics:
            self._say(said, f"error:handler not found,topic:{''.join(unknown[:1])}", success=False)
            return
        if set(topics) & set(CATEGORISED) and set(topics) & set(_OF_CATEGORIES):
            self._say(said, "error:all-in-one and categorised topics cannot be mixed in one request", success=False)
            return
        self._say(said, "")
        self._connection.join(self._account.bus, topics)

    def _leave(self, said: dict[str, Any]) -> None:
        if self._account is not None:
            self._connection.leave(self._account.bus, topics_of(said))
        self._say(said, "")

    def _pong(self, said: dict[str, Any]) -> None:
        now = str(self._world.timeline.shown_ms())
        self._connection.answer({**_echoed(said), "op": "pong", "args": [now], "conn_id": self._connection.conn_id})

    def _say(self, said: dict[str, Any], text: str, *, success: bool = True) -> None:
        self._connection.answer(
            {
                "success": success,
                "ret_msg": text,
                "op": str(said.get("op", "")),
                "conn_id": self._connection.conn_id,
                **_echoed(said),
            }
        )


def _echoed(said: dict[str, Any]) -> dict[str, str]:
    """The request's id, as text, where it had one."""
    return {"req_id": str(said["req_id"])} if "req_id" in said else {}
