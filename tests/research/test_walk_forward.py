"""The record of the procedure: longer histories begin with the shorter record, and nothing looks ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.research.histories import HOUR, STEP, WINDOW, history, walked, without
from tests.worlds import random_world
from your_short_trade_margin_call.domain.errors import TooFewCandlesError
from your_short_trade_margin_call.domain.words import Adopt, ExitReason, TargetSource
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.account_kernel import TRADE_COLUMNS
from your_short_trade_margin_call.research.chance import chance_beside
from your_short_trade_margin_call.research.evidence import yardsticks
from your_short_trade_margin_call.research.procedure import NOTHING_CHOSEN
from your_short_trade_margin_call.research.walk_forward import WalkForward
from your_short_trade_margin_call.rules import costs, position
from your_short_trade_margin_call.rules.market_arrays import cut, make_market

COLUMN = {name: k for k, name in enumerate(TRADE_COLUMNS)}
BY_END = ExitReason.END_OF_DATA.code


def column(walk: WalkForward, name: str) -> Any:
    return walk.trades[:, COLUMN[name]]


def closed(walk: WalkForward, before: int) -> bytes:
    """The trades that closed by themselves before a candle."""
    by_itself = column(walk, "exit_reason") != BY_END
    kept: bytes = walk.trades[by_itself & (column(walk, "exit_index") < before)].tobytes()
    return kept


# ---- a longer history ------------------------------------------------------------------------------


@pytest.mark.parametrize("adopt", list(Adopt))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_longer_history_begins_with_exactly_the_shorter_record(seed: int, adopt: Adopt) -> None:
    candles = history(seed)
    long = walked(candles, adopt)
    long_chance = chance_beside(long, accounts=16)
    open_at_an_end = 0
    for n in (260, 400, 480, 560, 700):
        short = walked(candles.rows(0, n), adopt)
        folds, end = len(short.choices), int(short.firsts[-1])
        assert long.choices[:folds] == short.choices
        assert long.firsts[: folds + 1].tolist() == short.firsts.tolist()
        assert closed(long, end) == closed(short, end)
        assert long.equity[:end].tobytes() == short.equity.tobytes()
        assert long.held[:end].tobytes() == short.held.tobytes()
        assert long.returns[:folds].tobytes() == short.returns.tobytes()
        chance = chance_beside(short, accounts=16)
        assert long_chance.returns[: len(chance.returns)].tobytes() == chance.returns.tobytes()
        pairs = zip(yardsticks(long, long_chance, 0.05), yardsticks(short, chance, 0.05), strict=True)
        assert all(longer.path[:folds].tobytes() == shorter.path.tobytes() for longer, shorter in pairs)
        open_at_an_end += BY_END in column(short, "exit_reason")
    assert open_at_an_end > 0, "no record ended with an open position: the test proves little"


@pytest.mark.parametrize(("seed", "at"), [(22, 240), (34, 320)])
def test_an_entry_right_after_the_end_of_a_record_was_not_known_there(seed: int, at: int) -> None:
    """Its signal is the record's last candle: there was no opening to sell at, and chance shorts know of none."""
    candles = history(seed)
    long, short = walked(candles, max_hold=HOUR), walked(candles.rows(0, at), max_hold=HOUR)
    assert at in column(long, "entry_index")
    assert int(short.firsts[-1]) == at
    theirs, own = (chance_beside(walk).returns for walk in (long, short))
    assert own.any()
    assert theirs[: len(own)].tobytes() == own.tobytes()


# ---- no look ahead ---------------------------------------------------------------------------------


def with_another_future(candles: Candles, first: int) -> Candles:
    """From candle `first` on, time runs backwards, a tenth higher."""
    at = np.r_[0:first, len(candles) - 1 : first - 1 : -1]
    scale = np.where(np.arange(len(candles)) < first, 1.0, 1.1)
    prices = (getattr(candles, name)[at] * scale for name in ("close", "high", "low", "open"))
    close, high, low, open_ = prices
    begin, end = np.split(np.stack((candles.open, candles.close)), [first], axis=1)[0], np.stack((close, open_))
    end[:, :first] = begin
    return Candles.from_columns(candles.symbol, candles.time_ms, end[0], high, low, end[1], timeframe_ms=180_000)


@pytest.mark.parametrize("adopt", list(Adopt))
@pytest.mark.parametrize("fold", [1, 4, 6])
def test_what_comes_after_the_start_of_a_fold_changes_nothing_before_it(fold: int, adopt: Adopt) -> None:
    candles = history(4, mark=False, funding=False)
    here = walked(candles, adopt)
    first = int(here.firsts[fold])
    there = walked(with_another_future(candles, first), adopt)
    assert there.choices[: fold + 1] == here.choices[: fold + 1]
    assert there.choices[fold + 1 :] != here.choices[fold + 1 :]
    assert there.equity[:first].tobytes() == here.equity[:first].tobytes()
    assert there.equity[first:].tobytes() != here.equity[first:].tobytes()
    assert closed(there, first) == closed(here, first)
    chance = [chance_beside(walk, accounts=8).fold_returns[:fold].tobytes() for walk in (here, there)]
    assert chance[0] == chance[1]


# ---- folds with gaps -------------------------------------------------------------------------------


