"""Runs LiveTradingEngine on the simulated exchange over the candles of a world."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.worlds import World
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.system_clock import ScaledClock
from your_short_trade_margin_call.exchange.faults import FaultPlan
from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.research.trials import with_defaults
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
from your_short_trade_margin_call.trading.state import make_context


@dataclass
class Replay:
    trades: list[dict[str, Any]]
    blocked: dict[str, int]
    wallet: float
    exchange: SimulatedExchange
    journal: SqliteJournal
    equity: list[tuple[int, float, float]]


def make_venue(world: World, faults: FaultPlan | None = None) -> tuple[ReplayVenue, SimulatedExchange]:
    contract = make_contract(world.instrument)
    terms = make_terms(world.settings, world.candles.symbol)
    exchange = SimulatedExchange(contract, terms, world.settings.starting_balance, faults=faults)
    market = make_market(world.candles, float(world.instrument.tick_size))
    return ReplayVenue(market, exchange, ScaledClock(int(world.candles.time_ms[0]))), exchange


def make_engine(world: World, venue: ReplayVenue, journal: SqliteJournal, **more: Any) -> LiveTradingEngine:
    params = with_defaults(world.params, world.settings)
    context = make_context(world.settings, world.instrument, params.highest_high_lookback)
    return LiveTradingEngine(context, venue, journal, ScaledClock(0), params=params, **more)


def replay(world: World, faults: FaultPlan | None = None) -> Replay:
    venue, exchange = make_venue(world, faults)
    journal = SqliteJournal(":memory:")
    engine = make_engine(world, venue, journal)
    state = asyncio.run(engine.run())
    return Replay(journal.trades(), journal.blocked_counts(), state.wallet, exchange, journal, journal.equity_rows())
