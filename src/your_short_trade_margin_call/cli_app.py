"""What all commands hang on: the program itself, its version and its help.

`--help` must be quick: nothing here may import numpy, numba, polars or pydantic.
"""

from __future__ import annotations

from typing import Annotated

import typer

from your_short_trade_margin_call import __version__
from your_short_trade_margin_call.commands.program import NAME, Program


def examples(*lines: str) -> str:
    """The end of a command's help; the mark in front keeps the lines as they are."""
    return "\n".join(("\b", f"Example{'s' if len(lines) > 1 else ''}:", *(f"  {line}" for line in lines)))


app = typer.Typer(
    cls=Program,
    subcommand_metavar="[COMMAND | SYMBOL] [ARGS]...",
    rich_markup_mode=None,  # plain help: half the time, and calm in 80 columns
    add_completion=False,
    add_help_option=False,  # typer's own, on the group, would load pydantic before any command's help
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


def _print_help(context: typer.Context, wanted: bool) -> None:
    if wanted:
        typer.echo(context.get_help())
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
]
Help = Annotated[
    bool, typer.Option("-h", "--help", help="Show this message and exit.", callback=_print_help, is_eager=True)
]


@app.callback(
    epilog=examples(
        "shortest-peak                      asks for the pair",
        "shortest-peak SOLUSDT --for 60s    one minute of trading",
        "shortest-peak optimize BTCUSDT --candles btc.parquet --json",
        "shortest-peak status",
    )
)
def program(version: Version = False, help: Help = False) -> None:
    """A short-only Bybit bot that tests whether its own backtest is luck. Paper by default.

    Without a command it does the main job (`run`): it tries every parameter set on the last day of 3-minute
    candles, shows what the best one is worth and what it may cost, and trades it on paper.
    """
