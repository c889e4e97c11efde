"""Every pair of faults through sockets, begun at several moments each (`make storm`). Prints what breaks, as it breaks.

Pairs that strike orders are told once more where entries go by stream.
"""

from __future__ import annotations

import sys
import time

from tests.parity.storm import FAULTS_FROM, FAULTS_UNTIL, MENU
from tests.parity.test_socket_faults import BY_STREAM, PAIRS, tell

from your_short_trade_margin_call.domain.words import Account

MOMENTS = 3


def main() -> int:
    """0 when every invariant held."""
    started, broken = time.perf_counter(), 0
    span = FAULTS_UNTIL - FAULTS_FROM
    plots = [
        (pair, (FAULTS_FROM + (number + 3 * turn) % span, FAULTS_FROM + (number * 7 + 5 * turn) % span))
        for turn in range(MOMENTS)
        for number, pair in enumerate(PAIRS)
    ]
    by_stream = [plot for plot in plots if any(trouble in BY_STREAM for trouble in plot[0])]
    told = [(Account.DEMO, plots), (Account.MAINNET, by_stream)]
    count, all_of_them = 0, sum(len(some) for _, some in told)
    for account, some in told:
        for first in range(0, len(some), 50):
            batch = some[first : first + 50]
            for name, what in tell(batch, account).items():
                broken += 1
                print(f"{account}: {name}: {'; '.join(what)}", flush=True)
            count += len(batch)
            print(f"{count}/{all_of_them} stories, {time.perf_counter() - started:.0f} s", flush=True)
    print(f"{len(MENU)} faults in {len(PAIRS)} pairs, {all_of_them} stories, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
