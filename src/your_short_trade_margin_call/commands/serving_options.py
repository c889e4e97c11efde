"""The options of `serve-exchange`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

USUAL_PORT, USUAL_ADMIN_PORT = 8080, 8081


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, how fast, and where."""

    candles: Annotated[
        Path | None,
        typer.Option("--candles", metavar="FILE", help="Recorded candles of one pair, Parquet or CSV."),
    ] = None
    mark: Annotated[Path | None, typer.Option("--mark", metavar="FILE", help="Mark-price candles beside them.")] = None
    funding: Annotated[
        Path | None, typer.Option("--funding", metavar="FILE", help="Funding settlements beside them.")
    ] = None
    minutes: Annotated[Path | None, typer.Option("--minutes", metavar="FILE", help="1-minute candles beside them.")] = (
        None
    )
    instrument: Annotated[
        Path | None,
        typer.Option("--instrument", metavar="FILE.json", help="The pair's rules, for a pair not known here."),
    ] = None
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; words go to stderr.")] = False
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings as name = value.")] = (
        None
    )
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="One setting; repeatable. --set starting_balance=1000"),
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Luck of fills, and invented prices.")] = None
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False
