"""The command line: parse, call, print. What the commands do is in `commands/`, imported when one is called.

`--help` must be quick: nothing at the top of this file may import numpy, numba, polars or pydantic.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from your_short_trade_margin_call.cli_app import app, examples
from your_short_trade_margin_call.commands.drilling_options import Drilling
from your_short_trade_margin_call.commands.options import (
    Access,
    Chosen,
    Common,
    Debug,
    EndpointUrl,
    General,
    GridFile,
    Json,
    Market,
    Stake,
    Trading,
    Wanted,
    with_options,
)
from your_short_trade_margin_call.commands.program import INTERRUPTED
from your_short_trade_margin_call.commands.record_options import Scanning, Walking
from your_short_trade_margin_call.commands.serving_options import Serving
from your_short_trade_margin_call.domain.words import Account

if TYPE_CHECKING:
    from your_short_trade_margin_call.reporting.screen import Screen


Days = Annotated[float | None, typer.Option("--days", metavar="N", help="How many days, counted back from the end.")]
RequireReal = Annotated[bool, typer.Option("--require-real", help="Exit code 1 unless the verdict is REAL.")]
Cluster = Annotated[
    str | None, typer.Option("--cluster", metavar="ADDRESS", help="Sweep on a Dask cluster: tcp://127.0.0.1:8786.")
]
Params = Annotated[Path | None, typer.Option("--params", metavar="FILE.json", help="Parameters saved before.")]


def main() -> None:
    """The entry point."""
    # The compiler and its kin are half a million objects that all stay: looking for rubbish among them while
    # they load takes a tenth of the start.
    gc.set_threshold(100_000, 20, 20)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # who closed them wants to hear nothing  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # a letter that the terminal cannot show must not stop anything
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except KeyboardInterrupt:  # so early that no command has begun
        _leave_at_once()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            _leave_at_once()
        raise
    finally:
        gc.freeze()  # at the very end nothing of it need be looked through once more: half a second of a processor


def _leave_at_once() -> NoReturn:
    """After Ctrl-C, wait for no thread: a compiler or a sweep may be busy for long, and leaves nothing half written."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def _screen(common: Common) -> Screen:
    from your_short_trade_margin_call.reporting.screen import Screen

    return Screen(to_stderr=common.json)


@app.command(
    epilog=examples(
        "shortest-peak run BTCUSDT --no-trade",
        "shortest-peak run SOLUSDT --candles sol.parquet --speed 5000",
    )
)
@with_options
def run(
    *,
    no_trade: Annotated[bool, typer.Option("--no-trade", help="Stop after optimising.")] = False,
    wanted: Wanted,
    require_real: RequireReal = False,
    trading: Trading,
    access: Access,
    stake: Stake,
    market: Market,
    common: Common,
) -> None:
    """The main job: optimise, show, ask, trade. On paper unless told otherwise.

    This is also what happens without a command.

    It optimises on the last day (of a file: its first), plans the next optimisation and trades what follows.
    At a terminal it asks for the pair and before trading; elsewhere it takes BTCUSDT and trades.
    """
    from your_short_trade_margin_call.commands.main_job import run as run_main_job
    from your_short_trade_margin_call.commands.request import Typed

    typed = Typed(common, market, trading, access, stake)
    run_main_job(typed, wanted, no_trade, require_real, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak optimize BTCUSDT",
        "shortest-peak optimize BTCUSDT --candles btc.parquet --days 2 --json",
        "shortest-peak optimize BTCUSDT --candles year.parquet --days 365 \\",
        "  --grid wide.toml --yes",
    )
)
@with_options
def optimize(
    *,
    days: Days = None,
    wanted: Wanted,
    require_real: RequireReal = False,
    cluster: Cluster = None,
    market: Market,
    common: Common,
) -> None:
    """Try every parameter set on the last day; save the best.

    Nothing is planned in the queue. On the invented market the window is its first day, on which `trade` follows.
    """
    from your_short_trade_margin_call.commands.asking import required_pair
    from your_short_trade_margin_call.commands.optimizing import optimize as run_optimize

    symbol = required_pair(common, "optimize")
    run_optimize(symbol, common, market, wanted, days, require_real, cluster, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak backtest BTCUSDT --lookback 50 --exit-type highest_low \\",
        "  --risk-fraction 0.5 --take-profit-pct 0.44% --candles btc.parquet",
    )
)
@with_options
def backtest(
    *,
    chosen: Chosen,
    params: Params = None,
    days: Days = None,
    trades: Annotated[Path | None, typer.Option("--trades", metavar="OUT.csv", help="Write every trade there.")] = None,
    market: Market,
    common: Common,
) -> None:
    """Run one parameter set over recorded candles.

    It takes all of them, or the last --days. What is not typed comes from --params, or from the pair's best parameters.
    """
    from your_short_trade_margin_call.commands.asking import required_pair
    from your_short_trade_margin_call.commands.backtesting import backtest as run_backtest

    symbol = required_pair(common, "backtest")
    run_backtest(symbol, common, market, chosen, params, days, trades, _screen(common))


