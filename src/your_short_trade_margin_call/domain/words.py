"""The enumerations of the house: one word per thing (docs/glossary.md).

Kernels work with small integers: the code of a member is its place in its class, so members are
only ever appended. The kernel cache (``rules/jit.py``) is keyed by this file too.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Self, TypeVar

Window = TypeVar("Window")


class Side(IntEnum):
    """Direction of an order or execution; position quantities are signed with it."""

    BUY = 1
    SELL = -1


class CodedEnum(StrEnum):
    """A string for people, an integer code for kernels."""

    @property
    def code(self) -> int:
        """The member's place in its class, from 0."""
        return list(type(self)).index(self)

    @classmethod
    def from_code(cls, code: int) -> Self:
        """The member whose code is `code`."""
        return list(cls)[code]


class ExitType(CodedEnum):
    """Which level before the signal names the target."""

    HIGHEST_LOW = "highest_low"
    LOWEST_HIGH = "lowest_high"
    MIDPOINT = "midpoint"
    TAKE_PROFIT = "take_profit"


class TargetSource(CodedEnum):
    """Where a target came from: a level, or the take-profit fraction."""

    LEVEL = "level"
    TAKE_PROFIT = "take_profit"


class Objective(StrEnum):
    """What the winner of a sweep is chosen by (`research/selection.py`)."""

    PNL_PCT = "pnl_pct"
    PLATEAU = "plateau"
    GROWTH = "growth"
    POOLED = "pooled"

    @property
    def is_pooled(self) -> bool:
        """Whether it looks at several windows; the others look at the latest."""
        return self in (Objective.GROWTH, Objective.POOLED)

    def windows_of(self, windows: Sequence[Window]) -> Sequence[Window]:
        """Those of some windows, the latest last, that it looks at."""
        return windows if self.is_pooled else windows[-1:]


class Adopt(StrEnum):
    """When a new winner replaces the running parameters (`research/adoption.py`)."""

    ALWAYS = "always"
    BETTER = "better"


class ExitReason(CodedEnum):
    """How a trade ended."""

    TARGET = "target"
    MARGIN_CALL = "margin_call"
    LIQUIDATION = "liquidation"
    STOP_LOSS = "stop_loss"
    MAX_HOLD = "max_hold"
    END_OF_DATA = "end_of_data"
    # Only on an exchange: closed by hand, by `flatten`, by an emergency close or by the venue itself.
    CLOSED = "closed"


class BlockReason(CodedEnum):
    """Why a signal was not traded."""

    POSITION_OPEN = "position_open"
    ORDER_REJECTED = "order_rejected"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    BELOW_MIN_QTY = "below_min_qty"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    STALE_CANDLE = "stale_candle"
    STREAM_GAP = "stream_gap"
    NO_EDGE = "no_edge"
    PAUSED = "paused"
    DAILY_LOSS = "daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    COOLDOWN = "cooldown"
    INSTRUMENT_NOT_TRADING = "instrument_not_trading"
    CLOCK_SKEW = "clock_skew"
    RATE_LIMITED = "rate_limited"
    EXCHANGE_ERROR = "exchange_error"


class Verdict(StrEnum):
    """Whether a procedure that chooses parameters is better than luck."""

    REAL = "REAL"
    CANNOT_TELL = "CAN'T TELL"
    LUCK = "LUCK"


class OrderType(StrEnum):
    """What kind of order is asked for."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"
    TAKE_PROFIT_MARKET = "take_profit_market"


class OrderStatus(StrEnum):
    """Where an order stands; the last three are final."""

    NEW = "new"
    UNTRIGGERED = "untriggered"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """True when nothing more can happen to the order."""
        return self in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


class ExecutionKind(StrEnum):
    """What an execution row books: a fill, a funding settlement, or a take-over by the venue."""

    TRADE = "trade"
    FUNDING = "funding"
    LIQUIDATION = "liquidation"
    ADL = "adl"


class Purpose(StrEnum):
    """Why we send an order; part of its derived id."""

    ENTRY = "entry"
    TARGET = "target"
    STOP = "stop"
    CLOSE = "close"


class MarketKind(StrEnum):
    """Where candles come from."""

    AUTO = "auto"
    BYBIT = "bybit"
    SIMULATED = "simulated"
    REPLAY = "replay"


class Account(StrEnum):
    """Whose money is at stake."""

    PAPER = "paper"
    DEMO = "demo"
    TESTNET = "testnet"
    MAINNET = "mainnet"


class DrillKind(StrEnum):
    """The markets of the noise drill; in all but the last two nobody can earn anything beyond luck and shortness."""

    RANDOM_WALK = "random_walk"
    CLUSTERING = "clustering"
    JUMPS = "jumps"
    SQUEEZES = "squeezes"
    RESAMPLED = "resampled"
    FALLING = "falling"
    RISING = "rising"
    REVERTING = "reverting"
    PLANTED = "planted"
    HALF = "half"

    @property
    def has_edge(self) -> bool:
        """True where failed peaks are followed by falls that pay for more than their costs."""
        return self in (DrillKind.PLANTED, DrillKind.HALF)
