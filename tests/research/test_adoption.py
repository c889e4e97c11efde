"""Champion and challenger: when a new winner replaces what runs, and on which candles they are compared."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.research.histories import HOUR, history, without
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import Adopt, ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research import adoption as adoption_module
from your_short_trade_margin_call.research.adoption import JUDGED_MS, Adoption, Chosen
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.settings import Settings

DAY = 24 * HOUR
WELL = StrategyParams(5, ExitType.TAKE_PROFIT, 0.5, 0.003)
OTHER = StrategyParams(10, ExitType.HIGHEST_LOW, 0.85, 0.006)
CANDLES = history(11, 24 * 10, mark=False, funding=False)
END = CANDLES.end_ms


def chosen(params: StrategyParams, days_ago: float, window_days: float = 1.0) -> Chosen:
    end = END - round(days_ago * DAY)
    return Chosen(params, end - round(window_days * DAY), end)


def decide(
    champion: Chosen | None, challenger: Chosen, rule: Adopt = Adopt.BETTER, candles: Candles = CANDLES
) -> Adoption:
    return BacktestEngine(Settings(adopt=rule)).adoption(candles, champion, challenger)


def test_always_adopts_whatever_won() -> None:
    made = decide(chosen(WELL, 0.5), chosen(OTHER, 0), Adopt.ALWAYS)
    assert made[:2] == (True, "The new winner is always adopted.")
    assert math.isnan(made.champion_pct)


def test_where_nothing_runs_there_is_nothing_to_keep() -> None:
    assert decide(None, chosen(OTHER, 0))[:2] == (True, "Nothing that may be traded was running.")


def test_the_same_parameters_again_are_adopted_with_their_new_window() -> None:
    assert decide(chosen(WELL, 0.5), chosen(WELL, 0))[:2] == (True, "The running parameters have won again.")


def test_less_than_a_day_that_neither_has_seen_compares_nothing() -> None:
    """Of the candles before both windows, 479 are one too few; and a gap among them is no candle."""
    champion, challenger = chosen(WELL, 0.5), chosen(OTHER, 0)
    first = int(np.searchsorted(CANDLES.time_ms, champion.start_ms))
    few = CANDLES.rows(first - 479, len(CANDLES))
    enough = CANDLES.rows(first - 480, len(CANDLES))
    holed = without(CANDLES.rows(first - 1_000, len(CANDLES)), 100, 700)
    for candles in (few, holed):
        made = decide(champion, challenger, candles=candles)
        assert made[:2] == (True, "There is less than a day of candles that neither was chosen on.")
    assert not math.isnan(decide(champion, challenger, candles=enough).champion_pct)


def test_the_better_on_unseen_candles_runs() -> None:
    """Whoever is the champion: the better one replaces the worse and is not replaced by it."""
    forth = decide(chosen(WELL, 0.5), chosen(OTHER, 0))
    back = decide(chosen(OTHER, 0.5), chosen(WELL, 0))
    assert (forth.champion_pct, forth.challenger_pct) == (back.challenger_pct, back.champion_pct)
    assert forth.adopted == (forth.challenger_pct > forth.champion_pct)
    assert {forth.adopted, back.adopted} == {False, True}
    for made in (forth, back):
        kind = "better" if made.adopted else "no better"
        told = f"the new winner made {made.challenger_pct:+.2f} %, {kind} than {made.champion_pct:+.2f} %"
        assert made.reason == f"On candles neither was chosen on, {told}."


def test_who_is_only_as_good_does_not_replace() -> None:
    """Parameters that never trade differ in name alone."""
    idle = [StrategyParams(5, ExitType.TAKE_PROFIT, fraction, 0.003) for fraction in (1e-9, 2e-9)]
    made = decide(chosen(idle[0], 0.5), chosen(idle[1], 0))
    assert (made.adopted, made.champion_pct, made.challenger_pct) == (False, 0.0, 0.0)


def test_it_is_what_each_makes_there_from_a_flat_start() -> None:
    """Champion chosen three days ago: one stretch before its window, one between the two windows."""
    champion, challenger = chosen(WELL, 3), chosen(OTHER, 0)
    made = decide(champion, challenger)
    engine = BacktestEngine(Settings())
    begins = challenger.start_ms - JUDGED_MS
    expected = []
    for params in (WELL, OTHER):
        sums = 0.0
        for start_ms, end_ms in ((begins, champion.start_ms), (champion.end_ms, challenger.start_ms)):
            first, end = np.searchsorted(CANDLES.time_ms, (start_ms, end_ms)).tolist()
            sums += engine.backtest(CANDLES.rows(first, end), params).metrics.pnl_pct
        expected.append(sums)
    assert [made.champion_pct, made.challenger_pct] == pytest.approx(expected, abs=1e-9)


def test_candles_of_either_window_change_nothing() -> None:
    champion, challenger = chosen(WELL, 3), chosen(OTHER, 0)
    here = decide(champion, challenger)
    columns = {name: getattr(CANDLES, name).copy() for name in ("open", "high", "low", "close")}
    for one in (champion, challenger):
        inside = (one.start_ms <= CANDLES.time_ms) & (one.end_ms > CANDLES.time_ms)
        for name in columns:
            columns[name][inside] = columns["close"][inside]
    changed = Candles.from_columns("BTCUSDT", CANDLES.time_ms, *columns.values(), timeframe_ms=180_000)
    assert decide(champion, challenger, candles=changed) == here


@settings(deadline=None, max_examples=200)
@given(
    st.floats(0.0, 9.0), st.floats(0.05, 4.0), st.floats(0.0, 2.0), st.floats(0.05, 4.0), st.integers(0, 3_000),
    st.integers(0, 2_000),
)  # fmt: skip
def test_judged_stretches_lie_in_neither_window(
    own_ago: float, own_days: float, new_ago: float, new_days: float, gap: int, length: int
) -> None:
    """Nor before the judged days, nor in the challenger's future; and nothing else of those days is left out."""
    champion, challenger = chosen(WELL, own_ago, own_days), chosen(OTHER, new_ago, new_days)
    candles = without(CANDLES, gap, gap + length)
    times = candles.time_ms
    stretches = list(adoption_module._unseen(make_market(candles, 0.1), champion, challenger))
    judged = np.zeros(len(times), dtype=bool)
    for first, end in stretches:
        assert first < end
        judged[first:end] = True
    assert all(before[1] <= after[0] for before, after in pairwise(stretches))
    allowed = (times >= challenger.start_ms - JUDGED_MS) & (times < max(challenger.start_ms, champion.start_ms))
    for one in (champion, challenger):
        allowed &= (times < one.start_ms) | (times >= one.end_ms)
    assert not (judged & ~allowed).any()
    if champion.end_ms <= challenger.end_ms:
        assert judged.tolist() == allowed.tolist()
