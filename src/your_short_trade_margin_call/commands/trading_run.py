"""One run of trading, from the announcement to the summary; what stays open is said in every case."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.storage.optimization_queue import OptimizationQueue
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.first_start import warn_of_compiling
from your_short_trade_margin_call.commands.standing import open_shorts
from your_short_trade_margin_call.commands.stopping import INTERRUPTIONS, stopping
from your_short_trade_margin_call.commands.watcher import Desk, TradingWatcher
from your_short_trade_margin_call.composition import (
    SIMULATED_SPEED,
    Prepared,
    TradingSession,
    make_trading_session,
)
from your_short_trade_margin_call.composition.rehearsal import rehearse
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.main_engine import TradingSummary
from your_short_trade_margin_call.reporting.live_line import position_text
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.sheets import show_rows, trades_text
from your_short_trade_margin_call.reporting.text import counted, listed, moment, signed_percent, span, usdt
from your_short_trade_margin_call.rules.position import unrealized_pnl
from your_short_trade_margin_call.trading.state import Context, make_context

if TYPE_CHECKING:
    from your_short_trade_margin_call.composition.live import Live

SAME_MONEY_USDT = 1e-6
"""Wallet and journal may differ by this much: the dust of adding in another order."""

HOW_TO_GO_ON = (
    "To go on, start the command again: a replayed or invented market then begins at its start, with a fresh "
    "journal, and this one is kept beside it."
)
HOW_TO_GO_ON_LIVE = "To go on, start the command again: it continues this journal."
STAYS_ON_THE_EXCHANGE = (
    "It stays open on the exchange with the stop and the target that rest there. Nothing else is done for it until "
    "the command runs again, or you close it by hand on Bybit."
)
STAYS_ON_PAPER = (
    "It stays open on paper; what its stop or target met meanwhile is worked out when the command runs again."
)


@dataclass(frozen=True)
class Outcome:
    """What trading came to: the summary, where things stood at the end, why it ended."""

    summary: TradingSummary
    watcher: TradingWatcher
    ended_by: str
    wall_s: float


def trade_now(
    screen: Screen, prepared: Prepared, params: StrategyParams, has_edge: bool, plan_next: bool = False
) -> Outcome:
    """Trade until the market, the time or the trader ends it.

    Raises:
        ShortestPeakError: something stopped it; what stays open has been said.
    """
    warn_of_compiling(screen, unrealized_pnl)
    rehearse(prepared, params)
    context = make_context(prepared.request.settings, prepared.instrument, params.highest_high_lookback)
    session, watcher = _session(screen, prepared, context)
    try:
        if plan_next:
            session.main.plan_next(session.start_ms)
        watcher.look_up_next()
        started = stopwatch_s()
        with screen.live(watcher.live):
            summary, ended_by = run_async(_traded(screen, prepared, session, params, has_edge))
        return Outcome(summary, watcher, ended_by, stopwatch_s() - started)
    except (ShortestPeakError, KeyboardInterrupt):
        screen.tell("stays open  ", what_stays(prepared, watcher))
        raise
    finally:
        for note in session.main.parts.queue.notes:
            screen.say(note, style="yellow")
        session.close()


def _session(screen: Screen, prepared: Prepared, context: Context) -> tuple[TradingSession, TradingWatcher]:
    queue = OptimizationQueue(prepared.request.paths.optimization_queue)
    symbol, market, lane = prepared.request.symbol, prepared.name, prepared.lane
    desk = Desk(context, lambda: queue.next_due(symbol, market, account=lane), stopwatch_s)
    watcher = TradingWatcher(screen, desk)
    session = make_trading_session(
        prepared, observer=watcher, on_optimized=watcher.optimized, on_problem=watcher.problem
    )
    return session, watcher


async def _traded(
    screen: Screen, prepared: Prepared, session: TradingSession, params: StrategyParams, has_edge: bool
) -> tuple[TradingSummary, str]:
    reasons: list[str] = []

    def stop(reason: str) -> None:
        reasons.append(reason)
        session.stop()

    with stopping(stop, prepared.request.wall_ms):
        _announce(screen, prepared, session)  # "Ctrl-C ends it" is true from here on
        summary = await session.trade(params, has_edge)
    return summary, reasons[0] if reasons else "the end of the candles"


def _announce(screen: Screen, prepared: Prepared, session: TradingSession) -> None:
    request = prepared.request
    if prepared.live is not None:
        screen.heading(f"Trading on {request.account} from {moment(session.start_ms)} UTC")
        until = "" if request.wall_ms is None else f" for {span(request.wall_ms)}"
        screen.say(f"{_pace_of(prepared.live)}{until}. Ctrl-C ends it.", style="dim")
        return
    speed = request.speed or (SIMULATED_SPEED if prepared.is_invented else math.inf)
    pace = "As fast as it goes" if math.isinf(speed) else f"{speed:,.10g} times real time"
    length_ms = prepared.candles.end_ms - session.start_ms
    lasts = length_ms / speed if request.wall_ms is None else min(length_ms / speed, request.wall_ms)
    about = "" if math.isinf(speed) and request.wall_ms is None else f", about {span(lasts)}"
    screen.heading(f"Trading on {request.account} from {moment(session.start_ms)} UTC")
    screen.say(f"{pace}{about}. Ctrl-C ends it.", style="dim")


def _pace_of(live: Live) -> str:
    speed = live.clock.speed
    if live.public.is_loopback:
        return f"A look-alike of Bybit at {speed:,.10g} times real time" if speed else "A look-alike of Bybit, stepped"
    return "In real time, a candle closes every 3 minutes"


# ---- after trading -------------------------------------------------------------------------------


def show_outcome(screen: Screen, prepared: Prepared, outcome: Outcome) -> None:
    """Print the summary, and what stays open."""
    summary, start = outcome.summary, outcome.summary.starting_balance
    screen.heading(f"Over after {span(1_000 * outcome.wall_s)}: {outcome.ended_by}")
    change = 100.0 * (summary.equity / start - 1.0)
    rows = [
        ("trades", trades_text(summary.trades, summary.wins)),
        ("wallet", f"{usdt(summary.wallet)}, {books_agree(summary)}"),
        ("equity", f"{usdt(summary.equity)} ({signed_percent(change)} of {usdt(start)})"),
        ("blocked", listed(summary.blocked)),
        ("optimised", f"{counted(summary.optimizations, 'time')} while trading"),
        ("stays open", what_stays(prepared, outcome.watcher, is_open=summary.open_position)),
        ("journal", str(prepared.journal)),
    ]
    show_rows(screen, rows)
    if summary.open_position and prepared.live is not None:
        is_paper = prepared.request.account is Account.PAPER
        screen.say(STAYS_ON_PAPER if is_paper else STAYS_ON_THE_EXCHANGE, style="bold")
    if outcome.ended_by in INTERRUPTIONS or summary.open_position:
        screen.say(HOW_TO_GO_ON if prepared.live is None else HOW_TO_GO_ON_LIVE)


def books_agree(summary: TradingSummary) -> str:
    """Whether the engine's wallet is what the journal's executions add up to, in words."""
    difference = summary.wallet - summary.journal_wallet
    if abs(difference) <= SAME_MONEY_USDT:
        return "as the journal's executions add up to"
    if summary.disturbed:
        return f"of which the journal's executions explain {summary.journal_wallet:,.2f}: others did the rest, as told"
    return f"but the journal's executions add up to {summary.journal_wallet:,.8f}: please report this"


FATE_UNKNOWN = "perhaps a short: what became of an entry that was sent is not known; look at the exchange"


def what_stays(prepared: Prepared, watcher: TradingWatcher, *, is_open: bool = False) -> str:
    """What is open by the engine's last word; where it never came to speak, by the journal.

    `is_open` without a position to show is an entry on its way.
    """
    now = watcher.now()
    if now is None:
        return "; ".join(open_shorts(prepared.request.paths, prepared.journal)) or "nothing"
    if now.position is None:
        return FATE_UNKNOWN if is_open else "nothing"
    return position_text(now.position, now.decimals)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What trading came to, for machines."""
    now = outcome.watcher.now()
    position = None if now is None or now.position is None else asdict(now.position)
    return {**outcome.summary.as_dict(), "position": position, "ended_by": outcome.ended_by,
            "wall_s": round(outcome.wall_s, 3)}  # fmt: skip
