"""The paper account: fills at live quotes, settlements at their time, nothing lost by a kill, nothing missed away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.bybit.fake_bybit import QUICK, STEP, SYMBOL, T0, FakeBybit, client, serving, until
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit.paper_account import PaperAccountFile
from your_short_trade_margin_call.adapters.bybit.paper_venue import PaperVenue
from your_short_trade_margin_call.domain.errors import ArtefactError, DiskError, ExchangeError, OrderRefusedError
from your_short_trade_margin_call.domain.messages import (
    CandleClosed,
    ConditionChanged,
    Event,
    Executed,
    OrderRequest,
    QuoteArrived,
    StreamLost,
    StreamRestored,
)
from your_short_trade_margin_call.domain.words import BlockReason, ExecutionKind, OrderType, Purpose, Side
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.settings import Settings
from your_short_trade_margin_call.trading.ids import link_id

CALM = Settings(spread_bps=0.0, slippage_bps=0.0, order_reject_prob=0.0)
FLAT = ("1000", "1001", "999", "1000")
FUNDING, MARKS = "/v5/market/funding/history", "/v5/market/mark-price-kline"
ENTRY, TARGET = link_id(SYMBOL, T0, Purpose.ENTRY), link_id(SYMBOL, T0, Purpose.TARGET)
SELL = OrderRequest(
    ENTRY, Purpose.ENTRY, Side.SELL, OrderType.MARKET, 100, attached_stop_ticks=12_000, leverage=3.0
)  # fmt: skip
BUY = OrderRequest(TARGET, Purpose.TARGET, Side.BUY, OrderType.LIMIT, 100, 9_900, reduce_only=True)


def new_bybit(**other: Any) -> FakeBybit:
    bybit = FakeBybit(**other)
    bybit.candles = {T0 - i * STEP: FLAT for i in range(1, 4)}
    bybit.keep_candles()
    return bybit


@asynccontextmanager
async def trading(bybit: FakeBybit, path: Path, **options: Any) -> AsyncIterator[PaperVenue]:
    """The venue on a running exchange, with a book."""
    store = options.pop("store", None) or PaperAccountFile(path)
    async with client(bybit, QUICK) as rest:
        venue = PaperVenue(
            rest, find_instrument(SYMBOL), CALM, store, quote_every_s=1e9, late_confirm_s=0.05, **options
        )
        try:
            await venue.open()
            await bybit.book(bybit.now_ms, "999.9", "1000.1")
            await until(lambda: venue.market.feed.book is not None)
            yield venue
        finally:
            await venue.close()


async def news(venue: PaperVenue, kind: type[Event], seconds: float = 5.0) -> Event:
    """The next event of a kind."""
    async with asyncio.timeout(seconds):
        async for event in venue.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the events ended")


async def executions(venue: PaperVenue) -> list[tuple[ExecutionKind, int, float]]:
    return [(e.kind, e.lots, e.price_ticks) for e in (await venue.account(0)).executions]


def kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_an_entry_fills_at_the_mid_and_is_on_the_disk_before_the_answer(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, path = new_bybit(), tmp_path / "account.json"
        async with serving(bybit), trading(bybit, path) as venue:
            assert await news(venue, QuoteArrived) == QuoteArrived(T0, 10_000.0, T0)
            await venue.place(SELL)
            assert [row["price_ticks"] for row in kept(path)["exchange"]["executions"]] == [10_000.0]
            done = await news(venue, Executed)
            assert isinstance(done, Executed)
            assert (done.execution.lots, done.execution.candle_ms) == (100, T0)
            view = await venue.account(0)
            assert view.position is not None
            assert view.position.stop_ticks == 12_000

    asyncio.run(go())


def test_quotes_fill_the_target_and_fire_the_stop_by_the_mark(tmp_path: Path) -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with serving(bybit), trading(bybit, tmp_path / "a.json") as venue:
            await venue.place(SELL)
            await venue.place(BUY)
            await bybit.book(T0 + 1, "989.9", "990.1")  # touches, does not go through
            await bybit.book(T0 + 2, "989.8", "989.9")
            await until(lambda: len(venue._desk.exchange.executions) == 2)
            assert (await executions(venue))[1] == (ExecutionKind.TRADE, 100, 9_900.0)
            second = OrderRequest(
                link_id(SYMBOL, T0 + STEP, Purpose.ENTRY), Purpose.ENTRY, Side.SELL, OrderType.MARKET, 100,
                attached_stop_ticks=12_000, leverage=3.0,
            )  # fmt: skip
            await venue.place(second)
            await bybit.ticker(T0 + 3, "snapshot", markPrice="1200.0")
            await bybit.book(T0 + 4, "1150.0", "1150.2")
            await until(lambda: len(venue._desk.exchange.executions) == 4)
            assert venue._desk.exchange.executions[3].from_stop

    asyncio.run(go())


def test_only_what_changes_is_written(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, store = new_bybit(), PaperAccountFile(tmp_path / "a.json")
        async with serving(bybit), trading(bybit, tmp_path, store=store) as venue:
            assert store.writes == 1
            for i in range(50):
                await bybit.book(T0 + i, "999.9", f"1000.{i % 5 + 1}")
            await bybit.candle(T0, FLAT)
            await news(venue, CandleClosed)
            assert store.writes == 1  # flat: nothing is at stake
            await venue.place(SELL)
            await venue.amend_stop(12_000)
            await venue.cancel("nobody's")
            assert store.writes == 2
            await bybit.candle(T0 + STEP, FLAT)
            await news(venue, CandleClosed)
            assert store.writes == 3  # a heartbeat while a position is open

    asyncio.run(go())


def test_a_settlement_comes_at_its_time_with_the_settled_rate(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, due = new_bybit(), T0 + STEP
        bybit.answers[FUNDING] = lambda _: {
            "list": [{"symbol": SYMBOL, "fundingRate": "0.001", "fundingRateTimestamp": str(due)}]
        }
        bybit.answers[MARKS] = lambda _: {"list": [[str(T0), "1000", "1020", "990", "1010"]]}
        async with serving(bybit), trading(bybit, tmp_path / "a.json") as venue:
            await bybit.ticker(T0, "snapshot", markPrice="1000", fundingRate="0.5", nextFundingTime=str(due))
            await venue.place(SELL)
            await bybit.ticker(due, nextFundingTime=str(due + 160 * STEP))
            await bybit.book(due, "999.9", "1000.1")
            await until(lambda: len(venue._desk.exchange.executions) == 2)
            (kind, _, price) = (await executions(venue))[1]
            assert (kind, price) == (ExecutionKind.FUNDING, 10_100.0)
            assert venue._desk.exchange.executions[1].fee_usdt == pytest.approx(-0.1 * 1_010 * 0.001)
            assert venue._desk.exchange.funding_settled_ms == due

    asyncio.run(go())


def test_where_history_lags_the_last_rate_that_was_told_is_settled(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, due = new_bybit(), T0 + STEP
        async with serving(bybit), trading(bybit, tmp_path / "a.json") as venue:
            await bybit.ticker(T0, "snapshot", markPrice="1005", fundingRate="-0.002", nextFundingTime=str(due))
            await venue.place(SELL)
            await bybit.ticker(due, markPrice="1090", fundingRate="0.9", nextFundingTime=str(due + 160 * STEP))
            await bybit.book(due + 3, "999.9", "1000.1")
            await until(lambda: len(venue._desk.exchange.executions) == 2)
            assert venue._desk.exchange.executions[1].fee_usdt == pytest.approx(0.1 * 1_005 * 0.002)

    asyncio.run(go())


def test_a_position_opened_after_a_settlement_owes_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, due = new_bybit(), T0 + STEP
        async with serving(bybit), trading(bybit, tmp_path / "a.json") as venue:
            await bybit.ticker(T0, "snapshot", markPrice="1000", fundingRate="0.5", nextFundingTime=str(due))
            await bybit.book(due, "999.9", "1000.1")
            await until(lambda: venue._desk.exchange.funding_settled_ms == due)
            await venue.place(SELL)
            await bybit.book(due + 5, "999.9", "1000.2")
            await until(lambda: venue.market.feed.book.ts_ms == due + 5)
            assert len(await executions(venue)) == 1
            assert bybit.questions(FUNDING) == []

    asyncio.run(go())


def test_after_a_kill_the_account_is_there_and_missed_candles_have_acted(tmp_path: Path) -> None:
    """Away for three candles: the second one reached the stop, the adverse move first, and then the target."""

    async def go() -> None:
        bybit, path = new_bybit(), tmp_path / "a.json"
        async with serving(bybit):
            async with trading(bybit, path) as venue:
                await venue.place(SELL)
                await venue.place(BUY)
            assert not bybit.lines
            bybit.candles |= {T0: FLAT, T0 + STEP: ("1000", "1300", "900", "1000"), T0 + 2 * STEP: FLAT}
            bybit.now_ms = T0 + 3 * STEP
            async with trading(bybit, path) as venue:
                first, second = (await venue.account(0)).executions
                assert (first.side, second.side) == (Side.SELL, Side.BUY)
                assert second.from_stop
                assert second.candle_ms == T0 + STEP
                assert second.price_ticks == 12_000.0
                assert await news(venue, Executed) == Executed(second)

    asyncio.run(go())


def test_settlements_missed_while_away_are_booked_with_their_marks(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, path = new_bybit(), tmp_path / "a.json"
        async with serving(bybit):
            async with trading(bybit, path) as venue:
                await venue.place(SELL)
            bybit.candles |= {T0 + i * STEP: FLAT for i in range(3)}
            bybit.now_ms = T0 + 3 * STEP
            dues = (T0 + STEP, T0 + 3 * STEP)
            bybit.answers[FUNDING] = lambda _: {
                "list": [
                    {"symbol": SYMBOL, "fundingRate": "0.001", "fundingRateTimestamp": str(due)} for due in dues[::-1]
                ]
            }
            bybit.answers[MARKS] = lambda _: {"list": [[str(T0), "1000", "1020", "1000", "1010"]]}
            for _ in range(2):  # a second start books nothing twice
                async with trading(bybit, path) as venue:
                    assert [row[::2] for row in (await executions(venue))[1:]] == [
                        (ExecutionKind.FUNDING, 10_100.0),
                        (ExecutionKind.FUNDING, 10_000.0),
                    ]

    asyncio.run(go())


def test_a_flat_account_asks_for_nothing_when_it_returns(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, path = new_bybit(), tmp_path / "a.json"
        async with serving(bybit):
            async with trading(bybit, path):
                pass
            bybit.candles |= {T0 + i * STEP: FLAT for i in range(500)}
            bybit.now_ms = T0 + 500 * STEP
            async with trading(bybit, path) as venue:
                assert (await venue.account(0)).wallet_usdt == CALM.starting_balance
            assert bybit.questions(MARKS) == []

    asyncio.run(go())


def test_what_happened_while_the_stream_was_lost_is_made_up_for_before_it_counts_as_restored(tmp_path: Path) -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with serving(bybit), trading(bybit, tmp_path / "a.json") as venue:
            await venue.place(SELL)
            await news(venue, Executed)
            bybit.accepts_connections = False
            await bybit.drop()
            await news(venue, StreamLost)
            with pytest.raises(OrderRefusedError) as caught:
                await venue.place(BUY)
            assert caught.value.code == "no_quote"
            bybit.candles |= {T0: ("1000", "1250", "1000", "1000"), T0 + STEP: FLAT}
            bybit.now_ms = T0 + 2 * STEP
            bybit.accepts_connections = True
            seen: list[str] = []
            async with asyncio.timeout(PATIENCE_S):
                async for event in venue.events():
                    seen.append(type(event).__name__)
                    if isinstance(event, StreamRestored):
                        break
            assert [name for name in seen if name != "OrderChanged"] == [
                "Executed", "CandleClosed", "CandleClosed", "StreamRestored",
            ]  # fmt: skip
            assert (await venue.account(0)).position is None

    asyncio.run(go())


def test_a_candle_seen_only_in_part_acts_as_a_whole_but_not_on_what_began_later(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, path = new_bybit(), tmp_path / "a.json"
        async with serving(bybit):
            async with trading(bybit, path) as venue:
                await venue.place(SELL)
            bybit.now_ms = T0 + 60_000  # back within the same candle
            async with trading(bybit, path) as venue:
                await bybit.candle(T0, ("1000", "1250", "1000", "1000"))
                await news(venue, CandleClosed)
                assert venue._desk.exchange.executions[-1].from_stop
                later = OrderRequest(
                    link_id(SYMBOL, T0 + STEP, Purpose.ENTRY), Purpose.ENTRY, Side.SELL, OrderType.MARKET, 100,
                    attached_stop_ticks=12_000, leverage=3.0,
                )  # fmt: skip
                await bybit.book(T0 + STEP, "999.9", "1000.1")
                await until(lambda: venue.market.feed.book.ts_ms == T0 + STEP)
                await venue.place(later)
                await bybit.candle(T0 + STEP, ("1000", "1250", "1000", "1000"))  # every quote of it was seen
                await news(venue, CandleClosed)
                assert (await venue.account(0)).position is not None

    asyncio.run(go())


def test_requests_wait_for_the_past_and_then_say_so(tmp_path: Path) -> None:
    async def go() -> None:
        bybit = new_bybit()
        async with serving(bybit), trading(bybit, tmp_path / "a.json") as venue:
            await venue.place(SELL)
            bybit.answers[MARKS] = lambda _: web.Response(status=502)
            await bybit.drop()
            await news(venue, StreamLost)
            bybit.candles[T0] = FLAT
            bybit.now_ms = T0 + STEP
            await until(lambda: venue.market.is_up)
            with pytest.raises(ExchangeError, match="catching up"):
                await venue.account(0)
            with pytest.raises(OrderRefusedError):
                await venue.place(BUY)
            bybit.answers[MARKS] = lambda _: {"list": []}
            await news(venue, StreamRestored)
            assert (await venue.account(0)).position is not None

    asyncio.run(go())


def test_another_pairs_account_or_a_newer_one_is_refused(tmp_path: Path) -> None:
    async def go() -> None:
        bybit, path = new_bybit(), tmp_path / "a.json"
        async with serving(bybit):
            async with trading(bybit, path):
                pass
            document = kept(path)
            for change in ({"symbol": "ETHUSDT"}, {"schema_version": 99}):
                path.write_text(json.dumps(document | change))
                with pytest.raises(ArtefactError):
                    async with trading(bybit, path):
                        pass

    asyncio.run(go())


def test_a_disk_that_fails_forbids_entries_and_exits_go_on(tmp_path: Path) -> None:
    class FullDisk(PaperAccountFile):
        is_full = False

        def save(self, state: Any) -> None:
            if self.is_full:
                raise DiskError("There is no space left.")
            super().save(state)

    async def go() -> None:
        bybit, store = new_bybit(), FullDisk(tmp_path / "a.json")
        async with serving(bybit), trading(bybit, tmp_path, store=store) as venue:
            await venue.place(SELL)
            store.is_full = True
            await venue.place(BUY)
            trouble = await news(venue, ConditionChanged)
            assert isinstance(trouble, ConditionChanged)
            assert (trouble.condition, trouble.is_on) == (BlockReason.EXCHANGE_ERROR, True)
            store.is_full = False
            await venue.cancel(TARGET)
            over = await news(venue, ConditionChanged)
            assert isinstance(over, ConditionChanged)
            assert not over.is_on
            assert kept(store.path)["exchange"]["open_orders"] == []

    asyncio.run(go())
