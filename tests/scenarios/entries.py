"""What becomes of a signal: sizes, clamps, targets, and every way to be blocked; see `usual_short.py`."""

from __future__ import annotations

from decimal import Decimal

from tests.scenarios.market_table import Scenario, Trade
from tests.scenarios.usual_short import MARGIN_CALL, SIGNAL, TARGET, changed
from your_short_trade_margin_call.domain.instrument import RiskTier

ENTRIES = [
    Scenario(
        "reject",
        SIGNAL
        + """
    12:09   1000  1001   985   988
    12:12    988   990   985   989
        """,
        blocked={"order_rejected": 1},
        settings={"order_reject_prob": 1.0},
    ),
    Scenario(
        "minimum notional",
        SIGNAL
        + """
    12:09   1000  1001   985   988    # 4 coins are worth 4000 USDT
    12:12    988   990   985   989
        """,
        blocked={"below_min_notional": 1},
        instrument={"min_notional_usdt": 4_000.01},
    ),
    Scenario(
        "the minimum notional itself is enough",
        SIGNAL
        + """
    12:09   1000  1001   985   988
    12:12    988   990   985   989
        """,
        trades=(TARGET,),
        instrument={"min_notional_usdt": 4_000.0},
    ),
    Scenario(
        "minimum quantity",
        SIGNAL
        + """
    12:09   1000  1001   985   988
    12:12    988   990   985   989
        """,
        blocked={"below_min_qty": 1},
        instrument={"min_order_qty": Decimal("5")},
    ),
    Scenario(
        "not a single lot is affordable",
        SIGNAL
        + """
    12:09   1000  1001   985   988    # 10 % of 1000 USDT buy 0.98 coins
    12:12    988   990   985   989
        """,
        blocked={"below_min_qty": 1},
        params={"risk_fraction": 0.1},
    ),
    Scenario(
        "leverage clamped by the tier",
        SIGNAL
        + """
    12:09   1000  1001   985   988
    12:12    988   990   985   989
        """,
        # Tiers: 10x up to 2000 USDT, 5x above; budget 900. Tier 1 allows 2 coins. Tier 2: a coin costs
        # 200 + 0.55 + 1200 * 0.00055 = 201.21, so 900 buy 4.47: 4 coins at 5x, worth 4000, in tier 2.
        # liquidation: (4000 + 800 + 10) / (4 * 1.01) = 1190.59: 1190.5; margin call 1000 + 0.9 * 190.5 = 1171.45
        trades=(changed(TARGET, leverage=5.0, liquidation=1_190.5, margin_call=1_171.0),),
        params={"risk_fraction": 1.0},
        instrument={"tiers": (RiskTier(2_000.0, 0.005, 10.0, 0.0), RiskTier(1e6, 0.01, 5.0, 10.0))},
        counts={"leverage_clamped": 1, "quantity_clamped": 0},
    ),
    Scenario(
        "the lower tier holds more: no clamp",
        SIGNAL
        + """
    12:09   1000  1001   985   988
    12:12    988   990   985   989
        """,
        # Tier 1 up to 2000 USDT: 2 coins at 10x. Tier 2 at 2x: 500 / 501.375 is not one.
        # Half of everything: pnl 20.00 - 1.10 - 0.396. At liquidation 2 coins are worth 2189 USDT, beyond tier 1:
        # (2000 + 200 + 10) / (2 * 1.01) = 1094.06: 1094.0; margin call 1000 + 0.9 * 94 = 1084.6: 1084.5
        trades=(
            changed(
                TARGET, quantity=2.0, entry_fee=1.1, exit_fee=0.396, pnl=18.504, balance=1_018.504,
                liquidation=1_094.0, margin_call=1_084.5,
            ),
        ),
        instrument={"tiers": (RiskTier(2_000.0, 0.005, 10.0, 0.0), RiskTier(1e6, 0.01, 2.0, 10.0))},
        counts={"leverage_clamped": 0, "quantity_clamped": 0},
    ),
    Scenario(
        "quantity clamped by the largest order",
        SIGNAL
        + """
    12:09   1000  1001   985   988
    12:12    988   990   985   989
        """,
        # 3 of the 4 coins that fit: 30.00 - 1.65 - 0.594
        trades=(changed(TARGET, quantity=3.0, entry_fee=1.65, exit_fee=0.594, pnl=27.756, balance=1_027.756),),
        instrument={"max_market_order_qty": Decimal("3")},
        counts={"leverage_clamped": 0, "quantity_clamped": 1},
    ),
    Scenario(
        "signal while open",
        SIGNAL
        + """
    12:09   1000  1004   996   999    # a new peak that failed, while short
    12:12    999  1003   996  1001
    12:15   1001  1002   985  1001
    12:18   1001  1001  1000  1001
        """,
        trades=(changed(TARGET, closed="12:15"),),
        blocked={"position_open": 1},
    ),
    Scenario(
        "signal in the candle of the exit",
        SIGNAL
        + """
    12:09   1000  1003   985   998    # takes the target, and is itself a new peak that failed: flat at its close
    12:12    998   999   995   996
    12:15    996   997   980   981    # the second target: the highest low of 12:03 and 12:06 is 998, too near
    12:18    981   982   980   981
        """,
        # Wallet 1037.008, half of it 518.504; a coin costs 998 * 0.101155 = 100.95: 5 coins at 998
        # target: 998 * (1 - 0.0044) = 993.609: 993.5; liquidation 998 * 1.1 / 1.005 = 1092.34: 1092.0
        # margin call 998 + 0.9 * 94 = 1082.6: 1082.5; fees 5 * 998 * 0.00055 = 2.7445, 5 * 993.5 * 0.0002 = 0.9935
        # 5 * 4.5 = 22.50 - 2.7445 - 0.9935 = 18.762
        trades=(
            TARGET,
            Trade(
                "12:12", "12:15", 993.5, "target", 0.9935, 18.762, 1_055.77, entry=998.0, quantity=5.0, target=993.5,
                source="take_profit", liquidation=1_092.0, margin_call=1_082.5, entry_fee=2.7445,
            ),
        ),
    ),
    Scenario(
        "a signal on the last candle is neither traded nor counted",
        """
    11:57    985   990   980   985"""
        + SIGNAL,
    ),
    Scenario(
        "stream gap before the entry",
        SIGNAL
        + """
    12:12   1000  1001   985   988    # 12:09 is missing: nobody knows where it would have filled
    12:15    988   990   985   989
        """,
        blocked={"stream_gap": 1},
    ),
    Scenario(
        "a gap before the signal: not enough unbroken candles",
        """
    12:00    990  1000   985   995
    12:06    995  1001   990  1000    # 12:03 is missing
    12:09   1000  1002   998   999    # would be a signal
    12:12   1000  1001   985   988
    12:15    988   990   985   989
        """,
    ),
    Scenario(
        "gap while open",
        SIGNAL
        + """
    12:09   1000  1003   996  1002
    12:30    970   972   965   970    # half an hour without candles: the resting target fills at its price
    12:33    970   971   969   970
        """,
        trades=(changed(TARGET, closed="12:30"),),
    ),
    Scenario(
        "gap while open, over the margin call",
        SIGNAL
        + """
    12:09   1000  1003   996  1002
    12:30   1090  1092  1088  1091
    12:33   1091  1091  1090  1090
        """,
        trades=(changed(MARGIN_CALL, closed="12:30", exit=1_090.0, exit_fee=2.398, pnl=-364.598, balance=635.402),),
    ),
    Scenario(
        "the level is too near: the take profit instead",
        SIGNAL
        + """
    12:09   1000  1001   994   996    # the lowest high is 1000, above 997.8; 1000 * (1 - 0.0044) = 995.6: 995.5
    12:12    996   998   995   997
        """,
        # 4 * 4.5 = 18.00 - 2.20 - 4 * 995.5 * 0.0002 = 0.7964
        trades=(
            changed(TARGET, exit=995.5, target=995.5, source="take_profit", exit_fee=0.7964, pnl=15.0036,
                    balance=1_015.0036),
        ),
        params={"exit_type": "lowest_high"},
    ),
    Scenario(
        "midpoint of the two levels",
        SIGNAL
        + """
    12:09   1000  1001   994   996    # (990 + 1000) / 2 = 995
    12:12    996   998   995   997
        """,
        # 4 * 5 = 20.00 - 2.20 - 4 * 995 * 0.0002 = 0.796
        trades=(changed(TARGET, exit=995.0, target=995.0, exit_fee=0.796, pnl=17.004, balance=1_017.004),),
        params={"exit_type": "midpoint"},
    ),
    Scenario(
        "a loss of a third before midnight, a daily limit of a quarter: the entry falls into the new day",
        """
    23:48    990  1000   985   995
    23:51    995  1001   990  1000
    23:54   1000  1002   998   999    # the signal
    23:57   1000  1090   999   999    # the margin call, and a new peak that failed: its entry would be tomorrow's
    +1 00:00  999  1000   985   988
    +1 00:03  988   990   985   989
        """,
        # At midnight the day begins with 655.413: the limit is of the new day. Half of it, 327.7065, at 999:
        # 3 coins; target: the highest low before is 998, too near: 999 * 0.9956 = 994.60: 994.5
        # 3 * 4.5 = 13.50 - 3 * 999 * 0.00055 = 1.64835 - 3 * 994.5 * 0.0002 = 0.5967
        trades=(
            changed(MARGIN_CALL, opened="23:57", closed="23:57"),
            Trade(
                "+1 00:00", "+1 00:00", 994.5, "target", 0.5967, 11.25495, 666.66795, entry=999.0, quantity=3.0,
                target=994.5, source="take_profit", liquidation=1_093.0, margin_call=1_083.5, entry_fee=1.64835,
            ),
        ),
        settings={"daily_loss": 0.25},
    ),
    Scenario(
        "the same loss an hour earlier: the daily limit blocks the entry",
        """
    22:48    990  1000   985   995
    22:51    995  1001   990  1000
    22:54   1000  1002   998   999
    22:57   1000  1090   999   999
    23:00    999  1000   985   988
    23:03    988   990   985   989
        """,
        trades=(changed(MARGIN_CALL, opened="22:57", closed="22:57"),),
        blocked={"daily_loss": 1},
        settings={"daily_loss": 0.25},
    ),
]  # fmt: skip
