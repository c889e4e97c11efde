"""What the journal of an account and pair says before anything is asked of the exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from your_short_trade_margin_call.adapters.bybit.preflight_account import Ours
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import ArtefactError, BadInputError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import ExecutionKind, Purpose

STARTING_BALANCE = "starting_balance"
"""The journal's word for what its account began with, in USDT."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The journal in a few numbers: what it began with, the change of its wallet, its last candle, what is ours."""

    starting_balance: float | None = None
    wallet_change: float = 0.0
    last_candle_ms: int | None = None
    ours: Ours = field(default_factory=Ours)


def read_standing(path: Path, instrument: Instrument) -> Standing:
    """What stands in the journal; nothing when there is none yet.

    Raises:
        ArtefactError: it cannot be understood.
        DiskError: it cannot be read.
    """
    if not path.exists():
        return Standing()
    with SqliteJournal(path, read_only=True) as journal:
        balance = journal.meta().get(STARTING_BALANCE)
        return Standing(
            starting_balance=None if balance is None else float(balance),
            wallet_change=journal.wallet_change(float(instrument.tick_size), float(instrument.qty_step)),
            last_candle_ms=journal.last_candle_ms(),
            ours=_ours(journal, instrument),
        )


def standing_to_trade_on(path: Path, instrument: Instrument) -> Standing:
    """What stands in the journal that will be written: an empty file becomes one, a damaged one is kept aside.

    Raises:
        ArtefactError: it was damaged; the next start begins a fresh one.
        DiskError: it cannot be read.
    """
    try:
        return read_standing(path, instrument)
    except ArtefactError:
        SqliteJournal(path).close()
    return read_standing(path, instrument)


def _ours(journal: SqliteJournal, instrument: Instrument) -> Ours:
    intents, executions = journal.intents(), journal.executions()
    lots = max(0, sum(-each.side * each.lots for each in executions if each.kind is not ExecutionKind.FUNDING))
    unbooked = unbooked_entry_lots(journal)
    is_pending = unbooked > 0 and not lots
    return Ours(
        quantity=instrument.quantity(lots),
        unbooked=instrument.quantity(unbooked),
        may_be_entering=is_pending,
        link_ids=frozenset(request.link_id for request, *_ in intents),
        is_first=not executions and not is_pending,
    )


def unbooked_entry_lots(journal: SqliteJournal) -> int:
    """What the newest entry may have sold although nothing of it is booked, in lots.

    A process that was killed may have left it on its way, or booked it only in part. Once its trade is over, 0.
    """
    entries = [(request, outcome) for request, _, _, outcome in journal.intents() if request.purpose is Purpose.ENTRY]
    if not entries or entries[-1][1] == "refused":
        return 0
    request = entries[-1][0]
    booked = sum(each.lots for each in journal.executions() if each.link_id == request.link_id)
    return request.lots - booked if not booked or journal.open_lots() > 0 else 0


def balance_to_use(standing: Standing, capital_usdt: float | None, usual: float) -> float:
    """What the account begins with: the journal's own word, once there is one.

    Raises:
        BadInputError: another capital was typed.
    """
    began = standing.starting_balance
    if began is None:
        return usual if capital_usdt is None else capital_usdt
    if capital_usdt is not None and capital_usdt != began:
        raise BadInputError(
            f"This journal began with {began:g} USDT; --capital {capital_usdt:g} is another.",
            f"Leave out --capital, or say --capital {began:g}. To begin anew, flat, move the journal away.",
        )
    return began
