"""The options that several commands share, each written down once.

A command takes them as frozen dataclasses; `with_options` shows their fields to typer as options of the
command itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from your_short_trade_margin_call.domain.words import Account, Adopt, ExitType, MarketKind

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; words go to stderr.")]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings as name = value.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting; repeatable; null is none. --set leverage=5"),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Luck of fills, and invented prices.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
InstrumentFile = Annotated[
    Path | None,
    typer.Option("--instrument", metavar="FILE.json", help="The pair's rules, for pairs not known here."),
]
MarkFile = Annotated[Path | None, typer.Option("--mark", metavar="FILE", help="Mark-price candles beside them.")]
FundingFile = Annotated[Path | None, typer.Option("--funding", metavar="FILE", help="Funding settlements beside them.")]
MinutesFile = Annotated[
    Path | None, typer.Option("--minutes", metavar="FILE", help="1-minute candles for doubtful ones.")
]


@dataclass(frozen=True, slots=True)
class Common:
    """What every command about one pair understands."""

    symbol: Annotated[
        str | None, typer.Argument(metavar="SYMBOL", help="The pair: BTCUSDT, btc, BTC/USDT:USDT, BTCUSDT.P ...")
    ] = None
    symbol_option: Annotated[
        str | None, typer.Option("--symbol", metavar="SYMBOL", help="The pair, if not given as an argument.")
    ] = None
    json: Json = False
    config: Config = None
    assignments: Assignments = None
    seed: Seed = None
    instrument: InstrumentFile = None
    debug: Debug = False


@dataclass(frozen=True, slots=True)
class General:
    """What every command about many pairs understands."""

    json: Json = False
    config: Config = None
    assignments: Assignments = None
    seed: Seed = None
    debug: Debug = False

    def common(self) -> Common:
        """The same, for code that serves both kinds of commands."""
        return Common(
            json=self.json, config=self.config, assignments=self.assignments, seed=self.seed, debug=self.debug
        )


EndpointUrl = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="URL", help="Bybit under another address, or a look-alike: http://127.0.0.1:8080."
    ),
]


WhichMarket = Annotated[MarketKind, typer.Option("--market", help="Where candles come from.")]


@dataclass(frozen=True, slots=True)
class Market:
    """Where candles come from."""

    market: WhichMarket = MarketKind.AUTO
    endpoint: EndpointUrl = None
    candles: Annotated[
        Path | None,
        typer.Option("--candles", metavar="FILE", help="Recorded candles, Parquet or CSV (implies --market replay)."),
    ] = None
    mark: MarkFile = None
    funding: FundingFile = None
    minutes: MinutesFile = None
    timerange: Annotated[
        str | None,
        typer.Option(
            "--timerange",
            metavar="FROM-TO",
            help="UTC days of the file, e.g. 20250529-20250629: from the first, up to the start of the last; "
            "either may be left out.",
        ),
    ] = None


GridFile = Annotated[
    Path | None, typer.Option("--grid", metavar="FILE.toml", help="The parameter sets to try: lists and ranges.")
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sweep is to try, and whether what it finds is tested."""

    grid: GridFile = None
    yes: Annotated[bool, typer.Option("--yes", help="Begin a sweep that takes long without asking.")] = False
    no_evidence: Annotated[
        bool,
        typer.Option("--no-evidence", envvar="SHORTEST_PEAK_NO_EVIDENCE", help="Leave out the test against luck."),
    ] = False


@dataclass(frozen=True, slots=True)
class Access:
    """Whose account, and how to get into it."""

    account: Annotated[Account, typer.Option("--account", help="Whose money.")] = Account.PAPER
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help="The account's API keys; usually they are in the environment."),
    ] = None


@dataclass(frozen=True, slots=True)
class Stake:
    """How much may be at stake, and what was agreed to."""

    capital: Annotated[
        float | None,
        typer.Option("--capital", metavar="USDT", help="What a demo, testnet or mainnet account begins with."),
    ] = None
    risk_fraction: Annotated[
        str | None,
        typer.Option("--risk-fraction", metavar="X", help="Of what is available: 0.1 or 10%. Never optimised then."),
    ] = None
    max_notional: Annotated[
        float | None, typer.Option("--max-notional", metavar="USDT", help="The largest worth of a position.")
    ] = None
    despite_evidence: Annotated[
        bool, typer.Option("--despite-evidence", help="Mainnet without the verdict REAL: the smallest quantity.")
    ] = False
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="SYMBOL", help="Mainnet without a terminal: the pair, as confirmation."),
    ] = None


@dataclass(frozen=True, slots=True)
class Trading:
    """How trading runs."""

    speed: Annotated[
        str | None,
        typer.Option("--speed", metavar="N", help="Times real time, or max. Invented: 600; replayed: max."),
    ] = None
    wall_time: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Stop trading after so long by the wall clock: 60s, 2h.")
    ] = None
    reoptimize: Annotated[
        str | None, typer.Option("--reoptimize", metavar="TIME", help="Optimise again so often: 12h, or never.")
    ] = None
    adopt: Annotated[
        Adopt | None,
        typer.Option("--adopt", help="A new winner replaces the running set always, or where it does better."),
    ] = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A parameter set as typed; what is left out comes from the pair's best parameters."""

    lookback: Annotated[int | None, typer.Option("--lookback", metavar="N", help="Candles of the highest high.")] = None
    exit_type: Annotated[ExitType | None, typer.Option("--exit-type", help="Which level names the target.")] = None
    risk_fraction: Annotated[
        str | None, typer.Option("--risk-fraction", metavar="X", help="Of the available balance: 0.5 or 50%.")
    ] = None
    take_profit_pct: Annotated[
        str | None, typer.Option("--take-profit-pct", metavar="X", help="Where no level will do: 0.0044 or 0.44%.")
    ] = None
    stop_loss_pct: Annotated[
        str | None, typer.Option("--stop-loss-pct", metavar="X", help="A stop this far above the entry.")
    ] = None
    max_hold: Annotated[
        str | None, typer.Option("--max-hold", metavar="TIME", help="Close at market after so long: 12h.")
    ] = None


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let typer see the fields of the command's dataclass parameters as options of its own."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}

    def flat(**values: Any) -> None:
        built = {
            name: kind(**{part.name: values.pop(part.name) for part in fields(kind)}) for name, kind in groups.items()
        }
        command(**built, **values)

    flat.__name__, flat.__doc__, flat.__module__ = command.__name__, command.__doc__, command.__module__
    parameters = _flattened(inspect.signature(command), hints)
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _flattened(signature: inspect.Signature, hints: dict[str, Any]) -> list[inspect.Parameter]:
    parameters = []
    for name, parameter in signature.parameters.items():
        kind = hints[name]
        if is_dataclass(kind):
            own = get_type_hints(kind, include_extras=True)
            parameters += [_keyword(part.name, part.default, own[part.name]) for part in fields(kind)]
        else:
            parameters.append(_keyword(name, parameter.default, kind))
    return parameters


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
