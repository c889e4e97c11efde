"""The engine over sockets does what it does in process: the same trades, whatever the line does to it."""

from __future__ import annotations

import asyncio

from tests.bybit.look_alike import Bench
from tests.bybit.trading_runs import differences, invented, replayed, stepped
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import SocketFault

STEPS = 60


def test_a_stepped_look_alike_trades_as_the_replay_does() -> None:
    candles = invented(STEPS + 1)
    expected = replayed(candles)
    journal = asyncio.run(stepped(candles, STEPS))
    trades = [row for row in expected.trades() if row["exit_reason"] != "end_of_data"]
    assert len(trades) >= 5
    assert {row["exit_reason"] for row in trades} >= {"target", "stop_loss"}
    assert differences(trades, journal.trades()) == []
    assert len(journal.trades()) == len(trades)
    assert journal.blocked_counts() == expected.blocked_counts()


def test_doubled_words_and_lost_answers_change_no_trade() -> None:
    candles = invented(STEPS + 1)
    expected = [row for row in replayed(candles).trades() if row["exit_reason"] != "end_of_data"]

    def spoil(bench: Bench, step: int) -> None:
        faults = bench.server.faults
        match step % 4:
            case 0:
                faults.plan(SocketFault.DUPLICATE_CONFIRM)
            case 1:
                faults.plan(SocketFault.DROP_ANSWER, path="/v5/order/create")
            case 2:
                faults.plan(SocketFault.DROP_ANSWER, path="/v5/position/trading-stop")
            case _:
                faults.plan(SocketFault.TRUNCATED, path="/v5/order/realtime")

    journal = asyncio.run(stepped(candles, STEPS, spoil))
    assert differences(expected, journal.trades()) == []
    assert len(journal.trades()) == len(expected)
