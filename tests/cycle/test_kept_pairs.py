"""Without the exchange a pair is what the exchange said about it last, else what the package knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cycle.test_main_engine import request
from tests.storage.test_kept_instruments import TIERS, item
from your_short_trade_margin_call.adapters.storage.kept_instruments import KeptInstruments
from your_short_trade_margin_call.composition import prepare
from your_short_trade_margin_call.domain.errors import UnknownPairError
from your_short_trade_margin_call.domain.words import MarketKind


@pytest.mark.parametrize("market", [MarketKind.REPLAY, MarketKind.SIMULATED])
def test_a_pair_that_was_fetched_once_is_known(tmp_path: Path, market: MarketKind) -> None:
    asked = replace(request(tmp_path), symbol="PEPEUSDT", market=market)
    asked = replace(asked, candles=asked.candles if market is MarketKind.REPLAY else None)
    with pytest.raises(UnknownPairError):
        prepare(asked)
    KeptInstruments(asked.paths).keep("PEPEUSDT", item(), TIERS, 1)
    prepared = prepare(asked)
    assert (prepared.instrument.source, prepared.instrument.tiers_source) == ("kept", "kept")


def test_a_copy_that_is_none_is_told_and_the_package_stands_in(tmp_path: Path) -> None:
    asked = request(tmp_path)
    path = asked.paths.instrument("BTCUSDT")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    prepared = prepare(asked)
    assert prepared.instrument.source == "package"
    assert "instrument.json.corrupt-1" in prepared.notices[0]
