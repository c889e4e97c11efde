"""The options of `serve-exchange`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from your_short_trade_margin_call.commands.options import (
    Assignments,
    Config,
    Debug,
    FundingFile,
    InstrumentFile,
    Json,
    MarkFile,
    MinutesFile,
    Seed,
)

USUAL_PORT, USUAL_ADMIN_PORT = 8080, 8081


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, how fast, and where."""

    candles: Annotated[
        Path | None,
        typer.Option("--candles", metavar="FILE", help="Recorded candles of one pair, Parquet or CSV."),
    ] = None
    mark: MarkFile = None
    funding: FundingFile = None
    minutes: MinutesFile = None
    instrument: InstrumentFile = None
    days: Annotated[
        float | None,
        typer.Option("--days", metavar="N", help="Days of an invented market after its history (3; 7 when slower)."),
    ] = None
    speed: Annotated[str, typer.Option("--speed", metavar="N", help="Times real time.")] = "600"
    step: Annotated[bool, typer.Option("--step", help="Time stands still until the admin steps it: POST /step.")] = (
        False
    )
    port: Annotated[int, typer.Option("--port", metavar="N", help="For clients; 0 is any free one.")] = USUAL_PORT
    admin_port: Annotated[
        int, typer.Option("--admin-port", metavar="N", help="For steps and faults; 0 is any free one.")
    ] = USUAL_ADMIN_PORT
    key: Annotated[str | None, typer.Option("--key", metavar="K", help="The account's API key here.")] = None
    secret: Annotated[str | None, typer.Option("--secret", metavar="S", help="What its requests are signed with.")] = (
        None
    )
    json: Json = False
    config: Config = None
    assignments: Assignments = None
    seed: Seed = None
    debug: Debug = False
