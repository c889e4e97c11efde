"""A market as a table a trader can read, and what must come of it.

One line a candle: the time of its opening, then open, high, low, close in USDT. After bars may follow

    | mark 1000 1086 998 1001         its mark-price candle (open, high, low, close)
    | minutes 1001/985 1086/990 ...   high/low of its three minutes
    | funding +0.10%                  a settlement at its opening, of this rate

and after a # whatever there is to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.worlds import World
from your_short_trade_margin_call.domain.instrument import Instrument, RiskTier
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.extras import FundingRates, MarkCandles, MinuteCandles
from your_short_trade_margin_call.settings import Settings

MIDNIGHT_MS = 1_748_822_400_000
"""2025-06-02T00:00:00Z."""

SETTINGS = Settings(
    starting_balance=1_000.0,
    leverage=10.0,
    max_available_frac=0.9,
    spread_bps=0.0,
    slippage_bps=0.0,
    order_reject_prob=0.0,
    taker_fee_rate=0.00055,
    maker_fee_rate=0.0002,
    min_take_profit_pct=0.0022,
    margin_call_at=0.9,
)
PARAMS = StrategyParams(2, ExitType.HIGHEST_LOW, 0.5, 0.0044)
INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    tick_size=Decimal("0.5"),
    qty_step=Decimal("1"),
    min_order_qty=Decimal("1"),
    max_market_order_qty=Decimal("1000"),
    min_notional_usdt=5.0,
    max_leverage=100.0,
    tiers=(RiskTier(1e9, 0.005, 100.0, 0.0),),
    tiers_source="file",
)


@dataclass(frozen=True)
class Trade:
    """The row that must come out. Money in USDT; what is not said is as in the usual short (see `usual_short.py`)."""

    opened: str
    closed: str
    exit: float
    reason: str
    exit_fee: float
    pnl: float
    balance: float
    entry: float = 1_000.0
    quantity: float = 4.0
    leverage: float = 10.0
    target: float = 990.0
    source: str = "level"
    liquidation: float = 1_094.5
    margin_call: float | None = 1_085.0
    entry_fee: float = 2.2
    funding: float = 0.0

    def row(self) -> dict[str, Any]:
        """All columns of a trade row. The starting balance is 1000 USDT: a tenth of the profit is its percentage."""
        return {
            "entry_time": at(self.opened),
            "exit_time": at(self.closed),
            "entry_price": self.entry,
            "exit_price": self.exit,
            "quantity": self.quantity,
            "leverage": self.leverage,
            "target_price": self.target,
            "target_source": self.source,
            "liquidation_price": self.liquidation,
            "margin_call_price": self.margin_call,
            "entry_fee": self.entry_fee,
            "exit_fee": self.exit_fee,
            "funding": self.funding,
            "pnl_value": self.pnl,
            "pnl_pct": self.pnl / 10.0,
            "exit_reason": self.reason,
            "balance_after": self.balance,
        }


@dataclass(frozen=True)
class Scenario:
    """What happens in a market. The dictionaries change the usual settings, parameters and instrument."""

    name: str
    market: str
    trades: tuple[Trade, ...] = ()
    blocked: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    instrument: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """Metrics that must be exactly so: clamps, margin calls, liquidations."""

    def world(self) -> World:
        """The same scenario as the engines take it."""
        fields = {name: getattr(INSTRUMENT, name) for name in INSTRUMENT.__slots__}
        params = {name: getattr(PARAMS, name) for name in PARAMS.__slots__}
        return World(
            0,
            read_market(self.market),
            Instrument(**(fields | self.instrument)),
            SETTINGS.replace(**self.settings),
            StrategyParams(**(params | self.params)),
        )


def at(clock: str) -> int:
    """UTC milliseconds of ``12:09`` on the one day of these stories, or of ``+1 00:03`` on the day after."""
    days, _, clock = clock.rpartition(" ")
    hours, minutes = clock.split(":")
    return MIDNIGHT_MS + (int(days or 0) * 1_440 + int(hours) * 60 + int(minutes)) * 60_000


def read_market(text: str) -> Candles:
    """The candles of a table, with their marks, minutes and settlements."""
    rows, marks, minutes, rates = [], [], [], []
    for line in text.strip().splitlines():
        said, _, _ = line.partition("#")
        if not said.strip():
            continue
        candle, *more = (part.split() for part in said.split("|"))
        time_ms = at(" ".join(candle[:-4]))
        rows.append((time_ms, *map(float, candle[-4:])))
        for word, *values in more:
            if word == "mark":
                marks.append((time_ms, *map(float, values)))
            elif word == "minutes":
                minutes += [_minute(time_ms + 60_000 * k, value) for k, value in enumerate(values)]
            elif word == "funding":
                rates.append((time_ms, float(values[0].rstrip("%")) / 100.0))
            else:
                raise ValueError(f"Nobody knows what {word!r} means in {line!r}.")
    return Candles.from_columns(
        INSTRUMENT.symbol,
        *zip(*rows, strict=True),
        mark=MarkCandles.from_columns(*zip(*marks, strict=True)) if marks else None,
        minutes=MinuteCandles.from_columns(*zip(*minutes, strict=True)) if minutes else None,
        funding=FundingRates.from_columns(*zip(*rates, strict=True)) if rates else None,
        timeframe_ms=180_000,
    )


def _minute(time_ms: int, value: str) -> tuple[float, ...]:
    high, low = map(float, value.split("/"))
    return time_ms, low, high, low, high
