"""`BybitVenue`: one pair on a real account (mainnet, testnet, demo, or a look-alike on this computer)."""

from __future__ import annotations

import asyncio
from functools import partial

from your_short_trade_margin_call.adapters.bybit.account_requests import AccountRequests
from your_short_trade_margin_call.adapters.bybit.candle_line import LATE_CONFIRM_S
from your_short_trade_margin_call.adapters.bybit.candle_reader import CandleReader
from your_short_trade_margin_call.adapters.bybit.inbox import Inbox
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.live_market import LiveMarket
from your_short_trade_margin_call.adapters.bybit.numbers import Grid
from your_short_trade_margin_call.adapters.bybit.outside import Outside
from your_short_trade_margin_call.adapters.bybit.private_feed import PrivateFeed
from your_short_trade_margin_call.adapters.bybit.public_feed import BestQuote, TickerView
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.signing import Signer
from your_short_trade_margin_call.adapters.bybit.trade_line import TradeLine
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Candle,
    CandleClosed,
    Executed,
    Execution,
    Order,
    OrderChanged,
    OrderRequest,
    StreamLost,
    StreamRestored,
)
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.domain.words import BlockReason

QUOTE_EVERY_S = 1.0
_LOGIN_LASTS_MS = 10_000
_STREAM, _STRANGER = "stream", "stranger"
_PRIVATE, _TRADE = "private", "trade"


