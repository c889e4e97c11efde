"""Whole recorded files, three ways: kernel, live engine on the simulated exchange, slow twin. Trade by trade.

Run it with `make parity FILES="a.parquet ..."`; without files it takes those beside the project. The name of a
file must read ..._SYMBOL_3m_...
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.parity.test_recorded_files import LEVERAGES, SETTINGS, assert_all_agree, recorded_world
from tests.real_candles import FILES


def main(arguments: list[str]) -> int:
    """Compare every file; prints a line each."""
    files = [Path(name) for name in arguments] or FILES
    if not files:
        print("No recorded candles: name some Parquet files.")
        return 2
    total = 0
    for path in files:
        for leverage in LEVERAGES:
            for luck in SETTINGS:
                started = time.perf_counter()
                trades = assert_all_agree(recorded_world(path, leverage, luck, None))
                total += trades
                seconds = time.perf_counter() - started
                print(f"{path.name}  {leverage:3.0f}x  {luck:8s}  {trades:5d} trades  {seconds:5.1f} s", flush=True)
    print(f"{len(files)} files: {total} trades, all three agree on every one")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
