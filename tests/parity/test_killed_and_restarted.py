"""Killed before and after every journal write of a replayed day, then restarted: same trades, no order twice.

Virtual time stands still meanwhile: the exchange is where it was.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.parity.replay import make_engine, make_venue, replay
from tests.shares import late, shared
from tests.worlds import World, random_world
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitType, Purpose
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

WRITES = ("intent", "outcome", "execution", "event", "blocked", "equity", "trade", "adopt")


class KilledError(BaseException):
    """The process is gone: nothing may catch this."""


class KillingJournal:
    """A journal in a process that dies once before and once after each distinct write of some kinds.

    Whatever is written by a process that is dead, on its way out, is not.
    """

    def __init__(self, journal: SqliteJournal, dies_at: Sequence[str] = WRITES) -> None:
        self._journal, self._dies_at = journal, dies_at
        self.is_dead = False
        self.kills: Counter[str] = Counter()
        self._before: set[str] = set()
        self._after: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if name not in WRITES:
            return method

        def write(*arguments: Any) -> Any:
            key = f"{name}{arguments}"
            if self.is_dead:
                raise KilledError(name)
            self._die_once(self._before, key, f"before {name}")
            answer = method(*arguments)
            self._die_once(self._after, key, f"after {name}")
            return answer

        return write

    def _die_once(self, died: set[str], key: str, where: str) -> None:
        if key not in died and where.split()[-1] in self._dies_at:
            died.add(key)
            self.kills[where] += 1
            self.is_dead = True
            raise KilledError(where)


class CountingVenue:
    """Forwards to a venue and remembers which orders the exchange accepted."""

    def __init__(self, venue: ReplayVenue) -> None:
        self._venue = venue
        self.accepted: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def place(self, request: OrderRequest) -> str:
        self.sent[request.link_id] += 1
        order_id = await self._venue.place(request)
        self.accepted[f"{request.purpose} {request.link_id.rsplit('-', 1)[0]}"] += 1
        return order_id


def run_killed(
    world: World, faults: FaultPlan | None = None, dies_at: Sequence[str] = WRITES
) -> tuple[KillingJournal, CountingVenue, SqliteJournal]:
    venue, _exchange = make_venue(world, faults)
    counting, journal = CountingVenue(venue), SqliteJournal(":memory:")
    killing = KillingJournal(journal, dies_at)
    while True:
        killing.is_dead = False
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


AFTER_AN_ORDER = ("outcome", "execution")
"""Writes that come when an order has left, and the rows of the close before it have not been written."""


@pytest.mark.parametrize("name", ["defaults", "rejects", "limits"])
def test_killed_behind_an_order_the_journal_says_of_its_close_what_was_seen(name: str) -> None:
    world = DAYS[name]
    undisturbed = replay(world).journal
    killing, counting, journal = run_killed(world, dies_at=AFTER_AN_ORDER)
    assert killing.kills["before outcome"] >= 4
    assert journal.equity_rows() == undisturbed.equity_rows()
    assert journal.events_of("signal") == undisturbed.events_of("signal")
    assert journal.trades() == undisturbed.trades()
    assert journal.blocked_counts() == undisturbed.blocked_counts()
    assert [row for row in counting.accepted.items() if row[1] > 1] == []


def test_killed_behind_an_entry_that_was_rejected_late_it_is_not_sent_again() -> None:
    plan = FaultPlan.script({1: Fault.LATE_REJECT})
    killing, venue, journal = run_killed(busy(1, 10, order_reject_prob=0.0), plan, dies_at=("outcome",))
    assert killing.kills["before outcome"] >= 4
    assert [row for row in venue.sent.items() if row[1] > 1] == []
    assert journal.blocked_counts()["order_rejected"] == 1


class StoppingAdviser:
    """Stops the engine between a close that signals and its opening quote."""

    def __init__(self) -> None:
        self.engine: Any = None

    async def before_close(self, _close_ms: int) -> None:
        """Nothing."""

    async def after_close(self, _close_ms: int) -> None:
        if self.engine.state.wish is not None:
            self.engine.stop()


def test_stopped_between_close_and_quote_the_close_is_written_down() -> None:
    world, journal, adviser = DAYS["defaults"], SqliteJournal(":memory:"), StoppingAdviser()
    venue, _exchange = make_venue(world, None)
    adviser.engine = make_engine(world, venue, journal, adviser=adviser)
    state = asyncio.run(adviser.engine.run())
    assert [time_ms for time_ms, _ in journal.events_of("signal")] == [state.wish.candle_ms]
    assert journal.last_candle_ms() == state.wish.candle_ms


class EarlyVenue:
    """Notes how many closes were written down when an entry left."""

    def __init__(self, venue: ReplayVenue, journal: SqliteJournal) -> None:
        self._venue, self._journal = venue, journal
        self.behind: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def place(self, request: OrderRequest) -> str:
        if request.purpose is Purpose.ENTRY:
            candle_ms = int(request.link_id.split("-")[1])
            self.behind.append((self._journal.last_candle_ms() or 0) < candle_ms - 180_000)
        return await self._venue.place(request)


def test_an_entry_waits_for_no_row_but_its_intent() -> None:
    world, journal = DAYS["defaults"], SqliteJournal(":memory:")
    venue, _exchange = make_venue(world, None)
    early = EarlyVenue(venue, journal)
    asyncio.run(make_engine(world, early, journal).run())  # type: ignore[arg-type]
    assert len(early.behind) >= 2
    assert all(early.behind)


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
