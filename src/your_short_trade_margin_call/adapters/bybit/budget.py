"""How many requests we may still send, counted before they leave: never more than allowed, exits always first.

The exchange counts per kind of request and second, and all requests of an address per five seconds. The last few of
each window belong to exits: whatever entries and reads do, an exit finds a place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from your_short_trade_margin_call.domain.errors import ForbiddenError


class RequestKind(StrEnum):
    """What the exchange counts together."""

    CREATE = "create"
    AMEND = "amend"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"
    TRADING_STOP = "trading_stop"
    SET_LEVERAGE = "set_leverage"
    ADD_MARGIN = "add_margin"
    SWITCH_MODE = "switch_mode"
    SET_MARGIN_MODE = "set_margin_mode"
    POSITION = "position"
    ORDERS = "orders"
    ORDER_HISTORY = "order_history"
    EXECUTIONS = "executions"
    WALLET = "wallet"
    ACCOUNT = "account"
    TRANSACTION_LOG = "transaction_log"
    FEE_RATE = "fee_rate"
    KEY_INFO = "key_info"
    MARKET = "market"


ALLOWED_PER_S: dict[RequestKind, int] = {
    **dict.fromkeys(RequestKind, 50),
    RequestKind.CREATE: 10,
    RequestKind.AMEND: 10,
    RequestKind.CANCEL: 10,
    RequestKind.CANCEL_ALL: 10,
    RequestKind.TRADING_STOP: 10,
    RequestKind.SET_LEVERAGE: 10,
    RequestKind.ADD_MARGIN: 10,
    RequestKind.SWITCH_MODE: 10,
    RequestKind.SET_MARGIN_MODE: 5,
    RequestKind.TRANSACTION_LOG: 25,
    RequestKind.FEE_RATE: 5,
    RequestKind.KEY_INFO: 10,
    RequestKind.MARKET: 100,
}
"""Requests of a kind per account and second. Public data only counts for the address; there the number is our own."""

KIND_OF_PATH: dict[str, RequestKind] = {
    "/v5/order/create": RequestKind.CREATE,
    "/v5/order/amend": RequestKind.AMEND,
    "/v5/order/cancel": RequestKind.CANCEL,
    "/v5/order/cancel-all": RequestKind.CANCEL_ALL,
    "/v5/position/trading-stop": RequestKind.TRADING_STOP,
    "/v5/position/set-leverage": RequestKind.SET_LEVERAGE,
    "/v5/position/add-margin": RequestKind.ADD_MARGIN,
    "/v5/position/switch-mode": RequestKind.SWITCH_MODE,
    "/v5/account/set-margin-mode": RequestKind.SET_MARGIN_MODE,
    "/v5/position/list": RequestKind.POSITION,
    "/v5/order/realtime": RequestKind.ORDERS,
    "/v5/order/history": RequestKind.ORDER_HISTORY,
    "/v5/execution/list": RequestKind.EXECUTIONS,
    "/v5/account/wallet-balance": RequestKind.WALLET,
    "/v5/account/info": RequestKind.ACCOUNT,
    "/v5/account/transaction-log": RequestKind.TRANSACTION_LOG,
    "/v5/account/fee-rate": RequestKind.FEE_RATE,
    "/v5/user/query-api": RequestKind.KEY_INFO,
}

ADDRESS_ALLOWED, ADDRESS_SPAN_S = 600, 5.0
_ADDRESS_RESERVE = 60
# The exchange counts arrivals, we count departures: requests may catch up with each other by this much on the way.
_JITTER_S = 0.1
# A wait of less may be lost in rounding.
_SHORTEST_NAP_S = 0.001


def kind_of(path: str) -> RequestKind:
    """What the exchange counts a request to `path` as; everything under /v5/market together."""
    return KIND_OF_PATH.get(path, RequestKind.MARKET if path.startswith("/v5/market/") else RequestKind.ACCOUNT)


class Window:
    """At most `allowed` requests in any `span_s` seconds; the last `reserve` of them are for exits.

    Pure: the moment (stopwatch seconds) is always an argument, and never goes back.
    """

    __slots__ = ("_times", "allowed", "closed_until_s", "reserve", "span_s")

    def __init__(self, allowed: int, span_s: float, reserve: int) -> None:
        self.allowed = allowed
        self.span_s = span_s
        self.reserve = reserve
        self.closed_until_s = float("-inf")
        self._times: deque[float] = deque()

    def used(self, now_s: float) -> int:
        """Requests of the last `span_s` seconds."""
        while self._times and self._times[0] <= now_s - self.span_s:
            self._times.popleft()
        return len(self._times)

    def wait_s(self, now_s: float, *, is_exit: bool) -> float:
        """How long until there is room; 0 when there is."""
        places = self.allowed - (0 if is_exit else min(self.reserve, self.allowed - 1))
        too_many = self.used(now_s) - places
        full_s = self._times[too_many] + self.span_s - now_s if too_many >= 0 else 0.0
        return max(0.0, full_s, self.closed_until_s - now_s)

    def note(self, now_s: float, count: int = 1) -> None:
        """Write down requests that leave now."""
        self._times.extend([now_s] * count)


@dataclass(frozen=True, slots=True)
class LimitNews:
    """What an answer's headers told: how many requests of its kind are allowed, and how many are left."""

    allowed: int | None = None
    left: int | None = None
    reset_ms: int | None = None


