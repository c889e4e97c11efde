"""Many pairs at once: a record for each, and which of them beat luck although so many were looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import Verdict
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.research.evidence import LEAST_TRADES, Evidence
from your_short_trade_margin_call.research.record import Record
from your_short_trade_margin_call.research.statistics.e_values import TOTAL_ALPHA, e_bh
from your_short_trade_margin_call.settings import ParameterGrid, Settings

SCAN_ALPHA = TOTAL_ALPHA
"""Of the pairs that a scan calls REAL, at most this part is no better than luck, on average."""
_LARGEST = 700.0
"""Above this an exponential is infinite."""


@dataclass(frozen=True)
class PairJob:
    """All it takes to judge a pair, wherever that is done: it can be pickled."""

    candles: Candles
    settings: Settings
    instrument: Instrument
    grid: ParameterGrid
    workers: int | None = None


@dataclass(frozen=True)
class PairRecord:
    """What a pair's record said.

    `in_market_frac` is the share of candles at whose close a short was open; `tiers` says where the risk tiers came
    from.
    """

    symbol: str
    evidence: Evidence
    in_market_frac: float
    start_ms: int
    end_ms: int
    candles: int
    candles_hash: str
    tiers: str

    @property
    def log_evidence(self) -> float:
        """Evidence against "no better than chance shorts": what the pair is ranked by."""
        return self.evidence.chance.log_evidence

    @property
    def e_value(self) -> float:
        """That evidence; nothing where too few trades closed, or the account earned nothing beyond luck."""
        if self.evidence.trades < LEAST_TRADES or not self.evidence.zero.is_beaten:
            return 0.0
        return math.exp(min(self.log_evidence, _LARGEST))


def judge_pair(job: PairJob) -> PairRecord:
    """Walk one pair's history.

    Raises:
        TooFewCandlesError: it is shorter than a window and a step.
    """
    engine = BacktestEngine(job.settings, job.instrument)
    record = engine.walk_forward(job.candles, job.grid, workers=job.workers)
    return pair_record(job.candles, record, job.instrument.tiers_source)


def pair_record(candles: Candles, record: Record, tiers: str) -> PairRecord:
    """What a record said of its pair, without the record: small enough to send."""
    held = record.walk.held[record.walk.firsts[0] :]
    return PairRecord(
        symbol=candles.symbol,
        evidence=record.evidence,
        in_market_frac=float(held.mean()) if len(held) else 0.0,
        start_ms=candles.start_ms,
        end_ms=candles.end_ms,
        candles=len(candles),
        candles_hash=candles.content_hash,
        tiers=tiers,
    )


def verdicts_among(records: Sequence[PairRecord], alpha: float = SCAN_ALPHA) -> tuple[Verdict, ...]:
    """The verdict on each pair, the others considered: REAL only where e-BH rejects luck (`e_values.e_bh`).

    What is corrected for having looked at many is the evidence for an eye for the moment, which luck needs in any case;
    to have earned anything beyond luck is asked of each pair alone. Pairs that move together may be scanned together.
    What alone would be REAL, and is not here, is CAN'T TELL.
    """
    if not records:
        return ()
    beats = e_bh([record.e_value for record in records], alpha)
    return tuple(
        Verdict.REAL if real else _without(record.evidence.verdict) for record, real in zip(records, beats, strict=True)
    )


def needed_among(count: int, alpha: float = SCAN_ALPHA) -> float:
    """The logarithm of evidence that the best of so many pairs needs when no other passes."""
    return math.log(max(1, count) / alpha)


def _without(verdict: Verdict) -> Verdict:
    return Verdict.CANNOT_TELL if verdict is Verdict.REAL else verdict
