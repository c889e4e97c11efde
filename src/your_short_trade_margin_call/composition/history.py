"""How far back a record goes when a command is asked for one."""

from __future__ import annotations

from your_short_trade_margin_call.composition.request import Prepared
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import MarketKind
from your_short_trade_margin_call.examiner import USUAL_DAYS


def days_of_record(prepared: Prepared, days: float | None) -> float:
    """How many days of folds are meant: all of a file, or USUAL_DAYS, where nothing was typed."""
    if days is not None:
        return days
    if prepared.market is not MarketKind.REPLAY:
        return USUAL_DAYS
    candles, window_ms = prepared.candles, prepared.request.settings.window
    return max(0, candles.end_ms - candles.start_ms - window_ms) / DAY_MS
