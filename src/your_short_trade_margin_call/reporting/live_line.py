"""The live line: where price, signal, position, equity and the next optimisation stand."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from your_short_trade_margin_call.reporting.sheets import gain_style
from your_short_trade_margin_call.reporting.text import (
    price,
    quantity,
    short_moment,
    signed_percent,
    signed_usdt,
    span,
    usdt,
)

_BETWEEN = "  "


@dataclass(frozen=True, slots=True)
class PositionNow:
    """An open short. Prices in USDT; `stop_price` is None where none rests; `pnl` is open profit in USDT."""

    quantity: float
    entry_price: float
    target_price: float
    stop_price: float | None
    stop_name: str
    liquidation_price: float
    pnl: float


@dataclass(frozen=True, slots=True)
class Now:
    """What the live line shows. `to_peak_pct` is how far the price is below the highest high of the lookback."""

    symbol: str
    time_ms: int
    price: float
    decimals: int
    to_peak_pct: float | None
    position: PositionNow | None
    equity: float
    starting_balance: float
    next_optimization_ms: int | None
    halted: str = ""
    """Why there are no entries (`paused`, `no_edge`), empty when there may be some."""


@dataclass(frozen=True)
class Packed:
    """Parts of a line, kept whole: as many to a line as fit."""

    parts: tuple[Text, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fill lines with parts."""
        line = Text()
        for part in self.parts:
            if line and line.cell_len + len(_BETWEEN) + part.cell_len > options.max_width:
                yield line
                line = Text()
            line = Text.assemble(line, _BETWEEN if line else "", part)
        yield line


def live_line(now: Now) -> Packed:
    """The line for this moment."""
    change = 100.0 * (now.equity / now.starting_balance - 1.0)
    parts = [
        Text(f"{short_moment(now.time_ms)} UTC", style="dim"),
        Text(f"{now.symbol} {price(now.price, now.decimals)}", style="bold"),
        Text("no signal yet" if now.to_peak_pct is None else f"next peak {signed_percent(now.to_peak_pct)}"),
        *_position_parts(now),
        Text.assemble("equity ", usdt(now.equity), (f" ({signed_percent(change)})", gain_style(round(change, 2)))),
    ]
    if now.halted:
        parts.append(Text(f"no entries: {now.halted}", style="bold yellow"))
    if now.next_optimization_ms is not None:
        parts.append(Text(f"optimises in {span(now.next_optimization_ms - now.time_ms)}", style="dim"))
    return Packed(tuple(parts))


def position_text(position: PositionNow, decimals: int) -> str:
    """One sentence about an open short and what rests on the exchange for it."""
    return (
        f"short {quantity(position.quantity)} at {price(position.entry_price, decimals)}, "
        f"target {price(position.target_price, decimals)}, {_stop_text(position, decimals)}, "
        f"liquidation {price(position.liquidation_price, decimals)}, now {signed_usdt(position.pnl)}"
    )


def _position_parts(now: Now) -> list[Text]:
    position = now.position
    if position is None:
        return [Text("flat")]
    return [
        Text(f"SHORT {quantity(position.quantity)} at {price(position.entry_price, now.decimals)}", style="bold"),
        Text(signed_usdt(position.pnl), style=gain_style(position.pnl)),
        Text(f"target {price(position.target_price, now.decimals)}"),
        Text(_stop_text(position, now.decimals)),
        Text(f"liquidation {price(position.liquidation_price, now.decimals)}"),
    ]


def _stop_text(position: PositionNow, decimals: int) -> str:
    if position.stop_price is None:
        return "no stop"
    return f"{position.stop_name} {price(position.stop_price, decimals)}"
