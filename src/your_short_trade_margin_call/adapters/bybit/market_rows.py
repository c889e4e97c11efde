"""Answers of the market endpoints as rows of history: which requests to make, and what their rows say. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from your_short_trade_margin_call.adapters.bybit.wire import CandleList, FundingList
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Rows, Span

CANDLES_A_PAGE = 1_000
SETTLEMENTS_A_PAGE = 200

Params = dict[str, str | int | None]


class Question(NamedTuple):
    """Where candles of a kind are asked for, and under which interval."""

    path: str
    interval: str


QUESTIONS = {
    HistoryKind.CANDLES: Question("/v5/market/kline", "3"),
    HistoryKind.MARK: Question("/v5/market/mark-price-kline", "3"),
    HistoryKind.MINUTES: Question("/v5/market/kline", "1"),
}
FUNDING_PATH = "/v5/market/funding/history"


def pages(span: Span, step_ms: int) -> Iterator[Span]:
    """A span cut into what one request may ask for, on the grid: a start inside a candle would be moved back."""
    first = -(-span.start_ms // step_ms) * step_ms
    for start in range(first, span.end_ms, CANDLES_A_PAGE * step_ms):
        yield Span(start, min(start + CANDLES_A_PAGE * step_ms, span.end_ms))


def candle_params(kind: HistoryKind, symbol: str, page: Span) -> Params:
    """One page of candles: both ends always, because only then is it said which candles come. Both are inclusive."""
    return {
        "category": "linear",
        "symbol": symbol,
        "interval": QUESTIONS[kind].interval,
        "start": page.start_ms,
        "end": page.end_ms - 1,
        "limit": CANDLES_A_PAGE,
    }


def funding_params(symbol: str, page: Span) -> Params:
    """One page of settlements: a start alone is an error there. The end is inclusive, and never the start."""
    return {
        "category": "linear",
        "symbol": symbol,
        "startTime": page.start_ms,
        "endTime": page.end_ms,
        "limit": SETTLEMENTS_A_PAGE,
    }


def candle_rows(kind: HistoryKind, answer: CandleList) -> Rows:
    """The candles of a page, oldest first, whatever their order there; rows that cannot be are left out."""
    width = 1 + len(kind.columns)
    return Rows.of(kind, (numbers for row in answer.rows if (numbers := _numbers(row[:width], width)) is not None))


def funding_rows(answer: FundingList, symbol: str) -> Rows:
    """The settlements of a page, oldest first."""
    texts = ((row.funding_rate_timestamp, row.funding_rate) for row in answer.rows if row.symbol == symbol)
    return Rows.of(HistoryKind.FUNDING, (numbers for row in texts if (numbers := _numbers(row, 2)) is not None))


def _numbers(row: tuple[str, ...], width: int) -> tuple[float, ...] | None:
    try:
        return tuple(map(float, row)) if len(row) == width else None
    except ValueError:
        return None
