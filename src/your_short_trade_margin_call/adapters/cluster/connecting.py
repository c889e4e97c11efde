"""From the address of a Dask scheduler to an executor, or to a sentence that says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from your_short_trade_margin_call.adapters.cluster.executor import PATIENCE_S, ClusterExecutor
from your_short_trade_margin_call.adapters.cluster.program import Program, differences, different, this_program
from your_short_trade_margin_call.domain.errors import (
    BadInputError,
    ClusterUnreachableError,
    NotInstalledError,
    NoWorkersError,
    ShortestPeakError,
)

CONNECT_WITHIN_S = 5
START_WORKER = "Start some: the line with `dask worker` is in docs/how-to/cluster.md."
_NAMED_AT_MOST = 3
_GREETINGS = 3
"""A scheduler that drops another client's tasks in the same moment greets with two messages; Dask expects one."""


def connect(address: str, patience_s: float = PATIENCE_S) -> ClusterExecutor:
    """An executor on the workers of the scheduler at `address` (``tcp://host:port``, ``tls://host:port``).

    Raises:
        NotInstalledError, BadInputError, ClusterUnreachableError: as `open_client`.
        NoWorkersError: the scheduler has none.
        DifferentProgramError: a worker would reckon with another program; says which.
    """
    client = open_client(address)
    try:
        workers = dict(client.nthreads())
        if not workers:
            raise NoWorkersError(f"The scheduler at {address} has no workers.", START_WORKER)
        _require_same_program(client)
        return ClusterExecutor(client, workers, patience_s)
    except BaseException:
        client.close(timeout=1)
        raise


def _client_class() -> Any:
    try:
        import dask
        import distributed
    except ImportError:
        raise NotInstalledError(
            "--cluster needs Dask, which is not installed.", 'Install it: pip install ".[cluster]"'
        ) from None
    # What happens is said once, in our words; a worker's own output has the details.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Candles of some years are sent through the scheduler, once: that is meant.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
    return distributed.Client


def open_client(address: str) -> Any:
    """A connected `distributed.Client`, which is nobody's default one.

    Raises:
        NotInstalledError: Dask is not.
        BadInputError: the address cannot be one.
        ClusterUnreachableError: no scheduler answers there within CONNECT_WITHIN_S seconds.
    """
    client_class = _client_class()
    for _ in range(_GREETINGS):
        client: Any = client_class.__new__(client_class)
        failure = _connected(client, address)
        if failure is None:
            return client
        # Half made it is closed here, not when the program ends: by then that takes ten seconds.
        client.close(timeout=1)
        if isinstance(failure, ShortestPeakError):
            raise failure
    raise _unreachable(address)


def _connected(client: Any, address: str) -> Exception | None:
    """Connect; returns why it failed. An AssertionError is a greeting that Dask missed (see _GREETINGS)."""
    try:
        client.__init__(address, timeout=CONNECT_WITHIN_S, set_as_default=False, name="shortest-peak")
    except AssertionError as error:
        return error.with_traceback(None)
    except OSError:
        return _unreachable(address)
    except (ValueError, TypeError) as error:
        return BadInputError(
            f"{address} cannot be the address of a scheduler: {error}",
            "It looks like tcp://127.0.0.1:8786; tls:// needs certificates (docs/how-to/cluster.md).",
        )
    return None


def _unreachable(address: str) -> ClusterUnreachableError:
    return ClusterUnreachableError(
        f"No scheduler answers at {address}.",
        "Start one: the line with `dask scheduler` is in docs/how-to/cluster.md. Or look for a firewall.",
    )


def _require_same_program(client: Any) -> None:
    ours = this_program()
    said = [
        f"{worker}: {text}"
        for worker, answer in sorted(client.run(_asker(), on_error="return").items())
        if (text := _difference(ours, answer))
    ]
    if said:
        more = f" (and {len(said) - _NAMED_AT_MOST} more)" if len(said) > _NAMED_AT_MOST else ""
        raise different(f"Workers differ from this program. {'; '.join(said[:_NAMED_AT_MOST])}{more}.")


def _asker() -> Callable[[], Program]:
    """A function that travels as it is: where the package is absent, it can still say so."""

    def ask() -> Program:
        from your_short_trade_margin_call.adapters.cluster.program import this_program

        return this_program()

    return ask


def _difference(ours: Program, answer: Program | Exception) -> str:
    if isinstance(answer, ImportError):
        return "the package is not installed there"
    return str(answer) if isinstance(answer, Exception) else differences(ours, answer)
