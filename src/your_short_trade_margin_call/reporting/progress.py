"""How far long work is: a bar with rate and time left on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import counted, span

Report = Callable[[int, int], None]
"""Called with (done, in all)."""

_PLAIN_EVERY_S = 5.0


@contextmanager
def sweep_progress(screen: Screen, trials: int, stopwatch_s: Callable[[], float]) -> Iterator[Report]:
    """A report for `trials` trials; when all went well a last line says how many there were and how fast."""
    started, ended = stopwatch_s(), None

    def told(done: int, total: int) -> None:
        nonlocal ended
        report(done, total)
        if done >= total:
            ended = stopwatch_s()

    with progress(screen, "Sweep", "trial", trials, stopwatch_s) as report:
        yield told
    elapsed = (stopwatch_s() if ended is None else ended) - started
    screen.say(f"{counted(trials, 'trial')} in {elapsed:.2f} s: {trials / max(elapsed, 1e-9):,.0f} a second.")


@contextmanager
def progress(screen: Screen, label: str, noun: str, total: int, stopwatch_s: Callable[[], float]) -> Iterator[Report]:
    """A report for any work of `total` steps, each a `noun`."""
    if screen.console.is_interactive:
        # Loaded here: nobody who sees plain lines waits for it.
        from your_short_trade_margin_call.reporting.bar import Bar

        with Bar(screen, noun) as bar:
            task = bar.add_task(label, total=total)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _PlainReport(screen, label, noun, stopwatch_s)


class _PlainReport:
    """A line every few seconds: a quick sweep needs none.

    The rate counts from the first report, not from the preparations before it.
    """

    def __init__(self, screen: Screen, label: str, noun: str, stopwatch_s: Callable[[], float]) -> None:
        self._screen = screen
        self._label = label
        self._noun = noun
        self._stopwatch_s = stopwatch_s
        self._first: tuple[int, float] | None = None
        self._said_s = stopwatch_s()

    def __call__(self, done: int, total: int) -> None:
        now = self._stopwatch_s()
        if self._first is None:
            self._first = (done, now)
        if now - self._said_s < _PLAIN_EVERY_S or done >= total:
            return
        self._said_s = now
        rate = (done - self._first[0]) / max(now - self._first[1], 1e-9)
        self._screen.say(f"{self._label}: {done:,} of {counted(total, self._noun)}{pace(rate, total - done)}")


def pace(per_second: float, left: float) -> str:
    """``, 12,808/s, 52 s left``; nothing without a rate."""
    return f", {per_second:,.0f}/s, {span(1_000 * left / per_second)} left" if per_second > 0 else ""
