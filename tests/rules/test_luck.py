"""Randomness as a function: a slow twin in plain integers, and the statistics a trader relies on."""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from your_short_trade_margin_call.rules import luck
from your_short_trade_margin_call.rules.luck import ENTRY_REJECT, ENTRY_SLIPPAGE, EXIT_SLIPPAGE
from your_short_trade_margin_call.rules.terms import luck_key

FIRST_MS = 1_748_545_200_000
CANDLES = 16_384
PURPOSES = (ENTRY_REJECT, ENTRY_SLIPPAGE, EXIT_SLIPPAGE)
KEYS = {name: luck_key(seed, pair) for name, seed, pair in (
    ("a", 42, "BTCUSDT"), ("another seed", 43, "BTCUSDT"), ("another pair", 42, "ETHUSDT"),
)}  # fmt: skip


def draw(key: np.uint64, candle_ms: int, purpose: np.uint64) -> np.uint64:
    """Python calls get a plain int back; kernels keep it as it is."""
    return np.uint64(luck.draw(key, candle_ms, purpose))


def draws(key: np.uint64, purpose: np.uint64, count: int = CANDLES) -> NDArray[np.float64]:
    """One number in [0, 1) for each of `count` candles in a row."""
    times = range(FIRST_MS, FIRST_MS + 180_000 * count, 180_000)
    return np.array([luck.uniform(draw(key, time_ms, purpose)) for time_ms in times])


# ---- the slow twin: SplitMix64's finaliser, in Python's integers ------------------------------------

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def slow_mix(bits: int) -> int:
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def slow_draw(key: int, candle_ms: int, purpose: int) -> int:
    bits = slow_mix((key + GOLDEN * purpose) & MASK)
    return slow_mix(bits ^ slow_mix((candle_ms + GOLDEN) & MASK))


def slow_slippage(key: int, candle_ms: int, purpose: int, mean: float) -> float:
    bits = slow_draw(key, candle_ms, purpose)
    first, second = (x >> 11 for x in (bits, slow_mix((bits + GOLDEN) & MASK)))
    normal = math.sqrt(-2.0 * math.log(1.0 - first / 2**53)) * math.cos(2.0 * math.pi * second / 2**53)
    return abs(mean + mean / 2.0 * normal)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 2**63 - 1),
    st.sampled_from(("BTCUSDT", "1000PEPEUSDT")),
    st.integers(0, 2**42),
    st.sampled_from(PURPOSES),
    st.floats(0.0, 100.0),
)
def test_draws_equal_their_slow_twin(seed: int, pair: str, time_ms: int, purpose: np.uint64, mean: float) -> None:
    key = luck_key(seed, pair)
    digest = hashlib.blake2b(f"{seed}:{pair}".encode(), digest_size=8).digest()
    assert int(key) == int.from_bytes(digest, "little")
    bits = slow_draw(int(key), time_ms, int(purpose))
    assert draw(key, time_ms, purpose) == bits
    assert luck.uniform(np.uint64(bits)) == (bits >> 11) / 2**53
    assert luck.is_rejected(key, time_ms, 0.3) == (slow_draw(int(key), time_ms, 1) >> 11 < 0.3 * 2**53)
    slippage = luck.slippage_bps(key, time_ms, purpose, mean)
    assert slippage == pytest.approx(slow_slippage(int(key), time_ms, int(purpose), mean), rel=1e-12, abs=1e-12)


def test_these_draws_never_change() -> None:
    """Frozen: a journal written today must be replayed by any later version with the same luck."""
    key = luck_key(42, "BTCUSDT")
    assert int(key) == 4_156_203_631_233_773_517
    assert [int(draw(key, FIRST_MS, purpose)) for purpose in PURPOSES] == [
        8_720_312_913_727_508_857,
        3_230_609_995_498_821_043,
        7_837_479_262_246_377_055,
    ]


# ---- even, independent ------------------------------------------------------------------------------


