"""What the engine knows, as frozen values: a state that cannot be has no representation.

The book is `Flat`, or `Entering` (an entry is on its way, perhaps partly filled), or `Open` (a short
with its exits). There is no "flat with a target" and no "open without an entry price".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.messages import Candle, OrderRequest
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.rules.entry import Tally
from your_short_trade_margin_call.rules.position import Guards, Target
from your_short_trade_margin_call.rules.terms import Contract, Terms, make_contract, make_terms
from your_short_trade_margin_call.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What does not change while an engine runs."""

    symbol: str
    instrument: Instrument
    contract: Contract
    terms: Terms
    candle_ms: int
    stale_after_ms: int
    starting_balance: float
    keep_candles: int


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


@dataclass(frozen=True, slots=True)
class EngineState:
    """Everything `decide` may look at besides the event.

    `window` holds the last closed candles. `params` apply to closes after `adopted_ms`. `halted` says why
    no entry is made until a restart has held everything against the exchange; empty when all is well.
    """

    wallet: float
    tally: Tally
    params: StrategyParams | None = None
    has_edge: bool = True
    adopted_ms: int = 0
    window: tuple[Candle, ...] = ()
    book: Book = field(default_factory=Flat)
    wish: Wish | None = None
    paused: bool = False
    flatten: bool = False
    connected: bool = True
    halted: str = ""
    time_ms: int = 0
    price_ticks: float = 0.0
