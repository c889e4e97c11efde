"""The same engine on three exchanges: replayed in process, on the look-alike over sockets, on paper over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.bybit.look_alike import INSTRUMENT, SYMBOL, Bench, serving, trading
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit_server.building import Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.system_clock import ScaledClock
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.ports import Clock, Exchange
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import Settings
from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
from your_short_trade_margin_call.trading.state import make_context

USUAL = Settings()
LOOKBACK = 2
HISTORY = 20
PARAMS = StrategyParams(LOOKBACK, ExitType.TAKE_PROFIT, 0.5, 0.0022, stop_loss_pct=0.0015)


def invented(candles: int) -> Candles:
    """So many candles after the history, with funding."""
    minutes = 3 * (HISTORY + candles)
    return generate(SyntheticMarket(seed=2, symbol=SYMBOL, minutes=minutes, funding_interval_minutes=60))


def world_of(candles: Candles, speed: float = 0.0) -> World:
    return make_world([Market(INSTRUMENT, candles)], USUAL, history_ms=HISTORY * CANDLE_MS, speed=speed)


def engine_on(venue: Exchange, journal: SqliteJournal, clock: Clock) -> LiveTradingEngine:
    return LiveTradingEngine(make_context(USUAL, INSTRUMENT, LOOKBACK), venue, journal, clock, params=PARAMS)


def replayed(candles: Candles) -> SqliteJournal:
    """The journal of a replay in process."""
    contract, terms = make_contract(INSTRUMENT), make_terms(USUAL, SYMBOL)
    exchange = SimulatedExchange(contract, terms, USUAL.starting_balance)
    market = make_market(candles, float(INSTRUMENT.tick_size))
    venue = ReplayVenue(market, exchange, ScaledClock(int(candles.time_ms[0])), HISTORY)
    journal = SqliteJournal(":memory:")
    asyncio.run(engine_on(venue, journal, ScaledClock(0)).run())
    return journal


async def run_engine(bench: Bench, journal: SqliteJournal, talk: Callable[[], Awaitable[None]]) -> None:
    """Let an engine trade on the venue while `talk` runs."""
    engine = engine_on(bench.venue, journal, bench.rest.clock)
    task = asyncio.create_task(engine.run())
    try:
        await talk()
    finally:
        engine.stop()
        done, _ = await asyncio.wait([task], timeout=PATIENCE_S)
        task.cancel()
    for finished in done:
        finished.result()


async def stepped(candles: Candles, steps: int, before: Callable[[Bench, int], None] | None = None) -> SqliteJournal:
    """The journal of so many steps on the look-alike; `before` may spoil each of them."""
    journal = SqliteJournal(":memory:")
    async with serving(world_of(candles)) as server, trading(server, is_read=False) as bench:

        async def talk() -> None:
            stepper = server.stepper()
            await stepper.silence(50)
            for step in range(steps):
                if before is not None:
                    before(bench, step)
                await stepper.candles(1, 20)
                await booked(journal, int(candles.time_ms[HISTORY + step]))
                await stepper.silence(40)

        await run_engine(bench, journal, talk)
    return journal


async def booked(journal: SqliteJournal, candle_ms: int) -> None:
    """Wait until the engine is done with a candle, however busy the computer is."""
    for _ in range(2_000):
        if (journal.last_candle_ms() or 0) >= candle_ms:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"the candle of {candle_ms} was never booked")


def differences(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where trade rows differ; money within 1e-6."""
    found = []
    for mine, theirs in zip(one, other, strict=False):
        found.append(
            {name: (mine[name], theirs[name]) for name in mine if not _is_same(mine[name], theirs[name])}
        )  # fmt: skip
    return [each for each in found if each]


def _is_same(one: Any, other: Any) -> bool:
    return abs(one - other) < 1e-6 if isinstance(one, float) and isinstance(other, float) else bool(one == other)
