"""At a terminal: questions, colours, the live line; and how it is left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.face import MARK, Face, command, read_until, terminal
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# The live line goes back up to rewrite itself: for a reader of the bytes every rewriting is a line of its own.
CONTROL = re.compile(r"(?:\x1b\[[0-9;?]*[A-Za-z]|\r)+")


def test_it_asks_for_the_pair_until_it_is_one_and_before_trading(face: Face) -> None:
    with terminal(face, "--for", "1s") as shown:
        shown.wait_for("Which pair? [BTCUSDT] ")
        shown.type("eth-usd\n")
        shown.wait_for("is the inverse contract")
        shown.type("nonsense!\n")
        shown.wait_for("is not a pair's name")
        shown.type("foo\n")
        shown.wait_for("Nothing is known about FOOUSDT")
        shown.type("eth/usdt\n")
        shown.wait_for(f"{MARK}Trade on paper now? [Y/n] ")
        shown.type("maybe\n")
        shown.wait_for("Please answer y or n.")
        shown.type("\n")
        assert shown.wait_for_end() == 0
        assert "ETHUSDT on the simulated market" in shown.text
        assert "--for is over" in shown.text
        assert COLOUR.search(shown.text)


def test_enter_takes_bitcoin_and_no_means_no(face: Face) -> None:
    with terminal(face) as shown:
        shown.wait_for("Which pair?")
        shown.type("\n")
        shown.wait_for("Trade on paper now?")
        shown.type("n\n")
        assert shown.wait_for_end() == 0
    assert (face.data / "BTCUSDT" / "best_params.simulated.json").exists()
    assert not list((face.data / "BTCUSDT").glob("journal*"))


def test_the_live_line_shows_where_things_stand(face: Face) -> None:
    with terminal(face, "BTC", "--speed", "4000", "--for", "2s") as shown:
        shown.wait_for("Trade on paper now?")
        shown.type("y\n")
        assert shown.wait_for_end() == 0
        text = CONTROL.sub("\n", COLOUR.sub("", shown.text))
    for part in ("UTC  BTCUSDT ", "next peak +", "SHORT 0.021 at ", "target ", "margin call ", "liquidation ",
                 "equity ", "optimises in 1"):  # fmt: skip
        assert part in text, part
    assert all(line.startswith(MARK) for line in text.splitlines() if line.strip())
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("CI", "true")])
def test_colours_only_where_they_are_wanted(face: Face, variable: str, value: str) -> None:
    with terminal(face, "BTC", "--no-trade", **{variable: value}) as shown:
        assert shown.wait_for_end() == 0
        assert not COLOUR.search(shown.text)
        assert "Best of 336" in shown.text


def test_an_error_keeps_within_the_width(face: Face) -> None:
    """What is long comes in lines; what is a word too long for one, a path, stays whole."""
    with terminal(face, "backtest", "BTC", "--market", "bybit") as shown:
        assert shown.wait_for_end() == 3
        lines = shown.text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("error: Bybit did not answer")
    assert all(line.startswith(" " * 7) for line in lines[1:] if line)


def test_a_robot_is_asked_nothing(face: Face) -> None:
    with terminal(face, "--for", "1s", CI="true") as shown:
        assert shown.wait_for_end() == 0
        assert "?" not in shown.text
        assert "\x1b" not in shown.text
        assert "No pair was named" in shown.text


def test_ctrl_c_at_a_question_leaves_nothing(face: Face) -> None:
    with terminal(face) as shown:
        shown.wait_for("Which pair?")
        # Between printing the question and reading the answer a signal waits for the answer: one presses again.
        while shown.process.poll() is None:
            os.kill(shown.process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                shown.process.wait(5)
        assert shown.wait_for_end() == 130
        assert "no order was sent" in shown.text
    assert not face.data.exists()


# ---- leaving -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_while_trading_ends_it(face: Face, number: int, reason: str) -> None:
    # At 60 times real time a candle takes three seconds: the engine is asleep when the signal comes.
    with face.start("BTC", "--speed", "60") as process:
        head = read_until(process, "Ctrl-C ends it")
        time.sleep(0.7)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert re.search(rf"Over after \d+ s: {reason}", out)
    assert "stays open   nothing" in out
    assert "To go on, start the command again" in out
    assert all(line.startswith(MARK) for line in (head + out).splitlines())


def test_ctrl_c_while_compiling_ends_it(face: Face, tmp_path: Path) -> None:
    # The test against luck makes far more sweeps than anybody would interpret.
    with face.start("BTC", NUMBA_CACHE_DIR=str(tmp_path / "empty"), SHORTEST_PEAK_NO_EVIDENCE="") as process:
        read_until(process, "First run of this version here: compiling")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Stopped before trading" in out
    assert not list(face.data.rglob("*.json"))


def test_ctrl_c_while_the_command_line_is_loaded_is_quiet(face: Face) -> None:
    script = """
import runpy, sys
class Pressed:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed())
runpy.run_module("your_short_trade_margin_call", run_name="__main__", alter_sys=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=face.process_env())
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_status_looks_while_another_process_trades(face: Face) -> None:
    with face.start("BTC", "--speed", "600") as process:
        read_until(process, " ENTRY ")
        (journal,) = face("status", "--json").json["pairs"][0]["journals"]
        assert journal["position"]["quantity"] == 0.021
        busy = face("trade", "BTC", "--for", "1s")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert busy.code == 3
    assert "Another process is writing the journal" in busy.err


def test_a_reader_that_leaves_is_no_error(face: Face) -> None:
    process = subprocess.Popen(
        command("BTC", "--speed", "max"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=face.process_env(),
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=PATIENCE_S)
    assert process.returncode == 141
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("typed", [["--help"], ["status"], ["status", "--json"]])
def test_a_full_disk_below_the_output_is_no_defect(face: Face, typed: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(command(*typed), stdout=full, stderr=subprocess.PIPE, text=True, env=face.process_env())
    assert answer.returncode == 3
    assert answer.stderr.splitlines()[-2:] == [
        "error: What is printed finds no room: No space left on device.",
        "       Free some space where the output goes, and run it again.",
    ]
    assert "Traceback" not in answer.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes it there in no such way")
@pytest.mark.parametrize("typed", [["--help"], ["status"], ["doctor", "--json"]])
def test_a_closed_output_is_no_defect(face: Face, typed: list[str]) -> None:
    closing = ["sh", "-c", '"$@" >&-', "sh", *command(*typed)]
    answer = subprocess.run(closing, stderr=subprocess.PIPE, text=True, env=face.process_env())
    assert answer.returncode in (0, 3)
    assert "defect" not in answer.stderr


def test_the_module_is_the_program(face: Face) -> None:
    answer = face.process("optimize", "BTCUSDT", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["market"] == "simulated"
    assert all(line.startswith(MARK) for line in answer.err.splitlines())
