"""How a short ends, one reason after another; the usual short of `usual_short.py`."""

from __future__ import annotations

from tests.scenarios.market_table import Scenario, Trade
from tests.scenarios.usual_short import LIQUIDATION, MARGIN_CALL, SIGNAL, TARGET, changed

EXITS = [
    Scenario(
        "target",
        SIGNAL
        + """
    12:09   1000  1001   985   988    # trades through 990
    12:12    988   990   985   989
        """,
        trades=(TARGET,),
    ),
    Scenario(
        "target, some candles later",
        SIGNAL
        + """
    12:09   1000  1003   996  1002
    12:12   1002  1005   991  1004
    12:15   1004  1006   989  1005    # a wick through 990
    12:18   1005  1006  1000  1006
        """,
        trades=(changed(TARGET, closed="12:15"),),
    ),
    Scenario(
        "a touch of the target is not enough",
        SIGNAL
        + """
    12:09   1000  1001   990   992    # 990 traded, nothing below
    12:12    992   994   991   993
        """,
        # bought back at 993 when the data end: 4 * 7 = 28.00, less 2.20, less 4 * 993 * 0.00055 = 2.1846
        trades=(Trade("12:09", "12:12", 993.0, "end_of_data", 2.1846, 23.6154, 1_023.6154),),
    ),
    Scenario(
        "a touch is enough when so set",
        SIGNAL
        + """
    12:09   1000  1001   990   992
    12:12    992   994   991   993
        """,
        trades=(TARGET,),
        settings={"fill_on_touch": True},
    ),
    Scenario(
        "a gap below the target still fills at the target",
        SIGNAL
        + """
    12:09   1000  1001   995   996
    12:12    970   972   965   970    # opens 20 below: a resting limit gets its own price
    12:15    970   971   969   970
        """,
        trades=(changed(TARGET, closed="12:12"),),
    ),
    Scenario(
        "margin call",
        SIGNAL
        + """
    12:09   1000  1086   999  1080    # reaches 1085
    12:12   1080  1081  1070  1075
        """,
        trades=(MARGIN_CALL,),
        counts={"margin_calls": 1, "liquidations": 0},
    ),
    Scenario(
        "a high half a tick below the margin call is nothing",
        SIGNAL
        + """
    12:09   1000  1084.75  999  1080
    12:12   1080  1081   985   985
    12:15    985   987   980   986
        """,
        trades=(changed(TARGET, closed="12:12"),),
    ),
    Scenario(
        "gap over the margin call",
        SIGNAL
        + """
    12:09   1000  1002   999  1001
    12:12   1090  1092  1088  1091    # opens above the stop: bought at the opening
    12:15   1091  1091  1090  1090
        """,
        # 4 * -90 = -360.00, less 2.20, less 4 * 1090 * 0.00055 = 2.398
        trades=(changed(MARGIN_CALL, closed="12:12", exit=1_090.0, exit_fee=2.398, pnl=-364.598, balance=635.402),),
    ),
    Scenario(
        "gap over liquidation",
        SIGNAL
        + """
    12:09   1000  1002   999  1001
    12:12   1120  1125  1110  1122    # opens above liquidation and bankruptcy: only the margin is lost
    12:15   1122  1123  1121  1122
        """,
        trades=(changed(LIQUIDATION, closed="12:12"),),
        counts={"margin_calls": 0, "liquidations": 1},
    ),
    Scenario(
        "a candle that runs through stop and liquidation meets the stop first",
        SIGNAL
        + """
    12:09   1000  1200   999  1190
    12:12   1190  1191  1180  1185
        """,
        trades=(MARGIN_CALL,),
    ),
    Scenario(
        "liquidation, without a margin call",
        SIGNAL
        + """
    12:09   1000  1094   999  1090    # a tick below liquidation
    12:12   1090  1094.5 1080 1092    # reaches it
    12:15   1085  1086  1080  1085
        """,
        trades=(changed(LIQUIDATION, closed="12:12", margin_call=None),),
        settings={"margin_call_at": None},
        counts={"margin_calls": 0, "liquidations": 1},
    ),
    Scenario(
        "stop-loss, nearer than the margin call",
        SIGNAL
        + """
    12:09   1000  1021   999  1018    # a stop 2 % above the entry
    12:12   1018  1019  1010  1012
        """,
        # 4 * -20 = -80.00, less 2.20, less 4 * 1020 * 0.00055 = 2.244
        trades=(Trade("12:09", "12:09", 1_020.0, "stop_loss", 2.244, -84.444, 915.556),),
        params={"stop_loss_pct": 0.02},
    ),
    Scenario(
        "a stop-loss beyond the margin call waits behind it",
        SIGNAL
        + """
    12:09   1000  1092   999  1080    # 9 % above the entry is 1090, the margin call 1085
    12:12   1080  1081  1070  1075
        """,
        trades=(MARGIN_CALL,),
        params={"stop_loss_pct": 0.09},
    ),
    Scenario(
        "max hold",
        SIGNAL
        + """
    12:09   1000  1003   996  1002
    12:12   1002  1005   991  1004
    12:15   1003  1200   900  1050    # six minutes after the entry: closed at this opening, before its path
    12:18   1050  1060  1040  1050
        """,
        # 4 * -3 = -12.00, less 2.20, less 4 * 1003 * 0.00055 = 2.2066
        trades=(Trade("12:09", "12:15", 1_003.0, "max_hold", 2.2066, -16.4066, 983.5934),),
        params={"max_hold_ms": 360_000},
    ),
    Scenario(
        "an opening beyond the stop comes before max hold",
        SIGNAL
        + """
    12:09   1000  1003   996  1002
    12:12   1002  1005   991  1004
    12:15   1088  1089  1080  1088.5  # above the margin call
    12:18   1088  1088.5 1080 1085
        """,
        # 4 * -88 = -352.00, less 2.20, less 4 * 1088 * 0.00055 = 2.3936
        trades=(changed(MARGIN_CALL, closed="12:15", exit=1_088.0, exit_fee=2.3936, pnl=-356.5936, balance=643.4064),),
        params={"max_hold_ms": 360_000},
    ),
    Scenario(
        "end of data",
        SIGNAL
        + """
    12:09   1000  1003   996  1002
    12:12   1002  1005   991   995    # no candle after this: bought back at its close
        """,
        # 4 * 5 = 20.00, less 2.20, less 4 * 995 * 0.00055 = 2.189
        trades=(Trade("12:09", "12:12", 995.0, "end_of_data", 2.189, 15.611, 1_015.611),),
        counts={"end_of_data": 1, "wins": 1, "losses": 0},
    ),
    Scenario(
        "a last candle that ends the trade itself is no end of data",
        SIGNAL
        + """
    12:09   1000  1001   985   988
        """,
        trades=(TARGET,),
        counts={"end_of_data": 0},
    ),
    Scenario(
        "spread: every market fill is worse, and on the tick",
        SIGNAL
        + """
    12:09   1000  1084   999  1080
    12:12   1080  1081  1070  1075
        """,
        # half of 19 bps: sold at 1000 * (1 - 0.00095) = 999.05: 999.0, fee 4 * 999 * 0.00055 = 2.1978
        # liquidation 999 * 1.1 / 1.005 = 1093.43: 1093.0; margin call 999 + 0.9 * 94 = 1083.6: 1083.5
        # bought at 1083.5 * 1.00095 = 1084.529: 1085.0; 4 * -86 = -344.00, less 2.1978, less 2.387
        trades=(
            changed(
                MARGIN_CALL, entry=999.0, entry_fee=2.1978, liquidation=1_093.0, margin_call=1_083.5,
                pnl=-348.5848, balance=651.4152,
            ),
        ),
        settings={"spread_bps": 19.0},
    ),
]  # fmt: skip
