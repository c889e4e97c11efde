"""What `decide` asks for: things to do on the exchange, and things to write down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import BlockReason
from your_short_trade_margin_call.trading.state import Halt


@dataclass(frozen=True, slots=True)
class Place:
    """Send an order, after its intent is on disk. `context` is what recovery needs to understand it."""

    request: OrderRequest
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AmendStop:
    """Move the position's protective stop."""

    trigger_ticks: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel an order of ours."""

    link_id: str


@dataclass(frozen=True, slots=True)
class RecordBlocked:
    """A signal that was not traded, and why."""

    candle_ms: int
    reason: BlockReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RecordTrade:
    """A closed round trip, as a trade row."""

    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """A short is open and its exits are known (for the trader's eyes and the journal's events)."""

    time_ms: int
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordSignal:
    """A signal, kept so that a restart knows it. An entry's intent holds it too, and may be written down before it."""

    candle_ms: int
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordEquity:
    """The account at a candle's close: the last of its records, so it marks the candle as handled."""

    candle_ms: int
    wallet_usdt: float
    equity_usdt: float


@dataclass(frozen=True, slots=True)
class RecordNote:
    """Something the trader should be able to read later."""

    time_ms: int
    kind: str
    detail: dict[str, Any]


Record = RecordBlocked | RecordTrade | RecordEntry | RecordSignal | RecordEquity | RecordNote
Command = Place | AmendStop | Cancel | Record


# ---- what became of a command: the shell feeds these back into `decide` ---------------------------


@dataclass(frozen=True, slots=True)
class Refused:
    """The order does not exist on the exchange, and will not."""

    request: OrderRequest
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StopRefused:
    """The stop could not be moved; `standing_ticks` is where it stands, None when none does."""

    trigger_ticks: int
    message: str
    standing_ticks: int | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that forbids entries has begun (`is_on`), or is over."""

    time_ms: int
    kind: Halt
    is_on: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The exchange's position is not what our executions make it, for good.

    `lots` is signed as the exchange shows it, with its mean price in ticks.
    """

    time_ms: int
    lots: int
    entry_ticks: float


Answer = Refused | StopRefused | Trouble | Mismatch
