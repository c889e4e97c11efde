"""The program around its commands: which command is meant, and how every failure is said.

Exit codes: 0 fine, 1 the answer is no, 2 wrong use or bad input, 3 an outside failure (or a defect of ours),
130 stopped by Ctrl-C before trading, 141 whoever read the output went away.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import shutil
import signal
import sys
import textwrap
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard

import typer
from typer.core import TyperGroup

from your_short_trade_margin_call.domain.errors import (
    AnswerIsNoError,
    BadInputError,
    ShortestPeakError,
    UnknownPairError,
)
from your_short_trade_margin_call.market.symbols import parse_symbol

NAME = "shortest-peak"
MAIN_JOB = "run"

DEFECT, INTERRUPTED, READER_GONE = 3, 130, 141

_ROOM_CURE = "Free some space where the output goes, and run it again."
_ABOUT_THE_PROGRAM = {"--help", "-h", "--version"}


class Program(TyperGroup):
    """The group of all commands. Without a command, the main job; every error becomes a sentence and an exit code."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **__: Any) -> Any:
        """Run the command line `args` and leave the process with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        teller = _Teller(as_json="--json" in arguments, with_traceback="--debug" in arguments)
        # A polite kill is heard like Ctrl-C, from the first moment on.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            code = super().main(arguments, NAME, standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            code = _forget_stdout()
        except AnswerIsNoError as error:  # the answer itself has been printed
            sys.stderr.write(f"no: {error}\n")
            code = error.exit_code
        except ShortestPeakError as error:
            teller.tell(type(error).__name__, error.message, error.cure)
            code = error.exit_code
        except typer.TyperException as error:
            teller.tell("UsageError", error.format_message(), _usage_cure(error))
            code = error.exit_code
        except typer.Abort:
            code = INTERRUPTED
        except Exception as error:  # whatever it is, it is ours: say so, and keep the evidence
            code = DEFECT
            if _is_without_room(error):
                _forget_stdout()
                teller.tell("DiskError", f"What is printed finds no room: {error.strerror}.", _ROOM_CURE)
            else:
                teller.tell_defect(error)
        if code == INTERRUPTED:
            teller.tell_json("Interrupted", "Stopped before there was a result.", "Run it again.")
        sys.exit(code if isinstance(code, int) else 0)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put the command in front, wherever it stands."""
        return super().parse_args(ctx, routed(args, self.commands, self._options_with_value()))

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; a pipe that closes is passed on as it is."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.stderr.write("Stopped by Ctrl-C. `shortest-peak status` shows what is open.\n")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(READER_GONE) from None

    def _options_with_value(self) -> set[str]:
        options = [option for command in self.commands.values() for option in command.params]
        return {name for option in options if not getattr(option, "is_flag", False) for name in option.opts}


def routed(args: list[str], commands: Iterable[str], with_value: set[str]) -> list[str]:
    """`args` with the name of the command in front; the main job's where none is named.

    The first word that is neither an option nor an option's value is the command or, for the main job, the pair.

    Raises:
        BadInputError: that word is neither.
    """
    known = list(commands)
    if args and args[0] in _ABOUT_THE_PROGRAM:
        return args
    place = _first_word(args, with_value)
    if place is None:
        return [MAIN_JOB, *args]
    word = args[place]
    if word in known:
        return [word, *args[:place], *args[place + 1 :]]
    _require_pair(word, known)
    return [MAIN_JOB, *args]


def _first_word(args: list[str], with_value: set[str]) -> int | None:
    is_value = False
    for place, word in enumerate(args):
        if not is_value and not word.startswith("-"):
            return place
        is_value = not is_value and word in with_value
    return None


def _require_pair(word: str, commands: list[str]) -> None:
    """Insist that `word` can be a pair's name and is not rather a command misspelt."""
    near = difflib.get_close_matches(word.lower(), commands, n=1, cutoff=0.7)
    says_pair = any(mark in word for mark in "/:-_.") or word.upper().endswith("USDT")
    if near and not says_pair:
        raise BadInputError(f"There is no command {word!r}.", f"Did you mean `{NAME} {near[0]}`?")
    try:
        parse_symbol(word)
    except UnknownPairError as error:
        raise BadInputError(f"{word!r} is neither a command nor a pair: {error.message}",
                            f"Commands: {', '.join(commands)}. A pair: BTCUSDT.") from None  # fmt: skip


@dataclass(frozen=True)
class _Teller:
    """Says what went wrong: in words on stderr and, for machines, as one JSON object on stdout."""

    as_json: bool
    with_traceback: bool

    def tell(self, kind: str, message: str, cure: str) -> None:
        if self.with_traceback:
            traceback.print_exc()
        with suppress(OSError):  # where words find no room, the exit code says it
            sys.stderr.write(_shown("error: ", message) + (_shown(" " * 7, cure) if cure else ""))
        self.tell_json(kind, message, cure)

    def tell_json(self, kind: str, message: str, cure: str) -> None:
        """One JSON object on stdout, for those who asked for one."""
        if self.as_json:
            document = {"error": {"kind": kind, "message": message, "cure": cure}}
            sys.stdout.write(json.dumps(document, indent=2) + "\n")

    def tell_defect(self, error: Exception) -> None:
        if not self.with_traceback:
            traceback.print_exception(error)
        self.tell(
            type(error).__name__,
            f"This is a defect of the program, not of what you typed: {error}",
            "What is open on the exchange keeps its stop. Please report the lines above.",
        )


def _shown(mark: str, text: str) -> str:
    """Lines for people: as wide as their terminal; a file or a pipe gets one line, which can be searched."""
    if not sys.stderr.isatty():
        return f"{mark}{text}\n"
    width = max(40, shutil.get_terminal_size().columns)
    rows = textwrap.wrap(
        text, width, initial_indent=mark, subsequent_indent=" " * len(mark), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(rows) + "\n"


def _usage_cure(error: typer.TyperException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"See `{ctx.command_path if ctx else NAME} --help`."


def _is_without_room(error: Exception) -> TypeGuard[OSError]:
    """Whether it is the disk below stdout that is full: what the program writes to files of its own has a name."""
    return isinstance(error, OSError) and error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _forget_stdout() -> int:
    """Whoever read the output has gone (`| head`): what is still in the buffer must not complain at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return READER_GONE
