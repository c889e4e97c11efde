"""Where text goes: a terminal with colours and a live line, or plain lines for a pipe, a log or a robot.

In a market that is not Bybit's every line begins with a mark, tables and live lines included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from your_short_trade_margin_call.domain.words import MarketKind
from your_short_trade_margin_call.paths import is_look_alike, is_real_market

INVENTED_MARK, LOOK_ALIKE_MARK = "SIMULATED ", "LOOK-ALIKE "
_MARK_STYLE = Style(color="yellow")
_NARROWEST = 20

# A number and its unit stay on one line: the blank between them becomes this letter while lines are broken.
_JOINT = "\ue000"
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|USDT|UTC|bps|d|h|min|s)(?:\W|$))")


@dataclass(frozen=True)
class Marked:
    """A renderable with a mark in front of each of its lines."""

    inner: RenderableType
    mark: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the inner one in what width the mark leaves."""
        width = max(_NARROWEST, options.max_width - len(self.mark))
        for line in console.render_lines(self.inner, options.update(width=width), pad=False):
            yield Segment(self.mark, _MARK_STYLE)
            yield from line
            yield Segment.line()


@dataclass(frozen=True)
class Hanging:
    """A label with a text beside it; where the text wraps it goes on below its own beginning."""

    label: Text
    body: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Wrap at words; only a word (a path) that fills a line by itself is cut."""
        indent = self.label.cell_len
        width = max(_NARROWEST, options.max_width - indent)
        body = self.body.copy()
        body.plain = _BEFORE_UNIT.sub(_JOINT, body.plain)
        for number, part in enumerate(body.wrap(console, width, overflow="fold")):
            part.plain = part.plain.replace(_JOINT, " ").rstrip()
            yield Text.assemble(" " * indent if number else self.label, part)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader has gone: the program decides what that means, not the console."""
        raise BrokenPipeError


class Screen:
    """Prints for people. Whoever wants numbers asks for JSON.

    Args:
        to_stderr: keep standard output free (for JSON); then nothing moves and nothing is coloured.
        environment: decides about colours and width (`CI`, `NO_COLOR`, `COLUMNS`); None takes the process's.
        stream: where to; None takes standard output, or standard error.
    """

    def __init__(
        self,
        *,
        to_stderr: bool = False,
        environment: Mapping[str, str] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        variables = os.environ if environment is None else environment
        usual = Console(stderr=to_stderr, file=stream)
        self.is_terminal = usual.file.isatty() and not to_stderr and not is_robot(variables)
        is_colourless = not self.is_terminal or bool(variables.get("NO_COLOR"))
        self.console: Console = _Console(
            stderr=to_stderr,
            file=stream,
            force_terminal=self.is_terminal,
            force_interactive=self.is_terminal and not usual.is_dumb_terminal,
            color_system=None if is_colourless else "auto",
            highlight=False,
            markup=False,
            emoji=False,
            _environ=variables,
        )
        self.mark = ""

    def mark_market(self, market: str) -> None:
        """From now on every line says so where the market is made up, or a look-alike of Bybit."""
        self.mark = mark_of(market)

    def say(self, text: str | Text = "", style: str = "") -> None:
        """Print some lines, wrapped at words."""
        self.tell("", Text(text, style=style) if isinstance(text, str) else text)

    def tell(self, label: str | Text, text: str | Text, style: str = "") -> None:
        """Print a label and a text beside it."""
        body = Text(text, style=style) if isinstance(text, str) else text
        self.show(Hanging(Text(label, style="dim") if isinstance(label, str) else label, body))

    def heading(self, text: str) -> None:
        """Print an empty line, then the name of what follows."""
        self.say()
        self.say(text, style="bold")

    def show(self, renderable: RenderableType) -> None:
        """Print a table or anything else that rich can render."""
        self.console.print(self.marked(renderable))

    def ask(self, question: str) -> str:
        """Read a line from the keyboard.

        Raises:
            EOFError: there is no more input.
        """
        return self.console.input(Text(self.mark + question))

    def marked(self, renderable: RenderableType) -> RenderableType:
        """The renderable, marked where the market is not Bybit's."""
        return Marked(renderable, self.mark) if self.mark else renderable

    @contextmanager
    def live(self, current: Callable[[], RenderableType]) -> Iterator[None]:
        """Keep what `current` returns below all other lines; where lines cannot move, nothing."""
        if not self.console.is_interactive:
            yield
            return
        with Live(
            console=self.console,
            get_renderable=lambda: self.marked(current()),
            refresh_per_second=4,
            transient=True,
        ):
            yield


def mark_of(market: str) -> str:
    """What lines about a market begin with; empty for Bybit's own and for recorded candles."""
    if market == MarketKind.SIMULATED:
        return INVENTED_MARK
    return LOOK_ALIKE_MARK if is_look_alike(market) else ""


def doubt_about(market: str) -> str:
    """What must stand behind a verdict that rests on prices which are not the real market's; empty for those."""
    if market == MarketKind.SIMULATED:
        return " (invented prices)"
    if is_look_alike(market):
        return " (prices of a look-alike on this computer, not Bybit's)"
    return "" if is_real_market(market) else " (the testnet's own prices)"


def is_robot(variables: Mapping[str, str]) -> bool:
    """Whether a continuous-integration run is watching rather than a person."""
    return variables.get("CI", "").lower() in ("true", "1")
