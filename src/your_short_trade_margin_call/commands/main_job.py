"""The main job (`run`): optimise, show what it is worth, ask, trade. And `trade`: with what was saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from your_short_trade_margin_call.adapters.storage.artefacts import load_best_params, params_of
from your_short_trade_margin_call.adapters.storage.journal import require_free
from your_short_trade_margin_call.commands import real_money
from your_short_trade_margin_call.commands.affording import Agreement
from your_short_trade_margin_call.commands.asking import ask_yes, can_ask, named_pair, pair_or_ask
from your_short_trade_margin_call.commands.optimizing import (
    NO_EDGE,
    evidence_text,
    introduce,
    is_real,
    optimization_json,
    require_verdict,
    show_optimization,
    show_settings,
    show_worst_loss,
    swept,
    window_of,
    without_evidence,
)
from your_short_trade_margin_call.commands.options import Wanted
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.program import INTERRUPTED
from your_short_trade_margin_call.commands.request import Typed
from your_short_trade_margin_call.commands.standing import open_shorts
from your_short_trade_margin_call.commands.trading_run import outcome_json, show_outcome, trade_now
from your_short_trade_margin_call.composition import Prepared, make_optimizer, prepare
from your_short_trade_margin_call.domain.errors import UnknownPairError
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.main_engine import WITHOUT_EVIDENCE, Optimization
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.sheets import params_text, show_rows
from your_short_trade_margin_call.reporting.text import moment

_CYCLE_ONLY = {"window", "reoptimize", "stale_after"}
"""Settings that change when parameters are searched, not what they earn."""


def run(typed: Typed, wanted: Wanted, no_trade: bool, require_real: bool, screen: Screen) -> None:
    """The main job: everything in order.

    Raises:
        AnswerIsNoError: `require_real`, and the verdict is another; then nothing was traded.
        ShortestPeakError: a named error that says what to do.
    """
    common = typed.common
    with _nothing_traded_yet(screen):
        prepared, is_default = _prepare_some_pair(screen, typed, wanted.grid, no_trade)
        prepared = without_evidence(prepared) if wanted.no_evidence else prepared
        symbol = prepared.request.symbol
        introduce(screen, prepared)
        if is_default:
            screen.say(f"No pair was named: this is {symbol}. Name another with --symbol.")
        if not no_trade:
            require_free(prepared.journal)
            real_money.require_checks(screen, prepared)
        optimization = _optimize_first(screen, prepared, typed, wanted)
        may_trade = not no_trade and (is_real(optimization) or not require_real)
        is_wanted = may_trade and _is_agreed(screen, prepared, typed, optimization)
    outcome = None
    if is_wanted:
        outcome = trade_now(screen, prepared, optimization.params, optimization.has_edge)
        show_outcome(screen, prepared, outcome)
    if common.json:
        first = optimization_json(prepared, optimization)
        traded = None if outcome is None else outcome_json(outcome)
        print_json({"symbol": symbol, "market": prepared.name, "optimization": first, "trading": traded})
    require_verdict(optimization, require_real)


def trade(symbol: str, typed: Typed, params: Path | None, screen: Screen) -> None:
    """The `trade` command: saved parameters, and no sweep before the first due one.

    Raises:
        ShortestPeakError: a named error; without saved parameters it says how to make them.
    """
    with _nothing_traded_yet(screen):
        request = typed.request(symbol)
        real_money.require_stake(request, typed.stake, can_ask(typed.common))
        prepared = prepare(request, screen.say)
        introduce(screen, prepared)
        require_free(prepared.journal)
        real_money.require_checks(screen, prepared)
        saved = _saved_params(prepared, params)
        chosen = real_money.with_risk(params_of(saved), request.risk_fraction)
        screen.heading(f"{symbol} on the {prepared.name} market")
        show_rows(screen, [("parameters", params_text(chosen))])
        screen.say(evidence_text(prepared, saved["evidence"] or WITHOUT_EVIDENCE), style="bold")
        _show_doubts(screen, prepared, saved)
        last_price = float(window_of(prepared, prepared.start_ms).close[-1])
        show_worst_loss(screen, prepared, chosen, last_price, saved["results"].get("avg_win") or 0.0)
        if request.account is Account.MAINNET:
            real_money.require_evidence(prepared, saved)
            real_money.confirm(screen, prepared, typed.stake)
    outcome = trade_now(screen, prepared, chosen, _has_edge(saved), plan_next=True)
    show_outcome(screen, prepared, outcome)
    if typed.common.json:
        print_json({"symbol": symbol, "market": prepared.name, "trading": outcome_json(outcome)})


# ---- before trading ------------------------------------------------------------------------------


@contextmanager
def _nothing_traded_yet(screen: Screen) -> Iterator[None]:
    """Ctrl-C in here sends nothing; what an earlier run left open is said."""
    try:
        yield
    except KeyboardInterrupt:
        screen.say()
        opened = open_shorts(Paths.default())
        screen.say(
            "Stopped before trading: no order was sent, " + ("nothing is open." if not opened else "and open is:")
        )
        for short in opened:
            screen.tell("  ", f"{short}, with its stop and target")
        raise typer.Exit(INTERRUPTED) from None


def _prepare_some_pair(screen: Screen, typed: Typed, grid: Path | None, no_trade: bool) -> tuple[Prepared, bool]:
    """The pair that was named, asked for, or taken by default; asked for again where nobody knows it."""
    common = typed.common
    while True:
        symbol, is_default = pair_or_ask(common, screen)
        request = typed.request(symbol, grid)
        if not no_trade:
            real_money.require_stake(request, typed.stake, can_ask(common))
        try:
            return prepare(request, screen.say), is_default
        except UnknownPairError as error:
            if named_pair(common) is not None or not can_ask(common):
                raise
            screen.say(str(error), style="yellow")


def _optimize_first(screen: Screen, prepared: Prepared, typed: Typed, wanted: Wanted) -> Optimization:
    """Optimise on the first window; trading begins where it ends."""
    until_ms = prepared.start_ms
    window = window_of(prepared, until_ms)
    show_settings(screen, prepared, window)
    optimizer = make_optimizer(prepared)
    agreement = Agreement(can_ask(typed.common), wanted.yes)
    optimization = swept(
        screen, prepared, window, agreement, lambda *reports: optimizer.optimize_first(until_ms, *reports)
    )
    for note in optimizer.parts.queue.notes:
        screen.say(note, style="yellow")
    if not typed.common.json:
        show_optimization(screen, prepared, optimization, window)
    return optimization


def _saved_params(prepared: Prepared, named: Path | None) -> dict[str, Any]:
    """The document of `--params FILE`, or the pair's own for this market."""
    request = prepared.request
    if named is not None:
        return load_best_params(named, request.symbol, move_corrupt=False)
    return load_best_params(request.paths.pair_best_params(request.symbol, prepared.name), request.symbol)


