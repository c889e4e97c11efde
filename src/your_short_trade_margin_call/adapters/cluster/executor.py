"""An executor whose work is done by the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError, wait
from contextlib import suppress
from functools import partial
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, ParamSpec, TypeVar
from weakref import ref

from your_short_trade_margin_call.adapters.cluster.program import run_checked, this_program
from your_short_trade_margin_call.domain.errors import ClusterError, NoWorkersError
from your_short_trade_margin_call.research.sharing import Shared

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

RETRIES = 2
"""How often a call that failed on a worker is tried once more; one whose worker died is sent again by Dask itself."""
PATIENCE_S = 30.0
"""How long work waits where there is no worker at all: one may be starting again."""
KEPT = 4
"""How many shared values stay on the cluster for calls to come: candles of so many pairs."""
_LOOK_EVERY_S = 1.0
_CLOSE_WITHIN_S = 1.0

GONE = "Nothing is lost on this machine: look at the scheduler's and the workers' output, start them, and run it again."


class ClusterExecutor(Executor):
    """A `concurrent.futures.Executor` on a cluster; `connecting.connect` makes one.

    A `Shared` argument is sent once: the scheduler keeps it, and a worker fetches it before its first call that needs
    it. Leaving a `with` block by an error, Ctrl-C too, cancels what was sent.

    Args:
        client: a connected `distributed.Client`; it is closed with the executor.
        workers: addresses of the workers, with their threads.
        patience_s: how long to wait while there is no worker.
    """

    def __init__(self, client: Any, workers: dict[str, int], patience_s: float = PATIENCE_S) -> None:
        self.workers = workers
        self._client = client
        self._tasks = client.get_executor(retries=RETRIES, pure=False)
        self._patience_s = patience_s
        self._shared: dict[str, Any] = {}
        self._sent = 0
        self._open: set[Future[Any]] = set()
        self._lock = Lock()
        self._closed = Event()
        Thread(target=self._watch, name="cluster-watch", daemon=True).start()

    def submit(
        self, function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Send a call; its future carries what the call returned or raised.

        Raises:
            RuntimeError: the executor was shut down.
        """
        if self._closed.is_set():
            raise RuntimeError("cannot schedule new futures after shutdown")
        called = partial(function, **kwargs) if kwargs else function
        sent = self._tasks.submit(run_checked, this_program(), called, *(self._once(value) for value in args))
        answer: Future[Result] = Future()
        with self._lock:
            self._open.add(answer)
        answer.add_done_callback(partial(self._settled, sent))
        # Not the answer itself: each would hold the other, and its work on the cluster, until garbage is looked for.
        sent.add_done_callback(partial(_pass_on, ref(answer)))
        return answer

    def _once(self, value: object) -> object:
        """A shared value as the cluster's own copy, anything else as it is.

        It is the result of a call that does nothing, not scattered: when the last worker that holds it dies, the
        scheduler makes it again. The oldest is let go, and leaves the cluster when the last call that needs it is over.
        """
        if not isinstance(value, Shared):
            return value
        if value.key not in self._shared:
            self._sent += 1
            key = f"shared-{self._client.id}-{self._sent}-{value.key}"
            self._shared[value.key] = self._client.submit(_same, value, key=key, retries=RETRIES)
            if len(self._shared) > KEPT:
                del self._shared[next(iter(self._shared))]
        return self._shared[value.key]

    def _settled(self, sent: Future[Any], answer: Future[Any]) -> None:
        with self._lock:
            self._open.discard(answer)
        if answer.cancelled():
            answer.set_running_or_notify_cancel()
            if not self._closed.is_set():
                sent.cancel()

    def _watch(self) -> None:
        """Give up when for long there was nobody to do the work: Dask itself would wait for ever."""
        alone_s = 0.0
        while not self._closed.wait(_LOOK_EVERY_S):
            with self._lock:
                is_waiting = bool(self._open)
            alone_s = alone_s + _LOOK_EVERY_S if is_waiting and not self._has_workers() else 0.0
            if alone_s >= self._patience_s:
                self._fail(NoWorkersError(f"The cluster has had no workers for {alone_s:.0f} seconds.", GONE))
                alone_s = 0.0

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except (OSError, RuntimeError, ValueError, CancelledError):
            return False

    def _fail(self, error: ClusterError) -> None:
        with self._lock:
            left = list(self._open)
        for answer in left:
            with suppress(InvalidStateError):
                answer.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which drops what is still ours at once: so nothing need be cancelled one by one."""
        with self._lock:
            left = list(self._open)
        if wait and not cancel_futures:
            _wait(left)
        was_open = not self._closed.is_set()
        self._closed.set()
        for answer in left:
            answer.cancel()
        if was_open:
            self._shared.clear()
            with suppress(OSError, RuntimeError, CancelledError):
                self._client.close(timeout=_CLOSE_WITHIN_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave: after an error at once."""
        self.shutdown(cancel_futures=error is not None)


def _wait(futures: list[Future[Any]]) -> None:
    wait(futures)


def _same(shared: Shared[Any]) -> Shared[Any]:
    return shared


def _pass_on(waiting: ref[Future[Any]], sent: Future[Any]) -> None:
    """Give an answer what became of the call; one that was cancelled, given up or let go stays so."""
    answer = waiting()
    if answer is None:
        return
    with suppress(InvalidStateError):
        if sent.cancelled():
            answer.set_exception(ClusterError("The scheduler went away, or dropped the work.", GONE))
        elif (error := sent.exception()) is not None:
            answer.set_exception(_named(error))
        else:
            answer.set_result(sent.result())


def _named(error: BaseException) -> BaseException:
    """Our own errors as they are, and that of a call that killed one worker after the other in our words."""
    if type(error).__name__ == "KilledWorker":
        return ClusterError(
            "The same part of the work was on several workers that died, one after the other.",
            "They probably have too little memory: start them with more, or fewer on one machine.",
        )
    return error
