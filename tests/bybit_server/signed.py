"""Signed requests and streams, put together by hand as two well-known clients do it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from yarl import URL

from your_short_trade_margin_call.adapters.bybit_server.auth import sign
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET

from .serving import Client, Stream

Document = dict[str, Any]


@dataclass
class Signed:
    """Signs with the demo key at the server's time; `skew_ms` puts the client's clock ahead."""

    client: Client
    key: str = DEMO_KEY
    secret: str = DEMO_SECRET
    skew_ms: float = 0
    window: str = "5000"
    more_headers: Mapping[str, str] = field(default_factory=dict)
    last_headers: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """What the client takes for the server's time."""
        return int(self.client.server.world.timeline.shown_ms() + self.skew_ms)

    async def get(self, path: str, **query: str) -> Document:
        return await self.send("GET", path, query=urlencode(query))

    async def post(self, path: str, **body: Any) -> Document:
        return await self.send("POST", path, body=json.dumps({"category": "linear", **body}))

    async def send(
        self, method: str, path: str, query: str = "", body: str = "", signed: str | None = None
    ) -> Document:
        """The answer; `signed` is what is signed instead of what is sent."""
        timestamp = str(self.now)
        origin = f"{timestamp}{self.key}{self.window}{(query or body) if signed is None else signed}"
        headers = {
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-TIMESTAMP": timestamp,
            "X-BAPI-RECV-WINDOW": self.window,
            "X-BAPI-SIGN": sign(self.secret, origin),
            "Content-Type": "application/json",
            **self.more_headers,
        }
        url = URL(f"{self.client.server.url}{path}{'?' if query else ''}{query}", encoded=True)
        sending = self.client.session.request(method, url, data=body.encode() if body else None, headers=headers)
        async with sending as response:
            assert response.status == 200, f"HTTP {response.status}"
            self.last_headers = dict(response.headers)
            document = await response.json()
        assert isinstance(document, dict)
        return document

    async def auth(self, stream: Stream, ahead_ms: int = 10_000, as_text: bool = False) -> Document:
        """Authenticate a stream; the acknowledgement."""
        expires = self.now + ahead_ms
        signature = sign(self.secret, f"GET/realtime{expires}")
        await stream.say({"op": "auth", "args": [self.key, str(expires) if as_text else expires, signature]})
        return await stream.hear()
