"""A real Dask scheduler and real workers on loopback, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.cluster.connecting import open_client

LOOPBACK = ("--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")
"""Where to listen. Without the second address a port for figures would be open to every network."""
ROOT = Path(__file__).resolve().parents[2]
OURS = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
"""Where a worker finds the program and these tests."""

Process = subprocess.Popen[bytes]


class RealCluster:
    """One scheduler; workers of one thread come and go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[Process] = []
        where = folder / "scheduler.json"
        self.scheduler = self._start(OURS, "scheduler", *LOOPBACK, "--port", "0", "--scheduler-file", str(where))
        wait_until(lambda: where.exists() and where.read_text().endswith("}"))
        self.address = str(json.loads(where.read_text())["address"])

    def start_worker(self, python_path: str = OURS) -> Process:
        """A worker without a nanny, so that nobody starts it again; it joins some seconds later."""
        how = (*LOOPBACK, "--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder))
        return self._start(python_path, "worker", self.address, *how)

    def start_workers(self, count: int) -> list[Process]:
        """Workers that have joined when this returns."""
        already = len(self.workers())
        started = [self.start_worker() for _ in range(count)]
        wait_until(lambda: len(self.workers()) == already + count)
        return started

    def workers(self) -> dict[str, int]:
        """Addresses and threads of the workers that have joined."""
        with self.client() as client:
            return dict(client.nthreads())

    def pending(self) -> int:
        """How many tasks and results the scheduler knows of."""
        with self.client() as client:
            return int(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A second client, to look at the cluster from outside."""
        with open_client(self.address) as client:
            yield client

    def _start(self, python_path: str, *arguments: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            env={**os.environ, "PYTHONPATH": python_path},
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def kill(self, worker: Process) -> None:
        """SIGKILL; returns when the scheduler has noticed."""
        before = len(self.workers())
        worker.kill()
        wait_until(lambda: len(self.workers()) < before)

    def dismiss(self) -> None:
        """SIGKILL for every worker; returns when the scheduler has noticed."""
        for process in self._processes:
            if process is not self.scheduler:
                process.kill()
        wait_until(lambda: not self.workers())

    def close(self) -> None:
        """End every process: none outlives its test."""
        for process in reversed(self._processes):
            process.kill()
        for process in self._processes:
            process.wait(timeout=PATIENCE_S)


def wait_until(is_so: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Look again and again until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
