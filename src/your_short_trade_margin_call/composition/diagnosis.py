"""All that `doctor` asks of Bybit, without changing anything."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from your_short_trade_margin_call.adapters.bybit.history import source_of
from your_short_trade_margin_call.adapters.bybit.keys import load_keys
from your_short_trade_margin_call.adapters.bybit.preflight import Findings
from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.storage.kept_instruments import KeptInstruments
from your_short_trade_margin_call.composition.live import Live, ask_account, make_live
from your_short_trade_margin_call.composition.ours import Standing, balance_to_use, read_standing
from your_short_trade_margin_call.composition.request import Request
from your_short_trade_margin_call.domain.checks import Check
from your_short_trade_margin_call.domain.errors import ShortestPeakError


@dataclass(frozen=True)
class Diagnosis:
    """Where was asked, what was found, whether anybody answered, and whether it is a server on this computer."""

    url: str
    checks: tuple[Check, ...]
    is_reached: bool
    is_look_alike: bool


def diagnose(request: Request, *, has_keys: bool) -> Diagnosis:
    """Ask for everything that trading would rest on; with keys also about the account.

    Raises:
        SettingError: the address does not fit the account.
    """
    keys = load_keys(request.account, os.environ, request.keys) if has_keys else None
    live = make_live(request, keys)
    findings = run_async(_asked(request, live))
    return Diagnosis(live.endpoint.rest, findings.checks, findings.is_reached, live.endpoint.is_loopback)


async def _asked(request: Request, live: Live) -> Findings:
    standing = _standing(request, live)
    balance = balance_to_use(standing, None, request.settings.starting_balance)
    asked = replace(request, settings=request.settings.replace(starting_balance=balance))
    return await ask_account(asked, live, standing)


def _standing(request: Request, live: Live) -> Standing:
    """The journal's word, if there is one that can be read: a broken one is not the exchange's fault."""
    label = source_of(live.public)
    try:
        instrument = KeptInstruments(request.paths, label).or_package(request.symbol)
        return read_standing(request.paths.journal(request.symbol, request.account, label), instrument)
    except ShortestPeakError:
        return Standing()
