"""How far a sweep is: a bar with rate and time left on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import counted, span

Report = Callable[[int, int], None]
"""Called with (done, in all)."""

_PLAIN_EVERY_S = 5.0


@contextmanager
def sweep_progress(screen: Screen, trials: int, stopwatch_s: Callable[[], float]) -> Iterator[Report]:
    """A report for `trials` trials; when all went well a last line says how many there were and how fast."""
    started = stopwatch_s()
    if screen.console.is_interactive:
        with _Bar(screen) as bar:
            task = bar.add_task("Sweep", total=trials)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _plain_report(screen, stopwatch_s)
    elapsed = stopwatch_s() - started
    screen.say(f"{counted(trials, 'trial')} in {elapsed:.2f} s: {_rate(trials / max(elapsed, 1e-9))}.")


def _plain_report(screen: Screen, stopwatch_s: Callable[[], float]) -> Report:
    """A line every few seconds: a quick sweep needs none."""
    started = said = stopwatch_s()

    def report(done: int, total: int) -> None:
        nonlocal said
        now = stopwatch_s()
        if now - said < _PLAIN_EVERY_S or done >= total:
            return
        said = now
        rate = done / max(now - started, 1e-9)
        screen.say(
            f"Sweep: {done:,} of {counted(total, 'trial')}, {_rate(rate)}, "
            f"{span(1_000 * (total - done) / max(rate, 1e-9))} left."
        )

    return report


class _Bar(Progress):
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("trials"),
            _Rate(),
            _Left(),
            console=screen.console,
            transient=True,
        )

    def get_renderable(self) -> RenderableType:
        """The bar, marked where the market is invented."""
        return self._screen.marked(super().get_renderable())


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Trials a second so far."""
        if not task.completed or not task.elapsed:
            return Text("-- trials/s", style="dim")
        return Text(_rate(task.completed / task.elapsed), style="dim")


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Time left at the rate so far."""
        if not task.completed or not task.elapsed or task.remaining is None:
            return Text("", style="dim")
        return Text(f"{span(1_000 * task.remaining * task.elapsed / task.completed)} left", style="dim")


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f} trials/s"
