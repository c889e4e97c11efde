"""Orders by stream: the same writes as by REST, on a connection that is open and logged in already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import msgspec

from your_short_trade_margin_call.adapters.bybit.budget import LimitNews
from your_short_trade_margin_call.adapters.bybit.clock import Sample
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.signing import Signer
from your_short_trade_margin_call.adapters.bybit.stream import Login, Stream
from your_short_trade_margin_call.adapters.bybit.transport import Answer, whole
from your_short_trade_margin_call.adapters.bybit.wire import Envelope, StreamMessage, TradeHeader

_OPERATIONS = {"/v5/order/create": "order.create"}
_HEADER = msgspec.json.Decoder(TradeHeader)
_ENCODER = msgspec.json.Encoder()
_BROKE = "the connection broke"


class TradeLine:
    """The stream for orders of one account: a `rest.Way`. Where it is not up, writes go by REST.

    A request costs a fraction of one by HTTP: no request is built, no signature worked out, no headers read.
    What the exchange says about a write means the same on both ways, and so does silence: an answer that stays out
    or cannot be read, or a connection that breaks before it came, leaves the fate of the order open.

    Args:
        rest: whose session, clock and timing it uses.
        signer: of the same account.
        login: makes the message that authenticates.
        broke: told when the line ended by a bug.
    """

    def __init__(self, rest: Rest, signer: Signer, login: Login, broke: Callable[[BaseException], None]) -> None:
        self._clock, self._timing, self._signer = rest.clock, rest.timing, signer
        self.broke = broke
        self._asked = 0
        self._open: dict[str, asyncio.Future[StreamMessage | str]] = {}
        self._stream = Stream(
            rest.session,
            rest.endpoint.trade_stream,
            (),
            _ignore,
            self,
            clock=rest.clock,
            timing=rest.timing,
            login=login,
            must_flow=lambda: False,
            answered=self._take,
        )

    @property
    def is_up(self) -> bool:
        """Whether it can be taken now."""
        return self._stream.is_up

    @property
    def stream(self) -> Stream:
        """Its connection."""
        return self._stream

    def begin(self) -> None:
        """Connect, again and again, without waiting for it."""
        self._stream.begin()

    async def close(self) -> None:
        """End the connection; what was asked for and not answered stays open."""
        await self._stream.close()
        self._give_up(_BROKE)

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a write once; `body` goes on the wire as it is."""
        sent_s, now_ms = self._clock.stopwatch_s(), self._clock.now_ms()
        self._asked += 1
        name = f"{now_ms}-{self._asked}"
        answered = self._open[name] = asyncio.get_running_loop().create_future()
        message: StreamMessage | str
        try:
            async with asyncio.timeout(self._timing.request_timeout_s):
                await self._stream.send(self._request(name, now_ms, path, body))
                message = await answered
        except TimeoutError:
            return Answer(sent_s, trouble="it did not answer in time")
        except (aiohttp.ClientError, OSError):
            message = _BROKE
        finally:
            del self._open[name]
        return Answer(sent_s, trouble=message) if isinstance(message, str) else self._understood(message, sent_s)

    def _request(self, name: str, now_ms: int, path: str, body: bytes) -> str:
        head = {"reqId": name, "header": self._signer.stream_header(now_ms), "op": _OPERATIONS[path]}
        return _ENCODER.encode({**head, "args": [msgspec.Raw(body)]}).decode()

    def _understood(self, message: StreamMessage, sent_s: float) -> Answer:
        if message.ret_code is None:
            return Answer(sent_s, trouble="its answer has no code")
        try:
            header = _HEADER.decode(message.header)
        except msgspec.DecodeError:
            header = TradeHeader()
        news = LimitNews(whole(header.allowed), whole(header.left), whole(header.reset_ms))
        time_ms = whole(header.time_ms) or 0
        sample = Sample(time_ms, sent_s, self._clock.stopwatch_s()) if time_ms else None
        text = self._signer.hide(message.ret_text or "")  # Bybit repeats the key in the text of some errors
        return Answer(sent_s, 200, Envelope(message.ret_code, text, message.data, time_ms), news=news, sample=sample)

    def _take(self, message: StreamMessage) -> None:
        answered = self._open.get(str(message.request_id))
        if answered is not None and not answered.done():
            answered.set_result(message)

    def _give_up(self, why: str) -> None:
        for answered in self._open.values():
            if not answered.done():
                answered.set_result(why)

    # ---- what the stream says about itself: entries go by REST meanwhile, nothing else changes --------------

    def came_up(self, stream: Stream) -> None:
        """Orders may be sent."""

    def went_down(self, stream: Stream, why: str) -> None:
        """What was asked for is not answered any more."""
        self._give_up(_BROKE)

    def faulted(self, stream: Stream, what: str) -> None:
        """A try to connect was refused, or a message was unreadable: then it may have been the answer."""
        self._give_up(what)


def _ignore(_message: StreamMessage) -> None:
    """It has no topics."""
