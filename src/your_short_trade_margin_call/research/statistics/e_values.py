"""Evidence that may be looked at as often as one likes: betting against "there is no edge".

Somebody who starts with 1 and bets on a fair or unfavourable game will hardly ever own much: the chance of ever
reaching ``1 / alpha`` is at most ``alpha`` (Ville 1939). So wealth is evidence, and it stays evidence whenever one
stops to look (Shafer & Vovk 2019; Waudby-Smith & Ramdas 2023, "Estimating means of bounded random variables by
betting", section 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from your_short_trade_margin_call.domain.errors import StatisticError
from your_short_trade_margin_call.research.statistics.numbers import series, share
from your_short_trade_margin_call.research.wealth_kernel import bet

TOTAL_ALPHA = 0.05
"""How often, over every procedure ever looked at, REAL may be said of something that has no edge."""
_FIRST, _FIRST_SHARE, _REST = 10, 0.0045, 0.005
_SPREAD = 20.0
"""The largest stake of a grid over its smallest."""


@dataclass(frozen=True, slots=True)
class Jump:
    """What is assumed of returns too bad for a bettor to pay: that they are rare, and how bad they are at most.

    Args:
        rate: the chance of one, given all that was known before it, is at most this; 0.00001 is once in 208 days.
        loss: the most that any return may lose, a fraction of equity; 1 is everything.

    Raises:
        StatisticError: the rate is not a chance, or the loss not positive.
    """

    rate: float
    loss: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate <= 1.0 or not 0.0 < self.loss < math.inf:
            raise StatisticError(f"No jumps of {self.loss} at a rate of {self.rate}.", "0.00001 is a rate, 1 a loss.")


@dataclass(frozen=True, slots=True)
class Stakes:
    """Bettors, each with a fixed stake, and the part of the starting 1 that each is given.

    Args:
        fractions: what each stakes, per unit of return: 1 grows as the account does, 0.5 half as much, 2 twice.
        priors: their parts, positive, 1 together. Fixed before the first return is seen.
        jump: how often and by how much a return may lose more than ``1 / (largest stake)``; None if it never does.

    Raises:
        StatisticError: none or unequal numbers of them, or one that is not positive, or parts that do not sum to 1.
    """

    fractions: tuple[float, ...]
    priors: tuple[float, ...]
    jump: Jump | None = None

    def __post_init__(self) -> None:
        sound = all(math.isfinite(x) and x > 0.0 for x in (*self.fractions, *self.priors))
        if not self.fractions or len(self.fractions) != len(self.priors) or not sound:
            raise StatisticError("Stakes and their parts do not fit.", "Give each stake one part; all are positive.")
        if abs(math.fsum(self.priors) - 1.0) > 1e-9:
            raise StatisticError(f"The parts sum to {math.fsum(self.priors)}.", "They must sum to 1.")

    @classmethod
    def even(cls, worst_loss: float, count: int = 12, jump: Jump | None = None) -> Stakes:
        """`count` stakes with equal parts, in equal ratios from ``1 / worst_loss`` down to a twentieth of it.

        Args:
            worst_loss: the most that one return may lose, a fraction of equity, fixed in advance: 1 is everything.
            count: how many; 2 at least.
            jump: what is assumed of returns that lose more all the same; None: there are none.

        Raises:
            StatisticError: `worst_loss` is not positive, or fewer than 2 are asked for.
        """
        if not (worst_loss > 0.0 and math.isfinite(worst_loss)) or count < 2:
            raise StatisticError(f"No {count} stakes for a loss of {worst_loss}.", "Both are positive, 2 at least.")
        fractions = np.geomspace(1.0 / worst_loss / _SPREAD, 1.0 / worst_loss, count)
        return cls(tuple(fractions.tolist()), (1.0 / count,) * count, jump)

    def tolls(self) -> NDArray[np.float64]:
        """What each bettor pays with every return for being let off what he cannot pay, a logarithm: 0 without jumps.

        ``log(1 + rate * (stake * loss - 1))`` where that is positive: his factor, cut at zero, is expected to be at
        most ``1 + E[max(0, -1 - stake * x)]``, and this divides it by a bound of that.
        """
        if self.jump is None:
            return np.zeros(len(self.fractions))
        owed = np.maximum(np.array(self.fractions) * self.jump.loss - 1.0, 0.0)
        return np.log1p(self.jump.rate * owed)


def log_wealth(returns: ArrayLike, looks: ArrayLike, stakes: Stakes) -> NDArray[np.float64]:
    """Natural logarithm of the evidence against "no return has a positive expectation", at each of `looks`.

    ``E_t = sum_k prior_k * prod_{i<=t} (1 + stake_k * x_i)``. Under the null hypothesis (given what was known before
    it, the mean of each return is at most zero) E is a supermartingale that begins at 1, whatever the returns'
    distribution, dependence or changing size: ``P(E ever reaches 1 / alpha) <= alpha``, looked at after every candle
    or never. Its running maximum may be reported too; when to stop may depend on what was seen.

    **It holds for stakes up to 1 / (the largest loss of one return).** A bettor whose factor falls to zero or
    below is ruined and stays at zero. That forgives him what he lost beyond everything he had, so a stake above
    that bound tests something else: that the mean of returns *no worse than* ``-1 / stake`` is at most zero. On
    "pennies before a steamroller" (0.2 % often, -79 % at once and rarely) its answer is yes: stakes up to 10 call it
    an edge in 52 % of fair games. With `Stakes.jump` every return costs a toll, and what is told holds again for
    all games that keep to the jump's rate and loss.

    Args:
        returns: changes of equity, marked to market, one a candle, each a fraction (0.01 is +1 %) of an amount known
            before the candle. That may be the equity; the wallet balance is better: an account that is nearly lost
            has a leverage without bounds on what is left of it, and so have its losses.
        looks: after how many candles to tell, ascending, from 0 (nothing known: 0.0) to all of them.
        stakes: the bettors.

    Returns:
        One number a look. ``>= log(1 / alpha)`` is evidence at level alpha; ``-inf``: all bettors are ruined.

    Raises:
        StatisticError: a return is NaN or infinite, or looks do not ascend within the record.
    """
    row = series(returns, "returns")
    after = _looks(looks, len(row))
    told, wealth = np.empty(len(after)), np.zeros(len(stakes.fractions))
    bet(row, after, np.array(stakes.fractions), stakes.tolls(), np.log(np.array(stakes.priors)), wealth, told)
    return told


def _looks(looks: ArrayLike, n_returns: int) -> NDArray[np.int64]:
    after = np.asarray(looks)
    whole = after.ndim == 1 and (after.size == 0 or np.issubdtype(after.dtype, np.integer))
    if not whole or (after.size and (after[0] < 0 or after[-1] > n_returns or (np.diff(after) < 0).any())):
        raise StatisticError(
            f"Looks must be whole numbers of candles, ascending, from 0 to {n_returns}.", "Sort and cut them."
        )
    return np.ascontiguousarray(after, dtype=np.int64)


def first_crossing(path: ArrayLike, alpha: float) -> int | None:
    """Index of the first look at which log wealth reached ``log(1 / alpha)``; None if it never did.

    By Ville's inequality this happens with a chance of at most `alpha` where there is no edge.

    Raises:
        StatisticError: `alpha` is not strictly between 0 and 1.
    """
    there = np.asarray(path, dtype=np.float64) >= -math.log(share(alpha, "alpha"))
    return int(np.argmax(there)) if there.any() else None


def alpha_share(k: int) -> float:
    """The part of the 5 % which the k-th procedure looked at (a pair, a grid, settings) may spend.

    0.0045 each for the first ten, then ``0.005 * 6 / (pi^2 (k - 10)^2)``: those sum to 0.005, as the sum of
    1/j^2 is pi^2/6. Together never more than `TOTAL_ALPHA`, however many follow (a union bound: no matter how
    they depend on each other).

    Args:
        k: 1 for the first. Each procedure keeps its number for good.

    Raises:
        StatisticError: k is below 1.
    """
    if k < 1:
        raise StatisticError(f"Procedure number {k}.", "The first is 1.")
    return _FIRST_SHARE if k <= _FIRST else _REST * 6.0 / (math.pi * (k - _FIRST)) ** 2


def e_bh(e_values: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    """Which of many hypotheses to reject so that at most `alpha` of the rejected are false, on average.

    The e-BH procedure (Wang & Ramdas 2022, "False discovery rate control with e-values"): reject the k* largest,
    k* the largest k for which the k-th largest is at least ``n / (alpha k)``. It needs no word about how the
    hypotheses depend on each other: pairs that rise together may be tested together.

    Args:
        e_values: wealth (not its logarithm), one a hypothesis, each at a look of its own; inf is allowed.
        alpha: the false discovery rate, between 0 and 1.

    Returns:
        True where rejected, in the order given. Nothing given, nothing rejected.

    Raises:
        StatisticError: a value is NaN or negative, or `alpha` is not strictly between 0 and 1.
    """
    values = np.asarray(e_values, dtype=np.float64)
    if values.ndim != 1 or np.isnan(values).any() or (values < 0.0).any():
        raise StatisticError("E-values must be zero or more.", "Pass wealth, not its logarithm, one a hypothesis.")
    order = np.argsort(-values, kind="stable")
    needed = len(values) / (share(alpha, "alpha") * np.arange(1, len(values) + 1))
    enough = np.flatnonzero(values[order] >= needed)
    rejected = np.zeros(len(values), dtype=np.bool_)
    if len(enough):
        rejected[order[: enough[-1] + 1]] = True
    return rejected
