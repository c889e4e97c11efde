"""Bybit's own worked examples, copied with their sources, answered by our formulas.

A short is side -1; examples for a long go through the mirrored formula, side +1. Two kinds of published examples
are left out altogether: the liquidation formula that was in force before September 2025, and inverse contracts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.rules import costs, margin, position
from your_short_trade_margin_call.rules.terms import Contract, Terms, make_contract, make_terms
from your_short_trade_margin_call.settings import Settings

LIQUIDATION = "Bybit help centre, Trading Rules: Liquidation Process (UTA), read 2026-08-06"
MIRRORED = f"derived: the mirror image of the long example in {LIQUIDATION}"
ORDER_COST = "Bybit help centre, Order Cost (USDT Contract)"
PROFIT = "help.bybit.com 900000630066, P&L calculations (USDT Contract)"
API = "Bybit API documentation v5"


@dataclass(frozen=True)
class Example:
    """Numbers as published. Those named in `cut` are cut after their last digit there, not rounded."""

    id: str
    kind: str
    source: str
    given: dict[str, Any]
    expected: dict[str, str]
    cut: tuple[str, ...] = ()


EXAMPLES = [
    # ---- liquidation price, isolated margin, unified account -------------------------------------
    Example(
        "uta-liq-long-40000-50x-extra3000",
        "liquidation_price",
        LIQUIDATION,
        {"side": "Buy", "entry": 40_000, "qty": 1, "leverage": 50, "mmr": 0.005, "fee": 0.00055, "extra": 3_000},
        {
            "liqPrice": "36380.25",
            "feeToClose": "21.56",
            "initialMargin": "821.56",
            "maintenanceMargin_at_entry": "221.56",
        },
    ),
    Example(
        "derived-short-40000-50x",
        "liquidation_price",
        MIRRORED,
        {"side": "Sell", "entry": 40_000, "qty": 1, "leverage": 50, "mmr": 0.005, "fee": 0.00055, "extra": 0},
        {
            "positionValue": "40000",
            "feeToOpen": "22",
            "feeToClose": "22.44",
            "initialMargin": "822.44",
            "orderCost": "844.44",
            "maintenanceMargin_at_entry": "222.44",
            "bankruptcyPrice": "40800",
            "liqPrice": "40597.01492537",
            "loss_if_liquidated_excl_open_fee": "822.44",
        },
    ),
    Example(
        "derived-short-40000-50x-extra3000",
        "liquidation_price",
        MIRRORED,
        {"side": "Sell", "entry": 40_000, "qty": 1, "leverage": 50, "mmr": 0.005, "fee": 0.00055, "extra": 3_000},
        {
            "positionValue": "40000",
            "feeToOpen": "22",
            "feeToClose": "22.44",
            "initialMargin": "822.44",
            "orderCost": "844.44",
            "maintenanceMargin_at_entry": "222.44",
            "bankruptcyPrice": "43798.350907",
            "liqPrice": "43580.44866368",
            "loss_if_liquidated_excl_open_fee": "3822.44",
        },
    ),
    Example(
        "derived-short-50000-10x",
        "liquidation_price",
        MIRRORED,
        {"side": "Sell", "entry": 50_000, "qty": 1, "leverage": 10, "mmr": 0.005, "fee": 0.00055, "extra": 0},
        {
            "positionValue": "50000",
            "feeToOpen": "27.5",
            "feeToClose": "30.25",
            "initialMargin": "5030.25",
            "orderCost": "5057.75",
            "maintenanceMargin_at_entry": "280.25",
            "bankruptcyPrice": "55000",
            "liqPrice": "54726.3681592",
            "loss_if_liquidated_excl_open_fee": "5030.25",
        },
    ),
    # ---- bankruptcy price, order cost, initial margin --------------------------------------------
    Example(
        "bust-long-60000-50x",
        "bankruptcy_price",
        "Bybit help centre, Bankruptcy Price (Perpetual and Expiry Contracts)",
        {"side": "Buy", "entry": 60_000, "leverage": 50},
        {"bankruptcyPrice": "58800"},
    ),
    Example(
        "bust-long-10000-50x",
        "bankruptcy_price",
        "Bybit help centre, Bankruptcy Price (USDT Contract)",
        {"side": "Buy", "entry": 10_000, "leverage": 50},
        {"bankruptcyPrice": "9800"},
    ),
    Example(
        "order-cost-long-50000-10x",
        "order_cost",
        ORDER_COST,
        {"side": "Buy", "entry": 50_000, "qty": 1, "leverage": 10, "fee": 0.00055},
        {"initialMargin": "5000", "feeToOpen": "27.5", "feeToClose": "24.75", "orderCost": "5052.25"},
    ),
    Example(
        "order-cost-long-10000-50x-oldfee",
        "order_cost",
        f"{ORDER_COST}, an older copy with a fee of 0.075 %",
        {"side": "Buy", "entry": 10_000, "qty": 1, "leverage": 50, "fee": 0.00075},
        {
            "initialMargin": "200",
            "feeToOpen": "7.5",
            "bankruptcyPrice": "9800",
            "feeToClose": "7.35",
            "orderCost": "214.85",
        },
    ),
    Example(
        "im-long-10000-50x",
        "order_cost",
        "Bybit help centre, Initial Margin (USDT Contract), a copy; without the fee to close",
        {"side": "Buy", "entry": 10_000, "qty": 1, "leverage": 50, "fee": 0.0},
        {"initialMargin": "200"},
    ),
    # ---- maintenance margin and tiers ------------------------------------------------------------
    Example(
        "mm-tier-xyz-3500",
        "tiers",
        "Bybit help centre, Maintenance Margin (USDT Contract), updated 2026-04-16",
        {
            "entry": 35,
            "qty": 100,
            "leverage": 10,
            "tiers": ((1_000, 0.02), (2_000, 0.025), (3_000, 0.03), (4_000, 0.035), (5_000, 0.04)),
        },
        {
            "positionValue": "3500",
            "initialMargin_base": "350",
            "maintenanceMargin_base": "92.5",
            "mmDeduction_tier4": "30",
        },
    ),
    Example(
        "mm-btc-2000000",
        "btc_tiers",
        "Bybit help centre, Maintenance Margin, and GET /v5/market/risk-limit of 2026-08-05: the limit is inclusive",
        {"value": 2_000_000},
        {"mmr": "0.005", "mmDeduction": "0", "maintenanceMargin_base": "10000"},
    ),
    # ---- entry, profit, return -------------------------------------------------------------------
    Example(
        "aep-0.5@5000+0.3@6000",
        "average_entry",
        PROFIT,
        {"fills": ((0.5, 5_000), (0.3, 6_000))},
        {"avgEntry": "5375", "totalValue": "4300", "totalQty": "0.8"},
    ),
    Example(
        "upl-long-0.2",
        "unrealised_pnl",
        PROFIT,
        {"side": "Buy", "qty": 0.2, "entry": 7_000, "price": 7_500},
        {"unrealisedPnl": "100"},
    ),
    Example(
        "upl-short-0.4",
        "unrealised_pnl",
        PROFIT,
        {"side": "Sell", "qty": 0.4, "entry": 6_000, "price": 5_000},
        {"unrealisedPnl": "400"},
    ),
    Example(
        "roi-long-0.2-10x",
        "return_on_margin",
        "Bybit help centre, Profit and Loss calculations (USDT Contract), a copy",
        {"side": "Buy", "qty": 0.2, "entry": 7_000, "leverage": 10, "fee": 0.00055, "price": 7_500},
        {
            "initialMargin_base": "140",
            "bankruptcyPrice": "6300",
            "feeToClose": "0.693",
            "positionMargin": "140.693",
            "roiPercent": "71.07",
        },
        cut=("roiPercent",),
    ),
    Example(
        "doc-closed-pnl-ethperp",
        "closed_pnl",
        f"{API}, position/close-pnl, response example",
        {"side": "Buy", "entry_value": 3584.9255, "exit_value": 3541.795, "fee": 0.0006},
        {"closedPnl": "-47.4065323"},
    ),
    Example(
        "rec-closed-pnl-xrp",
        "closed_pnl",
        "recorded 2024-04-10, quoted in the source of ccxt",
        {"side": "Buy", "entry_value": 1.8135, "exit_value": 1.815, "fee": 0.00055},
        {"closedPnl": "-0.00049568"},
    ),
    # ---- fees ------------------------------------------------------------------------------------
    Example(
        "fee-usdt-10btc-8000",
        "fee",
        "Bybit help centre, Perpetual and Futures Contract: Fees Explained, a copy of 2024-07-31",
        {"qty": 10, "price": 8_000, "taker": 0.00055, "maker": 0.0002},
        {"takerFee": "44", "makerFee": "16"},
    ),
    Example(
        "doc-exec-ws-0.5",
        "fee",
        f"{API}, websocket/private/execution, stream example",
        {"qty": 0.5, "price": 95_900.1, "taker": 0.00055},
        {"execValue": "47950.05", "takerFee": "26.3725275"},
    ),
    Example(
        "doc-exec-rest-0.1",
        "fee",
        f"{API}, order/execution, response example",
        {"qty": 0.1, "price": 1_190.15, "taker": 0.0006},
        {"execValue": "119.015", "takerFee": "0.071409"},
    ),
    # ---- funding: what a long pays a short receives ----------------------------------------------
    Example(
        "doc-funding-long-xrp",
        "funding",
        f"{API}, account/transaction-log, a SETTLEMENT row",
        {"side": "Buy", "qty": 100, "mark": 0.3676, "rate": 0.0001},
        {"translog_funding": "-0.003676", "execFee": "0.003676"},
    ),
    Example(
        "doc-funding-short-btc-paid",
        "funding",
        f"{API}, pre-upgrade/execution, a Funding record: a negative rate, the short pays",
        {"side": "Sell", "qty": 0.011, "mark": 28_399.90, "rate": -0.00203714},
        {"execValue": "312.3989", "execFee": "0.6364003"},
    ),
    Example(
        "rec-funding-short-eth-received",
        "funding",
        "recorded execution list: a positive rate, the short receives",
        {"side": "Sell", "qty": 0.69, "mark": 1_263.77, "rate": 0.0001},
        {"execValue": "872.0013", "execFee": "-0.08720013"},
    ),
    # ---- recorded positions: the API cuts money after 8 decimals ---------------------------------
    Example(
        "rec-pos-sol-long-2025-10",
        "recorded_position",
        "recorded websocket position of 2025-10-02, unified account; a taker fee of 0.00055 * 1.18",
        {
            "side": "Buy",
            "qty": 0.2,
            "entry": 233.02,
            "mark": 233.029,
            "leverage": 10,
            "mmr": 0.005,
            "fee": 0.000649,
        },
        {
            "positionValue": "46.604",
            "positionIM_entryBased": "4.6876214",
            "positionMM_entryBased": "0.2602414",
            "positionIMByMp": "4.68780139",
            "positionMMByMp": "0.26025039",
            "curRealisedPnl": "-0.03024599",
            "unrealisedPnl": "0.0018",
        },
        cut=("positionIMByMp", "positionMMByMp", "curRealisedPnl"),
    ),
    Example(
        "rec-pos-eth-long-2022",
        "recorded_position",
        "recorded 2022-07-13, unified margin, quoted in the source of ccxt",
        {
            "side": "Buy",
            "qty": 0.5,
            "entry": 1_073.85,
            "mark": 1_073.85,
            "leverage": 10,
            "mmr": 0.005,
            "fee": 0.0006,
        },
        {"positionValue": "536.925", "positionIM_entryBased": "53.9824395", "positionMM_entryBased": "2.9745645"},
    ),
    Example(
        "rec-pos-xrp-long-2022",
        "recorded_position",
        "recorded 2022-12-29, unified account, quoted in the source of ccxt",
        {"side": "Buy", "qty": 100, "entry": 0.3615, "mark": 0.3432, "leverage": 10, "mmr": 0.01, "fee": 0.0006},
        {
            "positionValue": "36.15",
            "positionIM_entryBased": "3.634521",
            "positionMM_entryBased": "0.381021",
            "unrealisedPnl": "-1.83",
        },
    ),
]

NOT_OUR_SIDE = {
    "rec-breakeven-btcperp-long": "a break-even price is shown by the exchange; no rule of ours needs one",
    "insurance-fund-65000": "what the insurance fund wins or loses on the real exit is its own affair; that the client "
    "is settled at the bankruptcy price, whatever the exit, is `loss_if_liquidated_excl_open_fee` above",
}
"""Published examples for which no function of ours exists, and why."""


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
