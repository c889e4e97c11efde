"""A sweep is its trials: each row is the backtest of that parameter set alone, bit for bit; ranked, counted, typed."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds import World, random_world
from your_short_trade_margin_call.domain.errors import TooFewCandlesError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import BlockReason, ExitType
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine, BacktestResult
from your_short_trade_margin_call.research.metrics import METRIC_COLUMNS
from your_short_trade_margin_call.research.selection import rank
from your_short_trade_margin_call.research.sweep import Sweep, run_sweep
from your_short_trade_margin_call.research.trials import grid_params, with_defaults
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings

WIDE = ParameterGrid(
    highest_high_lookback=(5, 20),
    exit_type=tuple(ExitType),
    risk_fraction=(0.5, 0.95),
    take_profit_pct=(0.0022, 0.0044, 0.008),
    stop_loss_pct=(None, 0.005, 0.02, 0.1),
    max_hold=(None, 180_000, 3_600_000),
)
"""288 trials a lookback: more than a worker takes at once."""
SMALL = ParameterGrid(highest_high_lookback=(3, 8), take_profit_pct=(0.0022, 0.01))
WHOLE = ("wins", "losses", "trades", "margin_calls", "liquidations", "end_of_data", "leverage_clamped",
         "quantity_clamped", "candles_held")  # fmt: skip


def engine_of(world: World) -> BacktestEngine:
    return BacktestEngine(world.settings, world.instrument)


def as_float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def assert_each_row_is_its_backtest(world: World, grid: ParameterGrid) -> Sweep:
    engine = engine_of(world)
    sweep = engine.sweep(world.candles, grid)
    assert sweep.trials == len(grid) == len(sweep.params)
    for row, params in enumerate(sweep.params):
        alone = engine.backtest(world.candles, params)
        metrics = alone.metrics.as_dict()
        ours = np.array([as_float(metrics[name]) for name in METRIC_COLUMNS])
        swept = np.array([sweep.columns[name][row] for name in METRIC_COLUMNS])
        assert ours.tobytes() == swept.tobytes(), (world.seed, params, dict(zip(METRIC_COLUMNS, swept, strict=True)))
        assert sweep.blocked_of(row) == alone.blocked, (world.seed, params)
    return sweep


@pytest.mark.parametrize("seed", [4_001, 4_002, 4_008])
def test_a_row_of_the_default_grid_is_the_backtest_alone(seed: int) -> None:
    sweep = assert_each_row_is_its_backtest(random_world(seed), ParameterGrid())
    assert sweep.trials == 336


@pytest.mark.parametrize("seed", [4_003, 4_005])
def test_a_row_with_stop_loss_and_longest_hold_is_the_backtest_alone(seed: int) -> None:
    sweep = assert_each_row_is_its_backtest(random_world(seed, 200), WIDE)
    assert sweep.trials == 576


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(40, 150))
def test_any_row_is_the_backtest_alone(seed: int, n_candles: int) -> None:
    assert_each_row_is_its_backtest(random_world(seed, n_candles), SMALL)


def test_two_sweeps_are_equal_whatever_the_threads_did() -> None:
    world = random_world(4_001)
    one, two = (engine_of(world).sweep(world.candles, WIDE) for _ in range(2))
    assert one.table.equals(two.table)
    assert one.order.tolist() == two.order.tolist()


# ---- the winner -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweeps() -> list[tuple[World, Sweep]]:
    worlds = [random_world(seed) for seed in range(4_100, 4_112)]
    return [(world, engine_of(world).sweep(world.candles)) for world in worlds]


def naive_order(sweep: Sweep) -> list[int]:
    """Best first: more profit, then less drawdown, then the earlier one of the grid."""
    pnl, drawdown = sweep.columns["pnl_pct"], sweep.columns["drawdown"]
    return sorted(range(sweep.trials), key=lambda row: (-pnl[row], drawdown[row], row))


def test_the_winner_is_the_most_profitable_then_the_calmest_then_the_first(
    sweeps: list[tuple[World, Sweep]],
) -> None:
    ties = 0
    for world, sweep in sweeps:
        assert sweep.order.tolist() == naive_order(sweep)
        best = sweep.params[naive_order(sweep)[0]]
        assert sweep.best == best
        assert sweep.best_metrics == engine_of(world).backtest(world.candles, best).metrics
        ties += sweep.trials - len(set(sweep.columns["pnl_pct"].tolist()))
    assert ties > 20


def lean_sweep(world: World) -> Sweep:
    """The winner and no more, in the calling thread."""
    market = make_market(world.candles, float(world.instrument.tick_size))
    terms = make_terms(world.settings, world.candles.symbol)
    trials, start = grid_params(ParameterGrid(), world.settings), world.settings.starting_balance
    return run_sweep(market, make_contract(world.instrument), terms, trials, start, workers=1, curves="needed")


def test_a_lean_sweep_has_the_same_winner(sweeps: list[tuple[World, Sweep]]) -> None:
    untraced = 0
    for world, whole in sweeps:
        lean = lean_sweep(world)
        assert lean.order[0] == whole.order[0]
        assert lean.best_metrics == whole.best_metrics
        assert lean.columns["pnl_pct"].tobytes() == whole.columns["pnl_pct"].tobytes()
        assert lean.blocked.tobytes() == whole.blocked.tobytes()
        untraced += int(np.isnan(lean.columns["drawdown"]).sum())
    assert untraced > 1_000


def test_lean_sweeps_of_several_threads_do_not_meet(sweeps: list[tuple[World, Sweep]]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lean_sweep, [world for world, _ in sweeps]))
    assert [lean.best_metrics for lean in found] == [whole.best_metrics for _, whole in sweeps]


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_ranking_with_many_ties(rows: list[tuple[int, int]]) -> None:
    pnl, drawdown = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    expected = sorted(range(len(rows)), key=lambda row: (-pnl[row], drawdown[row], row))
    assert rank(pnl, drawdown).tolist() == expected


def test_trials_come_in_the_order_of_the_grid() -> None:
    params = grid_params(WIDE, Settings())
    keys = [
        (
            WIDE.highest_high_lookback.index(p.highest_high_lookback),
            WIDE.exit_type.index(p.exit_type),
            WIDE.risk_fraction.index(p.risk_fraction),
            WIDE.take_profit_pct.index(p.take_profit_pct),
            WIDE.stop_loss_pct.index(p.stop_loss_pct),
            WIDE.max_hold.index(p.max_hold_ms),
        )
        for p in params
    ]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(WIDE)


def test_what_the_grid_leaves_open_the_settings_say() -> None:
    chosen = Settings(stop_loss_pct=0.03, max_hold=3_600_000)
    grid = ParameterGrid(stop_loss_pct=(None, 0.01), max_hold=(None, 180_000))
    seen = {(p.stop_loss_pct, p.max_hold_ms) for p in grid_params(grid, chosen)}
    assert seen == {(0.03, 3_600_000), (0.03, 180_000), (0.01, 3_600_000), (0.01, 180_000)}
    own = StrategyParams(10, ExitType.MIDPOINT, 0.5, 0.01, 0.2, 1_000)
    assert with_defaults(own, chosen) == own
    world = random_world(4_001, daily_loss=None, max_drawdown=None)
    engine = BacktestEngine(world.settings.replace(stop_loss_pct=0.004), world.instrument)
    result = engine.backtest(world.candles, replace(world.params, highest_high_lookback=5, stop_loss_pct=None))
    assert result.params.stop_loss_pct == 0.004
    assert {row["exit_reason"] for row in result.rows} >= {"stop_loss"}


# ---- progress, refusals -----------------------------------------------------------------------------


def test_progress_grows_to_the_last_trial() -> None:
    world = random_world(4_001, 6_000)  # enough to be shared out to threads
    calls: list[tuple[int, int]] = []
    engine_of(world).sweep(world.candles, WIDE, progress=lambda done, total: calls.append((done, total)))
    assert {total for _, total in calls} == {len(WIDE)}
    done = [done for done, _ in calls]
    assert done == sorted(done)
    assert done[-1] == len(WIDE)
    assert len(set(done)) >= 4


@pytest.mark.parametrize("n_candles", [300, 6_000])  # in the calling thread, and in several
def test_an_interruption_ends_the_sweep(n_candles: int) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    world = random_world(4_001, n_candles)
    with pytest.raises(KeyboardInterrupt):
        engine_of(world).sweep(world.candles, WIDE, progress=interrupt)


@pytest.mark.parametrize("seed", [4_001, 4_002, 4_008])
def test_threads_change_nothing(seed: int) -> None:
    """They share what they look up, each writing what another may just have found."""
    world = random_world(seed, 2_000)
    trials, start = grid_params(WIDE, world.settings), world.settings.starting_balance
    market = make_market(world.candles, float(world.instrument.tick_size))
    inputs = (market, make_contract(world.instrument), make_terms(world.settings, world.candles.symbol), trials, start)
    alone = run_sweep(*inputs, workers=1)
    for workers in (2, 3, 7):
        shared = run_sweep(*inputs, workers=workers)
        assert [shared.columns[name].tobytes() for name in METRIC_COLUMNS] == [
            alone.columns[name].tobytes() for name in METRIC_COLUMNS
        ]
        assert shared.blocked.tobytes() == alone.blocked.tobytes()
        assert shared.order.tobytes() == alone.order.tobytes()


def test_too_few_candles_are_a_named_error_never_a_smaller_grid() -> None:
    world = random_world(4_001, 80)
    engine, grid = engine_of(world), ParameterGrid()
    assert engine.sweep(world.candles.tail(72), grid).trials == 336
    with pytest.raises(TooFewCandlesError, match=r"71 candles .* a lookback of 70 .* needs 72"):
        engine.sweep(world.candles.tail(71), grid)
    alone = replace(world.params, highest_high_lookback=40)
    engine.backtest(world.candles.tail(42), alone)
    with pytest.raises(TooFewCandlesError, match=r"41 candles .* a lookback of 40 .* needs 42") as caught:
        engine.backtest(world.candles.tail(41), alone)
    assert "Give a longer history" in caught.value.cure
    assert caught.value.exit_code == 2


# ---- the table --------------------------------------------------------------------------------------


def test_the_table_has_these_columns_of_these_types(sweeps: list[tuple[World, Sweep]]) -> None:
    _, sweep = sweeps[0]
    parameters = {
        "highest_high_lookback": pl.Int64,
        "exit_type": pl.String,
        "risk_fraction": pl.Float64,
        "take_profit_pct": pl.Float64,
        "stop_loss_pct": pl.Float64,
        "max_hold_ms": pl.Int64,
    }
    metrics = {name: pl.Int64 if name in WHOLE else pl.Float64 for name in METRIC_COLUMNS}
    blocked = {f"blocked_{reason}": pl.Int64 for reason in BlockReason}
    assert dict(sweep.table.schema) == parameters | metrics | blocked
    assert sweep.table.columns == [*parameters, *metrics, *blocked]
    assert {"pnl_pct", "sharpe", "drawdown", "win_rate", "rr_ratio", "avg_win", "avg_loss"} <= set(METRIC_COLUMNS)


def test_the_table_is_the_trials_best_first(sweeps: list[tuple[World, Sweep]]) -> None:
    for _, sweep in sweeps[:4]:
        for place, row in enumerate(sweep.order.tolist()):
            if place % 37 and place > 3:
                continue
            shown, params = sweep.table.row(place, named=True), sweep.params[row]
            assert (shown["highest_high_lookback"], shown["exit_type"]) == (
                params.highest_high_lookback,
                str(params.exit_type),
            )
            assert (shown["risk_fraction"], shown["take_profit_pct"]) == (params.risk_fraction, params.take_profit_pct)
            assert (shown["stop_loss_pct"], shown["max_hold_ms"]) == (params.stop_loss_pct, params.max_hold_ms)
            for name in METRIC_COLUMNS:
                value = float(sweep.columns[name][row])
                assert shown[name] == (None if math.isnan(value) else value), name
            assert {reason: shown[f"blocked_{reason}"] for reason in sweep.blocked_of(row)} == sweep.blocked_of(row)
    assert sweeps[0][1].table["pnl_pct"].is_sorted(descending=True)
    assert all(not frame.is_nan().any() for _, sweep in sweeps for frame in sweep.table.select(pl.col(pl.Float64)))


# ---- metrics, recomputed ----------------------------------------------------------------------------

YEAR = 175_200


def plain_metrics(world: World, result: BacktestResult) -> dict[str, float | None]:
    """The same numbers from the trade rows and the equity curve, as a textbook has them."""
    start = world.settings.starting_balance
    profits = [row["pnl_value"] for row in result.rows]
    won, lost = [x for x in profits if x > 0], [x for x in profits if x <= 0]
    avg_win = 100.0 * float(np.mean(won)) / start if won else 0.0
    avg_loss = 100.0 * float(np.mean(lost)) / start if lost else 0.0
    reasons = [row["exit_reason"] for row in result.rows]
    held = [row["exit_time"] - row["entry_time"] for row in result.rows]
    index = {int(time_ms): k for k, time_ms in enumerate(world.candles.time_ms)}
    assert len(held) == len(profits)
    return {
        "pnl_pct": 100.0 * sum(profits) / start,
        "pnl_value": sum(profits),
        "final_balance": start + sum(profits),
        "avg_win": avg_win,
        "avg_loss": avg_loss,
        "win_rate": 100.0 * len(won) / len(profits) if profits else 0.0,
        "rr_ratio": avg_win / abs(avg_loss) if avg_loss < 0 else None,
        "drawdown": plain_drawdown(start, result.equity.tolist()),
        "wins": len(won),
        "losses": len(lost),
        "trades": len(profits),
        "fees": sum(row["entry_fee"] + row["exit_fee"] for row in result.rows),
        "funding": sum(row["funding"] for row in result.rows),
        "margin_calls": reasons.count("margin_call"),
        "liquidations": reasons.count("liquidation"),
        "end_of_data": reasons.count("end_of_data"),
        "candles_held": sum(index[row["exit_time"]] - index[row["entry_time"]] + 1 for row in result.rows),
    }


def plain_drawdown(start: float, equity: list[float]) -> float:
    peak, worst = start, 0.0
    for value in equity:
        peak = max(peak, value)
        worst = max(worst, (peak - value) / peak)
    return 100.0 * worst


def plain_sharpe(equity: np.ndarray) -> float:
    """Simple returns from close to close, mean over standard deviation (ddof 1), times the root of a year."""
    returns = np.diff(equity) / equity[:-1]
    return float(returns.mean() / returns.std(ddof=1) * math.sqrt(YEAR))


def test_metrics_are_what_the_rows_and_the_curve_say() -> None:
    sharpes = without_losses = without_trades = 0
    for seed in range(4_200, 4_260):
        world = random_world(seed, 200)
        result = engine_of(world).backtest(world.candles, world.params)
        metrics, plain = result.metrics.as_dict(), plain_metrics(world, result)
        for name, value in plain.items():
            exact = value is None or isinstance(value, int)
            close = value if exact else pytest.approx(value, rel=1e-9, abs=1e-9 * world.settings.starting_balance)
            assert metrics[name] == close, (seed, name)
        assert set(metrics) - set(plain) == {"sharpe", "leverage_clamped", "quantity_clamped"}
        without_losses += metrics["rr_ratio"] is None
        without_trades += not result.rows
        if not result.rows:
            assert metrics["sharpe"] == 0.0
        elif result.equity.min() > 1e-6 * world.settings.starting_balance:
            assert metrics["sharpe"] == pytest.approx(plain_sharpe(result.equity), rel=1e-6), seed
            sharpes += 1
    assert sharpes > 20
    assert without_losses > without_trades
