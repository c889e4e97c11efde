"""Entries by stream: the same orders, refusals and silences as by REST; and by REST where the stream is not up."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.bybit.fake_bybit import until
from tests.bybit.look_alike import CALM, HISTORY, INSTRUMENT, QUICK, Bench, calm_candles, calm_world, with_venue
from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig
from your_short_trade_margin_call.adapters.bybit_server.building import Market, make_world
from your_short_trade_margin_call.adapters.bybit_server.request_log import LoggedRequest
from your_short_trade_margin_call.adapters.bybit_server.world import World
from your_short_trade_margin_call.domain.errors import KeyRefusedError, OrderRefusedError, OutcomeUnknownError
from your_short_trade_margin_call.domain.messages import ConditionChanged, OrderRequest
from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.domain.words import Account, OrderType, Purpose, Side

CREATE, TRADE = "/v5/order/create", "/v5/trade"
PATIENT = replace(QUICK, request_timeout_s=40.0)
"""For what ends a wait before its clock rings, however slow this computer is."""


def entry(link: str = "in", lots: int = 10) -> OrderRequest:
    return OrderRequest(
        link, Purpose.ENTRY, Side.SELL, OrderType.MARKET, lots, attached_stop_ticks=700_000, leverage=3.0
    )


def on_mainnet(talk: Callable[[Bench], Awaitable[None]], world: World | None = None, **options: object) -> None:
    with_venue(world or calm_world(), talk, account=Account.MAINNET, **options)


async def line_is_up(bench: Bench) -> None:
    await until(lambda: bench.venue.trade_line is not None and bench.venue.trade_line.is_up)  # type: ignore[union-attr]


def created(bench: Bench) -> list[LoggedRequest]:
    return [row for row in bench.world.requests.writes if row.path == CREATE]


def test_an_entry_goes_by_stream_with_its_stop_and_exits_by_rest() -> None:
    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        assert await bench.venue.place(entry())
        await bench.venue.place(OrderRequest("out", Purpose.CLOSE, Side.BUY, OrderType.MARKET, 10, reduce_only=True))
        first, second = created(bench)
        body = json.loads(first.body)
        assert (first.method, body["orderLinkId"], body["stopLoss"]) == ("WS", "in", "70000")
        assert (second.method, second.link_id) == ("POST", "out")
        found = await bench.venue.find("in")
        assert found is not None
        assert found.filled_lots == 10

    on_mainnet(talk, timing=PATIENT)


def test_the_answer_teaches_what_one_by_rest_does() -> None:
    """The limit of requests: another program that used some of them is noticed."""

    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        (account,) = bench.world.accounts.values()
        for _ in range(8):  # somebody else's
            account.counts.take(CREATE, 10, bench.world.timeline.stopwatch_s())
        await bench.venue.place(entry())
        assert bench.rest.budget.would_block()
        assert not bench.rest.budget.would_block(is_exit=True)

    on_mainnet(talk)


def test_a_refusal_has_the_name_it_has_by_rest() -> None:
    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        await bench.venue.place(entry())
        with pytest.raises(OrderRefusedError) as caught:
            await bench.venue.place(entry())
        assert (caught.value.code, caught.value.ret_code) == ("duplicate_link_id", 110072)
        assert [row.method for row in created(bench)] == ["WS", "WS"]

    on_mainnet(talk)


def test_cut_before_its_answer_the_order_is_of_unknown_fate_and_sent_once() -> None:
    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        bench.world.requests.on_arrival = lambda row: bench.server.streams.drop(TRADE) if row.path == CREATE else None
        with pytest.raises(OutcomeUnknownError, match="connection broke"):
            await bench.venue.place(entry())
        assert len(created(bench)) == 1
        found = await bench.venue.find("in")
        assert found is not None  # it was carried out: whoever sent it again would be short twice
        assert found.filled_lots == 10

    on_mainnet(talk, timing=PATIENT)


def test_an_answer_that_stays_out_is_of_unknown_fate_too() -> None:
    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        bench.server.streams.silence(TRADE)
        # Whichever clock rings first: that of the answer, or that of the silence, which ends the connection.
        with pytest.raises(OutcomeUnknownError, match=r"in time|the connection broke"):
            await bench.venue.place(entry())
        assert await bench.venue.find("in") is None

    on_mainnet(talk)


def test_an_answer_that_cannot_be_read_is_of_unknown_fate_at_once() -> None:
    """Nobody waits out the clock of an answer that has come: the order is looked for without delay."""

    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        bench.server.faults.plan("truncated", path=CREATE)
        with pytest.raises(OutcomeUnknownError, match="unreadable"):
            await bench.venue.place(entry())
        assert len(created(bench)) == 1
        assert await bench.venue.find("in") is not None

    on_mainnet(talk, timing=PATIENT)


def test_while_the_line_is_down_entries_go_by_rest_and_by_stream_again_once_it_is_back() -> None:
    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        line = bench.venue.trade_line  # type: ignore[union-attr]
        assert line is not None
        bench.server.streams.drop(TRADE)
        await until(lambda: not line.is_up)
        await bench.venue.place(entry("down"))
        await line_is_up(bench)
        await bench.venue.place(entry("up"))
        assert [(row.method, row.link_id) for row in created(bench)] == [("POST", "down"), ("WS", "up")]
        assert not bench.venue.market.public.faults  # the market never heard of it

    on_mainnet(talk)


def test_an_account_without_the_stream_trades_by_rest() -> None:
    """The exchange refuses it where the address did not tell: entries are as good as ever."""
    market = Market(INSTRUMENT, calm_candles())
    world = make_world([market], CALM, history_ms=HISTORY * CANDLE_MS, config=AccountConfig(demo=True))

    async def talk(bench: Bench) -> None:
        line = bench.venue.trade_line  # type: ignore[union-attr]
        assert line is not None
        await until(lambda: line.stream.faults["refused"])
        await bench.venue.place(entry())
        assert [row.method for row in created(bench)] == ["POST"]
        assert bench.of(ConditionChanged) == []  # nothing blocks them

    on_mainnet(talk, world, timing=PATIENT)


def test_a_key_that_is_no_longer_accepted_is_told_as_by_rest() -> None:
    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        (account,) = bench.world.accounts.values()
        account.config.is_key_expired = True
        with pytest.raises(KeyRefusedError):
            await bench.venue.place(entry())

    on_mainnet(talk)


@pytest.mark.parametrize("account", list(Account))
def test_only_accounts_that_have_the_stream_are_sent_there(account: Account) -> None:
    has_one = account in (Account.MAINNET, Account.TESTNET)
    name = {Account.MAINNET: "stream", Account.TESTNET: "stream-testnet"}.get(account)
    assert endpoint_for(account).trade_stream == (f"wss://{name}.bybit.com/v5/trade" if has_one else "")
    here = endpoint_for(account, "http://127.0.0.1:8080").trade_stream
    assert here == ("ws://127.0.0.1:8080/v5/trade" if has_one else "")


def test_closing_the_venue_ends_the_line() -> None:
    async def talk(bench: Bench) -> None:
        await line_is_up(bench)
        await bench.venue.close()
        await until(lambda: not bench.server.streams.open(TRADE))
        assert not bench.venue.trade_line.is_up  # type: ignore[union-attr]

    on_mainnet(talk)
