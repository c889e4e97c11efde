"""Every fault of the menu, alone and in pairs, through sockets: invariants hold, and in the end both sides agree."""

from __future__ import annotations

import asyncio
from itertools import combinations

import pytest

from tests.parity.storm import FAULTS_FROM, FAULTS_UNTIL, MENU, Story, Trouble, weather

ALONE_AT = (2, 8)
"""Before the first short, and while one is open."""
PAIRS = list(combinations(MENU, 2))
EVERY = 40
"""The suite plays each 40th pair; `make storm` plays them all, at more moments."""
BLOCKS = 4
AT_ONCE = 3
"""Stories told side by side: most of each is waiting."""


def moments_of(number: int) -> tuple[int, int]:
    """When the two faults of a pair begin: some way through the market, together or apart."""
    return FAULTS_FROM + number % 9, FAULTS_FROM + (number * 5) % (FAULTS_UNTIL - FAULTS_FROM - 8)


def tell(plots: list[tuple[tuple[Trouble, ...], tuple[int, ...]]]) -> dict[str, list[str]]:
    """Play stories, some at a time; what broke, by their names."""
    broken: dict[str, list[str]] = {}

    async def one(gate: asyncio.Semaphore, troubles: tuple[Trouble, ...], at: tuple[int, ...]) -> None:
        async with gate:
            story = await weather(troubles, at)
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


@pytest.mark.parametrize("trouble", MENU, ids=lambda trouble: trouble.name)
def test_alone(trouble: Trouble) -> None:
    assert tell([((trouble,), (begins,)) for begins in ALONE_AT]) == {}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_in_pairs(block: int) -> None:
    chosen = range(block * EVERY, len(PAIRS), BLOCKS * EVERY)
    assert tell([(PAIRS[number], moments_of(number)) for number in chosen]) == {}