def test_a_gap_that_swallows_a_fold_leaves_it_empty() -> None:
    """Twelve hours are missing: two whole folds; the window after them is too short, so the old parameters stay."""
    candles = without(history(6), 300, 540)
    walk = walked(candles)
    lengths = np.diff(walk.firsts)
    assert lengths.tolist() == [80, 60, 0, 0, 20, 80, 80, 80]
    empty = lengths == 0
    assert (walk.returns[empty] == 0.0).all()
    chance = chance_beside(walk, accounts=8)
    assert (chance.fold_returns[empty] == 0.0).all()
    for yardstick in yardsticks(walk, chance, 0.05):
        assert yardstick.path[1] == yardstick.path[2] == yardstick.path[3]
    rows = walk.folds.filter(empty)
    assert rows["trades_closed"].to_list() == rows["in_market_pct"].to_list() == [0, 0]


def test_a_window_with_too_few_candles_keeps_the_old_parameters() -> None:
    walk = walked(without(history(6), 300, 540))
    adopted = [choice.adopted for choice in walk.choices]
    # At the start of the fifth fold the window holds nothing, at that of the sixth 20 of the 22 candles it takes.
    assert adopted == [True, True, True, True, False, False, True, True]
    for k in (4, 5):
        assert walk.choices[k] == walk.choices[3]._replace(adopted=False)


def test_before_anything_could_be_chosen_nothing_is_traded() -> None:
    candles = without(history(6), 1, 155)
    walk = walked(candles)
    assert walk.choices[0] == NOTHING_CHOSEN._replace(adopted=False)
    first_choice = next(k for k, choice in enumerate(walk.choices) if choice.params is not None)
    assert first_choice > 0
    assert column(walk, "entry_index").min() > walk.firsts[first_choice]
    assert (walk.equity[: int(walk.firsts[first_choice])] == walk.start_wallet).all()


def test_a_history_shorter_than_a_window_and_a_step_is_refused() -> None:
    enough = (WINDOW + STEP) // 180_000
    candles = history(6)
    assert len(walked(candles.rows(0, enough)).choices) == 1
    with pytest.raises(TooFewCandlesError, match=f"a walk-forward needs {enough}"):
        walked(candles.rows(0, enough - 1))


# ---- the account -----------------------------------------------------------------------------------


def test_an_open_position_is_marked_at_what_buying_it_back_would_cost() -> None:
    """At the close of its entry candle a short has paid its entry fee, and would pay spread, slippage and fee again."""
    walk = walked(history(1))
    _, _, contract, terms = walk.ground
    seen = 0
    for trade in walk.trades:
        made = dict(zip(TRADE_COLUMNS, trade.tolist(), strict=True))
        first, lots = int(made["entry_index"]), int(made["lots"])
        if first == made["exit_index"]:
            continue
        before = made["balance_after"] - made["pnl_value"]
        close = walk.ground.market.close[first]
        unrealized = position.unrealized_pnl(contract, lots, made["entry_ticks"], close)
        bought = costs.buy_fill(close, terms.spread_bps, terms.slippage_bps)
        charged = costs.notional(contract, lots, bought) * (1 + terms.taker_fee_rate) - costs.notional(
            contract, lots, close
        )
        assert walk.equity[first] == pytest.approx(before - made["entry_fee"] + unrealized - charged, abs=1e-9)
        assert charged > costs.notional(contract, lots, close) * 9.4e-4, "5.5 bps of fee, 4 of spread and slippage"
        seen += 1
    assert seen > 5


def test_a_position_keeps_the_exits_of_its_entry_across_folds() -> None:
    walk = walked(history(1, volatility_per_minute=0.001))
    changed = 0
    for trade in walk.trades:
        made = dict(zip(TRADE_COLUMNS, trade.tolist(), strict=True))
        places = (made[name] - 1 for name in ("entry_index", "exit_index"))
        fold, last = (int(np.searchsorted(walk.firsts, place, "right")) - 1 for place in places)
        own, later = walk.choices[fold].params, walk.choices[min(last, len(walk.choices) - 1)].params
        assert own is not None
        if made["target_source"] == TargetSource.TAKE_PROFIT.code:
            assert made["target_ticks"] == np.floor(made["entry_ticks"] * (1 - own.take_profit_pct) + 1e-6)
        changed += fold < last and later is not None and later.take_profit_pct != own.take_profit_pct
    assert changed > 0, "no position outlived its parameters: the test proves nothing"


# ---- cutting ---------------------------------------------------------------------------------------


def test_a_cut_market_is_the_market_of_the_cut_candles() -> None:
    kinds = np.zeros(4)
    for seed in range(7_100, 7_160):
        candles = random_world(seed, 60).candles
        whole = make_market(candles, 0.1)
        rng = np.random.Generator(np.random.PCG64(seed))
        kinds += [candles.funding is not None, candles.mark is not None, candles.minutes is not None, candles.gaps > 0]
        for _ in range(8):
            first, end = np.sort(rng.choice(len(candles) + 1, 2, replace=False)).tolist()
            made, expected = cut(whole, first, end), make_market(candles.rows(first, end), 0.1)
            for name, own, other in zip(made._fields, made, expected, strict=True):
                np.testing.assert_array_equal(own, other, err_msg=f"world {seed}, {first}..{end}: {name}")
    assert (kinds > 5).all(), kinds
