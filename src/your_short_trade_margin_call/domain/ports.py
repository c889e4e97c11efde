"""The seams: what the engine needs of a clock, an exchange and a journal."""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Candle,
    Event,
    Execution,
    Order,
    OrderRequest,
)


class Clock(Protocol):
    """Time as an argument. UTC epoch milliseconds."""

    def now_ms(self) -> int:
        """The present moment."""

    async def sleep_until_ms(self, moment_ms: int) -> None:
        """Return at or after `moment_ms`; at once if it has passed."""


class Exchange(Protocol):
    """One account, one pair. Answers acknowledge; executions prove.

    Any method may raise ExchangeError or OSError when it gets no answer: a write's outcome counts as unknown then.
    KeyRefusedError and ForbiddenError are asked again more slowly. A request that hangs must end by itself, with a
    time limit of a few seconds.
    """

    async def place(self, request: OrderRequest) -> str:
        """Send an order; returns the exchange's order id.

        Raises:
            OrderRefusedError: it does not exist on the exchange.
            OutcomeUnknownError: it may exist; ask `find` by link id.
        """

    async def amend_stop(self, trigger_ticks: int) -> None:
        """Move the protective stop of the open position (idempotent).

        Raises:
            OrderRefusedError: the stop stands where it was (or there is no position).
            OutcomeUnknownError: it may have moved; amending again is harmless.
        """

    async def cancel(self, link_id: str) -> None:
        """Cancel an order; an order that is gone already is no error.

        Raises:
            OutcomeUnknownError: it may be cancelled; cancelling again is harmless.
        """

    async def find(self, link_id: str) -> Order | None:
        """The order with this id of ours, however it ended; None when the exchange never saw it."""

    async def account(self, executions_since_ms: int) -> AccountView:
        """Wallet, position, open orders, and executions at or after a moment."""

    async def candles(self, count: int) -> tuple[Candle, ...]:
        """The last `count` closed candles, oldest first (fewer when there are fewer)."""

    def events(self) -> AsyncIterator[Event]:
        """Everything that happens, in order, until the market ends.

        One that raises ExchangeError or OSError is begun anew. StreamRestored and ConditionChanged come from here, too.
        """


@runtime_checkable
class Prompt(Protocol):
    """Events that can be looked for without waiting: what `Exchange.events` returns may be one."""

    def at_hand(self) -> Event | None:
        """The next event, if it has come already; raises what iterating would."""

    def arrival(self) -> Future[None]:
        """Done as soon as something comes; whoever waits may set its result to stop waiting."""


class Journal(Protocol):
    """Append-only facts. A write that fails raises DiskError; an intent is durable when `intent` returns."""

    def intent(self, request: OrderRequest, time_ms: int, context: str) -> None:
        """Write down an order before it is sent; `context` is JSON that recovery needs (idempotent by link id)."""

    def outcome(self, link_id: str, outcome: str, time_ms: int) -> None:
        """What became of an intent: accepted, refused, unknown, not_found."""

    def execution(self, execution: Execution) -> bool:
        """Book an execution; False when its `exec_id` is already booked."""

    def event(self, time_ms: int, kind: str, detail: str) -> None:
        """Anything else worth keeping, `detail` as JSON."""

    def blocked(self, candle_ms: int, reason: str, detail: str) -> None:
        """A signal that was not traded (idempotent by candle and reason)."""

    def equity(self, candle_ms: int, wallet_usdt: float, equity_usdt: float) -> None:
        """The account at a candle's close (idempotent by candle)."""

    def trade(self, row: dict[str, object]) -> None:
        """A closed round trip, with the columns of a trade row (idempotent by entry time)."""

    def adopt(self, time_ms: int, params: str) -> None:
        """Parameters adopted for the next entry, as JSON."""

    def intents(self) -> Sequence[tuple[OrderRequest, int, str, str | None]]:
        """All intents, oldest first: request, time, context, last outcome."""

    def executions(self) -> Sequence[Execution]:
        """All booked executions, oldest first."""

    def trade_times(self) -> set[int]:
        """Entry times of all trades written down."""

    def events_of(self, kind: str) -> Sequence[tuple[int, str]]:
        """Time (UTC ms) and detail (JSON) of every event of a kind, oldest first."""

    def last_adoption(self) -> tuple[int, str] | None:
        """Moment (UTC ms) and parameters (JSON) of the last adoption."""

    def last_candle_ms(self) -> int | None:
        """Open time of the newest candle with an equity row: the last one handled to its end."""

    def is_blocked(self, candle_ms: int) -> bool:
        """Whether the signal at the close of this candle was written down as blocked."""
