"""What a trial achieved, in the words users meet in the artefacts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from your_short_trade_margin_call.research.account_kernel import SUMMARY

if TYPE_CHECKING:
    from numpy.typing import NDArray

METRIC_COLUMNS = (
    "pnl_pct",
    "pnl_value",
    "final_balance",
    "avg_win",
    "avg_loss",
    "win_rate",
    "rr_ratio",
    "sharpe",
    "drawdown",
    "wins",
    "losses",
    "trades",
    "fees",
    "funding",
    "margin_calls",
    "liquidations",
    "end_of_data",
    "leverage_clamped",
    "quantity_clamped",
    "candles_held",
)
COUNTS = (
    "wins",
    "losses",
    "trades",
    "margin_calls",
    "liquidations",
    "end_of_data",
    "leverage_clamped",
    "quantity_clamped",
    "candles_held",
)
"""The metrics that are whole numbers."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Results of one trial.

    `pnl_pct`, `avg_win`, `avg_loss`, `win_rate` and `drawdown` in percent (the first three of the
    starting balance), money in USDT. `rr_ratio` is None without a losing trade. `sharpe` is a year's
    worth of per-candle returns: never shown for less than 30 days, best-of-noise reads 30 to 70 there.
    `end_of_data` counts trades closed only because the data ended.
    """

    pnl_pct: float
    pnl_value: float
    final_balance: float
    avg_win: float
    avg_loss: float
    win_rate: float
    rr_ratio: float | None
    sharpe: float
    drawdown: float
    wins: int
    losses: int
    trades: int
    fees: float
    funding: float
    margin_calls: int
    liquidations: int
    end_of_data: int
    leverage_clamped: int
    quantity_clamped: int
    candles_held: int

    def as_dict(self) -> dict[str, float | int | None]:
        """The metrics by name, in order."""
        return asdict(self)


def metric_columns(
    summary: NDArray[np.void], curves: NDArray[np.float64], starting_balance: float
) -> dict[str, NDArray[np.float64]]:
    """Columns of METRIC_COLUMNS for kernel summaries (SUMMARY, one a trial); NaN is "none".

    `curves` float64[trials, 2] holds drawdown (a fraction) and Sharpe, NaN where they were not traced.
    """
    raw = {name: summary[name].astype(np.float64) for name in SUMMARY.names or ()}
    to_percent = 100.0 / starting_balance
    trades = raw["wins"] + raw["losses"]
    with np.errstate(divide="ignore", invalid="ignore"):
        avg_win = np.where(raw["wins"] > 0, raw["win_sum"] / raw["wins"], 0.0) * to_percent
        avg_loss = np.where(raw["losses"] > 0, raw["loss_sum"] / raw["losses"], 0.0) * to_percent
        win_rate = np.where(trades > 0, 100.0 * raw["wins"] / trades, 0.0)
        rr_ratio = np.where(avg_loss < 0, avg_win / np.abs(avg_loss), np.nan)
    pnl_value = raw["final_balance"] - starting_balance
    made = {
        "pnl_pct": pnl_value * to_percent,
        "pnl_value": pnl_value,
        "avg_win": avg_win,
        "avg_loss": avg_loss,
        "win_rate": win_rate,
        "rr_ratio": rr_ratio,
        "drawdown": curves[:, 0] * 100.0,
        "sharpe": curves[:, 1],
        "trades": trades,
    }
    return {name: made[name] if name in made else raw[name] for name in METRIC_COLUMNS}


def metrics_row(columns: dict[str, NDArray[np.float64]], row: int) -> Metrics:
    """One trial's metrics as plain Python numbers."""
    values: dict[str, float | int | None] = {}
    for name, column in columns.items():
        value = float(column[row])
        values[name] = None if np.isnan(value) else int(value) if name in COUNTS else value
    return Metrics(**values)  # type: ignore[arg-type]
