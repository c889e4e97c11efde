"""A pair's market in the shapes of Bybit's answers and stream messages."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from your_short_trade_margin_call.adapters.bybit_server.intervals import PriceRow, end_of
from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text
from your_short_trade_margin_call.adapters.bybit_server.pair_market import PairMarket
from your_short_trade_margin_call.adapters.bybit_server.tape import PublicTrade
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS, HOUR_MS, MINUTE_MS

CATEGORY = "linear"
SHOWN_LEVELS = 50
"""No deeper book is shown than this, however deep a client asks."""
RETAIL = "rpi"
"""Stands for the depth of a book that tells of retail orders apart."""
_TURNOVER_PLACES = 4
_STREAM_ONLY = ("tickDirection",)
_REST_ONLY = ("predictedDeliveryPrice", "basisRate", "deliveryFeeRate", "deliveryTime", "basis", "basisRateYear")


# ---- candles ----------------------------------------------------------------------------------------


def kline_row(pair: PairMarket, row: PriceRow) -> list[str]:
    """A row of /v5/market/kline: start, open, high, low, close, volume, turnover."""
    prices = (pair.usdt_text(price) for price in row[1:5])
    return [str(row.start_ms), *prices, number_text(row.volume), number_text(row.turnover, _TURNOVER_PLACES)]


def mark_kline_row(pair: PairMarket, row: PriceRow) -> list[str]:
    """A row of /v5/market/mark-price-kline: start, open, high, low, close."""
    return [str(row.start_ms), *(pair.usdt_text(price) for price in row[1:5])]


def kline_message(
    pair: PairMarket, interval: str, row: PriceRow, *, confirm: bool, traded_ms: int, ts: int
) -> dict[str, Any]:
    """A message of `kline.{interval}.{symbol}`; `traded_ms` is its last trade's moment."""
    _, open_, high, low, close, volume, turnover = kline_row(pair, row)
    return {
        "topic": f"kline.{interval}.{pair.symbol}",
        "data": [
            {
                "start": row.start_ms,
                "end": end_of(interval, row.start_ms) - 1,
                "interval": interval,
                "open": open_,
                "close": close,
                "high": high,
                "low": low,
                "volume": volume,
                "turnover": turnover,
                "confirm": confirm,
                "timestamp": traded_ms,
            }
        ],
        "ts": ts,
        "type": "snapshot",
    }


# ---- ticker -----------------------------------------------------------------------------------------


class DayFigures(NamedTuple):
    """What happened in the last 24 hours: prices in USDT, volume in base coin, turnover in USDT."""

    first: float
    hour_ago: float
    high: float
    low: float
    volume: float
    turnover: float


def day_figures(pair: PairMarket, now_ms: int) -> DayFigures:
    """The figures of the 24 hours up to now, as far back as there are candles, with the running candle so far."""
    base, closed = pair.rows.series("3").base, pair.rows.closed(CANDLE_MS)
    first, hour = np.searchsorted(base.time_ms[:closed], (now_ms - DAY_MS, now_ms - HOUR_MS)).tolist()
    running = pair.rows.running_row(CANDLE_MS)
    whole = base.merged(0, first, closed, running)
    if whole is None:  # silence for a day: the last close stands
        last = float(base.close[closed - 1])
        return DayFigures(last, last, last, last, 0.0, 0.0)
    ago = float(base.open[hour]) if hour < closed else whole.close
    return DayFigures(whole.open, ago, whole.high, whole.low, whole.volume, whole.turnover)


def ticker_row(pair: PairMarket, now_ms: int) -> dict[str, Any]:
    """Every field of the ticker, REST's and the stream's."""
    day, mark = day_figures(pair, now_ms), pair.price_text(pair.mark_ticks)
    last, size = pair.instrument.price(pair.last_ticks), pair.qty_text(pair.level_lots)
    funding_rate, funding_ms = next_funding(pair, now_ms)
    interest = number_text(day.volume)
    return {
        "symbol": pair.symbol,
        "tickDirection": pair.tape.direction,
        "lastPrice": pair.price_text(pair.last_ticks),
        "indexPrice": mark,
        "markPrice": mark,
        "prevPrice24h": pair.usdt_text(day.first),
        "price24hPcnt": number_text(last / day.first - 1.0, 6),
        "highPrice24h": pair.usdt_text(max(day.high, last)),
        "lowPrice24h": pair.usdt_text(min(day.low, last)),
        "prevPrice1h": pair.usdt_text(day.hour_ago),
        # Nobody records how much is open: what a day trades stands in for it.
        "openInterest": interest,
        "openInterestValue": number_text(day.volume * pair.instrument.price(pair.mark_ticks), 2),
        "turnover24h": number_text(day.turnover, _TURNOVER_PLACES),
        "volume24h": interest,
        "fundingRate": number_text(funding_rate),
        "nextFundingTime": str(funding_ms),
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "deliveryFeeRate": "",
        "deliveryTime": pair.item["deliveryTime"],
        "bid1Price": pair.price_text(pair.bid()),
        "bid1Size": size,
        "ask1Price": pair.price_text(pair.ask()),
        "ask1Size": size,
        "basis": "",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
        "fundingIntervalHour": number_text(pair.item["fundingInterval"] / 60),
        "basisRateYear": "",
        "fundingCap": pair.item["upperFundingRate"],
    }


