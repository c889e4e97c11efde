"""`optimize` and `backtest`: what they print, what they write, what machines get."""

from __future__ import annotations

import csv
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.cli.face import MARK, Face, candle_file
from your_short_trade_margin_call import BacktestEngine, Candles, Settings, StrategyParams
from your_short_trade_margin_call.domain.trade_row import TRADE_COLUMNS
from your_short_trade_margin_call.domain.words import ExitType

FOUR = ("--lookback", "10", "--exit-type", "midpoint", "--risk-fraction", "0.5", "--take-profit-pct", "0.44%")


def test_optimize_answers_machines_with_one_object(face: Face, candles: Path) -> None:
    answer = face("optimize", "btc/usdt", "--candles", candles, "--no-evidence", "--json")
    assert answer.code == 0
    found = answer.json
    assert (found["symbol"], found["market"], found["trials"]) == ("BTCUSDT", "replay", 336)
    assert set(found["candles"]) >= {"start_ms", "end_ms", "count", "hash", "gaps", "missing"}
    assert found["candles"]["count"] == 480
    assert found["candles"]["end_ms"] - found["candles"]["start_ms"] == 86_400_000
    assert set(found["best"]) >= {"highest_high_lookback", "exit_type", "risk_fraction", "take_profit_pct"}
    assert set(found["results"]) >= {"pnl_pct", "pnl_value", "final_balance", "avg_win", "sharpe", "drawdown", "wins"}
    assert found["evidence"]["verdict"] == "NOT TESTED"
    assert [Path(path).exists() for path in found["written"]] == [True] * 3
    saved = json.loads((face.data / "BTCUSDT" / "best_params.json").read_text())
    assert (saved["params"], saved["results"]) == (found["best"], found["results"])
    assert not (face.data / "optimization_queue.json").exists(), "a plain optimize plans nothing"


def test_a_pair_that_does_not_trade_is_said_to_be_one(face: Face, candles: Path, tmp_path: Path) -> None:
    shipped = files("your_short_trade_margin_call.market").joinpath("instruments.json").read_text(encoding="utf-8")
    entry = next(each for each in json.loads(shipped)["instruments"] if each["instrument"]["symbol"] == "BTCUSDT")
    path = tmp_path / "pair.json"
    for status, delivery, trades in (("Trading", "0", True), ("PreLaunch", "0", False), ("Trading", "1", False)):
        entry["instrument"] |= {"status": status, "deliveryTime": delivery}
        path.write_text(json.dumps(entry), encoding="utf-8")
        typed = ("--candles", candles, "--instrument", path, "--no-evidence", "--json")
        notices = face("optimize", "BTC", *typed).json["notices"]
        assert any("BTCUSDT does not trade" in notice for notice in notices) is not trades


def test_the_window_is_the_end_of_the_candles(face: Face, candles: Path) -> None:
    two = face("optimize", "BTC", "--candles", candles, "--days", "0.5", "--json").json
    whole = Candles.from_parquet(candles, symbol="BTCUSDT")
    assert two["candles"]["count"] == 240
    assert two["candles"]["end_ms"] == whole.end_ms


def test_a_timerange_cuts_from_midnight_to_midnight(face: Face, candles: Path) -> None:
    first = face("optimize", "BTC", "--candles", candles, "--timerange", "20260101-20260102", "--json").json
    assert (first["candles"]["start_ms"], first["candles"]["count"]) == (1_767_225_600_000, 480)
    later = face("optimize", "BTC", "--candles", candles, "--timerange", "20260102-", "--json").json
    assert later["candles"]["start_ms"] == first["candles"]["end_ms"]


def test_optimize_on_the_invented_market_leaves_the_next_day_to_trade(face: Face, few: Path) -> None:
    answer = face("optimize", "BTC", "--grid", few, SHORTEST_PEAK_NO_EVIDENCE="")
    assert answer.code == 0
    assert all(line.startswith(MARK) for line in answer.lines)
    assert max(map(len, answer.lines)) <= 80
    assert "2026-01-01 00:00 to 2026-01-02 00:00 UTC, 480 candles" in answer.out
    assert "Best of 12 trials" in answer.out
    flowed = " ".join(line.removeprefix(MARK).strip() for line in answer.lines)
    assert "days) the account made" in flowed
    assert re.search(r"Verdict: (LUCK|CAN'T TELL|REAL)\. [^()]+ \(invented prices\)", flowed)
    assert "2.7 times the balance" in flowed
    assert "margin call" in flowed
    assert "sharpe" not in flowed
    saved = json.loads((face.data / "BTCUSDT" / "best_params.simulated.json").read_text())
    assert saved["market"] == "simulated"


