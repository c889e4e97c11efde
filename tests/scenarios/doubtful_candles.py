"""Candles that show both sides, or a mark that goes its own way; the usual short of `usual_short.py`."""

from __future__ import annotations

from tests.scenarios.market_table import Scenario, Trade
from tests.scenarios.usual_short import LIQUIDATION, MARGIN_CALL, SIGNAL, TARGET, changed

DOUBTFUL = [
    Scenario(
        "both sides in one candle: the adverse one first",
        SIGNAL
        + """
    12:09   1000  1086   985  1080
    12:12   1080  1081  1070  1075
        """,
        trades=(MARGIN_CALL,),
    ),
    Scenario(
        "both sides, the minutes saw the target first",
        SIGNAL
        + """
    12:09   1000  1086   985  1080   | minutes 1001/985 1050/990 1086/1040
    12:12   1080  1081  1070  1075
        """,
        trades=(TARGET,),
    ),
    Scenario(
        "both sides, the minutes saw the stop first",
        SIGNAL
        + """
    12:09   1000  1086   985  1080   | minutes 1086/999 1050/985 1080/1000
    12:12   1080  1081  1070  1075
        """,
        trades=(MARGIN_CALL,),
    ),
    Scenario(
        "both sides in the same minute: the adverse one first",
        SIGNAL
        + """
    12:09   1000  1086   985  1080   | minutes 1001/999 1086/985 1080/1000
    12:12   1080  1081  1070  1075
        """,
        trades=(MARGIN_CALL,),
    ),
    Scenario(
        "the minutes decide nothing but doubt: an opening beyond the stop is none",
        SIGNAL
        + """
    12:09   1000  1002   999  1001
    12:12   1090  1092   985  1091   | minutes 1090/985 1092/1040 1092/1080
    12:15   1091  1091  1090  1090
        """,
        trades=(changed(MARGIN_CALL, closed="12:12", exit=1_090.0, exit_fee=2.398, pnl=-364.598, balance=635.402),),
    ),
    Scenario(
        "the mark spikes, last never shows it: the stop fires, at its trigger",
        SIGNAL
        + """
    12:09   1000  1003   996  1002   | mark 1000 1085 996 1002
    12:12   1002  1003   998  1000
        """,
        trades=(MARGIN_CALL,),
    ),
    Scenario(
        "last spikes, the mark does not follow: the stop stays, the target is taken later",
        SIGNAL
        + """
    12:09   1000  1200   996  1002   | mark 1000 1084.5 996 1002
    12:12   1002  1003   985  1003
    12:15   1003  1003  1000  1003
        """,
        trades=(changed(TARGET, closed="12:12"),),
    ),
    Scenario(
        "the target looks at last prices only: a mark below it fills nothing",
        SIGNAL
        + """
    12:09   1000  1003   996  1002   | mark 1000 1003 900 1002
    12:12   1002  1005   991   995
        """,
        trades=(Trade("12:09", "12:12", 995.0, "end_of_data", 2.189, 15.611, 1_015.611),),
    ),
    Scenario(
        "the mark spikes while last takes the target: no minute can tell, the adverse one first",
        SIGNAL
        + """
    12:09   1000  1003   985  1002   | mark 1000 1085 996 1002 | minutes 1003/985 1002/990 1002/1000
    12:12   1002  1003   998  1000
        """,
        trades=(MARGIN_CALL,),
    ),
    Scenario(
        "the mark opens beyond liquidation, last far below it",
        SIGNAL
        + """
    12:09   1000  1003   996  1002
    12:12   1002  1003   998  1002   | mark 1094.5 1095 998 1002
    12:15   1002  1003   998  1000
        """,
        trades=(changed(LIQUIDATION, closed="12:12"),),
    ),
]