def next_funding(pair: PairMarket, now_ms: int) -> tuple[float, int]:
    """Rate and moment of the settlement that comes next: the recorded one, else the last rate on the pair's grid."""
    funding = pair.candles.funding
    step = int(pair.item["fundingInterval"]) * MINUTE_MS
    after = max(now_ms, pair.settled_ms)
    grid = after - after % step + step
    if funding is None or not len(funding):
        return 0.0, grid
    place = int(np.searchsorted(funding.time_ms, after, side="right"))
    if place < len(funding):
        return float(funding.rate[place]), int(funding.time_ms[place])
    return float(funding.rate[-1]), grid


def rest_ticker(pair: PairMarket, now_ms: int) -> dict[str, Any]:
    """A row of /v5/market/tickers."""
    row = ticker_row(pair, now_ms)
    return {name: value for name, value in row.items() if name not in _STREAM_ONLY}


def stream_ticker(pair: PairMarket, now_ms: int) -> dict[str, Any]:
    """The data of a snapshot of `tickers.{symbol}`."""
    row = ticker_row(pair, now_ms)
    return {name: value for name, value in row.items() if name not in _REST_ONLY}


def ticker_message(pair: PairMarket, kind: str, data: dict[str, Any], ts: int) -> dict[str, Any]:
    """A message of `tickers.{symbol}`; `kind` is snapshot or delta."""
    return {"topic": f"tickers.{pair.symbol}", "type": kind, "data": data, "cs": pair.tape.seq, "ts": ts}


# ---- book and trades ----------------------------------------------------------------------------------


def book_levels(pair: PairMarket, depth: int) -> tuple[list[list[str]], list[list[str]]]:
    """Bids and asks, best first; every level holds the same."""
    size = pair.qty_text(pair.level_lots)
    bids = [[pair.price_text(pair.bid(k)), size] for k in range(depth) if pair.bid(k) > 0]
    return bids, [[pair.price_text(pair.ask(k)), size] for k in range(depth)]


def book_row(pair: PairMarket, depth: int, ts: int) -> dict[str, Any]:
    """The result of /v5/market/orderbook."""
    bids, asks = book_levels(pair, depth)
    tape = pair.tape
    return {"s": pair.symbol, "b": bids, "a": asks, "ts": ts, "u": tape.update_id, "seq": tape.seq, "cts": ts}


def retail_row(pair: PairMarket, depth: int, ts: int) -> dict[str, Any]:
    """The result of /v5/market/rpi_orderbook: of each level price, size, and what of retail orders only: nothing."""
    row = book_row(pair, depth, ts)
    return row | {side: [[*level, "0"] for level in row[side]] for side in ("b", "a")}


def book_message(pair: PairMarket, depth: str, ts: int) -> dict[str, Any]:
    """A message of `orderbook.{depth}.{symbol}`: always a whole one, as deep as there are levels."""
    row = retail_row(pair, SHOWN_LEVELS, ts) if depth == RETAIL else book_row(pair, min(int(depth), SHOWN_LEVELS), ts)
    data = {name: row[name] for name in ("s", "b", "a", "u", "seq")}
    return {"topic": f"orderbook.{depth}.{pair.symbol}", "type": "snapshot", "ts": ts, "data": data, "cts": ts}


def trade_row(pair: PairMarket, trade: PublicTrade) -> dict[str, Any]:
    """A row of /v5/market/recent-trade."""
    return {
        "execId": trade.trade_id,
        "symbol": pair.symbol,
        "price": trade.price,
        "size": trade.size,
        "side": trade.side,
        "time": str(trade.time_ms),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.seq),
    }


def trade_message(pair: PairMarket, trade: PublicTrade, ts: int) -> dict[str, Any]:
    """A message of `publicTrade.{symbol}`."""
    row = {
        "T": trade.time_ms,
        "s": pair.symbol,
        "S": trade.side,
        "v": trade.size,
        "p": trade.price,
        "L": trade.direction,
        "i": trade.trade_id,
        "BT": False,
        "RPI": False,
        "seq": trade.seq,
    }
    return {"topic": f"publicTrade.{pair.symbol}", "type": "snapshot", "ts": ts, "data": [row]}


def interest_row(pair: PairMarket, step_ms: int, now_ms: int) -> dict[str, str]:
    """A row of /v5/market/open-interest: the figure of the ticker, at the last whole step of time."""
    return {
        "openInterest": ticker_row(pair, now_ms)["openInterest"],
        "timestamp": str(now_ms - now_ms % step_ms),
    }


def limit_row(pair: PairMarket, now_ms: int) -> dict[str, str]:
    """The result of /v5/market/price-limit."""
    buy, sell = pair.price_limit()
    return {
        "symbol": pair.symbol,
        "buyLmt": pair.price_text(buy),
        "sellLmt": pair.price_text(sell),
        "ts": str(now_ms),
    }


def limit_message(pair: PairMarket, ts: int) -> dict[str, Any]:
    """A message of `priceLimit.{symbol}`."""
    row = limit_row(pair, ts)
    del row["ts"]
    return {"topic": f"priceLimit.{pair.symbol}", "data": row, "ts": ts}
