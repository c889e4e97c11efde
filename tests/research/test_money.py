"""Money is conserved: every cent of the wallet's change is a fill, a fee, a settlement or a lost margin.

Checked from the trade rows of a backtest, and from the ledger and the executions of the simulated exchange.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange.world import wallet_from_executions
from tests.parity.replay import Replay, replay
from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.messages import Execution
from your_short_trade_margin_call.domain.words import ExecutionKind
from your_short_trade_margin_call.exchange.book import BookingKind
from your_short_trade_margin_call.exchange.faults import FaultPlan
from your_short_trade_margin_call.market.extras import aligned_mark
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine, BacktestResult

EXACT = 1e-9
"""USDT per USDT of the account: what "exactly" means in floats."""


@dataclass(frozen=True)
class Settled:
    """What funding did to a short: what it received, and what its margin had to give."""

    received: float
    taken: float


def scale_of(world: World) -> float:
    return max(1.0, world.settings.starting_balance)


def initial_margin(world: World, row: dict[str, Any]) -> float:
    """Value / leverage, and the fee to close at the bankruptcy price."""
    value = row["quantity"] * row["entry_price"]
    return float(value / row["leverage"] + value * (1.0 + 1.0 / row["leverage"]) * world.settings.taker_fee_rate)


def settled(world: World, row: dict[str, Any], wallet: float) -> Settled:
    """Funding of a short over its life, from the recorded rates and marks; `wallet` is what it was after the entry."""
    candles, received, taken = world.candles, 0.0, 0.0
    if candles.funding is None:
        return Settled(0.0, 0.0)
    locked = initial_margin(world, row)
    mark = np.where(np.isnan(aligned_mark(candles).close), candles.close, aligned_mark(candles).close)
    due = (candles.funding.time_ms > row["entry_time"]) & (candles.funding.time_ms <= row["exit_time"])
    for time_ms, rate in zip(candles.funding.time_ms[due], candles.funding.rate[due], strict=True):
        before = int(np.searchsorted(candles.time_ms, time_ms, side="left")) - 1
        payment = float(row["quantity"] * mark[before] * rate)
        available = max(0.0, wallet + received - (locked - taken))
        taken += max(0.0, -payment - available)
        received += payment
    return Settled(received, taken)


def check_trades(world: World, result: BacktestResult) -> Counter[str]:
    """Every row explains its own step of the wallet, and every price in it explains its money."""
    wallet, fee, exact = world.settings.starting_balance, world.settings, EXACT * scale_of(world)
    seen: Counter[str] = Counter()
    for row in result.rows:
        quantity, entry, out = row["quantity"], row["entry_price"], row["exit_price"]
        funding = settled(world, row, wallet - row["entry_fee"])
        change = row["balance_after"] - wallet
        assert row["pnl_value"] == pytest.approx(change, abs=exact)
        assert row["pnl_pct"] == pytest.approx(100.0 * change / world.settings.starting_balance, abs=1e-7)
        assert row["entry_fee"] == pytest.approx(quantity * entry * fee.taker_fee_rate, abs=exact)
        rate = fee.maker_fee_rate if row["exit_reason"] == "target" else fee.taker_fee_rate
        # A liquidation's exit price is the bankruptcy price, printed with eight digits.
        printed = 0.0 if row["exit_reason"] != "liquidation" else 1e-8 * quantity
        assert row["exit_fee"] == pytest.approx(quantity * out * rate, abs=exact + printed)
        assert row["funding"] == pytest.approx(funding.received, abs=exact)
        moved = quantity * (entry - out) - row["entry_fee"] - row["exit_fee"] + row["funding"]
        assert change == pytest.approx(moved, abs=exact + printed)
        if row["exit_reason"] == "liquidation":
            lost = initial_margin(world, row) - funding.taken
            assert change == pytest.approx(-row["entry_fee"] + row["funding"] - lost, abs=exact)
            seen["liquidation after funding took margin"] += funding.taken > 0.0
        seen[row["exit_reason"]] += 1
        seen["funding received"] += row["funding"] > 0.0
        seen["funding paid"] += row["funding"] < 0.0
        wallet = row["balance_after"]
    assert wallet == result.metrics.final_balance
    return seen


def check_totals(world: World, result: BacktestResult) -> None:
    start, metrics = world.settings.starting_balance, result.metrics
    tolerance = EXACT * scale_of(world)
    assert sum(row["pnl_value"] for row in result.rows) == pytest.approx(metrics.final_balance - start, abs=tolerance)
    assert result.equity[-1] == metrics.final_balance
    assert metrics.pnl_value == metrics.final_balance - start
    assert metrics.fees == pytest.approx(sum(r["entry_fee"] + r["exit_fee"] for r in result.rows), abs=tolerance)
    assert metrics.funding == pytest.approx(sum(r["funding"] for r in result.rows), abs=tolerance)


def check_never_late(world: World, result: BacktestResult) -> int:
    """A liquidation is never later than its price: no candle before it had a mark that reached it."""
    mark = aligned_mark(world.candles)
    high = np.where(np.isnan(mark.high), world.candles.high, mark.high)
    liquidated = 0
    for row in result.rows:
        first, last = np.searchsorted(world.candles.time_ms, (row["entry_time"], row["exit_time"]))
        on_grid = 1e-9 * row["liquidation_price"]
        if row["funding"] == 0.0:  # else the price has moved on the way
            assert (high[first:last] < row["liquidation_price"] - on_grid).all()
        if row["exit_reason"] == "liquidation":
            assert high[last] >= row["liquidation_price"] - on_grid
            liquidated += 1
    return liquidated


@pytest.fixture(scope="module")
def worlds() -> list[tuple[World, BacktestResult]]:
    made = [random_world(seed) for seed in range(3_000, 3_090)]
    return [(w, BacktestEngine(w.settings, w.instrument).backtest(w.candles, w.params)) for w in made]


def test_every_trade_explains_its_step_of_the_wallet(worlds: list[tuple[World, BacktestResult]]) -> None:
    seen: Counter[str] = Counter()
    for world, result in worlds:
        seen += check_trades(world, result)
        check_totals(world, result)
    wanted = ("target", "margin_call", "liquidation", "stop_loss", "max_hold", "end_of_data", "funding paid",
              "funding received", "liquidation after funding took margin")  # fmt: skip
    assert {name: seen[name] for name in wanted if seen[name] < 3} == {}


def test_a_liquidation_is_never_later_than_its_price(worlds: list[tuple[World, BacktestResult]]) -> None:
    assert sum(check_never_late(world, result) for world, result in worlds) > 10


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from((1.0, 3.0, 25.0, 75.0)), st.one_of(st.none(), st.just(0.9)))
def test_any_world_keeps_its_money(seed: int, leverage: float, margin_call_at: float | None) -> None:
    world = random_world(seed, 200, leverage=leverage, margin_call_at=margin_call_at)
    result = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
    check_trades(world, result)
    check_totals(world, result)
    check_never_late(world, result)


# ---- the simulated exchange -------------------------------------------------------------------------


def check_ledger(world: World, present: Replay) -> Counter[str]:
    """The ledger by kind is what the executions say, and both are the wallet's change."""
    exchange, tolerance = present.exchange, 10 * EXACT * scale_of(world)
    start = world.settings.starting_balance
    change = exchange.wallet_usdt - start
    booked = {kind: sum(row.amount_usdt for row in exchange.ledger if row.kind is kind) for kind in BookingKind}
    assert sum(booked.values()) == pytest.approx(change, abs=tolerance)
    rows = exchange.account(0).executions
    assert wallet_from_executions(start, rows, exchange.contract) == pytest.approx(exchange.wallet_usdt, abs=tolerance)
    trades = present.trades
    assert sum(row["pnl_value"] for row in trades) == pytest.approx(change, abs=tolerance)
    assert booked[BookingKind.ENTRY_FEE] == pytest.approx(-sum(row["entry_fee"] for row in trades), abs=tolerance)
    assert booked[BookingKind.FUNDING] == pytest.approx(sum(row["funding"] for row in trades), abs=tolerance)
    assert sum(booked[kind] for kind in (BookingKind.CLOSE, BookingKind.LIQUIDATION)) == pytest.approx(
        sum(row["pnl_value"] + row["entry_fee"] - row["funding"] for row in trades), abs=tolerance
    )
    assert exchange.position is None
    assert exchange.available_usdt == pytest.approx(exchange.wallet_usdt, abs=tolerance)
    return Counter(str(row.kind) for row in exchange.ledger)


