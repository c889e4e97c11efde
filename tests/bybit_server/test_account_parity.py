"""An engine that trades through the account's requests gets the trades of a replay on the simulated exchange.

In process: orders become request bodies and come back through the server's phases, without sockets and without the
client. So prices and quantities pass through their texts, and every phase happens in its order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.parity.replay import make_engine, replay
from tests.shares import shared
from tests.worlds import World, random_world
from your_short_trade_margin_call.adapters.bybit_server.building import DEMO_KEY, Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.codes import OF_REFUSAL, ApiError
from your_short_trade_margin_call.adapters.bybit_server.pair_account import PairAccount
from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.private_routes import WRITES
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import OrderRefusedError
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Candle,
    CandleClosed,
    Event,
    MarketEnded,
    Order,
    OrderRequest,
    QuoteArrived,
)
from your_short_trade_margin_call.domain.words import OrderType, Side

UNCHANGED = 34040
SEEDS = [seed for seed in range(48) if seed % 8]
"""Each eighth world is ruined by funding at leverage 1; those are the replay's own affair."""


class AccountVenue:
    """`ports.Exchange` on an account of the look-alike; steps the world when the engine has nothing left to do."""

    def __init__(self, world: World) -> None:
        markets = [Market(world.instrument, world.candles)]
        self.world = make_world(markets, world.settings, history_ms=0)
        self.account_ = self.world.accounts[DEMO_KEY]
        self.pair = next(iter(self.world.pairs.values()))
        # These worlds' marks may be far from their prices; the exchange's band for market orders would stand between.
        self.pair.item["riskParameters"] = {"priceLimitRatioX": "0.9", "priceLimitRatioY": "0.95"}
        self.sim = self.account_.sim(self.pair.symbol)
        self._news: deque[Event] = deque()
        digest = self.account_._books.digest

        def overheard(own: PairAccount, events: Sequence[Event]) -> Any:
            self._news.extend(events)
            return digest(own, events)

        self.account_._books.digest = overheard  # type: ignore[method-assign]

    def _ask(self, path: str, **body: Any) -> dict[str, Any]:
        usual = {"category": "linear", "symbol": self.pair.symbol, "positionIdx": 0}
        return WRITES[f"/v5/{path}"](self.account_, {**usual, **body})

    async def place(self, request: OrderRequest) -> str:
        pair = self.pair
        if not request.reduce_only and request.leverage != self.account_.leverage_of(pair.symbol):
            text = repr(request.leverage)
            self._ask("position/set-leverage", buyLeverage=text, sellLeverage=text)
        body: dict[str, Any] = {
            "side": "Buy" if request.side is Side.BUY else "Sell",
            "orderType": "Limit" if request.order_type is OrderType.LIMIT else "Market",
            "qty": pair.qty_text(request.lots),
            "reduceOnly": request.reduce_only,
            "orderLinkId": request.link_id,
        }
        if request.price_ticks is not None:
            body["price"] = pair.price_text(request.price_ticks)
        if request.attached_stop_ticks is not None:
            stop = pair.price_text(request.attached_stop_ticks)
            body |= {"stopLoss": stop, "slTriggerBy": "MarkPrice", "tpslMode": "Full"}
        try:
            return str(self._ask("order/create", **body)["orderId"])
        except ApiError as error:
            raise refused(error) from error

    async def amend_stop(self, trigger_ticks: int) -> None:
        stop = self.pair.price_text(trigger_ticks)
        try:
            self._ask("position/trading-stop", tpslMode="Full", stopLoss=stop, slTriggerBy="MarkPrice")
        except ApiError as error:
            if error.code != UNCHANGED:
                raise refused(error) from error

    async def cancel(self, link_id: str) -> None:
        if link_id in {record.link_id for record in self.account_.orders.open()}:
            self._ask("order/cancel", orderLinkId=link_id)

    async def find(self, link_id: str) -> Order | None:
        return self.sim.find(link_id)

    async def account(self, executions_since_ms: int) -> AccountView:
        return self.sim.account(executions_since_ms)

    async def candles(self, count: int) -> tuple[Candle, ...]:
        return tuple(self._candle(j) for j in range(max(0, self.pair.cursor - count), self.pair.cursor))

    async def events(self) -> AsyncIterator[Event]:
        yield self._quote()
        while True:
            while self._news:
                yield self._news.popleft()
            group = self.world.step_phase()
            if group is None:
                yield MarketEnded(self.pair.close_ms(self.pair.cursor - 1))
                while self._news:
                    yield self._news.popleft()
                return
            while self._news:
                yield self._news.popleft()
            if group.phase is Phase.CLOSE:
                yield CandleClosed(self._candle(self.pair.cursor - 1))
            elif group.phase is Phase.QUOTE:
                yield self._quote()

    def _quote(self) -> QuoteArrived:
        opened_ms = self.pair.open_ms(self.pair.cursor)
        return QuoteArrived(opened_ms, self.pair.mid_ticks, opened_ms)

    def _candle(self, j: int) -> Candle:
        m = self.pair.market
        return Candle(int(m.time_ms[j]), *(float(column[j]) for column in (m.open, m.high, m.low, m.close)))


def refused(error: ApiError) -> OrderRefusedError:
    """The refusal of the simulated exchange that an answer stands for."""
    found = [refusal for refusal, (code, text) in OF_REFUSAL.items() if (code, text) == (error.code, error.text)]
    return OrderRefusedError(error.text, code=found[0].value if found else "bad_request")


@pytest.mark.parametrize("seed", shared(SEEDS, 3))
def test_the_account_gives_the_trades_of_the_replay(seed: int) -> None:
    world = random_world(seed, 150)
    expected = replay(world)
    venue, journal = AccountVenue(world), SqliteJournal(":memory:")
    state = asyncio.run(make_engine(world, venue, journal).run())  # type: ignore[arg-type]
    assert journal.trades() == expected.trades
    assert journal.blocked_counts() == expected.blocked
    assert state.wallet == pytest.approx(expected.wallet, abs=1e-9)
    assert venue.sim.ledger == expected.exchange.ledger
