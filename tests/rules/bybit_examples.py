"""Bybit's own worked examples, copied with their sources. Numbers are as published, as text where digits matter.

Two kinds of published examples are left out altogether: the liquidation formula that was in force before
September 2025, and inverse contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
