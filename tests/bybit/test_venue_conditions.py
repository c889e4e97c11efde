"""What outside the market forbids entries: told when it begins, told when it ends, exits go on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from tests.bybit.fake_bybit import QUICK, SYMBOL
from tests.bybit.test_venue_events import KEY, begin, new_bybit, next_of, nothing_more, run, trading
from tests.bybit.test_venue_rows import execution_row
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit.venue import BybitVenue
from your_short_trade_margin_call.domain.messages import ConditionChanged, StreamLost, StreamRestored
from your_short_trade_margin_call.domain.words import BlockReason

INSTRUMENTS = "/v5/market/instruments-info"


async def conditions(venue: BybitVenue, count: int = 1) -> list[tuple[BlockReason, bool]]:
    found = await next_of(venue, count)
    assert all(isinstance(event, ConditionChanged) for event in found)
    return [(e.condition, e.is_on) for e in found if isinstance(e, ConditionChanged)]


ALERT = replace(QUICK, resync_every_s=0.6)


def test_a_pair_that_leaves_or_stops_is_told_and_told_when_it_is_back() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit, timing=ALERT) as venue:
            await begin(bybit, venue)
            for row in (
                {"symbol": SYMBOL, "status": "Trading", "deliveryTime": "1749000000000"},
                {"symbol": SYMBOL, "status": "Settling"},
                {"symbol": "ETHUSDT"},
            ):
                bybit.answers[INSTRUMENTS] = lambda _, row=row: {"list": [row]}
                bybit.now_ms += 3_600_000
                await bybit.book(bybit.now_ms, "100.0", "100.2")
                assert (BlockReason.INSTRUMENT_NOT_TRADING, True) in await conditions_among(venue)
                bybit.answers[INSTRUMENTS] = lambda _: {"list": [{"symbol": SYMBOL, "deliveryTime": "0"}]}
                bybit.now_ms += 3_600_000
                await bybit.book(bybit.now_ms, "100.0", "100.2")
                assert (BlockReason.INSTRUMENT_NOT_TRADING, False) in await conditions_among(venue)

    run(go)


async def conditions_among(venue: BybitVenue) -> list[tuple[BlockReason, bool]]:
    """The next condition, whatever else happens before it."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in venue.events():
            if isinstance(event, ConditionChanged):
                return [(event.condition, event.is_on)]
    raise AssertionError("the events ended")


@pytest.mark.parametrize(
    "answer",
    [
        (33004, "Your api key has expired."),
        {"readOnly": 1, "permissions": {}},
        {"readOnly": 0, "permissions": {"Wallet": ["AccountTransfer", "Withdraw"]}},
    ],
)
def test_a_key_in_trouble_is_told(answer: tuple[int, str] | dict[str, object]) -> None:
    async def go() -> None:
        bybit = new_bybit()
        bybit.answers[KEY] = lambda _: answer
        async with trading(bybit, timing=ALERT) as venue:
            assert await conditions(venue) == [(BlockReason.EXCHANGE_ERROR, True)]
            bybit.answers[KEY] = lambda _: {"readOnly": 0, "permissions": {}}
            bybit.now_ms += 86_400_000
            await bybit.book(bybit.now_ms, "100.0", "100.2")
            assert (BlockReason.EXCHANGE_ERROR, False) in await conditions_among(venue)

    run(go)


def test_a_key_that_is_refused_when_the_stream_comes_back_is_told() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            bybit.accepts_key = False
            await bybit.drop(private=True)
            assert isinstance((await next_of(venue))[0], StreamLost)
            assert await conditions(venue) == [(BlockReason.EXCHANGE_ERROR, True)]
            bybit.accepts_key = True
            over, restored = await next_of(venue, 2)
            assert isinstance(over, ConditionChanged)
            assert not over.is_on
            assert isinstance(restored, StreamRestored)

    run(go)


def test_a_key_that_cannot_be_looked_at_is_no_trouble() -> None:
    """A demo account may not have the endpoint."""

    async def go() -> None:
        bybit = new_bybit()
        bybit.answers[KEY] = lambda _: (10001, "not supported here")
        async with trading(bybit, timing=ALERT) as venue:
            await begin(bybit, venue)
            await nothing_more(venue, 0.3)

    run(go)


def test_another_pair_in_the_account_is_told_once_and_stays() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit) as venue:
            await begin(bybit, venue)
            for number in range(2):
                row = execution_row(execId=f"x{number}", symbol="ETHUSDT", orderLinkId="by-hand")
                await bybit.private("execution", row)
            (event,) = await next_of(venue)
            assert isinstance(event, ConditionChanged)
            assert (event.condition, event.is_on) == (BlockReason.EXCHANGE_ERROR, True)
            assert event.why.startswith("ETHUSDT was ordered or traded in this account")
            await nothing_more(venue, 0.2)

    run(go)


def test_a_wrong_clock_is_told_and_a_full_budget_too() -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with trading(bybit, timing=ALERT) as venue:
            await begin(bybit, venue)
            rest = venue._rest
            rest.budget.forbid()
            assert await conditions(venue) == [(BlockReason.RATE_LIMITED, True)]
            rest.budget.allow_again(time.monotonic())
            assert await conditions(venue) == [(BlockReason.RATE_LIMITED, False)]
            rest.clock._skew_ms = -900.0
            assert await conditions(venue) == [(BlockReason.CLOCK_SKEW, True)]
            assert await conditions(venue) == [(BlockReason.CLOCK_SKEW, False)]

    run(go)
