"""The record of the procedure is what the program would have done: the whole cycle on the same candles agrees."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.parity.procedure import walked
from tests.shares import late
from your_short_trade_margin_call.composition import Request, make_trading_session, prepare
from your_short_trade_margin_call.domain.words import ExitReason, MarketKind
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.research.account_kernel import TRADE_COLUMNS
from your_short_trade_margin_call.settings import ParameterGrid, Settings

GRID = ParameterGrid(highest_high_lookback=(10, 20), risk_fraction=(0.5, 0.85))
HOUR = 3_600_000
PATIENT = {"max_hold": 9 * HOUR}
BUSY = {"reoptimize": 5 * HOUR, "stop_loss_pct": 0.005, "cooldown": HOUR, "adopt": "better"}
BESIDE_THE_GRID = {"reoptimize": 100 * 60_000, "stop_loss_pct": 0.005}
"""A multiple of no candle: what is due is done at the next close."""

START = SyntheticMarket().start_ms
HOLES = tuple((START + first * HOUR, START + end * HOUR) for first, end in ((28, 30), (43, 56), (58, 59), (73, 75)))
"""With a step of 5 hours: gaps over one due moment, over three, over none, over one again."""


def written(folder: Path, seed: int, holes: tuple[tuple[int, int], ...]) -> tuple[Path, Candles]:
    import polars as pl

    market = SyntheticMarket(seed=seed, minutes=1440 * 4, volatility_per_minute=0.002, mark=False, gaps=holes)
    candles = generate(market)
    candles = Candles.from_columns(
        candles.symbol, candles.time_ms, candles.open, candles.high, candles.low, candles.close, candles.volume
    )
    path = folder / "BTCUSDT.parquet"
    names = ("open", "high", "low", "close", "volume")
    pl.DataFrame({"ts": candles.time_ms, **{n: getattr(candles, n) for n in names}}).write_parquet(path)
    return path, candles


@pytest.mark.parametrize(
    ("changes", "seed", "holes"),
    [
        (PATIENT, 3, ()),
        late(PATIENT, 4, ()),
        late(BUSY, 3, ()),
        (BUSY, 4, ()),
        (BUSY, 5, HOLES),
        late(BUSY, 8, HOLES),
        late(BUSY, 10, HOLES),
        (BESIDE_THE_GRID, 8, HOLES),
    ],
    ids=lambda value: str(value)[:12],
)
def test_the_whole_cycle_makes_the_trades_of_the_record(
    tmp_path: Path, changes: dict[str, object], seed: int, holes: tuple[tuple[int, int], ...]
) -> None:
    settings = Settings(order_reject_prob=0.1).replace(**changes)
    path, candles = written(tmp_path, seed, holes)
    asked = Request(
        "BTCUSDT", settings=settings, grid=GRID, market=MarketKind.REPLAY, paths=Paths(tmp_path / "data"), candles=path
    )
    session = make_trading_session(prepare(asked))
    try:
        first = session.main.optimize_first(session.start_ms)
        asyncio.run(session.main.trade(first.params, first.has_edge))
        assert session.main.parts.journal is not None
        made = session.main.parts.journal.trades()
    finally:
        session.close()
    walk = walked(candles, settings, GRID)
    whole_folds_end = int(walk.starts_ms[-1] + walk.procedure.step_ms)
    ours = [row for row in made if row["exit_time"] < whole_folds_end and row["exit_reason"] != "end_of_data"]
    own = walk.trades[walk.trades[:, TRADE_COLUMNS.index("exit_reason")] != ExitReason.END_OF_DATA.code]
    assert len(own) > 3
    for name, column in (("pnl_value", 13), ("balance_after", 15), ("entry_fee", 10), ("funding", 12)):
        assert [row[name] for row in ours] == pytest.approx(own[:, column].tolist(), abs=1e-9), name
    times = walk.ground.market.time_ms
    assert [row["entry_time"] for row in ours] == times[own[:, 0].astype(np.int64)].tolist()
    assert [row["exit_time"] for row in ours] == times[own[:, 1].astype(np.int64)].tolist()
