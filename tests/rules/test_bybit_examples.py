"""Bybit's own worked examples, answered by our formulas: a short is side -1, a long goes through the mirror, +1."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rules.bybit_examples import EXAMPLES, NOT_OUR_SIDE, Example
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.rules import costs, margin, position
from your_short_trade_margin_call.rules.terms import Contract, Terms, make_contract, make_terms
from your_short_trade_margin_call.settings import Settings

# ---- our answers, by the names Bybit gives them ---------------------------------------------------


def side_of(given: dict[str, Any]) -> float:
    return 1.0 if given["side"] == "Buy" else -1.0


def contract_of(qty: float = 1.0) -> Contract:
    """A contract whose tick is 1 USDT and whose lot is the example's quantity: prices and quantities as published."""
    return Contract(1.0, qty, 1, 1_000_000, 0.0, 100.0, np.array([(1e18, 0.005, 100.0, 0.0)]))


def terms_of(fee: float) -> Terms:
    return make_terms(Settings(taker_fee_rate=fee), "BTCUSDT")


def margins(given: dict[str, Any]) -> dict[str, float]:
    """What every example about an open position may ask for."""
    entry, qty, leverage, fee = (float(given[name]) for name in ("entry", "qty", "leverage", "fee"))
    side, extra = side_of(given), float(given.get("extra", 0.0))
    return {
        "positionValue": costs.notional(contract_of(qty), 1, entry),
        "feeToOpen": costs.fee(contract_of(qty), 1, entry, fee),
        "feeToClose": margin.close_fee_reserve(entry, qty, leverage, fee, side),
        "initialMargin_base": margin.initial_margin(entry, qty, leverage, 0.0, side),
        "positionMargin": margin.initial_margin(entry, qty, leverage, fee, side),
        "bankruptcyPrice": margin.bankruptcy_price(entry, qty, leverage, extra, fee, side),
        "orderCost": margin.order_cost(entry, qty, leverage, fee, side),
    }


def liquidation_price(given: dict[str, Any]) -> dict[str, float]:
    ours = margins(given)
    entry, qty, leverage, fee, extra, mmr = (
        float(given[name]) for name in ("entry", "qty", "leverage", "fee", "extra", "mmr")
    )
    closing = position.liquidate(contract_of(qty), terms_of(fee), 1, entry, leverage, extra)
    return ours | {
        "initialMargin": ours["positionMargin"],
        "maintenanceMargin_at_entry": margin.maintenance_margin(entry * qty, mmr, 0.0, ours["feeToClose"]),
        "liqPrice": margin.liquidation_price_in_tier(entry, qty, leverage, extra, fee, mmr, 0.0, side_of(given)),
        "loss_if_liquidated_excl_open_fee": -closing.wallet_change,
    }


def bankruptcy_price(given: dict[str, Any]) -> dict[str, float]:
    price = margin.bankruptcy_price(float(given["entry"]), 1.0, float(given["leverage"]), 0.0, 0.00055, side_of(given))
    return {"bankruptcyPrice": price}


def order_cost(given: dict[str, Any]) -> dict[str, float]:
    """Bybit lists the initial margin without the fee to close here."""
    ours = margins(given)
    return ours | {"initialMargin": ours["initialMargin_base"]}


