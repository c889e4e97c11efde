"""A restart in the middle of anything: the state goes through JSON and the exchange continues as if nothing was."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from your_short_trade_margin_call.domain.errors import ArtefactError
from your_short_trade_margin_call.domain.messages import Event
from your_short_trade_margin_call.exchange.faults import Fault, FaultPlan
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange

from .world import CANDLE_MS, T0, close, contract, exchange, limit_short, short, stop_order, target, terms


def restarted(venue: SimulatedExchange) -> SimulatedExchange:
    """The exchange, written and read again."""
    text = json.dumps(venue.to_state(), allow_nan=False)
    return SimulatedExchange.from_state(json.loads(text), venue.contract, venue.terms, venue.faults)


def life(venue: SimulatedExchange, restart_after: int) -> tuple[list[Event], SimulatedExchange]:
    """A position's life, with one restart after so many steps."""
    steps: list[Callable[[SimulatedExchange], object]] = [
        lambda v: v.place(short(stop=10_850)),
        lambda v: v.place(target(9_800, lots=60)),
        lambda v: v.place(stop_order(10_700, lots=30)),
        lambda v: v.run_candle(T0, 10_000, 10_400, 9_900, 10_300.25),
        lambda v: v.settle_funding(T0 + CANDLE_MS, -0.0007, 10_310.0),
        lambda v: v.on_opening_quote(T0 + CANDLE_MS, 10_300.0, check_guards=True),
        lambda v: v.place(limit_short(10_500, lots=20)),
        lambda v: v.amend_stop(10_900),
        lambda v: v.run_candle(T0 + CANDLE_MS, 10_300, 10_750, 10_200, 10_250),
        lambda v: v.disconnect(T0 + 2 * CANDLE_MS),
        lambda v: v.run_candle(T0 + 2 * CANDLE_MS, 10_250, 10_300, 9_700, 9_750),
        lambda v: v.reconnect(T0 + 3 * CANDLE_MS),
        lambda v: v.on_market_end(),
        lambda v: v.place(close()),
    ]
    events: list[Event] = []
    for number, step in enumerate(steps):
        step(venue)
        if number == restart_after:
            venue = restarted(venue)
        events += venue.drain()
    return events, venue


@pytest.mark.parametrize("restart_after", range(14))
def test_a_restart_changes_nothing(restart_after: int) -> None:
    faults = FaultPlan(5, partial_fill=0.5, duplicate_event=0.2, reordered_event=0.2)
    first, second = (exchange(faults=faults, spread_bps=2.0, slippage_bps=3.0) for _ in range(2))
    events, venue = life(first, restart_after)
    unbroken_events, unbroken = life(second, -1)
    assert events == unbroken_events
    assert venue.to_state() == unbroken.to_state()
    assert venue.position is None


def test_pending_faults_survive_a_restart() -> None:
    plan = FaultPlan.script({1: (Fault.REORDERED_EVENT, Fault.PARTIAL_FILL), 2: Fault.OUTAGE}, outage_requests=2)
    venue = exchange(faults=plan)
    venue.place(limit_short(10_100))
    with pytest.raises(Exception, match="does not answer"):
        venue.cancel("limit-entry")
    again = restarted(venue)
    with pytest.raises(Exception, match="does not answer"):
        again.find("limit-entry")
    again.run_candle(T0, 10_000, 10_200, 9_900, 10_150)
    assert len(again.account(0).executions) > 1
    assert again.to_state()["armed"] is None


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 99},
        {"tick_size": 0.5},
        {"wallet_usdt": None},
        {"open_orders": [{"order": {}}]},
        {"ledger": [[1, "gift", 5.0]]},
        {"wallet_usdt": 5.0},
        {"position": {"lots": -1}},
        {
            "position": {
                "lots": 5,
                "entry_ticks": 1.0,
                "leverage": 1.0,
                "liquidation_ticks": 5,
                "opened_ms": 1,
                "stop": None,
            }
        },
    ],
)
def test_a_damaged_state_is_a_named_error(damage: dict[str, Any]) -> None:
    venue = exchange()
    venue.place(short())
    state = {**venue.to_state(), **damage}
    with pytest.raises(ArtefactError):
        SimulatedExchange.from_state(state, contract(), terms())


def test_a_missing_part_is_a_named_error() -> None:
    state = exchange().to_state()
    for name in state:
        with pytest.raises(ArtefactError):
            SimulatedExchange.from_state({k: v for k, v in state.items() if k != name}, contract(), terms())
