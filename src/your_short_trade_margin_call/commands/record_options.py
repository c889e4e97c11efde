"""The options of `walk-forward` and `scan`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from your_short_trade_margin_call.commands.options import EndpointUrl, WhichMarket
from your_short_trade_margin_call.domain.words import MarketKind


@dataclass(frozen=True, slots=True)
class Walking:
    """What to walk, and what to leave behind."""

    days: Annotated[
        float | None,
        typer.Option("--days", metavar="N", help="Days of folds; more, up to 180, until 30 trades have closed."),
    ] = None
    window: Annotated[str | None, typer.Option("--window", metavar="TIME", help="What each choice looks at: 24h.")] = (
        None
    )
    step: Annotated[
        str | None, typer.Option("--step", metavar="TIME", help="After how long it is chosen anew: 12h.")
    ] = None
    figure: Annotated[Path | None, typer.Option("--figure", metavar="OUT.html", help="Draw the record there.")] = None


@dataclass(frozen=True, slots=True)
class Scanning:
    """Which pairs to scan, and where their candles come from."""

    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="The pairs; of recorded candles, all there are.")
    ] = None
    candles: Annotated[
        list[Path] | None,
        typer.Option("--candles", metavar="PATH", help="Recorded candles: files named by pair, or a folder of them."),
    ] = None
    all_pairs: Annotated[bool, typer.Option("--all", help="Every USDT perpetual of Bybit with the --turnover.")] = False
    turnover: Annotated[
        str | None, typer.Option("--turnover", metavar="USDT", help="With --all: at least so much in 24 h (50M).")
    ] = None
    days: Annotated[float | None, typer.Option("--days", metavar="N", help="Days of folds: 30, or all of a file.")] = (
        None
    )
    market: WhichMarket = MarketKind.AUTO
    endpoint: EndpointUrl = None
