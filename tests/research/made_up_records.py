"""Records made of returns alone: what a walk would have left behind, without the walk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.domain.params import StrategyParams
from your_short_trade_margin_call.domain.words import ExitReason, ExitType
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.account_kernel import TRADE_COLUMNS
from your_short_trade_margin_call.research.chance import ChanceShorts
from your_short_trade_margin_call.research.procedure import Choice, Procedure
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.trials import grid_params
from your_short_trade_margin_call.research.walk_forward import WalkForward, fold_sums
from your_short_trade_margin_call.research.walk_kernel import STRETCH
from your_short_trade_margin_call.rules.market_arrays import make_market
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import ParameterGrid, Settings

Floats = NDArray[np.float64]
WINDOW, STEP, CANDLE = 20, 20, 180_000
PARAMS = StrategyParams(5, ExitType.TAKE_PROFIT, 0.5, 0.0044)


def made_up_walk(returns: Floats, exits: Sequence[int], promised_pct: float = 2.0) -> WalkForward:
    """An account with these returns a candle after a window of 20, in folds of 20.

    `exits` are the candles after the window in which a trade was entered and closed.
    """
    settings, instrument = Settings(), find_instrument("BTCUSDT")
    n = WINDOW + len(returns)
    flat = np.full(n, 60_000.0)
    candles = Candles.from_columns("BTCUSDT", CANDLE * np.arange(10_000_000, 10_000_000 + n), flat, flat, flat, flat)
    market = make_market(candles, float(instrument.tick_size))
    equity = np.asarray(472.0 * np.cumprod(np.concatenate((np.ones(WINDOW), 1.0 + returns))), dtype=np.float64)
    firsts = np.arange(WINDOW, n + 1, STEP)
    choices = tuple(Choice(PARAMS, promised_pct, True) for _ in firsts[1:])
    trades = np.zeros((len(exits), len(TRADE_COLUMNS)))
    at = np.array(exits, dtype=np.int64) + WINDOW
    values = {
        "entry_index": at,
        "exit_index": at,
        "entry_ticks": market.open[0],
        "lots": 10,
        "leverage": 3.0,
        "margin_call_ticks": market.open[0] * 1.29,
        "pnl_value": equity[at] - equity[at - 1],
        "exit_reason": ExitReason.TARGET.code,
        "balance_after": equity[at],
    }
    for name, value in values.items():
        trades[:, TRADE_COLUMNS.index(name)] = value
    return WalkForward(
        Procedure(grid_params(ParameterGrid(), settings), WINDOW * CANDLE, STEP * CANDLE),
        make_field(market, make_contract(instrument), make_terms(settings, "BTCUSDT"), 5),
        472.0,
        firsts,
        market.time_ms[firsts[:-1]],
        choices,
        np.zeros(0, dtype=STRETCH),
        trades,
        equity,
        np.zeros(n),
    )


def made_up_chance(walk: WalkForward, returns: Floats | None = None) -> ChanceShorts:
    """Chance shorts with these returns a candle; None: they made nothing."""
    made = np.zeros(len(walk.equity) - walk.firsts[0]) if returns is None else returns
    return ChanceShorts(made, fold_sums(made, walk.firsts - walk.firsts[0]))
