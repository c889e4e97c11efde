"""Work shared out to threads: kernels release the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flag = NDArray[np.bool_]

Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with (done, in all) at least five times a second. An error it raises ends the work."""

_HEEDED_EVERY_S = 0.2
_AHEAD = 2
"""Tasks a thread that wait for it: whoever is done need not wait for the one who hands them out."""


def in_threads(
    tasks: Iterable[Callable[[], Result]], workers: int | None = None, stop: Flag | None = None
) -> Generator[Result | None, None, None]:
    """What tasks return, as they are done; None now and then meanwhile, so that whoever watches may interrupt.

    The threads are all cores, or so many; one is the calling thread. Tasks are taken as threads become free. An
    error of a task is raised here. Whoever leaves early closes this (`contextlib.closing`): then, as after an
    error, `stop` is raised, no task is begun any more, and those that run have ended.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        for task in tasks:
            yield task()
        return
    left, running = iter(tasks), set[Future[Result]]()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            while True:
                running |= {pool.submit(task) for task in islice(left, _AHEAD * workers - len(running))}
                if not running:
                    return
                done, running = wait(running, _HEEDED_EVERY_S, FIRST_COMPLETED)
                yield from (one.result() for one in done)
                if not done:
                    yield None
        except BaseException:
            if stop is not None:
                stop[0] = True
            pool.shutdown(wait=True, cancel_futures=True)
            raise
