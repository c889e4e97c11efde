"""The `scan` command: the record of many pairs at once, corrected for having looked at many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.first_start import warn_of_compiling
from your_short_trade_margin_call.commands.options import Common, Market
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.record_options import Scanning
from your_short_trade_margin_call.commands.request import make_request
from your_short_trade_margin_call.commands.stopping import interruptible
from your_short_trade_margin_call.commands.typed import days_ms
from your_short_trade_margin_call.composition.request import Request
from your_short_trade_margin_call.composition.scanning import (
    LoadedPair,
    Source,
    liquid_pairs,
    load_pair,
    on_one_market,
    read_symbols,
    sources_in,
    sources_named,
)
from your_short_trade_margin_call.domain.errors import (
    AnswerIsNoError,
    BadInputError,
    CandleError,
    ForbiddenError,
    SettingError,
    ShortestPeakError,
)
from your_short_trade_margin_call.domain.words import MarketKind, Verdict
from your_short_trade_margin_call.reporting.progress import Report, progress
from your_short_trade_margin_call.reporting.scans import SCAN_LEGEND, ScannedPair, scan_answer, scan_table
from your_short_trade_margin_call.reporting.screen import Screen, doubt_about
from your_short_trade_margin_call.reporting.text import counted
from your_short_trade_margin_call.research.scan import PairRecord, judge_pair, needed_among, verdicts_among

USUAL_TURNOVER = "50M"
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKmMbB]?)\s*")
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}

MakeExecutor = Callable[[], Executor]


def one_thread() -> Executor:
    """Where pairs are judged: beside the fetching of the next; each walk uses all cores by itself."""
    return ThreadPoolExecutor(max_workers=1)


def scan(
    scanning: Scanning,
    common: Common,
    grid: Path | None,
    require_real: bool,
    screen: Screen,
    make_executor: MakeExecutor = one_thread,
) -> None:
    """Run it. A pair that cannot be judged is a row that says why.

    Raises:
        AnswerIsNoError: `require_real`, and no pair is REAL.
        BadInputError: an option cannot be used, or no pair could be judged.
        ExchangeError: Bybit is needed and cannot be reached.
    """
    _check(scanning)
    request, sources, notices = _whatever_is_meant(scanning, common, grid)
    screen.mark_market(request.market)
    started = stopwatch_s()
    warn_of_compiling(screen)
    with progress(screen, "Scan", "pair", len(sources), stopwatch_s) as report:
        rows, market = interruptible(lambda: _scanned(request, sources, scanning.days, report, make_executor))
    if common.json:
        print_json(_as_json(rows, market, request, notices, stopwatch_s() - started))
    else:
        _show(screen, rows, market, notices, stopwatch_s() - started)
    if require_real and not any(row.verdict is Verdict.REAL for row in rows):
        raise AnswerIsNoError("No pair is REAL, and --require-real asks for one.")


def _check(scanning: Scanning) -> None:
    if scanning.days is not None:
        days_ms(scanning.days)  # refuses what cannot be
    if scanning.turnover is not None and not scanning.all_pairs:
        raise BadInputError("--turnover goes with --all.", "Add --all, or leave it out.")
    if scanning.all_pairs and (scanning.symbols or scanning.candles):
        raise BadInputError("--all means every pair of Bybit.", "Leave out the pairs and --candles.")
    if not (scanning.all_pairs or scanning.symbols or scanning.candles):
        raise BadInputError("No pair is named.", "Try `shortest-peak scan BTCUSDT ETHUSDT SOLUSDT`, or --all.")


def _whatever_is_meant(
    scanning: Scanning, common: Common, grid: Path | None
) -> tuple[Request, tuple[Source, ...], tuple[str, ...]]:
    """The request that all pairs share, the pairs, and what the user must be told."""
    symbols = read_symbols(scanning.symbols or [])
    request = make_request(
        symbols[0] if symbols else "BTCUSDT",
        common,
        Market(market=scanning.market, endpoint=scanning.endpoint),
        grid=grid,
    )
    if scanning.candles:
        if scanning.market not in (MarketKind.AUTO, MarketKind.REPLAY):
            raise BadInputError(f"--candles is a replay, --market {scanning.market} is not.", "Leave one of them out.")
        return request, sources_in(scanning.candles, symbols), ()
    if scanning.all_pairs:
        names = liquid_pairs(request, parse_turnover(scanning.turnover or USUAL_TURNOVER))
        symbols = list(names)
    request, notices = on_one_market(request)
    return request, sources_named(symbols), notices


def parse_turnover(text: str) -> float:
    """``50M`` as 50,000,000 USDT.

    Raises:
        SettingError: it is no amount.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise SettingError(f"--turnover {text} cannot be read.", "Write an amount of USDT a day: 50M, 1.5B or 800000.")
    return float(match[1]) * _UNITS[match[2].lower()]


# ---- the work ------------------------------------------------------------------------------------


