"""The cycle: optimise, write down, trade, optimise again when the queue says so."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.storage.optimization_queue import OptimizationQueue, Owner, RunStatus
from your_short_trade_margin_call.commands.trading_run import books_agree
from your_short_trade_margin_call.composition import Request, TradingSession, make_trading_session, prepare
from your_short_trade_margin_call.domain.errors import BusyError, DiskError, TooFewCandlesError
from your_short_trade_margin_call.domain.messages import AccountView
from your_short_trade_margin_call.domain.words import MarketKind
from your_short_trade_margin_call.main_engine import Optimization, TradingSummary
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.settings import ParameterGrid, Settings

SMALL_GRID = ParameterGrid(highest_high_lookback=(10, 20), risk_fraction=(0.5, 0.85))
HOUR = 3_600_000


def candle_file(folder: Path, days: int = 3, seed: int = 7) -> Path:
    candles = generate(SyntheticMarket(seed=seed, minutes=1440 * days, volatility_per_minute=0.0015, mark=False))
    import polars as pl

    path = folder / "BTCUSDT.parquet"
    names = ("open", "high", "low", "close", "volume")
    pl.DataFrame({"ts": candles.time_ms, **{n: getattr(candles, n) for n in names}}).write_parquet(path)
    return path


def request(folder: Path, **changes: Any) -> Request:
    base = Request(
        "BTCUSDT",
        settings=Settings(order_reject_prob=0.0),
        grid=SMALL_GRID,
        market=MarketKind.REPLAY,
        paths=Paths(folder / "data"),
        candles=candle_file(folder),
    )
    return replace(base, **changes)


def run(asked: Request, **watchers: Any) -> tuple[TradingSession, Optimization, TradingSummary]:
    session = make_trading_session(prepare(asked), **watchers)
    try:
        first = session.main.optimize_first(session.start_ms)
        return session, first, asyncio.run(session.main.trade(first.params, first.has_edge))
    finally:
        session.close()


def test_it_optimises_every_twelve_hours_and_its_books_balance(tmp_path: Path) -> None:
    later: list[Optimization] = []
    asked = request(tmp_path)
    session, _, summary = run(asked, on_optimized=later.append)
    due = [o.document["candles"]["end_ms"] for o in later]
    assert [moment - session.start_ms for moment in due] == [12 * HOUR, 24 * HOUR, 36 * HOUR, 48 * HOUR]
    assert all(o.document["candles"]["count"] == 480 for o in later)
    assert summary.optimizations == 5
    assert summary.trades > 0
    assert summary.journal_wallet == pytest.approx(summary.wallet, abs=1e-6)
    entries = OptimizationQueue(asked.paths.optimization_queue).entries()
    assert [entry.status for entry in entries].count(RunStatus.DONE) == 4
    assert [entry.due_ms for entry in entries if entry.status is RunStatus.PENDING] == [session.start_ms + 60 * HOUR]


def test_a_deposit_is_no_reason_to_report_a_defect(tmp_path: Path) -> None:
    session = make_trading_session(prepare(request(tmp_path, settings=Settings(reoptimize=None))))
    account = session.main.parts.exchange.account  # type: ignore[union-attr]

    async def richer(executions_since_ms: int) -> AccountView:
        view = await account(executions_since_ms)
        return replace(view, wallet_usdt=view.wallet_usdt + 100.0)

    session.main.parts.exchange.account = richer  # type: ignore[method-assign, union-attr]
    first = session.main.optimize_first(session.start_ms)
    summary = asyncio.run(session.main.trade(first.params, first.has_edge))
    session.close()
    assert summary.disturbed
    assert summary.wallet - summary.journal_wallet == pytest.approx(100.0, abs=1e-6)
    assert "others did the rest" in books_agree(summary)
    assert "please report" in books_agree(replace(summary, disturbed=False))
    assert books_agree(replace(summary, journal_wallet=summary.wallet)).startswith("as the journal")


def test_both_artefacts_say_what_was_found(tmp_path: Path) -> None:
    asked = request(tmp_path, settings=Settings(reoptimize=None))
    _, first, _ = run(asked)
    for path in (asked.paths.best_params, asked.paths.pair_best_params("BTCUSDT", "replay")):
        document = json.loads(path.read_text())
        assert document["params"]["highest_high_lookback"] == first.params.highest_high_lookback
        assert document["results"]["pnl_pct"] == first.sweep.best_metrics.pnl_pct
        assert {"schema_version", "generated_at", "symbol", "market", "candles", "settings_hash", "seed"} <= set(
            document
        )
        assert document["evidence"]["verdict"] == "NOT TESTED"


def test_an_invented_market_never_replaces_a_real_ones_parameters(tmp_path: Path) -> None:
    asked = request(tmp_path, settings=Settings(reoptimize=None))
    run(asked)
    real = asked.paths.best_params.read_bytes()
    own = asked.paths.pair_best_params("BTCUSDT", "replay").read_bytes()
    invented = replace(asked, candles=None, market=MarketKind.SIMULATED, speed=1e9)
    _, result, _ = run(invented)
    assert asked.paths.best_params.read_bytes() == real
    assert asked.paths.pair_best_params("BTCUSDT", "replay").read_bytes() == own
    assert result.document["market"] == "simulated"
    assert asked.paths.pair_best_params("BTCUSDT", "simulated").exists()


def test_new_parameters_apply_to_the_next_entry_only(tmp_path: Path) -> None:
    """Every adoption uses another lookback; each trade must show the exits of the set in force at its signal."""
    asked = request(tmp_path)
    session = make_trading_session(prepare(asked))
    first = session.main.optimize_first(session.start_ms)
    asyncio.run(session.main.trade(first.params, has_edge=True))
    adoptions = [(when, json.loads(text)["params"]) for when, text in session.journal.adoptions()]
    intents = {
        request.link_id: json.loads(text)["wish"]
        for request, _, text, _ in session.journal.intents()
        if request.purpose == "entry"
    }
    session.close()
    assert len(adoptions) == 5
    assert len(intents) > 3
    for wish in intents.values():
        close_ms = wish["candle_ms"] + 180_000
        # Adopted at a close: from the next close on.
        in_force = [params for when, params in adoptions if when < close_ms]
        assert wish["params"] == in_force[-1]


def test_without_an_edge_there_are_no_entries(tmp_path: Path) -> None:
    asked = request(tmp_path, settings=Settings(reoptimize=None))
    session = make_trading_session(prepare(asked))
    first = session.main.optimize_first(session.start_ms)
    summary = asyncio.run(session.main.trade(first.params, has_edge=False))
    session.close()
    assert summary.trades == 0
    assert set(summary.blocked) == {"no_edge"}
    assert summary.wallet == asked.settings.starting_balance


def test_an_overdue_run_is_made_up_for_at_the_start(tmp_path: Path) -> None:
    asked = request(tmp_path, settings=Settings(reoptimize=None))
    session = make_trading_session(prepare(asked))
    queue = OptimizationQueue(asked.paths.optimization_queue)
    overdue = queue.enqueue("BTCUSDT", "replay", session.start_ms - HOUR, session.start_ms - 13 * HOUR)
    session.main.optimize_first(session.start_ms)
    session.close()
    assert {entry.id: entry.status for entry in queue.entries()}[overdue.id] is RunStatus.DONE


def test_a_run_another_process_took_is_not_made_twice(tmp_path: Path) -> None:
    later: list[Optimization] = []
    asked = request(tmp_path)
    session = make_trading_session(prepare(asked), on_optimized=later.append)
    first = session.main.optimize_first(session.start_ms)
    queue = OptimizationQueue(asked.paths.optimization_queue)
    other = Owner(1, "another process")  # process 1 is always alive
    assert queue.claim_due("BTCUSDT", "replay", session.start_ms + 12 * HOUR, other) is not None
    summary = asyncio.run(session.main.trade(first.params, first.has_edge))
    session.close()
    # The run at 12 h is the other's; those after it, which nobody took, are made.
    due = [o.document["candles"]["end_ms"] - session.start_ms for o in later]
    assert due == [24 * HOUR, 36 * HOUR, 48 * HOUR]
    assert summary.optimizations == 4


def test_a_failed_run_keeps_the_old_parameters_and_says_so(tmp_path: Path) -> None:
    asked = request(tmp_path)
    problems: list[str] = []
    session = make_trading_session(prepare(asked), on_problem=problems.append)
    first = session.main.optimize_first(session.start_ms)
    asked.paths.best_params.unlink()
    asked.paths.best_params.mkdir()  # a folder in the way: nothing can be written there
    summary = asyncio.run(session.main.trade(first.params, first.has_edge))
    session.close()
    assert len(problems) == 4
    assert "the old parameters stay" in problems[0]
    assert summary.params == first.params
    assert summary.trades > 0


def test_a_queue_that_cannot_be_used_does_not_stop_trading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(tmp_path)
    problems: list[str] = []
    session = make_trading_session(prepare(asked), on_problem=problems.append)
    first = session.main.optimize_first(session.start_ms)

    def busy(*_arguments: Any, **_options: Any) -> None:
        raise BusyError("Another process holds the queue.", "Wait for it.")

    monkeypatch.setattr(session.main.parts.queue, "claim_due", busy)
    summary = asyncio.run(session.main.trade(first.params, first.has_edge))
    session.close()
    assert len(problems) == 4
    assert summary.trades > 0
    assert summary.journal_wallet == pytest.approx(summary.wallet, abs=1e-6)


def test_on_real_time_results_apply_from_the_first_close_after_they_are_found(tmp_path: Path) -> None:
    """The market goes on while a sweep runs: the adoption is journalled when it happens, not when it was due."""
    asked = request(tmp_path)
    session = make_trading_session(prepare(asked))
    session.main.parts.takes_market_time = True
    first = session.main.optimize_first(session.start_ms)
    summary = asyncio.run(session.main.trade(first.params, has_edge=True))
    adoptions = [when for when, _ in session.journal.adoptions()]
    session.close()
    assert summary.optimizations >= 2
    later = adoptions[1:]
    assert later
    for when in later:
        # One millisecond before a close, so that it applies to that close; and later than the due moment.
        assert (when + 1) % 180_000 == 0
        assert (when - session.start_ms) % (12 * HOUR) > 0


def test_a_stop_leaves_a_running_optimisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(tmp_path)
    problems: list[str] = []
    session = make_trading_session(prepare(asked), on_problem=problems.append)
    main = session.main
    first = main.optimize_first(session.start_ms)
    heed = main.heed_stop

    def stop_then_heed(done: int, trials: int) -> None:
        main.stop()
        heed(done, trials)

    monkeypatch.setattr(main, "heed_stop", stop_then_heed)
    summary = asyncio.run(main.trade(first.params, first.has_edge))
    session.close()
    assert summary.optimizations == 1
    assert problems == []
    statuses = [entry.status for entry in OptimizationQueue(asked.paths.optimization_queue).entries()]
    assert statuses == [RunStatus.FAILED, RunStatus.PENDING]


def test_same_seed_same_artefacts(tmp_path: Path) -> None:
    """Byte for byte but for `generated_at` and `elapsed_s`."""
    contents = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        asked = request(folder)
        run(asked)
        contents.append(artefacts(asked.paths.root))
    assert contents[0].keys() == contents[1].keys()
    assert len(contents[0]) >= 4
    assert contents[0] == contents[1]


def artefacts(root: Path) -> dict[str, object]:
    kept: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix == ".json":
            document = json.loads(path.read_text())
            for field in ("generated_at", "elapsed_s"):
                document.pop(field, None)
            kept[name] = json.dumps(document)
        elif path.suffix == ".parquet":
            kept[name] = path.read_bytes()
    return kept


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    asked = request(tmp_path)
    session = make_trading_session(prepare(asked))
    with pytest.raises(BusyError, match="Another process"):
        make_trading_session(prepare(asked))
    session.close()


def test_the_journal_of_the_run_before_is_kept(tmp_path: Path) -> None:
    asked = request(tmp_path, settings=Settings(reoptimize=None))
    run(asked)
    journal = asked.paths.journal("BTCUSDT", "paper", "replay")
    before = journal.stat().st_size
    run(asked)
    assert journal.with_suffix(".previous.sqlite").stat().st_size == before


def test_too_few_candles_to_trade_on(tmp_path: Path) -> None:
    asked = replace(request(tmp_path), candles=candle_file(tmp_path, days=1))
    with pytest.raises(TooFewCandlesError, match="first window"):
        make_trading_session(prepare(asked))


def test_a_disk_that_stays_full_stops_entries_and_the_run_ends_with_a_named_error(tmp_path: Path) -> None:
    """The market is traded to its end, exits on; what could not be written by then is said (tests/trading)."""
    asked = request(tmp_path)
    session = make_trading_session(prepare(asked))
    first = session.main.optimize_first(session.start_ms)
    left = 400

    def full(_operation: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")

    session.journal._before_write = full
    with pytest.raises(DiskError, match="No space left") as caught:
        asyncio.run(session.main.trade(first.params, has_edge=True))
    assert caught.value.exit_code == 3
    assert "space" in caught.value.cure
    session.journal._before_write = None
    rows = session.journal.equity_rows()
    session.close()
    assert len(rows) > 300
    assert asked.paths.best_params.exists()
