"""Every number of notes/strategy_overview.md is computed again, with the program's own rules."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.docs.pages import OVERVIEW, code, numbers, section, table, text_of
from tests.docs.worked_trade import (
    ENTRY,
    LAST,
    PARAMS,
    SIGNAL,
    Steps,
    clock,
    example_candles,
    steps,
    the_trade,
    with_last,
)
from your_short_trade_margin_call.domain.words import ExitType
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.rules.costs import funding_received
from your_short_trade_margin_call.rules.signal import is_failed_peak, levels_before
from your_short_trade_margin_call.rules.terms import make_contract
from your_short_trade_margin_call.settings import ParameterGrid, Settings, validated

TRADE = section(OVERVIEW, "A worked trade")
DAY_MS = 86_400_000


@cache
def exits() -> dict[str, dict[str, Any]]:
    """The trade of each row of the table of exits, by what the row says of the last candle."""
    return {
        "as above": the_trade(example_candles()),
        "rises to 130,000.0": the_trade(with_last(100_100.0, 130_000.0, 100_020.0, 129_900.0)),
        "opens at 131,000.0, over the margin call": the_trade(with_last(131_000.0, 131_500.0, 130_500.0, 131_200.0)),
        "opens at 133,100.0, over liquidation": the_trade(with_last(133_100.0, 133_500.0, 132_500.0, 133_200.0)),
        "rises to 133,100.0, with margin_call_at=null": the_trade(
            with_last(100_100.0, 133_100.0, 100_020.0, 133_000.0), margin_call_at=None
        ),
        "rises to 101,300.0, with stop_loss_pct=0.01": the_trade(
            with_last(100_100.0, 101_300.0, 100_020.0, 101_200.0), stop_loss_pct=0.01
        ),
        "as above, with max_hold=6m": the_trade(example_candles(), max_hold="6m"),
        "the last of the data, closing at 100,050.0": the_trade(with_last(100_100.0, 100_130.0, 100_020.0, 100_050.0)),
    }


@pytest.fixture(scope="module")
def s() -> Steps:
    return steps()


def values(number: int) -> list[str]:
    """The right column of a table of the worked trade."""
    return [code(row[-1]) for row in table(TRADE, number)]


# ---- the worked trade ---------------------------------------------------------------------------


def test_candles_are_those_of_the_file() -> None:
    candles = example_candles()
    rows = [
        [clock(int(candles.time_ms[j])), *(f"{getattr(candles, x)[j]:,.1f}" for x in ("open", "high", "low", "close"))]
        for j in range(len(candles))
    ]
    assert [row[:5] for row in table(TRADE)] == rows


def test_remarks_beside_the_candles() -> None:
    candles = example_candles()
    before = slice(SIGNAL - 10, SIGNAL)
    marked = {code(row[5]): place for place, row in enumerate(table(TRADE)) if row[5]}
    assert marked == {
        "lowest high": int(np.argmin(candles.high[before])),
        "highest low": int(np.argmax(candles.low[before])),
        "highest high": int(np.argmax(candles.high[before])),
        "signal": SIGNAL,
        "entry": ENTRY,
        "funding, then target": LAST,
    }


def test_signal() -> None:
    candles = example_candles()
    highest = levels_before(candles.high, candles.low, SIGNAL, 10).highest_high
    o, h, c = (float(x[SIGNAL]) for x in (candles.open, candles.high, candles.close))
    assert is_failed_peak(o, h, c, highest)
    assert (
        f"The candle of {clock(int(candles.time_ms[SIGNAL]))} reaches {h:,.1f}, above the highest high {highest:,.1f}, "
        f"and closes at {c:,.1f}, below its open {o:,.1f}." in flat(TRADE)
    )


def test_size(s: Steps) -> None:
    assert f"The reference mid is the opening {s.mid:,.1f}" in TRADE
    assert values(1) == [
        f"{s.budget:.2f} USDT",
        f"{s.lot_cost:.4f} USDT",
        f"{s.lots}, which is {s.lots * 0.001:g} BTC",
        f"{s.order_cost:.4f} USDT",
        f"{s.notional_at_mid:,.2f} USDT",
    ]
    assert f"({s.lots + 1} lots would need {s.cost_of_one_more:.4f})" in TRADE
    assert s.order_cost <= s.budget < s.cost_of_one_more


def test_entry(s: Steps) -> None:
    assert f"The slippage drawn for this candle is {s.entry_slippage_bps:.2f} bps." in TRADE
    assert f"less {s.entry_slippage_bps + 1:.2f} bps, down to the tick" in TRADE
    assert values(2) == [
        f"{s.entry_price:,.1f}",
        f"{s.notional:,.4f} USDT",
        f"{s.entry_fee:.4f} USDT",
        f"{s.position_margin:.4f} USDT",
    ]
    assert f"a third of the notional {s.base_margin:.4f} + close-fee reserve {s.reserve:.4f}" in TRADE
    assert the_trade(example_candles())["entry_price"] == s.entry_price


def test_exits_fixed_at_the_fill(s: Steps) -> None:
    trade = the_trade(example_candles())
    assert values(3) == [
        f"{s.level_limit:,.1f}",
        f"{trade['target_price']:,.1f}",
        f"{s.take_profit_target:,.1f}",
        f"{s.liquidation:,.1f}",
        f"{s.margin_call:,.1f}",
        f"{s.bankruptcy:,.1f}",
    ]
    assert trade["target_source"] == "level"
    assert (trade["liquidation_price"], trade["margin_call_price"]) == (s.liquidation, s.margin_call)


def test_other_exit_types() -> None:
    other = {
        kind: the_trade(example_candles(), replace(PARAMS, exit_type=kind))["target_price"] for kind in list(ExitType)
    }
    assert (
        f"With `lowest_high` the target would be {other[ExitType.LOWEST_HIGH]:,.1f}, "
        f"with `midpoint` {other[ExitType.MIDPOINT]:,.1f}." in TRADE
    )
    assert other[ExitType.TAKE_PROFIT] == steps().take_profit_target


def test_funding(s: Steps) -> None:
    contract = make_contract(BacktestEngine().instrument("BTCUSDT"))
    mark = float(example_candles().close[LAST - 1])
    received, paid, much = (funding_received(contract, s.lots, mark * 10, rate) for rate in (1e-4, -1e-4, -1e-3))
    assert paid == -received
    assert f"the mark {mark:,.1f} (the close before)" in TRADE
    assert f"x {mark:,.1f} x 0.0001 = {received:+.4f} USDT" in TRADE
    assert f"at -0.10 % it would pay {-much:.4f} USDT" in flat(TRADE)
    assert the_trade(example_candles())["funding"] == pytest.approx(received)


@pytest.mark.parametrize("row", table(TRADE, 4), ids=lambda row: code(row[0]))
def test_every_exit(row: list[str]) -> None:
    trade = exits()[code(row[0])]
    assert [code(cell) for cell in row[1:]] == [
        trade["exit_reason"],
        f"{trade['exit_price']:,.1f}",
        f"{trade['exit_fee']:.4f}",
        f"{trade['pnl_value']:+.4f}",
        f"{trade['balance_after']:.4f}",
    ]
    assert clock(trade["exit_time"]) == "08:00"


def test_every_exit_is_shown() -> None:
    assert [code(row[0]) for row in table(TRADE, 4)] == list(exits())


def test_what_is_said_of_the_exits(s: Steps) -> None:
    assert f"the slippage drawn for that candle, {s.exit_slippage_bps:.2f} bps" in flat(TRADE)
    win, loss = exits()["as above"]["pnl_value"], exits()["rises to 130,000.0"]["pnl_value"]
    assert f"costs as much as {-loss / win:.0f} such wins earn" in TRADE
    liquidated = exits()["opens at 133,100.0, over liquidation"]
    assert -liquidated["pnl_value"] == pytest.approx(s.position_margin + s.entry_fee - liquidated["funding"])


def test_no_other_number_in_the_worked_trade(s: Steps) -> None:
    """A number that no test above has computed has no place on the page."""
    known = {
        "0.001",
        "1/3",
        "3",
        "1",
        "2026",
        "7",
        "0.01",
        "0.9",
        "0.10",
        "30",
        "0",
        "0.012",
        "10",
        "472",
        "42",
        "3.33",
    }
    known |= {"0.95", "0.44", "472.00", "0.0022", "0.005", "0.0001", "0.055", "08:00", "00", "08", "07", "51", "54"}
    known |= {f"{x:,.4f}" for x in (s.cost_of_one_more, s.base_margin, s.reserve)}
    known |= {f"{s.entry_slippage_bps:.2f}", f"{s.exit_slippage_bps:.2f}", "155", "0.1201", "1.2012", "13"}
    known |= {number for row in exits() for number in numbers(row)}
    known |= {f"{value:,.1f}" for value in (s.mid, s.entry_price, 99_890.0, 99_950.0)}
    for cells in (table(TRADE, k) for k in range(5)):
        known |= {number for row in cells for cell in row for number in numbers(cell)}
    assert set(numbers(TRADE)) - known == set()


# ---- parameters and settings --------------------------------------------------------------------


def test_grid() -> None:
    said = {code(row[0]): row[1] for row in table(section(OVERVIEW, "What each parameter does"))}
    grid = ParameterGrid()
    assert list(said) == list(ParameterGrid.model_fields)
    for name, text in said.items():
        axis = getattr(grid, name)
        wanted = ["off" if value is None else f"{value}" for value in axis]
        assert text.split(", ") == wanted, name
    sizes = " x ".join(str(len(axis)) for axis in grid.__dict__.values() if axis != (None,))
    assert f"{sizes} = {len(grid)} sets" in text_of(OVERVIEW)


def test_settings_and_defaults() -> None:
    said = {code(row[0]): row[1] for row in table(section(OVERVIEW, "Settings and their defaults"))}
    assert list(said) == list(Settings.model_fields)
    typed: dict[str, Any] = {name: None if text == "null" else text for name, text in said.items()}
    assert validated(Settings, typed) == Settings()


# ---- what a choice looks like -------------------------------------------------------------------


def test_the_best_of_a_day_without_an_edge() -> None:
    """Numbers drawn by numpy: across its versions they may move a little, so nearly equal will do."""
    chosen, after, won = zip(*(_chosen_and_after(seed) for seed in range(100)), strict=True)
    found = re.search(
        r"on (\d+) invented markets with no edge at all, the best set made a median of \*\*([+-][\d.]+) %\*\* in its "
        r"own 24 hours, with (\d+) % of its trades won\. In the 12 hours after, the same sets made a median of "
        r"\*\*([\d.]+) %\*\*",
        flat(text_of(OVERVIEW)),
    )
    assert found is not None
    assert int(found[1]) == len(chosen)
    assert float(found[2]) == pytest.approx(np.median(chosen), abs=0.15)
    assert float(found[3]) == pytest.approx(np.median(won), abs=2)
    assert float(found[4]) == pytest.approx(np.median(after), abs=0.15)


def _chosen_and_after(seed: int) -> tuple[float, float, float]:
    candles = generate(SyntheticMarket(seed=seed, symbol="BTCUSDT", minutes=36 * 60))
    cut = candles.start_ms + DAY_MS
    engine = BacktestEngine(Settings(seed=seed))
    sweep = engine.sweep(candles.between(candles.start_ms, cut))
    after = engine.backtest(candles.between(cut, cut + DAY_MS), sweep.best).metrics
    return sweep.best_metrics.pnl_pct, after.pnl_pct, sweep.best_metrics.win_rate


def flat(text: str) -> str:
    return " ".join(text.split())
