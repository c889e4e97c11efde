"""What a test, a server or a page may look at of the simulated exchange: its state, never changed from here."""

from __future__ import annotations

from your_short_trade_margin_call.domain.messages import Execution, PositionView
from your_short_trade_margin_call.exchange.book import Book, Booking, Quote
from your_short_trade_margin_call.exchange.clearing import Clearing
from your_short_trade_margin_call.exchange.gate import Gate
from your_short_trade_margin_call.exchange.positions import view_of


class Windows:
    """The read-only side of `SimulatedExchange`; looking counts as no request, and works in an outage."""

    _book: Book
    _clearing: Clearing
    _gate: Gate
    _quote: Quote | None
    _funding_settled_ms: int

    @property
    def wallet_usdt(self) -> float:
        """The wallet balance."""
        return self._book.wallet_usdt

    @property
    def available_usdt(self) -> float:
        """The wallet without position margin and what resting entries reserve; unrealised profit is not in it."""
        return self._clearing.available_usdt()

    @property
    def own_available_usdt(self) -> float:
        """What of `available_usdt` this pair accounts for (see `share_wallet`)."""
        return self._clearing.own_available_usdt()

    @property
    def writes(self) -> int:
        """How many requests that write have arrived."""
        return self._gate.writes

    @property
    def position(self) -> PositionView | None:
        """The open position as the exchange shows it, even in an outage."""
        return view_of(self._book.position)

    @property
    def take_profit_ticks(self) -> int | None:
        """The trigger of the take profit attached to the open position."""
        position = self._book.position
        return None if position is None or position.take_profit is None else position.take_profit.trigger_ticks

    @property
    def funding_settled_ms(self) -> int:
        """The latest settlement so far, whether or not a position was open; 0 before the first."""
        return self._funding_settled_ms

    @property
    def quote(self) -> Quote | None:
        """Where the market stands; None before the first market input."""
        return self._quote

    @property
    def ledger(self) -> tuple[Booking, ...]:
        """Every change of the wallet, oldest first: time, kind, amount in USDT."""
        return tuple(self._book.ledger)

    @property
    def executions(self) -> tuple[Execution, ...]:
        """Every execution, oldest first, told or not."""
        return tuple(self._book.executions)
