"""The options of `drill`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from your_short_trade_margin_call.domain.words import DrillKind


@dataclass(frozen=True, slots=True)
class Drilling:
    """How many markets, which, and for how long."""

    markets: Annotated[int, typer.Option("--markets", metavar="N", help="Markets of each kind.")] = 20
    kinds: Annotated[
        list[DrillKind] | None,
        typer.Option("--kind", metavar="KIND", help=f"Repeatable; all if not given: {', '.join(DrillKind)}."),
    ] = None
    days: Annotated[int, typer.Option("--days", metavar="N", help="Days of the record that is looked at once.")] = 30
    looks: Annotated[
        int, typer.Option("--looks", metavar="N", help="Days during which every step is looked at; 0: no such looks.")
    ] = 90
    candles: Annotated[
        Path | None,
        typer.Option("--candles", metavar="FILE", help="Recorded candles to resample, instead of generated ones."),
    ] = None
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="Threads; all cores, if not given.")] = (
        None
    )
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; words go to stderr.")] = False
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings as name = value.")] = (
        None
    )
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="One setting; repeatable. --set spread_bps=4"),
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Luck of the markets and of fills.")] = None
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False
