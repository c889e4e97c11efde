"""`status`, `pause`, `resume`, `flatten`, `queue`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.face import MARK, Face
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal

NOBODY = "No process trades BTCUSDT now: nothing happens until one does, and it will find this."


def test_nothing_yet(face: Face) -> None:
    answer = face("status")
    assert (answer.code, answer.err) == (0, "")
    assert "Nothing is recorded" in answer.out
    assert face("status", "--json").json == {"pairs": []}
    assert face("queue", "--json").json == {"entries": [], "notices": []}
    assert "No optimisation is planned" in face("queue").out
    assert not face.data.exists()


def test_status_tells_what_the_run_told(face: Face, candles: Path) -> None:
    run = face("BTC", "--candles", candles, "--json").json["trading"]
    assert face("BTC", "--for", "1s").code == 0
    answer = face("status", "btc", "--json")
    (pair,) = answer.json["pairs"]
    real, invented = pair["journals"]
    assert (pair["symbol"], pair["paused"], pair["flatten"]) == ("BTCUSDT", False, False)
    assert (real["market"], invented["market"]) == ("replay", "simulated")
    assert (real["trades"], real["wins"], real["blocked"]) == (run["trades"], run["wins"], run["blocked"])
    assert real["wallet"] == run["wallet"]
    assert real["position"] is None
    assert real["params"] == run["params"]


def test_status_marks_the_invented_market_only(face: Face, candles: Path) -> None:
    assert face("BTC", "--candles", candles).code == 0
    assert face("BTC", "--for", "2s", "--speed", "700").code == 0
    lines = [line for line in face("status").lines if line]
    start = lines.index(f"{MARK}BTCUSDT on the simulated market, paper account") - 1
    assert all(line.startswith(MARK) for line in lines[start:])
    assert not any(line.startswith(MARK) for line in lines[:start])
    assert max(map(len, lines)) <= 80
    assert any("short 0.021 at 60,234.5 since 2026-01-02 00:15 UTC" in line for line in lines)


def test_status_says_which_journal_is_corrupt(face: Face, candles: Path) -> None:
    assert face("BTC", "--candles", candles).code == 0
    journal = face.data / "BTCUSDT" / "journal-paper-replay.sqlite"
    journal.write_bytes(b"nonsense")
    answer = face("status")
    assert answer.code == 0
    assert "is corrupt" in " ".join(answer.out.split())
    assert journal.read_bytes() == b"nonsense"


def test_paused_signals_are_blocked(face: Face) -> None:
    assert face("optimize", "BTC").code == 0
    assert "Paused" in face("pause").out  # the only pair there is
    assert face("status", "--json").json["pairs"][0]["paused"] is True
    traded = face("trade", "BTC", "--speed", "max", "--json").json["trading"]
    assert set(traded["blocked"]) == {"paused"}
    assert traded["trades"] == 0
    assert face("resume", "BTC", "--json").json == {
        "symbol": "BTCUSDT", "paused": False, "flatten": False, "notices": [NOBODY],
    }  # fmt: skip
    assert "paused" not in face("trade", "BTC", "--speed", "max", "--json").json["trading"]["blocked"]


def test_a_control_says_whether_anybody_listens(face: Face) -> None:
    assert face("BTC", "--for", "2s", "--speed", "700").code == 0
    assert face("status", "--json").json["pairs"][0]["journals"][0]["is_trading"] is False
    said = " ".join(face("flatten").out.replace(MARK, "").split())
    assert NOBODY in said
    with SqliteJournal(face.data / "BTCUSDT" / "journal-paper-simulated.sqlite"):
        assert face("status", "--json").json["pairs"][0]["journals"][0]["is_trading"] is True
        assert "process trades now" in " ".join(face("status").out.replace(MARK, "").split())
        said = " ".join(face("flatten").out.split())
        assert NOBODY not in said
        assert "The trading process reads this" in said
        early = face("BTC", "--for", "1s")
    assert early.code == 3
    assert "Another process is writing the journal" in early.err
    assert "trials in" not in early.out, "it swept before it said so"


def test_flatten_holds_until_resume(face: Face) -> None:
    assert face("optimize", "BTC").code == 0
    said = " ".join(face("flatten", "BTC").out.split())
    assert "bought back at market" in said
    assert "until `shortest-peak resume BTCUSDT`" in said
    assert face("pause", "BTC", "--json").json["flatten"] is True
    assert "FLATTEN" in face("status").out
    assert face("resume", "BTC", "--json").json["flatten"] is False


def test_several_pairs_must_be_told_apart(face: Face) -> None:
    assert face("optimize", "BTC").code == 0
    assert face("optimize", "SOL").code == 0
    answer = face("pause")
    assert answer.code == 2
    assert "BTCUSDT, SOLUSDT" in answer.err
    wrong = face("pause", "ETH")
    assert wrong.code == 2
    assert "nothing to pause" in wrong.err
    assert [pair["paused"] for pair in face("status", "--json").json["pairs"]] == [False, False]


def test_a_wish_that_cannot_be_understood_is_kept_aside(face: Face) -> None:
    assert face("optimize", "BTC").code == 0
    controls = face.data / "BTCUSDT" / "controls.json"
    controls.write_text("{")
    assert "PAUSED" in face("status").out
    assert "kept aside" in face("resume").out
    assert controls.with_name("controls.json.corrupt-1").read_text() == "{"
    assert face("status", "--json").json["pairs"][0]["paused"] is False


def test_queue_shows_what_is_planned(face: Face, candles: Path) -> None:
    assert face("BTC", "--candles", candles).code == 0
    assert face("BTC", "--no-trade").code == 0
    entries = face("queue", "--json").json["entries"]
    assert {(entry["market"], entry["status"]) for entry in entries} >= {("replay", "done"), ("simulated", "pending")}
    lines = face("queue").lines
    assert [line for line in lines if "simulated" in line] == [line for line in lines[2:] if line.startswith(MARK)][1:]
    assert "2026-01-02 12:00" in lines[-1]
    assert face("queue", "ETH", "--json").json["entries"] == []
