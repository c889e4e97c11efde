"""How a running candle is shown before it has closed: a plausible path inside what was recorded.

It is cosmetic: what happens to orders, stops and positions is decided when the whole candle runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.adapters.bybit_server.intervals import PriceRow


class Extremes(NamedTuple):
    """A recorded candle, in ticks."""

    open: float
    high: float
    low: float
    close: float


def turning_points(parts: list[Extremes]) -> NDArray[np.float64]:
    """Open, the extremes (against the candle's direction first), close: of each part, one after another."""
    points: list[float] = []
    for part in parts:
        rises = part.close >= part.open
        first, second = (part.low, part.high) if rises else (part.high, part.low)
        points += [part.open, first, second, part.close]
    return np.array(points)


def price_at(points: NDArray[np.float64], progress: float) -> float:
    """The price at a fraction of the candle's time: on the line through its points, on a whole tick where one fits."""
    exact = float(np.interp(progress, np.linspace(0.0, 1.0, len(points)), points))
    return min(max(float(round(exact)), float(points.min())), float(points.max()))


@dataclass
class Running:
    """A candle that is still open, in USDT. `progress` is the fraction of its time that has passed."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float
    progress: float = 0.0

    @classmethod
    def opened(cls, start_ms: int, price: float) -> Running:
        """Nothing but an opening so far."""
        return cls(start_ms, price, price, price, price)

    def see(self, price: float, progress: float) -> None:
        """The price moved."""
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close, self.progress = price, progress

    def row(self, recorded: PriceRow) -> PriceRow:
        """What is known of it, with the share of the recorded volume that belongs to the time passed."""
        share = self.progress
        return PriceRow(
            self.start_ms,
            self.open,
            self.high,
            self.low,
            self.close,
            recorded.volume * share,
            recorded.turnover * share,
        )
