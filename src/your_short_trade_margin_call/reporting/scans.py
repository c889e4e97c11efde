"""A scan of many pairs for people: a table, the strongest evidence first, and a plain answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.reporting.records import odds
from your_short_trade_margin_call.reporting.sheets import gain_style
from your_short_trade_margin_call.reporting.text import counted
from your_short_trade_margin_call.research.evidence import ZERO_ALPHA
from your_short_trade_margin_call.research.scan import SCAN_ALPHA, PairRecord, needed_among


@dataclass(frozen=True)
class ScannedPair:
    """One row of a scan: a record with its verdict among the others, or why there is none."""

    name: str
    symbol: str
    record: PairRecord | None = None
    verdict: Verdict | None = None
    why_not: str = ""

    @property
    def rank(self) -> tuple[bool, bool, float, str]:
        """What rows are sorted by: REAL first, then the stronger evidence; those without a record last."""
        evidence = -math.inf if self.record is None else self.record.log_evidence
        return (self.record is None, self.verdict is not Verdict.REAL, -evidence, self.name)


def scan_table(rows: Sequence[ScannedPair]) -> Table:
    """A line for each pair that has a record. Fits in 70 columns: a long name wraps before a number is cut."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  pair", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for name in ("mean", "likely", "promised", "trades", "calls", "evidence"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if row.record is not None:
            table.add_row(*_cells(row, row.record))
    return table


def _cells(row: ScannedPair, record: PairRecord) -> tuple[str | Text, ...]:
    e = record.evidence
    spread = math.isfinite(e.low_pct) and math.isfinite(e.high_pct)
    return (
        f"  {row.name}",
        Text(str(row.verdict), style="bold" if row.verdict is Verdict.REAL else ""),
        Text(_number(e.mean_pct), style=gain_style(e.mean_pct)),
        f"{_number(e.low_pct)}..{_number(e.high_pct)}" if spread else "-",
        "-" if math.isnan(e.promised_pct) else _number(e.promised_pct, 1),
        f"{e.trades:,}",
        str(e.risk.margin_calls + e.risk.liquidations),
        odds(record.log_evidence),
    )


def _number(value: float, digits: int = 2) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def scan_answer(rows: Sequence[ScannedPair]) -> str:
    """What came of it in plain words."""
    judged = [row for row in rows if row.record is not None]
    real = [row.name for row in judged if row.verdict is Verdict.REAL]
    if not judged:
        return "No pair could be judged."
    if not real:
        who = "The one pair does not beat luck." if len(judged) == 1 else f"None of the {len(judged)} pairs beats luck."
        return f"{who} {_what_it_takes(len(judged))}"
    beat = "beats" if len(real) == 1 else "beat"
    return (
        f"{', '.join(real)} {beat} luck, {counted(len(judged), 'pair')} looked at: of pairs called REAL this way, at "
        f"most {SCAN_ALPHA:.0%} are false on average. In this simulation of the past; not a forecast."
    )


def _what_it_takes(count: int) -> str:
    needed = odds(needed_among(count))
    many = "" if count == 1 else f" among {count} pairs, where the best looks good by luck alone"
    return (
        f"It takes 30 closed trades, evidence of {needed} against shorts at random moments{many}, and of "
        f"{odds(-math.log(ZERO_ALPHA))} against zero."
    )


SCAN_LEGEND = (
    "Mean: change of equity in % a step after each choice, the open position marked; likely: its 90 % interval. "
    "Promised: where it was chosen. Calls: margin calls and liquidations. Evidence: the weaker of both yardsticks."
)
