"""What the trading engine notes besides entries and exits, in words a trader can act on (docs/decisions/0011)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import BlockReason, ExecutionKind, Side
from your_short_trade_margin_call.reporting.events import BLOCKED_BECAUSE, EventLine, note_line, problem_line
from your_short_trade_margin_call.reporting.text import price, quantity, signed_usdt

Detail = Mapping[str, Any]
Words = Callable[[Detail, Instrument], str]

KEEPS = "An open short keeps its stop and its target on the exchange."

OVER = {
    "unreconciled": "the account is as it should be",
    "exchange_silent": "the exchange answers again",
    "key_refused": "the exchange accepts the key again",
    "forbidden": "the exchange lets this address in again",
    "foreign_order": "nothing of anybody else is left in the account",
    "disk_trouble": "everything is on the disk again",
    "close_failed": "after the failed close the account is as it should be again",
}
"""What is said when a halt is over, by its name."""


def engine_note_line(time_ms: int, kind: str, detail: Detail, instrument: Instrument) -> EventLine:
    """A note of the engine's in words; one of a kind that is not known here is shown as it is."""
    for kinds, line in ((PROBLEMS, problem_line), (NOTES, note_line)):
        if kind in kinds:
            return line(time_ms, kinds[kind](detail, instrument))
    if kind == "condition":
        return _condition_line(time_ms, detail)
    return note_line(time_ms, f"{kind} {dict(detail) or ''}".strip())


def _condition_line(time_ms: int, detail: Detail) -> EventLine:
    """Something outside forbids entries, or does so no more."""
    condition, why = str(detail["condition"]), _why(detail)
    cause = BLOCKED_BECAUSE.get(condition, condition)
    if not detail["is_on"]:
        is_of_exchange = condition == BlockReason.EXCHANGE_ERROR
        return note_line(time_ms, f"over: {'what the exchange had said before' if is_of_exchange else cause}")
    if condition == BlockReason.EXCHANGE_ERROR:  # the reason says more than the name
        return problem_line(time_ms, f"no entries: {why}.")
    leaves = " An open short is closed." if condition == BlockReason.INSTRUMENT_NOT_TRADING else ""
    return problem_line(time_ms, f"no entries: {cause} ({why}).{leaves}")


def _said(text: str) -> Words:
    """Words in which only what was noted is filled in."""
    return lambda detail, _: text.format_map(_Known({**detail, "why": _why(detail), "KEEPS": KEEPS}))


def _why(detail: Detail) -> str:
    """The reason, ready to stand inside a sentence."""
    return str(detail.get("why") or "no reason is told").rstrip(".")


class _Known(dict[str, Any]):
    """A detail that may lack something."""

    def __missing__(self, key: str) -> str:
        return "?"


def _position_mismatch(detail: Detail, instrument: Instrument) -> str:
    theirs = _held(detail["exchange_lots"], instrument)
    ours = _held(detail["our_lots"] + detail.get("known_lots", 0), instrument)
    return (
        f"the exchange holds {theirs}, by our executions it is {ours}: what is left of ours is closed, and there are "
        "no entries until the program is started again. Look at the account before that."
    )


def _held(lots: int, instrument: Instrument) -> str:
    """Signed lots in words."""
    return "nothing" if not lots else f"{'short' if lots < 0 else 'long'} {_size(abs(lots), instrument)}"


def _size(lots: int, instrument: Instrument) -> str:
    return quantity(instrument.quantity(lots))


def _stop_refused(detail: Detail, instrument: Instrument) -> str:
    why, standing = _why(detail), detail.get("standing")
    if detail.get("closes", standing is None) or standing is None:
        return f"the stop could not be placed ({why}): the position is closed at once"
    wanted, stays = _price(detail["trigger_ticks"], instrument), _price(standing, instrument)
    return f"the stop could not be moved to {wanted} ({why}): it stays at {stays} and is tried again"