def liquidations(rows: tuple[Execution, ...]) -> list[Execution]:
    return [row for row in rows if row.kind is ExecutionKind.LIQUIDATION]


def test_the_ledger_is_the_wallet() -> None:
    seen: Counter[str] = Counter()
    for seed in range(3_200, 3_230):
        world = random_world(seed, 150)
        seen += check_ledger(world, replay(world))
    assert {str(kind): seen[str(kind)] for kind in BookingKind if seen[str(kind)] < 3} == {}


def test_the_ledger_is_the_wallet_when_fills_come_in_parts_and_answers_are_lost() -> None:
    seen: Counter[str] = Counter()
    for seed in range(3_300, 3_315):
        world = random_world(seed, 120)
        plan = FaultPlan(seed=seed, partial_fill=0.4, lost_answer=0.1, late_answer=0.05, duplicate_event=0.05)
        present = replay(world, plan)
        seen += check_ledger(world, present)
        seen["executions"] += len(present.exchange.account(0).executions)
        seen["trades"] += len(present.trades)
    assert seen["executions"] > 2.2 * seen["trades"] > 0


def test_an_exchange_liquidation_loses_the_position_margin() -> None:
    """Booked amount = -(initial margin + what funding left of the extra), to 1e-9 of the account."""
    checked = 0
    for seed in range(3_400, 3_430):
        world = random_world(seed, 120, margin_call_at=None, leverage=75.0, order_reject_prob=0.0)
        present = replay(world)
        booked = [row for row in present.exchange.ledger if row.kind is BookingKind.LIQUIDATION]
        ended = [row for row in present.trades if row["exit_reason"] == "liquidation"]
        assert len(booked) == len(ended) == len(liquidations(present.exchange.account(0).executions))
        for booking, row in zip(booked, ended, strict=True):
            before = row["balance_after"] - row["pnl_value"] - row["entry_fee"]
            lost = initial_margin(world, row) - settled(world, row, before).taken
            assert booking.amount_usdt == pytest.approx(-lost, abs=EXACT * scale_of(world))
            checked += 1
    assert checked > 10
