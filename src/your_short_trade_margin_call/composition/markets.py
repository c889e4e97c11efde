"""Choosing the market of a request, and loading its instrument and candles."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from your_short_trade_margin_call.adapters.storage.kept_instruments import KeptInstruments
from your_short_trade_margin_call.composition.request import SIMULATED_SPEED, Prepared, Request, Tell
from your_short_trade_margin_call.domain.errors import BadInputError, EmptyCandlesError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.spans import DAY_MS, MINUTE_MS
from your_short_trade_margin_call.domain.words import Account, MarketKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.columns import moment
from your_short_trade_margin_call.market.instruments import read_instrument_file
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate

SIMULATED_DAYS = 1
LONGEST_INVENTED_MS = 90 * DAY_MS

INVENTED_NOTICE = (
    "{why} So this runs on the built-in market: its prices are invented, and nothing it shows says anything about the "
    "real pair. For Bybit's prices mend the connection (`shortest-peak doctor` says what is wrong); for recorded "
    "candles: --candles FILE."
)


@dataclass(frozen=True)
class Choice:
    """The market a request means, and what the user must be told about it."""

    market: MarketKind
    notices: tuple[str, ...] = ()
    waited_ms: int = 0


def choose_market(request: Request, tell: Tell = lambda _: None) -> Choice:
    """The market a request means. On `auto`, Bybit is tried for some seconds.

    Raises:
        BadInputError: the options contradict each other.
        ExchangeError: Bybit was asked for, or the pair has a journal of it, and it cannot be reached.
    """
    market = request.market
    if request.candles is not None:
        return _replay(request)
    if market is MarketKind.REPLAY:
        raise BadInputError("A replay needs candles.", "Add --candles FILE (Parquet or CSV).")
    if request.mark or request.funding or request.minutes or request.timerange_ms:
        raise BadInputError("--mark, --funding, --minutes and --timerange go with --candles.", "Add --candles FILE.")
    if market is MarketKind.SIMULATED:
        _require_paper(request)
        return Choice(market)
    _refuse_speed(request)
    return _bybit_or_invented(request, tell)


def _bybit_or_invented(request: Request, tell: Tell) -> Choice:
    # Loaded here: a replay must not wait for a network's libraries.
    from your_short_trade_margin_call.composition import reaching

    error = reaching.try_bybit(request)
    if error is None:
        return Choice(MarketKind.BYBIT)
    asked_for = request.market is MarketKind.BYBIT or request.account is not Account.PAPER
    has_journal = reaching.has_journal(request)
    if (asked_for or has_journal) and not (has_journal and request.trades):
        raise error
    if has_journal:
        return Choice(MarketKind.BYBIT, waited_ms=reaching.wait_for_bybit(request, error, tell))
    return Choice(MarketKind.SIMULATED, (INVENTED_NOTICE.format(why=error.message),))


def _replay(request: Request) -> Choice:
    if request.market not in (MarketKind.AUTO, MarketKind.REPLAY):
        raise BadInputError(f"--candles is a replay, --market {request.market} is not.", "Leave one of them out.")
    _require_paper(request)
    return Choice(MarketKind.REPLAY)


def _require_paper(request: Request) -> None:
    if request.account is not Account.PAPER:
        raise BadInputError(
            f"--account {request.account} trades on Bybit, not on recorded or invented candles.",
            "Leave out --market and --candles, or use --account paper.",
        )


def _refuse_speed(request: Request) -> None:
    if request.market is MarketKind.BYBIT and request.speed is not None:
        raise BadInputError("Bybit's time cannot be sped up.", "Leave out --speed.")


def prepare(request: Request, tell: Tell = lambda _: None) -> Prepared:
    """Choose the market, load the instrument and the candles; `tell` is told what is waited for.

    Raises:
        ShortestPeakError: a named error that says what to do.
    """
    choice = choose_market(request, tell)
    if request.wall_ms is not None:
        request = replace(request, wall_ms=max(1, request.wall_ms - choice.waited_ms))
    if choice.market is MarketKind.BYBIT:
        from your_short_trade_margin_call.composition.live import prepare_live

        prepared = prepare_live(request)
    else:
        prepared = _prepare_offline(request, choice)
    notices = choice.notices + prepared.notices + _about(prepared.instrument)
    notices += prepared.candles.quality.notes + _doubts(prepared.request, prepared.instrument, prepared.candles)
    return replace(prepared, notices=notices)


def _about(instrument: Instrument) -> tuple[str, ...]:
    """What a trader must know of the pair itself."""
    notices: list[str] = []
    if instrument.tiers_source == "assumed":
        notices.append(f"Risk tiers of {instrument.symbol} are assumed: maintenance margin 0.5 %, no deduction.")
    if not instrument.is_trading:
        notices.append(
            f"{instrument.symbol} does not trade, or is about to be delisted: it can be looked at, but trading makes "
            "no entries (instrument_not_trading)."
        )
    return tuple(notices)


def _prepare_offline(request: Request, choice: Choice) -> Prepared:
    kept = KeptInstruments(request.paths)
    instrument = load_instrument(request, kept)
    candles = _recorded(request) if choice.market is MarketKind.REPLAY else _invented(request, instrument)
    return Prepared(request, choice.market, instrument, candles, tuple(kept.notes))


def load_instrument(request: Request, kept: KeptInstruments) -> Instrument:
    """The instrument without the exchange: from `--instrument FILE`, else the kept copy, else the package's.

    Raises:
        UnknownPairError: nothing is known about the pair.
    """
    if request.instrument is not None:
        return read_instrument_file(request.instrument, request.symbol)
    return kept.or_package(request.symbol)


def _doubts(request: Request, instrument: Instrument, candles: Candles) -> tuple[str, ...]:
    """What looks wrong about the candles without being a defect of theirs."""
    doubts: list[str] = []
    named = None if request.candles is None else file_pair(request.candles)
    if named is not None and named != request.symbol:
        doubts.append(f"The file's name speaks of {named}; it is read as {request.symbol}.")
    steps = candles.close / float(instrument.tick_size)
    off = float((abs(steps - steps.round()) > 1e-6).mean()) if len(candles) else 0.0
    if off > 0.01:
        doubts.append(
            f"{off:.0%} of the closes lie between two ticks of {instrument.tick_size} USDT: are these candles of "
            f"{request.symbol}? They are used as they are."
        )
    return tuple(doubts)


def file_pair(path: Path) -> str | None:
    """The pair that a candle file's name speaks of: ``bybit_BTCUSDT_3m.parquet`` is about BTCUSDT."""
    named = re.search(r"([A-Z0-9]{2,20}USDT)(?![A-Z0-9])", path.name)
    return None if named is None else named[1]


