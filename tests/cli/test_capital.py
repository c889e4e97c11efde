"""The program's capital inside a larger wallet, and what the journal says of an account before it is asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.composition.capital import CapitalOnly, beside_capital
from your_short_trade_margin_call.composition.ours import Standing, balance_to_use, read_standing, standing_to_trade_on
from your_short_trade_margin_call.domain.errors import ArtefactError, BadInputError
from your_short_trade_margin_call.domain.messages import AccountView, Execution, OrderRequest
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderType, Purpose, Side
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.trading.ids import link_id

T = 1_750_000_000_000
SALE = Execution(link_id="", exec_id="1", kind=ExecutionKind.TRADE, side=Side.SELL, lots=21, price_ticks=600_000.0,
                 fee_usdt=0.7, is_maker=False, time_ms=T, candle_ms=T)  # fmt: skip
ENTRY = OrderRequest(link_id("BTCUSDT", T, Purpose.ENTRY), Purpose.ENTRY, Side.SELL, OrderType.MARKET, 21)


class Rich:
    """An account with more in it than the program may use."""

    async def account(self, executions_since_ms: int) -> AccountView:
        return AccountView(T, 10_000.0, None, (), ())


def test_the_engine_sees_the_capital_only() -> None:
    venue: Any = Rich()
    assert asyncio.run(CapitalOnly(venue, 9_700.0).account(0)).wallet_usdt == pytest.approx(300.0)


def test_what_lies_beside_is_settled_with_the_first_trade() -> None:
    with SqliteJournal(":memory:") as journal:
        assert beside_capital(journal, 10_000.0, 300.0) == 9_700.0
        assert beside_capital(journal, 400.0, 300.0) == 100.0, "money may come and go until then"
        journal.execution(SALE)
        assert beside_capital(journal, 10_000.0, 300.0) == 100.0


def test_the_fee_of_an_entry_that_a_kill_left_unbooked_is_no_money_from_outside() -> None:
    with SqliteJournal(":memory:") as journal:
        assert beside_capital(journal, 400.0, 300.0) == 100.0
        journal.intent(ENTRY, T, "{}")
        assert beside_capital(journal, 399.3, 300.0) == 100.0
        journal.outcome(ENTRY.link_id, "refused", T)
        assert beside_capital(journal, 500.0, 300.0) == 200.0, "nothing was traded: money may come and go"


def test_the_journal_s_capital_stands() -> None:
    assert balance_to_use(Standing(), None, 472.0) == 472.0
    assert balance_to_use(Standing(), 100.0, 472.0) == 100.0
    began = Standing(starting_balance=100.0)
    assert balance_to_use(began, None, 472.0) == balance_to_use(began, 100.0, 472.0) == 100.0
    with pytest.raises(BadInputError, match="began with 100 USDT"):
        balance_to_use(began, 101.0, 472.0)


def test_what_a_journal_says_is_ours(tmp_path: Path) -> None:
    path, instrument = tmp_path / "journal.sqlite", find_instrument("BTCUSDT")
    assert read_standing(path, instrument) == Standing()
    with SqliteJournal(path) as journal:
        journal.intent(ENTRY, T, "{}")
    entering = read_standing(path, instrument)
    assert entering.ours.may_be_entering
    assert not entering.ours.is_first, "its fee, or its loss, may have left the wallet already"
    with SqliteJournal(path) as journal:
        journal.execution(replace(SALE, link_id=ENTRY.link_id))
    held = read_standing(path, instrument)
    assert not held.ours.may_be_entering
    assert (held.ours.quantity, held.wallet_change, held.ours.is_first) == (0.021, -0.7, False)
    assert held.ours.link_ids == {ENTRY.link_id}


def test_whoever_trades_keeps_a_damaged_journal_aside_and_the_next_start_is_fresh(tmp_path: Path) -> None:
    path, instrument = tmp_path / "journal.sqlite", find_instrument("BTCUSDT")
    path.write_bytes(b"no database" * 1_000)
    for read, where in ((read_standing, "left where it is"), (standing_to_trade_on, "kept aside")):
        with pytest.raises(ArtefactError, match=where):
            read(path, instrument)
    assert path.with_name("journal.sqlite.corrupt-1").exists()
    assert standing_to_trade_on(path, instrument) == Standing()


def test_a_process_killed_while_it_made_its_journal_does_not_stop_the_next(tmp_path: Path) -> None:
    path, instrument = tmp_path / "journal.sqlite", find_instrument("BTCUSDT")
    path.touch()
    assert standing_to_trade_on(path, instrument) == Standing()
    assert read_standing(path, instrument) == Standing()


def test_an_entry_booked_in_part_may_have_sold_the_rest_until_its_trade_is_over(tmp_path: Path) -> None:
    path, instrument = tmp_path / "journal.sqlite", find_instrument("BTCUSDT")
    part = replace(SALE, link_id=ENTRY.link_id, lots=5)
    with SqliteJournal(path) as journal:
        journal.intent(ENTRY, T, "{}")
        journal.execution(part)
    ours = read_standing(path, instrument).ours
    assert (ours.quantity, ours.unbooked, ours.may_be_entering) == (0.005, 0.016, False)
    with SqliteJournal(path) as journal:
        journal.execution(replace(part, exec_id="2", link_id="", side=Side.BUY))
    assert (read_standing(path, instrument).ours.quantity, read_standing(path, instrument).ours.unbooked) == (0.0, 0.0)


def test_a_refused_entry_is_not_on_its_way(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with SqliteJournal(path) as journal:
        journal.intent(ENTRY, T, "{}")
        journal.outcome(ENTRY.link_id, "refused", T)
    assert not read_standing(path, find_instrument("BTCUSDT")).ours.may_be_entering
