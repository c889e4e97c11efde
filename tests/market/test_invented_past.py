"""The past of an invented market: it ends where the present begins, and is the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from your_short_trade_margin_call.domain.spans import CANDLE_MS
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.invented_past import invented_past
from your_short_trade_margin_call.market.synthetic import SyntheticMarket, generate
from your_short_trade_margin_call.settings import Settings

DAY = 86_400_000
PRICES = ("open", "high", "low", "close")


def present(symbol: str = "BTCUSDT", seed: int = 42) -> Candles:
    return generate(SyntheticMarket(seed=seed, symbol=symbol, minutes=600))


@pytest.mark.parametrize(("symbol", "seed"), [("BTCUSDT", 42), ("XRPUSDT", 1), ("BTCUSDT", 7)])
def test_it_joins_the_present_without_a_jump_or_a_gap(symbol: str, seed: int) -> None:
    now = present(symbol, seed)
    past = invented_past(now, Settings(seed=seed), now.start_ms - 2 * DAY)
    join = len(past) - len(now)
    assert join == 2 * 480
    assert past.time_ms.tolist() == list(range(now.start_ms - 2 * DAY, now.end_ms, CANDLE_MS))
    assert past.close[join - 1] == pytest.approx(now.open[0], rel=1e-12)
    usual = np.abs(np.diff(np.log(past.close[:join]))).max()
    assert usual > 1e-4, "a past that does not move proves nothing"


def test_it_ends_with_the_present_itself() -> None:
    now = present()
    past = invented_past(now, Settings(), now.start_ms - DAY)
    for name in PRICES:
        assert getattr(past, name)[-len(now) :].tolist() == getattr(now, name).tolist()
    assert past.end_ms == now.end_ms
    assert (past.funding, past.mark, past.minutes) == (None, None, None)


def test_it_is_scaled_as_a_whole() -> None:
    """The same candles, dearer: what a candle does in percent is untouched."""
    now = present()
    dearer = Candles.from_columns(
        "BTCUSDT", now.time_ms, *(getattr(now, n) * 3 for n in PRICES), timeframe_ms=CANDLE_MS
    )
    one, other = (invented_past(candles, Settings(), now.start_ms - DAY) for candles in (now, dearer))
    for name in PRICES:
        np.testing.assert_allclose(getattr(other, name), getattr(one, name) * 3, rtol=1e-12)


def test_it_follows_from_seed_edge_and_beginning() -> None:
    now = present()
    start = now.start_ms - DAY

    def made(**changes: object) -> bytes:
        return invented_past(now, Settings().replace(**changes), start).close.tobytes()

    assert made() == made() == made(leverage=5.0)
    assert len({made(), made(seed=1), made(edge=2.0)}) == 3
