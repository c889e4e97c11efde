"""What the private stream says about our account: orders, executions, the position's leverage."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Protocol

from your_short_trade_margin_call.adapters.bybit import wire
from your_short_trade_margin_call.adapters.bybit.account_rows import LINEAR, execution_of, order_of
from your_short_trade_margin_call.adapters.bybit.numbers import Grid, float_of
from your_short_trade_margin_call.domain.messages import Execution, Order

TOPICS = ("order", "execution", "position")
"""The wallet is not among them: it follows from executions, and is asked for when it matters."""
_REMEMBERED = 10_000
"""How many ids of executions are remembered; repetitions come within seconds."""


class AccountListener(Protocol):
    """Whoever wants to know, at once; called while the message is read."""

    def on_order(self, order: Order) -> None:
        """An order has a new status: ours, somebody else's, or the stop of the position (without an id)."""

    def on_execution(self, execution: Execution) -> None:
        """Something was booked; each execution comes once."""

    def on_leverage(self, leverage: float) -> None:
        """The leverage that the pair has now."""

    def on_stranger(self, symbol: str) -> None:
        """Something else was ordered or traded in this account: another pair, or this name in another category."""


class PrivateFeed:
    """Reads the messages of the private topics, for one pair.

    Args:
        symbol: the pair.
        grid: its ticks and lots.
        candle_ms: length of a candle.
        listener: told what was read.
    """

    topics = TOPICS

    def __init__(self, symbol: str, grid: Grid, candle_ms: int, listener: AccountListener) -> None:
        self._symbol = symbol
        self._grid = grid
        self._candle_ms = candle_ms
        self._listener = listener
        self._told: OrderedDict[str, None] = OrderedDict()
        self.ignored: Counter[str] = Counter()
        """Rows that said nothing new or nothing about this pair, by kind."""

    def take(self, message: wire.StreamMessage) -> None:
        """Read one message. A row that cannot be read costs the message its later rows.

        Raises:
            msgspec.ValidationError: a field is missing or of the wrong type.
            ExchangeError: a number cannot be read.
        """
        topic = (message.topic or "").partition(".")[0]
        if topic == "execution":
            self._take_executions(wire.STREAM_EXECUTIONS.decode(message.data))
        elif topic == "order":
            self._take_orders(wire.STREAM_ORDERS.decode(message.data))
        elif topic == "position":
            self._take_positions(wire.STREAM_POSITIONS.decode(message.data))
        else:
            self.ignored[topic] += 1

    def _is_about_us(self, symbol: str, category: str) -> bool:
        own = symbol == self._symbol and category in ("", LINEAR)
        if not own:
            self.ignored["another pair"] += 1
        return own

    def _is_ours(self, symbol: str, category: str) -> bool:
        """The same of an order or a trade, which nobody else may make in this account."""
        own = self._is_about_us(symbol, category)
        if not own:
            self._listener.on_stranger(symbol)
        return own

    def _take_executions(self, rows: list[wire.ExecutionRow]) -> None:
        for row in rows:
            if not self._is_ours(row.symbol, row.category):
                continue
            if row.exec_id in self._told:
                self.ignored["repeated execution"] += 1
                continue
            execution = execution_of(self._grid, row, self._candle_ms)
            self._told[row.exec_id] = None
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
            self._listener.on_execution(execution)

    def _take_orders(self, rows: list[wire.OrderRow]) -> None:
        for row in rows:
            if self._is_ours(row.symbol, row.category):
                self._listener.on_order(order_of(self._grid, row))

    def _take_positions(self, rows: list[wire.PositionRow]) -> None:
        """Pushed at every request; what matters here is the leverage, which a person may have changed."""
        for row in rows:
            if self._is_about_us(row.symbol, row.category) and row.leverage:
                self._listener.on_leverage(float_of(row.leverage))
