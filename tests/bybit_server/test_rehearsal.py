"""Before anybody is served, every kind of order has been tried in a market that nobody sees."""

from __future__ import annotations

from numba.core import event

from tests.bybit_server.serving import invented_world
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY
from your_short_trade_margin_call.adapters.bybit_server.private_routes import QUERIES, WRITES
from your_short_trade_margin_call.adapters.bybit_server.rehearsal import LIFE, rehearse
from your_short_trade_margin_call.settings import Settings

from .test_market_world import PAIR


class Compilations(event.Listener):
    """Counts what numba compiles."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, event: event.Event) -> None:
        self.count += 1

    def on_end(self, event: event.Event) -> None:
        pass


def test_every_request_of_a_short_life_is_carried_out() -> None:
    assert rehearse(Settings()) == len(LIFE)


def test_an_account_that_can_afford_nothing_is_no_trouble() -> None:
    assert rehearse(Settings(starting_balance=1.0)) < len(LIFE)


def test_afterwards_an_order_compiles_nothing() -> None:
    rehearse(Settings())
    world = invented_world()
    named = {"category": "linear", "symbol": PAIR}
    with event.install_listener("numba:compile", Compilations()) as compiled:
        order = {"side": "Sell", "orderType": "Market", "qty": "0.002", "stopLoss": "500000"}
        WRITES["/v5/order/create"](world.accounts[DEMO_KEY], {**named, **order})
        world.step_phase()
        assert QUERIES["/v5/position/list"](world.accounts[DEMO_KEY], named)["list"][0]["side"] == "Sell"
    assert compiled.count == 0
