"""The usual short (changes are said in each scenario). Ticks of 0.5 USDT, lots of 1 coin, 1000 USDT, 10x, half of it at
risk, taker 0.055 %, maker 0.02 %, no spread, no slippage, no rejects; a lookback of 2 candles:

    before the signal: the highest high is 1001, the highest low 990, the lowest high 1000
    the signal:        its high 1002 is a new peak, its close 999 is below its open 1000

    one coin costs     100 (a tenth of 1000) + 0.55 (fee to open) + 1100 * 0.00055 = 0.605 (fee to close) = 101.155
    quantity           500 / 101.155 = 4.94: 4 coins, sold at 1000, fee 4000 * 0.00055 = 2.20
    target             the highest low, 990: below 1000 * (1 - 0.0022) = 997.8, so far enough
    liquidation        1000 * 1.1 / 1.005 = 1094.527: 1094.5; the bankruptcy price is 1100
    margin call        1000 + 0.9 * 94.5 = 1085.05: 1085.0
    position margin    4 * (100 + 0.605) = 402.42
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.scenarios.market_table import Trade

SIGNAL = """
    12:00    990  1000   985   995
    12:03    995  1001   990  1000
    12:06   1000  1002   998   999    # a new peak that failed: the signal
"""

# 4 * 10 = 40.00, less 2.20 to open and 4 * 990 * 0.0002 = 0.792 to close as a maker
TARGET = Trade("12:09", "12:09", exit=990.0, reason="target", exit_fee=0.792, pnl=37.008, balance=1_037.008)
# 4 * -85 = -340.00, less 2.20, less 4 * 1085 * 0.00055 = 2.387
MARGIN_CALL = Trade("12:09", "12:09", exit=1_085.0, reason="margin_call", exit_fee=2.387, pnl=-344.587, balance=655.413)
# the whole margin 402.42 and the 2.20 to open; the fee inside the margin is 4 * 1100 * 0.00055 = 2.42
LIQUIDATION = Trade(
    "12:09", "12:09", exit=1_100.0, reason="liquidation", exit_fee=2.42, pnl=-404.62, balance=595.38
)  # fmt: skip


def changed(trade: Trade, **changes: Any) -> Trade:
    """The same trade but for what is said."""
    return replace(trade, **changes)
