"""A rehearsal before trading: whatever the first trade of a process must compile or load is there before it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from your_short_trade_margin_call.adapters.event_loop import run_async
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.adapters.system_clock import ScaledClock
from your_short_trade_margin_call.composition.request import Prepared
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.exchange.replay_venue import ReplayVenue
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.trading.live_trading_engine import LiveTradingEngine
from your_short_trade_margin_call.trading.state import make_context

_CANDLES = 480
_LOOKBACK = 10
_TARGET_PCT = 0.0022


def rehearse(prepared: Prepared, params: StrategyParams) -> int:
    """Trade the past in memory, with this pair and account, and forget it; how many trades it came to.

    An entry asks for some twenty kernels that no sweep needs by themselves. Compiled within the first order they
    would take seconds, in which the market goes on.
    """
    journal = SqliteJournal(":memory:")
    try:
        with suppress(ShortestPeakError):
            run_async(_engine(prepared, params, journal).run())
        return len(journal.trades())
    finally:
        journal.close()


def _engine(prepared: Prepared, params: StrategyParams, journal: SqliteJournal) -> LiveTradingEngine:
    settings, instrument = prepared.request.settings, prepared.instrument
    past = prepared.candles.between(prepared.candles.start_ms, prepared.start_ms).tail(_CANDLES)
    params = replace(params, highest_high_lookback=_LOOKBACK, take_profit_pct=_TARGET_PCT)
    terms = make_terms(settings, prepared.request.symbol)
    exchange = SimulatedExchange(make_contract(instrument), terms, settings.starting_balance, settings.candle_ms)
    market = make_market(past, float(instrument.tick_size))
    venue = ReplayVenue(market, exchange, ScaledClock(past.start_ms))
    context = make_context(settings, instrument, _LOOKBACK)
    return LiveTradingEngine(context, venue, journal, ScaledClock(0), params=params)
