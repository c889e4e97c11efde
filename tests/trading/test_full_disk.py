"""Modes 30 and 31: the disk fills up, at every write and for every kind of fact. Entries off, exits on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trading.rough import (
    NEW_SIGNAL,
    QUIET,
    STOP_HIT,
    TARGET_HIT,
    Hook,
    OrderedClock,
    RoughVenue,
    Story,
    Watcher,
    assert_in_order,
    make_engine,
    play,
    world,
)
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import DiskError
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import OrderType, Purpose, Side
from your_short_trade_margin_call.trading.steadfast_journal import SteadfastJournal

KINDS = ("intent", "outcome", "execution", "event", "blocked", "equity", "trade", "adopt")
MARKET = world(QUIET, QUIET, TARGET_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, QUIET, TARGET_HIT, QUIET, QUIET)
Full = Callable[[str, int], bool]
"""Whether the disk is full for this kind of write, the so many-th of all."""


class Disk:
    """The seam of a journal: raises where `is_full` says so, before the write or (as a failing commit) after it."""

    def __init__(self, is_full: Full, after: bool = False) -> None:
        self._is_full = is_full
        self.writes = 0
        self.refused = 0
        hook = {"after_write" if after else "before_write": self._hook}
        self.journal = SqliteJournal(":memory:", **hook)

    def _hook(self, kind: str) -> None:
        self.writes += 1
        if self._is_full(kind, self.writes):
            self.refused += 1
            raise OSError(28, "No space left on device")


def honest() -> tuple[list[dict[str, Any]], int]:
    disk = Disk(lambda kind, number: False)
    story = play(MARKET, RoughVenue(MARKET), disk.journal)
    assert story.reasons == ["target", "target"]
    return story.journal.trades(), disk.writes


def test_mode_31_full_disk_for_one_write_anywhere_loses_nothing() -> None:
    """One write fails, before or after it reached the disk: every position in turn. Exits are as without it."""
    trades, writes = honest()
    for number in range(2, writes + 1):  # the first is the adoption at the start
        for after in (False, True):
            disk = Disk(lambda kind, count, number=number: count == number, after)
            story = play(MARKET, RoughVenue(MARKET), disk.journal)
            assert disk.refused == 1
            if story.seen.blocked() == []:
                assert disk.journal.trades() == trades, number
            else:  # the intent of an entry: that one was not sent
                assert story.reasons == ["target"], number
                assert "disk" in story.seen.blocked()[0][1]
            assert len(disk.journal.equity_rows()) == len(MARKET.candles), number
            assert_in_order(story)


@pytest.mark.parametrize("kind", KINDS)
def test_mode_31_full_disk_for_one_kind_of_write_for_a_while(kind: str) -> None:
    """All writes of a kind fail during the first trade, then the disk has space again."""
    venue = RoughVenue(MARKET)
    disk = Disk(lambda this, count: this == kind and count > 1 and _between(venue.clock, 0, 20))
    story = play(MARKET, venue, disk.journal)
    assert set(story.reasons) == {"target"}
    assert_in_order(story)
    assert len(disk.journal.trades()) == len(story.reasons)


def test_mode_31_full_disk_while_a_short_is_open_exits_go_on_and_entries_stop() -> None:
    """Full from the entry's fill on: the target is placed and fills; the next signal is blocked; all is kept."""
    disk = Disk(lambda kind, count: count > 12)
    venue = RoughVenue(MARKET)
    seen = Watcher()
    engine = make_engine(MARKET, venue, disk.journal, seen)
    with pytest.raises(DiskError, match="No space left"):
        asyncio.run(engine.run())
    assert len(venue.sent(Purpose.TARGET)) == 1
    assert [row["exit_reason"] for row in seen.trades()] == ["target"]
    assert [reason for reason, _ in seen.blocked()] == ["exchange_error"]
    assert "No space left" in seen.blocked()[0][1]
    assert len(seen.notes("disk_trouble")) == 1
    assert venue.exchange.position is None


def test_mode_31_full_disk_the_entry_whose_intent_cannot_be_written_is_not_sent() -> None:
    disk = Disk(lambda kind, count: kind == "intent")
    venue = RoughVenue(MARKET)
    story = play(MARKET, venue, disk.journal)
    assert venue.sent(Purpose.ENTRY) == []
    assert [reason for reason, _ in story.seen.blocked()] == ["exchange_error", "exchange_error"]
    assert all("disk" in detail for _, detail in story.seen.blocked())