def _scanned(
    request: Request, sources: tuple[Source, ...], days: float | None, report: Report, make_executor: MakeExecutor
) -> tuple[list[ScannedPair], str]:
    """Every pair, ranked, and the market's name. Each that was judged is written down as looked at.

    Raises:
        ShortestPeakError: not one pair could be judged: the first one's reason.
    """
    waiting: list[_Waiting | ShortestPeakError] = []
    with make_executor() as executor:
        for done, source in enumerate(sources, 1):
            try:
                pair = load_pair(request, source, days)
                waiting.append(_Waiting(pair, executor.submit(judge_pair, pair.job)))
            except ForbiddenError:
                raise  # asking on would make it worse
            except ShortestPeakError as error:
                waiting.append(error)
            report(done, len(sources))
        found = [_outcome(one) for one in waiting]
    failures = [one for one in found if isinstance(one, ShortestPeakError)]
    if len(failures) == len(found):
        raise failures[0]
    markets = [one.pair.market for one in waiting if isinstance(one, _Waiting)]
    return _ranked(sources, found), markets[0]


class _Waiting(NamedTuple):
    """A pair that is being judged."""

    pair: LoadedPair
    answer: Future[PairRecord]


def _outcome(one: _Waiting | ShortestPeakError) -> PairRecord | ShortestPeakError:
    if isinstance(one, ShortestPeakError):
        return one
    try:
        record = one.answer.result()
    except CandleError as error:
        return error
    one.pair.examiner.write_down(one.pair.job.candles, record.evidence.verdict)
    return record


def _ranked(sources: tuple[Source, ...], found: list[PairRecord | ShortestPeakError]) -> list[ScannedPair]:
    verdicts = iter(verdicts_among([one for one in found if isinstance(one, PairRecord)]))
    often = Counter(source.symbol for source in sources)
    rows = []
    for source, one in zip(sources, found, strict=True):
        name = source.file.stem if source.file is not None and often[source.symbol] > 1 else source.symbol
        if isinstance(one, PairRecord):
            rows.append(ScannedPair(name, source.symbol, one, next(verdicts)))
        else:
            rows.append(ScannedPair(name, source.symbol, why_not=one.message))
    return sorted(rows, key=lambda row: row.rank)


# ---- what is told --------------------------------------------------------------------------------


def _show(screen: Screen, rows: list[ScannedPair], market: str, notices: tuple[str, ...], seconds: float) -> None:
    screen.mark_market(market)
    for notice in notices:
        screen.say(notice, style="yellow")
    judged = [row for row in rows if row.record is not None]
    screen.heading(f"{counted(len(judged), 'pair')} on the {market} market, in {seconds:.1f} s")
    screen.show(scan_table(rows))
    screen.say()
    screen.say(SCAN_LEGEND, style="dim")
    assumed = [row.name for row in judged if row.record is not None and row.record.tiers == "assumed"]
    if assumed:
        screen.say(f"Risk tiers are assumed (maintenance margin 0.5 %): {', '.join(assumed)}.", style="yellow")
    if len(judged) < len(rows):
        screen.heading("Not judged")
        for row in rows:
            if row.record is None:
                screen.tell(f"  {row.name:<14}  ", row.why_not)
    screen.say()
    screen.say(scan_answer(rows) + doubt_about(market), style="bold")


def _as_json(
    rows: list[ScannedPair], market: str, request: Request, notices: tuple[str, ...], seconds: float
) -> dict[str, Any]:
    judged = sum(row.record is not None for row in rows)
    return {
        "market": market,
        "pairs": [_row_json(row) for row in rows],
        "judged": judged,
        "real": [row.name for row in rows if row.verdict is Verdict.REAL],
        "log_evidence_needed_alone": needed_among(judged),
        "settings_hash": request.settings.fingerprint(),
        "elapsed_s": round(seconds, 3),
        "answer": scan_answer(rows) + doubt_about(market),
        "notices": list(notices),
    }


def _row_json(row: ScannedPair) -> dict[str, Any]:
    if row.record is None:
        return {"name": row.name, "symbol": row.symbol, "verdict": None, "why_not": row.why_not}
    record, e = row.record, row.record.evidence
    return {
        "name": row.name,
        "symbol": row.symbol,
        "verdict": str(row.verdict),
        "mean_pct": e.mean_pct,
        "low_pct": e.low_pct,
        "high_pct": e.high_pct,
        "promised_pct": e.promised_pct,
        "folds": e.folds,
        "trades": e.trades,
        "margin_calls": e.risk.margin_calls,
        "liquidations": e.risk.liquidations,
        "in_market_pct": 100.0 * record.in_market_frac,
        "tiers": record.tiers,
        "log_evidence_zero": e.zero.log_evidence,
        "log_evidence_chance": e.chance.log_evidence,
        "candles": {
            "start_ms": record.start_ms,
            "end_ms": record.end_ms,
            "count": record.candles,
            "hash": record.candles_hash,
        },
    }
