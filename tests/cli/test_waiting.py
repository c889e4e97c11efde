"""`--market auto`: Bybit where it answers, the built-in market where it does not, and never instead of a journal."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.face import MARK, NOBODY, Face, read_until
from tests.cli.look_alike import at, keys_for, look_alike
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal


def with_journal(face: Face, account: str = "paper", url: str = NOBODY) -> None:
    port = url.rpartition(":")[2]
    SqliteJournal(face.data / "BTCUSDT" / f"journal-{account}-loopback-{port}.sqlite").close()


@contextmanager
def silent_port() -> Iterator[str]:
    """An address that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


# ---- nobody answers ------------------------------------------------------------------------------


def test_a_pair_without_a_journal_runs_on_the_built_in_market(face: Face) -> None:
    answer = face("BTC", "--no-trade")
    assert answer.code == 0
    text = " ".join(line.removeprefix(MARK) for line in answer.lines)
    assert "Bybit did not answer at http://127.0.0.1:9: it cannot be reached." in text
    assert "its prices are invented" in text
    assert "`shortest-peak doctor` says what is wrong" in text


def test_an_exchange_that_is_silent_is_given_up_after_some_seconds(face: Face) -> None:
    with silent_port() as url:
        answer = face("BTC", "--no-trade", "--endpoint", url, "--json")
    assert answer.json["market"] == "simulated"


@pytest.mark.parametrize("typed", [("--market", "bybit"), ("--account", "demo")])
def test_who_asked_for_bybit_gets_an_error(face: Face, typed: tuple[str, ...]) -> None:
    answer = face("BTC", *typed, **keys_for())
    assert answer.code == 3
    assert "did not answer" in answer.err
    assert not face.data.exists()


def test_an_optimisation_does_not_wait_and_does_not_invent(face: Face) -> None:
    with_journal(face)
    answer = face("optimize", "BTC")
    assert answer.code == 3
    assert "--market simulated" in answer.err
    assert face("optimize", "BTC", "--market", "simulated").code == 0


# ---- a journal waits -----------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [(), ("--market", "bybit"), ("--account", "demo")])
def test_a_pair_with_a_journal_waits_until_for_is_over(face: Face, typed: tuple[str, ...]) -> None:
    with_journal(face, "demo" if "demo" in typed else "paper")
    begun = time.monotonic()
    answer = face("BTC", *typed, "--for", "2s", **keys_for())
    assert answer.code == 3
    assert time.monotonic() - begun >= 2.0
    assert "waiting for Bybit" in " ".join(answer.out.split())
    assert "--for is over and Bybit never answered" in answer.err
    assert MARK not in answer.out


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_the_waiting_ends_with_ctrl_c(face: Face) -> None:
    with_journal(face)
    with face.start("BTC") as process:
        read_until(process, "waiting")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130


def test_it_goes_on_when_bybit_answers_again(face: Face) -> None:
    with look_alike() as server:
        url = server.url
        with_journal(face, url=url)
        server.do(lambda: server.server.faults.plan("outage", ms=0))
        with face.start("BTC", *at(face, server), "--for", "8s", "--json") as process:
            assert process.stderr is not None
            assert any("waiting" in line for line in process.stderr)
            time.sleep(3.0)
            server.do(server.server.faults.clear)
            out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "Bybit answers again after" in err
    assert json.loads(out)["trading"]["wall_s"] < 8.0, "the waiting counts"


# ---- somebody answers ----------------------------------------------------------------------------


def test_auto_takes_bybit_where_it_answers(face: Face) -> None:
    with look_alike() as server:
        answer = face("BTC", *at(face, server), "--no-trade", "--json")
    assert answer.code == 0
    assert answer.json["market"].startswith("loopback-")
    assert MARK not in answer.err


def test_a_pair_that_only_the_exchange_knows_is_asked_for_there(face: Face) -> None:
    with look_alike() as server:
        answer = face("FOOUSDT", *at(face, server), "--no-trade")
    assert answer.code == 2
    assert "no perpetual called FOOUSDT" in answer.err