def test_require_real_says_no(face: Face) -> None:
    answer = face("optimize", "BTC", "--require-real", "--json", SHORTEST_PEAK_NO_EVIDENCE="")
    assert answer.code == 1
    assert answer.json["evidence"]["verdict"] == "LUCK"  # one object: the answer, not an error
    assert "no: The verdict is LUCK" in answer.err


def test_an_invented_result_never_replaces_a_real_one(face: Face, candles: Path) -> None:
    assert face("optimize", "BTC", "--candles", candles).code == 0
    before = (face.data / "best_params.json").read_bytes()
    assert "was left as it is" in " ".join(face("optimize", "BTC").out.replace(MARK, "").split())
    assert (face.data / "best_params.json").read_bytes() == before


def test_settings_come_from_everywhere(face: Face, candles: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("leverage = 2\nspread_bps = 1\n")
    (tmp_path / "grid.toml").write_text("[grid]\nhighest_high_lookback = [10]\nrisk_fraction = ['50%']\n")
    typed = ("--config", tmp_path / "mine.toml", "--grid", tmp_path / "grid.toml", "--set", "leverage=5", "--seed", "9")
    found = face("optimize", "BTC", "--candles", candles, *typed, "--json", SHORTEST_PEAK_TAKER_FEE_RATE="0.1%").json
    assert found["trials"] == 12
    settings = json.loads((face.data / "best_params.json").read_text())["settings"]
    assert (settings["leverage"], settings["spread_bps"], settings["seed"]) == (5, 1, 9)
    assert settings["taker_fee_rate"] == pytest.approx(0.001)


# ---- backtest ------------------------------------------------------------------------------------


def test_backtest_is_the_engine_s_backtest(face: Face, candles: Path, tmp_path: Path) -> None:
    file = tmp_path / "trades.csv"
    answer = face("backtest", "--symbol", "BTCUSDT", *FOUR, "--candles", candles, "--trades", file, "--json")
    assert answer.code == 0
    params = StrategyParams(10, ExitType.MIDPOINT, 0.5, 0.0044)
    result = BacktestEngine(Settings()).backtest(Candles.from_parquet(candles, symbol="BTCUSDT"), params)
    found = answer.json
    assert found["metrics"] == json.loads(json.dumps(result.metrics.as_dict()))
    assert (found["trades"], found["blocked"]) == (result.metrics.trades, result.blocked)
    assert set(found) >= {"params", "metrics", "blocked", "trades", "symbol", "market", "facts"}
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == TRADE_COLUMNS
    assert [int(row["entry_time"]) for row in rows] == result.trades["entry_time"].to_list()
    assert [float(row["pnl_value"]) for row in rows] == result.trades["pnl_value"].to_list()


def test_backtest_over_the_last_days_only(face: Face, candles: Path) -> None:
    found = face("backtest", "BTC", *FOUR, "--candles", candles, "--days", "0.5", "--json").json
    assert found["candles"]["count"] == 240


def test_backtest_completes_what_is_missing_and_says_so(face: Face, candles: Path) -> None:
    best = face("optimize", "BTC", "--candles", candles, "--json").json["best"]
    answer = face("backtest", "BTC", "--candles", candles, "--lookback", "25", "--json")
    assert answer.json["params"] == {**best, "highest_high_lookback": 25}
    assert "params.json: exit_type, risk_fraction, take_profit_pct." in " ".join(answer.err.split())


def test_backtest_takes_parameters_from_a_file(face: Face, candles: Path, tmp_path: Path) -> None:
    best = face("optimize", "BTC", "--candles", candles, "--json").json["best"]
    mine = (face.data / "best_params.json").rename(tmp_path / "mine.json")
    found = face("backtest", "BTC", "--candles", candles, "--params", mine, "--max-hold", "2h", "--json").json
    assert found["params"] == {**best, "max_hold_ms": 7_200_000}
    other = face("backtest", "ETH", "--params", mine)
    assert other.code == 2
    assert "not of ETHUSDT" in other.err


def test_backtest_for_people(face: Face, candles: Path) -> None:
    answer = face("backtest", "BTC", *FOUR, "--candles", candles)
    assert answer.code == 0
    assert max(map(len, answer.lines)) <= 80
    assert MARK not in answer.out
    assert "lookback 10, midpoint, risk 0.5, take profit 0.44 %" in answer.out
    assert "NOT TESTED" in answer.out
    assert "entry (UTC)" in answer.out
    assert "funding unknown (counted as 0)" in answer.out


def test_sharpe_is_shown_from_thirty_days_on(face: Face, tmp_path: Path) -> None:
    month = candle_file(tmp_path / "month.parquet", days=30)
    assert "sharpe" in face("backtest", "BTC", *FOUR, "--candles", month).out
    assert "sharpe" not in face("backtest", "BTC", *FOUR, "--candles", month, "--days", "29").out
