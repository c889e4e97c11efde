"""What the record of the procedure makes of the drill's planted falls. `make calibrate-drill` runs it.

`--markets N` takes so many of each size (64); `--fall 0.007` (repeatable) measures other sizes than those in use;
`--reverting N` measures so many reverting markets, with and without their reversion, on the same draws.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from your_short_trade_margin_call.domain.words import DrillKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research import drill_markets
from your_short_trade_margin_call.research.drill_markets import HALF_FALL, PLANTED_FALL, SYMBOL, TICK, drill_candles
from your_short_trade_margin_call.research.record import Record, make_record
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.research.walk_forward import Procedure, walk_forward
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings

DAYS = 31.0
"""A day to choose from, and 60 folds of 12 hours."""
SEED = 20_261_122


def record_of(candles: Candles) -> Record:
    """The record of the default procedure, judged."""
    settings = Settings()
    trials = grid_params(ParameterGrid(), settings)
    contract, terms = make_contract(find_instrument(SYMBOL)), make_terms(settings, SYMBOL)
    market = make_market(candles, TICK)
    return make_record(walk_forward(market, contract, terms, Procedure(trials), settings.starting_balance, workers=1))


def records(markets: int, candles: Callable[[int], Candles]) -> list[Record]:
    """The records of so many markets, on all cores."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(lambda number: record_of(candles(number)), range(markets)))


def told(label: str, made: list[Record]) -> str:
    """One line about some records; percent of the account a fold."""
    means = np.array([one.walk.returns.mean() for one in made]) * 100.0
    held = np.concatenate([one.walk.held_ms for one in made]) / 3.6e6
    chance = np.mean([one.chance.fold_returns.mean() for one in made]) * 100.0
    trades = np.mean([one.walk.closed_trades / len(one.walk.returns) for one in made])
    real = sum(one.verdict.value == "REAL" for one in made)
    return (
        f"{label:24} {means.mean():+.2f} ± {means.std(ddof=1) / math.sqrt(len(means)):.2f} % per 12 h; chance shorts "
        f"{chance:+.2f} %; {trades:.1f} trades, held {np.median(held):.1f} h (median), {np.quantile(held, 0.9):.1f} h "
        f"(nine in ten); REAL {real} of {len(made)}"
    )


def measure_falls(markets: int, falls: list[float]) -> None:
    """Print what planted falls are worth."""
    for fall in falls:
        made = records(markets, lambda k, f=fall: drill_candles(DrillKind.PLANTED, SEED, k, DAYS, fall=f))  # type: ignore[misc]
        print(told(f"fall of {100 * fall:.2f} %", made), flush=True)


def measure_reversion(markets: int) -> None:
    """Print what reversion is worth: the same markets with and without it."""
    usual, means = drill_markets.REVERSION, []
    try:
        for spread in (usual, 0.0):
            drill_markets.REVERSION = spread
            made = records(markets, lambda k: drill_candles(DrillKind.REVERTING, SEED, k, DAYS))
            means.append(np.array([one.walk.returns.mean() for one in made]) * 100.0)
            print(told(f"reversion of {100 * spread:.2f} %", made), flush=True)
    finally:
        drill_markets.REVERSION = usual
    gain = means[0] - means[1]
    print(f"reversion is worth {gain.mean():+.3f} ± {gain.std(ddof=1) / math.sqrt(markets):.3f} % per 12 h")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the drill's markets are worth to the record.")
    parser.add_argument("--markets", type=int, default=64)
    parser.add_argument("--fall", type=float, action="append")
    parser.add_argument("--reverting", type=int, default=0)
    asked = parser.parse_args()
    if asked.reverting:
        measure_reversion(asked.reverting)
    else:
        measure_falls(asked.markets, asked.fall or [PLANTED_FALL, HALF_FALL])


if __name__ == "__main__":
    main()
