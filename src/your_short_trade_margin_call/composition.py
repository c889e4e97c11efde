"""The only place that builds concrete parts, for every command and for MainEngine."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from your_short_trade_margin_call import __version__
from your_short_trade_margin_call.adapters.storage.controls import read_controls
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.storage.optimization_queue import OptimizationQueue, Owner
from your_short_trade_margin_call.adapters.system_clock import ScaledClock, stopwatch_s
from your_short_trade_margin_call.domain.errors import BadInputError, EmptyCandlesError, ExchangeError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import Account, MarketKind
from your_short_trade_margin_call.main_engine import MainEngine, Parts
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.columns import moment
from your_short_trade_margin_call.market.instruments import find_instrument, read_instrument_file
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.research.backtest_engine import BacktestEngine
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings
from your_short_trade_margin_call.trading.live_trading_engine import Observer

DAY_MS = 86_400_000
SIMULATED_SPEED = 600.0
SIMULATED_DAYS = 1
LONGEST_INVENTED_MS = 90 * DAY_MS

INVENTED_NOTICE = (
    "Bybit is not connected in this version: this runs on the built-in market. Its prices are invented; "
    "nothing it shows says anything about the real pair. For real candles: --market replay --candles FILE."
)


@dataclass(frozen=True)
class Request:
    """What a command was asked to work on."""

    symbol: str
    settings: Settings = field(default_factory=Settings)
    grid: ParameterGrid = field(default_factory=ParameterGrid)
    market: MarketKind = MarketKind.AUTO
    account: Account = Account.PAPER
    paths: Paths = field(default_factory=Paths.default)
    candles: Path | None = None
    mark: Path | None = None
    funding: Path | None = None
    minutes: Path | None = None
    timerange_ms: tuple[int, int] | None = None
    instrument: Path | None = None
    speed: float | None = None
    """Times real time; None takes the market's own (600 invented, as fast as possible replayed)."""
    wall_ms: int | None = None
    """How long trading may take in real time."""


@dataclass(frozen=True)
class Prepared:
    """A request with its market chosen, its instrument and candles loaded."""

    request: Request
    market: MarketKind
    instrument: Instrument
    candles: Candles
    notices: tuple[str, ...]

    @property
    def is_invented(self) -> bool:
        """Whether prices are made up."""
        return self.market is MarketKind.SIMULATED

    def window(self, until_ms: int, window_ms: int) -> Candles:
        """Candles that closed in (until - window, until] (`main_engine.CandleSource`)."""
        step = self.request.settings.candle_ms
        return self.candles.between(until_ms - window_ms, until_ms - step + 1)


def choose_market(request: Request) -> tuple[MarketKind, tuple[str, ...]]:
    """The market a request means, and what the user must be told about it.

    Raises:
        BadInputError: the options contradict each other.
        ExchangeError: Bybit was asked for; this version does not connect to it.
    """
    market = request.market
    if request.candles is not None:
        if market not in (MarketKind.AUTO, MarketKind.REPLAY):
            raise BadInputError(f"--candles is a replay, --market {market} is not.", "Leave one of them out.")
        return MarketKind.REPLAY, ()
    if market is MarketKind.REPLAY:
        raise BadInputError("A replay needs candles.", "Add --candles FILE (Parquet or CSV).")
    if request.mark or request.funding or request.minutes or request.timerange_ms:
        raise BadInputError("--mark, --funding, --minutes and --timerange go with --candles.", "Add --candles FILE.")
    if request.account is not Account.PAPER:
        raise ExchangeError(f"--account {request.account} needs Bybit, which this version does not connect to.",
                            "Use --account paper.")  # fmt: skip
    if market is MarketKind.BYBIT:
        raise ExchangeError("Bybit is not connected in this version.", "Use --market simulated, or --candles FILE.")
    return MarketKind.SIMULATED, (INVENTED_NOTICE,) if market is MarketKind.AUTO else ()


def prepare(request: Request) -> Prepared:
    """Choose the market, load the instrument and the candles.

    Raises:
        ShortestPeakError: a named error that says what to do.
    """
    market, notices = choose_market(request)
    instrument = load_instrument(request)
    candles = _recorded(request) if market is MarketKind.REPLAY else _invented(request, instrument)
    assumed = instrument.tiers_source == "assumed"
    if assumed:
        notices += (f"Risk tiers of {request.symbol} are assumed: maintenance margin 0.5 %, no deduction.",)
    notices += candles.quality.notes + _doubts(request, instrument, candles)
    return Prepared(request, market, instrument, candles, notices)


