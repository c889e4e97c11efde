"""How long the client waits for what: one frozen value that is handed to every part."""

from __future__ import annotations

from dataclasses import dataclass, replace

_SCALED = (
    "request_timeout_s",
    "connect_timeout_s",
    "ping_every_s",
    "silence_s",
    "ack_timeout_s",
    "resync_every_s",
    "entry_patience_s",
    "exit_patience_s",
    "forbidden_s",
    "probe_every_s",
    "reset_s",
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Real seconds, unless a name says otherwise.

    `silence_s` is how long a stream may bring no data before it counts as dead; `reconnect_s` and `retry_s` are the
    waits before each further try (the last one repeats on a stream). `entry_patience_s` and `exit_patience_s` are how
    old an order may get before it is first carried out: an entry on an old quote is worse than none.
    `forbidden_s` is how long all traffic stops after HTTP 403; an exit may ask again every `probe_every_s`.
    `reset_s` is how long a limit of requests lasts when the exchange does not say when it ends.
    """

    request_timeout_s: float = 5.0
    connect_timeout_s: float = 3.0
    recv_window_ms: int = 5_000
    ping_every_s: float = 20.0
    silence_s: float = 10.0
    reconnect_s: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    ack_timeout_s: float = 5.0
    resync_every_s: float = 60.0
    max_skew_ms: int = 500
    retry_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0)
    entry_patience_s: float = 3.0
    exit_patience_s: float = 10.0
    forbidden_s: float = 600.0
    probe_every_s: float = 30.0
    reset_s: float = 1.0
    largest_answer_bytes: int = 32 << 20

    def faster(self, factor: float) -> Timing:
        """The same with all seconds divided by `factor` (for tests); windows and limits in ms stay."""
        scaled = {name: getattr(self, name) / factor for name in _SCALED}
        reconnect_s = tuple(wait / factor for wait in self.reconnect_s)
        return replace(self, **scaled, reconnect_s=reconnect_s, retry_s=tuple(wait / factor for wait in self.retry_s))
