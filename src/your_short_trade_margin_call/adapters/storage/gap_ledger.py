"""What was asked of an exchange and not delivered: a known gap is not asked for again and again.

A gap is asked for once a day at most, and five times in all: after that the exchange does not have it.
Settlements have no grid that would show what is missing, so the ledger also says up to when each of their days
has been asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Span, day_of
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.market.columns import Times

SCHEMA_VERSION = 1
ASK_AGAIN_MS = DAY_MS
MOST_TIMES = 5


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without rows: when the exchange was last asked for it, and how many times."""

    kind: HistoryKind
    span: Span
    asked_ms: int
    times: int

    def is_due(self, now_ms: int) -> bool:
        """Whether it is worth asking again."""
        return self.times < MOST_TIMES and now_ms - self.asked_ms >= ASK_AGAIN_MS


@dataclass(frozen=True)
class GapLedger:
    """All gaps of one pair at one source, and up to when each day of settlements was asked for (UTC ms)."""

    gaps: tuple[Gap, ...] = ()
    settled: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def parsed(cls, document: Mapping[str, Any]) -> GapLedger:
        """The ledger of a JSON document.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is none.
        """
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError("schema_version")
        gaps = (
            Gap(HistoryKind(row["kind"]), Span(int(row["start_ms"]), int(row["end_ms"])), int(row["asked_ms"]),
                int(row["times"]))
            for row in document["gaps"]
        )  # fmt: skip
        return cls(tuple(gaps), {int(day): int(until) for day, until in document["settled_until_ms"].items()})

    def document(self) -> dict[str, Any]:
        """As JSON."""
        rows = [
            {"kind": str(gap.kind), **gap.span._asdict(), "asked_ms": gap.asked_ms, "times": gap.times}
            for gap in self.gaps
        ]
        settled = {str(day): until for day, until in sorted(self.settled.items())}
        return {"schema_version": SCHEMA_VERSION, "gaps": rows, "settled_until_ms": settled}

    def not_worth_asking(self, kind: HistoryKind, time_ms: Times, now_ms: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of the times lie in a gap that is not due."""
        known = np.zeros(len(time_ms), dtype=np.bool_)
        for gap in self.gaps:
            if gap.kind is kind and not gap.is_due(now_ms):
                known |= (time_ms >= gap.span.start_ms) & (time_ms < gap.span.end_ms)
        return known

    def settled_until(self, day_ms: int) -> int:
        """Up to when the settlements of a day have been asked for: its start when never."""
        return self.settled.get(day_ms, day_ms)

    def after_asking(self, kind: HistoryKind, asked: Span, missing: Iterable[Span], now_ms: int) -> GapLedger:
        """The ledger once `asked` was asked for, of which `missing` did not come."""
        touched = [gap for gap in self.gaps if gap.kind is kind and gap.span.cut(*asked)]
        left = [rest for gap in touched for rest in _outside(gap, asked)]
        found = [
            Gap(kind, span, now_ms, 1 + max((gap.times for gap in touched if gap.span.cut(*span)), default=0))
            for span in missing
        ]
        kept = [gap for gap in self.gaps if gap not in touched]
        ordered = sorted([*kept, *left, *found], key=lambda gap: (gap.kind, gap.span))
        return replace(self, gaps=tuple(ordered))

    def after_settlements(self, asked: Span) -> GapLedger:
        """The ledger once the settlements in `asked`, part of one day, are known for certain."""
        day = day_of(asked.start_ms)
        known = self.settled_until(day)
        if asked.start_ms > known or asked.end_ms <= known:
            return self
        return replace(self, settled={**self.settled, day: asked.end_ms})


def _outside(gap: Gap, asked: Span) -> Iterable[Gap]:
    """What of a gap lies before and after a span."""
    for span in (gap.span.cut(0, asked.start_ms), gap.span.cut(asked.end_ms, gap.span.end_ms)):
        if span is not None:
            yield replace(gap, span=span)
