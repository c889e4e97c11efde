"""`optimize --cluster ADDRESS`: as a person types it, with the commands of the page that explains it."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.face import Face, candle_file, read_until
from tests.cluster.real_cluster import OURS, RealCluster, wait_until
from tests.docs.pages import DOCS, blocks
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.cluster import connecting

PAGE = DOCS / "how-to" / "cluster.md"
NOBODY = "tcp://127.0.0.1:9"
WIDE = """
highest_high_lookback = [10, 20, 30, 40]
take_profit_pct = [{}]
""".format(", ".join(f"{0.002 + 0.00001 * k:.5f}" for k in range(2_000)))


@pytest.fixture
def face(tmp_path: Path) -> Face:
    return Face(tmp_path / "data")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A scheduler with one worker."""
    made = RealCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start_workers(1)
        yield made
    finally:
        made.close()


def test_the_answer_is_the_same_as_here(face: Face, cluster: RealCluster, tmp_path: Path) -> None:
    candles = candle_file(tmp_path / "btc.parquet")
    here, there = face, Face(tmp_path / "there")
    one = here.process("optimize", "BTC", "--candles", candles, "--json")
    two = there.process("optimize", "BTC", "--candles", candles, "--json", "--cluster", cluster.address)
    assert one.code == two.code == 0, two.err
    assert f"The sweep is made at {cluster.address}: 1 worker." in two.err
    for name in ("best", "results", "blocked", "trials", "candles", "facts", "evidence"):
        assert one.json[name] == two.json[name]
    tables = [next(face.data.rglob("sweep.parquet")).read_bytes() for face in (here, there)]
    assert tables[0] == tables[1]


def test_ctrl_c_cancels_what_was_sent(face: Face, cluster: RealCluster, tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(WIDE)
    candles = candle_file(tmp_path / "btc.parquet", days=300)
    typed = ("optimize", "BTC", "--candles", candles, "--days", "300", "--grid", grid, "--cluster", cluster.address)
    with face.start(*typed) as process:
        read_until(process, "The sweep is made at")
        wait_until(lambda: cluster.pending() > 5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    wait_until(lambda: cluster.pending() == 0)
    assert len(cluster.workers()) == 1
    assert not list(face.data.rglob("*.json"))


def test_an_address_where_nobody_answers(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_WITHIN_S", 1)
    answer = face("optimize", "BTC", "--cluster", NOBODY)
    assert answer.code == 3
    assert f"No scheduler answers at {NOBODY}." in answer.err
    assert "dask scheduler" in answer.err


@pytest.mark.parametrize("address", ["here", "http://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_what_is_no_address(address: str, face: Face) -> None:
    answer = face("optimize", "BTC", "--cluster", address)
    assert answer.code == 2
    assert f"{address} cannot be the address of a scheduler" in answer.err
    assert "tcp://127.0.0.1:8786" in answer.err


def test_without_dask_it_says_what_to_install(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    answer = face("optimize", "BTC", "--cluster", NOBODY)
    assert answer.code == 2
    assert 'pip install ".[cluster]"' in answer.err


def test_the_commands_of_the_page_work(face: Face, tmp_path: Path) -> None:
    """Scheduler, workers and sweep as the page has them, at a port that is free."""
    typed = [line for block in blocks(PAGE) for line in block.text.splitlines()]
    (scheduler,) = [line for line in typed if line.startswith("dask scheduler") and "tls" not in line]
    (worker,) = [line for line in typed if line.startswith("dask worker") and "tls" not in line]
    port = free_port()
    started = [start_dask(line.replace("8786", port), tmp_path) for line in (scheduler, worker)]
    try:
        address = f"tcp://127.0.0.1:{port}"
        wait_until(lambda: workers_at(address) == 2)
        listening = {at for process in started for at in addresses_of(process.pid)}
        answer = face.process("optimize", "BTC", "--market", "simulated", "--cluster", address)
    finally:
        for process in reversed(started):
            process.terminate()
        codes = [process.wait(timeout=PATIENCE_S) for process in started]
    assert answer.code == 0, answer.err
    assert "2 workers" in answer.out
    assert listening == {"127.0.0.1"}
    assert len(codes) == 2


def start_dask(line: str, folder: Path) -> subprocess.Popen[bytes]:
    words = shlex.split(line)
    assert words[0] == "dask"
    environment = {**Face(folder).process_env(), "PYTHONPATH": OURS}
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def addresses_of(process: int) -> set[str]:
    """Where a process and those it started listen: on loopback, or whoever reaches the machine may run code on it."""
    import psutil

    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    return {at.laddr.ip for one in family for at in one.net_connections() if at.status == psutil.CONN_LISTEN}


def free_port() -> str:
    with socket.socket() as seeker:
        seeker.bind(("127.0.0.1", 0))
        return str(seeker.getsockname()[1])


def workers_at(address: str) -> int:
    """How many workers there are; none while the scheduler starts."""
    try:
        with connecting.open_client(address) as client:
            return len(client.nthreads())
    except connecting.ClusterUnreachableError:
        return 0
