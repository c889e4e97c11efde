"""The gates in front of an account that is not paper. Each says what it misses; with real money all must open.

Demo and testnet need checks without a failure. Mainnet also needs the stake typed, evidence that the procedure beats
luck (or `--despite-evidence`), and the pair typed as confirmation below the loss it may cost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from your_short_trade_margin_call.adapters.storage.artefacts import params_of
from your_short_trade_margin_call.adapters.system_clock import SystemClock
from your_short_trade_margin_call.commands.optimizing import show_worst_loss, window_of
from your_short_trade_margin_call.commands.options import Stake
from your_short_trade_margin_call.composition import Prepared, Request
from your_short_trade_margin_call.domain.checks import CheckStatus, failures
from your_short_trade_margin_call.domain.errors import BadInputError, NotAllowedError, UnknownPairError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.spans import HOUR_MS
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.main_engine import Optimization
from your_short_trade_margin_call.market.symbols import parse_symbol
from your_short_trade_margin_call.paths import is_look_alike
from your_short_trade_margin_call.reporting.checks import checks_summary, show_checks
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.text import counted, span, usdt

OLDEST_EVIDENCE_MS = 24 * HOUR_MS

_PLAY_MONEY = {
    Account.DEMO: "A demo account of Bybit: real prices, play money.",
    Account.TESTNET: "Bybit's testnet: prices of its own, play money.",
}


def require_stake(request: Request, stake: Stake, can_ask: bool) -> None:
    """Real money needs its amount, its risk and somebody to confirm it, before anything else is done.

    Raises:
        BadInputError: something is not typed, or the confirmation names another pair.
    """
    if request.account is not Account.MAINNET:
        return
    if request.capital_usdt is None:
        raise BadInputError(
            "--account mainnet needs --capital.", "Say how many USDT the program may lose: --capital 100."
        )
    if request.risk_fraction is None:
        raise BadInputError(
            "--account mainnet needs --risk-fraction.",
            "With real money it is never optimised: give --risk-fraction 0.1 to put a tenth into each trade.",
        )
    if stake.confirm is None and not can_ask:
        raise BadInputError(
            "--account mainnet needs a confirmation, and there is no terminal to type it at.",
            f"Add --confirm {request.symbol}.",
        )
    if stake.confirm is not None and _pair(stake.confirm) != request.symbol:
        raise BadInputError(f"--confirm {stake.confirm} is not {request.symbol}.", "Name the pair that is traded.")


def require_checks(screen: Screen, prepared: Prepared) -> None:
    """Show what the checks of a real account found; any failure ends it here.

    Raises:
        NotAllowedError: at least one failed.
    """
    account, live = prepared.request.account, prepared.live
    if account is Account.PAPER or live is None:
        return
    screen.heading(f"Checks of the {account} account")
    shown = [check for check in live.checks if check.status is not CheckStatus.PASS or account is Account.MAINNET]
    show_checks(screen, shown)
    screen.say(f"  {checks_summary(live.checks)}")
    wrong = failures(live.checks)
    if wrong:
        raise NotAllowedError(
            f"{counted(len(wrong), 'check')} failed before trading on {account}: "
            + "; ".join(f"{check.name}: {check.found}" for check in wrong)
            + ".",
            f"{wrong[0].cure} `shortest-peak doctor {prepared.request.symbol} --account {account}` checks again.",
        )
    if is_look_alike(prepared.name):
        screen.say("An account of a look-alike on this computer: no money at all.", style="yellow")
    elif account in _PLAY_MONEY:
        screen.say(_PLAY_MONEY[account], style="yellow")


def require_evidence(prepared: Prepared, document: dict[str, Any]) -> None:
    """Insist that the evidence allows real money, or that its absence is accepted.

    Raises:
        NotAllowedError: it does not, and `--despite-evidence` is not given.
    """
    why = evidence_missing(prepared, document, SystemClock().now_ms())
    if why and not prepared.request.despite_evidence:
        raise NotAllowedError(
            f"No real money on this: {why}",
            "--despite-evidence trades all the same, the smallest quantity unless --max-notional is given.",
        )


def evidence_missing(prepared: Prepared, document: dict[str, Any], now_ms: int) -> str:
    """Why the evidence of saved parameters does not allow real money; empty when it does."""
    request, evidence = prepared.request, document.get("evidence") or {}
    verdict = evidence.get("verdict", "NOT TESTED")
    age_ms = now_ms - _written_ms(document.get("generated_at"))
    if verdict != "REAL":
        return f"the verdict is {verdict}, not REAL."
    if document.get("market") != prepared.name or document.get("symbol") != request.symbol:
        return f"its evidence is about {document.get('symbol')} on the {document.get('market')} market."
    if document.get("settings_hash") != request.settings.fingerprint():
        return "its evidence was found under other settings or fees."
    if params_of(document).risk_fraction != request.risk_fraction:
        return f"its evidence is about a risk fraction of {params_of(document).risk_fraction:g}."
    if not 0 <= age_ms < OLDEST_EVIDENCE_MS:
        return f"its evidence is {span(abs(age_ms))} old; {span(OLDEST_EVIDENCE_MS)} is the most."
    return ""


def with_risk(params: StrategyParams, risk_fraction: float | None) -> StrategyParams:
    """The parameters with the risk fraction that was typed, if one was."""
    return params if risk_fraction is None else replace(params, risk_fraction=risk_fraction)


def show_loss(screen: Screen, prepared: Prepared, optimization: Optimization) -> None:
    """Print once more, right above the confirmation, what the next position may lose."""
    last_price = float(window_of(prepared, prepared.start_ms).close[-1])
    show_worst_loss(screen, prepared, optimization.params, last_price, optimization.document["results"]["avg_win"])


def confirm(screen: Screen, prepared: Prepared, stake: Stake) -> None:
    """The pair, typed; nothing else is a yes.

    Raises:
        NotAllowedError: something else was typed.
    """
    request = prepared.request
    screen.say()
    where = "a look-alike of Bybit" if is_look_alike(prepared.name) else "Bybit"
    screen.say(
        f"Real money: {usdt(request.settings.starting_balance)} of capital on {where}, {request.symbol}.", style="bold"
    )
    if request.max_notional_usdt == 0:
        screen.say("Without evidence every entry takes the smallest quantity that Bybit accepts.")
    if stake.confirm is not None:
        return
    try:
        answer = screen.ask(f"Type {request.symbol} to trade it: ")
    except EOFError:
        answer = ""
    if _pair(answer) != request.symbol:
        raise NotAllowedError("Not confirmed: nothing was sent.", f"Type {request.symbol} to trade real money.")


def _pair(text: str) -> str | None:
    try:
        return parse_symbol(text)
    except UnknownPairError:
        return None


def _written_ms(written: object) -> int:
    """When a document says it was written (UTC ms); long ago when it does not say."""
    if isinstance(written, int):
        return written
    try:
        when = datetime.fromisoformat(str(written))
    except ValueError:
        return 0
    return int((when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp() * 1_000)
