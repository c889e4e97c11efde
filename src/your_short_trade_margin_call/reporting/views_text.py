"""The secondary views of a winner in plain words: shown below the verdict, never a part of it."""

from __future__ import annotations

from typing import Any

from your_short_trade_margin_call.reporting.sheets import Rows
from your_short_trade_margin_call.reporting.text import signed_percent

Document = dict[str, Any]

SURE = 0.95
"""The usual bar of a deflated Sharpe ratio."""


def views_rows(views: Document | None) -> Rows:
    """A row for each view in the document of an `Examiner`; none where there is no document."""
    if views is None:
        return []
    rows = [
        ("beside luck", _beside_luck(views["surrogates"])),
        ("fill luck", _fill_luck(views["fill_luck"]["band"])),
        ("neighbours", _neighbours(views["plateau"])),
        ("can bear", _costs(views["break_even"])),
    ]
    return rows if views["pooled"] is None else [*rows, ("overfitting", _overfitting(views["pooled"]))]


def _beside_luck(surrogates: Document) -> str:
    return (
        f"beats {100 * surrogates['quantile']:.0f} % of {surrogates['surrogates']} winners of shuffled candles "
        f"(p {surrogates['p_value']:.2f})"
    )


def _fill_luck(band: dict[str, float]) -> str:
    low, middle, high = (f"{round(band[name], 1) + 0.0:+.1f}" for name in ("low_pct", "middle_pct", "high_pct"))
    return f"{low} / {middle} / {high} % (5/50/95 in 100 lucks)"


def _neighbours(plateau: Document) -> str:
    if not plateau["neighbours"]:
        return "none: the grid is a single set"
    profitable = 100 * plateau["profitable_frac"]
    return f"mean {signed_percent(plateau['mean_pct'], 1)}, {profitable:.0f} % of {plateau['neighbours']} with a profit"


def _costs(costs: Document) -> str:
    if costs["paid_bps"] is None:
        return "no trade, no cost"
    paid = f"pays {costs['paid_bps']:.1f}"
    if costs["pnl_pct"] <= 0.0:
        return f"no profit to lose; {paid} bps a side"
    if costs["dies_at_bps"] is None:
        return f"any cost; {paid} bps a side"
    return f"{costs['dies_at_bps']:.1f} bps a side, {paid}"


def _overfitting(pooled: Document) -> str:
    return (
        f"PBO {pooled['pbo']:.2f} over {pooled['used']} windows; deflated Sharpe {pooled['deflated_sharpe']:.2f} "
        f"({SURE:g} is the bar) of {pooled['independent_trials']:.0f} independent trials"
    )
