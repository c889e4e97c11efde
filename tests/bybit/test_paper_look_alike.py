"""Paper trading on the look-alike's prices: followed at speed, killed again and again, and nothing is ever lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.bybit.look_alike import SYMBOL, calm_world, open_of, serving, trading
from tests.bybit.test_venue_look_alike import SELL, closed
from tests.bybit.trading_runs import USUAL, engine_on, invented, world_of
from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.bybit.paper_account import PaperAccountFile
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.messages import Executed
from your_short_trade_margin_call.domain.words import ExecutionKind


def test_a_paper_short_lives_on_the_prices_of_the_look_alike(tmp_path: Path) -> None:
    async def go() -> None:
        store = PaperAccountFile(tmp_path / "paper.json")
        async with asyncio.timeout(PATIENCE_S), serving(calm_world()) as server, trading(server, paper=store) as bench:
            await bench.heard(lambda: bench.openings)
            await bench.venue.place(SELL)
            await bench.step(6)  # a settlement of 0.0015 lies before candle 15
            await bench.heard(lambda: len(closed(bench)) == 6 and len(bench.of(Executed)) == 2)
            entry, funding = (await bench.venue.account(0)).executions
            assert (entry.price_ticks, entry.candle_ms) == (600_100.0, open_of(10))
            assert (funding.kind, funding.time_ms) == (ExecutionKind.FUNDING, open_of(15))
            assert funding.fee_usdt == pytest.approx(-0.01 * funding.price_ticks * 0.1 * 0.0015)
            assert not bench.world.requests.writes  # the exchange hears of nothing

    asyncio.run(go())


KILLS = 4


def test_killed_again_and_again_journal_and_account_agree_in_the_end(tmp_path: Path) -> None:
    """The engine is cut off at any moment, then starts again from its journal and the account's file."""

    async def life(server: object, journal: SqliteJournal, store: PaperAccountFile, seconds: float) -> None:
        async with trading(server, paper=store, settings=USUAL, is_read=False) as bench:  # type: ignore[arg-type]
            task = asyncio.create_task(engine_on(bench.venue, journal, bench.rest.clock).run())
            await asyncio.wait([task], timeout=seconds)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]

    async def go() -> None:
        journal, store = SqliteJournal(":memory:"), PaperAccountFile(tmp_path / "paper.json")
        async with asyncio.timeout(PATIENCE_S), serving(world_of(invented(200), speed=600.0)) as server:
            for k in range(KILLS):
                await life(server, journal, store, 0.9 + 0.31 * k)
            async with trading(server, paper=store, settings=USUAL, is_read=False) as bench:
                engine = engine_on(bench.venue, journal, bench.rest.clock)
                await engine.start()
                account = await bench.venue.account(0)
        booked = {execution.exec_id: execution for execution in journal.executions()}
        assert booked == {execution.exec_id: execution for execution in account.executions}
        assert len(booked) >= 2
        lots = sum(e.lots * e.side for e in account.executions if e.kind is not ExecutionKind.FUNDING)
        assert lots == (account.position.lots if account.position is not None else 0)
        assert all(execution.link_id.startswith(SYMBOL) or not execution.link_id for execution in account.executions)

    asyncio.run(go())
