"""The first day goes wrong: killed with the first short unbooked, a stranger in the account."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.cli.face import Face, read_until
from tests.cli.look_alike import LookAlike, at, keys_for, look_alike
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.happenings import foreign_position
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal


@pytest.fixture
def server() -> Iterator[LookAlike]:
    with look_alike(hours=120.0) as running:
        yield running


def demo(face: Face, server: LookAlike, *more: str) -> tuple[object, ...]:
    return ("BTC", *at(face, server), "--market", "bybit", "--account", "demo", *more)


def until_short(server: LookAlike) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while server.do(lambda: server.account.sim("BTCUSDT").position) is None:
        assert time.monotonic() < deadline_s, "it never entered: the test proves nothing"
        time.sleep(0.002)


def test_killed_with_the_first_entry_unbooked_it_starts_again_and_the_books_agree(
    face: Face, server: LookAlike
) -> None:
    """Fee and loss have left the wallet although the journal knows of nothing: that is no reason to stay away."""
    args = demo(face, server, "--for", "300s", "--set", "stop_loss_pct=2%")
    face.data.mkdir(parents=True)
    with face.start(*args, **keys_for()) as process:
        read_until(process, "Trading on")
        server.do(lambda: server.server.faults.plan("drop_answer", path="/v5/order/create", times=None))
        server.do(lambda: server.server.faults.plan("half_open", path="/v5/private"))
        until_short(server)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
    server.do(server.server.faults.clear)
    with face.start(*args, **keys_for()) as process:
        told = read_until(process, "ENTRY")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, (told, err)
    assert "WARN" in told
    assert "wallet changed" not in told + out
    assert "please report" not in out
    port = server.url.rpartition(":")[2]
    with SqliteJournal(face.data / "BTCUSDT" / f"journal-demo-loopback-{port}.sqlite", read_only=True) as journal:
        booked = server.do(lambda: {each.exec_id for each in server.account.statement.booked})
        assert {each.exec_id for each in journal.executions()} <= booked


def test_a_stranger_s_short_is_not_said_to_be_ours(face: Face, server: LookAlike) -> None:
    face.data.mkdir(parents=True)
    with face.start(*demo(face, server, "--for", "300s"), **keys_for()) as process:
        read_until(process, "Trading on")
        until_flat_after_a_trade(server)
        server.do(lambda: foreign_position(server.account, "BTCUSDT", 1))
        read_until(process, "somebody else trades this account")
        while server.do(lambda: -server.account.sim("BTCUSDT").position.lots) > 1:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert "stays open   nothing" in out
    assert "It stays open" not in out


def until_flat_after_a_trade(server: LookAlike) -> None:
    until_short(server)
    deadline_s = time.monotonic() + PATIENCE_S
    while server.do(lambda: server.account.sim("BTCUSDT").position) is not None:
        assert time.monotonic() < deadline_s
        time.sleep(0.002)
