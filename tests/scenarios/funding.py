"""Settlements: received, paid, too early, too large; the usual short of `usual_short.py`."""

from __future__ import annotations

from tests.scenarios.market_table import Scenario, Trade
from tests.scenarios.usual_short import SIGNAL, TARGET, changed

FUNDING = [
    Scenario(
        "funding received",
        SIGNAL
        + """
    12:09   1000  1003   996  1001
    12:12   1001  1003   998  1002   | funding +0.10%     # 4 * 1001 (the mark at the close before) * 0.001 = 4.004
    12:15   1002  1003   985  1002
    12:18   1002  1002  1001  1002
        """,
        trades=(changed(TARGET, closed="12:15", funding=4.004, pnl=41.012, balance=1_041.012),),
    ),
    Scenario(
        "funding paid, on the mark",
        SIGNAL
        + """
    12:09   1000  1003   996  1001   | mark 1000 1010 996 1010
    12:12   1001  1003   998  1002   | funding -0.10%     # 4 * 1010 * -0.001 = -4.04
    12:15   1002  1003   985  1002
    12:18   1002  1002  1001  1002
        """,
        trades=(changed(TARGET, closed="12:15", funding=-4.04, pnl=32.968, balance=1_032.968),),
    ),
    Scenario(
        "funding at the moment of the entry is not ours",
        SIGNAL
        + """
    12:09   1000  1001   985   988   | funding -5%        # due at 12:09, settled before we sell
    12:12    988   990   985   989   | funding -5%        # bought back before this one
        """,
        trades=(TARGET,),
    ),
    Scenario(
        "funding inside a gap is booked before the next candle",
        SIGNAL
        + """
    12:09   1000  1003   996  1001
    12:30   1001  1003   985  1002   | funding +0.10%
    12:33   1002  1002  1001  1002
        """,
        trades=(changed(TARGET, closed="12:30", funding=4.004, pnl=41.012, balance=1_041.012),),
    ),
    Scenario(
        "funding beyond the balance comes out of the margin and moves liquidation",
        SIGNAL
        + """
    12:09   1000  1003   996  1000
    12:12   1000  1083   996  1002   | funding -15%       # pays 600
    12:15   1002  1084   998  1060                        # the old margin call at 1085 is not reached, the new one is
    12:18   1060  1061  1059  1060
        """,
        # 997.80 less the margin 402.42 leaves 595.38; the missing 4.62 are taken from the margin:
        # (4400 - 4.62 / 1.00055) / 4.02 = 1093.379: 1093.0; margin call 1000 + 0.9 * 93 = 1083.7: 1083.5
        # 4 * -83.5 = -334.00 - 2.20 - 600.00 - 4 * 1083.5 * 0.00055 = 2.3837
        trades=(
            Trade(
                "12:09", "12:15", 1_083.5, "margin_call", 2.3837, -938.5837, 61.4163,
                liquidation=1_093.0, margin_call=1_083.5, funding=-600.0,
            ),
        ),
    ),
    Scenario(
        "a liquidated short has no more than its margin, and an emptied wallet trades nothing",
        SIGNAL
        + """
    12:09   1000  1003   996  1000
    12:12   1000  1093   996  1000   | funding -15%       # the margin is 402.42 - 4.62 = 397.80
    12:15   1000  1094   999   999                        # a new peak that failed
    12:18    999  1000   998   999
        """,
        # Bankrupt at 1100 - 4.62 / (4 * 1.00055) = 1098.84563490. Liquidation 1093.0 is reached at 12:12.
        # Lost: 2.20 to open, 600 funding, the margin 397.80: everything.
        trades=(
            Trade(
                "12:09", "12:12", 1_098.8456349, "liquidation", 2.41746040, -1_000.0, 0.0,
                liquidation=1_093.0, margin_call=None, funding=-600.0,
            ),
        ),
        settings={"margin_call_at": None},
        blocked={"insufficient_balance": 1},
    ),
]  # fmt: skip
