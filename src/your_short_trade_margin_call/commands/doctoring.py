"""The `doctor` command: this computer, the way to Bybit, an account. It only looks."""

from __future__ import annotations

import os

import typer

from your_short_trade_margin_call.adapters.bybit.keys import keys_file, load_keys
from your_short_trade_margin_call.commands.asking import DEFAULT_PAIR, named_pair
from your_short_trade_margin_call.commands.local_checks import local_checks
from your_short_trade_margin_call.commands.options import Access, Common, Market
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.request import make_request
from your_short_trade_margin_call.composition import Request
from your_short_trade_margin_call.composition.diagnosis import Diagnosis, diagnose
from your_short_trade_margin_call.domain.checks import Check, failed, failures, passed
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.words import Account, MarketKind
from your_short_trade_margin_call.reporting.checks import checks_summary, show_checks
from your_short_trade_margin_call.reporting.screen import Screen

ALL_WELL, MUST_BE_MENDED, NOT_REACHED = 0, 1, 3


def doctor(common: Common, access: Access, endpoint: str | None, screen: Screen) -> None:
    """Run every check, print it with its cure.

    Raises:
        BadInputError: an option cannot be used.
        typer.Exit: something failed (1), or the exchange could not be reached (3).
    """
    named = named_pair(common)
    asked = make_request(
        named or DEFAULT_PAIR, common, Market(market=MarketKind.BYBIT, endpoint=endpoint), access=access
    )
    here = (*local_checks(asked.paths, named), *_keys_check(asked))
    diagnosis = diagnose(asked, has_keys=asked.account is not Account.PAPER and not failures(_keys_check(asked)))
    checks = (*here, *diagnosis.checks)
    code = _exit_code(checks, diagnosis)
    if common.json:
        _print_json(asked, diagnosis, checks, code)
    else:
        _show(screen, asked, here, diagnosis)
    if code:
        raise typer.Exit(code)


def _keys_check(request: Request) -> tuple[Check, ...]:
    """Whether there are keys of this kind of account, and nobody else can read their file."""
    if request.account is Account.PAPER:
        return (passed("keys", "none needed on paper"),)
    try:
        load_keys(request.account, os.environ, request.keys)
    except ShortestPeakError as error:
        return (failed("keys", error.message.rstrip("."), error.cure),)
    path = request.keys or keys_file(os.environ)
    in_file = request.keys is not None or not os.environ.get(f"BYBIT_{request.account.upper()}_API_KEY")
    return (passed("keys", f"in {path}, which only you can read" if in_file else "in the environment"),)


def _exit_code(checks: tuple[Check, ...], diagnosis: Diagnosis) -> int:
    if not diagnosis.is_reached:
        return NOT_REACHED
    return MUST_BE_MENDED if failures(checks) else ALL_WELL


def _show(screen: Screen, request: Request, here: tuple[Check, ...], diagnosis: Diagnosis) -> None:
    screen.say("This computer", style="bold")
    show_checks(screen, here)
    name = "A look-alike of Bybit" if diagnosis.is_look_alike else "Bybit"
    screen.heading(f"{name}: {diagnosis.url}, {request.symbol}, {request.account} account")
    show_checks(screen, diagnosis.checks)
    screen.say()
    screen.say(checks_summary((*here, *diagnosis.checks)), style="bold")


def _print_json(request: Request, diagnosis: Diagnosis, checks: tuple[Check, ...], code: int) -> None:
    print_json(
        {
            "symbol": request.symbol,
            "account": str(request.account),
            "endpoint": diagnosis.url,
            "look_alike": diagnosis.is_look_alike,
            "reached": diagnosis.is_reached,
            "ok": code == ALL_WELL,
            "checks": [check.as_dict() for check in checks],
        }
    )
