"""Killed before and after every journal write of a replayed day, then restarted: same trades, no order twice.

Virtual time stands still meanwhile: the exchange is where it was.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.parity.replay import make_engine, make_venue, replay
from tests.shares import late, shared
from tests.worlds import World, random_world
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.exchange.faults import FaultPlan
from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

WRITES = ("intent", "outcome", "execution", "event", "blocked", "equity", "trade", "adopt")


class KilledError(BaseException):
    """The process is gone: nothing may catch this."""


class KillingJournal:
    """A journal in a process that dies once before and once after each distinct write."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.kills: Counter[str] = Counter()
        self._before: set[str] = set()
        self._after: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if name not in WRITES:
            return method

        def write(*arguments: Any) -> Any:
            key = f"{name}{arguments}"
            self._die_once(self._before, key, f"before {name}")
            answer = method(*arguments)
            self._die_once(self._after, key, f"after {name}")
            return answer

        return write

    def _die_once(self, died: set[str], key: str, where: str) -> None:
        if key not in died:
            died.add(key)
            self.kills[where] += 1
            raise KilledError(where)


class CountingVenue:
    """Forwards to a venue and remembers which orders the exchange accepted."""

    def __init__(self, venue: ReplayVenue) -> None:
        self._venue = venue
        self.accepted: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def place(self, request: OrderRequest) -> str:
        order_id = await self._venue.place(request)
        self.accepted[f"{request.purpose} {request.link_id.rsplit('-', 1)[0]}"] += 1
        return order_id


def run_killed(world: World, faults: FaultPlan | None = None) -> tuple[KillingJournal, CountingVenue, SqliteJournal]:
    venue, _exchange = make_venue(world, faults)
    counting, journal = CountingVenue(venue), SqliteJournal(":memory:")
    killing = KillingJournal(journal)
    while True:
        engine = make_engine(world, counting, killing)  # type: ignore[arg-type]
        try:
            asyncio.run(engine.run())
        except KilledError:
            continue
        return killing, counting, journal


def busy(seed: int, hours: int, **settings: Any) -> World:
    """Some hours of an invented market, with parameters that trade often."""
    market = SyntheticMarket(seed=seed, minutes=hours * 60, volatility_per_minute=0.0015, funding_interval_minutes=60)
    params = StrategyParams(5, ExitType.MIDPOINT, 0.9, 0.0022, stop_loss_pct=0.004, max_hold_ms=3_600_000)
    return World(seed, generate(market), find_instrument("BTCUSDT"), Settings(seed=seed, **settings), params)


WHOLE = "all hours of a day"
"""Each restart reads the whole journal again: it takes six times as long as ten hours."""
DAYS = {
    "defaults": busy(1, 10),
    WHOLE: busy(1, 24),
    "rejects": busy(2, 10, leverage=10.0, order_reject_prob=0.3),
    "limits": busy(3, 10, leverage=25.0, daily_loss=0.6, cooldown=600_000, slippage_bps=8.0),
}


def assert_survives(world: World) -> KillingJournal:
    expected = replay(world)
    assert len(expected.trades) >= 2
    killing, venue, journal = run_killed(world)
    assert journal.trades() == expected.trades
    assert journal.blocked_counts() == expected.blocked
    assert [row for row in venue.accepted.items() if row[1] > 1] == []
    return killing


@pytest.mark.parametrize("name", [*(name for name in DAYS if name != WHOLE), late(WHOLE)])
def test_killed_at_every_write_of_a_day(name: str) -> None:
    killing = assert_survives(DAYS[name])
    assert sum(killing.kills.values()) > 2 * len(DAYS[name].candles)
    often = {f"{when} {what}" for when in ("before", "after") for what in ("intent", "execution", "equity", "trade")}
    assert often <= set(killing.kills)


# Worlds with funding, gaps, liquidations and clamps.
@pytest.mark.parametrize("seed", shared([1001, 1004, 1006, 1009, 1017, 1023], 2))
def test_killed_at_every_write_of_a_wild_market(seed: int) -> None:
    world = random_world(seed, 100)
    killing, venue, journal = run_killed(world)
    expected = replay(world)
    assert (journal.trades(), journal.blocked_counts()) == (expected.trades, expected.blocked)
    assert [row for row in venue.accepted.items() if row[1] > 1] == []
    assert sum(killing.kills.values()) > 2 * 100


@pytest.mark.parametrize("seed", shared(range(2_300, 2_308), 3))
def test_killed_at_every_write_while_orders_fill_in_part_or_get_lost(seed: int) -> None:
    """Faults fall differently when requests are repeated, so the trades may differ: the books may not."""
    world = random_world(seed, 100)
    plan = FaultPlan(seed=seed, partial_then_cancel=0.3, partial_fill=0.3, lost_answer=0.1, never_arrived=0.1)
    _, venue, journal = run_killed(world, plan)
    assert [row for row in venue.accepted.items() if row[1] > 1 and row[0].startswith("entry")] == []
    account = asyncio.run(venue.account(0))
    assert account.position is None
    change = journal.wallet_change(float(world.instrument.tick_size), float(world.instrument.qty_step))
    assert world.settings.starting_balance + change == pytest.approx(account.wallet_usdt, abs=1e-6)
    assert len(journal.executions()) == len(account.executions)