def chi_square(counts: NDArray[np.int64]) -> float:
    """Excess over the degrees of freedom, in standard deviations (all cells are equally likely)."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - freedom) / math.sqrt(2.0 * freedom))


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("purpose", PURPOSES, ids=("reject", "entry slippage", "exit slippage"))
def test_draws_are_even(key: np.uint64, purpose: np.uint64) -> None:
    sample = draws(key, purpose)
    assert sample.min() >= 0.0
    assert sample.max() < 1.0
    counts, _ = np.histogram(sample, bins=128, range=(0.0, 1.0))
    assert abs(chi_square(counts)) < 4.0
    assert abs(np.corrcoef(sample[:-1], sample[1:])[0, 1]) < 4.0 / math.sqrt(CANDLES)
    followed, _, _ = np.histogram2d(sample[:-1:2], sample[1::2], bins=16, range=((0, 1), (0, 1)))
    assert abs(chi_square(followed.astype(np.int64))) < 4.0


def test_purposes_pairs_and_seeds_do_not_know_each_other() -> None:
    samples = [draws(key, purpose, 8_192) for key in KEYS.values() for purpose in PURPOSES]
    for k, one in enumerate(samples):
        for other in samples[:k]:
            assert not np.isin(one, other).any()
            assert abs(np.corrcoef(one, other)[0, 1]) < 5.0 / math.sqrt(len(one))
            together, _, _ = np.histogram2d(one, other, bins=8, range=((0, 1), (0, 1)))
            assert abs(chi_square(together.astype(np.int64))) < 5.0


def test_neighbouring_seeds_have_unrelated_keys() -> None:
    keys = [int(luck_key(seed, "BTCUSDT")) for seed in range(2_000)]
    assert len(set(keys)) == len(keys)
    differing = [bin(a ^ b).count("1") for a, b in pairwise(keys)]
    assert np.mean(differing) == pytest.approx(32.0, abs=0.5)


def test_no_draw_depends_on_those_before() -> None:
    key = KEYS["a"]
    forwards = draws(key, ENTRY_SLIPPAGE, 500)
    times = [FIRST_MS + 180_000 * k for k in range(500)]
    backwards = [luck.uniform(draw(key, time_ms, ENTRY_SLIPPAGE)) for time_ms in reversed(times)]
    assert forwards.tolist() == backwards[::-1]


# ---- rejects and slippage ---------------------------------------------------------------------------


def test_rejects_are_as_frequent_as_asked_and_grow_with_the_probability() -> None:
    key = KEYS["a"]
    times = range(FIRST_MS, FIRST_MS + 180_000 * CANDLES, 180_000)
    before: set[int] = set()
    for probability in (0.0, 1e-9, 0.01, 0.3, 0.5, 0.999, 1.0):
        rejected = {time_ms for time_ms in times if luck.is_rejected(key, time_ms, probability)}
        assert before <= rejected
        spread = math.sqrt(probability * (1.0 - probability) / CANDLES)
        assert len(rejected) / CANDLES == pytest.approx(probability, abs=4.0 * spread + 1e-12)
        before = rejected
    assert len(before) == CANDLES


@pytest.mark.parametrize("purpose", [ENTRY_SLIPPAGE, EXIT_SLIPPAGE])
def test_slippage_is_the_absolute_value_of_a_normal(purpose: np.uint64) -> None:
    """|N(1, 1/2)| in units of its mean: E = 1.00849, E of the square 1.25; 4.5500 % below 0 are folded over."""
    times = range(FIRST_MS, FIRST_MS + 180_000 * CANDLES, 180_000)
    sample = np.array([luck.slippage_bps(KEYS["a"], time_ms, purpose, 3.0) for time_ms in times]) / 3.0
    assert sample.min() >= 0.0
    folded_mean = 0.5 * math.sqrt(2.0 / math.pi) * math.exp(-2.0) + math.erf(math.sqrt(2.0))
    assert folded_mean == pytest.approx(1.00849, abs=1e-5)
    assert sample.mean() == pytest.approx(folded_mean, abs=4.0 * sample.std() / math.sqrt(CANDLES))
    squares = sample**2
    assert squares.mean() == pytest.approx(1.25, abs=4.0 * squares.std() / math.sqrt(CANDLES))
    for point in (0.1, 0.5, 1.0, 1.5, 2.0, 2.5):
        within = 0.5 * (math.erf((point - 1.0) * math.sqrt(2.0)) + math.erf((point + 1.0) * math.sqrt(2.0)))
        spread = math.sqrt(within * (1.0 - within) / CANDLES)
        assert (sample < point).mean() == pytest.approx(within, abs=4.0 * spread)


def test_slippage_scales_with_its_mean_and_is_off_at_zero() -> None:
    key = KEYS["a"]
    for time_ms in range(FIRST_MS, FIRST_MS + 180_000 * 100, 180_000):
        one = luck.slippage_bps(key, time_ms, EXIT_SLIPPAGE, 1.0)
        assert luck.slippage_bps(key, time_ms, EXIT_SLIPPAGE, 8.0) == pytest.approx(8.0 * one, rel=1e-12)
        assert luck.slippage_bps(key, time_ms, EXIT_SLIPPAGE, 0.0) == 0.0
