"""The journal keeps its promises: once, in order, for good, and in the order of writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import BrokenInvariantError, DiskError
from your_short_trade_margin_call.domain.ports import Journal
from your_short_trade_margin_call.domain.words import (
    BlockReason,
    ExecutionKind,
    ExitReason,
    OrderType,
    Purpose,
    Side,
)

from .builders import FULL, a_trade, an_entry, an_execution, failing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "BTCUSDT" / "journal-paper-simulated.sqlite"


@pytest.fixture(params=["file", "memory"])
def journal(request: pytest.FixtureRequest, path: Path) -> Iterator[SqliteJournal]:
    with SqliteJournal(path if request.param == "file" else ":memory:") as opened:
        yield opened


WRITES: dict[str, Callable[[SqliteJournal], object]] = {
    "intent": lambda journal: journal.intent(an_entry(), 1, "{}"),
    "outcome": lambda journal: journal.outcome("BTCUSDT-1-entry-0", "accepted", 2),
    "execution": lambda journal: journal.execution(an_execution("e")),
    "event": lambda journal: journal.event(3, "started", "{}"),
    "blocked": lambda journal: journal.blocked(4, "paused", "{}"),
    "equity": lambda journal: journal.equity(5, 472.0, 471.0),
    "trade": lambda journal: journal.trade(a_trade(6)),
    "adopt": lambda journal: journal.adopt(7, "{}"),
    "set_meta": lambda journal: journal.set_meta("created", "8"),
}


def contents(journal: SqliteJournal) -> list[object]:
    return [
        journal.intents(),
        journal.executions(),
        journal.trades(),
        journal.blocked_counts(),
        journal.equity_rows(),
        journal.events_of("started"),
        journal.adoptions(),
        journal.meta(),
    ]


# ---- what goes in comes out ----------------------------------------------------------------------


def test_it_is_a_journal(journal: SqliteJournal) -> None:
    port: Journal = journal
    assert port.intents() == []
    assert port.executions() == []


def test_intents_come_back_whole_with_their_last_outcome(journal: SqliteJournal) -> None:
    entry = an_entry()
    target = an_entry(
        "link-2",
        purpose=Purpose.TARGET,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        price_ticks=990_000,
        reduce_only=True,
        attached_stop_ticks=None,
        leverage=None,
    )
    stop = an_entry("link-3", order_type=OrderType.STOP_MARKET, trigger_ticks=5, attached_stop_ticks=None)
    for time_ms, request in enumerate((entry, target, stop)):
        journal.intent(request, time_ms, f'{{"n": {time_ms}}}')
    journal.outcome(entry.link_id, "unknown", 10)
    journal.outcome(target.link_id, "accepted", 11)
    journal.outcome(entry.link_id, "accepted", 12)
    assert journal.intents() == [
        (entry, 0, '{"n": 0}', "accepted"),
        (target, 1, '{"n": 1}', "accepted"),
        (stop, 2, '{"n": 2}', None),
    ]
    first = journal.intents()[0][0]
    assert (type(first.side), type(first.purpose), type(first.reduce_only)) == (Side, Purpose, bool)


def test_executions_come_back_whole_in_the_order_of_writing(journal: SqliteJournal) -> None:
    executions = [
        an_execution("z", time_ms=9, from_stop=True),
        an_execution("a", Side.BUY, 3, 1340.0625, kind=ExecutionKind.LIQUIDATION, is_maker=True, time_ms=1),
        an_execution("m", kind=ExecutionKind.FUNDING, fee_usdt=-0.1 - 0.2),
    ]
    assert all(journal.execution(execution) for execution in executions)
    assert journal.executions() == executions
    assert type(journal.executions()[0].is_maker) is bool


def test_trades_keep_their_columns_and_any_more(journal: SqliteJournal) -> None:
    late, early = a_trade(9_000), a_trade(3_000, exit_reason=ExitReason.MARGIN_CALL, funding=None, note="by hand")
    journal.trade(late)
    journal.trade(early)
    assert journal.trades() == [late, early]
    assert list(journal.trades()[0]) == list(late)


def test_numpy_numbers_are_numbers(journal: SqliteJournal) -> None:
    journal.trade(a_trade(np.int64(7), pnl_value=np.float64(0.25)))  # type: ignore[arg-type]
    journal.equity(np.int64(3), np.float64(1.5), np.float32(0.5))  # type: ignore[arg-type]
    assert (journal.trades()[0]["entry_time"], journal.trades()[0]["pnl_value"]) == (7, 0.25)
    assert journal.equity_rows() == [(3, 1.5, 0.5)]


def test_the_rest_comes_back_in_order(journal: SqliteJournal) -> None:
    assert journal.last_adoption() is None
    assert journal.last_candle_ms() is None
    journal.adopt(20, '{"a": 1}')
    journal.adopt(10, '{"a": 2}')
    assert journal.adoptions() == [(20, '{"a": 1}'), (10, '{"a": 2}')]
    assert journal.last_adoption() == (10, '{"a": 2}')
    journal.event(2, "gap", "{}")
    journal.event(1, "other", "{}")
    journal.event(0, "gap", '{"n": 2}')
    assert journal.events_of("gap") == [(2, "{}"), (0, '{"n": 2}')]
    journal.equity(9, 1.0, 2.0)
    journal.equity(3, 3.0, 4.0)
    assert journal.equity_rows() == [(9, 1.0, 2.0), (3, 3.0, 4.0)]
    assert journal.last_candle_ms() == 9


def test_meta_keeps_the_last_value(journal: SqliteJournal) -> None:
    journal.set_meta("settings", "{}")
    journal.set_meta("settings", '{"leverage": 3}')
    assert journal.meta() == {"schema_version": "1", "settings": '{"leverage": 3}'}
    with pytest.raises(BrokenInvariantError):
        journal.set_meta("schema_version", "9")


def test_funding_and_the_wallet(journal: SqliteJournal) -> None:
    assert journal.funding_total() == 0.0
    journal.execution(an_execution("1", Side.SELL, 2, 1000.0))
    journal.execution(an_execution("2", kind=ExecutionKind.FUNDING, fee_usdt=0.05))
    journal.execution(an_execution("3", kind=ExecutionKind.FUNDING, fee_usdt=-0.02))
    journal.execution(an_execution("4", Side.BUY, 2, 900.0))
    assert journal.funding_total() == pytest.approx(0.03)
    assert journal.wallet_change(0.1, 0.001) == pytest.approx(0.02 - 0.2 - 0.03)


# ---- once ----------------------------------------------------------------------------------------


def test_what_is_written_twice_is_there_once_and_the_first_stands(journal: SqliteJournal) -> None:
    assert journal.execution(an_execution("1")) is True
    assert journal.execution(an_execution("1", lots=99)) is False
    journal.intent(an_entry(), 1, "first")
    journal.intent(an_entry(), 2, "second")
    journal.equity(5, 1.0, 1.0)
    journal.equity(5, 2.0, 2.0)
    journal.trade(a_trade(6))
    journal.trade(a_trade(6, pnl_value=9.9))
    for candle_ms, reason in ((7, BlockReason.PAUSED), (7, BlockReason.PAUSED), (7, BlockReason.COOLDOWN)):
        journal.blocked(candle_ms, reason, "{}")
    journal.blocked(8, "paused", "{}")
    assert journal.executions() == [an_execution("1")]
    assert journal.intents() == [(an_entry(), 1, "first", None)]
    assert journal.equity_rows() == [(5, 1.0, 1.0)]
    assert journal.trades() == [a_trade(6)]
    assert journal.blocked_counts() == {"paused": 2, "cooldown": 1}
    assert [journal.is_blocked(candle_ms) for candle_ms in (6, 7, 8)] == [False, True, True]


@pytest.mark.parametrize("operation", WRITES)
def test_every_write_but_logs_is_harmless_when_repeated(journal: SqliteJournal, operation: str) -> None:
    WRITES[operation](journal)
    before = contents(journal)
    WRITES[operation](journal)
    if operation not in ("event", "adopt"):
        assert contents(journal) == before


# ---- for good ------------------------------------------------------------------------------------


def test_everything_is_there_after_reopening(path: Path) -> None:
    with SqliteJournal(path) as journal:
        for write in WRITES.values():
            write(journal)
        before = contents(journal)
    with SqliteJournal(path) as journal:
        assert contents(journal) == before
        assert journal.execution(an_execution("e")) is False


def test_intents_and_adoptions_are_synchronised_to_the_disk(path: Path) -> None:
    levels: dict[str, int] = {}

    def note(operation: str) -> None:
        levels[operation] = opened._connection.execute("PRAGMA synchronous").fetchone()[0]

    with SqliteJournal(path, after_write=note) as opened:
        for write in WRITES.values():
            write(opened)
        assert opened._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    full, normal = 2, 1
    assert {operation for operation, level in levels.items() if level == full} == {"intent", "adopt", "set_meta"}
    assert set(levels.values()) == {full, normal}
    assert set(levels) == set(WRITES)


# ---- killed, or without a disk, at every write ---------------------------------------------------


class KilledError(BaseException):
    """The process ends here."""


def killed(_operation: str) -> None:
    raise KilledError


@pytest.mark.parametrize("operation", WRITES)
def test_killed_before_a_write_it_is_not_there_and_after_it_is(path: Path, operation: str) -> None:
    with SqliteJournal(path) as journal:
        empty = contents(journal)
    with SqliteJournal(path, before_write=killed) as journal, pytest.raises(KilledError):
        WRITES[operation](journal)
    with SqliteJournal(path, after_write=killed) as journal:
        assert contents(journal) == empty
        with pytest.raises(KilledError):
            WRITES[operation](journal)
    with SqliteJournal(path) as journal:
        if operation == "outcome":
            journal.intent(an_entry(), 1, "{}")
            assert journal.intents()[0][-1] == "accepted"
        else:
            assert contents(journal) != empty


@pytest.mark.parametrize("operation", WRITES)
def test_a_full_disk_is_a_named_error_and_the_journal_goes_on(path: Path, operation: str) -> None:
    is_full = True

    def full_disk(_operation: str) -> None:
        if is_full:
            failing(FULL)()

    with SqliteJournal(path, before_write=full_disk) as journal:
        before = contents(journal)
        with pytest.raises(DiskError, match="No space") as caught:
            WRITES[operation](journal)
        assert "Free some space" in caught.value.cure
        assert contents(journal) == before
        is_full = False
        WRITES[operation](journal)


def test_sqlite_itself_out_of_space(path: Path) -> None:
    with SqliteJournal(path) as journal:
        journal.intent(an_entry(), 1, "{}")
        pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DiskError, match="full") as caught:
            journal.event(1, "large", "x" * 100_000)
        assert caught.value.cure
        assert journal.events_of("large") == []
        assert len(journal.intents()) == 1
        journal._connection.execute("PRAGMA max_page_count = 1000000")
        journal.event(2, "large", "x" * 100_000)
    with SqliteJournal(path) as journal:
        assert [time_ms for time_ms, _ in journal.events_of("large")] == [2]


@pytest.mark.skipif(os.name == "nt", reason="a limit on file sizes needs POSIX")
def test_a_disk_that_takes_no_more_bytes(path: Path) -> None:
    import resource
    import signal

    with SqliteJournal(path) as journal:
        journal.intent(an_entry(), 1, "{}")
        size = os.path.getsize(f"{path}-wal")
        old_limit, old_handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, old_limit[1]))
        try:
            with pytest.raises(DiskError):
                journal.intent(an_entry("link-2"), 2, "{}")
            assert [intent[1] for intent in journal.intents()] == [1]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
            signal.signal(signal.SIGXFSZ, old_handler)
        journal.intent(an_entry("link-2"), 3, "{}")
    with SqliteJournal(path) as journal:
        assert [intent[1] for intent in journal.intents()] == [1, 3]


# ---- misuse --------------------------------------------------------------------------------------


def test_values_that_cannot_be_stored_are_never_dropped_silently(journal: SqliteJournal) -> None:
    row = a_trade(1)
    del row["entry_time"]
    with pytest.raises(BrokenInvariantError):
        journal.trade(row)
    with pytest.raises(BrokenInvariantError):
        journal.execution(an_execution("1", price_ticks=float("nan")))
    with pytest.raises(BrokenInvariantError):
        journal.intent(an_entry(lots=2**70), 1, "{}")
    with pytest.raises(BrokenInvariantError):
        journal.event(1, "kind", object())  # type: ignore[arg-type]
    assert (journal.trades(), journal.executions(), journal.intents()) == ([], [], [])


def test_closing_twice_is_fine_and_writing_after_it_is_not(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.close()
    journal.close()
    with pytest.raises(BrokenInvariantError):
        journal.event(1, "late", "{}")
    SqliteJournal(path).close()
