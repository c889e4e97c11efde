"""The line between the trader's requests and the exchange: where the fault plan stands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from your_short_trade_margin_call.domain.errors import ExchangeError, OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.exchange.faults import AnswerLateError, Fault, FaultPlan
from your_short_trade_margin_call.exchange.outbox import Outbox
from your_short_trade_margin_call.exchange.refusals import RefusalCode, refusal

Write = Callable[[int, Fault | None], str]
"""A write to carry out, given its number and the fault that it has to play itself, if any; returns an answer."""


class Gate:
    """Counts writes, and lets through what the plan lets through."""

    def __init__(self, faults: FaultPlan, outbox: Outbox) -> None:
        self.writes = 0
        self.outage_left = 0
        self.faults = faults
        self._outbox = outbox

    def write(self, act: Write, *, is_entry: bool = False) -> str:
        """Carry a write out, unless a fault stands between.

        Raises:
            OrderRefusedError: the exchange refused it.
            OutcomeUnknownError: a fault; whether it was carried out depends on which.
        """
        self.writes += 1
        fault = self.faults.request_fault(self.writes, is_entry=is_entry)
        if fault is Fault.OUTAGE and not self.outage_left:
            self.outage_left = self.faults.outage_requests
        if self._is_out():
            raise OutcomeUnknownError("The exchange does not answer.", "Look the request up by its id.")
        if fault is Fault.NEVER_ARRIVED:
            raise OutcomeUnknownError("No answer came.", "Look the request up by its id.")
        if fault is Fault.REJECT:
            raise refusal(RefusalCode.EXCHANGE_ERROR, "The exchange failed to take the request.")
        self._outbox.armed = self.faults.armed_event_fault(self.writes) or self._outbox.armed
        if fault in (Fault.LOST_ANSWER, Fault.LATE_ANSWER):
            self._lose_answer(act, fault)
        return act(self.writes, fault)

    def read(self) -> None:
        """Let a read through.

        Raises:
            ExchangeError: an outage.
        """
        if self._is_out():
            raise ExchangeError("The exchange does not answer.", "Ask again later.")

    def _lose_answer(self, act: Write, fault: Fault) -> None:
        with contextlib.suppress(OrderRefusedError):  # a refusal's answer is lost, too
            act(self.writes, fault)
        if fault is Fault.LATE_ANSWER:
            raise AnswerLateError("The answer came too late.", "Look the request up by its id.")
        raise OutcomeUnknownError("The answer was lost.", "Look the request up by its id.")

    def _is_out(self) -> bool:
        was_out = self.outage_left > 0
        self.outage_left -= was_out
        return was_out
