"""Checks as rows: a word for how each stands (colour only repeats it), what was found, and the cure below it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from your_short_trade_margin_call.domain.checks import Check, CheckStatus
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import counted

_WORDS = {
    CheckStatus.PASS: ("ok", "green"),
    CheckStatus.WARN: ("WARN", "yellow"),
    CheckStatus.FAIL: ("FAIL", "bold red"),
}
_NAME_WIDTH = 13


def show_checks(screen: Screen, checks: Iterable[Check]) -> None:
    """Print one row a check, and what to do below those that need it."""
    for check in checks:
        word, style = _WORDS[check.status]
        screen.tell(Text.assemble("  ", (f"{word:<4}", style), f"  {check.name:<{_NAME_WIDTH}}  "), check.found)
        if check.cure:
            screen.tell(" " * (_NAME_WIDTH + 10) + "-> ", check.cure, style="bold")


def checks_summary(checks: Sequence[Check]) -> str:
    """``12 checks: 10 ok, 1 warning, 1 failure``."""
    counts = {status: sum(check.status is status for check in checks) for status in CheckStatus}
    parts = [f"{counts[CheckStatus.PASS]} ok"]
    if counts[CheckStatus.WARN]:
        parts.append(counted(counts[CheckStatus.WARN], "warning"))
    if counts[CheckStatus.FAIL]:
        parts.append(counted(counts[CheckStatus.FAIL], "failure"))
    return f"{counted(len(checks), 'check')}: {', '.join(parts)}"
