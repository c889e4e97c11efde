"""What must hold after every event; a broken one stops the program."""

from __future__ import annotations

from your_short_trade_margin_call.domain.errors import BrokenInvariantError
from your_short_trade_margin_call.exchange.book import MONEY_TOLERANCE_USDT, Book

LEDGER_TOLERANCE_USDT = 1e-8


def check_book(book: Book, available_usdt: float) -> None:
    """Short only, money conserved, nothing spent twice, no exit without a position, ids unique.

    Money tolerances hold for accounts up to a thousand USDT and grow with larger ones, as floats do.

    Raises:
        BrokenInvariantError: naming the invariant.
    """
    scale = max(1.0, book.starting_usdt / 1e3, abs(book.wallet_usdt) / 1e3)
    drift = book.wallet_usdt - float(book.booked) - book.starting_usdt
    _require(abs(drift) <= LEDGER_TOLERANCE_USDT * scale, f"the wallet is {drift} USDT away from its ledger")
    short_by = -available_usdt - book.overdrawn_usdt
    _require(short_by <= MONEY_TOLERANCE_USDT * scale, f"{short_by} USDT more are locked than there are")
    _require(book.position is None or book.position.lots < 0, "the position is not short")
    orders = [placed.order for placed in book.open_orders.values()]
    exits = [order.link_id for order in orders if order.reduce_only]
    _require(book.position is not None or not exits, f"exits without a position: {exits}")
    _require(not book.open_orders.keys() & book.closed_orders.keys(), "an order is open and final at once")
    _require(all(not order.status.is_final for order in orders), "a final order is open")
    _require(all(0 <= order.filled_lots < order.lots for order in orders), "an open order has nothing left to fill")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenInvariantError(f"The simulated exchange broke an invariant: {otherwise}.")
