"""Repeating whole sweeps, in threads: kernels release the GIL, and each sweep stays in its thread."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from your_short_trade_margin_call.research.profits import StoppedError
from your_short_trade_margin_call.research.threads import Progress, in_threads

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
    batches = (partial(batch, first) for first in range(0, count, _BATCH))
    with closing(in_threads(batches, workers, stop)) as sizes:
        for size in sizes:
            done += size or 0
            if progress is not None:
                progress(done, count)
    return made
