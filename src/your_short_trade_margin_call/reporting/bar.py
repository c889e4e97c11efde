"""The progress bar of a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from your_short_trade_margin_call.reporting.progress import pace
from your_short_trade_margin_call.reporting.screen import Screen

_DRAWN_PER_S = 4
"""Drawing takes a millisecond: at this rate less than half a percent of one core."""


class Bar(Progress):
    """A bar on a terminal: how much is done, at what rate, and how long it may still take."""

    def __init__(self, screen: Screen, noun: str) -> None:
        self._screen = screen
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {noun}s"),
            _Pace(),
            console=screen.console,
            transient=True,
            refresh_per_second=_DRAWN_PER_S,
        )

    def get_renderable(self) -> RenderableType:
        """The bar, marked where the market is not Bybit's."""
        return self._screen.marked(super().get_renderable())


class _Pace(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The rate and the time left, once there is a rate."""
        return Text(pace(task.speed or 0.0, task.remaining or 0.0).lstrip(", "), style="dim")
