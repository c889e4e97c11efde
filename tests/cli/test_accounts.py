"""Trading on Bybit's accounts and on paper there, against a look-alike on this computer."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator

import pytest

from tests.cli.face import Face, read_until
from tests.cli.look_alike import WINDOW, LookAlike, at, keys_for, look_alike, trading
from tests.patience import PATIENCE_S
from tests.shares import late
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.storage.optimization_queue import OptimizationQueue


@pytest.fixture
def server() -> Iterator[LookAlike]:
    with look_alike() as running:
        yield running


def journal_of(face: Face, server: LookAlike, account: str) -> SqliteJournal:
    port = server.url.rpartition(":")[2]
    return SqliteJournal(face.data / "BTCUSDT" / f"journal-{account}-loopback-{port}.sqlite", read_only=True)


# ---- the main job --------------------------------------------------------------------------------


def test_the_main_job_on_paper(face: Face, server: LookAlike) -> None:
    answer = trading(face, server, "BTC", "--market", "bybit", "--for", "6s", "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert found["market"].startswith("loopback-")
    assert found["optimization"]["facts"]["funding"] == "recorded"
    did = found["trading"]
    assert did["ended_by"] == "--for is over"
    assert did["wall_s"] >= 6.0
    assert did["wallet"] == pytest.approx(did["journal_wallet"], abs=1e-6)
    with journal_of(face, server, "paper") as journal:
        assert journal.last_candle_ms() is not None
        assert journal.executions(), "it never traded: the test proves nothing"
        assert journal.meta()["starting_balance"] == "472.0"


def test_the_main_job_on_a_demo_account(face: Face, server: LookAlike) -> None:
    answer = trading(
        face, server, "BTC", "--account", "demo", "--for", "6s", "--capital", "300", "--json", **keys_for()
    )
    assert answer.code == 0, answer.err
    assert "Checks of the demo account" in answer.err
    assert "An account of a look-alike on this computer: no money at all." in answer.err
    did = answer.json["trading"]
    assert did["starting_balance"] == 300.0
    assert did["wallet"] == pytest.approx(did["journal_wallet"], abs=1e-6)
    booked = server.do(lambda: list(server.account.statement.booked))
    with journal_of(face, server, "demo") as journal:
        known = [execution.exec_id for execution in journal.executions()]
        assert known, "it never traded: the test proves nothing"
        assert [row.exec_id for row in booked[: len(known)]] == known
        last_ms = journal.last_candle_ms() or 0
        # The exchange's clock does not stop when the program does: a position left open may be closed after it.
        assert all(row.execution.time_ms > last_ms for row in booked[len(known) :])
        assert booked[len(known) - 1].wallet_usdt - 472.0 == pytest.approx(did["wallet"] - 300.0, abs=1e-6)
        first = journal.executions()[0]
        worth = first.lots * 0.001 * first.price_ticks * 0.1
        assert 300 < worth < 450, "sized by the capital (half of it, three times), not by the wallet"


def test_nothing_of_the_real_market_is_touched(face: Face, server: LookAlike) -> None:
    (face.data / "BTCUSDT").mkdir(parents=True)
    real = {"market": "bybit", "schema_version": 1}
    (face.data / "best_params.json").write_text(json.dumps(real))
    assert trading(face, server, "BTC", "--market", "bybit", "--no-trade").code == 0
    assert json.loads((face.data / "best_params.json").read_text()) == real
    names = {path.name for path in (face.data / "BTCUSDT").iterdir()}
    assert "best_params.json" not in names
    assert "sweep.parquet" not in names
    assert any(name.startswith("best_params.loopback-") for name in names)


@pytest.mark.parametrize("account", ["paper", late("demo")])
def test_every_line_says_that_it_is_a_look_alike(face: Face, server: LookAlike, account: str) -> None:
    options = ("--account", account) if account == "demo" else ("--market", "bybit")
    lines = [line for line in trading(face, server, "BTC", *options, "--for", "5s", **keys_for()).lines if line]
    assert any("ENTRY" in line for line in lines), "it never traded: the test proves little"
    assert [line for line in lines if not line.startswith("LOOK-ALIKE ")] == []
    assert max(map(len, lines)) <= 80
    text = " ".join(line.removeprefix("LOOK-ALIKE ").strip() for line in lines)
    assert "(prices of a look-alike on this computer, not Bybit's)" in text


# ---- again and again -----------------------------------------------------------------------------


@pytest.mark.parametrize(("account", "options"), [("paper", ()), ("demo", ("--account", "demo"))])
def test_a_second_start_goes_on(face: Face, server: LookAlike, account: str, options: tuple[str, ...]) -> None:
    typed = (*at(face, server), "--market", "bybit", *options, "--json")
    first = face("BTC", *typed, "--for", "4s", **keys_for()).json["trading"]
    plain = [word for word in typed if word not in ("--grid", typed[3])]
    answer = face("trade", "BTC", *plain, "--for", "4s", **keys_for())
    assert answer.code == 0, answer.err
    second = answer.json["trading"]
    assert second["trades"] >= first["trades"]
    assert second["starting_balance"] == first["starting_balance"] == 472.0
    assert second["wallet"] == pytest.approx(second["journal_wallet"], abs=1e-6)
    with journal_of(face, server, account) as journal:
        times = [candle_ms for candle_ms, *_ in journal.equity_rows()]
        assert times == sorted(set(times)), "the second run does not follow the first"


def test_what_is_shown_is_what_is_traded_whatever_the_journal_knew(face: Face, server: LookAlike) -> None:
    assert trading(face, server, "BTC", "--market", "bybit", "--for", "2s").code == 0
    saved = next((face.data / "BTCUSDT").glob("best_params.loopback-*.json"))
    document = json.loads(saved.read_text())
    document["params"]["take_profit_pct"] = 0.0123
    document["results"]["pnl_value"] = -1.0
    mine = face.data / "mine.json"
    mine.write_text(json.dumps(document))
    typed = ("--endpoint", server.url, "--set", f"window={WINDOW}", "--params", mine, "--for", "1s", "--json")
    assert face("trade", "BTC", *typed).json["trading"]["params"]["take_profit_pct"] == 0.0123
    with journal_of(face, server, "paper") as journal:
        known = journal.last_adoption()
        assert known is not None
        assert json.loads(known[1]) == {"params": document["params"], "has_edge": False}


def test_another_capital_is_refused_later(face: Face, server: LookAlike) -> None:
    assert trading(face, server, "BTC", "--market", "bybit", "--for", "1s").code == 0
    answer = trading(face, server, "BTC", "--market", "bybit", "--for", "1s", "--capital", "99")
    assert answer.code == 2
    assert "began with 472 USDT" in answer.err


def test_a_look_alike_that_begins_again_begins_a_new_journal(face: Face) -> None:
    with look_alike() as server:
        port = server.url.rpartition(":")[2]
        assert trading(face, server, "BTC", "--market", "bybit", "--for", "3s").code == 0
    folder = face.data / "BTCUSDT"
    journal, account = folder / f"journal-paper-loopback-{port}.sqlite", folder / f"paper-account-loopback-{port}.json"
    with look_alike() as server:
        other = server.url.rpartition(":")[2]
        for path in (journal, account):
            path.rename(path.with_name(path.name.replace(port, other)))
        future = sqlite3.connect(folder / f"journal-paper-loopback-{other}.sqlite")
        with future:
            future.execute("UPDATE equity SET candle_ms = candle_ms + 864000000")
        future.close()
        assert trading(face, server, "BTC", "--market", "bybit", "--for", "2s").code == 0
    assert (folder / f"journal-paper-loopback-{other}.previous.sqlite").exists()
    assert (folder / f"paper-account-loopback-{other}.previous.json").exists()


def test_a_journal_whose_paper_account_is_lost_makes_room_for_new_ones(face: Face, server: LookAlike) -> None:
    typed = ("BTC", "--market", "bybit", "--for", "6s", "--json")
    assert trading(face, server, *typed).code == 0
    with journal_of(face, server, "paper") as journal:
        assert journal.executions(), "it never traded: the test proves nothing"
    (account,) = (face.data / "BTCUSDT").glob("paper-account-*.json")
    account.write_text('{"half', encoding="utf-8")
    damaged = trading(face, server, *typed)
    assert damaged.code == 2
    assert "kept aside" in damaged.err
    for _ in range(2):
        answer = trading(face, server, *typed)
        assert answer.code == 0, answer.err
        did = answer.json["trading"]
        assert did["wallet"] == pytest.approx(did["journal_wallet"], abs=1e-6)
    assert len(list((face.data / "BTCUSDT").glob("journal-paper-*.previous.sqlite"))) == 1


def test_status_and_controls_know_these_journals(face: Face, server: LookAlike) -> None:
    assert trading(face, server, "BTC", "--market", "bybit", "--for", "2s").code == 0
    assert face("pause", "BTC").code == 0
    traded = trading(face, server, "BTC", "--market", "bybit", "--for", "3s", "--json").json["trading"]
    assert set(traded["blocked"]) <= {"paused", "position_open"}
    shown = face("status").out
    assert "LOOK-ALIKE BTCUSDT on the loopback-" in shown
    assert all(line.startswith("LOOK-ALIKE ") for line in face("queue").lines if line)
    assert "PAUSED" in shown


def test_each_account_has_its_own_turn_to_optimise(face: Face, server: LookAlike) -> None:
    assert trading(face, server, "BTC", "--market", "bybit", "--for", "1s").code == 0
    assert trading(face, server, "BTC", "--account", "demo", "--for", "1s", **keys_for()).code == 0
    entries = OptimizationQueue(face.data / "optimization_queue.json").entries()
    assert sorted(entry.account or "" for entry in entries) == ["demo", "paper"]


def test_it_optimises_again_beside_trading(face: Face, server: LookAlike) -> None:
    answer = trading(face, server, "BTC", "--market", "bybit", "--for", "5s", "--reoptimize", "30m", "--json")
    assert answer.code == 0
    assert answer.json["trading"]["optimizations"] >= 1


# ---- leaving -------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("account", [late("paper"), "demo"])
def test_ctrl_c_says_what_stays_open(face: Face, server: LookAlike, account: str) -> None:
    (face.data).mkdir(parents=True)
    args = ("BTC", *at(face, server), "--market", "bybit", "--account", account)
    with face.start(*args, **keys_for()) as process:
        read_until(process, "ENTRY")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "Ctrl-C" in out
    assert "stays open" in out
    assert "continues this journal" in out


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_is_heard_although_the_exchange_is_silent(face: Face, server: LookAlike) -> None:
    face.data.mkdir(parents=True)
    with face.start("BTC", *at(face, server), "--account", "demo", **keys_for()) as process:
        read_until(process, "Ctrl-C ends")
        server.do(lambda: server.server.faults.plan("half_open"))
        server.do(lambda: server.server.faults.plan("delay", ms=3_000_000, times=None))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_start_that_fails_says_what_an_earlier_run_left_open(face: Face, server: LookAlike) -> None:
    face.data.mkdir(parents=True)
    args = ("BTC", *at(face, server), "--account", "demo")
    with face.start(*args, **keys_for()) as process:
        read_until(process, "ENTRY")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
    server.do(lambda: server.server.faults.plan("outage", ms=60_000))
    with face.start(*args, **keys_for()) as process:
        read_until(process, "waiting")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "and open is:" in out
    assert "BTCUSDT short 0.0" in out
    assert "(demo account), with its stop and target" in " ".join(out.split())


@pytest.mark.parametrize("account", [late("paper"), "demo"])
def test_flatten_is_heard_by_a_running_process(face: Face, server: LookAlike, account: str) -> None:
    face.data.mkdir(parents=True)
    args = ("BTC", *at(face, server), "--market", "bybit", "--account", account, "--for", "40s")
    with face.start(*args, **keys_for()) as process:
        read_until(process, "ENTRY")
        assert face("flatten", "BTC").code == 0
        told = read_until(process, "EXIT")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "closed at" in told or "target at" in told
    assert "SIGTERM" in out
    assert "stays open   nothing" in out
