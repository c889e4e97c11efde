"""Every request that arrived: for tests of what a client sent, and for measuring how fast it did."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.request_fields import json_object

_KEPT = 200_000


@dataclass
class LoggedRequest:
    """One request. `arrived_ns` is on the server's monotonic clock; `ret_code` is None while it is unanswered."""

    method: str
    path: str
    query: str
    body: str
    account: str
    arrived_ms: int
    arrived_ns: int
    status: int | None = None
    ret_code: int | None = None

    @property
    def is_write(self) -> bool:
        """Whether it asked to change something."""
        return self.method != "GET"

    @property
    def link_id(self) -> str:
        """The order's id of ours in the body, or nothing."""
        return str((json_object(self.body) or {}).get("orderLinkId", ""))

    def as_json(self) -> dict[str, Any]:
        """The request with its link id."""
        return asdict(self) | {"link_id": self.link_id}


def _nothing(_row: LoggedRequest) -> None:
    """Nobody measures."""


class RequestLog:
    """The last requests, how many are being worked on, and when something last happened.

    Args:
        stopwatch_s: a real stopwatch in seconds.
    """

    def __init__(self, stopwatch_s: Callable[[], float]) -> None:
        self._stopwatch_s = stopwatch_s
        self.rows: deque[LoggedRequest] = deque(maxlen=_KEPT)
        self.in_work = 0
        self.count = 0
        """How many requests have arrived."""
        self.on_arrival: Callable[[LoggedRequest], object] = _nothing
        """Told each request as it arrives: for measuring."""
        self._touched_s = stopwatch_s()

    def arrive(
        self,
        method: str,
        path: str,
        query: str,
        body: str,
        account: str,
        arrived_ms: int,
        arrived_ns: int | None = None,
    ) -> LoggedRequest:
        """Note a request, read now or at a moment before; `leave` must follow."""
        self.touch()
        self.in_work += 1
        self.count += 1
        read_ns = self.now_ns() if arrived_ns is None else arrived_ns
        row = LoggedRequest(method, path, query, body, account, arrived_ms, read_ns)
        self.rows.append(row)
        self.on_arrival(row)
        return row

    def leave(self, row: LoggedRequest, status: int | None, ret_code: int | None) -> None:
        """Note what it was answered; a status of None says that it was not."""
        row.status, row.ret_code = status, ret_code
        self.in_work -= 1
        self.touch()

    def touch(self) -> None:
        """Something came from a client: the silence begins anew."""
        self._touched_s = self._stopwatch_s()

    def now_ns(self) -> int:
        """The monotonic clock of this process, in nanoseconds."""
        return int(self._stopwatch_s() * 1e9)

    @property
    def quiet_s(self) -> float:
        """Real seconds without anything from a client; 0 while a request is being worked on."""
        return 0.0 if self.in_work else self._stopwatch_s() - self._touched_s

    @property
    def writes(self) -> list[LoggedRequest]:
        """Requests that asked to change something, oldest first."""
        return [row for row in self.rows if row.is_write]
