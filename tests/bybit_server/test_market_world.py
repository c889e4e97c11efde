"""How a market crosses a candle boundary: the order of phases, what accounts and the public are told, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.bybit_server.serving import HISTORY, T0, invented_world, plenty_of_pairs, small_candles, small_world
from tests.bybit_server.test_market_bus import Stopwatch
from your_short_trade_margin_call.adapters.bybit_server.building import Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.bus import Bus, Subscriber
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.errors import BadInputError, TooFewCandlesError
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.settings import Settings

PAIR = "BTCUSDT"
TOPICS = tuple(f"{topic}.{PAIR}" for topic in ("kline.3", "kline.15", "orderbook.1", "tickers", "publicTrade"))


@dataclass
class Watcher:
    """An account that only writes down what happens to it, in one list with what the public is told."""

    world: World
    key: str = "watcher"
    happened: list[tuple[Any, ...]] = field(default_factory=list)
    bus: Bus = field(default_factory=Bus)

    def note(self, *what: Any) -> None:
        self.happened.append((self.world.timeline.now_ms() - T0, *what))

    def run_candle(self, pair: Any, j: int) -> None:
        self.note("path", j)

    def settle(self, pair: Any, time_ms: int, rate: float, mark_ticks: float) -> None:
        self.note("funding", time_ms - T0, rate, mark_ticks)

    def opening(self, pair: Any, j: int, *, mid_ticks: float, mark_ticks: float) -> None:
        self.note("guards", j, mid_ticks, mark_ticks)

    def quote(self, pair: Any, time_ms: int, mid_ticks: float, mark_ticks: float, candle_ms: int) -> None:
        self.note("inside", mid_ticks, mark_ticks, candle_ms - T0)


def watched(world: World, *topics: str) -> Watcher:
    """Someone who sees accounts and public messages in the order they happen."""
    watcher = Watcher(world)
    world.accounts.clear()
    world.add_account(watcher)  # type: ignore[arg-type]
    public = Subscriber()
    world.public.subscribe(public, topics or TOPICS)

    def see(topic: str, message: Any) -> Any:
        kline = message["data"][0]["confirm"] if topic.startswith("kline") else message["ts"] - T0
        watcher.note(topic, kline)
        return message

    world.outgoing_hooks.append(see)
    return watcher


def told(world: World, *topics: str) -> Subscriber:
    listener = Subscriber()
    world.public.subscribe(listener, topics)
    return listener


def messages(listener: Subscriber) -> list[dict[str, Any]]:
    texts, listener._waiting = list(listener._waiting), type(listener._waiting)()
    return [json.loads(text) for text in texts]


# ---- one boundary -------------------------------------------------------------------------------------


def test_the_phases_of_a_boundary() -> None:
    world = small_world()
    watcher = watched(world)
    world.step(9)
    watcher.happened.clear()
    world.step()
    boundary = 20 * CANDLE_MS
    assert watcher.happened == [
        (boundary - 1, "path", 19),
        (boundary, "kline.3.BTCUSDT", True),
        (boundary, "kline.15.BTCUSDT", True),
        (boundary, "funding", boundary, 0.002, 600_220.0),
        (boundary, "guards", 20, 600_200.0, 600_220.0),
        (boundary, "orderbook.1.BTCUSDT", boundary),
        (boundary, "tickers.BTCUSDT", boundary),
        (boundary, "kline.3.BTCUSDT", False),
        (boundary, "kline.15.BTCUSDT", False),
        (boundary, "publicTrade.BTCUSDT", boundary),
    ]


def test_each_phase_can_be_done_alone() -> None:
    world = small_world()
    pair = world.pairs[PAIR]
    assert (pair.cursor, pair.phase, world.timeline.now_ms()) == (HISTORY, Phase.QUOTE, T0 + HISTORY * CANDLE_MS)
    close_ms = T0 + 11 * CANDLE_MS
    done = [(world.do_phase(pair), pair.cursor, world.timeline.now_ms() - close_ms) for _ in range(5)]
    assert done == [
        (Phase.PATH, 10, -1),
        (Phase.CLOSE, 11, 0),
        (Phase.FUNDING, 11, 0),
        (Phase.GUARDS, 11, 0),
        (Phase.QUOTE, 11, 0),
    ]
    assert (pair.mid_ticks, pair.mark_ticks) == (600_110.0, 600_130.0)


def test_prices_between_path_and_guards_are_those_of_the_close() -> None:
    world = small_world()
    pair = world.pairs[PAIR]
    world.step_phase()
    assert (pair.mid_ticks, pair.mark_ticks) == (600_110.0, 600_130.0)
    close_ms = T0 + 11 * CANDLE_MS
    for _ in range(2):
        world.step_phase()
        assert pair.market_ms(world.timeline.now_ms()) == close_ms - 1, "no book of the next candle yet"
        assert pair.rows.running("3") is None
    assert [row.start_ms for row in pair.rows.between("3", None, None, 1)] == [close_ms - CANDLE_MS]


def test_a_closed_candle_is_announced_with_its_numbers() -> None:
    world = small_world()
    listener = told(world, "kline.3.BTCUSDT")
    world.step()
    closed, running = messages(listener)
    row = closed["data"][0]
    start = T0 + 10 * CANDLE_MS
    assert (row["start"], row["end"], row["confirm"]) == (start, start + CANDLE_MS - 1, True)
    assert (row["open"], row["high"], row["low"], row["close"]) == ("60010.00", "60015.00", "60007.00", "60011.00")
    assert (row["volume"], row["timestamp"], closed["ts"]) == ("11", start + CANDLE_MS - 1, start + CANDLE_MS)
    assert running["data"][0]["start"] == start + CANDLE_MS
    assert running["data"][0]["confirm"] is False


def test_minutes_are_announced_before_their_candle() -> None:
    world = invented_world()
    listener = told(world, "kline.3.BTCUSDT", "kline.1.BTCUSDT", "kline.5.BTCUSDT")
    world.step(5)
    closed = [message for message in messages(listener) if message["data"][0]["confirm"]]
    first = [(m["data"][0]["interval"], m["data"][0]["start"]) for m in closed[:6]]
    start = world.pairs[PAIR].open_ms(60)
    assert first == [
        ("1", start),
        ("1", start + 60_000),
        ("1", start + 120_000),
        ("3", start),
        ("1", start + 180_000),
        ("1", start + 240_000),
    ]
    assert [m["data"][0]["interval"] for m in closed].count("5") == 3


def test_a_ticker_is_a_snapshot_then_what_changed() -> None:
    world = small_world()
    listener = told(world, "tickers.BTCUSDT")
    world.step(2)
    snapshot, delta = messages(listener)
    assert (snapshot["type"], delta["type"]) == ("snapshot", "delta")
    assert {"symbol", "lastPrice", "markPrice"} <= delta["data"].keys() < snapshot["data"].keys()
    assert "fundingCap" not in delta["data"]
    assert snapshot["data"] | delta["data"] | {"symbol": PAIR} == world.pairs[PAIR].tape.ticker


# ---- gaps, ends, many pairs -----------------------------------------------------------------------------


def test_the_market_is_silent_in_a_gap() -> None:
    candles = small_candles(20)
    keep = np.ones(20, bool)
    keep[12:15] = False
    holey = candles.from_columns(PAIR, *(column[keep] for column in candles.columns().values()))
    world = make_world([Market(find_instrument(PAIR), holey)], Settings(), history_ms=10 * CANDLE_MS)
    watcher = watched(world)
    world.step(2)
    happened = [(moment // CANDLE_MS, what[0]) for moment, *what in watcher.happened if what[0] in ("path", "guards")]
    assert happened == [(10, "path"), (11, "guards"), (11, "path"), (15, "guards")]


def test_after_the_last_candle_its_close_stands() -> None:
    sentences: list[str] = []
    world = small_world(14, log=sentences.append)
    pair = world.pairs[PAIR]
    assert world.step(10) == 3
    assert (world.step(), world.next_group(), pair.is_over) == (0, None, True)
    assert (pair.last_ticks, world.timeline.now_ms()) == (600_140.0, T0 + 14 * CANDLE_MS)
    assert sentences == ["BTCUSDT: the candles have run out; the last price stands"]
    assert world.do_phase(pair) is Phase.CLOSE


def test_all_pairs_do_each_phase_together() -> None:
    world = make_world(plenty_of_pairs(50), Settings(), history_ms=10 * CANDLE_MS)
    watcher = watched(world, *(f"kline.3.{symbol}" for symbol in world.pairs))
    world.step()
    order = [what if what in ("path", "guards") else entry for _, what, entry, *_ in watcher.happened]
    assert order == ["path"] * 50 + [True] * 50 + [0.001] * 0 + ["guards"] * 50 + [False] * 50


def test_pairs_that_begin_apart_stand_at_one_moment() -> None:
    early, late = small_candles(40, "BTCUSDT"), small_candles(40, "ETHUSDT").rows(5, 40)
    markets = [Market(find_instrument(candles.symbol), candles) for candles in (early, late)]
    world = make_world(markets, Settings(), history_ms=10 * CANDLE_MS)
    assert {pair.open_ms(pair.cursor) for pair in world.pairs.values()} == {T0 + 15 * CANDLE_MS}


def test_a_world_needs_pairs_and_a_candle_after_the_history() -> None:
    market = Market(find_instrument(PAIR), small_candles(11))
    with pytest.raises(TooFewCandlesError):
        make_world([market], Settings(), history_ms=10 * CANDLE_MS)
    for markets in ([], [market, market]):
        with pytest.raises(BadInputError):
            make_world(markets, Settings(), history_ms=0)


# ---- running time -----------------------------------------------------------------------------------------


def running_world(speed: float, **options: Any) -> tuple[World, Stopwatch]:
    watch = Stopwatch()
    world = invented_world(speed=speed, stopwatch_s=watch, **options)
    world.timeline.start()
    return world, watch


def test_running_time_moves_the_price_inside_the_candle() -> None:
    world, watch = running_world(600.0)
    watcher = watched(world)
    pair = world.pairs[PAIR]
    market, j = pair.market, pair.cursor
    start = pair.open_ms(j)
    for _ in range(100):
        watch.now_s += 0.003
        world.advance()
    inside = [what for _, name, *what in watcher.happened if name == "inside"]
    assert len(inside) == world.moves_a_candle == 6, "20 a second at 0.3 s a candle"
    assert {candle for *_, candle in inside} == {start - T0}
    assert all(market.low[j] <= mid <= market.high[j] for mid, *_ in inside)
    assert pair.cursor == j + 1
    moments = [moment for moment, *_ in watcher.happened]
    assert moments == sorted(moments)


def test_a_candle_shown_running_never_contradicts_the_closed_one() -> None:
    world, watch = running_world(60.0)
    listener = told(world, "kline.3.BTCUSDT", "kline.1.BTCUSDT")
    while world.pairs[PAIR].cursor < 70:
        watch.now_s += 0.05
        world.advance()
    shown: dict[tuple[str, int], dict[str, Any]] = {}
    checked = 0
    for message in reversed(messages(listener)):
        row = message["data"][0]
        key = (row["interval"], row["start"])
        if row["confirm"]:
            shown[key] = row
        elif key in shown:
            closed, checked = shown[key], checked + 1
            assert row["open"] == closed["open"]
            assert float(row["high"]) <= float(closed["high"])
            assert float(row["low"]) >= float(closed["low"])
            assert float(row["volume"]) <= float(closed["volume"]) + 1e-9
    assert checked > 200


def test_a_server_that_was_held_up_catches_up_in_order() -> None:
    world, watch = running_world(600.0)
    watcher = watched(world)
    first = world.pairs[PAIR].cursor
    watch.now_s += 3.0
    world.advance()
    assert [what[0] for _, name, *what in watcher.happened if name == "path"] == list(range(first, first + 10))
    assert [m for m, *_ in watcher.happened] == sorted(m for m, *_ in watcher.happened)


@pytest.mark.parametrize(("speed", "moves"), [(1.0, 24), (60.0, 24), (600.0, 6), (3_600.0, 1), (100_000.0, 0)])
def test_how_often_the_price_moves(speed: float, moves: int) -> None:
    assert running_world(speed)[0].moves_a_candle == moves


def test_many_pairs_move_less_often() -> None:
    world = make_world(plenty_of_pairs(50), Settings(), history_ms=10 * CANDLE_MS, speed=600.0)
    assert world.moves_a_candle == 2


def test_a_book_that_does_not_change_is_sent_again() -> None:
    world, watch = running_world(1.0)
    listener = told(world, "orderbook.1.BTCUSDT", "tickers.BTCUSDT")
    watch.now_s += 2.9
    world.repeat_books()
    assert messages(listener) == []
    watch.now_s += 0.2
    world.repeat_books()
    again = messages(listener)
    watch.now_s += 1.0
    world.repeat_books()
    assert messages(listener) == []
    assert [m["topic"] for m in again] == ["orderbook.1.BTCUSDT"]
    assert again[0]["data"]["u"] == world.pairs[PAIR].tape.update_id
    assert again[0]["ts"] - world.pairs[PAIR].open_ms(60) == 3_100
