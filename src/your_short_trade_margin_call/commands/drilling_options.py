"""The options of `drill`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from your_short_trade_margin_call.commands.options import Assignments, Config, Debug, Json, Seed
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
    json: Json = False
    config: Config = None
    assignments: Assignments = None
    seed: Seed = None
    debug: Debug = False
