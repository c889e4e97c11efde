"""The `walk-forward` command: what optimising again and again would have been worth on a pair's past."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from your_short_trade_margin_call.adapters.storage.files import write_atomically, write_json
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.first_start import warn_of_compiling
from your_short_trade_margin_call.commands.optimizing import facts_rows, introduce, range_of
from your_short_trade_margin_call.commands.options import Common, Market
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.record_options import Walking
from your_short_trade_margin_call.commands.request import make_request
from your_short_trade_margin_call.commands.stopping import interruptible
from your_short_trade_margin_call.commands.typed import days_ms, parse_time
from your_short_trade_margin_call.composition import Prepared, make_backtest_engine, prepare
from your_short_trade_margin_call.composition.history import days_of_record
from your_short_trade_margin_call.composition.parts import head_of, make_examiner
from your_short_trade_margin_call.composition.request import Request
from your_short_trade_margin_call.domain.errors import AnswerIsNoError, BadInputError
from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.examiner import Seen
from your_short_trade_margin_call.reporting.progress import progress
from your_short_trade_margin_call.reporting.records import evidence_rows, folds_legend, folds_table
from your_short_trade_margin_call.reporting.screen import Screen, doubt_about
from your_short_trade_margin_call.reporting.sheets import cycle_rows, settings_rows, show_rows
from your_short_trade_margin_call.reporting.text import counted


def walk_forward(
    symbol: str, common: Common, market: Market, walking: Walking, grid: Path | None, require_real: bool, screen: Screen
) -> None:
    """Run it: choose on each window, trade the step after it, judge what came of it.

    Raises:
        AnswerIsNoError: `require_real`, and the verdict is another.
        CandleError: there is no candle, or too few.
        DiskError: something could not be written.
    """
    _check(walking)
    prepared = prepare(_with_cycle(make_request(symbol, common, market, grid=grid), walking))
    introduce(screen, prepared)
    started = stopwatch_s()
    seen = _look(screen, prepared, walking.days)
    elapsed_s = stopwatch_s() - started
    document = {**head_of(prepared, seen.candles, elapsed_s), "evidence": seen.document}
    written = _write(prepared, seen, document, walking.figure)
    if common.json:
        folds = seen.record.folds.to_dicts()
        notices = list(prepared.notices)
        print_json({**document, "folds": folds, "written": [str(path) for path in written], "notices": notices})
    else:
        _show(screen, prepared, seen, elapsed_s, written)
    if require_real and seen.record.verdict is not Verdict.REAL:
        raise AnswerIsNoError(f"The verdict is {seen.record.verdict}, and --require-real asks for REAL.")


def _check(walking: Walking) -> None:
    """Refuse what cannot be before anything is fetched or reckoned."""
    if walking.days is not None:
        days_ms(walking.days)
    if walking.figure is not None and walking.figure.suffix.lower() not in (".html", ".htm"):
        raise BadInputError(
            f"--figure {walking.figure} is no page by its name.",
            "Name it FILE.html: it opens in a browser without a network, and its camera button saves an SVG.",
        )


def _with_cycle(request: Request, walking: Walking) -> Request:
    """The request with the window and the step that were typed; they win over every other place."""
    typed = {
        name: parse_time(text, option)
        for name, text, option in (("window", walking.window, "--window"), ("reoptimize", walking.step, "--step"))
        if text is not None
    }
    return replace(request, settings=request.settings.replace(**typed)) if typed else request


def _look(screen: Screen, prepared: Prepared, days: float | None) -> Seen:
    """Look at the record behind a progress bar."""
    examiner = make_examiner(prepared)
    examiner = replace(examiner, days=days_of_record(prepared, days))
    warn_of_compiling(screen)
    with progress(screen, "Walk forward", "sweep", 0, stopwatch_s) as report:
        return interruptible(lambda: examiner.look(prepared.candles.end_ms, report))


def _write(prepared: Prepared, seen: Seen, document: dict[str, Any], figure: Path | None) -> list[Path]:
    """The record's document, its folds as a table, and the figure where one is wanted."""
    request = prepared.request
    path = request.paths.walk_forward(request.symbol, prepared.name)
    table = path.with_suffix(".parquet")
    rows = io.BytesIO()
    seen.record.folds.write_parquet(rows)
    write_atomically(table, rows.getvalue())
    write_json(path, document)
    if figure is None:
        return [path, table]
    # Loaded here: who wants no picture does not wait for what draws it.
    from your_short_trade_margin_call.reporting.figures import figure_page, record_figure

    title = f"{request.symbol} on the {prepared.name} market"
    drawn = record_figure(seen.record, title, doubt_about(prepared.name))
    write_atomically(figure, figure_page(drawn))
    return [path, table, figure]


def _show(screen: Screen, prepared: Prepared, seen: Seen, elapsed_s: float, written: list[Path]) -> None:
    request, record = prepared.request, seen.record
    screen.heading(f"{request.symbol} on the {prepared.name} market")
    show_rows(screen, settings_rows(request.settings, range_of(seen.candles)))
    show_rows(screen, cycle_rows(request.settings, request.grid))
    show_rows(screen, facts_rows(make_backtest_engine(prepared).facts(seen.candles)))
    screen.heading(f"{counted(record.evidence.folds, 'fold')}, in {elapsed_s:.1f} s")
    screen.show(folds_table(record))
    screen.say()
    screen.say(folds_legend(record), style="dim")
    screen.heading("What it was worth")
    screen.say(seen.document["sentence"])
    show_rows(screen, evidence_rows(record))
    screen.say()
    screen.say(f"{record.verdict}: {record.evidence.reason}{doubt_about(prepared.name)}", style="bold")
    screen.say()
    for path in written:
        screen.tell("saved  ", str(path))
