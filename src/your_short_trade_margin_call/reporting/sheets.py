"""What a run rests on and what came of it, as labelled lines and tables. Values in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import (
    counted,
    listed,
    moment,
    percent,
    price,
    short_moment,
    signed_percent,
    signed_usdt,
    span,
    usdt,
)

if TYPE_CHECKING:
    from your_short_trade_margin_call.domain.params import StrategyParams
    from your_short_trade_margin_call.settings import ParameterGrid, Settings

Rows = list[tuple[str, str]]
"""Labels and what they say."""

SHARPE_DAYS = 30
"""For less than this a Sharpe ratio says nothing: the best of pure noise reads 30 to 70."""

_LABEL_WIDTH = 11


def show_rows(screen: Screen, rows: Rows) -> None:
    """Print labelled lines below each other."""
    for label, text in rows:
        screen.tell(f"  {label:<{_LABEL_WIDTH}}  ", text)


@dataclass(frozen=True)
class CandleRange:
    """Which candles: open of the first, close of the last (UTC ms), how many, how many are missing between."""

    start_ms: int
    end_ms: int
    count: int
    missing: int = 0

    def __str__(self) -> str:
        """``2025-06-28 00:00 to 2025-06-29 00:00 UTC, 480 candles``."""
        holes = f", {self.missing:,} missing" if self.missing else ""
        return f"{moment(self.start_ms)} to {moment(self.end_ms)} UTC, {self.count:,} candles{holes}"


def settings_rows(settings: Settings, candles: CandleRange) -> Rows:
    """The settings that decide the result, in words."""
    stop = "no stop-loss" if settings.stop_loss_pct is None else f"stop-loss {percent(settings.stop_loss_pct)}"
    call = "none: rides to liquidation"
    if settings.margin_call_at is not None:
        call = f"at {percent(settings.margin_call_at)} of the way to liquidation"
    limits = {"daily loss": settings.daily_loss, "drawdown": settings.max_drawdown}
    rows = [
        ("candles", str(candles)),
        ("balance", f"{settings.starting_balance:,g} USDT, leverage {settings.leverage:g}x, "
                    f"at most {percent(settings.max_available_frac)} in a trade"),
        ("costs", f"spread {settings.spread_bps:g}, slippage {settings.slippage_bps:g} bps; "
                  f"taker {percent(settings.taker_fee_rate)}, maker {percent(settings.maker_fee_rate)}"),
        ("rejects", f"{percent(settings.order_reject_prob)} of entries"),
        ("margin call", f"{call}; {stop}"),
        ("seed", str(settings.seed)),
    ]  # fmt: skip
    said = [f"{name} {percent(value)}" for name, value in limits.items() if value is not None]
    return [*rows, ("limits", ", ".join(said))] if said else rows


def cycle_rows(settings: Settings, grid: ParameterGrid) -> Rows:
    """How parameters are searched, and how often."""
    axes = (
        (len(grid.highest_high_lookback), "lookback"),
        (len(grid.exit_type), "exit"),
        (len(grid.risk_fraction), "risk"),
        (len(grid.take_profit_pct), "profit"),
    )
    more = [(len(grid.stop_loss_pct), "stop"), (len(grid.max_hold), "longest hold")]
    parts = [counted(count, name) for count, name in (*axes, *(axis for axis in more if axis[0] > 1))]
    again = "never" if settings.reoptimize is None else f"every {span(settings.reoptimize)}"
    return [
        ("grid", f"{counted(len(grid), 'trial')}: {' x '.join(parts)}"),
        ("window", f"the last {span(settings.window)}; optimised again {again}"),
    ]


def params_text(params: StrategyParams) -> str:
    """``lookback 50, highest_low, risk 0.85, take profit 0.44 %``."""
    words = [
        f"lookback {params.highest_high_lookback}",
        str(params.exit_type),
        f"risk {params.risk_fraction:g}",
        f"take profit {percent(params.take_profit_pct)}",
    ]
    if params.stop_loss_pct is not None:
        words.append(f"stop-loss {percent(params.stop_loss_pct)}")
    if params.max_hold_ms is not None:
        words.append(f"longest hold {span(params.max_hold_ms)}")
    return ", ".join(words)


def result_rows(metrics: Mapping[str, Any], blocked: dict[str, int], starting_balance: float, days: float) -> Rows:
    """What one parameter set achieved; the Sharpe ratio only where there are days enough for one."""
    forced = metrics["end_of_data"]
    forced_note = f"; {forced} closed by the data's end" if forced else ""
    ratio = "" if metrics["rr_ratio"] is None else f"; ratio {metrics['rr_ratio']:.2f}"
    loss = signed_percent(metrics["avg_loss"]) if metrics["losses"] else "none"
    rows = [
        ("profit", f"{signed_percent(metrics['pnl_pct'])} ({signed_usdt(metrics['pnl_value'])}): "
                   f"{usdt(starting_balance)} became {usdt(metrics['final_balance'])}"),
        ("trades", f"{trades_text(metrics['trades'], metrics['wins'])}{forced_note}"),
        ("average", f"win {signed_percent(metrics['avg_win'])}, loss {loss} (of the balance){ratio}"),
        ("drawdown", f"{metrics['drawdown']:.2f} % at worst, open positions marked at each close"),
        ("costs", f"fees {usdt(metrics['fees'])}, funding {signed_usdt(metrics['funding'])}"),
        ("worst exits", f"{counted(metrics['margin_calls'], 'margin call')}, "
                      f"{counted(metrics['liquidations'], 'liquidation')}"),
        ("blocked", listed(blocked)),
    ]  # fmt: skip
    if days >= SHARPE_DAYS:
        rows.insert(4, ("sharpe", f"{metrics['sharpe']:.2f} a year"))
    return rows


def trades_text(trades: int, wins: int) -> str:
    """``12: 11 won (92 %), 1 lost``."""
    return f"{trades:,}: {wins:,} won ({100 * wins / trades:.0f} %), {trades - wins:,} lost" if trades else "none"


def trades_table(rows: Sequence[Mapping[str, Any]], decimals: int, limit: int = 12) -> Table:
    """The last `limit` closed trades, one a line; fits in 70 columns."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", collapse_padding=True)
    table.add_column("  entry (UTC)", no_wrap=True)
    for name in ("held", "short at", "bought at", "USDT"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("exit", no_wrap=True)
    for row in rows[-limit:]:
        pnl = row["pnl_value"]
        table.add_row(
            f"  {short_moment(row['entry_time'])}",
            held(row["exit_time"] - row["entry_time"]),
            price(row["entry_price"], decimals),
            price(row["exit_price"], decimals),
            Text(f"{pnl:+,.2f}", style=gain_style(pnl)),
            str(row["exit_reason"]),
        )
    return table


def held(duration_ms: int) -> str:
    """How long, as far as candles can tell."""
    return "< 3 min" if duration_ms < CANDLE_MS else span(duration_ms)


def gain_style(amount: float) -> str:
    """Green or red, beside the sign that says the same."""
    return "green" if amount > 0 else "red" if amount < 0 else ""


def days_of(candles: CandleRange) -> float:
    """Length in days."""
    return (candles.end_ms - candles.start_ms) / DAY_MS
