"""When things are said to have happened, where the price moves in steps and time runs on between them."""

from __future__ import annotations

from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY
from your_short_trade_margin_call.adapters.bybit_server.private_routes import QUERIES, WRITES
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.spans import CANDLE_MS

from .serving import invented_world
from .test_market_world import PAIR, Stopwatch

SINCE_THEN = ("/v5/execution/list", "/v5/position/closed-pnl", "/v5/account/transaction-log")


def trade(world: World, side: str) -> None:
    body = {"category": "linear", "symbol": PAIR, "side": side, "orderType": "Market", "qty": "0.002"}
    WRITES["/v5/order/create"](world.accounts[DEMO_KEY], {**body, "reduceOnly": side == "Buy"})


def rows_since(world: World, path: str, moment_ms: int) -> list[dict[str, Any]]:
    query = {"category": "linear", "startTime": str(moment_ms)}
    return list(QUERIES[path](world.accounts[DEMO_KEY], query)["list"])


@pytest.mark.parametrize("speed", [1.0, 600.0])
def test_what_was_done_since_a_moment_is_found_from_that_moment(speed: float) -> None:
    watch = Stopwatch()
    world = invented_world(speed=speed, stopwatch_s=watch)
    world.timeline.start()
    trade(world, "Sell")
    pair = world.pairs[PAIR]
    watch.now_s += 0.2 * CANDLE_MS / 1_000.0 / speed * 0.999 / world.moves_a_candle
    world.advance()
    now_ms = world.timeline.now_ms()
    assert pair.quoted_ms < now_ms < pair.close_ms(pair.cursor), "the price was set before"
    trade(world, "Buy")
    assert [len(rows_since(world, path, now_ms)) for path in SINCE_THEN] == [1, 1, 1]
    (done,) = rows_since(world, "/v5/execution/list", now_ms)
    order, _ = rows_since(world, "/v5/order/history", now_ms - CANDLE_MS)
    assert done["orderId"] == order["orderId"]
    assert int(order["createdTime"]) <= int(done["execTime"]) <= int(order["updatedTime"])


def test_a_fill_stays_inside_its_candle_however_late_the_server_is() -> None:
    watch = Stopwatch()
    world = invented_world(speed=600.0, stopwatch_s=watch)
    world.timeline.start()
    pair = world.accounts[DEMO_KEY].own(PAIR).pair
    watch.now_s += 1.0
    assert world.timeline.now_ms() > pair.close_ms(pair.cursor), "and the market has not been moved on"
    trade(world, "Sell")
    (done,) = rows_since(world, "/v5/execution/list", pair.open_ms(pair.cursor))
    assert int(done["execTime"]) < pair.close_ms(pair.cursor)
