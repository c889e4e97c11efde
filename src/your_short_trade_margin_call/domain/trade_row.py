"""A closed round trip as users see it: the same columns from a backtest, a journal and a CSV file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import ExitReason, TargetSource

TRADE_COLUMNS = (
    "entry_time",
    "exit_time",
    "entry_price",
    "exit_price",
    "quantity",
    "leverage",
    "target_price",
    "target_source",
    "liquidation_price",
    "margin_call_price",
    "entry_fee",
    "exit_fee",
    "funding",
    "pnl_value",
    "pnl_pct",
    "exit_reason",
    "balance_after",
)


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A closed short in ticks, lots and USDT; times are UTC ms of the candle a fill happened in.

    `margin_call_ticks` is None where there is no margin call. `exit_ticks` may lie between two ticks: a
    liquidation settles at the bankruptcy price, partial fills at their mean.
    """

    entry_time: int
    exit_time: int
    entry_ticks: float
    exit_ticks: float
    lots: int
    leverage: float
    target_ticks: float
    target_source: TargetSource
    liquidation_ticks: float
    margin_call_ticks: float | None
    entry_fee: float
    exit_fee: float
    funding: float
    pnl_value: float
    exit_reason: ExitReason
    balance_after: float

    def as_row(self, instrument: Instrument, starting_balance: float) -> dict[str, Any]:
        """The trade by TRADE_COLUMNS: prices in USDT, quantity in base coin, `pnl_pct` of the starting balance."""
        margin_call = self.margin_call_ticks
        values = (
            self.entry_time,
            self.exit_time,
            instrument.price(self.entry_ticks),
            instrument.price(self.exit_ticks),
            instrument.quantity(self.lots),
            self.leverage,
            instrument.price(self.target_ticks),
            str(self.target_source),
            instrument.price(self.liquidation_ticks),
            None if margin_call is None else instrument.price(margin_call),
            self.entry_fee,
            self.exit_fee,
            self.funding,
            self.pnl_value,
            100.0 * self.pnl_value / starting_balance,
            str(self.exit_reason),
            self.balance_after,
        )
        return dict(zip(TRADE_COLUMNS, values, strict=True))
