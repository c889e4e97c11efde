"""Signatures over the exact bytes that travel, and the query strings and bodies they are made of."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from your_short_trade_margin_call.adapters.bybit.keys import Keys

# Cursors arrive already encoded and go back as they came: "%" stays. The others mean nothing special in a value.
_SAFE = "%:,/=-_.~"
_ENCODER = msgspec.json.Encoder()


class Signer:
    """Signs requests with one account's keys; what does not change from one to the next is worked out once."""

    __slots__ = ("_fixed", "_keyed", "_middle")

    def __init__(self, keys: Keys, recv_window_ms: int) -> None:
        self._keyed = hmac.new(keys.secret.encode(), digestmod=hashlib.sha256)
        self._middle = f"{keys.key}{recv_window_ms}".encode()
        self._fixed = {"X-BAPI-API-KEY": keys.key, "X-BAPI-RECV-WINDOW": str(recv_window_ms)}

    def __repr__(self) -> str:
        return "Signer(hidden)"

    def headers(self, timestamp_ms: int, payload: bytes) -> dict[str, str]:
        """The headers of one request.

        Args:
            timestamp_ms: server time, as well as we know it.
            payload: the raw query string of a GET, the raw body of a POST.
        """
        stamp = str(timestamp_ms)
        return {
            **self._fixed,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-SIGN": self._hex(stamp.encode() + self._middle + payload),
        }

    def stream_header(self, timestamp_ms: int) -> dict[str, str]:
        """The header of a request on a stream that is logged in: nothing of it is signed again."""
        return {"X-BAPI-TIMESTAMP": str(timestamp_ms), "X-BAPI-RECV-WINDOW": self._fixed["X-BAPI-RECV-WINDOW"]}

    def stream_login(self, expires_ms: int) -> bytes:
        """The first message on a private stream.

        Args:
            expires_ms: a moment (server time) that must still lie ahead when the server reads this.
        """
        args = [self._fixed["X-BAPI-API-KEY"], expires_ms, self._hex(f"GET/realtime{expires_ms}".encode())]
        return _ENCODER.encode({"op": "auth", "args": args})

    def hide(self, text: str) -> str:
        """`text` without the key."""
        return text.replace(self._fixed["X-BAPI-API-KEY"], "(key)")

    def _hex(self, message: bytes) -> str:
        digest = self._keyed.copy()
        digest.update(message)
        return digest.hexdigest()


def query_text(params: Mapping[str, str | int | None]) -> str:
    """The query string of a GET exactly as it goes on the wire: in the order given, None left out."""
    return "&".join(f"{name}={quote(str(value), safe=_SAFE)}" for name, value in params.items() if value is not None)


def body_bytes(body: Mapping[str, object]) -> bytes:
    """The body of a POST exactly as it goes on the wire: compact JSON, None left out."""
    return _ENCODER.encode({name: value for name, value in body.items() if value is not None})
