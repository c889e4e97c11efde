"""A short trading life through sockets while things go wrong, and the invariants that must hold all the same.

The market is stepped. After each phase that told anybody anything, the world waits until the engine has been quiet for
a while: with faults about, messages cannot be counted. All pauses of the client are `HURRY` times as fast as usual.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.parity.sockets import (
    HURRY,
    Watched,
    hurried_pause_s,
    hurried_stopwatch_s,
    line_is_up,
    make_server_world,
)
from tests.worlds import World as MarketWorld
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.venue import BybitVenue
from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.app import Server
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, DEMO_SECRET
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.system_clock import SystemClock, stopwatch_s
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import Account, ExitType
from your_short_trade_margin_call.exchange.faults import Fault
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings
from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
from your_short_trade_margin_call.trading.state import Open, make_context

CANDLES = 30
FAULTS_FROM, FAULTS_UNTIL = 2, 22
"""Faults are planned before one of these candles, and cleared before the last."""
QUIET_S = 0.012
"""Real seconds of silence after which the engine counts as done: more than two seconds of its own time."""
LONGEST_S = 1.5
SETTLES_WITHIN_S = 6.0
NEVER_MIND_S = 1e5
"""Of the client's stopwatch: silence is not what is tested where time stands still, except by `half_open`."""
MONEY = 1e-8


@dataclass(frozen=True)
class Trouble:
    """One entry of the menu: planned at the sockets, armed inside the exchange, or something that just happens."""

    name: str
    plan: tuple[tuple[str, dict[str, Any]], ...] = ()
    arm: Fault | None = None
    happen: str = ""

    def begin(self, server: Server, account: TradingAccount) -> None:
        for fault, details in self.plan:
            server.faults.plan(fault, **details)
        if self.arm is not None:
            account.arm(self.arm, 1)
        if self.happen:
            _HAPPEN[self.happen](server, account)


@dataclass
class Story:
    """What happened, and every invariant that broke."""

    broken: list[str] = field(default_factory=list)
    trades: int = 0
    by_stream: int = 0
    struck: int = 0
    halted: str = ""


def storm_world() -> MarketWorld:
    """A lively market: shorts from candles 3, 7, 13, 14, 19 and 29, most of them closed soon after."""
    settings = Settings(order_reject_prob=0.0, seed=33)
    instrument = find_instrument("SOLUSDT")
    market = SyntheticMarket(
        seed=33,
        symbol="SOLUSDT",
        minutes=3 * CANDLES,
        tick_size=float(instrument.tick_size),
        volatility_per_minute=0.002,
    )
    return MarketWorld(0, generate(market), instrument, settings, StrategyParams(1, ExitType.TAKE_PROFIT, 0.5, 0.0022))


async def weather(troubles: Sequence[Trouble], at: Sequence[int], account: Account = Account.DEMO) -> Story:
    """Play the market with these troubles, each begun at the opening of its candle.

    On mainnet's addresses (of this computer) entries go by stream, on those of a demo account by REST.
    """
    world = storm_world()
    served = make_server_world(world)
    server, story = Server(served), Story()
    await server.start()
    try:
        await _live(world, server, account, troubles, at, story)
    finally:
        await server.stop()
    story.struck = len(served.faults.struck)
    return story


async def _live(
    world: MarketWorld, server: Server, account: Account, troubles: Sequence[Trouble], at: Sequence[int], story: Story
) -> None:
    clock = ServerClock(SystemClock().now_ms, hurried_stopwatch_s, hurried_pause_s)
    keys = Keys(DEMO_KEY, DEMO_SECRET)
    timing = replace(
        Timing(), silence_s=NEVER_MIND_S, ping_every_s=3.0, request_timeout_s=0.15 * HURRY, ack_timeout_s=0.1 * HURRY,
        forbidden_s=30.0, probe_every_s=2.0,
    )  # fmt: skip
    async with Rest.open(endpoint_for(account, server.url), timing, clock, keys) as rest:
        venue = BybitVenue(rest, keys, world.instrument, late_confirm_s=0.005)
        await venue.open()
        await line_is_up(venue)
        journal = SqliteJournal(":memory:")
        watched = Watched(venue)
        context = make_context(world.settings, world.instrument, world.params.highest_high_lookback)
        engine = LiveTradingEngine(context, watched, journal, clock, params=world.params)
        running = asyncio.create_task(engine.run())
        try:
            await _play(server, watched, engine, running, troubles, at, story)
            await _agreement(server, engine, journal, running)
            _settle_up(server, engine, journal, story)
        finally:
            engine.stop()
            running.cancel()
            await asyncio.wait([running])
            await venue.close()
    if running.done() and not running.cancelled() and (error := running.exception()) is not None:
        story.broken.append(f"the engine ended: {error!r}")
    story.trades = len(journal.trades())
    story.by_stream = sum(row.method == "WS" for row in server.world.requests.writes)


