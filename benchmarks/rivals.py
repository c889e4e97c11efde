"""vectorbt and backtesting.py on the same candles, the same signals and the same targets.

Both are optional (the extra `bench`). They are handed what costs us time: signals and targets are ready before their
clock starts. Each runs in two processes, on half of the work each. An entry is a market sell at the next open, the
exit a limit at the target or a stop 29 % above; costs and margin are left out where they have none.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PROCESSES = 2
STOP = 0.29


class Work(NamedTuple):
    """Candles, and for each trial its entries (the candle after each signal) and targets as fractions below."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    entries: list[NDArray[np.int64]]
    targets: list[Floats]


class Pace(NamedTuple):
    """How fast a rival was, on the whole machine, and how many trades it made in a trial."""

    ns: float
    trades: float


def is_installed(name: str) -> bool:
    """Whether a rival can be measured here."""
    return find_spec(name) is not None


def vectorbt_pace(work: Work, engine: str) -> Pace:
    """`Portfolio.from_signals` with its compiled engine `rust` or `numba`."""
    return _pace(work, _run_vectorbt, engine)


def backtesting_pace(work: Work) -> Pace:
    """`backtesting.Backtest.run`, trial by trial."""
    return _pace(work, _run_backtesting, "")


def _pace(work: Work, run: Callable[[Work, str], int], engine: str) -> Pace:
    """The better of two runs by all processes, after one that is not counted."""
    halves = [work._replace(entries=work.entries[k::PROCESSES], targets=work.targets[k::PROCESSES])
              for k in range(PROCESSES)]  # fmt: skip
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        seconds, trades = [], 0
        for _ in range(3):
            done = list(pool.map(_timed, [run] * PROCESSES, halves, [engine] * PROCESSES))
            seconds.append(max(s for s, _ in done))
            trades = sum(n for _, n in done)
    amount = len(work.close) * len(work.entries)
    return Pace(min(seconds[1:]) / amount * 1e9, trades / len(work.entries))


def _timed(run: Callable[[Work, str], int], work: Work, engine: str) -> tuple[float, int]:
    started = time.perf_counter()
    trades = run(work, engine)
    return time.perf_counter() - started, trades


def _run_vectorbt(work: Work, engine: str) -> int:
    import vectorbt

    shape = (len(work.close), len(work.entries))
    entries, targets = np.zeros(shape, dtype=np.bool_), np.full(shape, np.nan)
    for k, (places, target) in enumerate(zip(work.entries, work.targets, strict=True)):
        entries[places, k] = True
        targets[places, k] = target
    columns: list[Any] = [np.tile(prices[:, None], shape[1]) for prices in work[:4]]
    portfolio = vectorbt.Portfolio.from_signals(
        columns[3],
        entries=entries,
        exits=np.zeros(shape, dtype=np.bool_),
        direction="shortonly",
        price=columns[0],
        open=columns[0],
        high=columns[1],
        low=columns[2],
        sl_stop=STOP,
        tp_stop=targets,
        size=0.5,
        size_type="percent",
        init_cash=1e6,
        fees=0.00055,
        freq="3min",
        engine=engine,
    )
    return len(portfolio.order_records) // 2


def _run_backtesting(work: Work, _engine: str) -> int:
    import warnings

    import pandas as pd
    from backtesting import Backtest, Strategy

    warnings.simplefilter("ignore")
    frame = pd.DataFrame(dict(zip(("Open", "High", "Low", "Close"), work[:4], strict=True)))
    frame.index = pd.date_range("2025-01-01", periods=len(frame), freq="3min")
    trades = 0
    for places, target in zip(work.entries, work.targets, strict=True):
        wanted = dict(zip((places - 1).tolist(), target.tolist(), strict=True))

        class Short(Strategy):
            """Sells after each signal while flat."""

            targets = wanted

            def init(self) -> None:
                """Nothing to prepare."""

            def next(self) -> None:
                """Sell at the next open, with a limit below and a stop above."""
                target = self.targets.get(len(self.data) - 1)
                if target is not None and not self.position:
                    price = self.data.Close[-1]
                    self.sell(size=0.5, tp=price * (1.0 - target), sl=price * (1.0 + STOP))

        test = Backtest(frame, Short, cash=1e9, commission=0.00055, trade_on_close=False, finalize_trades=True)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
            trades += int(test.run()["# Trades"])
    return trades
