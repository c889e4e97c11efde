"""One line for everything that happens while trading: when, what, and the numbers that matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from your_short_trade_margin_call.reporting.sheets import gain_style, held
from your_short_trade_margin_call.reporting.text import price, quantity, short_moment, signed_percent, signed_usdt, usdt

BLOCKED_BECAUSE = {
    "position_open": "a short is open already",
    "order_rejected": "the exchange rejected the entry",
    "insufficient_balance": "nothing is available",
    "below_min_qty": "the size is below the smallest order",
    "below_min_notional": "the position is worth too little for an order",
    "stale_candle": "the quote came too late",
    "stream_gap": "the next candle is missing",
    "no_edge": "the best trial made no money in its own window",
    "paused": "entries are paused; `resume` lifts it",
    "daily_loss": "the day's loss limit is reached",
    "max_drawdown": "the drawdown limit is reached",
    "cooldown": "cooling down after a loss",
    "instrument_not_trading": "the pair does not trade",
    "clock_skew": "this computer's clock is off",
    "rate_limited": "too many requests",
    "exchange_error": "no entry could be made",
}
"""Why a signal was not traded, in words."""

_STYLES = {"ENTRY": "bold", "EXIT": "bold", "ADOPTED": "cyan", "PROBLEM": "bold red", "BLOCKED": "dim"}


@dataclass(frozen=True)
class EventLine:
    """A line: the moment (UTC ms), a word in capitals, what there is to say."""

    time_ms: int
    word: str
    text: Text

    @property
    def label(self) -> Text:
        """``01-02 14:03  ENTRY    ``."""
        return Text.assemble(
            (short_moment(self.time_ms), "dim"), "  ", (f"{self.word:<7}", _STYLES.get(self.word, "")), "  "
        )


def entry_line(time_ms: int, detail: Mapping[str, Any], decimals: int) -> EventLine:
    """A short was opened; `detail` is that of the journal's `entry` event."""
    stop = detail["stop_price"]
    parts = [
        f"short {quantity(detail['quantity'])} at {price(detail['entry_price'], decimals)}",
        f"target {price(detail['target_price'], decimals)}",
        f"{'no stop' if stop is None else 'stop ' + price(stop, decimals)}",
        f"liquidation {price(detail['liquidation_price'], decimals)}",
    ]
    if detail["leverage_clamped"]:
        parts.append(f"leverage clamped to {detail['leverage']:g}x")
    if detail["quantity_clamped"]:
        parts.append("quantity clamped to the largest order")
    return EventLine(time_ms, "ENTRY", Text(", ".join(parts)))


def exit_line(row: Mapping[str, Any], decimals: int) -> EventLine:
    """A short was closed; `row` is a trade row."""
    pnl = row["pnl_value"]
    text = Text.assemble(
        (f"{signed_usdt(pnl)} ({signed_percent(row['pnl_pct'])})", gain_style(pnl)),
        f" {row['exit_reason']} at {price(row['exit_price'], decimals)}"
        f" after {held(row['exit_time'] - row['entry_time'])}, wallet {usdt(row['balance_after'])}",
    )
    return EventLine(row["exit_time"], "EXIT", text)


def blocked_line(time_ms: int, reason: str, detail: str = "") -> EventLine:
    """A signal was not traded."""
    why = BLOCKED_BECAUSE.get(reason, reason)
    return EventLine(time_ms, "BLOCKED", Text(f"{reason}: {why}{f' ({detail})' if detail else ''}", style="dim"))


def adopted_line(time_ms: int, params: str, pnl_pct: float | None, has_edge: bool) -> EventLine:
    """New parameters apply to the next entry."""
    made = "" if pnl_pct is None else f"; {signed_percent(pnl_pct)} in its own window"
    text = Text(f"{params}{made}")
    if not has_edge:
        text.append(": no entries (no_edge)")
    return EventLine(time_ms, "ADOPTED", text)


def problem_line(time_ms: int, text: str) -> EventLine:
    """Something went wrong that the trader should know of."""
    return EventLine(time_ms, "PROBLEM", Text(text))


def note_line(time_ms: int, text: str) -> EventLine:
    """Something the trader may want to know."""
    return EventLine(time_ms, "NOTE", Text(text))
