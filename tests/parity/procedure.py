"""The record of the procedure over some candles, as the tests need it."""

from __future__ import annotations

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.procedure import Procedure
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.research.walk_forward import WalkForward, walk_forward
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings


def walked(
    candles: Candles, settings: Settings, grid: ParameterGrid, instrument: Instrument | None = None
) -> WalkForward:
    instrument = instrument or find_instrument(candles.symbol)
    procedure = Procedure(
        grid_params(grid, settings), settings.window, settings.reoptimize or settings.window, settings.adopt
    )
    return walk_forward(
        make_market(candles, float(instrument.tick_size)),
        make_contract(instrument),
        make_terms(settings, candles.symbol),
        procedure,
        settings.starting_balance,
        workers=1,
    )
