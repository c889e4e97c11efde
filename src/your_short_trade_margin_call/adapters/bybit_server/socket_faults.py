"""What may go wrong between a client and the server, on purpose and repeatably.

Each planned fault skips `after` matching requests (or messages), then strikes `times` of them. Nothing is drawn:
the same plan over the same requests does the same. Plans that need the exchange itself (`reject` and the like) are
handed to the accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from your_short_trade_margin_call.domain.errors import SettingError


class SocketFault(StrEnum):
    """The menu. A request is matched by the beginning of its path, a stream's message by that of its topic."""

    DROP_REQUEST = "drop_request"
    """The connection is closed; the request is not carried out."""
    DROP_ANSWER = "drop_answer"
    """The request is carried out; the connection is closed instead of answered."""
    DELAY = "delay"
    """The request waits `ms` real milliseconds before it is looked at."""
    TOO_MANY = "too_many"
    """10006, with the moment of the reset in its headers; not carried out."""
    SERVER_ERROR = "server_error"
    """10016; carried out or not, as `carried_out` says."""
    INTERNAL = "internal"
    """10000; carried out or not, as `carried_out` says."""
    FORBIDDEN = "forbidden"
    """HTTP 403; not carried out."""
    TRUNCATED = "truncated"
    """Carried out; the answer breaks off in the middle of its body."""
    MISSING_FIELDS = "missing_fields"
    """Optional fields are left out of an answer, or of a stream's message where `path` is a topic."""
    UNCONFIRMED_LAST = "unconfirmed_last"
    """The running candle is in /v5/market/kline. It always is: planning this changes nothing."""
    HALF_OPEN = "half_open"
    """Streams that are open fall silent, to pings too, and stay connected."""
    DROP_STREAMS = "drop_streams"
    """Streams that are open are closed."""
    RESTART = "restart"
    """The service restarts when the request arrives: every connection is cut; the request is not carried out."""
    OUTAGE = "outage"
    """Every request and stream is cut, for `ms` real milliseconds or until the plan is cleared."""
    CLOCK_OFFSET = "clock_offset"
    """The time in answers, and the one signatures are judged by, is `ms` off, until the plan is cleared."""
    DUPLICATE_CONFIRM = "duplicate_confirm"
    """A closed candle is announced twice."""
    LATE_CONFIRM = "late_confirm"
    """A closed candle is announced `ms` real milliseconds late; without `ms`, after the next opening quote."""
    LOST_CANDLE = "lost_candle"
    """A closed candle is never announced."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One entry of the plan.

    Args:
        fault: what happens.
        path: beginning of the path (or topic) it waits for; empty matches all.
        times: how often it strikes; None until the plan is cleared.
        after: how many matching requests pass before.
        ms: real milliseconds, where the fault has a length; for `clock_offset` how far the clock is off.
        account: only requests with this API key; empty matches all.
        carried_out: whether a request that is answered with an error was carried out.
        fields: which fields `missing_fields` leaves out; empty is all that may be missing.

    Raises:
        SettingError: a count is negative.
    """

    fault: SocketFault
    path: str = ""
    times: int | None = 1
    after: int = 0
    ms: int = 0
    account: str = ""
    carried_out: bool = False
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse counts that mean nothing."""
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise SettingError("A fault's counts are out of range.", "times is 1 or more (or null), after 0 or more.")


@dataclass
class _Entry:
    order: PlannedFault
    seen: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        """Count one matching request; whether it is struck."""
        self.seen += 1
        if self.seen <= self.order.after or self.is_spent:
            return False
        self.struck += 1
        return True

    @property
    def is_spent(self) -> bool:
        return self.order.times is not None and self.struck >= self.order.times


@dataclass
class SocketFaults:
    """The plan, and what of it has happened. Planned faults are asked in the order they were planned."""

    _entries: list[_Entry] = field(default_factory=list)
    struck: list[tuple[SocketFault, str]] = field(default_factory=list)
    """Every strike so far: the fault and the path or topic it hit."""
    on_plan: Callable[[PlannedFault], bool] | None = None
    """Told of each fault as it is planned; True when it happened at once and waits for nothing."""
    on_clear: Callable[[], None] | None = None
    """Told that the plan was cleared."""

    def plan(self, fault: SocketFault | str, **details: Any) -> PlannedFault:
        """Plan one fault; `details` are fields of `PlannedFault`.

        Raises:
            SettingError: there is no such fault or detail.
        """
        try:
            order = PlannedFault(SocketFault(fault), **details)
        except (TypeError, ValueError) as error:
            known = ", ".join(SocketFault)
            raise SettingError(f"This fault cannot be planned: {error}.", f"Known faults: {known}.") from None
        if self.on_plan is None or not self.on_plan(order):
            self._entries.append(_Entry(order))
        return order

    def clear(self) -> None:
        """Forget the plan; what happened stays in `struck`."""
        self._entries.clear()
        if self.on_clear is not None:
            self.on_clear()

    def take(
        self, faults: Collection[SocketFault], path: str, account: str = "", *, needs_path: bool = False
    ) -> PlannedFault | None:
        """What strikes this request or message, if anything: at most one fault, the one planned first.

        With `needs_path` only faults count whose plan names a path.
        """
        for entry in self._entries:
            order = entry.order
            fits = order.fault in faults and path.startswith(order.path) and not (needs_path and not order.path)
            if fits and order.account in ("", account) and entry.strikes():
                self.struck.append((order.fault, path))
                return order
        return None

    @property
    def waiting(self) -> tuple[PlannedFault, ...]:
        """What has not struck as often as planned."""
        return tuple(entry.order for entry in self._entries if not entry.is_spent)
