"""A journal that outlives a full disk: what cannot be written is kept, in order, until it can.

Only one thing is refused meanwhile: the intent of an entry, because an entry must be on the disk before it is sent.
Everything else may be known again from the exchange: ids of exits are derived, executions are listed there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from your_short_trade_margin_call.domain.errors import DiskError
from your_short_trade_margin_call.domain.messages import Execution, OrderRequest
from your_short_trade_margin_call.domain.ports import Journal


@dataclass(frozen=True, slots=True)
class _Kept:
    """A write that did not get through: the method's name and its arguments."""

    name: str
    arguments: tuple[Any, ...]


class SteadfastJournal:
    """Implements `ports.Journal` around another one. Reads see what is kept as if it were written.

    If the process dies while something is kept, a restart reads the executions from the exchange again.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._kept: list[_Kept] = []
        self._why = ""

    @property
    def trouble(self) -> str:
        """Why something could not be written; empty when all is on the disk."""
        return f"{len(self._kept)} facts cannot be written: {self._why}" if self._kept else ""

    def flush(self) -> bool:
        """Write what is kept, oldest first, up to the first failure; True when nothing is left."""
        while self._kept:
            if not self._try(self._kept[0]):
                return False
            del self._kept[0]
        return True

    def require(self) -> None:
        """Write what is kept.

        Raises:
            DiskError: something could not be written.
        """
        if not self.flush():
            raise DiskError(
                f"{len(self._kept)} facts could not be written to the journal: {self._why}",
                "Free some space on the disk, or put the file back, and start again: "
                "what is missing is read from the exchange.",
            )

    # ---- writes ------------------------------------------------------------------------------------

    def intent(self, request: OrderRequest, time_ms: int, context: str) -> None:
        """Write an order down before it is sent.

        Raises:
            DiskError: it is an entry, and cannot be written: it must not be sent.
        """
        if request.reduce_only:
            self._write("intent", request, time_ms, context)
            return
        self.require()
        try:
            self._journal.intent(request, time_ms, context)
        except OSError as error:
            raise DiskError(f"The intent of an entry could not be written: {error}.") from error

    def outcome(self, link_id: str, outcome: str, time_ms: int) -> None:
        """What became of an intent."""
        self._write("outcome", link_id, outcome, time_ms)

    def execution(self, execution: Execution) -> bool:
        """Book an execution; False when it is booked or kept already."""
        if any(kept.arguments == (execution,) for kept in self._kept if kept.name == "execution"):
            return False
        return self._write("execution", execution)

    def event(self, time_ms: int, kind: str, detail: str) -> None:
        """Anything else worth keeping."""
        self._write("event", time_ms, kind, detail)

    def blocked(self, candle_ms: int, reason: str, detail: str) -> None:
        """A signal that was not traded."""
        self._write("blocked", candle_ms, reason, detail)

    def equity(self, candle_ms: int, wallet_usdt: float, equity_usdt: float) -> None:
        """The account at a candle's close."""
        self._write("equity", candle_ms, wallet_usdt, equity_usdt)

    def trade(self, row: dict[str, object]) -> None:
        """A closed round trip."""
        self._write("trade", row)

    def adopt(self, time_ms: int, params: str) -> None:
        """Parameters adopted for the next entry."""
        self._write("adopt", time_ms, params)

    # ---- reads -------------------------------------------------------------------------------------

    def intents(self) -> Sequence[tuple[OrderRequest, int, str, str | None]]:
        """All intents, oldest first."""
        return [*self._journal.intents(), *((*kept, None) for kept in self._kept_of("intent"))]

    def executions(self) -> Sequence[Execution]:
        """All booked executions, oldest first."""
        return [*self._journal.executions(), *(kept[0] for kept in self._kept_of("execution"))]

    def trade_times(self) -> set[int]:
        """Entry times of all trades written down."""
        return self._journal.trade_times() | {kept[0]["entry_time"] for kept in self._kept_of("trade")}

    def events_of(self, kind: str) -> Sequence[tuple[int, str]]:
        """Time and detail of every event of a kind, oldest first."""
        kept = [(time_ms, detail) for time_ms, name, detail in self._kept_of("event") if name == kind]
        return [*self._journal.events_of(kind), *kept]

    def last_adoption(self) -> tuple[int, str] | None:
        """Moment and parameters of the last adoption."""
        kept = self._kept_of("adopt")
        return (kept[-1][0], kept[-1][1]) if kept else self._journal.last_adoption()

    def last_candle_ms(self) -> int | None:
        """Open time of the last candle handled to its end."""
        kept = self._kept_of("equity")
        return int(kept[-1][0]) if kept else self._journal.last_candle_ms()

    def is_blocked(self, candle_ms: int) -> bool:
        """Whether the signal at the close of this candle was written down as blocked."""
        return any(kept[0] == candle_ms for kept in self._kept_of("blocked")) or self._journal.is_blocked(candle_ms)

    # ---- how ---------------------------------------------------------------------------------------

    def _kept_of(self, name: str) -> list[tuple[Any, ...]]:
        return [kept.arguments for kept in self._kept if kept.name == name]

    def _write(self, name: str, *arguments: Any) -> bool:
        """Write what is kept, then this; or keep it. True when it is new."""
        write = _Kept(name, arguments)
        if self.flush():
            method: Callable[..., bool | None] = getattr(self._journal, name)
            try:
                return method(*arguments) is not False
            except (DiskError, OSError) as error:
                self._why = str(error)
        self._kept.append(write)
        return True

    def _try(self, write: _Kept) -> bool:
        method: Callable[..., bool | None] = getattr(self._journal, write.name)
        try:
            method(*write.arguments)
        except (DiskError, OSError) as error:
            self._why = str(error)
            return False
        return True
