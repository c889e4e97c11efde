"""Recorded or invented candles played to an engine through the simulated exchange (`ports.Exchange`).

The engine pulls: the path of a candle begins only when it asks for the next event and nothing is left
in the exchange's outbox, so the path never races the engine, at any speed (DESIGN 3, "order of things").
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import Enum

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
from your_short_trade_margin_call.domain.ports import Clock
from your_short_trade_margin_call.exchange.playing import play_candle
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.market_arrays import MarketArrays


class Phase(Enum):
    """Where the venue stands with the candle at its cursor."""

    BEFORE_OPENING = "before_opening"
    OPENED = "opened"
    ENDED = "ended"


class ReplayVenue:
    """Plays candles `start`.. of a market; those before it are history the engine may ask for.

    Args:
        market: all candles, in ticks.
        exchange: the account.
        clock: paced by candle closes; a clock without speed limit plays as fast as the engine can.
        start: index of the first candle to play.
    """

    def __init__(
        self,
        market: MarketArrays,
        exchange: SimulatedExchange,
        clock: Clock,
        start: int = 0,
    ) -> None:
        self._market = market
        self._exchange = exchange
        self._clock = clock
        self._cursor = start
        self._phase = Phase.BEFORE_OPENING

    @property
    def cursor(self) -> int:
        """Index of the candle that opens next or is running."""
        return self._cursor

    async def place(self, request: OrderRequest) -> str:
        """Send an order to the simulated exchange."""
        return self._exchange.place(request)

    async def amend_stop(self, trigger_ticks: int) -> None:
        """Move the position's stop."""
        self._exchange.amend_stop(trigger_ticks)

    async def cancel(self, link_id: str) -> None:
        """Cancel an order; one that is gone is no error."""
        self._exchange.cancel(link_id)

    async def find(self, link_id: str) -> Order | None:
        """The order with this id of ours, however it ended."""
        return self._exchange.find(link_id)

    async def account(self, executions_since_ms: int) -> AccountView:
        """Wallet, position, open orders, executions."""
        return self._exchange.account(executions_since_ms)

    async def candles(self, count: int) -> tuple[Candle, ...]:
        """The last `count` closed candles."""
        first = max(0, self._cursor - count)
        return tuple(self._candle(j) for j in range(first, self._cursor))

    async def events(self) -> AsyncIterator[Event]:
        """Everything that happens from here on. Asked anew (after a restart), it repeats the last news."""
        if self._phase is Phase.OPENED:
            yield self._opening_quote()
        elif self._phase is Phase.ENDED:
            yield self._market_ended()
        while True:
            while events := self._exchange.drain():
                for event in events:
                    yield event
            if not self._exchange.connected:  # a fault cut the line: it comes back before the market goes on
                self._exchange.reconnect(self._clock.now_ms())
            elif self._phase is Phase.ENDED:
                return
            else:
                for event in await self._go_on():
                    yield event

    async def _go_on(self) -> list[Event]:
        """The market's next step, once the engine has nothing left to do."""
        if self._cursor >= len(self._market.time_ms):
            self._exchange.on_market_end()
            self._phase = Phase.ENDED
            return [self._market_ended()]
        if self._phase is Phase.BEFORE_OPENING:
            return self._open_candle()
        await self._clock.sleep_until_ms(self._time(self._cursor) + self._market.candle_ms)
        return self._run_candle()

    def _open_candle(self) -> list[Event]:
        """Funding due, until the engine has dealt with it; then the opening quote."""
        events = self._settle_next()
        if events:
            return events
        j = self._cursor
        self._exchange.on_opening_quote(
            self._time(j), float(self._market.open[j]), float(self._market.mark_open[j]), check_guards=True
        )
        self._phase = Phase.OPENED
        return [*self._exchange.drain(), self._opening_quote()]

    def _settle_next(self) -> list[Event]:
        """Settlements before this candle, each once."""
        market, j = self._market, self._cursor
        if j == 0:
            return []
        events: list[Event] = []
        for k in range(int(market.funding_first[j]), int(market.funding_first[j + 1])):
            moment = int(market.funding_time_ms[k])
            if moment > self._exchange.funding_settled_ms:
                self._exchange.settle_funding(moment, float(market.funding_rate[k]), float(market.mark_close[j - 1]))
                events += self._exchange.drain()
        return events

    def _run_candle(self) -> list[Event]:
        j = self._cursor
        play_candle(self._exchange, self._market, j)
        self._cursor += 1
        self._phase = Phase.BEFORE_OPENING
        return [*self._exchange.drain(), CandleClosed(self._candle(j))]

    def _market_ended(self) -> MarketEnded:
        return MarketEnded(self._time(self._cursor - 1) + self._market.candle_ms)

    def _opening_quote(self) -> QuoteArrived:
        time_ms = self._time(self._cursor)
        return QuoteArrived(time_ms, float(self._market.open[self._cursor]), time_ms)

    def _time(self, index: int) -> int:
        return int(self._market.time_ms[index])

    def _candle(self, index: int) -> Candle:
        m = self._market
        return Candle(
            self._time(index),
            float(m.open[index]),
            float(m.high[index]),
            float(m.low[index]),
            float(m.close[index]),
        )
