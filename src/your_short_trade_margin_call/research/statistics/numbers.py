"""What every statistic asks of the numbers it is handed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import StatisticError


def series(values: ArrayLike, name: str, at_least: int = 0) -> NDArray[np.float64]:
    """`values` as one row of finite floats.

    Raises:
        StatisticError: more than one dimension, fewer than `at_least` numbers, or one that is NaN or infinite.
    """
    row = np.ascontiguousarray(values, dtype=np.float64)
    if row.ndim != 1:
        raise StatisticError(f"{name} have {row.ndim} dimensions.", "Pass one number after the other.")
    if len(row) < at_least:
        raise StatisticError(f"There are {len(row)} {name}.", f"At least {at_least} are needed.")
    if not np.isfinite(row).all():
        raise StatisticError(
            f"Some {name} are NaN or infinite.", "Leave such numbers out, or find out where they are from."
        )
    return row


def table(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """`values` as rows (times) and columns (trials) of finite floats.

    Raises:
        StatisticError: not two dimensions, nothing in it, or a number that is NaN or infinite.
    """
    grid = np.asarray(values, dtype=np.float64)
    if grid.ndim != 2 or grid.size == 0:
        raise StatisticError(f"{name} are of shape {grid.shape}.", "Pass one row a time and one column a trial.")
    if not np.isfinite(grid).all():
        raise StatisticError(
            f"Some {name} are NaN or infinite.", "Leave such trials out, or find out where they are from."
        )
    return grid


def share(value: float, name: str) -> float:
    """`value` if it lies strictly between 0 and 1.

    Raises:
        StatisticError: it does not.
    """
    if not 0.0 < value < 1.0:
        raise StatisticError(f"{name} is {value}.", "It lies between 0 and 1, both excluded: 0.05 is 5 %.")
    return float(value)
