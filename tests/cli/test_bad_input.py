"""Every wrong use is a named error that says what to do, with the right exit code and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.cli.face import Face, candle_file

FOUR = ("--lookback", "10", "--exit-type", "midpoint", "--risk-fraction", "0.5", "--take-profit-pct", "0.44%")

BAD = [
    # what is typed, exit code, a part of the message, a part of the cure
    ("optimise BTCUSDT", 2, "no command 'optimise'", "shortest-peak optimize"),
    ("§§", 2, "neither a command nor a pair", "BTCUSDT"),
    ("FOOUSDT", 2, "Nothing is known about FOOUSDT", "--instrument"),
    ("optimize BTCUSD", 2, "inverse", "BTCUSDT"),
    ("optimize", 2, "No pair", "optimize BTCUSDT"),
    ("BTCUSDT --symbol ETHUSDT", 2, "Two pairs", "Name one"),
    ("optimize BTC --days 0", 2, "--days 0", "above 0"),
    ("optimize BTC --days 1e9", 2, "--days 1e+09", "at most 10,000"),
    ("optimize BTC --set balance=1e300", 2, "balance='1e300'", "less than or equal to 1000000000000"),
    ("optimize BTC --days x", 2, "--days", "--help"),
    ("BTC --speed fast", 2, "--speed fast", "max"),
    ("BTC --speed 0", 2, "--speed 0", "max"),
    ("BTC --for 60", 2, "--for 60", "30s"),
    ("BTC --for -5s", 2, "--for -5s", "30s"),
    ("BTC --reoptimize soon", 2, "reoptimize='soon'", "12h, 90m, 30s or 2d"),
    ("optimize BTC --set leverge=3", 2, "'leverge'", "leverage"),
    ("optimize BTC --set leverage=abc", 2, "leverage='abc'", "valid number"),
    ("optimize BTC --set leverage=0", 2, "leverage='0'", "greater than or equal to 1"),
    ("optimize BTC --set leverage", 2, "name=value", "--set leverage=5"),
    ("optimize BTC --seed x", 2, "--seed", "optimize --help"),
    ("optimize BTC --market moon", 2, "'moon'", "optimize --help"),
    ("optimize BTC --bogus", 2, "--bogus", "optimize --help"),
    ("optimize BTC ETH", 2, "ETH", "optimize --help"),
    ("optimize BTC --config nowhere.toml", 2, "nowhere.toml", "Check the path"),
    ("optimize BTC --grid nowhere.toml", 2, "nowhere.toml", "Check the path"),
    ("optimize BTC --candles nowhere.parquet", 2, "nowhere.parquet", "Check the path"),
    ("optimize BTC --market replay", 2, "needs candles", "--candles FILE"),
    ("optimize BTC --mark x.parquet", 2, "--mark", "--candles FILE"),
    ("optimize BTC --candles x.parquet --market simulated", 2, "--candles is a replay", "Leave one"),
    ("optimize BTC --candles x.csv --timerange 2025-01", 2, "'2025'", "20250529"),
    ("optimize BTC --candles x.csv --timerange 20250230-", 2, "'20250230'", "20250529"),
    ("optimize BTC --candles x.csv --timerange 20250530", 2, "20250530", "20250529-20250629"),
    ("optimize BTC --candles x.csv --timerange 20250530-20250530", 2, "no time", "exclusive"),
    ("optimize BTC --instrument nowhere.json", 2, "nowhere.json", "Check the path"),
    ("optimize BTC --market bybit", 3, "did not answer at http://127.0.0.1:9", "--candles FILE"),
    ("BTC --account testnet", 3, "did not answer at http://127.0.0.1:9", "doctor"),
    ("BTC --account mainnet", 2, "needs --capital", "--capital 100"),
    ("BTC --account mainnet --capital 100", 2, "needs --risk-fraction", "never optimised"),
    ("BTC --account mainnet --capital 100 --risk-fraction 0.1", 2, "needs a confirmation", "--confirm BTCUSDT"),
    ("trade BTC --account mainnet --capital 9 --risk-fraction 1 --confirm ETH", 2, "--confirm ETH", "Name the pair"),
    ("BTC --account demo --candles x.parquet", 2, "--account demo trades on Bybit", "--account paper"),
    ("BTC --account demo --market simulated", 2, "--account demo trades on Bybit", "--account paper"),
    ("BTC --market bybit --speed 600", 2, "cannot be sped up", "--speed"),
    ("BTC --capital 0", 2, "--capital 0", "above 0"),
    ("BTC --risk-fraction 2", 2, "--risk-fraction 2", "at most 1"),
    ("BTC --max-notional -5", 2, "--max-notional -5", "above 0"),
    ("BTC --endpoint http://example.com", 2, "not encrypted", "https"),
    ("BTC --endpoint nonsense", 2, "cannot be read", "https://api.bybit.com"),
    ("backtest ETH --lookback 10", 2, "--exit-type, --risk-fraction, --take-profit-pct", "optimize ETHUSDT"),
    ("backtest BTC --risk-fraction half", 2, "--risk-fraction half", "0.44%"),
    ("backtest BTC --params nowhere.json", 2, "nowhere.json", "optimize"),
    ("trade ETH", 2, "no best parameters", "optimize"),
    ("pause", 2, "No pair", "no pair in"),
    ("status --set leverge=3", 2, "'leverge'", "leverage"),
    ("pause BTC", 2, "Nothing is recorded for BTCUSDT", "no pair in"),
]


@pytest.mark.parametrize(("typed", "code", "message", "cure"), BAD, ids=[row[0] for row in BAD])
def test_a_named_error_says_what_to_do(face: Face, typed: str, code: int, message: str, cure: str) -> None:
    answer = face(*typed.split())
    assert answer.code == code
    first, _, second = answer.err.partition("\n")
    assert first.startswith("error: ")
    assert message in first
    assert cure in second
    assert "Traceback" not in answer.err
    assert not face.data.exists()


@pytest.mark.parametrize(("typed", "code", "message", "cure"), BAD[3:9], ids=[row[0] for row in BAD[3:9]])
def test_for_machines_the_error_is_one_json_object(face: Face, typed: str, code: int, message: str, cure: str) -> None:
    answer = face(*typed.split(), "--json")
    error = answer.json["error"]
    assert answer.code == code
    assert message in error["message"]
    assert cure in error["cure"]
    assert error["kind"].endswith("Error")


def rows(count: int) -> dict[str, list[float]]:
    flat = [100.0] * count
    times = [1_750_000_680_000.0 + 180_000 * k for k in range(count)]
    return {"ts": times, "open": flat, "high": list(flat), "low": list(flat), "close": list(flat), "volume": list(flat)}


def damaged(name: str, row: int, value: float) -> dict[str, list[float]]:
    columns = rows(100)
    columns[name][row] = value
    return columns


CANDLES = [
    ("empty", rows(0), "EmptyCandlesError"),
    ("short", rows(20), "TooFewCandlesError"),
    ("a NaN", damaged("high", 5, float("nan")), "NotFiniteError"),
    ("negative", damaged("low", 5, -1.0), "NotPositiveError"),
    ("high below low", damaged("high", 5, 90.0), "HighBelowLowError"),
    ("no close", {k: v for k, v in rows(100).items() if k != "close"}, "MissingColumnError"),
    ("a time off the grid", damaged("ts", 5, 1_750_000_680_000.0 + 5 * 180_000 + 1), "MisalignedError"),
    ("disorder", damaged("ts", 5, 1_750_000_680_000.0 + 50 * 180_000), "DisorderError"),
]


@pytest.mark.parametrize(("columns", "kind"), [c[1:] for c in CANDLES], ids=[c[0] for c in CANDLES])
def test_bad_candles_are_named(face: Face, tmp_path: Path, columns: dict[str, list[float]], kind: str) -> None:
    file = tmp_path / "bad.parquet"
    pl.DataFrame(columns).with_columns(pl.col("ts").cast(pl.Int64)).write_parquet(file)
    answer = face("optimize", "BTC", "--candles", file, "--json")
    assert answer.code == 2
    assert answer.json["error"]["kind"] == kind
    assert answer.json["error"]["cure"]
    assert not face.data.exists()


def test_a_gap_is_counted_not_refused(face: Face, tmp_path: Path) -> None:
    frame = pl.read_parquet(candle_file(tmp_path / "btc.parquet", days=1))
    frame.filter(~pl.int_range(pl.len()).is_between(100, 109)).write_parquet(tmp_path / "gap.parquet")
    answer = face("optimize", "BTC", "--candles", tmp_path / "gap.parquet", "--json")
    assert answer.code == 0
    assert (answer.json["candles"]["gaps"], answer.json["candles"]["missing"]) == (1, 10)


def test_an_empty_timerange_is_named(face: Face, candles: Path) -> None:
    answer = face("backtest", "BTC", *FOUR, "--candles", candles, "--timerange", "20200101-20200102")
    assert answer.code == 2
    assert "They go from 2026-01-01" in answer.err


def test_a_replay_without_anything_to_trade_on_is_named(face: Face, tmp_path: Path) -> None:
    answer = face("BTC", "--candles", candle_file(tmp_path / "day.parquet", days=1))
    assert answer.code == 2
    assert "trading after a first window of 24 h" in answer.err


# ---- the disk ------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written(face: Face) -> None:
    face.data.write_text("a file in the place of the folder")
    answer = face("optimize", "BTC")
    assert answer.code == 3
    assert "SHORTEST_PEAK_DATA_DIR" in answer.err
    assert face.data.read_text() == "a file in the place of the folder"


def test_trades_that_cannot_be_written(face: Face) -> None:
    answer = face("backtest", "BTC", *FOUR, "--trades", "/dev/null/trades.csv", "--json")
    assert answer.code == 3
    assert answer.json["error"]["kind"] == "DiskError"


def test_a_full_disk_leaves_the_old_file(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    assert face("optimize", "BTC").code == 0
    before = {path: path.read_bytes() for path in face.data.rglob("*.json")}

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("your_short_trade_margin_call.adapters.storage.files.os.fsync", full)
    answer = face("optimize", "BTC", "--seed", "1")
    assert answer.code == 3
    assert "No space left" in answer.err
    assert "Free some space" in answer.err
    assert {path: path.read_bytes() for path in face.data.rglob("*.json")} == before


@pytest.mark.parametrize("command", ["backtest", "trade"])
def test_who_finds_corrupt_parameters_says_where_they_are_now(face: Face, command: str) -> None:
    own = face.data / "BTCUSDT" / "best_params.simulated.json"
    own.parent.mkdir(parents=True)
    own.write_text("{broken")
    answer = face(command, "BTC", "--market", "simulated")
    assert answer.code == 2
    assert "is not JSON" in answer.err
    assert f"kept aside as {own}.corrupt-1" in answer.err


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b""])
def test_a_corrupt_artefact_is_kept_aside(face: Face, content: bytes) -> None:
    assert face("optimize", "BTC").code == 0
    own = face.data / "BTCUSDT" / "best_params.simulated.json"
    own.write_bytes(content)
    answer = face("trade", "BTC", "--for", "1s")
    assert answer.code == 2
    kept = own.with_name(f"{own.name}.corrupt-1")
    assert kept.name in answer.err
    assert kept.read_bytes() == content
    assert face("optimize", "BTC").code == 0
    assert json.loads(own.read_text())["symbol"] == "BTCUSDT"
    assert kept.read_bytes() == content


def test_a_file_that_the_user_named_stays_where_it_is(face: Face, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text("{")
    assert face("trade", "BTC", "--params", mine).code == 2
    assert mine.read_text() == "{"


def test_a_defect_of_ours_is_said_and_shown(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("your_short_trade_margin_call.commands.looking.known_pairs", broken)
    answer = face("status", "--json")
    assert answer.code == 3
    assert "defect of the program" in answer.err
    assert "Traceback" in answer.err
    assert answer.json["error"]["kind"] == "ZeroDivisionError"


def test_debug_shows_where_an_error_came_from(face: Face) -> None:
    assert "Traceback" in face("optimize", "--debug").err


def test_candles_that_are_not_of_this_pair_by_far(face: Face, tmp_path: Path) -> None:
    file = candle_file(tmp_path / "candles.parquet", symbol="1000PEPEUSDT", start_price=0.01, tick_size=0.0000001)
    answer = face("optimize", "BTCUSDT", "--candles", file)
    assert answer.code == 2
    assert "lies below one tick of 0.1 USDT" in " ".join(answer.err.split())
    assert "name the right one" in " ".join(answer.err.split())