async def _play(
    server: Server, watched: Watched, engine: LiveTradingEngine, running: asyncio.Task[Any],
    troubles: Sequence[Trouble], at: Sequence[int], story: Story,
) -> None:  # fmt: skip
    served = server.world
    (pair,) = served.pairs.values()
    account = served.accounts[DEMO_KEY]
    await calm(server, watched, running)
    while True:
        if pair.phase is Phase.QUOTE:
            for trouble, begins in zip(troubles, at, strict=True):
                if begins == pair.cursor:
                    trouble.begin(server, account)
            if pair.cursor == FAULTS_UNTIL:
                server.faults.clear()
                account.disarm()
        before = served.published
        if served.step_phase() is None:
            return
        if served.published != before or server.streams.is_out:
            await calm(server, watched, running)
        _check_now(server, account, engine, story)
        if running.done():
            return


async def calm(server: Server, watched: Watched, running: asyncio.Task[Any]) -> None:
    """Return when engine and server have been silent for a while, or after all patience."""
    log = server.world.requests
    began_s = last_s = stopwatch_s()
    seen = log.count
    while not running.done():
        await asyncio.sleep(0.002)
        now_s = stopwatch_s()
        if not watched.engine_waits or log.in_work or log.count != seen or not watched._venue._inbox._queue.empty():
            last_s, seen = now_s, log.count
        if now_s - last_s >= QUIET_S or now_s - began_s >= LONGEST_S:
            return


async def _agreement(
    server: Server, engine: LiveTradingEngine, journal: SqliteJournal, running: asyncio.Task[Any]
) -> None:
    """Once the faults have stopped, both sides must come to agree; how long that takes is this machine's affair."""
    deadline_s = stopwatch_s() + SETTLES_WITHIN_S
    while stopwatch_s() < deadline_s and not running.done():
        await asyncio.sleep(0.01)
        if _difference(server, engine, journal) == (0, True):
            return


def _difference(server: Server, engine: LiveTradingEngine, journal: SqliteJournal) -> tuple[int, bool]:
    """Lots by which the two sides differ, and whether their money agrees."""
    (pair,) = server.world.pairs.values()
    sim = server.world.accounts[DEMO_KEY].sim(pair.symbol)
    theirs = 0 if sim.position is None else -sim.position.lots
    ours = engine.state.book.lots if isinstance(engine.state.book, Open) else 0
    change = journal.wallet_change(float(pair.instrument.tick_size), float(pair.instrument.qty_step))
    booked = sim.wallet_usdt - server.world.settings.starting_balance
    return ours - theirs, abs(change - booked) <= MONEY


# ---- what must hold ------------------------------------------------------------------------------------


def _check_now(server: Server, account: TradingAccount, engine: LiveTradingEngine, story: Story) -> None:
    """I1, I2 and I4, whenever the engine has had its say."""
    (pair,) = server.world.pairs.values()
    position = account.sim(pair.symbol).position
    if position is None:
        return
    where = f"candle {pair.cursor} {pair.phase.name}"
    if position.stop_ticks is None:
        story.broken.append(f"I1 naked: {where}")
    if position.lots > 0:
        story.broken.append(f"I2 long: {where}")
    wanted = [lots for _, lots in _entries(server)]
    if wanted and -position.lots > max(wanted):
        story.broken.append(f"I4 {position.lots} lots, {wanted} were wanted: {where}")


def _entries(server: Server) -> list[tuple[str, int]]:
    """Link id and lots of every entry that reached the server."""
    found = []
    for row in server.world.requests.writes:
        if row.path == "/v5/order/create":
            body = json.loads(row.body)
            if body["side"] == "Sell":
                (pair,) = server.world.pairs.values()
                found.append((body["orderLinkId"], pair.lots_of(body["qty"]) or 0))
    return found


