"""What may go wrong between a trader and the exchange, on purpose and repeatably.

A `FaultPlan` is a value: either rates drawn by hashing (seed, purpose, counter), never a stream of random
numbers, or a script that names the request to hit. The same plan over the same requests gives the same log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from your_short_trade_margin_call.domain.errors import OutcomeUnknownError, SettingError


class AnswerLateError(OutcomeUnknownError):
    """The request was carried out, and what it caused becomes known before this answer.

    A driver that catches it delivers `drain()` first and the error afterwards; for everybody else it is an
    OutcomeUnknownError like any other.
    """


class Fault(StrEnum):
    """The menu. "Write" is `place`, `amend_stop` or `cancel`; reads (`find`, `account`) fail in an outage only."""

    OUTAGE = "outage"
    """This and the next requests fail, `outage_requests` in all: writes are not carried out (OutcomeUnknownError),
    reads raise ExchangeError."""
    NEVER_ARRIVED = "never_arrived"
    """The write is not carried out: OutcomeUnknownError."""
    REJECT = "reject"
    """The entry is refused: OrderRefusedError `exchange_error`. A script may refuse any write."""
    LATE_REJECT = "late_reject"
    """The entry is acknowledged, then an OrderChanged says REJECTED."""
    LOST_ANSWER = "lost_answer"
    """The write is carried out, or refused, but the answer is lost: OutcomeUnknownError."""
    LATE_ANSWER = "late_answer"
    """As LOST_ANSWER, but its events become known first: AnswerLateError."""
    PARTIAL_THEN_CANCEL = "partial_then_cancel"
    """A market order fills in part (not at all if it is a single lot), then its rest is CANCELLED."""
    PARTIAL_FILL = "partial_fill"
    """An order fills in two or three executions at one price."""
    DISCONNECT = "disconnect"
    """StreamLost instead of an event; nothing is delivered until `reconnect`, and nothing missed comes later."""
    DUPLICATE_EVENT = "duplicate_event"
    """An event is delivered twice."""
    REORDERED_EVENT = "reordered_event"
    """An event overtakes the one before it in the outbox."""


_REQUEST_FAULTS = (
    Fault.OUTAGE,
    Fault.NEVER_ARRIVED,
    Fault.REJECT,
    Fault.LATE_REJECT,
    Fault.LOST_ANSWER,
    Fault.LATE_ANSWER,
)
_FILL_FAULTS = (Fault.PARTIAL_THEN_CANCEL, Fault.PARTIAL_FILL)
_EVENT_FAULTS = (Fault.DISCONNECT, Fault.DUPLICATE_EVENT, Fault.REORDERED_EVENT)
_ENTRIES_ONLY = (Fault.REJECT, Fault.LATE_REJECT)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rates from 0 to 1, one per fault, all 0 unless given; or a script (see `script`).

    Request and fill faults are drawn once per write, event faults once per event.

    Raises:
        SettingError: a rate is not between 0 and 1, or `outage_requests` is below 1.
    """

    seed: int = 0
    outage: float = 0.0
    never_arrived: float = 0.0
    reject: float = 0.0
    late_reject: float = 0.0
    lost_answer: float = 0.0
    late_answer: float = 0.0
    partial_then_cancel: float = 0.0
    partial_fill: float = 0.0
    disconnect: float = 0.0
    duplicate_event: float = 0.0
    reordered_event: float = 0.0
    outage_requests: int = 5
    scripted: tuple[tuple[int, Fault], ...] = ()

    def __post_init__(self) -> None:
        for fault in Fault:
            if not 0.0 <= self._rate(fault) <= 1.0:
                raise SettingError(f"The rate of {fault} is out of range.", "It must be between 0 and 1.")
        if self.outage_requests < 1:
            raise SettingError("outage_requests is out of range.", "It must be 1 or more.")

    @classmethod
    def none(cls) -> FaultPlan:
        """Nothing goes wrong."""
        return cls()

    @classmethod
    def script(
        cls, requests: Mapping[int, Fault | tuple[Fault, ...]], *, seed: int = 0, outage_requests: int = 5
    ) -> FaultPlan:
        """Faults at named writes, which are numbered from 1; several at one write as a tuple.

        A fill fault hits the order placed by that write, whenever it fills. An event fault hits the first event
        after the write began (REORDERED_EVENT: the first that has a neighbour).
        """
        pairs: list[tuple[int, Fault]] = []
        for number, faults in requests.items():
            pairs += [(number, faults)] if isinstance(faults, Fault) else [(number, fault) for fault in faults]
        return cls(seed=seed, outage_requests=outage_requests, scripted=tuple(pairs))

    def request_fault(self, number: int, *, is_entry: bool) -> Fault | None:
        """What happens to write `number` itself."""
        for fault in _REQUEST_FAULTS:
            allowed = is_entry or fault not in _ENTRIES_ONLY
            if (number, fault) in self.scripted or (allowed and self._strikes(fault, number)):
                return fault
        return None

    def fill_fault(self, number: int, *, is_market: bool) -> Fault | None:
        """What happens to the fills of the order that write `number` placed; only market orders die half filled."""
        for fault in _FILL_FAULTS if is_market else (Fault.PARTIAL_FILL,):
            if (number, fault) in self.scripted or self._strikes(fault, number):
                return fault
        return None

    def armed_event_fault(self, number: int) -> Fault | None:
        """The event fault that the script ties to write `number`."""
        return next((fault for fault in _EVENT_FAULTS if (number, fault) in self.scripted), None)

    def event_fault(self, number: int) -> Fault | None:
        """What happens to the `number`-th event, by rate."""
        return next((fault for fault in _EVENT_FAULTS if self._strikes(fault, number)), None)

    def parts(self, number: int, lots: int) -> tuple[int, ...]:
        """`lots` split into two or three positive parts for write `number`; one part when there is one lot."""
        if lots < 2:
            return (lots,)
        first = 1 + int(self._draw("first_part", number) * (lots - 1))
        rest = lots - first
        if rest < 2 or self._draw("third_part", number) < 0.5:
            return (first, rest)
        return (first, rest // 2, rest - rest // 2)

    def _rate(self, fault: Fault) -> float:
        return float(getattr(self, fault.value))

    def _strikes(self, fault: Fault, counter: int) -> bool:
        rate = self._rate(fault)
        return rate > 0.0 and self._draw(fault.value, counter) < rate

    def _draw(self, purpose: str, counter: int) -> float:
        """A number in [0, 1), a function of seed, purpose and counter alone."""
        digest = hashlib.blake2b(f"{self.seed}:{purpose}:{counter}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) / 9007199254740992.0
