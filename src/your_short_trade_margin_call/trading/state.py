"""What the engine knows, as frozen values: a state that cannot be has no representation.

The book is `Flat`, or `Entering` (an entry is on its way, perhaps partly filled), or `Open` (a short
with its exits). There is no "flat with a target" and no "open without an entry price".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.messages import Candle, OrderRequest
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason, ExitReason
from your_short_trade_margin_call.rules.entry import Tally
from your_short_trade_margin_call.rules.position import Guards, Target
from your_short_trade_margin_call.rules.terms import Contract, Terms, make_contract, make_terms
from your_short_trade_margin_call.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What does not change while an engine runs.

    `light_every_candles`: how often the account is looked at beside the events (0: only at the start and after a
    reconnect). `verify_stop`: look at once after each entry whether its stop rests. `turn_every_ms`: how long the
    loop waits for an event before it looks after open questions (0: as long as it takes). `max_notional_usdt`: the
    largest position (None: no cap; 0: the smallest tradable quantity). `may_enter`: why no entry is made from the
    start (None: they are); one of `BlockReason`'s values, or words that go with `no_edge`.
    `close_when_not_trading`: an open short is closed early when its instrument stops trading.
    """

    symbol: str
    instrument: Instrument
    contract: Contract
    terms: Terms
    candle_ms: int
    stale_after_ms: int
    starting_balance: float
    keep_candles: int
    light_every_candles: int = 2
    verify_stop: bool = False
    turn_every_ms: int = 0
    max_notional_usdt: float | None = None
    may_enter: str | None = None
    close_when_not_trading: bool = True


def make_context(settings: Settings, instrument: Instrument, longest_lookback: int) -> Context:
    """The context of an engine; the window keeps enough candles for the longest lookback in use."""
    return Context(
        symbol=instrument.symbol,
        instrument=instrument,
        contract=make_contract(instrument),
        terms=make_terms(settings, instrument.symbol),
        candle_ms=settings.candle_ms,
        stale_after_ms=settings.stale_after,
        starting_balance=settings.starting_balance,
        keep_candles=longest_lookback + 2,
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """A signal at the close of `candle_ms`, waiting for the opening quote of the next candle.

    The parameters are those in force at the close; `blocked_at_close` is a reason already known then.
    Levels in ticks.
    """

    candle_ms: int
    params: StrategyParams
    highest_low: float
    lowest_high: float
    blocked_at_close: str | None = None


@dataclass(frozen=True, slots=True)
class Flat:
    """No position, no entry on its way."""


@dataclass(frozen=True, slots=True)
class Entering:
    """An entry order is on its way. `entry_ticks` is the mean price of its fills so far.

    `expected_lots` is what it will fill in all: what was asked for, or less once it has ended early.
    """

    request: OrderRequest
    wish: Wish
    candle_ms: int
    leverage_clamped: bool
    quantity_clamped: bool
    expected_lots: int
    filled_lots: int = 0
    entry_ticks: float = 0.0
    fees: float = 0.0
    funding: float = 0.0


@dataclass(frozen=True, slots=True)
class Open:
    """An open short with its exits. Ticks, lots, USDT.

    `lots` is what is still open of `entered_lots`; `exit_value_ticks` the sum of lots times price bought
    back so far. `target_id` and `close_id` are the orders of ours that rest or run; `needs_target` when the
    target was refused or lost, `close_wanted` when a close was decided but none is running. Both are tried
    again at every opening quote, and so is a stop that is not where it belongs.
    """

    candle_ms: int
    params: StrategyParams
    entered_lots: int
    lots: int
    entry_ticks: float
    leverage: float
    entry_fee: float
    target: Target
    guards: Guards
    stop_on_exchange: int | None
    target_id: str
    needs_target: bool = False
    close_id: str | None = None
    close_wanted: ExitReason | None = None
    close_attempts: int = 0
    extra_margin: float = 0.0
    funding: float = 0.0
    exit_fee: float = 0.0
    exit_value_ticks: float = 0.0
    pnl: float = 0.0


Book = Flat | Entering | Open


class Halt(StrEnum):
    """Why no entry is made although nothing is wrong with the signal; also the kind of the note that says so.

    Each ends when its cause does. `POSITION_MISMATCH` ends with a restart: a person should have looked.
    """

    UNRECONCILED = "unreconciled"
    EXCHANGE_SILENT = "exchange_silent"
    KEY_REFUSED = "key_refused"
    FORBIDDEN = "forbidden"
    POSITION_MISMATCH = "position_mismatch"
    FOREIGN_ORDER = "foreign_order"
    DISK_TROUBLE = "disk_trouble"
    CLOSE_FAILED = "close_failed"


@dataclass(frozen=True, slots=True)
class Stray:
    """What the account holds beside our short: signed lots (negative: short), and their mean price in ticks.

    Somebody else traded it, and it is left alone; unless `is_residual`: nobody can say where it comes from, so it
    counts as a remainder of ours and is bought back, under `close_id`.
    """

    lots: int = 0
    entry_ticks: float = 0.0
    is_residual: bool = False
    close_id: str | None = None
    close_attempts: int = 0


class EngineState(NamedTuple):
    """Everything `decide` may look at besides the event. A tuple, since it is changed several times an event.

    `window` holds the last closed candles. `params` apply to closes after `adopted_ms`. `halts` says why no
    entry is made, `conditions` what outside forbids them; both empty when all is well. `last_entry_ms` is the
    candle of the newest entry that filled, the name under which a remainder is closed.
    """

    wallet: float
    tally: Tally
    params: StrategyParams | None = None
    has_edge: bool = True
    adopted_ms: int = 0
    window: tuple[Candle, ...] = ()
    book: Book = Flat()
    stray: Stray = Stray()
    wish: Wish | None = None
    paused: bool = False
    flatten: bool = False
    connected: bool = True
    halts: tuple[tuple[Halt, str], ...] = ()
    conditions: frozenset[BlockReason] = frozenset()
    last_entry_ms: int | None = None
    time_ms: int = 0
    price_ticks: float = 0.0

    @property
    def halted(self) -> str:
        """Why no entry is made, in words; empty when all is well."""
        return "; ".join(why for _, why in self.halts)

    @property
    def short_lots(self) -> int:
        """The lots of our own short by our book, filled entries included."""
        if isinstance(self.book, Open):
            return self.book.lots
        return self.book.filled_lots if isinstance(self.book, Entering) else 0


def with_halt(state: EngineState, kind: Halt, why: str) -> EngineState:
    """No entry from now on; the words of a halt that stands are renewed."""
    others = tuple(halt for halt in state.halts if halt[0] is not kind)
    return state._replace(halts=(*others, (kind, why)))


def without_halts(state: EngineState, *kinds: Halt) -> EngineState:
    """These halts are over."""
    return state._replace(halts=tuple(halt for halt in state.halts if halt[0] not in kinds))


def is_halted(state: EngineState, kind: Halt) -> bool:
    """Whether this halt stands."""
    return any(halt[0] is kind for halt in state.halts)
