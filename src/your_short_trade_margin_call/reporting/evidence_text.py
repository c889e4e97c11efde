"""The evidence in words for people and as a document for machines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from your_short_trade_margin_call.domain.spans import DAY_MS, HOUR_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.reporting.text import counted, span

if TYPE_CHECKING:
    from your_short_trade_margin_call.research.evidence import Evidence
    from your_short_trade_margin_call.research.record import Record

NOT_TESTED = "NOT TESTED"


def untested(reason: str) -> dict[str, Any]:
    """The document of evidence that is not there."""
    return {"verdict": NOT_TESTED, "reason": reason}


def sentence(evidence: Evidence) -> str:
    """The record in words, without the verdict."""
    e = evidence
    step = f"{e.step_ms / HOUR_MS:g} h"
    promised = "" if math.isnan(e.promised_pct) else f"; promised {e.promised_pct:+.1f} %"
    return (
        f"Over the last {counted(e.folds, 'sweep')} ({counted(round(e.days), 'day')}) the account made "
        f"{e.mean_pct:+.2f} % in the {step} after each choice, likely {e.low_pct:+.2f}..{e.high_pct:+.2f}{promised}. "
        f"{_held(e)}{_margin_calls(e)}"
    )


def _held(evidence: Evidence) -> str:
    if not evidence.trades:
        return "No trade closed. "
    risk = evidence.risk
    return f"Held {_roughly(risk.mean_held_ms)} on average, longest {_roughly(risk.longest_held_ms)}. "


def _roughly(duration_ms: int) -> str:
    """A duration by its largest unit, days from two on."""
    days, hours = duration_ms / DAY_MS, duration_ms / HOUR_MS
    if days >= 2:
        return counted(round(days), "day")
    return f"{hours:.0f} h" if hours >= 2 else span(duration_ms).split(" s")[0]


def _margin_calls(evidence: Evidence) -> str:
    risk = evidence.risk
    cost = "" if math.isnan(risk.cost_pct) else f"{risk.cost_pct:.0f} % of the balance"
    wins = "" if math.isnan(risk.wins) else f", {counted(round(risk.wins), 'winning trade')}"
    ended = risk.margin_calls + risk.liquidations
    if not cost:
        return "No margin call seen."
    if not ended:
        return f"No margin call seen; one would cost {cost}{wins}."
    kinds = [
        counted(number, kind)
        for number, kind in ((risk.margin_calls, "margin call"), (risk.liquidations, "liquidation"))
        if number
    ]
    return f"{' and '.join(kinds)} seen; one costs {cost}{wins}."


def evidence_document(record: Record, candles: Candles, number: int, looks: int) -> dict[str, Any]:
    """The evidence for artefacts. Percent are of equity, a fold each; `log_...` are natural logarithms.

    `number` is the procedure's place among all that were looked at, `looks` how often this one was.
    """
    e = record.evidence
    return {
        "verdict": str(e.verdict),
        "reason": e.reason,
        "sentence": sentence(e),
        "from_ms": candles.start_ms,
        "until_ms": candles.end_ms,
        "candles_hash": candles.content_hash,
        "folds": e.folds,
        "days": e.days,
        "trades": e.trades,
        "mean_pct": e.mean_pct,
        "low_pct": e.low_pct,
        "high_pct": e.high_pct,
        "promised_pct": e.promised_pct,
        "chance_pct": e.mean_pct - e.chance.mean_pct,
        "log_evidence_zero": e.zero.log_evidence,
        "best_log_evidence_zero": e.zero.best_log_evidence,
        "log_needed_zero": e.zero.needed,
        "log_evidence_chance": e.chance.log_evidence,
        "best_log_evidence_chance": e.chance.best_log_evidence,
        "log_needed_chance": e.chance.needed,
        "procedure": number,
        "looks": looks,
        **{name: value for name, value in e.risk._asdict().items() if name not in ("cost_pct", "wins")},
        "margin_call_cost_pct": e.risk.cost_pct,
        "wins_to_recover": e.risk.wins,
    }
