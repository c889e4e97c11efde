"""A recorded or invented candle, played to the simulated exchange."""

from __future__ import annotations

from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.market_arrays import MarketArrays


def play_candle(exchange: SimulatedExchange, market: MarketArrays, j: int) -> None:
    """Run candle `j` of a market: its path, with its marks and minutes, decides whatever rests."""
    minute = j if market.has_minutes else 0
    exchange.run_candle(
        int(market.time_ms[j]),
        float(market.open[j]),
        float(market.high[j]),
        float(market.low[j]),
        float(market.close[j]),
        float(market.mark_open[j]),
        float(market.mark_high[j]),
        float(market.mark_close[j]),
        market.minute_high[minute],
        market.minute_low[minute],
    )
