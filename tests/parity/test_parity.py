"""One set of rules: the live engine on the simulated exchange makes the backtest's trades, to the cent."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.parity.replay import Replay
from tests.parity.replay import replay as run_replay
from tests.shares import late
from tests.worlds import World, random_world
from your_short_trade_margin_call.exchange import admission
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine, BacktestResult

EXACT = ("entry_time", "exit_time", "entry_price", "quantity", "leverage", "target_price", "target_source",
         "liquidation_price", "margin_call_price", "exit_reason")  # fmt: skip
MONEY = ("exit_price", "entry_fee", "exit_fee", "funding", "pnl_value", "pnl_pct", "balance_after")


def assert_parity(world: World, past: BacktestResult, present: Replay) -> None:
    where = f"world {world.seed}"
    assert len(past.rows) == len(present.trades), where
    for row, trade in zip(past.rows, present.trades, strict=True):
        assert {name: row[name] for name in EXACT} == {name: trade[name] for name in EXACT}, where
        for name in MONEY:
            assert trade[name] == pytest.approx(row[name], abs=1e-6, rel=1e-12), (where, name)
    assert past.blocked == present.blocked, where
    assert present.wallet == pytest.approx(past.metrics.final_balance, abs=1e-6), where
    assert present.exchange.wallet_usdt == pytest.approx(past.metrics.final_balance, abs=1e-6), where
    equity = np.array([row[2] for row in present.equity])
    # The last close is marked before the market's end closes the position.
    np.testing.assert_allclose(equity[:-1], past.equity[:-1], rtol=1e-12, atol=1e-6, err_msg=where)


def tally(result: BacktestResult) -> Counter[str]:
    seen = Counter(f"exit {row['exit_reason']}" for row in result.rows)
    seen.update({f"blocked {reason}": count for reason, count in result.blocked.items()})
    seen["leverage clamped"] += result.metrics.leverage_clamped
    seen["quantity clamped"] += result.metrics.quantity_clamped
    return seen


SEEDS = range(1_320, 1_380)
"""Worlds in which even the rare happens often; `make parity` plays many more."""

MUST_BE_SEEN = [
    *(f"exit {x}" for x in ("target", "margin_call", "liquidation", "stop_loss", "max_hold", "end_of_data")),
    *(
        f"blocked {x}"
        for x in ("position_open", "order_rejected", "insufficient_balance", "below_min_qty", "below_min_notional",
                  "stream_gap", "daily_loss", "max_drawdown", "cooldown")
    ),
    "leverage clamped",
    "quantity clamped",
]  # fmt: skip


@pytest.fixture(scope="module")
def worlds() -> list[tuple[World, BacktestResult]]:
    made = [random_world(seed) for seed in SEEDS]
    return [(w, BacktestEngine(w.settings, w.instrument).backtest(w.candles, w.params)) for w in made]


def test_live_engine_makes_the_backtests_trades(worlds: list[tuple[World, BacktestResult]]) -> None:
    seen: Counter[str] = Counter()
    for world, past in worlds:
        assert_parity(world, past, run_replay(world))
        seen += tally(past)
    print("\n" + "\n".join(f"{seen[name]:6d}  {name}" for name in MUST_BE_SEEN))
    rare = {name: seen[name] for name in MUST_BE_SEEN if seen[name] < 8}
    assert not rare, f"too rare to prove anything: {rare}"


@pytest.mark.parametrize("every", [3, late(1)])
def test_a_fault_of_one_tick_is_noticed(
    every: int, worlds: list[tuple[World, BacktestResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that cannot fail proves nothing: entries filled one tick lower must break parity in every world."""
    honest = admission.sell_fill
    monkeypatch.setattr(admission, "sell_fill", lambda *arguments: honest(*arguments) - 1)
    traded = [(world, past) for world, past in worlds if past.rows]
    assert len(traded) > 20
    for world, past in traded[::every]:
        with pytest.raises(AssertionError):
            assert_parity(world, past, run_replay(world))
