"""What the worst case costs, said before anything is traded."""

from __future__ import annotations

from dataclasses import dataclass

from your_short_trade_margin_call.reporting.sheets import Rows
from your_short_trade_margin_call.reporting.text import price, signed_percent, usdt


@dataclass(frozen=True, slots=True)
class WorstLoss:
    """A position of today's size and what ends it on the loss side. Prices and money in USDT.

    `stop_name` is `margin_call`, `stop_loss` or `liquidation` (where there is no stop). `wins_to_recover`
    is how many average winning trades make up for one such loss, None where none was won.
    """

    notional: float
    balance: float
    entry_price: float
    stop_price: float
    stop_name: str
    stop_loss: float
    liquidation_price: float
    liquidation_loss: float
    wins_to_recover: float | None


def worst_loss_rows(loss: WorstLoss, decimals: int) -> Rows:
    """The position's size, what one margin call costs and what liquidation would cost."""
    size = f"worth {usdt(loss.notional)}, {loss.notional / loss.balance:.1f} times the balance"
    rows = [("position", size)]
    if loss.stop_name != "liquidation":
        rows.append((loss.stop_name.replace("_", " "), _cost(loss, loss.stop_price, loss.stop_loss, decimals)))
    rows.append(("liquidation", _cost(loss, loss.liquidation_price, loss.liquidation_loss, decimals)))
    if loss.wins_to_recover is not None:
        name = loss.stop_name.replace("_", " ")
        rows.append(("to recover", f"{loss.wins_to_recover:,.0f} winning trades of this set's average for one {name}"))
    return rows


def _cost(loss: WorstLoss, at_price: float, cost: float, decimals: int) -> str:
    away = 100.0 * (at_price / loss.entry_price - 1.0)
    return (
        f"at {price(at_price, decimals)} ({signed_percent(away, 1)}): "
        f"{usdt(cost)}, {100.0 * cost / loss.balance:.0f} % of the balance"
    )
