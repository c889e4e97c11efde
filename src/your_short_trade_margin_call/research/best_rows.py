"""The best rows of a sweep that is too long to keep: as many as wanted, whatever order they come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.research.account_kernel import SUMMARY
from your_short_trade_margin_call.research.metrics import metric_columns
from your_short_trade_margin_call.research.running import Chunk
from your_short_trade_margin_call.research.selection import rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

Trace = Callable[["Integers"], "Floats"]
"""Drawdown (a fraction) and Sharpe of the trials of these numbers, a row each."""


def some_of(chunk: Chunk, rows: Integers) -> Chunk:
    """Some rows of a chunk, in the order given."""
    return Chunk(chunk.trials[rows], chunk.summary[rows], chunk.blocked[rows])


class BestRows:
    """Keeps `keep` rows: the first of the ranking that the table of the whole sweep would have.

    What ties with row number `top` (or stands above it) is ranked by drawdown, the rest by grid order. Drawdowns are
    reckoned while rows come in only where so many tie that not all can be kept: what `keep` others beat is never among
    the first.
    """

    def __init__(self, keep: int, top: int, start_wallet: float, trace: Trace) -> None:
        self._keep, self._top, self._start_wallet, self._trace = keep, top, start_wallet, trace
        self.chunk = Chunk(
            np.zeros(0, dtype=np.int64), np.zeros(0, dtype=SUMMARY), np.zeros((0, len(BlockReason)), dtype=np.int64)
        )
        """The rows kept, in grid order."""
        self.curves: Floats = np.zeros((0, 2))
        """Their drawdown (a fraction) and Sharpe as far as reckoned, else NaN."""

    def add(self, chunk: Chunk) -> None:
        """Look at more rows; what is worse than the best is forgotten."""
        both = Chunk(
            np.concatenate((self.chunk.trials, chunk.trials)),
            np.concatenate((self.chunk.summary, chunk.summary)),
            np.concatenate((self.chunk.blocked, chunk.blocked)),
        )
        self.curves = np.concatenate((self.curves, np.full((len(chunk.trials), 2), np.nan)))
        self.chunk = both
        self._select(np.argsort(both.trials))
        if len(both.trials) > self._keep:
            self._select(self._best())

    def _select(self, rows: Integers) -> None:
        self.chunk, self.curves = some_of(self.chunk, rows), self.curves[rows]

    def _best(self) -> Integers:
        """Where the best rows stand, in grid order."""
        columns = metric_columns(self.chunk.summary, self.curves, self._start_wallet)
        pnl, drawdown = columns["pnl_pct"], np.where(columns["trades"] == 0, 0.0, np.nan)
        last = np.partition(pnl, len(pnl) - self._top)[len(pnl) - self._top]
        leaders = np.flatnonzero(pnl >= last)
        if len(leaders) > self._keep:  # else all of them stay, whatever their drawdown
            unknown = leaders[np.isnan(self.curves[leaders, 0]) & np.isnan(drawdown[leaders])]
            if len(unknown):
                self.curves[unknown] = self._trace(self.chunk.trials[unknown])
            drawdown[leaders] = np.fmin(drawdown[leaders], self.curves[leaders, 0])
        best: Integers = np.sort(rank(pnl, drawdown)[: self._keep])
        return best
