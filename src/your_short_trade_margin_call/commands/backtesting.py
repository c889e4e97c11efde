"""The `backtest` command: one parameter set over candles, with every trade on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from your_short_trade_margin_call.adapters.storage.artefacts import load_best_params, params_of
from your_short_trade_margin_call.adapters.storage.files import write_atomically
from your_short_trade_margin_call.commands.first_start import (
    begin_first_start,
    is_small_work,
    promptly,
)
from your_short_trade_margin_call.commands.optimizing import (
    facts_rows,
    introduce,
    range_of,
    show_trades,
)
from your_short_trade_margin_call.commands.options import Chosen, Common, Market
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.request import make_request
from your_short_trade_margin_call.commands.typed import days_ms, parse_number, parse_time
from your_short_trade_margin_call.composition import Prepared, make_backtest_engine, prepare
from your_short_trade_margin_call.domain.errors import ArtefactError, BadInputError
from your_short_trade_margin_call.domain.params import StrategyParams, params_as_dict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.reporting.screen import Screen, doubt_about
from your_short_trade_margin_call.reporting.sheets import (
    days_of,
    params_text,
    result_rows,
    settings_rows,
    show_rows,
)
from your_short_trade_margin_call.research.backtest_engine import BacktestResult

_OPTIONS = {
    "highest_high_lookback": "--lookback",
    "exit_type": "--exit-type",
    "risk_fraction": "--risk-fraction",
    "take_profit_pct": "--take-profit-pct",
}

_NOT_TESTED = "NOT TESTED: one set on one stretch of candles; nothing here says that it is better than luck."


def backtest(
    symbol: str,
    common: Common,
    market: Market,
    chosen: Chosen,
    params_file: Path | None,
    days: float | None,
    trades: Path | None,
    screen: Screen,
) -> None:
    """Run it: the whole file, or its last `days`.

    Raises:
        BadInputError: a parameter is missing or cannot be used.
        DiskError: `trades` could not be written.
    """
    prepared = prepare(make_request(symbol, common, market, days=days))
    introduce(screen, prepared)
    candles = _last_days(prepared.candles, days)
    params = _params(screen, prepared, chosen, params_file)
    engine, is_small = make_backtest_engine(prepared), is_small_work(len(candles), 1)
    begin_first_start(screen, is_small)
    result = promptly(lambda: engine.backtest(candles, params), is_small)
    if trades is not None:
        write_atomically(trades, result.trades.write_csv())
    if common.json:
        print_json(_as_json(prepared, candles, result))
        return
    _show(screen, prepared, candles, result)
    if trades is not None:
        screen.say()
        screen.tell("saved  ", str(trades))


def _last_days(candles: Candles, days: float | None) -> Candles:
    return candles if days is None else candles.between(candles.end_ms - days_ms(days), candles.end_ms)


def _params(screen: Screen, prepared: Prepared, chosen: Chosen, params_file: Path | None) -> StrategyParams:
    """What was typed, completed from `--params FILE` or the pair's best parameters."""
    typed = _typed(chosen)
    missing = [name for name in _OPTIONS if name not in typed]
    if not missing and params_file is None:
        return StrategyParams(**typed)
    request = prepared.request
    path = params_file or request.paths.pair_best_params(request.symbol, prepared.name)
    is_there = path.exists()
    try:
        saved = params_of(load_best_params(path, request.symbol, move_corrupt=params_file is None), path)
    except ArtefactError as error:
        if params_file is not None or is_there:
            raise
        wanted = ", ".join(_OPTIONS[name] for name in missing)
        raise BadInputError(
            f"{wanted} missing, and there are no best parameters at {path}.",
            f"Give all four, or run `shortest-peak optimize {request.symbol}` first.",
        ) from error
    screen.say(f"From {path}: {', '.join(missing) or 'nothing but its stop-loss and longest hold'}.")
    return StrategyParams(**{**params_as_dict(saved), **typed})


def _typed(chosen: Chosen) -> dict[str, Any]:
    """The parameters on the command line, by the names of `StrategyParams`."""
    numbers = {
        "risk_fraction": (chosen.risk_fraction, "--risk-fraction"),
        "take_profit_pct": (chosen.take_profit_pct, "--take-profit-pct"),
        "stop_loss_pct": (chosen.stop_loss_pct, "--stop-loss-pct"),
    }
    typed: dict[str, Any] = {
        name: parse_number(text, option) for name, (text, option) in numbers.items() if text is not None
    }
    if chosen.lookback is not None:
        typed["highest_high_lookback"] = chosen.lookback
    if chosen.exit_type is not None:
        typed["exit_type"] = chosen.exit_type
    if chosen.max_hold is not None:
        typed["max_hold_ms"] = parse_time(chosen.max_hold, "--max-hold")
    return typed


def _show(screen: Screen, prepared: Prepared, candles: Candles, result: BacktestResult) -> None:
    settings, covered = prepared.request.settings, range_of(candles)
    screen.heading(f"{candles.symbol} on the {prepared.name} market")
    show_rows(screen, settings_rows(settings, covered))
    screen.heading("One parameter set")
    show_rows(screen, [("parameters", params_text(result.params))])
    metrics = result.metrics.as_dict()
    show_rows(screen, result_rows(metrics, result.blocked, settings.starting_balance, days_of(covered)))
    show_rows(screen, facts_rows(result.facts))
    show_trades(screen, result.rows, prepared.instrument.price_decimals, limit=20)
    screen.say()
    screen.say(_NOT_TESTED + doubt_about(prepared.name), style="bold")


def _as_json(prepared: Prepared, candles: Candles, result: BacktestResult) -> dict[str, Any]:
    return {
        "symbol": candles.symbol,
        "market": prepared.name,
        "candles": {
            "start_ms": candles.start_ms,
            "end_ms": candles.end_ms,
            "count": len(candles),
            "hash": candles.content_hash,
            "gaps": candles.gaps,
            "missing": candles.missing,
        },
        "params": params_as_dict(result.params),
        "metrics": result.metrics.as_dict(),
        "blocked": result.blocked,
        "trades": result.metrics.trades,
        "facts": result.facts,
        "notices": list(prepared.notices),
    }
