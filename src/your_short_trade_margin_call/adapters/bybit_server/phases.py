"""The steps in which a pair's market crosses a candle boundary, always in this order."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """The step that was done last; `QUOTE` means that the candle at the cursor is running."""

    PATH = 0
    """Candle i ran its path on every account: private messages only."""
    CLOSE = 1
    """Candle i was announced as closed."""
    FUNDING = 2
    """What was due before candle i + 1 is settled: private messages only."""
    GUARDS = 3
    """Stops and liquidations saw the opening of candle i + 1: private messages only."""
    QUOTE = 4
    """Book, ticker and running candle of i + 1 were announced."""

    @property
    def next(self) -> Phase:
        """What follows this phase."""
        return Phase((self.value + 1) % len(Phase))
