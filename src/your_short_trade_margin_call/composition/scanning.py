"""What a scan works on: many pairs of one market, each loaded by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.composition.history import days_of_record
from your_short_trade_margin_call.composition.markets import choose_market, file_pair, prepare
from your_short_trade_margin_call.composition.parts import make_examiner
from your_short_trade_margin_call.composition.request import Request
from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.words import MarketKind
from your_short_trade_margin_call.examiner import Examiner
from your_short_trade_margin_call.market.symbols import parse_symbol
from your_short_trade_margin_call.research.scan import PairJob

_SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class Source:
    """A pair of a scan, and the file its candles come from (None: from the market)."""

    symbol: str
    file: Path | None = None


def sources_in(places: list[Path], symbols: list[str]) -> tuple[Source, ...]:
    """One source for each file named, or lying in a folder named; the pair is read from the file's name.

    With `symbols`, only the files of these pairs.

    Raises:
        BadInputError: a file's name holds no pair, or nothing is left.
    """
    found = [source for place in places for source in _files_at(place)]
    kept = tuple(source for source in found if not symbols or source.symbol in symbols)
    if not kept:
        wanted = f" of {', '.join(symbols)}" if symbols else ""
        where = ", ".join(str(place) for place in places)
        raise BadInputError(f"There is no candle file{wanted} in {where}.", "Name files as BTCUSDT.parquet.")
    return kept


def _files_at(place: Path) -> Iterator[Source]:
    if not place.exists():
        raise BadInputError(f"There is no file or folder {place}.", "Check the path.")
    if not place.is_dir():
        symbol = file_pair(place)
        if symbol is None:
            raise BadInputError(f"The name of {place} does not say which pair it is.", "Call it BTCUSDT.parquet.")
        yield Source(symbol, place)
        return
    for path in sorted(place.iterdir()):
        symbol = file_pair(path)
        if symbol is not None and path.suffix.lower() in _SUFFIXES:
            yield Source(symbol, path)


def sources_named(symbols: list[str]) -> tuple[Source, ...]:
    """One source for each pair; named twice is named once."""
    return tuple(Source(symbol) for symbol in dict.fromkeys(symbols))


def read_symbols(texts: list[str]) -> list[str]:
    """Pairs as people write them.

    Raises:
        UnknownPairError: a text is no pair's name.
    """
    return [parse_symbol(text) for text in texts]


def on_one_market(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with its market chosen once, for all pairs; and what the user must be told about it.

    Raises:
        ExchangeError: Bybit was asked for and cannot be reached.
    """
    choice = choose_market(request)
    return replace(request, market=choice.market), choice.notices


@dataclass(frozen=True)
class LoadedPair:
    """A pair with all that it takes to judge it, the market's name, and who writes down that somebody looked."""

    job: PairJob
    market: str
    examiner: Examiner


def load_pair(request: Request, source: Source, days: float | None) -> LoadedPair:
    """One pair's candles. A record that was looked at before goes on from where it began.

    Args:
        request: on a market chosen before (`on_one_market`).
        source: the pair.
        days: of folds; None takes a whole file, or USUAL_DAYS.

    Raises:
        ShortestPeakError: they cannot be had, or used; says why.
    """
    own = replace(request, symbol=source.symbol, candles=source.file)
    prepared = prepare(own if source.file is None else replace(own, market=MarketKind.REPLAY))
    examiner = replace(make_examiner(prepared), days=days_of_record(prepared, days))
    candles = examiner.candles_to(prepared.candles.end_ms)
    job = PairJob(candles, prepared.request.settings, prepared.instrument, request.grid)
    return LoadedPair(job, prepared.name, examiner)


def liquid_pairs(request: Request, least_usdt: float) -> tuple[str, ...]:
    """Every USDT perpetual that trades and stays, with at least that turnover in 24 hours; the largest first.

    Raises:
        ExchangeError: Bybit cannot be reached.
        BadInputError: there is none.
    """
    names = run_async(_liquid_pairs(request, least_usdt))
    if not names:
        raise BadInputError(f"No pair turns over {least_usdt:,.0f} USDT a day.", "Ask for a smaller --turnover.")
    return names


async def _liquid_pairs(request: Request, least_usdt: float) -> tuple[str, ...]:
    # Loaded here: a scan of files must not wait for a network's libraries.
    from your_short_trade_margin_call.adapters.bybit.market_data import open_market_data
    from your_short_trade_margin_call.adapters.bybit.timing import Timing
    from your_short_trade_margin_call.composition.reaching import new_clock, public_endpoint

    async with open_market_data(public_endpoint(request), Timing(), new_clock) as data:
        turnovers = await data.turnovers()
    return tuple(name for name, turnover in turnovers if turnover >= least_usdt)
