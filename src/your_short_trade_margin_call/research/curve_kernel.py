"""The equity curve of a trial from its trades, compiled: the one thing that needs every candle."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from your_short_trade_margin_call.rules import costs, position
from your_short_trade_margin_call.rules.jit import jit, jit_inline
from your_short_trade_margin_call.rules.terms import Contract

CANDLES_PER_YEAR = 175_200.0
_SURELY = 1.0 - 1e-9


class Curve(NamedTuple):
    """What drawdown and Sharpe need of the equity curve, carried candle by candle."""

    last: float
    peak: float
    drawdown: float
    sum_returns: float
    sum_squares: float


@jit_inline
def _mark_equity(curve: Curve, equity: float) -> Curve:
    """The curve after one more candle close."""
    change = equity / curve.last - 1.0 if curve.last > 0.0 else 0.0
    peak = max(curve.peak, equity)
    drawdown = curve.drawdown
    # What is surely no deeper needs no division.
    if peak - equity > drawdown * peak * _SURELY and peak > 0.0:
        drawdown = max(drawdown, (peak - equity) / peak)
    return Curve(
        equity,
        peak,
        drawdown,
        curve.sum_returns + change,
        curve.sum_squares + change * change,
    )


@jit_inline
def _sharpe(curve: Curve, n_candles: int) -> float:
    """Mean over standard deviation (ddof 1) of simple per-candle returns, a year of them; 0 when flat."""
    n = n_candles - 1
    if n < 2:
        return 0.0
    mean = curve.sum_returns / n
    variance = (curve.sum_squares - n * mean * mean) / (n - 1)
    return mean / math.sqrt(variance) * math.sqrt(CANDLES_PER_YEAR) if variance > 0.0 else 0.0


@jit
def trace_equity(
    close: NDArray[np.float64], mark_close: NDArray[np.float64], funding_first: NDArray[np.int64],
    funding_rate: NDArray[np.float64], contract: Contract, trades: NDArray[np.float64], n_trades: int,
    start_wallet: float, equity: NDArray[np.float64],
) -> tuple[float, float]:  # fmt: skip
    """Drawdown (a fraction) and Sharpe of a trial's trades (the first `n_trades` rows of TRADE_COLUMNS, all of them).

    `equity` is filled with the equity at each candle close when it has the room for it.
    """
    keep, has_funding = len(equity) > 0, len(funding_rate) > 0
    wallet = start_wallet
    curve = Curve(wallet, wallet, 0.0, 0.0, 0.0)
    flat_from = 0
    for k in range(n_trades):
        first, last, ticks, lots = int(trades[k, 0]), int(trades[k, 1]), trades[k, 2], trades[k, 4]
        if keep:
            for j in range(flat_from, first):
                equity[j] = wallet
        wallet -= trades[k, 10]
        for j in range(first, last):
            if has_funding and j > first:
                for f in range(funding_first[j], funding_first[j + 1]):
                    wallet += costs.funding_received(contract, lots, mark_close[j - 1], funding_rate[f])
            marked = wallet + position.unrealized_pnl(contract, lots, ticks, close[j])
            curve = _mark_equity(curve, marked)
            if keep:
                equity[j] = marked
        wallet = trades[k, 15]
        curve = _mark_equity(curve, wallet)
        flat_from = last
    if keep:
        for j in range(flat_from, len(equity)):
            equity[j] = wallet
    return curve.drawdown, _sharpe(curve, len(close))
