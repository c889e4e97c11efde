"""Where sweeps are made: on this machine, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.cluster.executor import ClusterExecutor


@contextmanager
def cluster_at(address: str | None) -> Iterator[ClusterExecutor | None]:
    """An executor on the cluster of the scheduler at `address`, left at the end; None where no address is given.

    Raises:
        ClusterError: it cannot be used; says why.
        BadInputError: the address cannot be one.
        NotInstalledError: the extra package is not there.
    """
    if address is None:
        yield None
        return
    from your_short_trade_margin_call.adapters.cluster.connecting import connect

    with connect(address) as executor:
        yield executor
