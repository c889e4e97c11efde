"""Which trial is best: highest `pnl_pct`, ties by lower drawdown, then by grid order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank(pnl_pct: NDArray[np.float64], drawdown: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row numbers, best first."""
    return np.lexsort((np.arange(len(pnl_pct)), drawdown, -pnl_pct)).astype(np.int64)
