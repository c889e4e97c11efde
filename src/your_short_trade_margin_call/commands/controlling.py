"""The three controls: `pause`, `resume`, `flatten`. They write a wish; the trading process reads it."""

from __future__ import annotations

from collections.abc import Callable

from your_short_trade_margin_call.adapters.storage.controls import Controls, read_controls, write_controls
from your_short_trade_margin_call.commands.asking import named_pair
from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.standing import known_pairs, pair_standing, shorts_of
from your_short_trade_margin_call.commands.typed import check_settings
from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.screen import Screen

Wish = Callable[[Controls], Controls]

WISHES: dict[str, Wish] = {
    "pause": lambda now: Controls(paused=True, flatten=now.flatten),
    "resume": lambda now: Controls(),
    "flatten": lambda now: Controls(paused=now.paused, flatten=True),
}

_SAID = {
    "pause": "Paused: no new entries in {symbol}. An open short keeps its target and its stop.",
    "resume": "Resumed: entries in {symbol} are allowed again.",
    "flatten": "Flatten: an open short in {symbol} is bought back at market, and entries stay blocked until "
    "`shortest-peak resume {symbol}`.",
}
_WHEN = "The trading process reads this before it deals with the next candle (within 3 minutes of market time)."
_NOBODY = "No process trades {symbol} now: nothing happens until one does, and it will find this."


def control(common: Common, wish: str, screen: Screen) -> None:
    """Write a wish for a pair.

    Raises:
        BadInputError: the pair is not known here, or none is named and there are several.
        DiskError: the wish could not be written; the old one still holds.
    """
    check_settings(common)
    paths = Paths.default()
    symbol = _pair(paths, named_pair(common), wish)
    before = read_controls(paths.controls(symbol))
    wanted = WISHES[wish](before)
    write_controls(paths.controls(symbol), wanted)
    unheard = _unheard(paths, symbol)
    if common.json:
        notices = [*_notes(before), *unheard]
        print_json({"symbol": symbol, "paused": wanted.paused, "flatten": wanted.flatten, "notices": notices})
        return
    for note in _notes(before):
        screen.say(note, style="yellow")
    screen.say(_SAID[wish].format(symbol=symbol))
    if not unheard:
        screen.say(_WHEN, style="dim")
    for note in unheard:
        screen.say(note, style="bold yellow")


def _notes(before: Controls) -> list[str]:
    """What was not understood, now that it is replaced."""
    return [f"The wish before could not be understood and was kept aside: {before.note}"] if before.note else []


def _unheard(paths: Paths, symbol: str) -> list[str]:
    """What to know where no process listens: what is open then stays open."""
    pair = pair_standing(paths, symbol)
    if any(journal.is_trading for journal in pair.journals):
        return []
    opened = [f"Open, with its stop and target: {short}." for short in shorts_of(pair)]
    return [_NOBODY.format(symbol=symbol), *opened]


def _pair(paths: Paths, symbol: str | None, wish: str) -> str:
    """The pair meant: a typing mistake must not pause nothing and say it did."""
    known = known_pairs(paths)
    if symbol is None and len(known) == 1:
        return known[0]
    if symbol in known:
        return str(symbol)
    here = f"Pairs in {paths.root}: {', '.join(known)}." if known else f"There is no pair in {paths.root} yet."
    if symbol is None:
        raise BadInputError("No pair is named.", f"{here} Name one: `shortest-peak {wish} SYMBOL`.")
    raise BadInputError(f"Nothing is recorded for {symbol}, so there is nothing to {wish}.", here)
