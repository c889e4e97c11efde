"""What an invented market did before it began: a past for the test against luck, joined to its first price."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from your_short_trade_margin_call.domain.spans import MINUTE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings


def invented_past(candles: Candles, settings: Settings, start_ms: int) -> Candles:
    """Candles from `start_ms` on, made as the invented ones were and with their luck, that end with `candles`.

    Prices are scaled so that the past ends where the present begins; without minutes, mark prices and funding.
    """
    past = _generated(candles.symbol, settings.seed, settings.edge, start_ms, candles.start_ms)
    scale = float(candles.open[0]) / float(past.close[-1])
    prices = (np.concatenate((getattr(past, name) * scale, getattr(candles, name))) for name in _PRICES)
    times = np.concatenate((past.time_ms, candles.time_ms))
    return Candles.from_columns(candles.symbol, times, *prices, timeframe_ms=settings.candle_ms)


_PRICES = ("open", "high", "low", "close")


@lru_cache(maxsize=4)
def _generated(symbol: str, seed: int, edge: float, start_ms: int, end_ms: int) -> Candles:
    market = SyntheticMarket(
        seed=seed, symbol=symbol, start_ms=start_ms, minutes=(end_ms - start_ms) // MINUTE_MS, edge=edge
    )
    return generate(replace(market, mark=False, funding=False))
