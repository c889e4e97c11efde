"""Telling whoever supervises this process (systemd) that the decision loop turns."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

SOCKET_VARIABLE = "NOTIFY_SOCKET"
"""Where systemd listens, for a service of `Type=notify`."""
EVERY_S = 1.0
"""How often it is told at most, in real seconds: a watchdog waits for minutes."""


class Heartbeat:
    """Called at each turn of the decision loop: says that it is ready, then that it is alive.

    Args:
        address: the path of a datagram socket; ``@name`` is an abstract one.
        stopwatch_s: real seconds, to say it not too often.
    """

    def __init__(self, address: str, stopwatch_s: Callable[[], float]) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._stopwatch_s = stopwatch_s
        self._told_s: float | None = None

    def __call__(self) -> None:
        """Tell it, unless it was told a moment ago.

        Raises:
            OSError: nobody listens.
        """
        now_s, told_s = self._stopwatch_s(), self._told_s
        if told_s is not None and now_s - told_s < EVERY_S:
            return
        self._told_s = now_s
        self._send(b"READY=1\nWATCHDOG=1" if told_s is None else b"WATCHDOG=1")

    def _send(self, message: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.sendto(message, self._address)


def heartbeat_of(environment: Mapping[str, str], stopwatch_s: Callable[[], float]) -> Heartbeat | None:
    """The heartbeat that the environment asks for; None where nobody supervises."""
    address = environment.get(SOCKET_VARIABLE, "")
    return Heartbeat(address, stopwatch_s) if address and hasattr(socket, "AF_UNIX") else None
