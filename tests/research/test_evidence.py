"""The verdict: each of its rules alone, what it needs, and what it says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.research.histories import FEW, history, walked
from tests.research.made_up_records import STEP, made_up_chance, made_up_walk
from your_short_trade_margin_call.commands.worst_loss import worst_loss
from your_short_trade_margin_call.domain.words import ExitReason, ExitType, Verdict
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.reporting.evidence_text import sentence
from your_short_trade_margin_call.research.account_kernel import TRADE_COLUMNS
from your_short_trade_margin_call.research.evidence import (
    STAKES,
    ZERO_ALPHA,
    Evidence,
    Risk,
    Yardstick,
    judge,
    real_at,
    verdict_of,
)
from your_short_trade_margin_call.research.statistics.e_values import TOTAL_ALPHA, alpha_share, log_wealth
from your_short_trade_margin_call.settings import Settings

HALF_DAY = 43_200_000
RISK = Risk(3_600_000, 7_200_000, 0, 0, 79.0, 41.0)


def yardstick(log_evidence: float, mean_pct: float = 0.1, alpha: float = 0.05) -> Yardstick:
    return Yardstick(np.array([0.0, log_evidence]), mean_pct, alpha)


def evidence(**changes: Any) -> Evidence:
    """Thirty days that beat both yardsticks, from 40 trades."""
    usual = Evidence(
        Verdict.CANNOT_TELL, "", 60, HALF_DAY, 40, 0.3, -0.1, 0.7, 1.0, yardstick(6.0), yardstick(6.0), RISK
    )
    return replace(usual, **changes)


# ---- the rules -------------------------------------------------------------------------------------


def test_a_bet_that_was_won_stays_won_until_all_is_lost() -> None:
    """Whatever it is now between 1 : 1 and what was needed; below 1 : 1 more was lost than was ever shown."""
    needed = yardstick(0.0).needed
    for path, is_real in (
        ([0.5, needed, 0.0], True),
        ([0.5, needed - 1e-9, 1.0], False),
        ([0.5, needed + 9.0, -1e-9], False),
        ([0.5, needed, -3.0, 0.1], True),
    ):
        once = Yardstick(np.array(path), 0.1, 0.05)
        assert once.is_beaten is is_real, path
        for name in ("zero", "chance"):
            assert (verdict_of(evidence(**{name: once}))[0] is Verdict.REAL) is is_real, (name, path)
    assert Yardstick(np.array([0.5, needed, -1.0, needed]), 0.1, 0.05).beaten().tolist() == [False, True, False, True]


def test_real_needs_both_yardsticks_and_thirty_trades() -> None:
    assert verdict_of(evidence())[0] is Verdict.REAL
    weak = yardstick(2.99)  # 20 : 1 is needed, the logarithm of which is 2.9957
    for missing in ({"zero": weak}, {"chance": weak}, {"trades": 29}):
        assert verdict_of(evidence(**missing))[0] is Verdict.CANNOT_TELL, missing
    enough = yardstick(3.0)
    assert verdict_of(evidence(zero=enough, chance=enough, trades=30))[0] is Verdict.REAL
    assert verdict_of(evidence(chance=yardstick(5.0, alpha=alpha_share(1))))[0] is Verdict.CANNOT_TELL, "222 : 1"
    assert "not a forecast" in verdict_of(evidence())[1]


def test_real_comes_before_luck() -> None:
    """Who beats both is not called luck because more was promised."""
    assert verdict_of(evidence(promised_pct=50.0))[0] is Verdict.REAL


def test_luck_is_below_half_of_the_promise_even_at_best() -> None:
    missed = evidence(zero=yardstick(0.0), promised_pct=2.0)
    assert verdict_of(replace(missed, high_pct=1.0))[0] is Verdict.CANNOT_TELL
    at_best = replace(missed, high_pct=math.nextafter(1.0, 0.0))
    assert verdict_of(at_best)[0] is Verdict.LUCK
    assert verdict_of(replace(at_best, trades=29))[0] is Verdict.CANNOT_TELL
    assert verdict_of(replace(missed, promised_pct=math.nan))[0] is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("high", "left"), [(0.19, "edges up to +0.19 % are not excluded"), (0.0, "it lost even at best"), (-0.2, "it lost")]
)
def test_luck_says_what_is_not_excluded(high: float, left: str) -> None:
    _, reason = verdict_of(evidence(zero=yardstick(0.0), promised_pct=2.1, high_pct=high))
    assert reason.startswith("The promised +2.1 % was luck; ")
    assert left in reason


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trades": 0}, "30 closed trades are needed, there are 0."),
        ({"trades": 1}, "there is 1: at this rate about 870 more days of candles."),
        ({"trades": 10}, "there are 10: at this rate about 60 more days of candles."),
        ({"trades": 29, "folds": 58}, "there are 29: at this rate about 1 more day of candles."),
        ({"mean_pct": -0.1, "zero": yardstick(0.0)}, "It made nothing, and yet too little is known"),
        ({"mean_pct": 0.0, "zero": yardstick(0.0)}, "It made nothing, and yet too little is known"),
        ({"chance": yardstick(1.0, 0.0)}, "Shorts at random moments made as much before costs"),
        ({"chance": yardstick(0.0)}, "What it made, shorts at random moments might have made too: more days of"),
        ({"zero": yardstick(-1.0)}, "What it made, luck might have made too: more days of candles are needed."),
        ({"zero": yardstick(1.0)}, "if it goes on like this, about 60 more days would tell."),
        ({"zero": yardstick(2.95)}, "luck might have made too: if it goes on like this, about 1 more day would tell."),
        ({"zero": yardstick(0.2)}, "if it goes on like this, no year of days would tell."),
        # The nearest hindrance is told: that which lacks most.
        ({"zero": yardstick(1.0), "chance": yardstick(0.5)}, "shorts at random moments might have made too"),
        ({"zero": yardstick(0.5), "chance": yardstick(1.0)}, "What it made, luck might have made too"),
    ],
)
def test_cannot_tell_says_what_is_missing(changes: dict[str, object], says: str) -> None:
    verdict, reason = verdict_of(evidence(promised_pct=1.0, **changes))
    assert verdict is Verdict.CANNOT_TELL
    assert says in reason


# ---- from returns ----------------------------------------------------------------------------------


def drawn(seed: int, mean: float, count: int = 1_600) -> np.ndarray:
    luck = np.random.Generator(np.random.PCG64(seed))
    return mean + 0.002 * luck.standard_t(5, count)


EXITS = range(5, 1_600, 20)


def test_a_planted_edge_is_found_and_no_edge_is_not() -> None:
    """An eighth of a deviation a candle is plain; without one, hardly any of 60 accounts may pass."""
    found, false = 0, 0
    for seed in range(60):
        for mean in (0.00025 * 1.5, 0.0):
            walk = made_up_walk(drawn(seed, mean), EXITS)
            verdict = judge(walk, made_up_chance(walk), seed=seed).verdict
            found += mean > 0 and verdict is Verdict.REAL
            false += mean == 0 and verdict is Verdict.REAL
    assert found > 50
    assert false == 0


def test_what_chance_shorts_make_as_well_is_not_real() -> None:
    returns = drawn(1, 0.0005)
    walk = made_up_walk(returns, EXITS, promised_pct=1.0)
    alone, beside = judge(walk, made_up_chance(walk)), judge(walk, made_up_chance(walk, returns))
    assert (alone.verdict, beside.verdict) == (Verdict.REAL, Verdict.CANNOT_TELL)
    assert beside.zero.path.tolist() == alone.zero.path.tolist()
    assert beside.chance.log_evidence == pytest.approx(0.0, abs=1e-9)


def test_the_paths_are_wealth_at_the_ends_of_folds() -> None:
    returns, theirs = drawn(2, 0.0002, 200), drawn(3, 0.0, 200)
    walk = made_up_walk(returns, range(5, 200, 20))
    made = judge(walk, made_up_chance(walk, theirs), alpha=0.01)
    ends = np.arange(STEP, 201, STEP)
    np.testing.assert_allclose(made.zero.path, log_wealth(returns, ends, STAKES), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(made.chance.path, log_wealth(returns - theirs, ends, STAKES), rtol=1e-9, atol=1e-12)
    assert (made.zero.alpha, made.chance.alpha) == (ZERO_ALPHA, 0.01)
    assert made.chance.needed == pytest.approx(math.log(100))
    fold = np.array([np.prod(1 + part) - 1 for part in returns.reshape(-1, STEP)])
    assert made.mean_pct == pytest.approx(100 * fold.mean())
    assert made.low_pct < made.mean_pct < made.high_pct
    beyond = fold - theirs.reshape(-1, STEP).sum(axis=1)
    assert made.chance.mean_pct == pytest.approx(100 * beyond.mean())


def test_a_single_fold_says_nothing_about_its_spread() -> None:
    walk = made_up_walk(drawn(2, 0.0, 20), [5])
    made = judge(walk, made_up_chance(walk))
    assert (made.low_pct, made.high_pct) == (-math.inf, math.inf)
    assert made.verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize("every", [20, 30])
def test_who_looks_at_the_end_of_a_fold_reads_what_is_told_of_it_later(every: int) -> None:
    """`real_at` of a long record is `judge` of each that ends earlier: evidence may come and go."""
    returns = np.concatenate((drawn(4, 0.0007, 1_000), drawn(5, -0.0012, 600)))
    exits = range(5, 1_600, every)
    long = made_up_walk(returns, exits)
    told = real_at(long, made_up_chance(long), 0.0045).tolist()
    read = []
    for end in long.firsts[1:] - long.firsts[0]:
        short = made_up_walk(returns[:end], [at for at in exits if at < end])
        read.append(judge(short, made_up_chance(short), 0.0045).verdict is Verdict.REAL)
    assert told == read
    assert set(told) == {False, True}
    thirtieth = (5 + 29 * every) // STEP
    assert True not in told[:thirtieth], "before thirty trades have closed nothing is REAL"
    assert told[thirtieth]


def test_the_shares_of_procedures_never_exceed_the_whole() -> None:
    """222 : 1 for each of the first ten, and whatever follows shares a tenth of the 5 %."""
    assert math.exp(yardstick(0.0, alpha=alpha_share(1)).needed) == pytest.approx(222.2, abs=0.1)
    assert sum(alpha_share(k) for k in range(1, 11)) == pytest.approx(0.9 * TOTAL_ALPHA)
    assert sum(alpha_share(k) for k in range(1, 3_000)) < TOTAL_ALPHA


# ---- what it risks ---------------------------------------------------------------------------------

COLUMN = {name: k for k, name in enumerate(TRADE_COLUMNS)}
FULL = FEW.model_copy(update={"risk_fraction": (0.95,), "exit_type": (ExitType.TAKE_PROFIT,)})


@pytest.mark.parametrize("margin_call_at", [0.9, 0.5, None])
def test_a_margin_call_costs_what_is_told_before_trading(margin_call_at: float | None) -> None:
    """The same position, said by the evidence and by the page that is read before real money is risked."""
    settings = Settings(slippage_bps=0.0, margin_call_at=margin_call_at, order_reject_prob=0.0)
    walk = walked(history(2), grid=FULL, slippage_bps=0.0, margin_call_at=margin_call_at, order_reject_prob=0.0)
    walk = replace(walk, trades=walk.trades[:1])
    instrument = find_instrument("BTCUSDT")
    first = int(walk.trades[0, COLUMN["entry_index"]])
    mid = walk.ground.market.open[first] * float(instrument.tick_size)
    params = walk.choices[int(np.searchsorted(walk.firsts, first - 1, "right")) - 1].params
    assert params is not None
    loss = worst_loss(settings, instrument, params, mid, avg_win_pct=0.5)
    assert loss is not None
    risk = judge(walk, made_up_chance(walk)).risk
    assert risk.cost_pct == pytest.approx(100 * loss.stop_loss / loss.balance, rel=1e-9)
    if margin_call_at is None:
        assert loss.stop_loss == loss.liquidation_loss


def test_with_the_defaults_a_margin_call_costs_about_79_percent() -> None:
    walk = walked(history(2), grid=FULL)
    risk = judge(walk, made_up_chance(walk)).risk
    assert 77.0 < risk.cost_pct < 81.0
    assert risk.wins > 1.0


def test_the_ends_of_trades_and_their_lengths_are_counted() -> None:
    walk = made_up_walk(drawn(1, 0.0, 200), range(10, 200, 20))
    walk.trades[:2, COLUMN["exit_reason"]] = ExitReason.MARGIN_CALL.code
    walk.trades[2, COLUMN["exit_reason"]] = ExitReason.LIQUIDATION.code
    walk.trades[9, COLUMN["exit_reason"]] = ExitReason.END_OF_DATA.code
    walk.trades[3, COLUMN["exit_index"]] += 5
    made = judge(walk, made_up_chance(walk))
    assert made.trades == 9, "what only the end of the data closed is not counted"
    assert (made.risk.margin_calls, made.risk.liquidations) == (2, 1)
    assert (made.risk.longest_held_ms, made.risk.mean_held_ms) == (6 * 180_000, 270_000)
    assert "2 margin calls and 1 liquidation seen; one costs" in sentence(made)


def test_without_trades_there_is_no_cost() -> None:
    walk = made_up_walk(np.zeros(100), [])
    made = judge(walk, made_up_chance(walk))
    assert math.isnan(made.risk.cost_pct)
    assert "No margin call seen." in sentence(made)