@app.command(
    "walk-forward",
    epilog=examples(
        "shortest-peak walk-forward BTCUSDT",
        "shortest-peak walk-forward BTCUSDT --candles btc.parquet --figure btc.html",
        "shortest-peak walk-forward BTCUSDT --days 60 --window 48h --step 6h --json",
    ),
)
@with_options
def walk_forward(
    *, walking: Walking, grid: GridFile = None, require_real: RequireReal = False, market: Market, common: Common
) -> None:
    """Repeat the optimisation over the past; judge it.

    Every 12 hours the sweep is repeated on the 24 hours before, and one account trades its winners. Its equity, with
    the open position marked, is what the verdict rests on: REAL, CAN'T TELL or LUCK. 30 days, or a whole file.
    """
    from your_short_trade_margin_call.commands.asking import required_pair
    from your_short_trade_margin_call.commands.walking import walk_forward as run_walk

    symbol = required_pair(common, "walk-forward")
    run_walk(symbol, common, market, walking, grid, require_real, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak scan BTCUSDT ETHUSDT SOLUSDT",
        "shortest-peak scan --all --turnover 100M",
        "shortest-peak scan --candles recorded --json",
    )
)
@with_options
def scan(*, scanning: Scanning, grid: GridFile = None, require_real: RequireReal = False, general: General) -> None:
    """Judge many pairs at once, and mind that they are many.

    Each pair gets its record of 30 days (or of its whole file). The best of many looks good by luck alone, so the
    evidence it takes grows with the number of pairs. Each of them counts as looked at from then on.
    """
    from your_short_trade_margin_call.commands.scanning import scan as run_scan

    common = general.common()
    run_scan(scanning, common, grid, require_real, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak trade BTCUSDT --for 2h",
        "shortest-peak trade BTCUSDT --params mine.json --reoptimize never",
        "shortest-peak trade BTCUSDT --account demo",
    )
)
@with_options
def trade(
    *, params: Params = None, trading: Trading, access: Access, stake: Stake, market: Market, common: Common
) -> None:
    """Trade with the parameters that were saved before.

    There is no optimisation until the next one is due. On Bybit it goes on where the journal ended.
    """
    from your_short_trade_margin_call.commands.asking import required_pair
    from your_short_trade_margin_call.commands.main_job import trade as run_trade
    from your_short_trade_margin_call.commands.request import Typed

    typed = Typed(common, market, trading, access, stake)
    run_trade(required_pair(common, "trade"), typed, params, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak status",
        "shortest-peak status BTCUSDT --json",
    )
)
@with_options
def status(common: Common) -> None:
    """Show position, wallet and trades of each pair.

    It may be asked at any time, also while another process trades.
    """
    from your_short_trade_margin_call.commands.looking import status as show_status

    show_status(common, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak pause BTCUSDT",
    )
)
@with_options
def pause(common: Common) -> None:
    """Allow no new entries; an open short keeps its exits."""
    _control(common, "pause")


@app.command(
    epilog=examples(
        "shortest-peak resume BTCUSDT",
    )
)
@with_options
def resume(common: Common) -> None:
    """Allow entries again, after `pause` or `flatten`."""
    _control(common, "resume")


@app.command(
    epilog=examples(
        "shortest-peak flatten BTCUSDT",
    )
)
@with_options
def flatten(common: Common) -> None:
    """Buy an open short back; no entries until `resume`."""
    _control(common, "flatten")


