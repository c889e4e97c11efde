"""Engines for a prepared request, and what MainEngine is made of."""

from __future__ import annotations

import os
import time
from concurrent.futures import Executor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from your_short_trade_margin_call import __version__
from your_short_trade_margin_call.adapters.storage.artefacts import artefact_head
from your_short_trade_margin_call.adapters.storage.optimization_queue import OptimizationQueue, Owner
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.composition.request import Prepared
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.main_engine import MainEngine, Parts
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine

if TYPE_CHECKING:
    from your_short_trade_margin_call.examiner import Examiner


def make_backtest_engine(prepared: Prepared, executor: Executor | None = None) -> BacktestEngine:
    """A BacktestEngine for the request's settings and instrument; its sweeps are made here, or by an executor."""
    return BacktestEngine(prepared.request.settings, prepared.instrument, executor)


def make_optimizer(prepared: Prepared, executor: Executor | None = None) -> MainEngine:
    """A MainEngine that can optimise but not trade."""
    return MainEngine(make_parts(prepared, executor))


def make_examiner(prepared: Prepared) -> Examiner:
    """Who looks at the record of the request's procedure; its many small sweeps are made here."""
    from your_short_trade_margin_call.adapters.storage.looks import Looks
    from your_short_trade_margin_call.examiner import Examiner

    request = prepared.request
    engine, looks = make_backtest_engine(prepared), Looks(request.paths.looks)
    return Examiner(request.symbol, prepared.name, engine, request.grid, prepared.history, looks)


def head_of(prepared: Prepared, candles: Candles, elapsed_s: float) -> dict[str, Any]:
    """The head of an artefact that a command writes now."""
    request = prepared.request
    return artefact_head(
        request.symbol, str(prepared.name), candles, request.settings, request.grid, elapsed_s,
        generated_at=wall_now(), version=__version__,
    )  # fmt: skip


def wall_now() -> str:
    """The date and time of this computer, for artefacts."""
    return datetime.now(tz=timezone.utc).isoformat(timespec="seconds")


def make_parts(prepared: Prepared, executor: Executor | None = None) -> Parts:
    """Everything but exchange, clock and journal."""
    request = prepared.request
    return Parts(
        symbol=request.symbol,
        market=prepared.name,
        account=request.account,
        settings=request.settings,
        grid=request.grid,
        paths=request.paths,
        engine=make_backtest_engine(prepared, executor),
        source=prepared,
        queue=OptimizationQueue(request.paths.optimization_queue),
        owner=Owner(os.getpid(), str(time.time_ns())),
        version=__version__,
        wall_now=wall_now,
        stopwatch_s=stopwatch_s,
        lane=prepared.lane,
        examiner=make_examiner(prepared) if request.wants_evidence else None,
        needs_real=request.account is Account.MAINNET and not request.despite_evidence,
    )
