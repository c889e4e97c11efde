"""What the evidence does to the cycle: real money waits for REAL, and a champion stays until a better one comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cycle.test_main_engine import HOUR, request, run
from your_short_trade_margin_call.composition import TradingSession, make_trading_session, prepare
from your_short_trade_margin_call.composition.parts import make_parts
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.examiner import Examined, Examiner
from your_short_trade_margin_call.main_engine import Optimization
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.settings import ParameterGrid, Settings

VERDICTS = ("REAL", "LUCK", "CAN'T TELL", "REAL", "NOT TESTED")


@dataclass(frozen=True)
class Told(Examiner):
    """An examiner that has been told what to find."""

    verdicts: Iterator[str] = field(default_factory=lambda: iter(VERDICTS))

    def examine(self, until_ms: int, progress: Progress | None = None) -> Examined:
        return Examined(None, {"verdict": next(self.verdicts), "reason": "It was told so."})


def traded(folder: Path, needs_real: bool) -> tuple[TradingSession, list[Optimization]]:
    """Three days on one small grid whose winners make money in every window; verdicts come as told."""
    asked = request(folder, settings=Settings(order_reject_prob=0.0, max_hold=6 * HOUR), wants_evidence=True)
    made: list[Optimization] = []
    session = make_trading_session(prepare(asked), on_optimized=made.append)
    parts = session.main.parts
    assert parts.examiner is not None
    parts.examiner = Told(**{one.name: getattr(parts.examiner, one.name) for one in fields(Examiner)})
    parts.needs_real = needs_real
    first = session.main.optimize_first(session.start_ms)
    asyncio.run(session.main.trade(first.params, first.has_edge))
    return session, [first, *made]


def entries_by_run(session: TradingSession) -> list[int]:
    """How many positions were opened while each optimisation was in force."""
    moments = [when for when, _ in session.journal.adoptions()]
    counts = [0] * len(moments)
    for row in session.journal.trades():
        # A signal's close is the opening of the candle of its fill, and parameters apply to closes after their moment.
        counts[sum(when < row["entry_time"] for when in moments) - 1] += 1
    return counts


def test_on_real_money_entries_wait_for_real_and_exits_go_on(tmp_path: Path) -> None:
    session, made = traded(tmp_path, needs_real=True)
    try:
        assert [o.made_money for o in made] == [True] * 5, "else it is not the verdict that stops them"
        assert [o.has_edge for o in made] == [True, False, False, True, False]
        counts = entries_by_run(session)
        # The last run is made at the end of the candles.
        assert [count > 0 for count in counts] == [True, False, False, True, False]
        assert session.journal.blocked_counts()["no_edge"] > 0
        off_ms = session.start_ms + 12 * HOUR
        over = [row for row in session.journal.trades() if row["entry_time"] <= off_ms < row["exit_time"]]
        assert over, "no position was open when entries were switched off: the test proves nothing of exits"
        assert all(row["exit_reason"] in ("target", "max_hold") for row in over)
        assert all(row["exit_time"] < off_ms + 12 * HOUR for row in over)
    finally:
        session.close()


def test_despite_the_evidence_entries_go_on(tmp_path: Path) -> None:
    session, made = traded(tmp_path, needs_real=False)
    try:
        assert [o.has_edge for o in made] == [True] * 5
        assert all(count > 0 for count in entries_by_run(session)[:4])
        assert "no_edge" not in session.journal.blocked_counts()
    finally:
        session.close()


def test_only_mainnet_without_despite_evidence_waits_for_real(tmp_path: Path) -> None:
    prepared = prepare(request(tmp_path))

    def waits(**changes: Any) -> bool:
        return make_parts(replace(prepared, request=replace(prepared.request, **changes))).needs_real

    assert waits(account=Account.MAINNET)
    assert not waits(account=Account.MAINNET, despite_evidence=True)
    assert not any(waits(account=account) for account in Account if account is not Account.MAINNET)


def test_the_decision_and_its_reason_are_written_down(tmp_path: Path) -> None:
    """A champion that stays is what the artefact shows and what goes on trading; its challenger is named."""
    asked = request(
        tmp_path,
        settings=Settings(order_reject_prob=0.0, adopt="better", reoptimize=6 * HOUR, window=8 * HOUR),
        grid=ParameterGrid(highest_high_lookback=(5, 10, 20)),
        wants_evidence=False,
    )
    documents: list[dict[str, Any]] = []

    def read(_made: Optimization) -> None:
        documents.append(json.loads(asked.paths.best_params.read_text()))

    _, first, _ = run(asked, on_optimized=read)
    documents.insert(0, first.document)
    candles = prepare(asked).candles
    engine = BacktestEngine(asked.settings)
    kept = 0
    for before, after in pairwise(documents):
        adoption = after["adoption"]
        assert set(adoption) == {"rule", "adopted", "reason", "champion_pct", "challenger_pct", "challenger"}
        assert adoption["rule"] == "better"
        if adoption["adopted"]:
            assert after["params"] == adoption["challenger"]
            continue
        kept += 1
        assert after["params"] == before["params"] != adoption["challenger"]
        assert "no better than" in adoption["reason"]
        assert adoption["challenger_pct"] <= adoption["champion_pct"]
        window = candles.between(after["candles"]["start_ms"], after["candles"]["end_ms"])
        own = engine.backtest(window, first.params.__class__(**after["params"]))
        assert after["results"]["pnl_pct"] == own.metrics.pnl_pct
    assert documents[0]["adoption"]["reason"] == "Nothing that may be traded was running."
    assert 0 < kept < len(documents) - 1


@pytest.mark.parametrize("rule", ["always"])
def test_by_default_every_winner_is_adopted(tmp_path: Path, rule: str) -> None:
    documents: list[dict[str, Any]] = []
    _, first, _ = run(
        request(tmp_path, wants_evidence=False), on_optimized=lambda made: documents.append(made.document)
    )
    for document in (first.document, *documents):
        assert (document["adoption"]["rule"], document["adoption"]["adopted"]) == (rule, True)
        assert document["params"] == document["adoption"]["challenger"]
