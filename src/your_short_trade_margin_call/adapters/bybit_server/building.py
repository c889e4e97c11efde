"""Building a world: from candles or invented markets to pairs that stand in the candle after their history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.pair_market import PairMarket
from your_short_trade_margin_call.adapters.bybit_server.timeline import STEPPED, Timeline
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.spans import CANDLE_MS, HOUR_MS, MINUTE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

DEMO_KEY = "look-alike-key"
DEMO_SECRET = "look-alike-secret"  # noqa: S105 - opens nothing but this server
"""What the server's own account answers to unless told otherwise."""


class Market(NamedTuple):
    """One pair's rules and candles."""

    instrument: Instrument
    candles: Candles


def invented_market(
    symbol: str,
    settings: Settings,
    days: float,
    instrument: Instrument | None = None,
    *,
    now_ms: int | None = None,
) -> Market:
    """An invented market: the window of the settings as history, and so many days after it.

    Args:
        symbol: the pair.
        settings: luck, edge, and the window.
        days: how many days follow the history.
        instrument: its rules; None for those that are known.
        now_ms: the moment (UTC ms) whose candle follows the history; None is always the same moment.

    Raises:
        UnknownPairError: nothing is known about the pair.
    """
    known = instrument or find_instrument(symbol)
    minutes = settings.window // MINUTE_MS + round(days * 1_440)
    market = SyntheticMarket(
        seed=settings.seed,
        symbol=known.symbol,
        minutes=minutes,
        tick_size=float(known.tick_size),
        edge=settings.edge,
        funding_interval_minutes=known.funding_interval_minutes,
    )
    if now_ms is not None:
        market = replace(market, start_ms=(now_ms - settings.window) // CANDLE_MS * CANDLE_MS)
    return Market(known, generate(market))


def make_world(
    markets: Sequence[Market],
    settings: Settings,
    *,
    speed: float = STEPPED,
    history_ms: int | None = None,
    keys: Mapping[str, str] | None = None,
    config: AccountConfig | None = None,
    stopwatch_s: Callable[[], float] = stopwatch_s,
    present_ms: Callable[[], int] | None = None,
    log: Callable[[str], None] | None = None,
) -> World:
    """Pairs, accounts and time. All pairs stand at one moment: the latest of "first open + history".

    Args:
        markets: one or more pairs, each once.
        settings: starting balance, fees, spread, luck.
        speed: times real time; 0 is stepped.
        history_ms: how much of the candles is past at the start; None is the settings' window.
        keys: API keys with their secrets, an account each; None is the one demo key.
        config: what those accounts are like.
        stopwatch_s: a real stopwatch.
        present_ms: a real clock that time begins at once it runs; None is the moment at which the pairs stand.
        log: takes a sentence about what happened.

    Raises:
        TooFewCandlesError: a pair has no candle after its history.
        BadInputError: no pair, or one twice.
    """
    symbols = [market.instrument.symbol for market in markets]
    if not symbols or len(set(symbols)) < len(symbols):
        raise BadInputError(f"A market needs pairs, each once; there are {', '.join(symbols) or 'none'}.", "Name some.")
    history = settings.window if history_ms is None else history_ms
    begin_ms = max(_first_open(market, market.candles.start_ms + history) for market in markets)
    pairs = [_pair_at(market, settings, begin_ms) for market in markets]
    timeline = Timeline(begin_ms, speed, stopwatch_s=stopwatch_s, present_ms=present_ms)
    world = World(pairs, settings, timeline, log)
    for key, secret in ({DEMO_KEY: DEMO_SECRET} if keys is None else keys).items():
        own = None if config is None else replace(config)
        world.add_account(TradingAccount(key, secret, settings, timeline.now_ms, world.pairs, own))
    return world


def _first_open(market: Market, start_ms: int) -> int:
    """Open time of the first candle at or after a moment; another must follow it."""
    first = int(market.candles.time_ms.searchsorted(start_ms))
    hours = (start_ms - market.candles.start_ms) / HOUR_MS
    market.candles.require(first + 2, f"a market after {hours:g} h of history")
    return int(market.candles.time_ms[first])


def _pair_at(market: Market, settings: Settings, now_ms: int) -> PairMarket:
    """The pair in the candle that is running at a moment."""
    running = int(market.candles.time_ms.searchsorted(now_ms, side="right")) - 1
    return PairMarket(market.instrument, market.candles, settings, running)
