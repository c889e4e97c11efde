"""What was booked on an account: executions, the transaction log, and closed profit and loss. Oldest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text
from your_short_trade_margin_call.adapters.bybit_server.orders import OrderRecord
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair, exact_price
from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.words import ExecutionKind, Side

EXEC_TYPES = {
    ExecutionKind.TRADE: "Trade",
    ExecutionKind.FUNDING: "Funding",
    ExecutionKind.LIQUIDATION: "BustTrade",
    ExecutionKind.ADL: "AdlTrade",
}
LOG_TYPES = {
    ExecutionKind.TRADE: "TRADE",
    ExecutionKind.FUNDING: "SETTLEMENT",
    ExecutionKind.LIQUIDATION: "LIQUIDATION",
    ExecutionKind.ADL: "ADL",
}


@dataclass(frozen=True, slots=True)
class Booked:
    """One execution with everything that belongs to it. Money in USDT.

    `order` is None for funding. `cash_flow_usdt` is the profit on price of what was closed; `wallet_usdt` the wallet
    afterwards, `lots_after` the short that is left.
    """

    number: int
    exec_id: str
    order_id: str
    order: OrderRecord | None
    pair: Pair
    execution: Execution
    fee_rate: float
    mark_ticks: float
    cash_flow_usdt: float
    wallet_usdt: float
    lots_after: int
    leaves_lots: int

    @property
    def kind(self) -> ExecutionKind:
        """What it books."""
        return self.execution.kind

    @property
    def exec_type(self) -> str:
        """The same in the exchange's words."""
        return EXEC_TYPES[self.kind]

    @property
    def side_text(self) -> str:
        """``Buy`` or ``Sell``; funding has the side of the position."""
        return side_text(self.execution.side)

    @property
    def price(self) -> str:
        """What it was booked at."""
        return exact_price(self.pair, self.execution.price_ticks)

    @property
    def funding(self) -> Decimal:
        """What a settlement paid to the account (negative: what it cost), as written in the log."""
        return -self._fee if self.kind is ExecutionKind.FUNDING else Decimal(0)

    @property
    def fee(self) -> Decimal:
        """The trading fee as written in the log; 0 for a settlement."""
        return Decimal(0) if self.kind is ExecutionKind.FUNDING else self._fee

    @property
    def cash_flow(self) -> Decimal:
        """Profit on price as written in the log."""
        return Decimal(number_text(self.cash_flow_usdt))

    @property
    def change(self) -> Decimal:
        """Of the wallet: the sum of the three, exactly."""
        return self.cash_flow + self.funding - self.fee

    @property
    def _fee(self) -> Decimal:
        return Decimal(number_text(self.execution.fee_usdt))


@dataclass(slots=True)
class ClosedPnl:
    """What one closing order closed, over all its executions. Money in USDT."""

    number: int
    order: OrderRecord
    pair: Pair
    exec_type: str
    leverage: float
    created_ms: int
    updated_ms: int = 0
    lots: int = 0
    fills: int = 0
    entry_value: float = 0.0
    exit_value: float = 0.0
    open_fee: float = 0.0
    close_fee: float = 0.0

    @property
    def pnl_usdt(self) -> float:
        """Profit of a short, net of the fees of both ends."""
        return self.entry_value - self.exit_value - self.open_fee - self.close_fee


@dataclass(slots=True)
class Statement:
    """The account's books."""

    booked: list[Booked] = field(default_factory=list)
    closed: list[ClosedPnl] = field(default_factory=list)

    def closing(self, order: OrderRecord, pair: Pair, exec_type: str, leverage: float, time_ms: int) -> ClosedPnl:
        """The row that this order's closing executions add up to."""
        if self.closed and self.closed[-1].order is order:
            return self.closed[-1]
        found = next((row for row in reversed(self.closed) if row.order is order), None)
        if found is None:
            found = ClosedPnl(len(self.closed) + 1, order, pair, exec_type, leverage, time_ms)
            self.closed.append(found)
        return found


def side_text(side: Side) -> str:
    """``Buy`` or ``Sell``."""
    return "Buy" if side is Side.BUY else "Sell"
