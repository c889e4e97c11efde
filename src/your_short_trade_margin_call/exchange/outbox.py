"""The stream from the exchange to the trader: events in order, or disturbed by a fault plan."""

from __future__ import annotations

from your_short_trade_margin_call.domain.messages import Event, Executed, OrderChanged, StreamLost, StreamRestored
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan


class Outbox:
    """Events since the last drain. While not `connected`, events are dropped for good."""

    def __init__(self, faults: FaultPlan) -> None:
        self.connected = True
        self.events: list[Event] = []
        self.pushed = 0
        self.armed: Fault | None = None
        self.faults = faults

    def push(self, event: OrderChanged | Executed, time_ms: int) -> None:
        """Deliver an event, or do to it what the plan says."""
        if not self.connected:
            return
        self.pushed += 1
        fault = self.armed or self.faults.event_fault(self.pushed)
        if fault is Fault.DISCONNECT:
            self.disconnect(time_ms)
            return
        self.events.append(event)
        if fault is Fault.DUPLICATE_EVENT:
            self.events.append(event)
            self.armed = None
        elif fault is Fault.REORDERED_EVENT and self._last_two_can_swap():
            self.events[-2:] = reversed(self.events[-2:])
            self.armed = None

    def drain(self) -> list[Event]:
        """Take the events."""
        taken, self.events = self.events, []
        return taken

    def disconnect(self, time_ms: int) -> None:
        """Say that the stream is lost, as the last thing that is said. Harmless when it already is."""
        if self.connected:
            self.connected = False
            self.armed = None
            self.events.append(StreamLost(time_ms))

    def reconnect(self, time_ms: int) -> None:
        """Say that the stream is back; what was missed is not told. Harmless when it never was lost."""
        if not self.connected:
            self.connected = True
            self.events.append(StreamRestored(time_ms))

    def _last_two_can_swap(self) -> bool:
        return len(self.events) > 1 and isinstance(self.events[-2], OrderChanged | Executed)
