"""A record of the procedure for people: its folds as a table, the numbers behind its verdict, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from your_short_trade_margin_call.reporting.sheets import Rows, gain_style
from your_short_trade_margin_call.reporting.text import counted, short_moment, signed_percent, span, usdt

if TYPE_CHECKING:
    from your_short_trade_margin_call.research.evidence import Yardstick
    from your_short_trade_margin_call.research.record import Record

MOST_FOLDS = 14
"""Of a longer record the first and the last are shown, and how many lie between."""
_MOST_ODDS = 1e6
_Fold = dict[str, Any]


# ---- folds ---------------------------------------------------------------------------------------


def folds_table(record: Record, limit: int = MOST_FOLDS) -> Table:
    """One line a fold, in percent and USDT; the first and last `limit` of them. Fits in 70 columns."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  from (UTC)", no_wrap=True)
    table.add_column("parameters", no_wrap=True, overflow="ellipsis")
    for name in ("promised", "delivered", "chance", "equity"):
        table.add_column(name, justify="right", no_wrap=True)
    folds: list[_Fold] = record.folds.to_dicts()
    half = len(folds) if len(folds) <= limit else limit // 2
    for fold in folds[:half]:
        table.add_row(*_fold_cells(fold))
    if half < len(folds):
        table.add_row("  ...", f"({counted(len(folds) - 2 * half, 'more fold')})")
        for fold in folds[-half:]:
            table.add_row(*_fold_cells(fold))
    return table


def _fold_cells(fold: _Fold) -> tuple[str | Text, ...]:
    delivered = fold["return_pct"]
    return (
        f"  {short_moment(fold['start_time'])}",
        fold_params(fold),
        _plain_percent(fold["promised_pct"]),
        Text(_plain_percent(delivered), style=gain_style(delivered)),
        _plain_percent(fold["chance_pct"]),
        f"{fold['equity']:,.0f}",
    )


def fold_params(fold: _Fold) -> str:
    """``50 lowest_high .85 .44%``, or why there were no entries."""
    if fold["highest_high_lookback"] is None:
        return "too few candles"
    if not fold["has_edge"]:
        return "no entries: no_edge"
    risk, profit = f"{fold['risk_fraction']:g}".lstrip("0"), f"{100 * fold['take_profit_pct']:.3g}".lstrip("0")
    return f"{fold['highest_high_lookback']} {fold['exit_type']} {risk} {profit}%"


def _plain_percent(value: float | None) -> str:
    """The number alone; the line below the table names its unit."""
    return "-" if value is None else f"{round(value, 2) + 0.0:+.2f}"


def folds_legend(record: Record) -> str:
    """What the columns of the table mean."""
    procedure = record.walk.procedure
    return (
        f"Parameters: lookback, exit, risk, take profit. Promised, in %: made in the {span(procedure.window_ms)} they "
        f"were chosen in. Delivered: the change of equity in the {span(procedure.step_ms)} after, the open position "
        f"marked. Chance: what shorts at random moments made, before costs."
    )


# ---- numbers -------------------------------------------------------------------------------------


def evidence_rows(record: Record) -> Rows:
    """What the verdict rests on."""
    walk, evidence = record.walk, record.evidence
    in_market = float(walk.held[walk.firsts[0] :].mean())
    return [
        ("account", f"{usdt(walk.start_wallet)} became {usdt(float(walk.equity[-1]))}, in a position "
                    f"{100 * in_market:.0f} % of the time"),
        ("trades", f"{evidence.trades:,} closed by themselves"),
        ("beyond zero", f"{signed_percent(evidence.zero.mean_pct)}; {_evidence_text(evidence.zero)}"),
        ("beyond luck", f"{signed_percent(evidence.chance.mean_pct)} more than shorts at random moments before costs; "
                        f"{_evidence_text(evidence.chance)}"),
    ]  # fmt: skip


def _evidence_text(yardstick: Yardstick) -> str:
    now, best, needed = yardstick.log_evidence, yardstick.best_log_evidence, yardstick.needed
    once = f", {odds(best)} at its best" if now < needed <= best else ""
    return f"evidence {odds(now)}{once} ({odds(needed)} needed)"


def odds(log_evidence: float) -> str:
    """Wealth of a bettor against luck who began with 1: ``8.4 : 1``; ``1 : 3.0`` where he lost two thirds."""
    factor = math.exp(min(abs(log_evidence), 700.0))
    said = ">1e6" if factor > _MOST_ODDS else f"{factor:,.0f}" if factor >= 100 else f"{factor:.1f}"
    return f"{said} : 1" if log_evidence >= 0 else f"1 : {said}"
