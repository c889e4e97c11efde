"""What a noise drill counted, as tables."""

from __future__ import annotations

import math

from rich.table import Table

from your_short_trade_margin_call.domain.spans import HOUR_MS
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import counted
from your_short_trade_margin_call.research.drill import PAIRS, Drill, DrillResult, KindResult
from your_short_trade_margin_call.research.drill_counts import Share


def show_drill(screen: Screen, result: DrillResult) -> None:
    """Print how often REAL was said, and below it what the accounts made."""
    drill = result.drill
    silent = [one for one in result.kinds if not one.kind.has_edge]
    edged = [one for one in result.kinds if one.kind.has_edge]
    if silent:
        screen.heading("No edge: how often REAL was said all the same (at most 5 in 100 are allowed)")
        screen.show(_counts(silent, drill))
    if edged:
        screen.heading("An edge is planted: how often REAL was said (the more the better)")
        screen.show(_counts(edged, drill))
    screen.heading(f"What the accounts made in {_step(drill)}, on average over the first {counted(drill.days, 'day')}")
    screen.show(_means(result))
    screen.say()
    screen.say("In brackets: what the true share may be, in percent (95 % sure). Ten pairs: any of them, at any look.")


def _counts(kinds: list[KindResult], drill: Drill) -> Table:
    table = _table("kind", f"after {counted(drill.days, 'day')}")
    if drill.looks_days:
        table.add_column(f"ever in {counted(drill.looks_days, 'day')}", no_wrap=True)
        table.add_column(f"{PAIRS} pairs", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in kinds:
        shares = [one.once, *([one.ever, one.among_ten] if drill.looks_days else [])]
        words = "ALARM" if one.alarms_too_often else "" if one.kind.has_edge else "fine"
        table.add_row(_name(one), *(_share(share) for share in shares), words)
    return table


def _means(result: DrillResult) -> Table:
    table = _table("kind")
    for name in ("promised", "made", "chance shorts", "trades", "LUCK", "can't tell"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in result.kinds:
        error = "" if math.isnan(one.mean_error_pct) else f" ± {one.mean_error_pct:.2f}"
        said = one.verdicts
        table.add_row(
            _name(one),
            _percent(one.mean("promised_pct"), 1),
            _percent(one.mean("mean_pct")) + error,
            _percent(one.mean("chance_pct")),
            f"{one.mean('trades'):.0f}",
            str(said["LUCK"]),
            str(said["CAN'T TELL"]),
        )
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim", collapse_padding=True)
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _name(one: KindResult) -> str:
    return str(one.kind).replace("_", " ")


def _share(share: Share | None) -> str:
    """``0 of 100 (0..4)``."""
    if share is None:
        return "too few"
    low, high = share.interval
    return f"{share.hits} of {share.of} ({100 * low:.0f}..{100 * high:.0f})"


def _percent(value: float, digits: int = 2) -> str:
    return "none" if math.isnan(value) else f"{value:+.{digits}f}"


def _step(drill: Drill) -> str:
    step_ms = drill.settings.reoptimize or drill.settings.window
    return f"{step_ms / HOUR_MS:g} h, in percent"
