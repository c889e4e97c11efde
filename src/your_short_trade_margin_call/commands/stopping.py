"""Leaving: the trading loop by the clock, by Ctrl-C, by a polite kill; a sweep by Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

INTERRUPTIONS = ("Ctrl-C", "SIGTERM")
"""The reasons to stop that come from outside."""

_NAP_S = 0.2
_TIDYING_S = 0.7
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping(stop: Callable[[str], None], after_ms: int | None) -> Iterator[None]:
    """Call `stop` with the reason on Ctrl-C, SIGTERM, or after `after_ms` of real time; inside a running loop.

    A second Ctrl-C is no longer caught: it ends the program the hard way, which loses nothing that is written.
    """
    loop = asyncio.get_running_loop()
    timer = None if after_ms is None else loop.call_later(after_ms / 1_000.0, stop, "--for is over")

    def on_signal(number: int) -> None:
        release()
        stop(INTERRUPTIONS[_SIGNALS.index(signal.Signals(number))])

    release = _caught(loop, on_signal)
    try:
        yield
    finally:
        release()
        if timer is not None:
            timer.cancel()


def _caught(loop: asyncio.AbstractEventLoop, on_signal: Callable[[int], None]) -> Callable[[], None]:
    """Catch the signals; returns how to let them go."""
    if sys.platform != "win32":
        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal, number)

        def let_go() -> None:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

        return let_go

    def handler(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(on_signal, number)

    before = {number: signal.signal(number, handler) for number in _SIGNALS}

    def put_back() -> None:
        for number, old in before.items():
            signal.signal(number, old)

    return put_back


def interruptible(work: Callable[[], Result], leave: Callable[[], None] = lambda: None) -> Result:
    """Run `work` beside the main thread, so that Ctrl-C is heard at once, even while a compiler is busy.

    On Ctrl-C `leave` asks the work to end, and it is given a moment to tidy up. Work that is left behind all the same
    ends with the process (`cli.main` leaves it hard): what it writes is whole or not there.
    Waiting in short naps because Windows does not interrupt a long one.
    """
    answer: Future[Result] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        while not answer.done():
            wait([answer], timeout=_NAP_S)
    except KeyboardInterrupt:
        leave()
        wait([answer], timeout=_TIDYING_S)
        raise
    return answer.result()
