"""How sure a count is: exact intervals, and whether it is more than allowed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

ALLOWED = 0.05
"""How often REAL may be said where there is no edge."""
SIGNIFICANCE = 0.01
"""A count is above what is allowed when luck makes one as high less often than this."""
CONFIDENCE = 0.95
_HALVINGS = 60


class Share(NamedTuple):
    """`hits` of `of`."""

    hits: int
    of: int

    @property
    def fraction(self) -> float:
        """What the count suggests."""
        return self.hits / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """What the true share may be, at 95 %: exact, after Clopper and Pearson (1934)."""
        tail = (1.0 - CONFIDENCE) / 2.0
        low = 0.0 if self.hits == 0 else _solve(lambda p: at_least(self.hits, self.of, p) < tail)
        high = 1.0 if self.hits == self.of else _solve(lambda p: 1.0 - at_least(self.hits + 1, self.of, p) > tail)
        return low, high

    @property
    def p_value(self) -> float:
        """How often luck counts as many or more where the true share is what is allowed."""
        return at_least(self.hits, self.of, ALLOWED)

    @property
    def is_above_allowed(self) -> bool:
        """Whether the count is significantly above 5 in 100 (one-sided, at 1 %)."""
        return self.p_value < SIGNIFICANCE

    def as_dict(self) -> dict[str, Any]:
        """The count and how sure it is, for machines."""
        low, high = self.interval
        return {"real": self.hits, "of": self.of, "share": self.fraction, "low": low, "high": high, "p": self.p_value}


def at_least(hits: int, of: int, chance: float) -> float:
    """The probability of `hits` or more in `of` independent tries."""
    if hits <= 0:
        return 1.0
    if chance <= 0.0 or chance >= 1.0:
        return float(chance >= 1.0)
    upper = hits > of * chance  # the shorter tail is summed: no digits are lost in the difference
    total = math.fsum(_chance_of(k, of, chance) for k in (range(hits, of + 1) if upper else range(hits)))
    return min(1.0, total) if upper else max(0.0, 1.0 - total)


def _chance_of(k: int, of: int, chance: float) -> float:
    ways = math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
    return math.exp(ways + k * math.log(chance) + (of - k) * math.log1p(-chance))


def _solve(is_below: Callable[[float], bool]) -> float:
    """Where a condition that holds for small chances stops to hold."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2.0
