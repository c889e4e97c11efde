"""Instruments in Bybit's shapes: what is read, what is assumed, and what is refused by the name of its field."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from your_short_trade_margin_call.domain.errors import BadInputError, UnknownPairError
from your_short_trade_margin_call.domain.instrument import RiskTier
from your_short_trade_margin_call.market.instruments import (
    ASSUMED,
    find_instrument,
    package_instruments,
    parse_instrument,
    read_instrument_file,
)

ITEM: dict[str, Any] = {
    "symbol": "PEPEUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "PEPE",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "deliveryTime": "0",
    "leverageFilter": {"minLeverage": "1", "maxLeverage": "25.00", "leverageStep": "0.01"},
    "priceFilter": {"minPrice": "0.0001", "maxPrice": "1999.9998", "tickSize": "0.0005"},
    "lotSizeFilter": {"minOrderQty": "0.1", "qtyStep": "0.1", "maxMktOrderQty": "60730.0", "minNotionalValue": "5"},
    "fundingInterval": 240,
}
TIERS: list[dict[str, Any]] = [
    {"riskLimitValue": "50000", "maintenanceMargin": "0.025", "maxLeverage": "20.00", "mmDeduction": "125"},
    {"riskLimitValue": "25000", "maintenanceMargin": "0.02", "maxLeverage": "25.00", "mmDeduction": ""},
]


def item(**changes: Any) -> dict[str, Any]:
    """The item with fields changed; ``part__field`` reaches into a part, None removes."""
    changed = copy.deepcopy(ITEM)
    for path, value in changes.items():
        part, _, field = path.rpartition("__")
        target = changed[part] if part else changed
        if value is None:
            del target[field]
        else:
            target[field] = value
    return changed


def tiers(row: int, **changes: Any) -> list[dict[str, Any]]:
    changed = copy.deepcopy(TIERS)
    changed[row].update(changes)
    return changed


# ---- what is read ---------------------------------------------------------------------------------------------------


def test_an_item_is_read_exactly() -> None:
    pepe = parse_instrument(ITEM, TIERS, "exchange")
    assert (pepe.symbol, pepe.tick_size, pepe.qty_step) == ("PEPEUSDT", Decimal("0.0005"), Decimal("0.1"))
    assert (pepe.min_order_qty, pepe.max_market_order_qty) == (Decimal("0.1"), Decimal(60730))
    assert (pepe.min_notional_usdt, pepe.max_leverage, pepe.funding_interval_minutes) == (5.0, 25.0, 240)
    assert pepe.tiers == (RiskTier(25_000.0, 0.02, 25.0, 0.0), RiskTier(50_000.0, 0.025, 20.0, 125.0))
    assert (pepe.tiers_source, pepe.source, pepe.is_trading) == ("exchange", "exchange", True)


@pytest.mark.parametrize("unknown", [None, []])
def test_without_tiers_one_is_assumed_and_said_to_be(unknown: list[Any] | None) -> None:
    pepe = parse_instrument(ITEM, unknown, "file")
    assert (pepe.tiers_source, pepe.source) == (ASSUMED, "file")
    assert pepe.tiers == (RiskTier(1e18, 0.005, 25.0, 0.0),)


@pytest.mark.parametrize(
    "changes",
    [{"status": "Closed"}, {"status": "PreLaunch"}, {"status": "Delivering"}, {"deliveryTime": "1774598400000"}],
)
def test_what_does_not_trade_says_so(changes: dict[str, str]) -> None:
    assert not parse_instrument(item(**changes), None, "exchange").is_trading


@pytest.mark.parametrize("interval", ["480", 480])
def test_the_funding_interval_comes_as_text_or_number(interval: str | int) -> None:
    assert parse_instrument(item(fundingInterval=interval), None, "file").funding_interval_minutes == 480


def test_rows_of_other_pairs_are_left_out() -> None:
    mixed = [row | {"symbol": "PEPEUSDT"} for row in TIERS] + [TIERS[0] | {"symbol": "XTZUSDT"}]
    assert parse_instrument(ITEM, mixed, "exchange").tiers == parse_instrument(ITEM, TIERS, "exchange").tiers
    with pytest.raises(BadInputError, match="not about PEPEUSDT"):
        parse_instrument(ITEM, [TIERS[0] | {"symbol": "XTZUSDT"}], "exchange")


# ---- what is refused ------------------------------------------------------------------------------------------------

BAD_ITEMS = {
    "no symbol": (item(symbol=None), "no symbol"),
    "no lots": (item(lotSizeFilter=None), "lotSizeFilter"),
    "lots of text": (item(lotSizeFilter="0.1"), "lotSizeFilter"),
    "no tick": (item(priceFilter__tickSize=None), "tickSize"),
    "zero tick": (item(priceFilter__tickSize="0"), "tickSize"),
    "tick of text": (item(priceFilter__tickSize="a tick"), "tickSize"),
    "tick without end": (item(priceFilter__tickSize="Infinity"), "tickSize"),
    "tick not a number": (item(priceFilter__tickSize="NaN"), "tickSize"),
    "tick too large": (item(priceFilter__tickSize="1e999"), "tickSize"),
    "tick too small": (item(priceFilter__tickSize="1e-999"), "tickSize"),
    "tick of truth": (item(priceFilter__tickSize=True), "tickSize"),
    "negative step": (item(lotSizeFilter__qtyStep="-0.1"), "qtyStep"),
    "no smallest": (item(lotSizeFilter__minOrderQty=""), "minOrderQty"),
    "largest below smallest": (item(lotSizeFilter__maxMktOrderQty="0.05"), "maxMktOrderQty"),
    "no notional": (item(lotSizeFilter__minNotionalValue=None), "minNotionalValue"),
    "no leverage": (item(leverageFilter__maxLeverage="0"), "maxLeverage"),
    "half a minute": (item(fundingInterval="0.5"), "fundingInterval"),
    "no minutes": (item(fundingInterval=0), "fundingInterval"),
    "minutes for ever": (item(fundingInterval="1e999999"), "fundingInterval"),
    "inverse": (item(contractType="InversePerpetual"), "contractType"),
    "a future": (item(contractType="LinearFutures"), "contractType"),
    "USDC": (item(quoteCoin="USDC"), "quoteCoin"),
}
BAD_TIERS = {
    "percent": (tiers(0, maintenanceMargin="2.5"), "no fraction"),
    "no rate": (tiers(1, maintenanceMargin="0"), "maintenanceMargin"),
    "falling rate": (tiers(0, maintenanceMargin="0.01"), "maintenanceMargin"),
    "limit twice": (tiers(0, riskLimitValue="25000"), "riskLimitValue"),
    "no limit": (tiers(0, riskLimitValue="0"), "riskLimitValue"),
    "negative deduction": (tiers(1, mmDeduction="-1"), "mmDeduction"),
    "falling deduction": (tiers(1, mmDeduction="500"), "mmDeduction"),
    "no leverage": (tiers(0, maxLeverage=None), "maxLeverage"),
    "text": (["tier"], "risk_limit"),
    "a table": ({"riskLimitValue": "1"}, "risk_limit"),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_a_bad_item_is_refused_by_the_name_of_its_field(name: str) -> None:
    bad, field = BAD_ITEMS[name]
    with pytest.raises(BadInputError, match=field) as caught:
        parse_instrument(bad, TIERS, "file")
    assert caught.value.cure


@pytest.mark.parametrize("name", BAD_TIERS)
def test_bad_tiers_are_refused_by_the_name_of_their_field(name: str) -> None:
    bad, field = BAD_TIERS[name]
    with pytest.raises(BadInputError, match=field):
        parse_instrument(ITEM, bad, "file")  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(field=st.sampled_from([*ITEM, "priceFilter__tickSize", "lotSizeFilter__qtyStep"]), value=JSON, rows=JSON)
@settings(max_examples=150, deadline=None)
def test_no_answer_whatever_crashes_the_parser(field: str, value: Any, rows: Any) -> None:
    with suppress(BadInputError):
        parse_instrument(item(**{field: value}), rows, "exchange")


# ---- files ----------------------------------------------------------------------------------------------------------


def saved(folder: Path, content: Any) -> Path:
    path = folder / "instrument.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def envelope(*items: Any) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": list(items)}}


@pytest.mark.parametrize(
    "content",
    [
        {"instrument": ITEM, "risk_limit": TIERS},
        {"instrument": envelope(ITEM), "risk_limit": envelope(*TIERS)},
        {"instrument": envelope(ITEM | {"symbol": "XTZUSDT"}, ITEM), "risk_limit": TIERS},
        {"instrument": [ITEM], "risk_limit": envelope(*TIERS)},
    ],
)
def test_a_file_may_hold_the_answers_as_they_came(content: Any, tmp_path: Path) -> None:
    read = read_instrument_file(saved(tmp_path, content), "pepe")
    assert read == parse_instrument(ITEM, TIERS, "file")
    assert read.tiers_source == "file"


@pytest.mark.parametrize(
    "content", [{"instrument": ITEM, "risk_limit": None}, {"instrument": ITEM}, ITEM, envelope(ITEM)]
)
def test_a_file_without_tiers_means_assumed_ones(content: Any, tmp_path: Path) -> None:
    assert read_instrument_file(saved(tmp_path, content), "PEPEUSDT").tiers_source == ASSUMED


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '"x"', "[" * 100_000, {"instrument": 3}, {"instrument": ITEM, "risk_limit": 7}]
)
def test_a_file_of_another_shape_is_refused_with_the_right_one(content: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="risk_limit"):
        read_instrument_file(saved(tmp_path, content), "PEPEUSDT")


def test_a_file_about_another_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownPairError, match="about PEPEUSDT, not BTCUSDT"):
        read_instrument_file(saved(tmp_path, {"instrument": ITEM}), "BTCUSDT")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"none\.json cannot be read"):
        read_instrument_file(tmp_path / "none.json", "BTCUSDT")


# ---- the package's table --------------------------------------------------------------------------------------------


def test_the_package_knows_its_pairs() -> None:
    assert len(package_instruments()) == 16
    for symbol, instrument in package_instruments().items():
        assert instrument.symbol == symbol
        assert instrument.source == "package"
        assert instrument.is_trading
        assert instrument.tiers_source == ("package" if symbol == "BTCUSDT" else ASSUMED)


def test_bitcoin_is_known_in_full_and_its_tiers_join() -> None:
    btc = find_instrument("btc")
    assert (btc.tick_size, btc.qty_step, btc.min_notional_usdt) == (Decimal("0.10"), Decimal("0.001"), 5.0)
    assert len(btc.tiers) == 35
    assert btc.tiers[0] == RiskTier(2_000_000.0, 0.005, 100.0, 0.0)
    for lower, upper in pairwise(btc.tiers):  # the maintenance margin has no step where tiers meet
        step = lower.limit_usdt * (upper.maintenance_margin_rate - lower.maintenance_margin_rate)
        assert upper.deduction_usdt == pytest.approx(lower.deduction_usdt + step)


def test_an_unknown_pair_says_how_to_pass_one() -> None:
    with pytest.raises(UnknownPairError, match=r"--instrument FILE\.json") as caught:
        find_instrument("PEPE")
    assert '"instrument"' in str(caught.value)
    assert '"risk_limit"' in str(caught.value)
    assert "BTCUSDT" in str(caught.value)
