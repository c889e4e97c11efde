"""The main job (`run`): optimise, show what it is worth, ask, trade. And `trade`: with what was saved."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from your_short_trade_margin_call.adapters.storage.artefacts import load_best_params, params_of
from your_short_trade_margin_call.adapters.storage.optimization_queue import OptimizationQueue
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.asking import ask_yes, can_ask, pair_or_ask
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
)
from your_short_trade_margin_call.commands.options import Common, Market, Trading
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.program import INTERRUPTED
from your_short_trade_margin_call.commands.request import make_request
from your_short_trade_margin_call.commands.stopping import INTERRUPTIONS, stopping
from your_short_trade_margin_call.commands.watcher import Desk, TradingWatcher
from your_short_trade_margin_call.composition import (
    SIMULATED_SPEED,
    Prepared,
    TradingSession,
    make_optimizer,
    make_trading_session,
    prepare,
)
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.main_engine import NOT_TESTED, Optimization, TradingSummary
from your_short_trade_margin_call.reporting.live_line import position_text
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.sheets import params_text, show_rows, trades_text
from your_short_trade_margin_call.reporting.text import counted, listed, moment, signed_percent, span, usdt
from your_short_trade_margin_call.trading.state import Context, make_context

SAME_MONEY_USDT = 1e-6
"""Wallet and journal may differ by this much: the dust of adding in another order."""


HOW_TO_GO_ON = (
    "To go on, start the command again: a replayed or invented market then begins at its start, with a fresh "
    "journal, and this one is kept beside it."
)


_CYCLE_ONLY = {"window", "reoptimize", "stale_after"}
"""Settings that change when parameters are searched, not what they earn."""


@dataclass(frozen=True)
class Outcome:
    """What trading came to: the summary, where things stood at the end, why it ended."""

    summary: TradingSummary
    watcher: TradingWatcher
    ended_by: str
    wall_s: float


def run(common: Common, market: Market, trading: Trading, grid: Path | None, no_trade: bool, require_real: bool,
        screen: Screen) -> None:  # fmt: skip
    """The main job: everything in order.

    Raises:
        AnswerIsNoError: `require_real`, and the verdict is another; then nothing was traded.
        ShortestPeakError: a named error that says what to do.
    """
    with _nothing_traded_yet(screen):
        symbol, is_default = pair_or_ask(common, screen)
        prepared = prepare(make_request(symbol, common, market, trading, grid=grid))
        introduce(screen, prepared)
        if is_default:
            screen.say(f"No pair was named: this is {symbol}. Name another with --symbol.")
        optimization = _optimize_first(screen, prepared, as_json=common.json)
        may_trade = not no_trade and (is_real(optimization) or not require_real)
        is_wanted = may_trade and (not can_ask(common) or _agrees(screen))
    outcome = None
    if is_wanted:
        outcome = _trade(screen, prepared, optimization.params, optimization.has_edge)
        _show_outcome(screen, prepared, outcome)
    if common.json:
        first = optimization_json(prepared, optimization)
        traded = None if outcome is None else _outcome_json(outcome)
        print_json({"symbol": symbol, "market": str(prepared.market), "optimization": first, "trading": traded})
    require_verdict(optimization, require_real)


def trade(symbol: str, common: Common, market: Market, trading: Trading, params: Path | None, screen: Screen) -> None:
    """The `trade` command: saved parameters, and no sweep before the first due one.

    Raises:
        ShortestPeakError: a named error; without saved parameters it says how to make them.
    """
    with _nothing_traded_yet(screen):
        prepared = prepare(make_request(symbol, common, market, trading))
        introduce(screen, prepared)
        saved = _saved_params(prepared, params)
        screen.heading(f"{symbol} on the {prepared.market} market")
        show_rows(screen, [("parameters", params_text(params_of(saved)))])
        screen.say(evidence_text(prepared, saved["evidence"] or NOT_TESTED), style="bold")
        _show_doubts(screen, prepared, saved)
        start_ms = prepared.candles.start_ms + prepared.request.settings.window
        last_price = float(window_of(prepared, start_ms).close[-1])
        show_worst_loss(screen, prepared, params_of(saved), last_price, saved["results"].get("avg_win") or 0.0)
    outcome = _trade(screen, prepared, params_of(saved), _has_edge(saved), plan_next=True)
    _show_outcome(screen, prepared, outcome)
    if common.json:
        print_json({"symbol": symbol, "market": str(prepared.market), "trading": _outcome_json(outcome)})


# ---- before trading ------------------------------------------------------------------------------


@contextmanager
def _nothing_traded_yet(screen: Screen) -> Iterator[None]:
    """Ctrl-C in here leaves nothing behind."""
    try:
        yield
    except KeyboardInterrupt:
        screen.say()
        screen.say("Stopped before trading: no order was sent, nothing is open.")
        raise typer.Exit(INTERRUPTED) from None


def _optimize_first(screen: Screen, prepared: Prepared, as_json: bool) -> Optimization:
    """Optimise on the first window; trading begins where it ends."""
    until_ms = prepared.candles.start_ms + prepared.request.settings.window
    window = window_of(prepared, until_ms)
    show_settings(screen, prepared, window)
    optimizer = make_optimizer(prepared)
    optimization = swept(screen, prepared, lambda report: optimizer.optimize_first(until_ms, report))
    for note in optimizer.parts.queue.notes:
        screen.say(note, style="yellow")
    if not as_json:
        show_optimization(screen, prepared, optimization, window)
    return optimization


def _saved_params(prepared: Prepared, named: Path | None) -> dict[str, Any]:
    """The document of `--params FILE`, or the pair's own for this market."""
    request = prepared.request
    if named is not None:
        return load_best_params(named, request.symbol, move_corrupt=False)
    return load_best_params(request.paths.pair_best_params(request.symbol, prepared.market), request.symbol)


