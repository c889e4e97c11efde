"""Before a sweep that takes long: what it will cost, and whether that is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from your_short_trade_margin_call.adapters.storage.artefacts import bytes_per_row
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.asking import ask_yes
from your_short_trade_margin_call.commands.stopping import interruptible
from your_short_trade_margin_call.composition import Prepared, make_backtest_engine
from your_short_trade_margin_call.domain.errors import AnswerIsNoError, TooCostlyError
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import counted, size, span

ASK_ABOVE_S = 30.0
"""A sweep that takes longer is not begun without being asked for."""
ASK_ABOVE_BYTES = 1_000_000_000
"""Nor one whose table takes more of the disk."""
MEASURE_ABOVE = 5_000_000_000
"""So many trials times candles are a matter of seconds anywhere: what is less is not measured before."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether there is somebody to ask, and whether `--yes` has said it already."""

    can_ask: bool
    yes: bool


def require_agreement(screen: Screen, prepared: Prepared, window: Candles, agreement: Agreement) -> None:
    """Say what a large sweep will cost, and go on only when that is agreed to.

    Raises:
        TooCostlyError: it costs much, and there is nobody to ask.
        AnswerIsNoError: whoever was asked does not want it.
    """
    grid = prepared.request.grid
    if agreement.yes or len(grid) * len(window) <= MEASURE_ABOVE:
        return
    engine = make_backtest_engine(prepared)
    sample = interruptible(lambda: engine.sample(window, grid, stopwatch_s))
    seconds, table_bytes = sample.seconds_for(len(grid)), bytes_per_row(sample.rows) * len(grid)
    if seconds <= ASK_ABOVE_S and table_bytes <= ASK_ABOVE_BYTES:
        return
    cost = (
        f"{counted(len(grid), 'trial')} on {counted(len(window), 'candle')} take about {span(1_000 * seconds)} here "
        f"and {size(table_bytes)} on disk."
    )
    if not agreement.can_ask:
        raise TooCostlyError(
            f"{cost} That is not begun without being asked for.",
            "Add --yes, or make the grid coarser or the window shorter (--days).",
        )
    screen.say(cost, style="bold")
    if not ask_yes(screen, "Begin?"):
        raise AnswerIsNoError("Nothing was tried.", "A coarser grid or a shorter window (--days) takes less.")
