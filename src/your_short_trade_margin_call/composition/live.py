"""A request on Bybit: its instrument, its candles, and for a real account the checks before trading."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from your_short_trade_margin_call.adapters.bybit.candle_source import BybitCandleSource
from your_short_trade_margin_call.adapters.bybit.clock import ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint
from your_short_trade_margin_call.adapters.bybit.history import is_throwaway, source_of
from your_short_trade_margin_call.adapters.bybit.keys import Keys, load_keys
from your_short_trade_margin_call.adapters.bybit.market_data import MarketData, open_market_data
from your_short_trade_margin_call.adapters.bybit.preflight import ClockFacts, Findings, Terms, preflight
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.storage.candle_store import CandleStore
from your_short_trade_margin_call.adapters.storage.kept_instruments import KeptInstruments
from your_short_trade_margin_call.adapters.system_clock import SystemClock
from your_short_trade_margin_call.composition.ours import Standing, balance_to_use, read_standing, standing_to_trade_on
from your_short_trade_margin_call.composition.reaching import account_endpoint, new_clock, public_endpoint
from your_short_trade_margin_call.composition.request import Prepared, Request
from your_short_trade_margin_call.domain.checks import Check
from your_short_trade_margin_call.domain.errors import BadInputError, ExchangeError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import Account, MarketKind
from your_short_trade_margin_call.market.instruments import read_instrument_file
from your_short_trade_margin_call.reporting.text import percent


@dataclass(frozen=True)
class Live:
    """What belongs to a request on Bybit.

    `endpoint` is the account's, `public` that of its prices; `keys` are None on paper. `checks` are those before
    trading, empty on paper. `begins_afresh` when the journal there is about a world that has ended (a look-alike
    that was started again).
    """

    endpoint: Endpoint
    public: Endpoint
    keys: Keys | None
    source: BybitCandleSource
    clock: ServerClock
    timing: Timing
    checks: tuple[Check, ...] = ()
    begins_afresh: bool = False


PAPER_LOST = (
    "The file of this journal's paper account is gone. A new account and a new journal begin; the old journal is kept "
    "beside it (.previous.sqlite)."
)


def prepare_live(request: Request) -> Prepared:
    """Load the instrument and the last window of candles; ask a real account whether it may be traded.

    Raises:
        ShortestPeakError: a named error that says what to do.
    """
    keys = None if request.account is Account.PAPER else load_keys(request.account, os.environ, request.keys)
    live = make_live(request, keys)
    label = source_of(live.public)
    instrument, now_ms = run_async(_instrument(request, live, label))
    read = standing_to_trade_on if request.trades else read_standing
    standing = read(request.paths.journal(request.symbol, request.account, label), instrument)
    # The world of a look-alike ends with its process; the real one never goes back.
    if is_throwaway(label) and standing.last_candle_ms is not None and standing.last_candle_ms >= now_ms:
        live, standing = replace(live, begins_afresh=True), Standing()
    notices: tuple[str, ...] = ()
    if request.trades and has_lost_its_paper(request, label, standing):
        live, standing, notices = replace(live, begins_afresh=True), Standing(), (PAPER_LOST,)
    balance = balance_to_use(standing, request.capital_usdt, request.settings.starting_balance)
    request = replace(request, settings=request.settings.replace(starting_balance=balance))
    if keys is not None and request.trades:
        findings = run_async(ask_account(request, live, standing))
        request, notices = _with_own_fees(request, findings)
        live = replace(live, checks=findings.checks)
    step = request.settings.candle_ms
    candles = live.source.window(now_ms // step * step, request.settings.window)
    notices += tuple(live.source.store.notes)
    return Prepared(request, MarketKind.BYBIT, instrument, candles, notices, label, live)


def has_lost_its_paper(request: Request, label: str, standing: Standing) -> bool:
    """Whether the journal is about a paper account whose file is gone: nothing can be held against it any more."""
    is_used = request.account is Account.PAPER and bool(standing.ours.link_ids)
    return is_used and not request.paths.paper_account(request.symbol, label).exists()


def _with_own_fees(request: Request, findings: Findings) -> tuple[Request, tuple[str, ...]]:
    """The request with the account's own fees instead of the settings', and the words that say so."""
    before, after = request.settings, findings.settings(request.settings)
    if after == before:
        return request, ()
    note = (
        f"This account pays taker {percent(after.taker_fee_rate)}, maker {percent(after.maker_fee_rate)}: used for "
        f"optimising and trading instead of the settings' {percent(before.taker_fee_rate)} and "
        f"{percent(before.maker_fee_rate)}."
    )
    return replace(request, settings=after), (note,)


def make_live(request: Request, keys: Keys | None) -> Live:
    """The way to Bybit for a request; nothing is asked yet.

    Raises:
        SettingError: the address does not fit the account.
    """
    public, timing = public_endpoint(request), Timing()
    label = source_of(public)
    source = BybitCandleSource(
        CandleStore.at(request.paths, request.symbol, label),
        lambda: open_market_data(public, timing, new_clock),
        throwaway=is_throwaway(label),
    )
    return Live(account_endpoint(request), public, keys, source, new_clock(), timing)


async def ask_account(request: Request, live: Live, standing: Standing) -> Findings:
    """All checks of an account; nothing is changed."""
    settings = request.settings
    terms = Terms(
        account=request.account,
        symbol=request.symbol,
        settings=settings,
        needed_usdt=settings.starting_balance + standing.wallet_change,
        leverage=settings.leverage,
        ours=standing.ours,
    )
    has_keys, url = live.keys is not None, live.endpoint.rest
    async with (
        Rest.open(live.public, live.timing, new_clock()) as public,
        Rest.open(live.endpoint, live.timing, live.clock, live.keys) as rest,
    ):
        return await preflight(url, rest, MarketData(public), clock_facts(live), terms, has_keys=has_keys)


def clock_facts(live: Live) -> ClockFacts:
    """This computer's clock against the server's."""
    clock = live.clock
    return ClockFacts(
        now_ms=SystemClock().now_ms,
        offset_ms=lambda: clock.offset_ms,
        round_trip_ms=lambda: 2 * clock.doubt_ms / max(clock.speed, 1.0),
        limit_ms=live.timing.max_skew_ms,
        is_look_alike=live.endpoint.is_loopback,
    )


async def _instrument(request: Request, live: Live, label: str) -> tuple[Instrument, int]:
    """The pair as the exchange describes it (kept for later), and the exchange's time."""
    async with open_market_data(live.public, live.timing, lambda: live.clock) as data:
        now_ms = data.settled_ms()
        if request.instrument is not None:
            if request.account is not Account.PAPER:
                raise BadInputError(
                    f"--instrument is not for --account {request.account}: the exchange's own word counts.",
                    "Leave out --instrument.",
                )
            return read_instrument_file(request.instrument, request.symbol), now_ms
        kept = KeptInstruments(request.paths, label)
        try:
            return await _fetched(data, kept, request.symbol, now_ms), now_ms
        except ExchangeError:
            if request.account is not Account.PAPER:
                raise
            return kept.or_package(request.symbol), now_ms


async def _fetched(data: MarketData, kept: KeptInstruments, symbol: str, now_ms: int) -> Instrument:
    instrument, item = await data.instrument(symbol)
    kept.keep(symbol, item, await data.tiers(symbol), now_ms)
    return instrument
