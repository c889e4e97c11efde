"""Everything at once, by seed: outages, bars, lost answers, lost streams, full disks, power cuts. Then calm.

I1 and I2 at every step; I5, I6 and I8 at the end: both sides agree, the books balance, no order twice, entries back on.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.shares import shared
from tests.trading.rough import RoughVenue, Watcher, make_engine
from tests.worlds import World
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import (
    ExchangeError,
    ForbiddenError,
    KeyRefusedError,
    OutcomeUnknownError,
    ShortestPeakError,
)
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExecutionKind, ExitType, Purpose, Side
from your_short_trade_margin_call.exchange.faults import FaultPlan
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

CANDLES = 200
STORMY = 0.7
"""The part of the market in which things go wrong."""


class PowerCutError(BaseException):
    """The process is gone."""


class Storm:
    """What goes wrong, drawn from a seed: each request, each write and each candle may."""

    def __init__(self, seed: int, venue: RoughVenue, journal: SqliteJournal, until_ms: int) -> None:
        self._luck = random.Random(seed)
        self._venue = venue
        self._until_ms = until_ms
        self._silent_until_ms = self._full_until_ms = 0
        self._error: type[ExchangeError] = OutcomeUnknownError
        self.counts: dict[str, int] = {}
        venue.trouble, venue.after = self.before_request, self.after_request
        journal._before_write = self.before_write

    def is_on(self) -> bool:
        return self._venue.clock.now_ms() < self._until_ms

    def _strikes(self, name: str, probability: float) -> bool:
        strikes = self.is_on() and self._luck.random() < probability
        self.counts[name] = self.counts.get(name, 0) + strikes
        return strikes

    def before_request(self, name: str, _: Any) -> None:
        now = self._venue.clock.now_ms()
        if self._strikes("power cut", 0.01):
            raise PowerCutError
        if self._strikes("outage", 0.02):
            self._silent_until_ms = now + self._luck.randrange(1_000, 600_000)
            self._error = self._luck.choice([OutcomeUnknownError, ForbiddenError, KeyRefusedError])
        if self._strikes("line lost", 0.02):
            self._venue.exchange.disconnect(now)
        if now < self._silent_until_ms and self.is_on():
            raise self._error("nobody answers")

    def after_request(self, name: str, _: Any) -> None:
        if self._strikes("power cut", 0.01):
            raise PowerCutError
        if self._strikes("lost answer", 0.15):
            raise (
                OutcomeUnknownError("the answer is lost") if name in ("place", "amend_stop", "cancel") else TimeoutError
            )

    def before_write(self, kind: str) -> None:
        now = self._venue.clock.now_ms()
        if self._strikes("power cut", 0.005):
            raise PowerCutError
        if self._strikes("full disk", 0.006):
            self._full_until_ms = now + self._luck.randrange(1_000, 600_000)
        if now < self._full_until_ms and self.is_on():
            raise OSError(28, "No space left on device")


def busy(seed: int) -> World:
    """Candles, leverage and exits that make a trade every few candles."""
    luck = random.Random(seed)
    market = SyntheticMarket(seed=seed, minutes=3 * CANDLES, volatility_per_minute=0.002, funding_interval_minutes=60)
    params = StrategyParams(
        luck.choice([2, 3, 5]),
        luck.choice(list(ExitType)),
        0.8,
        0.003,
        stop_loss_pct=luck.choice([None, 0.004]),
        max_hold_ms=luck.choice([None, 1_080_000]),
    )
    settings = Settings(seed=seed, leverage=luck.choice([3.0, 25.0]), order_reject_prob=0.1)
    return World(seed, generate(market), find_instrument("BTCUSDT"), settings, params)


def weather(seed: int) -> tuple[RoughVenue, SqliteJournal, Watcher, Storm, float]:
    world = busy(seed)
    venue = RoughVenue(
        world, faults=FaultPlan(seed=seed, partial_fill=0.2, partial_then_cancel=0.1, duplicate_event=0.1)
    )
    journal, seen = SqliteJournal(":memory:"), Watcher()
    first = int(world.candles.time_ms[0])
    storm = Storm(seed, venue, journal, first + int(CANDLES * STORMY) * 180_000)
    for _ in range(200):
        try:
            asyncio.run(make_engine(world, venue, journal, seen, {"verify_stop": True, "turn_every_ms": 20_000}).run())
        except PowerCutError:
            continue
        except ShortestPeakError:  # a start that nobody answers, or a disk that is still full: started again later
            venue.clock._now_ms += 60_000
            continue
        except TimeoutError:
            continue
        break
    tick, lot = float(world.instrument.tick_size), float(world.instrument.qty_step)
    return venue, journal, seen, storm, 472.0 + journal.wallet_change(tick, lot)


@pytest.mark.parametrize("seed", shared(range(3_000, 3_024), 3))
def test_i1_to_i8_after_any_storm_there_is_calm(seed: int) -> None:
    venue, journal, seen, _storm, by_journal = weather(seed)
    exchange = venue.exchange
    assert exchange.position is None
    assert exchange.account(0).open_orders == ()
    assert by_journal == pytest.approx(exchange.wallet_usdt, abs=1e-6)
    assert len(journal.executions()) == len(exchange.executions)
    assert seen.notes("position_mismatch") == []
    sold: dict[str, int] = {}
    for execution in exchange.executions:
        if execution.side is Side.SELL and execution.kind is ExecutionKind.TRADE:
            sold[execution.link_id] = sold.get(execution.link_id, 0) + execution.lots
    asked = {order.link_id: order.lots for order in venue.sent(Purpose.ENTRY)}
    assert all(lots <= asked[link] for link, lots in sold.items())
    assert len({row["entry_time"] for row in journal.trades()}) == len(journal.trades())


def test_the_storms_are_storms() -> None:
    counts: dict[str, int] = {}
    trades = 0
    for seed in range(3_000, 3_012):
        _, journal, _, storm, _ = weather(seed)
        trades += len(journal.trades())
        for name, count in storm.counts.items():
            counts[name] = counts.get(name, 0) + count
    assert min(counts.values()) >= 5, counts
    assert trades > 20
