"""One HTTP exchange: signed, sent once, read to its end, and told as plain facts. The network never makes it raise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import msgspec
from yarl import URL

from your_short_trade_margin_call.adapters.bybit.budget import LimitNews
from your_short_trade_margin_call.adapters.bybit.clock import Sample, ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint
from your_short_trade_margin_call.adapters.bybit.signing import Signer
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.wire import Envelope

_ENVELOPE = msgspec.json.Decoder(Envelope)
_JSON = {"Content-Type": "application/json"}
_SPEED_HEADER = "X-Look-Alike-Speed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    `envelope` is None when nothing usable did; `trouble` then says why, in words. `was_sent` is False only when the
    request certainly never left. `status` is 0 without an answer. `sent_s` is when it left (stopwatch).
    """

    sent_s: float

    status: int = 0
    envelope: Envelope | None = None
    trouble: str = ""
    was_sent: bool = True
    news: LimitNews | None = None
    sample: Sample | None = None


class Transport:
    """Sends requests to one endpoint over one session, and feeds every answer's time to the clock.

    Exceptions of the HTTP library carry the headers of the request, and so the key: they end here.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        clock: ServerClock,
        timing: Timing,
        signer: Signer | None,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._clock = clock
        self._timing = timing
        self._signer = signer
        self._limit = aiohttp.ClientTimeout(
            total=timing.request_timeout_s, sock_connect=timing.connect_timeout_s, connect=timing.connect_timeout_s
        )
        self._urls: dict[str, URL] = {}

    async def get(self, path: str, query: str, *, signed: bool) -> Answer:
        """Ask once; `query` goes on the wire as it is."""
        url = self._url(path) if not query else URL(f"{self._endpoint.rest}{path}?{query}", encoded=True)
        headers = self._signed(query.encode()) if signed else None
        return await self._send("GET", url, headers, None)

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a signed write once; `body` goes on the wire as it is."""
        return await self._send("POST", self._url(path), {**self._signed(body), **_JSON}, body)

    def _url(self, path: str) -> URL:
        if path not in self._urls:
            self._urls[path] = URL(f"{self._endpoint.rest}{path}", encoded=True)
        return self._urls[path]

    def _signed(self, payload: bytes) -> dict[str, str]:
        return {} if self._signer is None else self._signer.headers(self._clock.now_ms(), payload)

    async def _send(self, method: str, url: URL, headers: dict[str, str] | None, body: bytes | None) -> Answer:
        sent_s = self._clock.stopwatch_s()
        try:
            request = self._session.request(
                method, url, headers=headers, data=body, timeout=self._limit, allow_redirects=False
            )
            async with request as response:
                content = await self._read(response)
                return self._understood(response, content, sent_s)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Answer(sent_s, trouble="it cannot be reached", was_sent=False)
        except TimeoutError:
            return Answer(sent_s, trouble="it did not answer in time")
        except (aiohttp.ClientError, OSError):
            return Answer(sent_s, trouble="the connection broke")

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > self._timing.largest_answer_bytes:
                response.close()
                return b""
        return bytes(content)

    def _understood(self, response: aiohttp.ClientResponse, content: bytes, sent_s: float) -> Answer:
        news = _news(response)
        try:
            envelope = _ENVELOPE.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Answer(sent_s, response.status, trouble="its answer was cut off or is no JSON", news=news)
        sample = None
        if envelope.time > 0:
            sample = Sample(envelope.time, sent_s, self._clock.stopwatch_s(), self._speed(response))
        return Answer(sent_s, response.status, self._without_key(envelope), news=news, sample=sample)

    def _without_key(self, envelope: Envelope) -> Envelope:
        """Bybit repeats the key in the text of some errors; such texts are shown and written down."""
        if self._signer is None or not envelope.ret_code:
            return envelope
        return msgspec.structs.replace(envelope, ret_msg=self._signer.hide(envelope.ret_msg or ""))

    def _speed(self, response: aiohttp.ClientResponse) -> float | None:
        """What a look-alike on this computer announces; a real exchange's time runs as ours."""
        told = response.headers.get(_SPEED_HEADER) if self._endpoint.is_loopback else None
        try:
            speed = float(told) if told is not None else 1.0
        except ValueError:
            return None
        return speed if 0.0 <= speed < float("inf") else None


def _news(response: aiohttp.ClientResponse) -> LimitNews:
    told = response.headers
    return LimitNews(
        allowed=whole(told.get("X-Bapi-Limit")),
        left=whole(told.get("X-Bapi-Limit-Status")),
        reset_ms=whole(told.get("X-Bapi-Limit-Reset-Timestamp")),
    )


def whole(text: str | None) -> int | None:
    """A number of a header; None for what is none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None


@asynccontextmanager
async def open_session(endpoint: Endpoint) -> AsyncIterator[aiohttp.ClientSession]:
    """A session of kept-alive connections without cookies; proxies of the environment are used, but not to loopback."""
    connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=60.0, ttl_dns_cache=300)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=not endpoint.is_loopback,
        headers={"User-Agent": "shortest-peak"},
    ) as session:
        yield session
