"""One optimisation as a person sees it: settings, progress, the best set, what it rests on and may cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.affording import Agreement, require_agreement
from your_short_trade_margin_call.commands.asking import can_ask
from your_short_trade_margin_call.commands.first_start import (
    begin_first_start,
    interpreted,
    is_small_work,
    promptly,
)
from your_short_trade_margin_call.commands.options import Common, Market, Wanted
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.request import make_request
from your_short_trade_margin_call.commands.stopping import interruptible
from your_short_trade_margin_call.commands.worst_loss import worst_loss
from your_short_trade_margin_call.composition import (
    Prepared,
    cluster_at,
    make_backtest_engine,
    make_optimizer,
    prepare,
)
from your_short_trade_margin_call.domain.errors import AnswerIsNoError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.main_engine import Optimization
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.reporting.evidence_text import NOT_TESTED
from your_short_trade_margin_call.reporting.progress import Report, progress, sweep_progress
from your_short_trade_margin_call.reporting.screen import Screen, doubt_about
from your_short_trade_margin_call.reporting.sheets import (
    CandleRange,
    cycle_rows,
    days_of,
    params_text,
    result_rows,
    settings_rows,
    show_rows,
    trades_table,
)
from your_short_trade_margin_call.reporting.text import counted, span
from your_short_trade_margin_call.reporting.views_text import views_rows
from your_short_trade_margin_call.reporting.worst_loss import worst_loss_rows

NO_EDGE = (
    "The best trial made no money in its own window: there are no entries (no_edge) until a later optimisation "
    "finds one that did."
)

NO_EVIDENCE = "Real money waits for the verdict REAL: there are no entries (no_edge) until an optimisation finds it."
ON_ALL_THE_SAME = "Trading goes on all the same where no money is at stake; real money would wait for REAL."


def optimize(symbol: str, common: Common, market: Market, wanted: Wanted, days: float | None, require_real: bool,
             cluster: str | None, screen: Screen) -> None:  # fmt: skip
    """The `optimize` command: the last days of the candles, the artefacts, no queue.

    On an invented market the window is its first day, so that `trade` afterwards does not know the future.

    Raises:
        AnswerIsNoError: `require_real`, and the verdict is another.
        ClusterError: the cluster at the address `cluster` cannot be used.
    """
    prepared = prepare(make_request(symbol, common, market, grid=wanted.grid, days=days))
    prepared = without_evidence(prepared) if wanted.no_evidence else prepared
    introduce(screen, prepared)
    until_ms = prepared.candles.end_ms
    if prepared.is_invented:
        until_ms = prepared.start_ms
    window = window_of(prepared, until_ms)
    show_settings(screen, prepared, window)
    agreement = Agreement(can_ask(common), wanted.yes)
    with cluster_at(cluster) as executor:
        if executor is not None:
            screen.say(f"The sweep is made at {cluster}: {counted(len(executor.workers), 'worker')}.")
        optimizer = make_optimizer(prepared, executor)
        optimization = swept(
            screen,
            prepared,
            window,
            agreement,
            lambda *reports: optimizer.optimize(until_ms, *reports, with_views=True),
        )
    if common.json:
        print_json(optimization_json(prepared, optimization))
    else:
        show_optimization(screen, prepared, optimization, window)
    require_verdict(optimization, require_real)


def introduce(screen: Screen, prepared: Prepared) -> None:
    """Say what must be known before anything else."""
    screen.mark_market(prepared.name)
    for notice in prepared.notices:
        screen.say(notice, style="yellow")


def without_evidence(prepared: Prepared) -> Prepared:
    """The same, not tested against luck."""
    return replace(prepared, request=replace(prepared.request, wants_evidence=False))


def window_of(prepared: Prepared, until_ms: int) -> Candles:
    """The candles that an optimisation at `until_ms` looks at."""
    return prepared.window(until_ms, prepared.request.settings.window)


def show_settings(screen: Screen, prepared: Prepared, window: Candles) -> None:
    """Print what the result will rest on."""
    request, settings = prepared.request, prepared.request.settings
    covered = range_of(window)
    screen.heading(f"{request.symbol} on the {prepared.name} market")
    show_rows(screen, settings_rows(settings, covered))
    show_rows(screen, cycle_rows(settings, request.grid))
    if covered.end_ms - covered.start_ms < settings.window:
        length = span(covered.end_ms - covered.start_ms)
        screen.say(f"The candles cover {length} of the {span(settings.window)} window.", style="yellow")
    screen.say()


def swept(
    screen: Screen,
    prepared: Prepared,
    window: Candles,
    agreement: Agreement,
    run: Callable[[Report, Report], Optimization],
) -> Optimization:
    """Run an optimisation behind progress bars: one for its trials, one for the sweeps of the test against luck.

    One that takes long is run only when that is agreed to.

    Raises:
        TooCostlyError: it takes long, and nobody agreed to it.
        AnswerIsNoError: whoever was asked does not want it.
    """
    n_trials = len(prepared.request.grid)
    is_small = not prepared.request.wants_evidence and is_small_work(len(window), n_trials)
    begin_first_start(screen, is_small)
    require_agreement(screen, prepared, window, agreement)
    is_left = Event()

    def heeding(report: Report) -> Report:
        def told(done: int, total: int) -> None:
            if is_left.is_set():  # the work ends here, and what it has half written goes with it
                raise KeyboardInterrupt
            report(done, total)

        return told

    with (
        sweep_progress(screen, n_trials, stopwatch_s) as trials,
        progress(screen, "Test against luck", "sweep", 0, stopwatch_s) as sweeps,
    ):
        reports = heeding(trials), heeding(sweeps)
        return interruptible(lambda: promptly(lambda: run(*reports), is_small), is_left.set)


def show_optimization(screen: Screen, prepared: Prepared, optimization: Optimization, window: Candles) -> None:
    """Print the best parameter set, what it made where it was chosen, and what the worst case costs."""
    settings, instrument, document = prepared.request.settings, prepared.instrument, optimization.document
    screen.heading(f"Best of {counted(optimization.sweep.trials, 'trial')}, in the window it was chosen in")
    show_rows(screen, [("parameters", params_text(optimization.params))])
    days = days_of(range_of(window))
    show_rows(screen, result_rows(document["results"], document["blocked"], settings.starting_balance, days))
    show_rows(screen, facts_rows(document["facts"]))
    if not optimization.is_adopted:
        screen.say(f"What ran before is kept: {document['adoption']['reason']}", style="yellow")
    engine, is_small = make_backtest_engine(prepared), is_small_work(len(window), 1)
    rows = promptly(lambda: engine.backtest(window, optimization.params), is_small).rows
    show_trades(screen, rows, instrument.price_decimals)
    screen.say()
    screen.say(evidence_text(prepared, document["evidence"]), style="bold")
    show_rows(screen, views_rows(document["evidence"].get("views")))
    if not optimization.made_money:
        screen.say(NO_EDGE, style="bold yellow")
    elif not optimization.has_edge:
        screen.say(NO_EVIDENCE, style="bold yellow")
    elif "sentence" in document["evidence"] and not optimization.is_real:
        screen.say(ON_ALL_THE_SAME, style="yellow")
    show_worst_loss(screen, prepared, optimization.params, float(window.close[-1]), document["results"]["avg_win"])
    screen.say()
    for path in optimization.written:
        screen.tell("saved  ", str(path))
    for note in optimization.notes:
        screen.say(note, style="yellow")


def show_trades(screen: Screen, rows: tuple[dict[str, Any], ...], decimals: int, limit: int = 12) -> None:
    """Print the last trades of a parameter set."""
    if not rows:
        return
    shown = f"the last {limit} of {len(rows)}" if len(rows) > limit else f"all {len(rows)}" if len(rows) > 1 else "one"
    screen.heading(f"Its trades ({shown})")
    screen.show(trades_table(rows, decimals, limit))


def show_worst_loss(
    screen: Screen, prepared: Prepared, params: StrategyParams, last_price: float, avg_win_pct: float
) -> None:
    """Print what the next position may lose, before there is one."""
    settings, instrument = prepared.request.settings, prepared.instrument
    cap_usdt = prepared.request.max_notional_usdt
    # Some ten small rules, once each: sooner reckoned than their compiled selves are loaded.
    loss = interpreted(lambda: worst_loss(settings, instrument, params, last_price, avg_win_pct, cap_usdt))
    screen.heading("What a trade can lose")
    if loss is None:
        screen.say("  At this price and balance no order is large enough: there would be no trade.")
        return
    show_rows(screen, worst_loss_rows(loss, instrument.price_decimals))
    if loss.stop_name == "margin_call":
        screen.tell("  ", "The margin call is no stop-loss: it saves the rest of the margin from liquidation.")


def evidence_text(prepared: Prepared, evidence: dict[str, Any]) -> str:
    """The record in a sentence, the verdict and its reason."""
    doubt, verdict = doubt_about(prepared.name), evidence.get("verdict", NOT_TESTED)
    reason = evidence.get("reason", "no reason is given.")
    if "sentence" not in evidence:
        return f"{verdict}: {reason}{doubt}"
    return f"{evidence['sentence']} Verdict: {verdict}. {reason}{doubt}"


def facts_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What a result rests on, in one row, and a row for each note."""
    funding = "recorded" if facts["funding"] == "recorded" else "unknown (counted as 0)"
    mark = "recorded" if facts["mark"] == "recorded" else "none (last prices decide)"
    minutes = "given" if facts["minutes"] else "none"
    rows = [("rests on", f"funding {funding}, mark prices {mark}, 1-minute candles {minutes}, tiers {facts['tiers']}")]
    return rows + [("note", note) for note in facts["notes"]]