def test_mode_31_full_disk_then_space_again_entries_go_on() -> None:
    """The disk is full from 12:09 to 12:21; what was kept is written, in order, and 12:27's signal is traded."""
    trades, _ = honest()
    venue = RoughVenue(MARKET)
    disk = Disk(lambda kind, count: _between(venue.clock, 9, 20))
    story = play(MARKET, venue, disk.journal)
    assert disk.refused > 3
    assert [detail["was"] for detail in story.seen.notes("halt_over")] == ["disk_trouble"]
    assert disk.journal.trades() == trades or len(disk.journal.trades()) == 1
    assert [row[0] for row in disk.journal.equity_rows()] == sorted(row[0] for row in disk.journal.equity_rows())
    assert_in_order(story)


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody move a file that is in use")
@pytest.mark.parametrize("back", ["12:21", "never"])
def test_mode_31_the_data_folder_is_moved_away_exits_go_on_and_entries_wait_until_it_is_back(
    tmp_path: Path, back: str
) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    ways = {"12:12": (folder, elsewhere), back: (elsewhere, folder)}

    def move(venue: RoughVenue) -> None:
        source, target = ways[f"12:{venue.clock.now_ms() // 60_000 % 60:02d}"]
        source.rename(target)

    hooks: dict[str, Hook] = {clock: move for clock in ways if clock != "never"}
    venue, seen = RoughVenue(MARKET, hooks), Watcher()
    with SqliteJournal(folder / "journal.sqlite") as journal:
        engine = make_engine(MARKET, venue, journal, seen)
        if back == "never":
            with pytest.raises(DiskError, match="deleted, moved or replaced"):
                asyncio.run(engine.run())
            assert [row["exit_reason"] for row in seen.trades()] == ["target"]
            assert "deleted, moved or replaced" in seen.blocked()[0][1]
            assert journal.trades() == []
        else:
            story = Story(asyncio.run(engine.run()), venue, journal, seen)
            assert story.reasons == ["target", "target"]
            assert len(journal.trades()) == 2
            assert_in_order(story)
    assert len(seen.notes("disk_trouble")) == 1
    assert venue.exchange.position is None


def _between(clock: OrderedClock, first: int, last: int) -> bool:
    return first <= clock.now_ms() // 60_000 % 60 < last


class PowerCutError(BaseException):
    """The process is gone, with all that it kept."""


@pytest.mark.parametrize("cut_at", range(1, 60, 3))
def test_mode_30_and_31_the_process_dies_while_facts_are_kept_and_a_restart_reads_the_exchange(cut_at: int) -> None:
    """The disk is full from 12:09 on, then the process dies; with space again, everything is as if nothing happened."""
    file = SqliteJournal(":memory:")
    venue = RoughVenue(MARKET)
    requests = {"left": cut_at}

    def dies(name: str, argument: Any) -> None:
        requests["left"] -= 1
        if requests["left"] == 0:
            raise PowerCutError

    venue.trouble = venue.after = dies
    file._before_write = lambda kind: _refuse(kind)
    seen = Watcher()
    entry_written = {"yes": False}

    def _refuse(kind: str) -> None:
        if entry_written["yes"]:
            raise OSError(28, "No space left on device")
        entry_written["yes"] = kind == "intent"

    with contextlib.suppress(PowerCutError, DiskError):
        asyncio.run(make_engine(MARKET, venue, file, seen).run())
    file._before_write = None
    venue.trouble = venue.after = lambda name, argument: None
    story = play(MARKET, venue, file)
    assert_in_order(story)
    assert len(file.executions()) == len(venue.exchange.executions)
    names = [request.link_id for request in venue.sent(Purpose.ENTRY)]
    assert venue.exchange.account(0).wallet_usdt == pytest.approx(1_000.0 + file.wallet_change(0.5, 1.0))
    assert len(set(names)) <= 2


def test_mode_31_a_stop_that_fires_during_a_full_disk_is_known_after_a_restart() -> None:
    market = world(QUIET, STOP_HIT, QUIET, QUIET, QUIET)
    venue = RoughVenue(market)
    disk = Disk(lambda kind, count: count > 12)
    with pytest.raises(DiskError):
        asyncio.run(make_engine(market, venue, disk.journal, Watcher()).run())
    assert disk.journal.trades() == []
    disk._is_full = lambda kind, count: False
    story = play(market, venue, disk.journal)
    assert [row["exit_reason"] for row in disk.journal.trades()] == ["margin_call"]
    assert_in_order(story)


# ---- the journal alone -----------------------------------------------------------------------------


def order(purpose: Purpose, number: int) -> OrderRequest:
    side, reduces = (Side.SELL, False) if purpose is Purpose.ENTRY else (Side.BUY, True)
    return OrderRequest(f"BTCUSDT-{number}-X", purpose, side, OrderType.MARKET, 1, reduce_only=reduces)


def test_what_is_kept_is_read_as_if_it_were_written_and_written_in_order_later() -> None:
    full = {"now": True}
    disk = Disk(lambda kind, count: full["now"])
    journal = SteadfastJournal(disk.journal)
    journal.equity(1, 1.0, 1.0)
    journal.intent(order(Purpose.CLOSE, 7), 5, "{}")
    journal.event(3, "signal", "{}")
    journal.blocked(1, "no_edge", "")
    journal.trade({"entry_time": 11})
    journal.adopt(9, "{}")
    assert "6 facts" in journal.trouble
    assert journal.last_candle_ms() == 1
    assert [row[0].link_id for row in journal.intents()] == ["BTCUSDT-7-X"]
    assert (journal.events_of("signal"), journal.events_of("other")) == ([(3, "{}")], [])
    assert journal.is_blocked(1)
    assert journal.trade_times() == {11}
    assert journal.last_adoption() == (9, "{}")
    with pytest.raises(DiskError):
        journal.intent(order(Purpose.ENTRY, 8), 6, "{}")
    assert disk.journal.intents() == []
    full["now"] = False
    journal.intent(order(Purpose.ENTRY, 8), 6, "{}")
    assert [row[0].link_id for row in disk.journal.intents()] == ["BTCUSDT-7-X", "BTCUSDT-8-X"]
    assert journal.trouble == ""
    assert disk.journal.last_candle_ms() == 1