def _control(common: Common, wish: str) -> None:
    from your_short_trade_margin_call.commands.controlling import control

    control(common, wish, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak queue --json",
    )
)
@with_options
def queue(common: Common) -> None:
    """Show which optimisations are planned and done."""
    from your_short_trade_margin_call.commands.looking import queue as show_queue

    show_queue(common, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak doctor",
        "shortest-peak doctor BTCUSDT --account demo --json",
    )
)
@with_options
def doctor(*, access: Access, endpoint: EndpointUrl = None, common: Common) -> None:
    """Check this computer, the way to Bybit, and an account.

    Nothing is changed anywhere. Exit code 1 when something must be mended before trading, 3 when Bybit cannot be
    reached.
    """
    from your_short_trade_margin_call.commands.doctoring import doctor as run_doctor

    run_doctor(common, access, endpoint, _screen(common))


@app.command(
    epilog=examples(
        "shortest-peak fetch BTCUSDT --days 30",
        "shortest-peak fetch BTCUSDT --days 7 --end 2025-06-29 --out btc.parquet",
    )
)
@with_options
def fetch(
    *,
    days: Annotated[int, typer.Option("--days", metavar="N", help="How many whole UTC days, and today so far.")] = 30,
    end: Annotated[str | None, typer.Option("--end", metavar="DAY", help="The last day, e.g. 2025-06-29.")] = None,
    minutes: Annotated[bool, typer.Option("--minutes", help="1-minute candles as well.")] = False,
    account: Annotated[Account, typer.Option("--account", help="Whose exchange: testnet has its own.")] = Account.PAPER,
    endpoint: EndpointUrl = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.parquet", help="Write it there too, for --candles.")
    ] = None,
    common: Common,
) -> None:
    """Fetch a pair's past from Bybit and keep it.

    Candles, mark prices and funding settlements, a file a day. What is kept is not fetched again, so it may be
    stopped at any time and goes on where it was. Only public data: no key is needed.
    """
    from your_short_trade_margin_call.commands.asking import required_pair
    from your_short_trade_margin_call.commands.fetching import Wish
    from your_short_trade_margin_call.commands.fetching import fetch as run_fetch

    wish = Wish(days, end, minutes, account, endpoint, out)
    run_fetch(required_pair(common, "fetch"), common, wish, _screen(common))


@app.command(name="compile", epilog=examples("shortest-peak compile"))
def compile_(json: Json = False, debug: Debug = False) -> None:
    """Compile the rules now, once for this version.

    It takes about a minute. Otherwise the first command that needs them does it, or has it done in the background.
    """
    from your_short_trade_margin_call.commands.compiling import compile_rules

    common = Common(json=json, debug=debug)
    compile_rules(common, _screen(common))


@app.command(
    "serve-exchange",
    epilog=examples(
        "shortest-peak serve-exchange",
        "shortest-peak serve-exchange BTCUSDT --candles btc.parquet --step",
    ),
)
@with_options
def serve_exchange(
    *,
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="The pairs; all known ones if none is named.")
    ] = None,
    serving: Serving,
) -> None:
    """Serve a look-alike of Bybit on this computer.

    Any V5 client can trade there: this program, ccxt, pybit. Prices are invented, or replayed from --candles.
    When the candles run out the last price stands.
    """
    from your_short_trade_margin_call.commands.serving import serve
    from your_short_trade_margin_call.reporting.screen import Screen

    serve(symbols or [], serving, Screen(to_stderr=serving.json))


@app.command(
    epilog=examples(
        "shortest-peak drill --markets 20",
        "shortest-peak drill --kind falling --kind planted --looks 0 --json",
    )
)
@with_options
def drill(drilling: Drilling) -> None:
    """Try the verdict on markets without an edge.

    The whole procedure runs on invented markets: REAL must be said of no more than 5 in 100 that have no edge. Beside
    them stand markets with a planted edge. Exit code 1 when REAL is said too often. About a second a market.
    """
    from your_short_trade_margin_call.commands.drilling import drill as run_drill
    from your_short_trade_margin_call.reporting.screen import Screen

    run_drill(drilling, Screen(to_stderr=drilling.json))
