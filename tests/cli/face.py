"""What the tests of the command line share: calling it in this process, as a process, and at a terminal."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from typer.testing import CliRunner

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.cli import app
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate

ROOT = Path(__file__).parents[2]
MARK = "SIMULATED "
NOBODY = "http://127.0.0.1:9"
"""An address of this computer at which nobody answers: no test asks Bybit."""


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Face:
    """The command line over a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.env = {
            "SHORTEST_PEAK_DATA_DIR": str(data),
            "SHORTEST_PEAK_ENDPOINT": NOBODY,
            "COLUMNS": "80",
            "CI": "",
            "NO_COLOR": "",
            "SHORTEST_PEAK_NO_EVIDENCE": "1",  # a second or two a command; tests of the evidence take it away
        }

    def __call__(self, *args: object, **env: str) -> Answer:
        """Run a command in this process."""
        result = CliRunner(env={**self.env, **env}).invoke(app, [str(arg) for arg in args])
        return Answer(result.exit_code, result.stdout, result.stderr)

    def process_env(self, **env: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "COLUMNS")}
        own = {"PYTHONPATH": str(ROOT / "src"), "TERM": "xterm-256color"}
        here = {name: text for name, text in self.env.items() if name.startswith("SHORTEST_PEAK_")}
        return {**kept, **own, **here, **env}

    def start(self, *args: object, **env: str) -> subprocess.Popen[str]:
        """Run a command as a process, with pipes."""
        return subprocess.Popen(
            command(*args),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.process_env(**{"COLUMNS": "80", **env}),
            cwd=self.data.parent,
        )

    def process(self, *args: object, **env: str) -> Answer:
        """Run a command as a process, to its end."""
        with self.start(*args, **env) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        return Answer(process.returncode, out, err)


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "your_short_trade_margin_call", *map(str, args)]


def candle_file(path: Path, days: float = 2.0, symbol: str = "BTCUSDT", seed: int = 7, **market: Any) -> Path:
    """Invented candles in a file, as if they were recorded: from there on nobody knows."""
    candles = generate(SyntheticMarket(seed=seed, symbol=symbol, minutes=int(days * 1440), **market))
    columns = {name: getattr(candles, name) for name in ("open", "high", "low", "close", "volume")}
    pl.DataFrame({"ts": candles.time_ms, **columns}).write_parquet(path)
    return path


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What a process prints up to the line that holds `text`; fails when it ends before."""
    assert process.stdout is not None
    assert process.stderr is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if text in line:
            return printed
    raise AssertionError(f"{text!r} never came; printed: {printed}\nerrors: {process.stderr.read()}")


class Terminal:
    """A command at a terminal of 80 columns: what it shows so far, and a keyboard."""

    def __init__(self, file: int, process: subprocess.Popen[bytes]) -> None:
        self._file = file
        self.process = process
        self.raw = b""

    @property
    def text(self) -> str:
        return self.raw.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def wait_for(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until `text` was shown."""
        end = time.monotonic() + timeout_s
        while text not in self.text:
            assert time.monotonic() < end, f"{text!r} never came; the screen: {self.text}"
            assert self._read() or self.process.poll() is None, f"{text!r} never came; the screen: {self.text}"

    def wait_for_end(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the command has ended; its exit code."""
        end = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end; the screen: {self.text}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        if not select.select([self._file], [], [], 0.05)[0]:
            return False
        try:
            part = os.read(self._file, 65_536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.raw += part
        return bool(part)


@contextmanager
def terminal(face: Face, *args: object, **env: str) -> Iterator[Terminal]:
    """Run a command at a terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    process = subprocess.Popen(
        command(*args), stdin=theirs, stdout=theirs, stderr=theirs, env=face.process_env(**env), start_new_session=True
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
