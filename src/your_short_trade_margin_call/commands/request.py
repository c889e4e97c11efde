"""From the options of a command line to a `Request`, every value checked before anything is done."""

from __future__ import annotations

from pathlib import Path

from your_short_trade_margin_call.commands.options import Common, Market, Trading
from your_short_trade_margin_call.commands.typed import make_settings, parse_speed, parse_time, parse_timerange
from your_short_trade_margin_call.composition import Request
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.settings import ParameterGrid


def make_request(
    symbol: str,
    common: Common,
    market: Market,
    trading: Trading | None = None,
    *,
    grid: Path | None = None,
    days: float | None = None,
) -> Request:
    """The request of a command line; `days` is the window to optimise on.

    Raises:
        BadInputError: a value cannot be used; says which and how it is written.
    """
    trading = trading or Trading()
    return Request(
        symbol=symbol,
        settings=make_settings(common, reoptimize=trading.reoptimize, days=days),
        grid=ParameterGrid() if grid is None else ParameterGrid.from_toml(grid),
        market=market.market,
        account=trading.account,
        paths=Paths.default(),
        candles=market.candles,
        mark=market.mark,
        funding=market.funding,
        minutes=market.minutes,
        timerange_ms=None if market.timerange is None else parse_timerange(market.timerange),
        instrument=common.instrument,
        speed=parse_speed(trading.speed),
        wall_ms=None if trading.wall_time is None else parse_time(trading.wall_time, "--for"),
    )