def _show_doubts(screen: Screen, prepared: Prepared, saved: dict[str, Any]) -> None:
    """Say where the saved parameters do not fit what is about to be traded."""
    settings = prepared.request.settings
    now = {name: value for name, value in settings.model_dump(mode="json").items() if name not in _CYCLE_ONLY}
    changed = [name for name, value in now.items() if saved["settings"].get(name) != value]
    if changed:
        screen.say(f"These parameters were found under other settings: {', '.join(changed)}.", style="yellow")
    start_ms = prepared.candles.start_ms + settings.window
    if saved["candles"]["end_ms"] > start_ms and saved["market"] == prepared.market:
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


def _agrees(screen: Screen) -> bool:
    screen.say()
    return ask_yes(screen, "Trade on paper now?")


# ---- trading -------------------------------------------------------------------------------------


def _trade(
    screen: Screen, prepared: Prepared, params: StrategyParams, has_edge: bool, plan_next: bool = False
) -> Outcome:
    """Trade until the market, the time or the trader ends it."""
    context = make_context(prepared.request.settings, prepared.instrument, params.highest_high_lookback)
    session, watcher = _session(screen, prepared, context)
    try:
        if plan_next:
            session.main.plan_next(session.start_ms)
        watcher.look_up_next()
        _announce(screen, prepared, session)
        started = stopwatch_s()
        with screen.live(watcher.live):
            summary, ended_by = asyncio.run(_traded(session, params, has_edge, prepared.request.wall_ms))
        return Outcome(summary, watcher, ended_by, stopwatch_s() - started)
    except ShortestPeakError:
        screen.tell("stays open  ", _what_stays(watcher))
        raise
    finally:
        for note in session.main.parts.queue.notes:
            screen.say(note, style="yellow")
        session.close()


def _session(screen: Screen, prepared: Prepared, context: Context) -> tuple[TradingSession, TradingWatcher]:
    queue = OptimizationQueue(prepared.request.paths.optimization_queue)
    desk = Desk(context, lambda: queue.next_due(prepared.request.symbol, prepared.market), stopwatch_s)
    watcher = TradingWatcher(screen, desk)
    session = make_trading_session(
        prepared, observer=watcher, on_optimized=watcher.optimized, on_problem=watcher.problem
    )
    return session, watcher


async def _traded(
    session: TradingSession, params: StrategyParams, has_edge: bool, wall_ms: int | None
) -> tuple[TradingSummary, str]:
    reasons: list[str] = []

    def stop(reason: str) -> None:
        reasons.append(reason)
        session.main.stop()

    with stopping(stop, wall_ms):
        summary = await session.main.trade(params, has_edge)
    return summary, reasons[0] if reasons else "the end of the candles"


def _announce(screen: Screen, prepared: Prepared, session: TradingSession) -> None:
    request = prepared.request
    speed = request.speed or (SIMULATED_SPEED if prepared.is_invented else math.inf)
    pace = "As fast as it goes" if math.isinf(speed) else f"{speed:,.10g} times real time"
    length_ms = prepared.candles.end_ms - session.start_ms
    lasts = length_ms / speed if request.wall_ms is None else min(length_ms / speed, request.wall_ms)
    about = "" if math.isinf(speed) and request.wall_ms is None else f", about {span(lasts)}"
    screen.heading(f"Trading on {request.account} from {moment(session.start_ms)} UTC")
    screen.say(f"{pace}{about}. Ctrl-C ends it.", style="dim")


# ---- after trading -------------------------------------------------------------------------------


def _show_outcome(screen: Screen, prepared: Prepared, outcome: Outcome) -> None:
    """Print the summary, and what stays open."""
    summary, start = outcome.summary, prepared.request.settings.starting_balance
    screen.heading(f"Over after {span(1_000 * outcome.wall_s)}: {outcome.ended_by}")
    change = 100.0 * (summary.equity / start - 1.0)
    rows = [
        ("trades", trades_text(summary.trades, summary.wins)),
        ("wallet", f"{usdt(summary.wallet)}, {_books_agree(summary)}"),
        ("equity", f"{usdt(summary.equity)} ({signed_percent(change)} of {usdt(start)})"),
        ("blocked", listed(summary.blocked)),
        ("optimised", f"{counted(summary.optimizations, 'time')} while trading"),
        ("stays open", _what_stays(outcome.watcher)),
        ("journal", str(_journal(prepared))),
    ]
    show_rows(screen, rows)
    if outcome.ended_by in INTERRUPTIONS or summary.open_position:
        screen.say(HOW_TO_GO_ON)


def _books_agree(summary: TradingSummary) -> str:
    difference = summary.wallet - summary.journal_wallet
    if abs(difference) <= SAME_MONEY_USDT:
        return "as the journal's executions add up to"
    return f"but the journal's executions add up to {summary.journal_wallet:,.8f}: please report this"


def _what_stays(watcher: TradingWatcher) -> str:
    now = watcher.now()
    return "nothing" if now is None or now.position is None else position_text(now.position, now.decimals)


def _journal(prepared: Prepared) -> Path:
    return prepared.request.paths.journal(prepared.request.symbol, prepared.request.account, prepared.market)


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    now = outcome.watcher.now()
    position = None if now is None or now.position is None else asdict(now.position)
    return {**outcome.summary.as_dict(), "position": position, "ended_by": outcome.ended_by,
            "wall_s": round(outcome.wall_s, 3)}  # fmt: skip
