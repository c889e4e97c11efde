"""The main job and `trade`, without a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.face import MARK, Face
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import BrokenInvariantError
from your_short_trade_margin_call.market.instruments import find_instrument


def flowed(text: str) -> str:
    """The text without marks, line ends and columns."""
    return " ".join(" ".join(line.removeprefix(MARK).split()) for line in text.splitlines())


def test_without_a_terminal_it_optimises_and_trades_to_the_end(face: Face, few: Path) -> None:
    answer = face("--grid", few, "--speed", "max", SHORTEST_PEAK_NO_EVIDENCE="")
    assert answer.code == 0
    assert answer.err == ""
    assert all(line.startswith(MARK) for line in answer.lines)
    assert max(map(len, answer.lines)) <= 80
    assert "\x1b" not in answer.out
    text = flowed(answer.out)
    assert "No pair was named: this is BTCUSDT." in text
    order = ["BTCUSDT on the simulated market", "Best of 12", "Its trades", "Verdict:", "What a trade can lose",
             "times the balance", "saved", "Trading on paper", "ENTRY", "EXIT", "Over after"]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "as the journal's executions add up to" in text
    assert "optimised 2 times while trading" in text
    assert {"best_params.json", "optimization_queue.json"} <= {path.name for path in face.data.iterdir()}


def test_every_event_has_its_line(face: Face, candles: Path) -> None:
    answer = face("run", "BTC", "--candles", candles, "--set", "order_reject_prob=0.3", "--reoptimize", "6h")
    assert answer.code == 0
    assert MARK not in answer.out
    words = [line.split()[2] for line in answer.lines if line[:2] == "01" and line[2] == "-" and line[5] == " "]
    with SqliteJournal(face.data / "BTCUSDT" / "journal-paper-replay.sqlite", read_only=True) as journal:
        assert words.count("ENTRY") == len(journal.events_of("entry"))
        assert words.count("EXIT") == len(journal.trades())
        assert words.count("BLOCKED") == sum(journal.blocked_counts().values())
        assert words.count("ADOPTED") == len(journal.adoptions()) - 1
        assert len(journal.trades()) > 0


def test_the_wallet_is_the_journal_s_sum(face: Face, candles: Path) -> None:
    answer = face("BTC", "--candles", candles, "--json")
    assert answer.code == 0
    found = answer.json
    assert set(found) == {"symbol", "market", "optimization", "trading"}
    assert found["optimization"]["trials"] == 336
    trading, instrument = found["trading"], find_instrument("BTCUSDT")
    with SqliteJournal(face.data / "BTCUSDT" / "journal-paper-replay.sqlite", read_only=True) as journal:
        change = journal.wallet_change(float(instrument.tick_size), float(instrument.qty_step))
    assert trading["wallet"] == pytest.approx(472.0 + change, abs=1e-6)
    assert trading["journal_wallet"] == pytest.approx(trading["wallet"], abs=1e-6)
    assert trading["ended_by"] == "the end of the candles"
    assert trading["open_position"] is False


def test_no_trade_stops_after_optimising(face: Face) -> None:
    answer = face("BTC", "--no-trade", "--json")
    assert answer.code == 0
    assert answer.json["trading"] is None
    assert answer.json["market"] == "simulated"
    assert all(line.startswith(MARK) for line in answer.err.splitlines())
    assert not list((face.data / "BTCUSDT").glob("journal*"))


def test_require_real_does_not_trade_on_less(face: Face) -> None:
    answer = face("BTC", "--require-real")
    assert answer.code == 1
    assert "Trading on" not in answer.out
    assert not list((face.data / "BTCUSDT").glob("journal*"))


def test_no_edge_is_said_before_trading(face: Face) -> None:
    answer = face("BTC", "--set", "taker_fee_rate=0.05", "--speed", "max", "--reoptimize", "never")
    assert answer.code == 0
    text = flowed(answer.out)
    assert "The best trial made no money in its own window: there are no entries (no_edge)" in text
    assert "ENTRY" not in text
    assert "BLOCKED no_edge" in text


def test_for_ends_by_the_wall_clock(face: Face) -> None:
    trading = face("BTC", "--for", "1s", "--json").json["trading"]
    assert trading["ended_by"] == "--for is over"
    assert 1.0 <= trading["wall_s"] < 5.0


def test_a_short_that_stays_open_is_named(face: Face) -> None:
    text = flowed(face("BTC", "--for", "2s", "--speed", "1000").out)
    assert re.search(
        r"stays open short 0\.021 at 60,\d+\.\d, target [\d,.]+, margin call [\d,.]+, liquidation [\d,.]+", text
    )
    assert "To go on, start the command again" in text


def test_an_engine_that_fails_says_what_stays_open(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(journal: SqliteJournal, candle_ms: int, wallet_usdt: float, equity_usdt: float) -> None:
        if journal.executions():
            raise BrokenInvariantError("The books contradict themselves.")

    monkeypatch.setattr(SqliteJournal, "equity", broken)
    answer = face("BTC", "--speed", "max")
    assert answer.code == 3
    assert "contradict themselves" in answer.err
    assert "stays open short 0.021 at " in flowed(answer.out)


# ---- trade ---------------------------------------------------------------------------------------


def test_trade_goes_on_with_what_optimize_saved(face: Face) -> None:
    assert face("optimize", "BTC").code == 0
    traded = face("trade", "BTC", "--speed", "max", "--json").json["trading"]
    main = face("run", "BTC", "--speed", "max", "--json").json["trading"]
    same = ("trades", "wins", "wallet", "blocked", "optimizations", "params")
    assert {name: traded[name] for name in same} == {name: main[name] for name in same}


def test_trade_warns_of_parameters_that_know_the_future(face: Face, candles: Path, few: Path) -> None:
    assert face("optimize", "BTC", "--candles", candles, "--grid", few, SHORTEST_PEAK_NO_EVIDENCE="").code == 0
    text = flowed(face("trade", "BTC", "--candles", candles, "--set", "leverage=2").out)
    assert "they know a part of this future" in text
    assert "found under other settings: leverage." in text
    assert "What a trade can lose" in text
    assert "Verdict: CAN'T TELL. 30 closed trades are needed" in text


def test_trade_never_optimises_when_told_so(face: Face) -> None:
    assert face("optimize", "BTC").code == 0
    answer = face("trade", "BTC", "--speed", "max", "--reoptimize", "never", "--json")
    assert answer.json["trading"]["optimizations"] == 0
    assert "other settings" not in answer.err


def test_trade_takes_parameters_of_its_own(face: Face, tmp_path: Path) -> None:
    assert face("optimize", "BTC").code == 0
    saved = json.loads((face.data / "best_params.json").read_text())
    saved["params"]["highest_high_lookback"] = 15
    saved["results"], saved["evidence"] = {}, {}  # made by hand
    (tmp_path / "mine.json").write_text(json.dumps(saved))
    traded = face(
        "trade", "BTC", "--params", tmp_path / "mine.json", "--speed", "max", "--reoptimize", "never", "--json"
    )
    assert traded.json["trading"]["params"]["highest_high_lookback"] == 15


def test_the_journal_of_the_run_before_is_kept(face: Face) -> None:
    assert face("optimize", "BTC").code == 0
    for _ in range(2):
        assert face("trade", "BTC", "--speed", "max").code == 0
    assert (face.data / "BTCUSDT" / "journal-paper-simulated.previous.sqlite").exists()