def _liquidation_drift(detail: Detail, instrument: Instrument) -> str:
    theirs, ours = (_price(detail[name], instrument) for name in ("exchange_ticks", "our_ticks"))
    is_nearer = detail["exchange_ticks"] <= detail["stop_ticks"]
    danger = " That is before the stop: add margin, or `flatten`." if is_nearer else ""
    return f"the exchange would liquidate at {theirs}, by our margin rules it is {ours}.{danger}"


def _naked(detail: Detail, instrument: Instrument) -> str:
    stop = _price(detail["trigger_ticks"], instrument)
    return (
        f"the exchange has not confirmed the stop at {stop} for two seconds: it is set again, and the short is closed "
        "if that does not help"
    )


def _closed_by_others(detail: Detail, instrument: Instrument) -> str:
    who = "the exchange (deleveraging or settlement)" if detail["kind"] == ExecutionKind.ADL else "somebody else"
    return f"{who} bought {_size(detail['lots'], instrument)} of the short back"


def _foreign_execution(detail: Detail, instrument: Instrument) -> str:
    did = "sold" if detail["side"] == Side.SELL else "bought"
    return f"somebody else {did} {_size(detail['lots'], instrument)} in this account"


def _halt_over(detail: Detail, _instrument: Instrument) -> str:
    was, still = str(detail["was"]), detail.get("still")
    return OVER.get(was, f"{was} is over") + (f"; still no entries: {still}" if still else "")


def _price(ticks: float, instrument: Instrument) -> str:
    return price(instrument.price(ticks), instrument.price_decimals)


PROBLEMS: dict[str, Words] = {
    "unreconciled": _said("no entries: {why}"),
    "exchange_silent": _said("no entries: the exchange does not answer ({why}). It is asked again. {KEEPS}"),
    "key_refused": _said("no entries: the exchange refuses the key ({why}): nothing can be done with it. {KEEPS}"),
    "forbidden": _said("no entries: {why}. It is asked again, minutes apart. {KEEPS}"),
    "position_mismatch": _position_mismatch,
    "foreign_order": _said("no entries: {why}. Cancel or close it by hand: the program needs an account of its own."),
    "foreign_execution": _foreign_execution,
    "disk_trouble": _said("no entries: {why}. Exits go on. Free some space, or put the file back."),
    "close_failed": _said(
        "closing failed {attempts} times ({why}): no entries, and it is tried again with each candle. Close the "
        "position by hand if it stays."
    ),
    "order_refused": _said("the exchange refused order {link_id}: {why}"),
    "stop_refused": _stop_refused,
    "stop_missing": lambda detail, instrument: (
        f"the exchange shows no stop for the short of {_size(detail['lots'], instrument)}: it is set at once"
    ),
    "naked": _naked,
    "liquidation_drift": _liquidation_drift,
    "closed_by_others": _closed_by_others,
    "stream_lost": _said("the connection is lost. {KEEPS}"),
    "gap_not_filled": _said(
        "missing candles could not be fetched ({why}): no signal until the lookback is whole again"
    ),
    "adviser_failed": _said("optimising again failed ({why}): the parameters stay what they are"),
    "nonsense_ignored": _said("the exchange said something that cannot be, and it was ignored: {why}"),
    "journal_unreadable": _said("the journal cannot be read: {why}"),
    "controls_failed": _said("`pause` and `flatten` cannot be read ({why}): nothing changes"),
    "heartbeat_failed": _said("the supervisor could not be told that all is well: {why}"),
    "observer_failed": _said("something could not be shown: {why}"),
}
"""What the trader should know of, by kind."""

NOTES: dict[str, Words] = {
    "stream_restored": _said("the connection is back, the account is compared"),
    "halt_over": _halt_over,
    "differs": _said("a look at the account: {what} is not as it should be, so everything is compared"),
    "wallet_adjusted": lambda detail, _: (
        f"the wallet changed by {signed_usdt(detail['by_usdt'])} without a trade (a deposit, a withdrawal, a bonus): "
        "that is reckoned with from now on"
    ),
}
"""What the trader may want to know, by kind."""
