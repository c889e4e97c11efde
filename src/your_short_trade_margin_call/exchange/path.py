"""What the market does to the account on its way: through a candle, a single quote, or an opening quote alone.

All three are one walk with the rules' own candle path, so a quote is a candle of one price, and the opening
quote alone is a candle whose high and low reach nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.messages import Order
from your_short_trade_margin_call.domain.words import OrderType, Side
from your_short_trade_margin_call.exchange.book import Book, Moment, PlacedOrder, Quote, limit_price, trigger_price
from your_short_trade_margin_call.exchange.clearing import Clearing
from your_short_trade_margin_call.rules.candle_path import (
    LIQUIDATED,
    NOTHING,
    STOPPED,
    candle_event,
    reaches_target,
)
from your_short_trade_margin_call.rules.terms import NO_PRICE

NO_MINUTES: NDArray[np.float64] = np.full(3, np.nan)
NO_PRICE_TARGET = 0


@dataclass(frozen=True, slots=True)
class Path:
    """Prices in ticks: mark decides whether the loss side fires, last prices fill."""

    moment: Moment
    open: float
    high: float
    low: float
    mark_open: float
    mark_high: float
    minute_high: NDArray[np.float64]
    minute_low: NDArray[np.float64]

    @classmethod
    def of_quote(cls, quote: Quote) -> Path:
        """One price: everything it reaches happens."""
        mid, mark = quote.mid_ticks, quote.mark_ticks
        return cls(quote.moment, mid, mid, mid, mark, mark, NO_MINUTES, NO_MINUTES)

    @classmethod
    def of_opening(cls, quote: Quote) -> Path:
        """An opening quote that only the loss side looks at: resting limits wait for the candle itself."""
        mid, mark = quote.mid_ticks, quote.mark_ticks
        return cls(quote.moment, mid, -math.inf, math.inf, mark, mark, NO_MINUTES, NO_MINUTES)


def walk(clearing: Clearing, path: Path) -> None:
    """Let everything happen that this path reaches, one thing after another, the adverse first."""
    while _step(clearing, path):
        pass


def _step(clearing: Clearing, path: Path) -> bool:
    """The next thing that happens; False when nothing does.

    Resting entries lie on the way up: one below the level that ends the position fills before it is reached.
    Each step uses up an order or the position, so the walk ends.
    """
    book = clearing.book
    stop, target, entry = _nearest_stop(book), _nearest_target(book), book.best_limit(Side.SELL)
    event = _position_event(clearing, path, stop, target)
    if entry is not None and _reaches_entry(clearing, path, entry) and not _is_adverse_before(event, book, stop, entry):
        clearing.fill_resting(entry.order.link_id, path.moment)
    elif event == NOTHING:
        return False
    elif event == LIQUIDATED:
        clearing.liquidate(path.moment)
    elif event == STOPPED and stop is not None:
        clearing.fire_stop(stop, path.open, path.moment)
    elif target is not None and target.order_type is OrderType.TAKE_PROFIT_MARKET:
        clearing.fire_take_profit(target, max(path.open, path.high), path.moment)
    elif target is not None:
        clearing.fill_resting(target.link_id, path.moment)
    return True


def _position_event(clearing: Clearing, path: Path, stop: Order | None, target: Order | None) -> int:
    """What becomes of the position. A take profit is triggered by a touch, and sees the opening as a stop does."""
    position = clearing.book.position
    if position is None:
        return NOTHING
    is_triggered = target is not None and target.order_type is OrderType.TAKE_PROFIT_MARKET
    return int(
        candle_event(
            path.mark_open,
            path.mark_high,
            min(path.open, path.low) if is_triggered else path.low,
            position.liquidation_ticks,
            NO_PRICE if stop is None else trigger_price(stop),
            NO_PRICE_TARGET if target is None else _level(target),
            clearing.terms.fill_on_touch or is_triggered,
            path.minute_high,
            path.minute_low,
        )
    )


def _nearest_stop(book: Book) -> Order | None:
    """The stop that fires first, the attached one on a tie; one at or past liquidation would come too late."""
    if book.position is None:
        return None
    liquidation = book.position.liquidation_ticks
    in_time = [stop for stop in book.triggered_by(OrderType.STOP_MARKET) if trigger_price(stop) < liquidation]
    return min(in_time, key=trigger_price, default=None)


def _nearest_target(book: Book) -> Order | None:
    """What the falling price meets first: a take profit or a resting buy, on a tie what a touch is enough for."""
    limit = book.best_limit(Side.BUY)
    targets = [*book.triggered_by(OrderType.TAKE_PROFIT_MARKET), *([] if limit is None else [limit.order])]
    return max(targets, key=_level, default=None)


def _level(target: Order) -> int:
    return trigger_price(target) if target.order_type is OrderType.TAKE_PROFIT_MARKET else limit_price(target)


def _reaches_entry(clearing: Clearing, path: Path, entry: PlacedOrder) -> bool:
    """A resting sell fills by the rule of the resting buy, seen in a mirror."""
    return bool(reaches_target(-path.high, -limit_price(entry.order), clearing.terms.fill_on_touch))


def _is_adverse_before(event: int, book: Book, stop: Order | None, entry: PlacedOrder) -> bool:
    if book.position is None or event not in (LIQUIDATED, STOPPED):
        return False
    level = book.position.liquidation_ticks if stop is None else trigger_price(stop)
    return level <= limit_price(entry.order)
