"""What a trader would look up: a short sold at 10000 ticks, one candle, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.words import ExecutionKind
from your_short_trade_margin_call.rules.costs import buy_fill
from your_short_trade_margin_call.rules.luck import EXIT_SLIPPAGE, slippage_bps

from .world import BANKRUPTCY, CANDLE_MS, LIQUIDATION, T0, close, exchange, executions, short, target

LIQUIDATED = (ExecutionKind.LIQUIDATION, BANKRUPTCY, False)


def stopped(price: float) -> tuple[ExecutionKind, float, bool]:
    """Bought back by the stop at a price."""
    return (ExecutionKind.TRADE, price, True)


def taken(price: float) -> tuple[ExecutionKind, float, bool]:
    """Bought back by the target at a price."""
    return (ExecutionKind.TRADE, price, False)


@dataclass(frozen=True)
class Scenario:
    """Open, high, low, close of the candle after the entry; what guards the short; what must happen."""

    name: str
    ohlc: tuple[float, float, float, float]
    end: tuple[ExecutionKind, float, bool] | None
    stop: int | None = 10850
    target: int | None = 9800
    mark: tuple[float, float] | None = None
    minutes: tuple[tuple[float, float], ...] = field(default=())
    fill_on_touch: bool = False
    spread_bps: float = 0.0


SCENARIOS = [
    Scenario("nothing is reached", (10000, 10100, 9900, 9950), None),
    Scenario("the low trades through the target", (10000, 10100, 9799, 9950), taken(9800)),
    Scenario("a touch of the target is not enough", (10000, 10100, 9800, 9950), None),
    Scenario("a touch is enough when so set", (10000, 10100, 9800, 9950), taken(9800), fill_on_touch=True),
    Scenario("a gap below the target fills at the target", (9700, 9750, 9600, 9700), taken(9800)),
    Scenario("the high touches the stop", (10000, 10850, 9900, 9950), stopped(10850)),
    Scenario("a tick below the stop", (10000, 10849, 9900, 9950), None),
    Scenario("half the spread is paid, up to the tick", (10000, 10850, 9900, 9950), stopped(10852), spread_bps=2.0),
    Scenario("a gap beyond the stop fills at the opening", (10900, 10910, 10880, 10890), stopped(10900)),
    Scenario("both sides reached: the adverse one first", (10000, 10850, 9700, 9950), stopped(10850)),
    Scenario(
        "both sides reached, the minutes saw the target first",
        (10000, 10850, 9700, 9950),
        taken(9800),
        minutes=((10010, 9790), (10850, 9800), (9900, 9700)),
    ),
    Scenario(
        "both sides reached in one minute: the adverse one first",
        (10000, 10850, 9700, 9950),
        stopped(10850),
        minutes=((10010, 9900), (10850, 9700), (9900, 9800)),
    ),
    Scenario("an opening at liquidation", (LIQUIDATION, 10950, 9700, 9950), LIQUIDATED),
    Scenario("a gap beyond bankruptcy loses the margin only", (12000, 12100, 11900, 12000), LIQUIDATED),
    Scenario("the high passes stop and liquidation: the stop is nearer", (10000, 11500, 9900, 9950), stopped(10850)),
    Scenario("no stop: the high reaches liquidation", (10000, LIQUIDATION, 9900, 9950), LIQUIDATED, stop=None),
    Scenario("no stop: a tick below liquidation", (10000, LIQUIDATION - 1, 9900, 9950), None, stop=None),
    Scenario("a stop at liquidation comes too late", (10000, 11000, 9900, 9950), LIQUIDATED, stop=LIQUIDATION),
    Scenario("no target: the low fills nothing", (10000, 10100, 5000, 9950), None, target=None),
    Scenario("last reaches the stop, mark does not", (10000, 10900, 9900, 9950), None, mark=(10000, 10500)),
    Scenario("mark reaches the stop, last does not", (10000, 10100, 9900, 9950), stopped(10850), mark=(10000, 10850)),
    Scenario("mark opens at liquidation, last does not", (10000, 10100, 9900, 9950), LIQUIDATED, mark=(10945, 10945)),
    Scenario(
        "mark opens beyond the stop, last far below: bought at the trigger",
        (10000, 10100, 9900, 9950),
        stopped(10850),
        mark=(10900, 10900),
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_one_candle(scenario: Scenario) -> None:
    venue = exchange(fill_on_touch=scenario.fill_on_touch, spread_bps=scenario.spread_bps)
    venue.place(short(stop=scenario.stop))
    if scenario.target is not None:
        venue.place(target(scenario.target))
    venue.drain()
    minutes = np.array(scenario.minutes or [(np.nan, np.nan)] * 3)
    mark_open, mark_high = scenario.mark or (None, None)
    venue.run_candle(T0, *scenario.ohlc, mark_open, mark_high, None, minutes[:, 0].copy(), minutes[:, 1].copy())
    rows = executions(venue.drain())
    assert [(row.kind, row.price_ticks, row.from_stop) for row in rows] == ([scenario.end] if scenario.end else [])
    assert (venue.position is None) == bool(scenario.end)
    assert all(row.candle_ms == T0 and T0 < row.time_ms < T0 + CANDLE_MS for row in rows)


QUOTES = [
    ("above the target", 9801.0, None, None),
    ("at the target: a touch", 9800.0, None, None),
    ("through the target", 9799.5, None, taken(9800)),
    ("below the stop", 10849.0, None, None),
    ("at the stop", 10850.0, None, stopped(10850)),
    ("beyond the stop", 10900.0, None, stopped(10900)),
    ("at liquidation", 10945.0, None, LIQUIDATED),
    ("last beyond the stop, mark not", 10900.0, 10800.0, None),
    ("mark beyond the stop, last not", 10000.0, 10850.0, stopped(10850)),
]


@pytest.mark.parametrize(("name", "mid", "mark", "end"), QUOTES, ids=[row[0] for row in QUOTES])
def test_one_quote(name: str, mid: float, mark: float | None, end: tuple[ExecutionKind, float, bool] | None) -> None:
    venue = exchange()
    venue.place(short(stop=10850))
    venue.place(target(9800))
    venue.drain()
    venue.on_quote(T0 + 70_000, mid, mark)
    rows = executions(venue.drain())
    assert [(row.kind, row.price_ticks, row.from_stop) for row in rows] == ([end] if end else [])
    assert all((row.time_ms, row.candle_ms) == (T0 + 70_000, T0) for row in rows)


OPENINGS = [
    ("below everything", 10000.0, None, None),
    ("through the target: waits for the candle", 9700.0, None, None),
    ("at the stop", 10850.0, None, stopped(10850)),
    ("mark beyond the stop: last decides the price", 10860.0, 10900.0, stopped(10860)),
    ("at liquidation", 10945.0, None, LIQUIDATED),
]


@pytest.mark.parametrize(("name", "mid", "mark", "end"), OPENINGS, ids=[row[0] for row in OPENINGS])
def test_the_opening_quote_alone(
    name: str, mid: float, mark: float | None, end: tuple[ExecutionKind, float, bool] | None
) -> None:
    venue = exchange()
    venue.place(short(stop=10850))
    venue.place(target(9800))
    venue.run_candle(T0, 10000, 10010, 9990, 10000)
    venue.drain()
    venue.on_opening_quote(T0 + CANDLE_MS, mid, mark, check_guards=False)
    assert venue.drain() == []
    venue.on_opening_quote(T0 + CANDLE_MS, mid, mark, check_guards=True)
    rows: list[Execution] = executions(venue.drain())
    assert [(row.kind, row.price_ticks, row.from_stop) for row in rows] == ([end] if end else [])
    assert all((row.time_ms, row.candle_ms) == (T0 + CANDLE_MS, T0 + CANDLE_MS) for row in rows)


def test_an_opening_exit_is_the_same_whether_asked_at_the_quote_or_by_the_candle() -> None:
    ends = []
    for check_guards in (True, False):
        venue = exchange(spread_bps=2.0, slippage_bps=3.0)
        venue.place(short(stop=10850))
        venue.on_opening_quote(T0 + CANDLE_MS, 10870.0, check_guards=check_guards)
        venue.run_candle(T0 + CANDLE_MS, 10870, 10900, 10800, 10810)
        ends.append((venue.wallet_usdt, venue.position))
    assert ends[0] == ends[1]
    assert ends[0][1] is None


def test_the_market_end_buys_at_the_last_close_with_the_last_candles_luck() -> None:
    venue = exchange(spread_bps=2.0, slippage_bps=3.0)
    venue.place(short())
    venue.run_candle(T0, 10000, 10100, 9900, 9950)
    at_close = buy_fill(9950.0, 2.0, slippage_bps(venue.terms.luck_key, T0, EXIT_SLIPPAGE, 3.0))
    venue.on_opening_quote(T0 + CANDLE_MS, 12000.0, check_guards=False)
    venue.on_market_end()
    venue.drain()
    venue.place(close())
    (row,) = executions(venue.drain())
    assert (row.price_ticks, row.candle_ms, row.time_ms) == (at_close, T0, T0 + CANDLE_MS)
