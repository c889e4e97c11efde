"""How overfitted the choice is, over a pooled history: every trial of the grid in each of many windows.

One window says nothing here: over a single day the probability of overfitting wobbles by 0.22. Windows follow each
other without overlap, each traded from a flat start, the latest last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from your_short_trade_margin_call.domain.spans import HOUR_MS
from your_short_trade_margin_call.research.profits import Account, profits
from your_short_trade_margin_call.research.running import trace
from your_short_trade_margin_call.research.statistics.overfitting import backtest_overfitting
from your_short_trade_margin_call.research.statistics.sharpe import deflated_sharpe, effective_trials, moments
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.trials import Trials
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST_WINDOWS = 10
"""With fewer, nothing is said."""
MOST_WINDOWS = 60
"""The latest of them: two months of days, enough rows to cut in halves, in a sixth of a second."""
CURVE_WINDOWS = 10
"""Windows, spread over the history, whose equity curves tell how many independent trials there are.

Measured on a real and an invented pair: 5 say 31 to 33, 10 say 37 to 40, all 30 say 43 to 47. The deflated Sharpe ratio
hardly moves with it (0.17 for 43, 0.11 for 336), and each window costs 0.06 s.
"""
_BLOCKS = (12, 10, 8)
"""Of these, the number of blocks that leaves the fewest windows out; the larger of equals."""


@dataclass(frozen=True)
class Pooled:
    """What a history says of choosing the best of its trials.

    `pbo` is the probability of backtest overfitting by mean profit over the `used` latest windows, cut into `blocks`
    (0.5 for trials that are all alike; less where some cost more than others, as here: on 40 markets without an edge
    0.30, standard deviation 0.21, over 60 windows, and 0.41 and 0.26 over 30). `deflated_sharpe` is how sure it is that
    the trial with the best Sharpe ratio over all `windows` is better than the luckiest of `independent_trials`
    worthless ones.
    """

    windows: int
    used: int
    blocks: int
    pbo: float
    deflated_sharpe: float
    independent_trials: float

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def windows_of(market: MarketArrays, window_ms: int, lookback: int) -> list[MarketArrays]:
    """The latest MOST_WINDOWS windows up to the end of a history, oldest first.

    Left out are those in which `lookback` leaves nothing to trade.
    """
    end_ms = int(market.time_ms[-1]) + market.candle_ms
    count = min(MOST_WINDOWS, (end_ms - int(market.time_ms[0])) // window_ms)
    edges = np.searchsorted(market.time_ms, end_ms - window_ms * np.arange(count, -1, -1)).tolist()
    rows = [(first, end) for first, end in pairwise(edges) if end - first >= lookback + 2]
    return [cut(market, *one) for one in rows]


def pooled(windows: Sequence[MarketArrays], account: Account, trials: Trials) -> Pooled | None:
    """Try every trial in every window; None where there are too few windows, or nothing to choose among."""
    if len(windows) < FEWEST_WINDOWS or len(trials) < 2:
        return None
    made = np.stack([profits(window, account, trials).pnl_pct for window in windows])
    blocks = max(_BLOCKS, key=lambda number: len(windows) // number * number)
    spread = np.linspace(0, len(windows) - 1, CURVE_WINDOWS).round().astype(int)
    independent = effective_trials(np.concatenate([hourly_changes(windows[k], account, trials) for k in spread]))
    shapes = [moments(trial) for trial in made.T]
    best = max(shapes, key=lambda shape: shape.sharpe)
    variance = float(np.var([shape.sharpe for shape in shapes], ddof=1))
    return Pooled(
        windows=len(windows),
        used=len(windows) // blocks * blocks,
        blocks=blocks,
        pbo=backtest_overfitting(made, blocks, "mean").pbo,
        deflated_sharpe=deflated_sharpe(best.sharpe, variance, independent, best.n, best.skew, best.kurtosis),
        independent_trials=independent,
    )


def hourly_changes(market: MarketArrays, account: Account, trials: Trials) -> Floats:
    """The change of equity over each hour (rows), in USDT, of every trial (columns); the open position is marked."""
    contract, terms, start = account
    field = make_field(market, contract, terms, min(trials.highest_high_lookback))
    each = max(1, HOUR_MS // market.candle_ms)

    def curves() -> Iterator[Floats]:
        for number in range(len(trials)):
            alone = np.array([number], dtype=np.int64)
            yield trace(field, trials, alone, start, keep_equity=True).equity[each - 1 :: each]

    return np.diff(np.stack(list(curves()), axis=1), axis=0, prepend=start)