class Budget:
    """All windows of one account and one address.

    Args:
        stopwatch_s: seconds that never go back.
        sleep: how to wait some real seconds.
        forbidden_s: how long everything stops after HTTP 403.
        probe_every_s: how often an exit may ask again meanwhile.
    """

    def __init__(
        self,
        stopwatch_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        *,
        forbidden_s: float = 600.0,
        probe_every_s: float = 30.0,
    ) -> None:
        self._stopwatch_s = stopwatch_s
        self._sleep = sleep
        self._forbidden_s = forbidden_s
        self._probe_every_s = probe_every_s
        self._kinds = {kind: Window(n, 1.0 + _JITTER_S, _reserve(n)) for kind, n in ALLOWED_PER_S.items()}
        self._address = Window(ADDRESS_ALLOWED, ADDRESS_SPAN_S + _JITTER_S, _ADDRESS_RESERVE)
        self._forbidden_since_s = float("-inf")
        self._forbidden_until_s = float("-inf")
        self._probe_at_s = float("-inf")

    async def take(self, kind: RequestKind, *, is_exit: bool, patience_s: float = float("inf")) -> bool:
        """Wait for a place and take it.

        Returns:
            False when there was none within `patience_s` real seconds: nothing was taken.

        Raises:
            ForbiddenError: everything stands still after HTTP 403.
        """
        give_up_s = self._stopwatch_s() + patience_s
        while (wait_s := self.wait_s(kind, is_exit=is_exit)) > 0.0:
            if self._stopwatch_s() + wait_s > give_up_s:
                return False
            await self._sleep(max(wait_s, _SHORTEST_NAP_S))
        now_s = self._stopwatch_s()
        self._kinds[kind].note(now_s)
        self._address.note(now_s)
        return True

    def wait_s(self, kind: RequestKind, *, is_exit: bool) -> float:
        """How long a request of this kind would have to wait; 0 when it may leave.

        Raises:
            ForbiddenError: everything stands still after HTTP 403 (an exit that may probe is let through).
        """
        now_s = self._stopwatch_s()
        if now_s < self._forbidden_until_s:
            self._refuse_or_probe(now_s, is_exit=is_exit)
        windows = (self._kinds[kind], self._address)
        return max(window.wait_s(now_s, is_exit=is_exit) for window in windows)

    def would_block(self, kind: RequestKind = RequestKind.CREATE, *, is_exit: bool = False) -> bool:
        """Whether a request of this kind could not leave at once (asking changes nothing)."""
        now_s = self._stopwatch_s()
        windows = (self._kinds[kind], self._address)
        is_full = any(window.wait_s(now_s, is_exit=is_exit) > 0.0 for window in windows)
        return is_full or now_s < self._forbidden_until_s

    @property
    def is_forbidden(self) -> bool:
        """Whether everything stands still after HTTP 403: only an exit may ask, one question at a time."""
        return self._stopwatch_s() < self._forbidden_until_s

    # ---- learning --------------------------------------------------------------------------------

    def learn(self, kind: RequestKind, news: LimitNews) -> None:
        """Take over what an answer told: the limit, and requests that others sent with the same account."""
        window = self._kinds[kind]
        if news.allowed is not None and 0 < news.allowed != window.allowed:
            window.allowed, window.reserve = news.allowed, _reserve(news.allowed)
        if news.left is not None and kind is not RequestKind.MARKET:
            now_s = self._stopwatch_s()
            others = window.allowed - window.used(now_s) - max(0, news.left)
            window.note(now_s, max(0, min(others, window.allowed)))

    def penalty(self, kind: RequestKind, wait_s: float) -> None:
        """Nothing of this kind leaves for `wait_s` real seconds, exits included: the exchange would refuse it."""
        window = self._kinds[kind]
        window.closed_until_s = max(window.closed_until_s, self._stopwatch_s() + wait_s)

    def forbid(self) -> None:
        """HTTP 403: all traffic stops for a while; an exit may ask again once in a while."""
        now_s = self._stopwatch_s()
        self._forbidden_since_s = now_s
        self._forbidden_until_s = now_s + self._forbidden_s
        self._probe_at_s = now_s + self._probe_every_s

    def allow_again(self, sent_s: float) -> None:
        """A request that left at `sent_s` was answered: if it left after the ban began, the ban is over."""
        if sent_s > self._forbidden_since_s:
            self._forbidden_until_s = float("-inf")

    def _refuse_or_probe(self, now_s: float, *, is_exit: bool) -> None:
        if is_exit and now_s >= self._probe_at_s:
            self._probe_at_s = now_s + self._probe_every_s
            return
        left_s = self._forbidden_until_s - now_s
        raise ForbiddenError(
            f"Nothing is sent to Bybit for another {left_s:.0f} s: it answered HTTP 403.",
            "Rate limit, or Bybit refuses this country: wait, and stop other programs on this address.",
        )


def _reserve(allowed: int) -> int:
    """How many of a window only exits may use."""
    return max(1, min(20, (allowed * 3) // 10))
