"""Whole recorded files through sockets: the live engine on a look-alike exchange against the backtest, trade by trade.

Run it with `make parity-sockets FILES="a.parquet ..."`; without files it takes the first beside the project.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.parity.sockets import play
from tests.parity.test_parity import assert_parity
from tests.parity.test_recorded_files import LEVERAGES, recorded_world
from tests.real_candles import FILES

from your_short_trade_margin_call.research.backtest_engine import BacktestEngine


def main(arguments: list[str]) -> int:
    """Compare every file; prints a line each."""
    files = [Path(name) for name in arguments] or FILES[:1]
    if not files:
        print("No recorded candles: name some Parquet files.")
        return 2
    for place, path in enumerate(files):
        leverage = LEVERAGES[place % len(LEVERAGES)]
        world = recorded_world(path, leverage, "luck on", None)
        past = BacktestEngine(world.settings, world.instrument).backtest(world.candles, world.params)
        started = time.perf_counter()
        played = play(world)
        assert_parity(world, past, played)
        seconds, candles = time.perf_counter() - started, len(world.candles)
        print(
            f"{path.name}  {leverage:.0f}x  {candles} candles  {len(past.rows)} trades agree  "
            f"{len(played.requests)} requests  {seconds:.0f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
