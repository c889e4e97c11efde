"""Sweeps that take long: said before, asked for, streamed to a file, and left at once."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from benchmarks.markets import BenchMarket, bench_candles

from tests.cli.face import Face, terminal
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.commands import affording
from your_short_trade_margin_call.commands.affording import Agreement, require_agreement
from your_short_trade_margin_call.composition import Request, prepare
from your_short_trade_margin_call.domain.errors import AnswerIsNoError
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.research import sweep
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.sample import sample_of
from your_short_trade_margin_call.settings import ParameterGrid

SMALL = """
[grid]
highest_high_lookback = {start = 10, stop = 50, step = 20}
risk_fraction = [0.5, 0.95]
take_profit_pct = {start = "0.2%", stop = "0.8%", count = 30}
"""
LARGE = """
highest_high_lookback = {start = 5, stop = 100, step = 5}
take_profit_pct = {start = "0.2%", stop = "2%", count = 4000}
"""
TRIALS = 3 * 3 * 2 * 30


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def costly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is measured, and everything takes too long."""
    monkeypatch.setattr(affording, "MEASURE_ABOVE", 0)
    monkeypatch.setattr(affording, "ASK_ABOVE_S", 0.0)


def files_of(face: Face) -> list[str]:
    return sorted(str(path.relative_to(face.data)) for path in face.data.rglob("*") if path.is_file())


# ---- what it will cost --------------------------------------------------------------------------------


@pytest.mark.usefixtures("costly")
def test_without_a_terminal_a_long_sweep_is_refused_with_its_cost(face: Face, candles: Path, grid: Path) -> None:
    answer = face("optimize", "BTCUSDT", "--candles", candles, "--grid", grid)
    assert answer.code == 2
    said = " ".join(answer.err.split())
    assert f"error: {TRIALS} trials on 480 candles take about" in said
    assert "on disk. That is not begun without being asked for. Add --yes, or make the grid coarser" in said
    answer = face("optimize", "BTCUSDT", "--candles", candles, "--grid", grid, "--json")
    assert (answer.code, answer.json["error"]["kind"]) == (2, "TooCostlyError")
    answer = face("run", "BTCUSDT", "--candles", candles, "--grid", grid, "--no-trade")
    assert (answer.code, "Add --yes" in answer.err) == (2, True)
    assert files_of(face) == []


@pytest.mark.usefixtures("costly")
@pytest.mark.parametrize("command", [("optimize",), ("run", "--no-trade")])
def test_yes_goes_on(face: Face, candles: Path, grid: Path, command: tuple[str, ...]) -> None:
    answer = face(*command, "BTCUSDT", "--candles", candles, "--grid", grid, "--yes")
    assert answer.code == 0
    assert f"Best of {TRIALS} trials" in answer.out
    assert "take about" not in answer.out


def test_a_quick_sweep_is_not_asked_about(face: Face, candles: Path, grid: Path) -> None:
    answer = face("optimize", "BTCUSDT", "--candles", candles, "--grid", grid)
    assert (answer.code, "take about" in answer.out) == (0, False)


class Asked(Screen):
    """A screen with somebody in front of it."""

    def __init__(self, answer: str) -> None:
        super().__init__(environment={"COLUMNS": "80"})
        self.answer, self.questions = answer, list[str]()

    def ask(self, question: str) -> str:
        self.questions.append(question)
        return self.answer