class BybitVenue:
    """One pair of one account. Implements `ports.Exchange`; between `open` and `close` only.

    Args:
        rest: the connection, with keys (see `Rest.open`).
        keys: the same keys, for the private stream.
        instrument: the pair.
        candle_ms: length of a candle.
        quote_every_s: real seconds between two quotes that open no candle.
        late_confirm_s: real seconds the word that a candle has closed may be late before the candle is asked for.
    """

    def __init__(
        self,
        rest: Rest,
        keys: Keys,
        instrument: Instrument,
        *,
        candle_ms: int = CANDLE_MS,
        quote_every_s: float = QUOTE_EVERY_S,
        late_confirm_s: float = LATE_CONFIRM_S,
    ) -> None:
        grid = Grid(instrument)
        self._rest = rest
        self._clock = rest.clock
        self._signer = Signer(keys, rest.timing.recv_window_ms)
        self._reader = CandleReader(rest, instrument.symbol, grid, candle_ms, rest.clock)
        self.trade_line: TradeLine | None = None
        """The stream for entries; None where the account has none."""
        if rest.endpoint.trade_stream:
            self.trade_line = TradeLine(rest, self._signer, partial(self._login, _TRADE), self.broke)
        self._first_logins: set[str] = set()
        self._requests = AccountRequests(rest, instrument.symbol, grid, candle_ms, self.trade_line)
        private = PrivateFeed(instrument.symbol, grid, candle_ms, self)
        self.market = LiveMarket(
            rest,
            self._reader,
            instrument.symbol,
            grid,
            self,
            candle_ms=candle_ms,
            quote_every_s=quote_every_s,
            private=(private.topics, private.take, partial(self._login, _PRIVATE)),
            late_confirm_s=late_confirm_s,
        )
        self._inbox = Inbox(candle_ms, lambda: self.market.feed.book)
        self._outside = Outside(rest, instrument.symbol, self._inbox.put, has_key=True)
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Learn the exchange's time and the pair's leverage, subscribe, begin to watch.

        Raises:
            ExchangeError: the exchange cannot be reached, or refuses the key or the pair.
        """
        await self._rest.sync_clock()
        self._first_logins = {_PRIVATE, _TRADE}
        await self._requests.position()
        try:
            await self.market.open()
        except BaseException:
            await self.close()
            raise
        if self.trade_line is not None:
            self.trade_line.begin()
        self._watching = asyncio.create_task(self._outside.watch(), name="watching the outside")
        self._watching.add_done_callback(self._watch_ended)

    async def close(self) -> None:
        """End the streams; what rests on the exchange stays there. Harmless when nothing is open."""
        task, self._watching = self._watching, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self.trade_line is not None:
            await self.trade_line.close()
        await self.market.close()

    # ---- ports.Exchange ----------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> str:
        """Send an order; the answer only acknowledges (see `AccountRequests.place`)."""
        return await self._requests.place(request)

    async def amend_stop(self, trigger_ticks: int) -> None:
        """Move the protective stop of the open position (see `AccountRequests.amend_stop`)."""
        await self._requests.amend_stop(trigger_ticks)

    async def cancel(self, link_id: str) -> None:
        """Cancel an order; one that is gone is no error."""
        await self._requests.cancel(link_id)

    async def find(self, link_id: str) -> Order | None:
        """The order with this id of ours, however it ended."""
        return await self._requests.find(link_id)

    async def account(self, executions_since_ms: int) -> AccountView:
        """Wallet, position, open orders (somebody else's too), executions (since 0: of the last seven days)."""
        return await self._requests.account(executions_since_ms)

    async def candles(self, count: int) -> tuple[Candle, ...]:
        """The last `count` closed candles, oldest first."""
        return await self._reader.newest(count)

    def events(self) -> Inbox:
        """Everything that happens, in order; never ends by itself. The waiting may be cancelled and begun again.

        Raises (while iterating):
            Exception: a part of the venue ended by a bug.
        """
        return self._inbox

    # ---- what market and account say -------------------------------------------------------------------

    def on_lost(self, why: str) -> None:
        """The line is gone."""
        self._inbox.put(StreamLost(self._clock.now_ms()))

    def on_refused(self, why: str) -> None:
        """A lost stream may not begin anew."""
        self._outside.note(BlockReason.EXCHANGE_ERROR, why, _STREAM)

    def on_restored(self) -> None:
        """The line is back."""
        self._outside.note(BlockReason.EXCHANGE_ERROR, "", _STREAM)
        self._inbox.put(StreamRestored(self._clock.now_ms()))

    def on_candle(self, candle: Candle) -> None:
        """The next closed candle."""
        self._inbox.put(CandleClosed(candle))

    def on_opening(self, opens_ms: int) -> None:
        """The opening quote of a candle is known."""
        self._inbox.put_opening(opens_ms)

    def on_book(self, book: BestQuote) -> None:
        """Nothing: quotes are told by `on_opening` and `on_quote`."""

    def on_quote(self) -> None:
        """A quote between openings."""
        self._inbox.put_quote()

    def on_ticker(self, ticker: TickerView) -> None:
        """Nothing: the account's own rows say what mark prices and funding did to it."""

    def on_order(self, order: Order) -> None:
        """An order changed."""
        self._inbox.put(OrderChanged(order))

    def on_execution(self, execution: Execution) -> None:
        """Something was booked."""
        self._inbox.put(Executed(execution))

    def on_leverage(self, leverage: float) -> None:
        """The leverage of the pair."""
        self._requests.leverage = leverage

    def on_stranger(self, symbol: str) -> None:
        """The account is not the program's own: no entries until a start has looked at all of it again."""
        why = f"{symbol} was ordered or traded in this account, which must be the program's own; start again without it"
        self._outside.note(BlockReason.EXCHANGE_ERROR, why, _STRANGER)

    def broke(self, error: BaseException) -> None:
        """A part ended by a bug: the engine hears of it."""
        self._inbox.fail(error)

    # ---- inside ------------------------------------------------------------------------------------------

    async def _login(self, stream: str) -> bytes:
        """The message that authenticates. Its expiry is only worth what we know of the exchange's time: ask first.

        `open` has just asked when a stream logs in for the first time.
        """
        if stream in self._first_logins:
            self._first_logins.discard(stream)
        else:
            await self._rest.sync_clock()
        lasts_ms = round(_LOGIN_LASTS_MS * max(1.0, self._clock.speed))
        return self._signer.stream_login(self._clock.now_ms() + lasts_ms)

    def _watch_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._inbox.fail(error)