def _recorded(request: Request) -> Candles:
    if request.candles is None:
        raise BadInputError("A replay needs candles.", "Add --candles FILE.")
    candles = Candles.from_file(
        request.candles, symbol=request.symbol, mark=request.mark, funding=request.funding, minutes=request.minutes
    )
    if request.timerange_ms is None:
        return candles
    cut = candles.between(*request.timerange_ms)
    if not len(cut):
        first, last = (moment(time_ms) for time_ms in (candles.start_ms, candles.end_ms))
        raise EmptyCandlesError(
            f"The --timerange holds none of the candles in {request.candles}.", f"They go from {first} to {last}."
        )
    return cut


def _invented(request: Request, instrument: Instrument) -> Candles:
    """The first window, and at least a day to trade on after it."""
    settings = request.settings
    traded = SIMULATED_DAYS * DAY_MS
    if request.wall_ms is not None:
        # Cut before it becomes a whole number: the speed may be infinite.
        wanted = min(request.wall_ms * (request.speed or SIMULATED_SPEED), LONGEST_INVENTED_MS)
        traded = max(traded, int(wanted) + settings.candle_ms)
    minutes = (settings.window + traded) // MINUTE_MS
    return generate(
        SyntheticMarket(
            seed=settings.seed,
            symbol=request.symbol,
            minutes=minutes,
            tick_size=float(instrument.tick_size),
            edge=settings.edge,
        )
    )
