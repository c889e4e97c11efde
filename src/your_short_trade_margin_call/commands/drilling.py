"""The `drill` command: is REAL said where there is no edge, and is it said where there is one?"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event

from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.drilling_options import Drilling
from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.stopping import interruptible
from your_short_trade_margin_call.commands.typed import make_settings
from your_short_trade_margin_call.domain.errors import AnswerIsNoError, BadInputError
from your_short_trade_margin_call.domain.words import DrillKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.reporting.drill import show_drill
from your_short_trade_margin_call.reporting.progress import progress
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import counted
from your_short_trade_margin_call.research.drill import Drill, DrillResult, run_drill
from your_short_trade_margin_call.research.drill_markets import SYMBOL


def drill(typed: Drilling, screen: Screen) -> None:
    """Run it.

    Raises:
        AnswerIsNoError: a kind without an edge is called REAL significantly more than 5 times in 100.
        BadInputError: a number makes no sense.
    """
    kinds, workers = tuple(typed.kinds or DrillKind), _workers(typed.workers)
    asked = _drill(typed)
    screen.say(f"{counted(asked.markets, 'market')} of {counted(len(kinds), 'kind')}, invented for this alone.")
    total, stop = asked.markets * len(set(kinds)), Event()
    with progress(screen, "Drill", "market", total, stopwatch_s) as report:
        result = interruptible(lambda: run_drill(asked, kinds, workers, report, stop.is_set), stop.set)
    if typed.json:
        print_json(result.as_dict())
    else:
        show_drill(screen, result)
    _require_calm(result)


def _drill(typed: Drilling) -> Drill:
    settings = make_settings(Common(config=typed.config, assignments=typed.assignments, seed=typed.seed))
    return Drill(
        markets=typed.markets,
        days=typed.days,
        looks_days=typed.looks,
        seed=settings.seed,
        settings=settings,
        history=None if typed.candles is None else _history(typed.candles),
    )


def _history(path: Path) -> Candles:
    """Whose candles they are does not matter: only how they move is taken from them."""
    return Candles.from_file(path, symbol=SYMBOL)


def _workers(wanted: int | None) -> int:
    if wanted is not None and wanted < 1:
        raise BadInputError(f"--workers {wanted} cannot be.", "Give 1 or more.")
    return wanted or os.cpu_count() or 1


def _require_calm(result: DrillResult) -> None:
    if result.alarming:
        names = ", ".join(str(kind) for kind in result.alarming)
        raise AnswerIsNoError(
            f"REAL was said significantly more than 5 times in 100 where there is no edge: {names}.",
            "Trust no verdict of this program before that is mended.",
        )
