"""Repeating whole sweeps, in threads: kernels release the GIL, and each sweep stays in its thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from os import cpu_count
from typing import TYPE_CHECKING

import numpy as np

from your_short_trade_margin_call.research.profits import StoppedError
from your_short_trade_margin_call.research.running import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flag = NDArray[np.bool_]

_BATCH = 8
"""Repetitions that a worker takes at once."""


def repeat(
    work: Callable[[int, Flag], float],
    count: int,
    progress: Progress | None = None,
    stop: Flag | None = None,
    workers: int | None = None,
) -> Floats:
    """`work(number, stop)` for the numbers 0..count-1, in threads; NaN where `stop` came first.

    An error (from `work`, from `progress`, Ctrl-C) stops the threads and is raised again. One worker is the calling
    thread.
    """
    stop = np.zeros(1, dtype=np.bool_) if stop is None else stop
    made = np.full(count, np.nan)

    def batch(first: int) -> int:
        numbers = range(first, min(first + _BATCH, count))
        for number in numbers:
            if stop[0]:
                break
            try:
                made[number] = work(number, stop)
            except StoppedError:
                break
        return len(numbers)

    done = 0
    with _threads(workers or cpu_count() or 1, stop) as each:
        for size in each(batch, range(0, count, _BATCH)):
            done += size
            if progress is not None:
                progress(done, count)
    return made


@contextmanager
def _threads(workers: int, stop: Flag) -> Iterator[Callable[[Callable[[int], int], range], Iterator[int]]]:
    """A `map` whose results come as they are done."""
    if workers == 1:
        yield lambda work, numbers: (work(number) for number in numbers)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:

        def each(work: Callable[[int], int], numbers: range) -> Iterator[int]:
            futures: list[Future[int]] = [pool.submit(work, number) for number in numbers]
            return (future.result() for future in as_completed(futures))

        try:
            yield each
        except BaseException:
            stop[0] = True
            pool.shutdown(wait=True, cancel_futures=True)
            raise
