"""Numbers that no market and no exchange means: they are noticed and ignored, never traded on."""

from __future__ import annotations

import math

from your_short_trade_margin_call.domain.messages import Candle, CandleClosed, Event, Executed, Execution, QuoteArrived
from your_short_trade_margin_call.domain.words import ExecutionKind


def nonsense(event: Event | object) -> str:
    """What is wrong with the numbers of an event; empty when nothing is."""
    match event:
        case QuoteArrived(_, mid_ticks, _):
            return "" if _is_price(mid_ticks) else f"a quote of {mid_ticks}"
        case CandleClosed(candle):
            return _of_candle(candle)
        case Executed(execution):
            return _of_execution(execution)
        case _:
            return ""


def _of_candle(candle: Candle) -> str:
    prices = (candle.open, candle.high, candle.low, candle.close)
    if all(_is_price(price) for price in prices) and max(prices) <= candle.high and min(prices) >= candle.low:
        return ""
    return f"a candle of {prices}"


def _of_execution(execution: Execution) -> str:
    is_fill = execution.kind is not ExecutionKind.FUNDING
    if not math.isfinite(execution.fee_usdt):
        return f"an execution with a fee of {execution.fee_usdt}"
    if is_fill and not (execution.lots > 0 and _is_price(execution.price_ticks)):
        return f"an execution of {execution.lots} lots at {execution.price_ticks}"
    return ""


def _is_price(ticks: float) -> bool:
    return math.isfinite(ticks) and ticks > 0
