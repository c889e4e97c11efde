"""The walk through changing parameters, its marked equity and the chance shorts agree with their slow twins."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.research.test_kernel_equals_twin import (
    HashedLuck,
    dec,
    twin_candles,
    twin_extras,
    twin_instrument,
    twin_params,
    twin_settings,
)
from tests.twin.slow_walk import SlowChance, SlowWalk, TwinStretch
from tests.worlds import World, random_params, random_world
from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.account_kernel import ACCOUNT, N_TRADE_COLUMNS, TRADE_COLUMNS
from your_short_trade_margin_call.research.chance_kernel import chance_shorts
from your_short_trade_margin_call.research.survey import Field, make_field
from your_short_trade_margin_call.research.walk_kernel import STRETCH, mark_account, walk
from your_short_trade_margin_call.rules import luck
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms, make_trial

WORLDS = range(7_000, 7_040)
"""Every eighth is ruinous."""


def stretches_of(world: World) -> tuple[list[TwinStretch], Any]:
    """Three to six stretches of any length, now and then with a pause between them, for both twins."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([world.seed, 78])))
    n = len(world.candles)
    places = [*np.sort(rng.integers(0, n - 1, int(rng.integers(3, 7)))).tolist(), n - 1]
    twins, kernel = [], np.zeros(len(places) - 1, dtype=STRETCH)
    for k in range(len(places) - 1):
        params = world.params if k == 0 else random_params(rng)
        first, end, may_enter = places[k], places[k + 1], bool(rng.random() < 0.85)
        first += int(rng.integers(0, 3)) if first + 3 < end else 0
        kernel[k] = (first, end, *make_trial(params), may_enter)
        twins.append(TwinStretch(first, end, twin_params(params), may_enter))
    return twins, kernel


def field_of(world: World) -> Field:
    terms = make_terms(world.settings, world.candles.symbol)
    market = make_market(world.candles, float(world.instrument.tick_size))
    return make_field(market, make_contract(world.instrument), terms, 1)


def inputs_of(world: World) -> tuple[Any, ...]:
    candles, settings = twin_candles(world.candles), twin_settings(world.settings)
    extras = twin_extras(world.candles)
    return (candles, twin_instrument(world.instrument), settings, HashedLuck(world), *extras.values())


def test_walk_and_its_marked_equity_equal_the_twin() -> None:
    seen: Counter[str] = Counter()
    for seed in WORLDS:
        seen += compare_walks(random_world(seed, 260))
    reasons = [str(reason) for reason in ExitReason if reason is not ExitReason.CLOSED]
    assert {name: seen[name] for name in [*reasons, "over an end"] if seen[name] < 3} == {}


def compare_walks(world: World) -> Counter[str]:
    """Compare both; returns which exits were met, and how many positions outlived their stretch."""
    twins, stretches = stretches_of(world)
    field, start, n = field_of(world), world.settings.starting_balance, len(world.candles)
    rows, equity, held = np.empty((n, N_TRADE_COLUMNS)), np.empty(n), np.zeros(n)
    rows = rows[: walk(*field, stretches, start, np.empty(1, dtype=ACCOUNT), rows)]
    mark_account(field.market, field.contract, field.terms, rows, start, equity, held)
    slow = SlowWalk(twins, dec(world.settings.slippage_bps), *inputs_of(world)).walk()
    assert len(rows) == len(slow.trades), world.seed
    times, seen = world.candles.time_ms, Counter[str]()
    for row, twin in zip(rows, slow.trades, strict=True):
        made = dict(zip(TRADE_COLUMNS, row.tolist(), strict=True))
        where = (world.seed, twin.entry_time)
        assert times[int(made["entry_index"])] == twin.entry_time, where
        assert times[int(made["exit_index"])] == twin.exit_time, where
        assert str(ExitReason.from_code(int(made["exit_reason"]))) == twin.exit_reason, where
        for name in ("entry_fee", "exit_fee", "funding", "pnl_value", "balance_after"):
            assert made[name] == pytest.approx(float(getattr(twin, name)), rel=1e-9, abs=1e-7), (where, name)
        seen[twin.exit_reason] += 1
        seen["over an end"] += any(made["entry_index"] <= s.end - 1 < made["exit_index"] for s in twins)
    np.testing.assert_allclose(equity, [float(x) for x in slow.equity], rtol=1e-9, atol=1e-6, err_msg=str(world.seed))
    assert held.tolist() == slow.held, world.seed
    return seen


def test_chance_shorts_equal_the_twin() -> None:
    shorts = sum(compare_chance(random_world(seed, 200)) for seed in WORLDS)
    assert shorts > 2_000, "candles in which a short was held"


def compare_chance(world: World) -> int:
    """Compare the sums over three accounts; returns in how many candles they held shorts."""
    twins, stretches = stretches_of(world)
    field, start, n = field_of(world), world.settings.starting_balance, len(world.candles)
    hazards = np.linspace(0.02, 0.4, len(stretches))
    keys = np.array([world.seed, 2**63 + 5, 77], dtype=np.uint64)
    returns, held = np.zeros(n), np.zeros(n)
    chance_shorts(
        *field, stretches, hazards, keys, start, np.empty(1, dtype=ACCOUNT), np.empty(N_TRADE_COLUMNS), np.empty(n),
        returns, held,
    )  # fmt: skip
    expected, in_market = np.zeros(n), np.zeros(n)
    for key in keys:

        def is_drawn(s: int, time_ms: int, key: np.uint64 = key) -> bool:
            return bool(luck.enters_by_chance(key, time_ms, hazards[s]))

        twin = SlowChance(is_drawn, twins, dec(world.settings.slippage_bps), *inputs_of(world))
        made, was_held = twin.returns()
        expected += [float(x) for x in made]
        in_market += was_held
    np.testing.assert_allclose(returns, expected, rtol=1e-9, atol=1e-9, err_msg=str(world.seed))
    assert held.tolist() == in_market.tolist(), world.seed
    return int(held.sum())
