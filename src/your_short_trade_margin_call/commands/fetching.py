"""The `fetch` command: the recorded past of a pair, from the exchange into the store, and out into files on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import typer

from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint
from your_short_trade_margin_call.adapters.bybit.history import fill, forget_another_market, is_throwaway, source_of
from your_short_trade_margin_call.adapters.bybit.market_data import open_market_data
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.storage.candle_store import RECORDED, CandleStore
from your_short_trade_margin_call.adapters.storage.day_files import as_parquet
from your_short_trade_margin_call.adapters.storage.files import write_atomically
from your_short_trade_margin_call.adapters.storage.history_rows import HistoryKind, Span, day_of, days_in
from your_short_trade_margin_call.adapters.storage.kept_instruments import KeptInstruments
from your_short_trade_margin_call.adapters.system_clock import stopwatch_s
from your_short_trade_margin_call.commands.endpoint import chosen_endpoint
from your_short_trade_margin_call.commands.options import Common
from your_short_trade_margin_call.commands.output import print_json
from your_short_trade_margin_call.commands.program import INTERRUPTED
from your_short_trade_margin_call.commands.typed import check_settings
from your_short_trade_margin_call.domain.errors import BadInputError, EmptyCandlesError, SettingError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.tables import format_of
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.reporting.progress import progress
from your_short_trade_margin_call.reporting.screen import Screen
from your_short_trade_margin_call.reporting.sheets import show_rows
from your_short_trade_margin_call.reporting.text import counted, moment

MOST_DAYS = 3_650


@dataclass(frozen=True)
class Wish:
    """What to fetch, and where to put it beside the store."""

    days: int = 30
    end: str | None = None
    minutes: bool = False
    account: Account = Account.PAPER
    endpoint: str | None = None
    out: Path | None = None

    @property
    def kinds(self) -> tuple[HistoryKind, ...]:
        """Candles, mark candles and settlements; minutes on demand."""
        return (*RECORDED, HistoryKind.MINUTES) if self.minutes else RECORDED


@dataclass(frozen=True)
class Outcome:
    """What is there now, and what was new."""

    source: str
    span: Span
    candles: Candles
    new_rows: int
    notes: tuple[str, ...]


def fetch(symbol: str, common: Common, wish: Wish, screen: Screen) -> None:
    """Run it. Whatever has come stays when it is stopped; the next run asks for the rest only.

    Raises:
        BadInputError: the days or the file cannot be; the exchange does not have the pair.
        ExchangeError: the exchange cannot be reached.
        DiskError: something could not be written.
    """
    check_settings(common)
    _check(wish)
    # Only testnet has prices of its own; a demo account trades on the real ones.
    account = Account.TESTNET if wish.account is Account.TESTNET else Account.PAPER
    started, endpoint = stopwatch_s(), chosen_endpoint(account, wish.endpoint)
    store = CandleStore.at(Paths.default(), symbol, source_of(endpoint))
    screen.mark_market(source_of(endpoint))
    try:
        outcome = run_async(_fetched(store, endpoint, wish, screen))
    except KeyboardInterrupt:
        screen.say(f"Stopped. The days that are whole stay in {store.folder}; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED) from None
    written = _write_out(store, outcome, wish)
    if common.json:
        print_json(_as_json(store, outcome, written, stopwatch_s() - started))
    else:
        _show(screen, store, outcome, written, stopwatch_s() - started)


async def _fetched(store: CandleStore, endpoint: Endpoint, wish: Wish, screen: Screen) -> Outcome:
    source, notes = source_of(endpoint), list[str]()
    async with open_market_data(endpoint, Timing()) as data:
        item = await data.item(store.symbol)
        if is_throwaway(source) and await forget_another_market(data, store):
            notes.append(f"Another market answers at {endpoint.rest} now: what was kept of the last one is gone.")
        kept = KeptInstruments(Paths.default(), source)
        kept.keep(store.symbol, item, await data.tiers(store.symbol), data.now_ms())
        span = span_of(wish, data.settled_ms())
        if (listed := _listed_ms(item)) > span.start_ms:
            notes.append(f"{store.symbol} is listed since {moment(listed)} UTC: there is nothing before.")
            span = Span(max(span.start_ms, listed), span.end_ms)
        _refuse_nothing(store.symbol, span)
        screen.say(f"{store.symbol} from {endpoint.rest}: {moment(span.start_ms)} to {moment(span.end_ms)} UTC.")
        steps = len(wish.kinds) * sum(1 for _ in days_in(span))
        with progress(screen, "Fetch", "file", steps, stopwatch_s) as report:
            new_rows = await fill(data, store, span, wish.kinds, report)
    return Outcome(source, span, store.candles(span, wish.kinds), new_rows, tuple(notes))


def span_of(wish: Wish, now_ms: int) -> Span:
    """The stretch of whole UTC days: up to now, or to the end of `wish.end`.

    Raises:
        BadInputError: the last day is in the future.
    """
    end_ms = now_ms // CANDLE_MS * CANDLE_MS
    if wish.end is None:
        return Span(day_of(end_ms) - wish.days * DAY_MS, end_ms)
    last = parse_day(wish.end)
    if last >= end_ms:
        raise BadInputError(f"--end {wish.end} has no candle yet.", f"On the exchange it is {moment(now_ms)} UTC.")
    return Span(last - (wish.days - 1) * DAY_MS, min(last + DAY_MS, end_ms))


def parse_day(text: str) -> int:
    """``2025-05-29`` or ``20250529`` as UTC ms.

    Raises:
        SettingError: it is neither.
    """
    try:
        day = datetime.strptime(text.replace("-", ""), "%Y%m%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise SettingError(f"{text!r} is no day.", "Write it as 2025-05-29, in UTC.") from None
    return int(day.timestamp()) * 1_000


def _check(wish: Wish) -> None:
    """What can be known to be wrong before anything is asked."""
    if not 1 <= wish.days <= MOST_DAYS:
        raise SettingError(f"--days {wish.days} cannot be.", f"Give a whole number from 1 to {MOST_DAYS:,}.")
    if wish.end is not None:
        parse_day(wish.end)
    if wish.out is not None and format_of(wish.out) != "parquet":
        raise BadInputError(f"--out {wish.out} is no Parquet file by its name.", "Name it FILE.parquet.")


def _refuse_nothing(symbol: str, span: Span) -> None:
    if span.start_ms >= span.end_ms:
        raise EmptyCandlesError(
            f"{symbol} has no candle in these days.", f"It has some from {moment(span.start_ms)} UTC on."
        )


def _listed_ms(item: dict[str, Any]) -> int:
    """The first candle there can be; 0 when the exchange does not say."""
    text = str(item.get("launchTime") or "0")
    return int(text) // CANDLE_MS * CANDLE_MS if text.isdigit() else 0


# ---- files ---------------------------------------------------------------------------------------


def _write_out(store: CandleStore, outcome: Outcome, wish: Wish) -> dict[str, Path]:
    """One file of each kind, by the option that takes it; none without `--out`."""
    if wish.out is None:
        return {}
    written: dict[str, Path] = {}
    for kind in wish.kinds:
        span = outcome.span
        if kind is HistoryKind.FUNDING:
            span = Span(span.start_ms + 1, span.end_ms + 1)
        rows = store.rows(kind, span)
        if not len(rows):
            continue
        path = wish.out if kind is HistoryKind.CANDLES else wish.out.with_suffix(f".{kind}.parquet")
        write_atomically(path, as_parquet(rows))
        written[f"--{kind}"] = path
    return written


# ---- what is told --------------------------------------------------------------------------------


def _show(screen: Screen, store: CandleStore, outcome: Outcome, written: dict[str, Path], seconds: float) -> None:
    candles, quality = outcome.candles, outcome.candles.quality
    wanted = (outcome.span.end_ms - outcome.span.start_ms) // CANDLE_MS
    rows = [
        ("new", f"{counted(outcome.new_rows, 'row')} in {seconds:.1f} s"),
        ("candles", f"{len(candles):,} of {wanted:,}"),
        ("gaps", f"{counted(quality.gaps, 'gap')}, {counted(quality.missing, 'candle')} missing"),
        *((kind, text) for kind, text in _extras(candles)),
        ("kept in", f"{store.folder} ({store.size() / 1e6:.1f} MB)"),
    ]
    show_rows(screen, rows)
    for note in (*outcome.notes, *quality.notes):
        screen.say(note, style="yellow")
    if written:
        options = " ".join(f"{option} {path}" for option, path in written.items())
        screen.say(f"Use them with: shortest-peak backtest {store.symbol} {options}")
    else:
        screen.say("What trades or optimises on this market takes them from there; kept days are not fetched again.")
        screen.say("For use without the exchange, add --out FILE.parquet: that is a file for --candles.")


def _extras(candles: Candles) -> list[tuple[str, str]]:
    counts: list[tuple[str, Any, Callable[[int], str]]] = [
        ("mark", candles.mark, lambda n: f"{n:,} candles"),
        ("minutes", candles.minutes, lambda n: f"{n:,}"),
        ("funding", candles.funding, lambda n: counted(n, "settlement")),
    ]
    return [(name, text(len(extra))) for name, extra, text in counts if extra is not None]


def _as_json(store: CandleStore, outcome: Outcome, written: dict[str, Path], seconds: float) -> dict[str, Any]:
    candles, quality = outcome.candles, outcome.candles.quality
    return {
        "symbol": store.symbol,
        "source": outcome.source,
        "start_ms": outcome.span.start_ms,
        "end_ms": outcome.span.end_ms,
        "days": sum(1 for _ in days_in(outcome.span)),
        "candles": len(candles),
        "gaps": quality.gaps,
        "missing": quality.missing,
        "mark_candles": 0 if candles.mark is None else len(candles.mark),
        "minutes": 0 if candles.minutes is None else len(candles.minutes),
        "funding_rows": None if candles.funding is None else len(candles.funding),
        "new_rows": outcome.new_rows,
        "hash": candles.content_hash,
        "bytes": store.size(),
        "seconds": round(seconds, 3),
        "folder": str(store.folder),
        "written": {option.removeprefix("--"): str(path) for option, path in written.items()},
        "notes": [*outcome.notes, *quality.notes],
    }
