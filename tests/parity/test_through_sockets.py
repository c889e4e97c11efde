"""The live engine on a look-alike exchange, all requests and messages through sockets, makes the backtest's trades."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.parity.sockets import play
from tests.parity.test_parity import assert_parity, tally
from tests.parity.test_recorded_files import LEVERAGES, recorded_world
from tests.real_candles import FILES, WHY
from tests.shares import late
from tests.worlds import random_world
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.exchange import admission
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine

SEEDS = (1_183, 1_185, 1_186, 1_187)
"""Worlds in which much happens: a test below counts it. `make parity-sockets` plays a month."""
TAME = 1_184
MUST_BE_SEEN = ("exit target", "exit margin_call", "exit stop_loss", "exit max_hold", "exit end_of_data",
                "blocked order_rejected", "blocked position_open", "blocked stream_gap")  # fmt: skip


@pytest.mark.parametrize("seeds", [SEEDS[::2], SEEDS[1::2], late((*SEEDS, TAME))], ids=["some", "others", "all"])
def test_random_worlds_through_sockets(seeds: tuple[int, ...]) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        world = random_world(seed, 240)
        past = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
        assert_parity(world, past, play(world))
        seen += tally(past)
    assert sum(count for name, count in seen.items() if name.startswith("exit")) > 5, seen


@pytest.mark.parametrize("seeds", [(1_186,), late((1_185, 1_186))], ids=["one", "two"])
def test_entries_by_stream_make_the_same_trades(seeds: tuple[int, ...]) -> None:
    entries = 0
    for seed in seeds:
        world = random_world(seed, 240)
        past = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
        played = play(world, Account.MAINNET)
        assert_parity(world, past, played)
        created = [row for row in played.requests if row.path == "/v5/order/create"]
        assert {row.method for row in created if not json.loads(row.body).get("reduceOnly")} <= {"WS"}
        assert {row.method for row in created if json.loads(row.body).get("reduceOnly")} <= {"POST"}
        entries += sum(row.method == "WS" for row in created)
    assert entries > 5


def test_the_worlds_are_not_tame() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        world = random_world(seed, 240)
        seen += tally(BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params))
    assert not [name for name in MUST_BE_SEEN if not seen[name]], seen


def test_a_fault_of_one_tick_is_noticed_through_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail proves nothing."""
    honest = admission.sell_fill
    monkeypatch.setattr(admission, "sell_fill", lambda *arguments: honest(*arguments) - 1)
    world = random_world(1_004, 240)
    past = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
    assert past.rows
    with pytest.raises(AssertionError):
        assert_parity(world, past, play(world))


@pytest.mark.real
@pytest.mark.skipif(not FILES, reason=WHY)
def test_recorded_candles_through_sockets() -> None:
    """Slices of recorded files; `make parity-sockets` plays whole ones."""
    trades = 0
    for place, path in enumerate(FILES[::10]):
        world = recorded_world(path, LEVERAGES[place % 3], ("luck on", "luck off")[place % 2], 300)
        past = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
        assert_parity(world, past, play(world))
        trades += len(past.rows)
    assert trades > 5
