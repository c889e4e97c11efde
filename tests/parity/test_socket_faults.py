"""Every fault of the menu, alone and in pairs, through sockets: invariants hold, and in the end both sides agree."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import Any

import pytest

from tests.parity.storm import CREATE, FAULTS_FROM, FAULTS_UNTIL, MENU, Story, Trouble, weather
from your_short_trade_margin_call.domain.words import Account

ALONE_AT = (2, 8)
"""Before the first short, and while one is open."""
PAIRS = list(combinations(MENU, 2))
EVERY = 40
"""The suite plays each 40th pair; `make storm` plays them all, at more moments."""
BY_STREAM = [trouble for trouble in MENU if any(details.get("path") == CREATE for _, details in trouble.plan)]
"""Troubles of orders: they are told again where entries go by stream."""
BLOCKS = 4
AT_ONCE = 3
"""Stories told side by side: most of each is waiting."""


def moments_of(number: int) -> tuple[int, int]:
    """When the two faults of a pair begin: some way through the market, together or apart."""
    return FAULTS_FROM + number % 9, FAULTS_FROM + (number * 5) % (FAULTS_UNTIL - FAULTS_FROM - 8)


def tell(
    plots: list[tuple[tuple[Trouble, ...], tuple[int, ...]]], account: Account = Account.DEMO
) -> dict[str, list[str]]:
    """Play stories, some at a time; what broke, by their names."""
    broken: dict[str, list[str]] = {}

    async def one(gate: asyncio.Semaphore, troubles: tuple[Trouble, ...], at: tuple[int, ...]) -> None:
        async with gate:
            story = await weather(troubles, at, account)
        if story.broken:
            broken[" + ".join(trouble.name for trouble in troubles) + f" at {at}"] = story.broken

    async def everything() -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(one(gate, *plot) for plot in plots))

    asyncio.run(everything())
    return broken


def test_fair_weather_trades() -> None:
    """Without trades nothing would be proven."""
    story: Story = asyncio.run(weather((), ()))
    assert story.broken == []
    assert story.trades >= 4
    assert story.by_stream == 0


def test_fair_weather_trades_by_stream() -> None:
    story: Story = asyncio.run(weather((), (), Account.MAINNET))
    assert story.broken == []
    assert story.by_stream >= story.trades >= 4


def each_alone() -> list[Any]:
    """Every fault once, by turns at the two moments; at its other moment in `make test-long`."""
    cases = []
    for number, trouble in enumerate(MENU):
        for place, begins in enumerate(ALONE_AT):
            marks = [] if number % 2 == place else [pytest.mark.long]
            cases.append(pytest.param(trouble, begins, marks=marks, id=f"{trouble.name} at {begins}"))
    return cases


@pytest.mark.parametrize(("trouble", "begins"), each_alone())
def test_alone(trouble: Trouble, begins: int) -> None:
    assert tell([((trouble,), (begins,))]) == {}


@pytest.mark.parametrize("trouble", BY_STREAM, ids=lambda trouble: trouble.name)
def test_of_an_order_by_stream(trouble: Trouble) -> None:
    """Each strikes the entry on its way, or the answer to it."""
    story: Story = asyncio.run(weather((trouble,), (2,), Account.MAINNET))
    assert story.broken == []
    assert story.struck == 1
    assert story.by_stream >= 1


@pytest.mark.parametrize("block", range(BLOCKS))
def test_in_pairs(block: int) -> None:
    chosen = range(block * EVERY, len(PAIRS), BLOCKS * EVERY)
    assert tell([(PAIRS[number], moments_of(number)) for number in chosen]) == {}
