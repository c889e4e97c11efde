"""Markets as tables, and the trade each must make: in a backtest and live, on the simulated exchange."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parity.replay import replay
from tests.scenarios.doubtful_candles import DOUBTFUL
from tests.scenarios.entries import ENTRIES
from tests.scenarios.exits import EXITS
from tests.scenarios.funding import FUNDING
from tests.scenarios.market_table import Scenario, Trade, read_market
from tests.scenarios.usual_short import SIGNAL
from your_short_trade_margin_call.domain.trade_row import TRADE_COLUMNS
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine

SCENARIOS = [*EXITS, *DOUBTFUL, *ENTRIES, *FUNDING]


def assert_rows(rows: list[dict[str, Any]] | tuple[dict[str, Any], ...], expected: tuple[Trade, ...]) -> None:
    assert [row["exit_reason"] for row in rows] == [trade.reason for trade in expected]
    for row, trade in zip(rows, expected, strict=True):
        wanted = trade.row()
        assert tuple(wanted) == TRADE_COLUMNS
        assert {name: row[name] for name in TRADE_COLUMNS} == {
            name: pytest.approx(value, abs=5e-9) if isinstance(value, float) else value
            for name, value in wanted.items()
        }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_in_the_past(scenario: Scenario) -> None:
    world = scenario.world()
    result = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
    assert_rows(result.rows, scenario.trades)
    assert result.blocked == scenario.blocked
    metrics = result.metrics.as_dict()
    assert {name: metrics[name] for name in scenario.counts} == scenario.counts
    assert result.metrics.final_balance == pytest.approx(
        scenario.trades[-1].balance if scenario.trades else 1_000.0, abs=5e-9
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_in_the_present(scenario: Scenario) -> None:
    present = replay(scenario.world())
    assert_rows(present.trades, scenario.trades)
    assert present.blocked == scenario.blocked
    wallet = scenario.trades[-1].balance if scenario.trades else 1_000.0
    assert present.wallet == pytest.approx(wallet, abs=5e-9)
    assert present.exchange.wallet_usdt == pytest.approx(wallet, abs=5e-9)


def test_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(names) == len(set(names))


def test_a_table_reads_as_it_looks() -> None:
    candles = read_market(
        SIGNAL
        + "\n 12:12 1000 1001 985 988 | mark 988 992 987 990 | funding -0.5% | minutes 1001/1000 999/985 990/986\n"
    )
    assert candles.time_ms.tolist() == [1_748_865_600_000 + 180_000 * k for k in (0, 1, 2, 4)]
    assert (candles.high[1], candles.low[1], candles.open[2], candles.close[2]) == (1_001.0, 990.0, 1_000.0, 999.0)
    assert candles.gaps == 1
    assert candles.mark is not None
    assert candles.mark.high.tolist() == [992.0]
    assert candles.minutes is not None
    assert candles.minutes.low.tolist() == [1_000.0, 985.0, 986.0]
    assert candles.funding is not None
    assert candles.funding.rate.tolist() == [-0.005]
    with pytest.raises(ValueError, match="markk"):
        read_market("12:00 1 1 1 1 | markk 1 1 1 1")