def ladder(rows: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Tiers as Bybit makes them: each deduction keeps the maintenance margin continuous at the limit below."""
    tiers, deduction = [], 0.0
    for k, (limit, mmr) in enumerate(rows):
        deduction += rows[k - 1][0] * (mmr - rows[k - 1][1]) if k else 0.0
        tiers.append((limit, mmr, 1.0, deduction))
    return np.array(tiers)


def tiers(given: dict[str, Any]) -> dict[str, float]:
    rows = ladder(given["tiers"])
    value = float(given["entry"] * given["qty"])
    row = rows[margin.tier_of(rows, value)]
    return {
        "positionValue": value,
        "initialMargin_base": margin.initial_margin(
            float(given["entry"]), float(given["qty"]), float(given["leverage"]), 0.0
        ),
        "maintenanceMargin_base": margin.maintenance_margin(value, row[1], row[3], 0.0),
        "mmDeduction_tier4": float(rows[3][3]),
    }


def btc_tiers(given: dict[str, Any]) -> dict[str, float]:
    rows = make_contract(find_instrument("BTCUSDT")).tiers
    value = float(given["value"])
    row = rows[margin.tier_of(rows, value)]
    return {
        "mmr": row[1],
        "mmDeduction": row[3],
        "maintenanceMargin_base": margin.maintenance_margin(value, row[1], row[3], 0.0),
    }


def average_entry(given: dict[str, Any]) -> dict[str, float]:
    (first, at), (more, more_at) = given["fills"]
    entry = position.average_entry(first, float(at), more, float(more_at))
    return {"avgEntry": entry, "totalValue": entry * (first + more), "totalQty": first + more}


def profit(given: dict[str, Any], price: float) -> float:
    """A long's profit is that of a short the other way round: sold at its exit, bought at its entry."""
    entry = float(given["entry"])
    sold, bought = (price, entry) if given["side"] == "Buy" else (entry, price)
    return float(position.unrealized_pnl(contract_of(float(given["qty"])), 1, sold, bought))


def unrealised_pnl(given: dict[str, Any]) -> dict[str, float]:
    return {"unrealisedPnl": profit(given, float(given["price"]))}


def return_on_margin(given: dict[str, Any]) -> dict[str, float]:
    ours = margins(given)
    return ours | {"roiPercent": 100.0 * profit(given, float(given["price"])) / ours["positionMargin"]}


def closed_pnl(given: dict[str, Any]) -> dict[str, float]:
    """Fees do not ask for the side either: again the short the other way round."""
    sold, bought, fee = given["exit_value"], given["entry_value"], given["fee"]
    closing = position.close_at(contract_of(), 1, sold, bought, fee)
    return {"closedPnl": closing.wallet_change - costs.fee(contract_of(), 1, sold, fee)}


def fee(given: dict[str, Any]) -> dict[str, float]:
    contract, price = contract_of(float(given["qty"])), float(given["price"])
    return {
        "execValue": costs.notional(contract, 1, price),
        "takerFee": costs.fee(contract, 1, price, given["taker"]),
        "makerFee": costs.fee(contract, 1, price, given.get("maker", 0.0)),
    }


def funding(given: dict[str, Any]) -> dict[str, float]:
    contract = contract_of(float(given["qty"]))
    received = costs.funding_received(contract, 1, given["mark"], given["rate"])
    received = -received if given["side"] == "Buy" else received
    return {
        "execValue": costs.notional(contract, 1, given["mark"]),
        "execFee": -received,
        "translog_funding": received,
    }


def recorded_position(given: dict[str, Any]) -> dict[str, float]:
    """IMByMp and MMByMp are of the value at the mark; the fee to close stays that of the entry."""
    ours = margins(given)
    at_mark, reserve = float(given["qty"]) * given["mark"], ours["feeToClose"]
    return ours | {
        "positionIM_entryBased": ours["positionMargin"],
        "positionMM_entryBased": margin.maintenance_margin(ours["positionValue"], given["mmr"], 0.0, reserve),
        "positionIMByMp": at_mark / given["leverage"] + reserve,
        "positionMMByMp": margin.maintenance_margin(at_mark, given["mmr"], 0.0, reserve),
        "curRealisedPnl": -ours["feeToOpen"],
        "unrealisedPnl": profit(given, float(given["mark"])),
    }


ANSWERS: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "liquidation_price": liquidation_price,
    "bankruptcy_price": bankruptcy_price,
    "order_cost": order_cost,
    "tiers": tiers,
    "btc_tiers": btc_tiers,
    "average_entry": average_entry,
    "unrealised_pnl": unrealised_pnl,
    "return_on_margin": return_on_margin,
    "closed_pnl": closed_pnl,
    "fee": fee,
    "funding": funding,
    "recorded_position": recorded_position,
}


def assert_shows(value: float, text: str, cut: bool, what: str) -> None:
    """`value` printed with the digits of `text` is `text`: rounded to the nearest, or cut towards zero."""
    last_digit = 10.0 ** int(Decimal(text).as_tuple().exponent)
    published, dust = float(text), 1e-11 * max(1.0, abs(value))
    if cut:
        assert value * published > 0, (what, value, text)
        assert 0 <= (abs(value) - abs(published)) / last_digit < 1, (what, value, text)
    else:
        assert abs(value - published) <= last_digit / 2 + dust, (what, value, text)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.id))
def test_bybit_says_the_same(example: Example) -> None:
    ours = ANSWERS[example.kind](example.given)
    for name, text in example.expected.items():
        assert_shows(ours[name], text, name in example.cut, name)


def test_every_example_is_named_once_and_every_omission_has_its_reason() -> None:
    ids = [example.id for example in EXAMPLES]
    assert len(ids) == len(set(ids)) == 26
    assert not set(ids) & set(NOT_OUR_SIDE)
    assert {example.kind for example in EXAMPLES} == set(ANSWERS)
    assert all(len(reason) > 20 for reason in NOT_OUR_SIDE.values())


def test_the_margin_of_a_tiered_position_is_the_sum_over_its_brackets() -> None:
    """1000 at 2 %, 1000 at 2.5 %, 1000 at 3 % and 500 at 3.5 %: what the deduction abbreviates."""
    rows = ladder(((1_000, 0.02), (2_000, 0.025), (3_000, 0.03), (4_000, 0.035), (5_000, 0.04)))
    for value in range(50, 5_001, 50):
        brackets, below = 0.0, 0.0
        for limit, mmr, _, _ in rows:
            brackets += max(0.0, min(value, limit) - below) * mmr
            below = limit
        row = rows[margin.tier_of(rows, float(value))]
        assert margin.maintenance_margin(float(value), row[1], row[3], 0.0) == pytest.approx(brackets, abs=1e-9)


def test_the_formula_of_before_september_2025_is_gone() -> None:
    """It said 40,600 for a short of 1 at 40,000 and 50x, and 54,750 at 50,000 and 10x: too late both times."""
    for entry, leverage, classic in ((40_000.0, 50.0, 40_600.0), (50_000.0, 10.0, 54_750.0)):
        rows = np.array([(1e18, 0.005, 100.0, 0.0)])
        price = margin.liquidation_price(rows, entry, 1.0, leverage, 0.0, 0.00055)
        assert price == margin.liquidation_price_in_tier(entry, 1.0, leverage, 0.0, 0.00055, 0.005, 0.0)
        assert price < classic - 2.0