def _settle_up(server: Server, engine: LiveTradingEngine, journal: SqliteJournal, story: Story) -> None:
    """After the faults have stopped: I2, I3, I5, I6, I10."""
    story.halted = engine.state.halted
    creates = [json.loads(row.body) for row in server.world.requests.writes if row.path == "/v5/order/create"]
    if any(body["side"] == "Buy" and not body.get("reduceOnly") for body in creates):
        story.broken.append("I2 a buy that is not reduce-only")
    intents = {request.link_id for request, *_ in journal.intents()}
    if strangers := {body["orderLinkId"] for body in creates} - intents:
        story.broken.append(f"I3 sent without an intent: {strangers}")
    lots, same_money = _difference(server, engine, journal)
    if lots:
        story.broken.append(f"I5 we see {lots} lots more than the exchange; halted: {story.halted!r}")
    if not same_money:
        story.broken.append("I6 journal and wallet differ")
    planned = {path for fault, path in server.faults.struck if fault.value == "too_many"}
    if [row.path for row in server.world.requests.rows if row.ret_code == 10006 and row.path not in planned]:
        story.broken.append("I10 more requests than allowed")


def _manual_close(_server: Server, account: TradingAccount) -> None:
    (symbol,) = account.pairs
    if account.sim(symbol).position is not None:
        account.manual_close(symbol)


def _adl(_server: Server, account: TradingAccount) -> None:
    (symbol,) = account.pairs
    position = account.sim(symbol).position
    if position is not None:
        account.adl(symbol, max(1, -position.lots // 2))


def _liquidate(_server: Server, account: TradingAccount) -> None:
    (symbol,) = account.pairs
    if account.sim(symbol).position is not None:
        account.liquidation_now(symbol)


_HAPPEN = {"manual_close": _manual_close, "adl": _adl, "liquidation_now": _liquidate}


def _planned(name: str, fault: str, path: str = "", **details: Any) -> Trouble:
    return Trouble(name, ((fault, {"path": path, **details} if path else details),))


CREATE, STOP, CANCEL = "/v5/order/create", "/v5/position/trading-stop", "/v5/order/cancel"
MENU: tuple[Trouble, ...] = (
    _planned("create is lost on its way", "drop_request", CREATE),
    _planned("the answer to create is lost", "drop_answer", CREATE),
    _planned("the answer to create breaks off", "truncated", CREATE),
    _planned("create waits too long", "delay", CREATE, ms=250),
    _planned("create: server error, carried out", "server_error", CREATE, carried_out=True),
    _planned("create: timeout, not carried out", "internal", CREATE),
    _planned("create: too many requests", "too_many", CREATE, ms=20),
    _planned("create: forbidden", "forbidden", CREATE),
    _planned("the answer to the stop is lost", "drop_answer", STOP),
    _planned("the stop: server error", "server_error", STOP, times=2),
    _planned("the answer to cancel is lost", "drop_answer", CANCEL),
    _planned("positions are unreadable", "truncated", "/v5/position/list", times=3),
    _planned("fields are missing", "missing_fields", "", times=30),
    _planned("executions are unreadable", "drop_request", "/v5/execution/list", times=3),
    _planned("streams are cut", "drop_streams"),
    _planned("the private stream is cut", "drop_streams", "/v5/private"),
    _planned("the service restarts", "restart", CREATE),
    _planned("an outage", "outage", ms=150),
    _planned("a candle is announced twice", "duplicate_confirm"),
    _planned("a candle is announced late", "late_confirm"),
    _planned("a candle is never announced", "lost_candle"),
    Trouble("an entry is refused late", arm=Fault.LATE_REJECT),
    Trouble("an order fills in parts", arm=Fault.PARTIAL_FILL),
    Trouble("an order fills in part and is cancelled", arm=Fault.PARTIAL_THEN_CANCEL),
    Trouble("a message comes twice", arm=Fault.DUPLICATE_EVENT),
    Trouble("messages come in another order", arm=Fault.REORDERED_EVENT),
    Trouble("somebody closes by hand", happen="manual_close"),
    Trouble("the venue deleverages", happen="adl"),
    Trouble("the venue liquidates", happen="liquidation_now"),
)
