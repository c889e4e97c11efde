"""What a trader asks of a real account: orders placed, moved, cancelled, looked up; the account as it is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import ROUND_DOWN, Decimal
from functools import partial
from typing import TypeVar

from your_short_trade_margin_call.adapters.bybit.account_rows import (
    LINEAR,
    executions_of,
    is_attached_stop,
    order_from_executions,
    order_of,
    position_of,
)
from your_short_trade_margin_call.adapters.bybit.numbers import Grid, float_of, plain
from your_short_trade_margin_call.adapters.bybit.paging import Params, all_pages
from your_short_trade_margin_call.adapters.bybit.rest import Rest, Way
from your_short_trade_margin_call.adapters.bybit.wire import (
    Empty,
    ExecutionList,
    ExecutionRow,
    OrderAck,
    OrderList,
    OrderRow,
    PositionList,
    WalletList,
)
from your_short_trade_margin_call.domain.errors import ExchangeError, OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import AccountView, Order, OrderRequest, PositionView
from your_short_trade_margin_call.domain.spans import DAY_MS, MINUTE_MS
from your_short_trade_margin_call.domain.words import OrderType, Side
from your_short_trade_margin_call.exchange.refusals import RefusalCode
from your_short_trade_margin_call.rules.terms import NO_PRICE

PageKind = TypeVar("PageKind", OrderList, ExecutionList)
_ORDERS_A_PAGE, _EXECUTIONS_A_PAGE = 50, 100
_SPAN_MS = 7 * DAY_MS
"""The longest stretch one question about executions may cover."""
_LONGEST_MS = 730 * DAY_MS
"""How far back the exchange remembers."""
_SETTLED = {RefusalCode.NO_POSITION.value, RefusalCode.STOP_WRONG_SIDE.value}
"""Refusals of a stop that leave no doubt."""
_COIN = "USDT"
_LEVERAGE_STEP = Decimal("0.01")
_TRIGGERED = {OrderType.STOP_MARKET: (1, "MarkPrice"), OrderType.TAKE_PROFIT_MARKET: (2, "LastPrice")}
"""Conditional orders: which way the price goes when it meets the trigger (1 up, 2 down), and which price."""


class AccountRequests:
    """Requests about one pair of one account.

    Args:
        rest: the connection, with keys.
        symbol: the pair.
        grid: its ticks and lots.
        candle_ms: length of a candle.
        entries_by: the way entries take while it is up. Whatever makes a position smaller or safer goes by REST.
    """

    def __init__(self, rest: Rest, symbol: str, grid: Grid, candle_ms: int, entries_by: Way | None = None) -> None:
        self._entries_by = entries_by
        self._rest = rest
        self._symbol = symbol
        self._grid = grid
        self._candle_ms = candle_ms
        self._pair: Params = {"category": LINEAR, "symbol": symbol}
        self.leverage: float | None = None
        """The pair's leverage as the exchange last showed it; None when it is not known."""

    # ---- writes ----------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> str:
        """Send an order, setting the pair's leverage first where an entry wants another one.

        Raises:
            OrderRefusedError: it does not exist on the exchange.
            OutcomeUnknownError: it may exist; look it up by its id.
        """
        if request.leverage is not None and not request.reduce_only and request.leverage != self.leverage:
            await self._set_leverage(request.leverage)
        body = self._order_body(request)
        is_exit = request.reduce_only
        way = None if is_exit else self._entries_by
        answer = await self._rest.post("/v5/order/create", body, OrderAck, is_exit=is_exit, way=way)
        return answer.order_id

    async def amend_stop(self, trigger_ticks: int) -> None:
        """Move the protective stop of the open position; 0 (or a price that none reaches) removes it.

        When the answer leaves a doubt, the position is asked where its stop stands.

        Raises:
            OrderRefusedError: the stop stands where it was.
            OutcomeUnknownError: it may have moved.
        """
        wanted = trigger_ticks if 0 < trigger_ticks < NO_PRICE else None
        body = {
            **self._pair,
            "tpslMode": "Full",
            "positionIdx": 0,
            "stopLoss": "0" if wanted is None else self._grid.price_text(wanted),
            "slTriggerBy": "MarkPrice",
        }
        try:
            await self._rest.post("/v5/position/trading-stop", body, Empty, is_exit=True)
        except OrderRefusedError as refusal:
            if refusal.code in _SETTLED or not await self._stop_stands(wanted):
                raise
        except OutcomeUnknownError:
            if not await self._stop_stands(wanted):
                raise

    async def cancel(self, link_id: str) -> None:
        """Cancel an order; one that is gone already is no error.

        Raises:
            OutcomeUnknownError: it may be cancelled.
        """
        body = {**self._pair, "orderLinkId": link_id}
        await self._rest.post("/v5/order/cancel", body, OrderAck, is_exit=True)

    async def _set_leverage(self, leverage: float) -> None:
        """Twice at most: asking for the same leverage again is harmless.

        Raises:
            OrderRefusedError: it is not set, so nothing may be opened with it.
        """
        text = plain(Decimal(str(leverage)).quantize(_LEVERAGE_STEP, ROUND_DOWN))
        body = {**self._pair, "buyLeverage": text, "sellLeverage": text}
        self.leverage = None
        for _ in range(2):
            with suppress(OutcomeUnknownError):
                await self._rest.post("/v5/position/set-leverage", body, Empty, is_exit=False)
                self.leverage = leverage
                return
        raise OrderRefusedError(f"Nobody answered whether the leverage is {text} now.", RefusalCode.EXCHANGE_ERROR)

    def _order_body(self, request: OrderRequest) -> dict[str, object]:
        grid = self._grid
        body: dict[str, object] = {
            **self._pair,
            "side": "Buy" if request.side is Side.BUY else "Sell",
            "orderType": "Limit" if request.order_type is OrderType.LIMIT else "Market",
            "qty": grid.qty_text(request.lots),
            "positionIdx": 0,
            "orderLinkId": request.link_id,
        }
        if request.reduce_only:
            body["reduceOnly"] = True
        if request.order_type is OrderType.LIMIT and request.price_ticks is not None:
            body |= {"price": grid.price_text(request.price_ticks), "timeInForce": "GTC"}
        if request.order_type in _TRIGGERED and request.trigger_ticks is not None:
            direction, price = _TRIGGERED[request.order_type]
            trigger = grid.price_text(request.trigger_ticks)
            body |= {"triggerPrice": trigger, "triggerDirection": direction, "triggerBy": price}
        if request.attached_stop_ticks is not None:
            stop = grid.price_text(request.attached_stop_ticks)
            body |= {"stopLoss": stop, "slTriggerBy": "MarkPrice", "tpslMode": "Full"}
        return body

    async def _stop_stands(self, wanted: int | None) -> bool:
        """Whether the stop is where it should be; False when nobody knows."""
        with suppress(ExchangeError):
            position = await self.position()
            return position is not None and position.stop_ticks == wanted
        return False

    # ---- reads -----------------------------------------------------------------------------------

    async def find(self, link_id: str) -> Order | None:
        """The order with this id, however it ended; None when neither orders, nor history, nor executions know it.

        Raises:
            ExchangeError: one of them did not answer.
        """
        params = {**self._pair, "orderLinkId": link_id}
        for path in ("/v5/order/realtime", "/v5/order/history"):
            answer = await self._rest.get(path, params, OrderList, signed=True, is_exit=True)
            own = [row for row in answer.rows if row.order_link_id == link_id]
            if own:
                return order_of(self._grid, own[0])
        found = await self._rest.get("/v5/execution/list", params, ExecutionList, signed=True, is_exit=True)
        rows = [row for row in found.rows if row.order_link_id == link_id]
        return order_from_executions(self._grid, link_id, rows) if rows else None

    async def account(self, executions_since_ms: int) -> AccountView:
        """Wallet, position, open orders (the stop is shown with the position), executions at or after a moment.

        All are asked for at once, so one may already know what another does not yet. A moment of 0 means the last
        seven days.

        Raises:
            ExchangeError: one of them did not answer.
        """
        if self._rest.budget.is_forbidden:  # one question may probe; beside it the others would fail and call it off
            await self.position()
        try:
            async with asyncio.TaskGroup() as group:
                wallet = group.create_task(self._wallet_usdt())
                position = group.create_task(self.position())
                orders = group.create_task(self._open_orders())
                rows = group.create_task(self._executions(executions_since_ms))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return AccountView(
            time_ms=self._rest.clock.now_ms(),
            wallet_usdt=wallet.result(),
            position=position.result(),
            open_orders=tuple(order_of(self._grid, row) for row in orders.result() if not is_attached_stop(row)),
            executions=executions_of(self._grid, rows.result(), self._symbol, self._candle_ms),
        )

    async def position(self) -> PositionView | None:
        """The open position; None when flat. Takes note of the pair's leverage.

        Raises:
            ExchangeError: no answer, or one that cannot be read.
        """
        answer = await self._rest.get("/v5/position/list", self._pair, PositionList, signed=True, is_exit=True)
        for row in answer.rows:
            if row.symbol == self._symbol and row.leverage:
                self.leverage = float_of(row.leverage)
        return position_of(self._grid, answer.rows, self._symbol)

    async def _wallet_usdt(self) -> float:
        params: Params = {"accountType": "UNIFIED", "coin": _COIN}
        answer = await self._rest.get("/v5/account/wallet-balance", params, WalletList, signed=True, is_exit=True)
        if not answer.rows:
            raise ExchangeError("Bybit shows no unified account.", "Upgrade the account to a unified one.")
        coin = answer.rows[0].coin(_COIN)
        return 0.0 if coin is None else float_of(coin.wallet_balance)

    async def _open_orders(self) -> list[OrderRow]:
        params: Params = {**self._pair, "openOnly": 0, "limit": _ORDERS_A_PAGE}
        pages = await self._pages("/v5/order/realtime", params, OrderList)
        rows = [row for page in pages for row in page.rows if row.symbol == self._symbol]
        return [row for row in rows if not order_of(self._grid, row).status.is_final]

    async def _executions(self, since_ms: int) -> list[ExecutionRow]:
        now_ms = self._rest.clock.now_ms()
        first_ms = max(since_ms, now_ms - _LONGEST_MS) if since_ms else now_ms - _SPAN_MS + MINUTE_MS
        rows: list[ExecutionRow] = []
        for start_ms in range(first_ms, max(now_ms, first_ms) + 1, _SPAN_MS):
            span = {"startTime": start_ms, "endTime": start_ms + _SPAN_MS - 1, "limit": _EXECUTIONS_A_PAGE}
            pages = await self._pages("/v5/execution/list", {**self._pair, **span}, ExecutionList)
            rows += [row for page in pages for row in page.rows]
        return rows

    async def _pages(self, path: str, params: Params, kind: type[PageKind]) -> list[PageKind]:
        """All pages of an answer; an exit may wait for them.

        Raises:
            ExchangeError: no answer, or the pages do not end.
        """
        ask = partial(self._rest.get, path, kind=kind, signed=True, is_exit=True)
        return await all_pages(ask, params, path)