def _doubts(request: Request, instrument: Instrument, candles: Candles) -> tuple[str, ...]:
    """What looks wrong about the candles without being a defect of theirs."""
    doubts: list[str] = []
    named = re.search(r"([A-Z0-9]{2,20}USDT)(?![A-Z0-9])", request.candles.name) if request.candles else None
    if named is not None and named[1] != request.symbol:
        doubts.append(f"The file's name speaks of {named[1]}; it is read as {request.symbol}.")
    steps = candles.close / float(instrument.tick_size)
    off = float((abs(steps - steps.round()) > 1e-6).mean()) if len(candles) else 0.0
    if off > 0.01:
        doubts.append(
            f"{off:.0%} of the closes lie between two ticks of {instrument.tick_size} USDT: are these candles of "
            f"{request.symbol}? They are used as they are."
        )
    return tuple(doubts)


def load_instrument(request: Request) -> Instrument:
    """The instrument from `--instrument FILE`, else from the package.

    Raises:
        UnknownPairError: nothing is known about the pair.
    """
    if request.instrument is not None:
        return read_instrument_file(request.instrument, request.symbol)
    return find_instrument(request.symbol)


def make_backtest_engine(prepared: Prepared) -> BacktestEngine:
    """A BacktestEngine for the request's settings and instrument."""
    return BacktestEngine(prepared.request.settings, prepared.instrument)


def make_optimizer(prepared: Prepared) -> MainEngine:
    """A MainEngine that can optimise but not trade."""
    return MainEngine(_parts(prepared))


@dataclass
class TradingSession:
    """A MainEngine ready to trade, and what must be closed afterwards."""

    main: MainEngine
    journal: SqliteJournal
    start_ms: int

    def close(self) -> None:
        """Release the journal."""
        self.journal.close()


def make_trading_session(
    prepared: Prepared,
    observer: Observer | None = None,
    on_optimized: Callable[..., None] | None = None,
    on_problem: Callable[[str], None] | None = None,
) -> TradingSession:
    """Everything needed to trade on paper. The journal of the run before is kept beside the new one.

    The first window of the candles is history to optimise on; trading begins after it.

    Raises:
        TooFewCandlesError: there is nothing left to trade on.
        BusyError: another process trades this pair.
    """
    # Loaded here: an optimisation must not wait for the exchange.
    from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
    from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange

    request, parts = prepared.request, _parts(prepared)
    settings = request.settings
    start_ms = prepared.candles.start_ms + settings.window
    first = int(prepared.candles.time_ms.searchsorted(start_ms))
    prepared.candles.require(first + 2, f"trading after a first window of {settings.window // 3_600_000} h")
    contract, terms = make_contract(prepared.instrument), make_terms(settings, request.symbol)
    exchange = SimulatedExchange(contract, terms, settings.starting_balance, settings.candle_ms)
    clock = ScaledClock(start_ms, _speed(prepared))
    market = make_market(prepared.candles, float(prepared.instrument.tick_size))
    journal = SqliteJournal(request.paths.journal(request.symbol, request.account, prepared.market), afresh=True)
    parts.exchange = ReplayVenue(market, exchange, clock, start=first)
    parts.clock, parts.journal = clock, journal
    parts.observer, parts.on_optimized, parts.on_problem = observer, on_optimized, on_problem
    controls = request.paths.controls(request.symbol)
    parts.controls = lambda: _wishes(controls)
    return TradingSession(MainEngine(parts), journal, start_ms)


def _parts(prepared: Prepared) -> Parts:
    request = prepared.request
    return Parts(
        symbol=request.symbol,
        market=prepared.market,
        account=request.account,
        settings=request.settings,
        grid=request.grid,
        paths=request.paths,
        engine=make_backtest_engine(prepared),
        source=prepared,
        queue=OptimizationQueue(request.paths.optimization_queue),
        owner=Owner(os.getpid(), str(time.time_ns())),
        version=__version__,
        wall_now=lambda: datetime.now(tz=timezone.utc).isoformat(timespec="seconds"),
        stopwatch_s=stopwatch_s,
    )


def _speed(prepared: Prepared) -> float | None:
    if prepared.request.speed is not None:
        return prepared.request.speed
    return SIMULATED_SPEED if prepared.is_invented else None


def _wishes(path: Path) -> tuple[bool, bool]:
    controls = read_controls(path)
    return controls.paused, controls.flatten


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
    minutes = (settings.window + traded) // 60_000
    return generate(
        SyntheticMarket(
            seed=settings.seed,
            symbol=request.symbol,
            minutes=minutes,
            tick_size=float(instrument.tick_size),
            edge=settings.edge,
        )
    )