def optimization_json(prepared: Prepared, optimization: Optimization) -> dict[str, Any]:
    """An optimisation for machines."""
    document = optimization.document
    facts = document["facts"]
    return {
        "symbol": document["symbol"],
        "market": document["market"],
        "candles": {**document["candles"], "gaps": facts["gaps"], "missing": facts["missing"]},
        "trials": document["trials"],
        "elapsed_s": document["elapsed_s"],
        "best": document["params"],
        "results": document["results"],
        "blocked": document["blocked"],
        "adoption": document["adoption"],
        "evidence": document["evidence"],
        "facts": facts,
        "written": [str(path) for path in optimization.written],
        "notices": [*prepared.notices, *optimization.notes],
    }


def require_verdict(optimization: Optimization, require_real: bool) -> None:
    """Insist on a verdict of REAL, if that was asked for.

    Raises:
        AnswerIsNoError: it is another.
    """
    if require_real and not is_real(optimization):
        verdict = optimization.document["evidence"]["verdict"]
        raise AnswerIsNoError(f"The verdict is {verdict}, and --require-real asks for REAL.")


def is_real(optimization: Optimization) -> bool:
    """Whether the evidence says that the procedure beats luck."""
    return optimization.is_real


def range_of(candles: Candles) -> CandleRange:
    """Which candles these are."""
    return CandleRange(candles.start_ms, candles.end_ms, len(candles), candles.missing)
