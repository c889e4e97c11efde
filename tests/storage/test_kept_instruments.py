"""What the exchange said about a pair, for when it cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from your_short_trade_margin_call.adapters.storage.kept_instruments import KeptInstruments
from your_short_trade_margin_call.domain.errors import UnknownPairError
from your_short_trade_margin_call.market.instruments import read_instrument_file
from your_short_trade_margin_call.paths import Paths

TIERS = [{"symbol": "PEPEUSDT", "riskLimitValue": "20000", "maintenanceMargin": "0.02", "maxLeverage": "25",
          "mmDeduction": ""}]  # fmt: skip


def item(symbol: str = "PEPEUSDT") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "priceFilter": {"tickSize": "0.0000001"},
        "lotSizeFilter": {"maxMktOrderQty": "1000", "minOrderQty": "1", "qtyStep": "1", "minNotionalValue": "5"},
        "leverageFilter": {"maxLeverage": "25.00"},
        "launchTime": "1585526400000",
    }


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def test_the_copy_is_a_file_for_instrument(paths: Paths) -> None:
    path = KeptInstruments(paths).keep("PEPEUSDT", item(), TIERS, 1_748_563_200_000)
    assert path == paths.instrument("PEPEUSDT")
    document = json.loads(path.read_text())
    assert document == {"instrument": item(), "risk_limit": TIERS, "fetched_at_ms": 1_748_563_200_000,
                        "source": "bybit"}  # fmt: skip
    assert read_instrument_file(path, "PEPEUSDT").tiers_source == "file"


def test_it_says_that_it_is_a_copy(paths: Paths) -> None:
    kept = KeptInstruments(paths)
    kept.keep("PEPEUSDT", item(), TIERS, 1)
    instrument = kept.read("PEPEUSDT")
    assert instrument is not None
    assert (instrument.source, instrument.tiers_source, len(instrument.tiers)) == ("kept", "kept", 1)
    kept.keep("PEPEUSDT", item(), (), 2)
    assert kept.or_package("PEPEUSDT").tiers_source == "assumed"


def test_without_a_copy_the_package_is_asked(paths: Paths) -> None:
    kept = KeptInstruments(paths)
    assert kept.read("BTCUSDT") is None
    assert kept.or_package("BTCUSDT").source == "package"
    with pytest.raises(UnknownPairError):
        kept.or_package("PEPEUSDT")


def test_other_sources_do_not_pass_for_bybit(paths: Paths) -> None:
    KeptInstruments(paths, "bybit-testnet").keep("PEPEUSDT", item(), TIERS, 1)
    assert KeptInstruments(paths).read("PEPEUSDT") is None
    assert KeptInstruments(paths, "bybit-testnet").read("PEPEUSDT") is not None


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"instrument": item("SOLUSDT")})])
def test_a_copy_that_is_none_is_set_aside(paths: Paths, text: str) -> None:
    path = paths.instrument("PEPEUSDT")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    kept = KeptInstruments(paths)
    assert kept.read("PEPEUSDT") is None
    assert path.with_name("instrument.json.corrupt-1").read_text() == text
    assert "instrument.json.corrupt-1" in kept.notes[0]