def _show_doubts(screen: Screen, prepared: Prepared, saved: dict[str, Any]) -> None:
    """Say where the saved parameters do not fit what is about to be traded."""
    settings = prepared.request.settings
    now = {name: value for name, value in settings.model_dump(mode="json").items() if name not in _CYCLE_ONLY}
    changed = [name for name, value in now.items() if saved["settings"].get(name) != value]
    if changed:
        screen.say(f"These parameters were found under other settings: {', '.join(changed)}.", style="yellow")
    start_ms = prepared.start_ms
    if saved["candles"]["end_ms"] > start_ms and saved["market"] == prepared.name:
        screen.say(
            f"These parameters were chosen on candles up to {moment(saved['candles']['end_ms'])} UTC, and trading "
            f"begins at {moment(start_ms)} UTC: they know a part of this future. The result flatters.",
            style="bold yellow",
        )
    if not _has_edge(saved):
        screen.say(NO_EDGE, style="bold yellow")


def _has_edge(saved: dict[str, Any]) -> bool:
    """Whether the set made money where it was chosen; a file made by hand need not say."""
    return bool(saved["results"].get("pnl_value", 1.0) > 0)


def _is_agreed(screen: Screen, prepared: Prepared, typed: Typed, optimization: Optimization) -> bool:
    """Whether to go on: asked on paper, all gates passed with real money; demo and testnet play with none."""
    account = prepared.request.account
    if account is Account.MAINNET:
        real_money.require_evidence(prepared, optimization.document)
        if typed.common.json:  # otherwise it stands above, with the best set
            real_money.show_loss(screen, prepared, optimization)
        real_money.confirm(screen, prepared, typed.stake)
        return True
    if account is not Account.PAPER or not can_ask(typed.common):
        return True
    screen.say()
    return ask_yes(screen, "Trade on paper now?")
