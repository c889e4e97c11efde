"""Which pair is meant: from the command line, or asked for."""

from __future__ import annotations

import os
import sys

from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.domain.errors import BadInputError, UnknownPairError
from your_short_trade_margin_call.market.symbols import parse_symbol
from your_short_trade_margin_call.reporting.screen import Screen, is_robot

DEFAULT_PAIR = "BTCUSDT"


def can_ask(common: Common) -> bool:
    """Whether there is a person at a terminal to answer questions."""
    return not common.json and sys.stdin.isatty() and sys.stdout.isatty() and not is_robot(os.environ)


def named_pair(common: Common) -> str | None:
    """The pair on the command line, in Bybit's spelling; None when there is none.

    Raises:
        UnknownPairError: it is no pair's name.
        BadInputError: two different ones are named.
    """
    named = [parse_symbol(text) for text in (common.symbol, common.symbol_option) if text is not None]
    if len(set(named)) > 1:
        raise BadInputError(f"Two pairs are named: {named[0]} and {named[1]}.", "Name one.")
    return named[0] if named else None


def required_pair(common: Common, command: str) -> str:
    """The pair on the command line.

    Raises:
        BadInputError: there is none, or it cannot be read.
    """
    symbol = named_pair(common)
    if symbol is None:
        raise BadInputError("No pair is named.", f"Try `shortest-peak {command} {DEFAULT_PAIR}`.")
    return symbol


def pair_or_ask(common: Common, screen: Screen) -> tuple[str, bool]:
    """The pair on the command line; asked for at a terminal; else the default. Tells whether it was the default."""
    symbol = named_pair(common)
    if symbol is not None:
        return symbol, False
    return (_ask_pair(screen), False) if can_ask(common) else (DEFAULT_PAIR, True)


def _ask_pair(screen: Screen) -> str:
    while True:
        text = _answer(screen, f"Which pair? [{DEFAULT_PAIR}] ").strip()
        try:
            symbol = parse_symbol(text) if text else DEFAULT_PAIR
        except UnknownPairError as error:
            screen.say(str(error), style="yellow")
        else:
            return symbol


def ask_yes(screen: Screen, question: str) -> bool:
    """A question whose answer is yes unless it says no; the end of the input is a no."""
    while True:
        try:
            text = screen.ask(f"{question} [Y/n] ").strip().lower()
        except EOFError:
            screen.say()
            return False
        if text in ("", "y", "yes"):
            return True
        if text in ("n", "no"):
            return False
        screen.say("Please answer y or n.")


def _answer(screen: Screen, question: str) -> str:
    try:
        return screen.ask(question)
    except EOFError:  # Ctrl-D: whoever leaves here wants nothing done
        screen.say()
        raise KeyboardInterrupt from None
