"""The heartbeat as a supervisor hears it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cycle.test_main_engine import request
from your_short_trade_margin_call.adapters.supervisor import Heartbeat, heartbeat_of
from your_short_trade_margin_call.composition import make_trading_session, prepare
from your_short_trade_margin_call.settings import Settings

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no such sockets")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Somebody who listens, and where."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.setblocking(False)
        yield address, listening


def test_it_says_that_it_is_ready_then_that_it_lives_once_a_second(supervisor: tuple[str, socket.socket]) -> None:
    address, listening = supervisor
    seconds = iter([5.0, 5.2, 5.9, 6.0])
    beat = heartbeat_of({"NOTIFY_SOCKET": address}, lambda: next(seconds))
    assert beat is not None
    for _ in range(4):
        beat()
    assert [listening.recv(100), listening.recv(100)] == [b"READY=1\nWATCHDOG=1", b"WATCHDOG=1"]
    with pytest.raises(BlockingIOError):
        listening.recv(100)


def test_where_nobody_supervises_there_is_none() -> None:
    assert heartbeat_of({}, lambda: 0.0) is None


def test_an_engine_beats_while_it_trades_also_when_nobody_listens(
    tmp_path: Path, supervisor: tuple[str, socket.socket]
) -> None:
    address, listening = supervisor
    for name in (address, str(tmp_path / "nobody")):
        session = make_trading_session(prepare(request(tmp_path, settings=Settings(reoptimize=None))))
        try:
            session.main.parts.heartbeat = Heartbeat(name, lambda: 0.0)
            asyncio.run(session.main.trade(None))
        finally:
            session.close()
    assert listening.recv(100) == b"READY=1\nWATCHDOG=1"
