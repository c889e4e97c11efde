"""The look-alike exchange and the client agree on the past to the last digit, stepped and while time runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.bybit.history import opener
from tests.bybit_server.serving import served
from your_short_trade_margin_call.adapters.bybit.candle_source import BybitCandleSource
from your_short_trade_margin_call.adapters.bybit_server.building import Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.adapters.storage.candle_store import CandleStore
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

MARKET = generate(SyntheticMarket(symbol="BTCUSDT", minutes=3 * 1_440 + 600))
NOW = MARKET.start_ms + 3 * DAY_MS
EVERYTHING = tuple(HistoryKind)


def world(candles: Candles = MARKET, speed: float = 0.0) -> World:
    """It stands three days after the first candle; ten hours follow."""
    pair = Market(find_instrument("BTCUSDT"), candles)
    return make_world([pair], Settings(), history_ms=3 * DAY_MS, speed=speed)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "loopback", "BTCUSDT")


def assert_same(got: Candles, wanted: Candles) -> None:
    """Equal to the last digit; volumes travel as whole lots, so only their binary dust is lost."""
    np.testing.assert_allclose(got.volume, wanted.volume, rtol=0, atol=1e-9)
    kept = {name: getattr(wanted, name) if getattr(got, name) is not None else None for name in ("minutes", "funding")}
    assert replace(got, volume=wanted.volume) == replace(wanted, **kept)


def test_two_days_come_out_as_they_went_in(store: CandleStore) -> None:
    async def run() -> Candles:
        async with served(world()) as client:
            source = BybitCandleSource(store, opener(client.server.url), kinds=EVERYTHING, throwaway=True)
            return await asyncio.to_thread(source.window, NOW, 2 * DAY_MS)

    got = asyncio.run(run())
    assert_same(got, MARKET.between(NOW - 2 * DAY_MS, NOW))
    assert (len(got), got.quality.notes) == (960, ())


def test_a_gap_in_its_candles_stays_one(store: CandleStore) -> None:
    times = MARKET.time_ms
    keep = (times < NOW - 50 * CANDLE_MS) | (times >= NOW - 40 * CANDLE_MS)
    columns = [getattr(MARKET, name)[keep] for name in ("time_ms", "open", "high", "low", "close", "volume")]
    holed = Candles.from_columns("BTCUSDT", *columns, timeframe_ms=CANDLE_MS)

    async def run() -> Candles:
        async with served(world(holed)) as client:
            source = BybitCandleSource(store, opener(client.server.url), kinds=(HistoryKind.CANDLES,))
            return await asyncio.to_thread(source.window, NOW, DAY_MS)

    got = asyncio.run(run())
    assert (got.gaps, got.missing) == (1, 10)
    assert_same(got, holed.between(NOW - DAY_MS, NOW))


def test_each_step_brings_one_candle(store: CandleStore) -> None:
    """Time stands still between steps: what has not closed is not there, what has closed is."""

    async def run() -> None:
        stepped = world()
        async with served(stepped) as client:
            source = BybitCandleSource(store, opener(client.server.url), kinds=(HistoryKind.CANDLES,))
            for step in range(3):
                now = NOW + step * CANDLE_MS
                got = await asyncio.to_thread(source.candles, NOW - 10 * CANDLE_MS, now + 5 * CANDLE_MS)
                assert got.end_ms == now
                assert got.close.tolist() == MARKET.between(NOW - 10 * CANDLE_MS, now).close.tolist()
                await client.admin("POST", "/step", candles=1)

    asyncio.run(run())


@pytest.mark.parametrize("speed", [600.0, 6_000.0])
def test_while_time_runs_only_closed_candles_come(store: CandleStore, speed: float) -> None:
    """Asked at any moment of a running candle, and in the moment one closes."""

    async def run() -> int:
        async with served(world(speed=speed)) as client:
            source = BybitCandleSource(store, opener(client.server.url), kinds=(HistoryKind.CANDLES, HistoryKind.MARK))
            ends = set()
            for _ in range(12):
                async with opener(client.server.url)() as data:
                    now = data.settled_ms()
                until = (now // CANDLE_MS + 1) * CANDLE_MS if len(ends) % 2 else now
                got = await asyncio.to_thread(source.window, until, 3 * DAY_MS)
                assert_same(got, MARKET.between(got.start_ms, got.end_ms))
                ends.add(got.end_ms)
            return len(ends)

    assert asyncio.run(run()) >= 2
