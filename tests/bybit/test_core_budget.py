"""Never more requests than allowed in any window; exits are never starved by others."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bybit.core_server import Stopwatch
from your_short_trade_margin_call.adapters.bybit.budget import (
    ADDRESS_ALLOWED,
    ADDRESS_SPAN_S,
    ALLOWED_PER_S,
    KIND_OF_PATH,
    Budget,
    LimitNews,
    RequestKind,
    Window,
    kind_of,
)
from your_short_trade_margin_call.domain.errors import ForbiddenError

STEPS = st.lists(
    st.tuples(st.floats(0.0, 0.4), st.integers(1, 12), st.booleans()),
    max_size=25,
)
"""A pause in seconds, a burst of so many requests, whether they are exits."""


def budget_on(watch: Stopwatch) -> Budget:
    return Budget(watch, watch.sleep)


def most_within(times: list[float], span_s: float) -> int:
    """The largest number of moments that fit into one half-open window."""
    return max((sum(start <= each < start + span_s for each in times) for start in times), default=0)


@settings(deadline=None)
@given(STEPS, st.integers(1, 20), st.integers(0, 20))
def test_a_window_is_never_overfull_and_keeps_places_for_exits(
    steps: list[tuple[float, int, bool]], allowed: int, reserve: int
) -> None:
    window, now_s = Window(allowed, 1.0, reserve), 0.0
    left: list[tuple[float, bool]] = []
    for pause_s, burst, is_exit in steps:
        now_s += pause_s
        for _ in range(burst):
            exits = sum(flag for moment, flag in left if moment > now_s - 1.0)
            wait_s = window.wait_s(now_s, is_exit=is_exit)
            if is_exit and exits < min(reserve, allowed - 1):
                assert wait_s == 0.0
            if wait_s == 0.0:
                window.note(now_s)
                left.append((now_s, is_exit))
            else:
                assert 0.0 < wait_s < 1.0 + 1e-9
    times = [moment for moment, _ in left]
    assert most_within(times, 1.0) <= allowed
    others = [moment for moment, is_exit in left if not is_exit]
    assert most_within(others, 1.0) <= max(1, allowed - reserve)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(RequestKind)), st.booleans()), max_size=80))
def test_whoever_waits_for_a_place_finds_a_true_one(requests: list[tuple[RequestKind, bool]]) -> None:
    watch = Stopwatch()
    budget = budget_on(watch)
    left: list[tuple[float, RequestKind]] = []

    async def run() -> None:
        for kind, is_exit in requests:
            assert await budget.take(kind, is_exit=is_exit)
            left.append((watch.now_s, kind))

    asyncio.run(run())
    for kind in RequestKind:
        assert most_within([moment for moment, each in left if each is kind], 1.0) <= ALLOWED_PER_S[kind]
    assert most_within([moment for moment, _ in left], ADDRESS_SPAN_S) <= ADDRESS_ALLOWED


def test_many_at_once_share_the_windows() -> None:
    watch = Stopwatch()
    budget = budget_on(watch)
    left: list[float] = []

    async def one(is_exit: bool) -> None:
        await budget.take(RequestKind.CREATE, is_exit=is_exit)
        left.append(watch.now_s)

    async def run() -> None:
        await asyncio.gather(*(one(number % 3 == 0) for number in range(60)))

    asyncio.run(run())
    assert len(left) == 60
    assert most_within(left, 1.0) <= 10


def test_the_address_has_a_limit_of_its_own() -> None:
    watch = Stopwatch()
    budget = budget_on(watch)
    kinds = [kind for kind in RequestKind if ALLOWED_PER_S[kind] >= 50]

    async def run() -> tuple[int, int]:
        count = 0
        while await budget.take(kinds[count % len(kinds)], is_exit=False, patience_s=2.0) and watch.now_s < 1_003:
            count += 1
            watch.now_s += 0.001
        exits = 0
        while await budget.take(RequestKind.CANCEL, is_exit=True, patience_s=0.0):
            exits += 1
        return count, exits

    count, exits = asyncio.run(run())
    assert count <= ADDRESS_ALLOWED - 60
    assert exits == 10


def test_no_place_in_time_takes_nothing() -> None:
    watch = Stopwatch()
    budget = budget_on(watch)

    async def run() -> None:
        budget.penalty(RequestKind.CREATE, 4.0)
        assert not await budget.take(RequestKind.CREATE, is_exit=False, patience_s=3.0)
        assert watch.slept == []
        assert await budget.take(RequestKind.CREATE, is_exit=True, patience_s=5.0)
        assert watch.slept == [4.0]
        assert await budget.take(RequestKind.CANCEL, is_exit=False, patience_s=0.0)

    asyncio.run(run())


def test_the_limit_that_answers_name_is_believed() -> None:
    watch = Stopwatch()
    budget = budget_on(watch)
    budget.learn(RequestKind.CREATE, LimitNews(allowed=20, left=20))

    async def run() -> int:
        count = 0
        while await budget.take(RequestKind.CREATE, is_exit=False, patience_s=0.0):
            count += 1
        return count

    assert asyncio.run(run()) == 14
    budget.learn(RequestKind.CREATE, LimitNews(allowed=0, left=-3))
    assert budget.would_block(is_exit=True)
    watch.now_s += 1.2
    assert not budget.would_block()
    budget.learn(RequestKind.CREATE, LimitNews(allowed=1))
    assert not budget.would_block()


def test_requests_still_on_their_way_are_not_forgotten() -> None:
    """An answer counts what the server has seen; what we sent since counts all the same."""
    watch = Stopwatch()
    budget = budget_on(watch)

    async def run() -> None:
        for _ in range(6):
            await budget.take(RequestKind.CREATE, is_exit=False)
        budget.learn(RequestKind.CREATE, LimitNews(allowed=10, left=9))
        assert not budget.would_block()
        await budget.take(RequestKind.CREATE, is_exit=False)
        assert budget.would_block()

    asyncio.run(run())


def test_a_ban_holds_until_a_later_request_is_answered() -> None:
    watch = Stopwatch()
    budget = budget_on(watch)
    budget.forbid()

    async def run() -> None:
        with pytest.raises(ForbiddenError, match="600 s"):
            await budget.take(RequestKind.POSITION, is_exit=False)
        budget.allow_again(sent_s=watch.now_s - 0.1)  # it was on its way before the ban
        with pytest.raises(ForbiddenError):
            await budget.take(RequestKind.POSITION, is_exit=True)
        watch.now_s += 30
        assert budget.would_block(is_exit=True)
        assert await budget.take(RequestKind.POSITION, is_exit=True)
        with pytest.raises(ForbiddenError):
            await budget.take(RequestKind.POSITION, is_exit=True)
        budget.allow_again(sent_s=watch.now_s)
        assert await budget.take(RequestKind.POSITION, is_exit=False)

    asyncio.run(run())


def test_every_path_has_a_kind_and_every_kind_a_limit() -> None:
    assert set(ALLOWED_PER_S) == set(RequestKind)
    assert {kind_of(path) for path in KIND_OF_PATH} | {RequestKind.MARKET} == set(RequestKind)
    assert kind_of("/v5/market/kline") is RequestKind.MARKET
    assert ALLOWED_PER_S[kind_of("/v5/order/create")] == 10
    assert ALLOWED_PER_S[kind_of("/v5/account/fee-rate")] == 5
    assert ALLOWED_PER_S[kind_of("/v5/execution/list")] == 50
    assert kind_of("/v5/something/new") is RequestKind.ACCOUNT
