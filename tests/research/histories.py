"""Short histories and quick procedures for the tests of the record: folds of hours, a handful of trials."""

from __future__ import annotations

import numpy as np

from your_short_trade_margin_call.domain.words import Adopt, ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.research.procedure import Procedure
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.research.walk_forward import WalkForward, walk_forward
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings

HOUR = 3_600_000
WINDOW, STEP = 8 * HOUR, 4 * HOUR
FEW = ParameterGrid(
    highest_high_lookback=(5, 10, 20),
    exit_type=(ExitType.HIGHEST_LOW, ExitType.TAKE_PROFIT),
    risk_fraction=(0.5, 0.85),
    take_profit_pct=(0.003, 0.006, 0.012),
)


def history(seed: int, hours: int = 40, **market: object) -> Candles:
    """A lively invented market with mark prices and settlements every hour."""
    usual = {"volatility_per_minute": 0.002, "funding_interval_minutes": 60, "edge": 1.0}
    return generate(SyntheticMarket(seed=seed, minutes=60 * hours, **(usual | market)))  # type: ignore[arg-type]


def walked(candles: Candles, adopt: Adopt = Adopt.ALWAYS, grid: ParameterGrid = FEW, **settings: object) -> WalkForward:
    """The record over a history: 8 hours are looked at, every 4 hours."""
    chosen = Settings().replace(**settings)
    instrument = find_instrument(candles.symbol)
    return walk_forward(
        make_market(candles, float(instrument.tick_size)),
        make_contract(instrument),
        make_terms(chosen, candles.symbol),
        Procedure(grid_params(grid, chosen), WINDOW, STEP, adopt),
        chosen.starting_balance,
        workers=1,
    )


def without(candles: Candles, first: int, end: int) -> Candles:
    """The candles first..end-1 are missing."""
    kept = np.r_[0:first, end : len(candles)]
    columns = (getattr(candles, name)[kept] for name in ("time_ms", "open", "high", "low", "close"))
    return Candles.from_columns(candles.symbol, *columns, timeframe_ms=180_000, funding=candles.funding)
