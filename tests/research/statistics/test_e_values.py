"""Betting against "no edge": a fair game rarely makes rich, however often one looks; a drift is found; ruin is ruin."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator

from tests.research.statistics.processes import (
    FAIR_GAMES,
    SIZE,
    STEAMROLLERS,
    WORST_LOSS,
    Floats,
    luck,
    normal,
    steamroller,
)
from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.e_values import (
    TOTAL_ALPHA,
    Jump,
    Stakes,
    alpha_share,
    e_bh,
    first_crossing,
    log_wealth,
)

BOUNDED = Stakes.even(WORST_LOSS)
RUNS, CANDLES = 600, 1500
EVERY = np.arange(1, CANDLES + 1)


def slow_wealth(returns: list[float], looks: list[int], stakes: Stakes) -> list[float]:
    """The formula, word by word."""
    told = []
    for look in looks:
        logs = []
        for stake, prior in zip(stakes.fractions, stakes.priors, strict=True):
            factors = [1.0 + stake * x for x in returns[:look]]
            ruined = any(factor <= 0.0 for factor in factors)
            logs.append(-math.inf if ruined else math.log(prior) + math.fsum(math.log(f) for f in factors))
        highest = max(logs)
        told.append(highest if math.isinf(highest) else highest + math.log(sum(math.exp(x - highest) for x in logs)))
    return told


def shares_that_cross(
    game: Callable[[Generator, int, int], Floats], stakes: Stakes, alphas: Sequence[float], seed: int
) -> dict[float, float]:
    """In which share of runs the evidence ever reaches 1 / alpha, looking after every candle."""
    told = [log_wealth(run, EVERY, stakes) for run in game(luck(seed), RUNS, CANDLES)]
    return {a: float(np.mean([first_crossing(one, a) is not None for one in told])) for a in alphas}


def share_that_cross(game: Callable[[Generator, int, int], Floats], stakes: Stakes, alpha: float, seed: int) -> float:
    """The same of one alpha."""
    return shares_that_cross(game, stakes, (alpha,), seed)[alpha]


# ---- the formula ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    returns=st.lists(st.floats(-1.5, 3.0), max_size=60),
    cuts=st.lists(st.floats(0.0, 1.0), max_size=5),
    fractions=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=5),
)
def test_wealth_equals_its_slow_twin(returns: list[float], cuts: list[float], fractions: list[float]) -> None:
    looks = sorted(round(cut * len(returns)) for cut in cuts)
    stakes = Stakes(tuple(fractions), (1.0 / len(fractions),) * len(fractions))
    told = log_wealth(returns, np.array(looks, dtype=np.int64), stakes)
    assert told.tolist() == pytest.approx(slow_wealth(returns, looks, stakes), rel=1e-12, abs=1e-12)


def test_one_bettor_by_hand() -> None:
    told = log_wealth([0.5, -0.5, 1.0], [0, 1, 2, 3], Stakes((1.0,), (1.0,)))
    assert np.exp(told).tolist() == pytest.approx([1.0, 1.5, 0.75, 1.5])


def test_two_bettors_by_hand() -> None:
    told = log_wealth([0.5, -0.5], [1, 2], Stakes((1.0, 0.5), (0.25, 0.75)))
    assert np.exp(told).tolist() == pytest.approx([0.25 * 1.5 + 0.75 * 1.25, 0.25 * 0.75 + 0.75 * 0.9375])


def test_when_one_looks_changes_nothing() -> None:
    returns = normal(luck(1), 1, 5000)[0]
    every, some = np.arange(5001), np.arange(0, 5001, 240)
    everywhere = log_wealth(returns, every, BOUNDED)
    assert everywhere[0] == 0.0
    assert everywhere[some] == pytest.approx(log_wealth(returns, some, BOUNDED), abs=1e-11)


def test_wealth_beyond_what_a_float_holds() -> None:
    assert log_wealth(np.full(20_000, 0.5), [20_000], Stakes((1.0,), (1.0,)))[0] == pytest.approx(
        20_000 * math.log(1.5)
    )
    poor = log_wealth(np.full(20_000, -0.5), [20_000], Stakes((1.0,), (1.0,)))[0]
    assert poor == pytest.approx(20_000 * math.log(0.5))
    assert log_wealth([1e150, 1e150, -0.9], [3], Stakes((1.0,), (1.0,)))[0] == pytest.approx(
        math.log(1e300) - math.log(10)
    )


# ---- ruin -------------------------------------------------------------------------------------------


def test_who_is_ruined_stays_ruined() -> None:
    told = log_wealth([0.1, -0.5, 9.0, 9.0], [1, 2, 3, 4], Stakes((2.0,), (1.0,)))
    assert told[0] == pytest.approx(math.log(1.2))
    assert told[1:].tolist() == [-math.inf] * 3


def test_the_others_bet_on() -> None:
    told = log_wealth([-0.5, 1.0], [1, 2], Stakes((2.0, 3.0, 1.0), (0.5, 0.25, 0.25)))
    assert np.exp(told).tolist() == pytest.approx([0.125, 0.25])


# ---- Ville's bound ----------------------------------------------------------------------------------


@pytest.mark.parametrize("game", FAIR_GAMES)
def test_a_fair_game_rarely_makes_rich(game: Callable[[Generator, int, int], Floats]) -> None:
    """At most alpha, looked at after each of 1,500 candles; three standard errors of 600 runs are allowed."""
    for alpha, share in shares_that_cross(game, BOUNDED, (0.05, 0.2), seed=11).items():
        assert share <= alpha + 3.0 * math.sqrt(alpha * (1.0 - alpha) / RUNS), alpha


def test_the_bound_is_not_kept_by_doing_nothing() -> None:
    """With 1 in 5 allowed some do cross: the simulation can tell."""
    assert share_that_cross(normal, BOUNDED, 0.2, seed=11) > 0.02


def test_looking_often_with_a_usual_test_does_break_the_bound() -> None:
    """The same looks with a t-test at 5 %: false far more often. So the simulation can fail."""
    runs = normal(luck(11), RUNS, CANDLES)
    t = np.cumsum(runs, axis=1) / np.sqrt(np.cumsum(runs**2, axis=1))
    assert float((t[:, 30:] > 1.645).any(axis=1).mean()) > 0.2


def test_pennies_before_a_steamroller_prove_nothing_to_those_who_can_pay_the_loss() -> None:
    assert share_that_cross(steamroller, Stakes.even(0.79), 0.05, seed=12) <= 0.05 + 3.0 * math.sqrt(0.0475 / RUNS)


def test_stakes_beyond_the_worst_loss_take_pennies_for_an_edge() -> None:
    """Why `worst_loss` must be what one candle can really cost: who owes more than he has is let off."""
    assert share_that_cross(steamroller, Stakes.even(0.02), 0.05, seed=12) > 0.5


@pytest.mark.parametrize("worst_loss", [0.4, 0.1, 0.02])
def test_a_toll_for_steamrollers_restores_the_bound(worst_loss: float) -> None:
    stakes = Stakes.even(worst_loss, jump=Jump(STEAMROLLERS, 0.79))
    assert share_that_cross(steamroller, stakes, 0.05, seed=12) <= 0.05 + 3.0 * math.sqrt(0.0475 / RUNS)


def test_tolls_by_hand() -> None:
    stakes = Stakes((1.0, 2.0, 4.0), (0.25, 0.25, 0.5), Jump(0.001, loss=0.75))
    assert stakes.tolls() == pytest.approx([0.0, math.log(1.0005), math.log(1.002)])
    free = Stakes(stakes.fractions, stakes.priors)
    assert (free.tolls() == 0.0).all()
    third = Stakes((4.0,), (1.0,), stakes.jump)
    told = log_wealth([0.1, -0.1, 0.2], [1, 3], third)
    assert np.exp(told).tolist() == pytest.approx([1.4 / 1.002, 1.4 * 0.6 * 1.8 / 1.002**3])


@pytest.mark.parametrize(("rate", "loss"), [(-0.1, 1.0), (1.1, 1.0), (math.nan, 1.0), (0.1, 0.0), (0.1, math.inf)])
def test_no_jump(rate: float, loss: float) -> None:
    with pytest.raises(StatisticError):
        Jump(rate, loss)


# ---- power ------------------------------------------------------------------------------------------


def test_a_drift_is_found() -> None:
    """A mean of 0.12 standard deviations a candle: t grows to 4.6 over the record."""
    runs = normal(luck(13), 200, CANDLES) + 0.12 * SIZE
    found = [first_crossing(log_wealth(run, EVERY, BOUNDED), 0.05) for run in runs]
    assert np.mean([look is not None for look in found]) > 0.9


def test_a_mixture_costs_at_most_its_prior() -> None:
    returns = normal(luck(14), 1, CANDLES)[0] + 0.1 * SIZE
    alone = max(log_wealth(returns, [CANDLES], Stakes((f,), (1.0,)))[0] for f in BOUNDED.fractions)
    together = log_wealth(returns, [CANDLES], BOUNDED)[0]
    assert alone - math.log(12) <= together <= alone


# ---- stakes and looks -------------------------------------------------------------------------------


def test_even_stakes() -> None:
    stakes = Stakes.even(0.25, count=5)
    assert stakes.fractions[-1] == pytest.approx(4.0)
    assert stakes.fractions[0] == pytest.approx(0.2)
    assert np.diff(np.log(stakes.fractions)) == pytest.approx(math.log(20) / 4)
    assert stakes.priors == (0.2,) * 5


@pytest.mark.parametrize(
    ("fractions", "priors"),
    [((), ()), ((1.0,), (0.5, 0.5)), ((1.0, 0.0), (0.5, 0.5)), ((1.0, 2.0), (0.5, 0.6)), ((1.0, math.nan), (0.5, 0.5))],
)
def test_stakes_that_make_no_sense(fractions: tuple[float, ...], priors: tuple[float, ...]) -> None:
    with pytest.raises(StatisticError):
        Stakes(fractions, priors)


@pytest.mark.parametrize(("worst_loss", "count"), [(0.0, 12), (-0.1, 12), (math.inf, 12), (math.nan, 12), (1.0, 1)])
def test_no_even_stakes(worst_loss: float, count: int) -> None:
    with pytest.raises(StatisticError):
        Stakes.even(worst_loss, count)


@pytest.mark.parametrize("looks", [[-1], [4], [2, 1], [0.5], [[1]]])
def test_looks_that_are_not_in_the_record(looks: list[float]) -> None:
    with pytest.raises(StatisticError, match="Looks"):
        log_wealth([0.1, 0.1, 0.1], looks, BOUNDED)


@pytest.mark.parametrize("returns", [[math.nan], [math.inf], [[0.1]]])
def test_returns_that_are_none(returns: list[float]) -> None:
    with pytest.raises(StatisticError, match="returns"):
        log_wealth(returns, [1], BOUNDED)


def test_no_looks_and_no_returns() -> None:
    assert log_wealth([], [], BOUNDED).tolist() == []
    assert log_wealth([], [0, 0], BOUNDED).tolist() == pytest.approx([0.0, 0.0])


def test_first_crossing() -> None:
    path = [0.0, 2.9, 3.0, 1.0, 9.0]
    assert first_crossing(path, 0.05) == 2
    assert first_crossing(path, 0.001) == 4
    assert first_crossing(path, 0.00001) is None
    assert first_crossing([math.log(20)], 0.05) == 0
    with pytest.raises(StatisticError):
        first_crossing(path, 5.0)


# ---- shares of the 5 % ------------------------------------------------------------------------------


def test_all_shares_together_are_five_percent() -> None:
    shares = [alpha_share(k) for k in range(1, 20_001)]
    assert math.fsum(shares) <= TOTAL_ALPHA
    assert math.fsum(shares) == pytest.approx(TOTAL_ALPHA, abs=0.005 * 6 / math.pi**2 / 19_000)


def test_the_shares_of_the_first() -> None:
    assert [alpha_share(k) for k in range(1, 11)] == [0.0045] * 10
    assert alpha_share(11) == pytest.approx(0.005 * 6 / math.pi**2)
    assert alpha_share(13) == pytest.approx(0.005 * 6 / math.pi**2 / 9)
    with pytest.raises(StatisticError):
        alpha_share(0)


# ---- many pairs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "rejected"),
    [
        ([], []),
        ([20.0], [True]),
        ([19.9], [False]),
        ([40.0, 1.0], [True, False]),
        ([39.0, 1.0], [False, False]),
        ([20.0, 20.0], [True, True]),  # neither alone would do
        ([0.0, 30.0, 30.0, 30.0], [False, True, True, True]),
        ([math.inf, 0.0, 0.0], [True, False, False]),
    ],
)
def test_e_bh_by_hand(values: list[float], rejected: list[bool]) -> None:
    assert e_bh(values, 0.05).tolist() == rejected


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1e4), max_size=12), st.floats(0.001, 0.5))
def test_e_bh_equals_its_definition(values: list[float], alpha: float) -> None:
    n = len(values)
    descending = sorted(values, reverse=True)
    k = max((j for j in range(1, n + 1) if descending[j - 1] >= n / (alpha * j)), default=0)
    rejected = e_bh(values, alpha)
    assert rejected.sum() == k
    assert all(values[i] >= values[j] for i in np.flatnonzero(rejected) for j in np.flatnonzero(~rejected))


def test_e_bh_keeps_false_discoveries_few_among_pairs_that_move_together() -> None:
    """Ten pairs with one market in common, three with an edge: the share of false ones among the found."""
    rng, false_share, found = luck(15), [], 0.0
    edge = np.repeat([0.0, 0.001], [7, 3])
    for _ in range(150):
        market = rng.normal(0.0, 0.003, 1000)
        returns = market + rng.normal(edge[:, None], 0.003, (10, 1000))
        rejected = e_bh([math.exp(log_wealth(row, [1000], Stakes.even(0.02))[0]) for row in returns], 0.2)
        false_share.append(rejected[:7].sum() / max(rejected.sum(), 1))
        found += rejected[7:].mean() / 150
    assert np.mean(false_share) <= 0.2
    assert found > 0.5


@pytest.mark.parametrize("values", [[-1.0], [math.nan], [[1.0]]])
def test_no_e_values(values: list[float]) -> None:
    with pytest.raises(StatisticError):
        e_bh(values, 0.05)
