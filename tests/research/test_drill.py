"""The drill counts what is said, the same with any number of workers; and what is said of a few markets is right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.words import DrillKind, Verdict
from your_short_trade_margin_call.research.chance import chance_beside
from your_short_trade_margin_call.research.drill import (
    PAIRS,
    Drill,
    KindResult,
    Outcome,
    _walk,
    drill_market,
    run_drill,
)
from your_short_trade_margin_call.research.drill_counts import Share, at_least
from your_short_trade_margin_call.research.drill_markets import TICK, drill_candles
from your_short_trade_margin_call.research.evidence import real_at
from your_short_trade_margin_call.research.record import make_record
from your_short_trade_margin_call.research.statistics.e_values import alpha_share
from your_short_trade_margin_call.rules.market_arrays import cut, make_market
from your_short_trade_margin_call.settings import ParameterGrid

SMALL = Drill(
    markets=3,
    days=2,
    looks_days=3,
    seed=7,
    grid=ParameterGrid(highest_high_lookback=(10, 40), risk_fraction=(0.95,), take_profit_pct=(0.0022, 0.006)),
)
SAID = Outcome(Verdict.CANNOT_TELL, False, False, 40, 0.1, 0.0, 3.0)


def result(kind: DrillKind, *outcomes: Outcome, looks_days: int = 90) -> KindResult:
    return KindResult(kind, outcomes, looks_days)


# ---- counts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "of"), [(0, 1), (1, 1), (0, 100), (3, 100), (12, 100), (99, 100), (37, 1_000), (5, 9)]
)
def test_intervals_and_tails_are_exact(hits: int, of: int) -> None:
    from scipy.stats import binom, binomtest  # two seconds of importing, for this test alone

    share, oracle = Share(hits, of), binomtest(hits, of, 0.05, alternative="greater")
    low, high = share.interval
    exact = binomtest(hits, of).proportion_ci(0.95, "exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert share.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    for chance in (1e-6, 0.05, 0.5, 0.97):
        assert at_least(hits, of, chance) == pytest.approx(binom.sf(hits - 1, of, chance), rel=1e-8, abs=1e-300)


def test_certain_tries() -> None:
    assert [at_least(0, 3, 0.0), at_least(1, 3, 0.0), at_least(3, 3, 1.0)] == [1.0, 0.0, 1.0]


def test_too_often_is_significant_at_one_percent() -> None:
    assert next(hits for hits in range(20) if Share(hits, 100).is_above_allowed) == 12
    assert not Share(5, 100).is_above_allowed


def test_groups_of_ten_count_once_each() -> None:
    alarm = SAID._replace(ever_real_among=True)
    outcomes = [alarm, alarm, *[SAID] * 8, *[SAID] * 10, *[SAID] * 9, alarm, *[alarm] * 5]
    among = result(DrillKind.JUMPS, *outcomes).among_ten
    assert (PAIRS, among) == (10, Share(2, 3))  # the five left over are no group
    assert result(DrillKind.JUMPS, *outcomes[:9]).among_ten is None
    assert set(result(DrillKind.JUMPS, *outcomes, looks_days=0).shares) == {"once"}


def test_only_kinds_without_an_edge_can_alarm() -> None:
    real = SAID._replace(verdict=Verdict.REAL)
    often, seldom = (real,) * 12 + (SAID,) * 88, (real,) * 5 + (SAID,) * 95
    assert result(DrillKind.FALLING, *often).alarms_too_often
    assert not result(DrillKind.FALLING, *seldom).alarms_too_often
    assert not result(DrillKind.HALF, *often).alarms_too_often
    ever = tuple(one._replace(ever_real=one.verdict is Verdict.REAL, verdict=Verdict.LUCK) for one in often)
    assert result(DrillKind.FALLING, *ever).alarms_too_often  # looking again and again must not create REAL either


def test_what_machines_read() -> None:
    document = result(DrillKind.RISING, SAID, SAID._replace(verdict=Verdict.LUCK, promised_pct=float("nan"))).as_dict()
    assert document["verdicts"] == {"REAL": 0, "CAN'T TELL": 1, "LUCK": 1}
    assert document["promised_pct"] == 3.0
    assert document["once"]["real"] == 0
    assert document["once"]["high"] == pytest.approx(0.842, abs=1e-3)
    assert result(DrillKind.RISING, SAID).as_dict()["mean_error_pct"] is None


# ---- runs -------------------------------------------------------------------------------------------


def test_the_number_of_workers_changes_nothing() -> None:
    kinds = (DrillKind.PLANTED, DrillKind.SQUEEZES)
    reports: list[tuple[int, int]] = []
    alone = run_drill(SMALL, kinds, 1, lambda done, total: reports.append((done, total)))
    assert reports == [(k, 6) for k in range(1, 7)]
    assert run_drill(SMALL, kinds, 3) == alone
    assert [one.kind for one in alone.kinds] == list(kinds)
    assert run_drill(replace(SMALL, seed=8), kinds) != alone
    assert run_drill(SMALL, kinds[1:]).kinds == alone.kinds[1:]


def test_a_drill_can_be_stopped() -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 2

    stopped = run_drill(SMALL, (DrillKind.PLANTED,), 1, stop=stop)
    whole = run_drill(SMALL, (DrillKind.PLANTED,), 1)
    assert stopped.kinds[0].outcomes == whole.kinds[0].outcomes[:2]
    assert run_drill(SMALL, (), 1).kinds == ()


def test_an_outcome_is_what_the_record_says() -> None:
    drill = replace(SMALL, days=3, looks_days=4)
    outcome = drill_market(drill, DrillKind.PLANTED, 13)
    market = make_market(drill_candles(DrillKind.PLANTED, drill.seed, 13, 5.0), TICK)
    record = make_record(_walk(drill, cut(market, 0, 4 * 480)))
    assert len(record.walk.returns) == 6
    assert (outcome.verdict, outcome.trades) == (record.verdict, record.walk.closed_trades)
    assert outcome.mean_pct == pytest.approx(record.walk.returns.mean() * 100.0)
    longer = _walk(drill, market)
    assert len(longer.returns) == 8
    chance = chance_beside(longer)
    assert outcome.ever_real == real_at(longer, chance, alpha_share(1)).any()
    assert outcome.ever_real_among == real_at(longer, chance, alpha_share(4)).any()


def test_no_edge_is_not_called_real_and_an_edge_is() -> None:
    """Seconds of what `make drill` does for long: 9 months without an edge, 5 with one."""
    drill = Drill(markets=3, days=30, looks_days=0, seed=2)
    nothing = run_drill(drill, (DrillKind.RANDOM_WALK, DrillKind.FALLING, DrillKind.SQUEEZES), 2)
    assert nothing.alarming == ()
    assert sum(one.once.hits for one in nothing.kinds) == 0
    falling = nothing.kinds[1]
    assert falling.mean("mean_pct") > 0.3  # plain shortness earns, and that is seen through
    (planted,) = run_drill(replace(drill, markets=5), (DrillKind.PLANTED,), 2).kinds
    assert planted.once.hits >= 2
    assert planted.mean("mean_pct") > 0.8
    assert planted.mean("mean_pct") > 5.0 * planted.mean("chance_pct")


@pytest.mark.parametrize(("kind", "wanted"), [(DrillKind.PLANTED, 2.06), (DrillKind.HALF, 0.93)])
def test_planted_edges_are_worth_what_was_measured(kind: DrillKind, wanted: float) -> None:
    """Within four standard errors: the spread of a market's mean over 30 days is about 1.0 and 0.7 percent."""
    (result,) = run_drill(Drill(markets=8, days=30, looks_days=0, seed=20), (kind,), 2).kinds
    spread = 1.0 if kind is DrillKind.PLANTED else 0.7
    assert result.mean("mean_pct") == pytest.approx(wanted, abs=4.0 * spread / 8**0.5)
    assert result.mean("mean_pct") > 0.3
    assert abs(result.mean("chance_pct")) < 0.2


def test_impossible_drills_are_refused() -> None:
    for changes in ({"markets": 0}, {"days": 0}, {"looks_days": -1}, {"seed": -1}):
        with pytest.raises(SettingError):
            replace(SMALL, **changes)
