"""The capital of the program inside a larger wallet: the engine sees its own part and nothing of the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.composition.ours import unbooked_entry_lots
from your_short_trade_margin_call.domain.messages import AccountView, Candle, Event, Order, OrderRequest
from your_short_trade_margin_call.domain.ports import Exchange

BESIDE = "wallet_beside_usdt"
"""The journal's word for what the wallet held beyond the capital when it began, in USDT."""


def beside_capital(journal: SqliteJournal, wallet_usdt: float, capital_usdt: float) -> float:
    """What of the wallet is not the program's. Settled when the first entry is on its way, and then never again.

    Until then money may come and go. Later a difference is the program's to explain.
    """
    known = journal.meta().get(BESIDE)
    if known is not None and (journal.executions() or unbooked_entry_lots(journal)):
        return float(known)
    beside = wallet_usdt - capital_usdt
    journal.set_meta(BESIDE, repr(beside))
    return beside


class CapitalOnly:
    """Implements `ports.Exchange` around another one: the wallet it shows is less by what is not the program's.

    So a size is worked out from the capital, however much lies beside it.
    """

    def __init__(self, venue: Exchange, beside_usdt: float) -> None:
        self._venue = venue
        self._beside_usdt = beside_usdt

    async def place(self, request: OrderRequest) -> str:
        """Send an order."""
        return await self._venue.place(request)

    async def amend_stop(self, trigger_ticks: int) -> None:
        """Move the protective stop."""
        await self._venue.amend_stop(trigger_ticks)

    async def cancel(self, link_id: str) -> None:
        """Cancel an order."""
        await self._venue.cancel(link_id)

    async def find(self, link_id: str) -> Order | None:
        """The order with this id of ours."""
        return await self._venue.find(link_id)

    async def account(self, executions_since_ms: int) -> AccountView:
        """The account, with the program's part of the wallet."""
        view = await self._venue.account(executions_since_ms)
        return replace(view, wallet_usdt=view.wallet_usdt - self._beside_usdt)

    async def candles(self, count: int) -> tuple[Candle, ...]:
        """The last closed candles."""
        return await self._venue.candles(count)

    def events(self) -> AsyncIterator[Event]:
        """Everything that happens."""
        return self._venue.events()
