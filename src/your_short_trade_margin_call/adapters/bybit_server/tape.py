"""What a pair shows beside its prices: the last trades, the number of its book, the last ticker that was sent."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

_KEPT_TRADES = 1_000


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """A trade between strangers; `side` is the taker's."""

    trade_id: str
    seq: int
    time_ms: int
    side: str
    price: str
    size: str
    direction: str
    """PlusTick, ZeroPlusTick, MinusTick or ZeroMinusTick."""


class Tape:
    """Counters and memory of one pair's public face. Everything follows from what was shown before: no luck."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.trades: deque[PublicTrade] = deque(maxlen=_KEPT_TRADES)
        self.update_id = 1
        """Number of the book; 1 says that the service has just started."""
        self.seq = 1_000
        self.ticker: dict[str, Any] | None = None
        """The ticker row as last sent to streams."""
        self.last_ticks = 0.0
        self.direction = "ZeroPlusTick"

    def new_book(self) -> None:
        """The book changed."""
        self.update_id += 1
        self.seq += 1

    def restart(self) -> None:
        """The service restarted: books are numbered from 1 again."""
        self.update_id = 1
        self.ticker = None

    def trade(self, time_ms: int, ticks: float, price: str, size: str) -> PublicTrade:
        """A trade at a price."""
        if ticks > self.last_ticks:
            self.direction = "PlusTick"
        elif ticks < self.last_ticks:
            self.direction = "MinusTick"
        elif not self.direction.startswith("Zero"):
            self.direction = "Zero" + self.direction
        self.last_ticks = ticks
        self.seq += 1
        side = "Buy" if "Plus" in self.direction else "Sell"
        made = PublicTrade(self._id(), self.seq, time_ms, side, price, size, self.direction)
        self.trades.append(made)
        return made

    def _id(self) -> str:
        return str(UUID(bytes=hashlib.blake2b(f"{self.symbol}:{self.seq}".encode(), digest_size=16).digest()))