@pytest.mark.usefixtures("costly")
def test_somebody_at_a_terminal_is_asked(
    tmp_path: Path, candles: Path, grid: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(
        Request("BTCUSDT", candles=candles, grid=ParameterGrid.from_toml(grid), paths=Paths(tmp_path / "data"))
    )
    here, nobody = Agreement(can_ask=True, yes=False), Agreement(can_ask=False, yes=True)
    require_agreement(screen := Asked("y"), prepared, prepared.candles, here)
    assert screen.questions == ["Begin? [Y/n] "]
    assert "540 trials on 960 candles take about" in capsys.readouterr().out
    with pytest.raises(AnswerIsNoError, match="Nothing was tried"):
        require_agreement(Asked("n"), prepared, prepared.candles, here)
    require_agreement(screen := Asked("n"), prepared, prepared.candles, nobody)
    assert screen.questions == []
    monkeypatch.setattr(affording, "ASK_ABOVE_S", 1e9)
    require_agreement(screen := Asked("n"), prepared, prepared.candles, here)
    assert screen.questions == []
    monkeypatch.setattr(affording, "ASK_ABOVE_BYTES", 1_000)
    with pytest.raises(AnswerIsNoError):
        require_agreement(Asked("n"), prepared, prepared.candles, here)


def test_the_cost_is_that_of_a_part_of_this_very_sweep() -> None:
    """The stopwatch is handed in: here it says that each look at it is seven seconds later."""
    market, ticks = bench_candles(BenchMarket(), 480), iter(range(0, 70, 7))
    wide = ParameterGrid(
        highest_high_lookback=tuple(range(5, 105)), take_profit_pct=tuple(0.002 + 1e-5 * k for k in range(800))
    )
    sample = BacktestEngine().sample(market, wide, lambda: float(next(ticks)))
    part = sample_of(wide)
    assert sample.trials == len(part) == len(sample.rows["pnl_pct"].values)
    assert 1_000 < len(part) <= 3_000
    assert sample.seconds == 7.0
    assert sample.seconds_for(len(wide)) == pytest.approx(7.0 * len(wide) / len(part))
    for name in ParameterGrid.model_fields:
        some, every = getattr(part, name), getattr(wide, name)
        assert list(some) == sorted(some, key=every.index)
        assert {some[0], some[-1]} == {every[0], every[-1]}


# ---- the files, and Ctrl-C ------------------------------------------------------------------------------


def test_a_wide_sweep_leaves_the_best_and_all(
    face: Face, candles: Path, grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = face("optimize", "BTCUSDT", "--candles", candles, "--grid", grid, "--json").json
    whole = pl.read_parquet(face.data / "BTCUSDT" / "sweep.parquet")
    monkeypatch.setattr(sweep, "MOST_KEPT_TRIALS", TRIALS - 1)
    monkeypatch.setattr(sweep, "KEPT_ROWS", 100)
    monkeypatch.setattr(sweep, "_HANDED_AT_ONCE", 64)
    answer = face("optimize", "BTCUSDT", "--candles", candles, "--grid", grid, "--json").json
    assert (answer["trials"], answer["best"]) == (plain["trials"], plain["best"])
    assert (answer["results"], answer["blocked"]) == (plain["results"], plain["blocked"])
    path = face.data / "BTCUSDT" / "sweep-wide.parquet"
    assert str(path) in answer["written"]
    rows, best = pl.read_parquet(path), pl.read_parquet(face.data / "BTCUSDT" / "sweep.parquet")
    assert rows["trial"].sort().to_list() == list(range(TRIALS))
    assert len(best) == 100
    assert best["pnl_pct"].to_list() == whole["pnl_pct"].head(100).to_list()
    assert rows["pnl_pct"].sort(descending=True).to_list() == whole["pnl_pct"].to_list()
    assert not [name for name in files_of(face) if name.endswith(".tmp")]


@pytest.fixture(scope="module")
def long_candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles of 40 days that are worth trading."""
    path = tmp_path_factory.mktemp("long") / "btc.parquet"
    columns = bench_columns(bench_candles(BenchMarket(), 20_000))
    pl.DataFrame(dict(columns)).write_parquet(path)
    return path


def bench_columns(candles: Candles) -> Iterator[tuple[str, object]]:
    yield "ts", candles.time_ms
    for name in ("open", "high", "low", "close", "volume"):
        yield name, getattr(candles, name)


def test_ctrl_c_leaves_a_wide_sweep_and_nothing_of_it(face: Face, long_candles: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_text(LARGE, encoding="utf-8")
    before = face.process("optimize", "BTCUSDT", "--candles", long_candles)
    assert before.code == 0
    files = {name: (face.data / name).read_bytes() for name in files_of(face)}
    args = ("optimize", "BTCUSDT", "--candles", long_candles, "--days", "41", "--grid", large, "--yes")
    with face.start(*args) as process:
        half_written = wait_for_rows(face.data / "BTCUSDT")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert half_written
    assert "Stopped by Ctrl-C." in err
    assert "Traceback" not in err
    assert "Best of" not in out
    assert {name: (face.data / name).read_bytes() for name in files_of(face)} == files


def test_at_a_terminal_a_bar_shows_the_rate_and_the_time_left(face: Face, long_candles: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_text(LARGE, encoding="utf-8")
    args = ("optimize", "BTCUSDT", "--candles", long_candles, "--days", "41", "--grid", large, "--yes")
    with terminal(face, *args) as shown:
        shown.wait_for("/s, ")
        shown.wait_for(" left")
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.text)
        assert re.search(r"Sweep .*[\d,]+ of 960,000 trials [\d,]+/s, (\d+ min )?\d+ s left", plain)
        os.kill(shown.process.pid, signal.SIGINT)
        assert shown.wait_for_end() == 130
    assert files_of(face) == []


def wait_for_rows(folder: Path, timeout_s: float = PATIENCE_S) -> bool:
    """Wait until the first rows of a wide sweep were written."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if any(path.stat().st_size > 100_000 for path in folder.glob(".sweep-wide.parquet.*.tmp")):
            return True
        time.sleep(0.02)
    return False
