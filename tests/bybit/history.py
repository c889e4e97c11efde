"""What the history tests share: a client of the fake market, quick to give up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from tests.bybit.market_server import FakeMarket, serving
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit.market_data import MarketData, open_market_data
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.domain.words import Account

T = TypeVar("T")
QUICK = Timing(retry_s=(0.01, 0.01, 0.01))


def opener(url: str) -> Callable[[], AbstractAsyncContextManager[MarketData]]:
    """Opens connections to an address."""
    return lambda: open_market_data(endpoint_for(Account.PAPER, url), QUICK)


def asking(market: FakeMarket, question: Callable[[MarketData], Awaitable[T]]) -> T:
    """Start the market, ask it something, and stop it."""

    async def ask(url: str) -> T:
        async with opener(url)() as data:
            return await question(data)

    with serving(market) as url:
        return asyncio.run(ask(url))
