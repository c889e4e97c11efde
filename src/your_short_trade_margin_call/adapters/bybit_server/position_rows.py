"""Positions and the wallet in the exchange's shapes, for requests and for streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from your_short_trade_margin_call.adapters.bybit_server.number_text import number_text
from your_short_trade_margin_call.adapters.bybit_server.order_rows import CATEGORY, COIN, Row
from your_short_trade_margin_call.adapters.bybit_server.pair import Pair, exact_price, value_usdt
from your_short_trade_margin_call.adapters.bybit_server.pair_account import PairAccount

_LEAST_TAKER_RATE = 0.00055
"""What the break-even price counts at least for the fee to close."""

_NOT_IN_ANSWER = (
    *("tradeMode", "adlRankIndicator", "breakEvenPrice", "positionBalance", "positionMMByMp", "positionIMByMp"),
    *("tpslMode", "curRealisedPnl", "seq", "isReduceOnly", "mmrSysUpdateTime", "leverageSysUpdatedTime"),
    "sessionAvgPrice",
    "side",
)
"""What add-margin's answer leaves out of a position."""

ADL_RANK = 2
"""Of five lights; what an ordinary profitable position shows."""


def position_row(own: PairAccount, seq: int) -> Row:
    """A position of position/list; a flat one has side "" and size "0"."""
    pair, held = own.pair, own.sim.position
    return {
        "positionIdx": 0,
        **_risk(own),
        "symbol": pair.symbol,
        "side": "Sell" if held else "",
        "size": pair.qty_text(own.lots) if held else "0",
        "avgPrice": exact_price(pair, held.entry_ticks) if held else "0",
        "positionValue": number_text(value_usdt(pair, own.lots, held.entry_ticks)) if held else "",
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": ADL_RANK if held else 0,
        "leverage": number_text(held.leverage if held else own.leverage),
        "breakEvenPrice": _break_even(own) if held else "",
        "positionBalance": number_text(own.position_margin_usdt()),
        "markPrice": exact_price(pair, pair.mark_ticks),
        "liqPrice": _liquidation(pair, held.liquidation_ticks) if held else "",
        "bustPrice": "",
        **_margins(own),
        "tpslMode": "Full",
        "takeProfit": pair.price_text(own.sim.take_profit_ticks or 0),
        "stopLoss": pair.price_text(held.stop_ticks or 0) if held else pair.price_text(0),
        "trailingStop": pair.price_text(0),
        "unrealisedPnl": number_text(own.unrealized_usdt()) if held else "",
        "curRealisedPnl": number_text(own.story.current_realised),
        "cumRealisedPnl": number_text(own.story.total_realised),
        "seq": seq,
        "isReduceOnly": False,
        "mmrSysUpdateTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
        "createdTime": str(own.story.created_ms),
        "updatedTime": str(own.story.updated_ms),
    }


def stream_position_row(own: PairAccount, seq: int) -> Row:
    """A position as the stream tells it: the entry has another name, and numbers that are nothing are "0"."""
    row = position_row(own, seq)
    row["entryPrice"] = row.pop("avgPrice")
    row["mmrSysUpdatedTime"] = row.pop("mmrSysUpdateTime")
    for name in ("positionValue", "unrealisedPnl", "breakEvenPrice"):
        row[name] = row[name] or "0"
    if not row["side"]:
        row["liqPrice"] = "0"
    return row | {"category": CATEGORY}


def add_margin_row(own: PairAccount) -> Row:
    """The answer to add-margin: the position as it is afterwards."""
    row = position_row(own, 0)
    for name in _NOT_IN_ANSWER:
        del row[name]
    return {"category": CATEGORY} | row


def foreign_position_row(symbol: str, quantity: str, price: str, time_ms: int) -> Row:
    """A short of a pair this server has no market for: somebody else's, seen and not touched."""
    money = "0"
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "200000",
        "symbol": symbol,
        "side": "Sell",
        "size": quantity,
        "avgPrice": price,
        "positionValue": number_text(float(quantity) * float(price)),
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": ADL_RANK,
        "leverage": "10",
        "markPrice": price,
        "liqPrice": "",
        "bustPrice": "",
        "tpslMode": "Full",
        "seq": 0,
        "isReduceOnly": False,
        "createdTime": str(time_ms),
        "updatedTime": str(time_ms),
        **dict.fromkeys(("mmrSysUpdateTime", "leverageSysUpdatedTime", "sessionAvgPrice", "breakEvenPrice"), ""),
        **dict.fromkeys(("positionBalance", "positionMM", "positionMMByMp", "positionIM", "positionIMByMp"), money),
        **dict.fromkeys(("takeProfit", "stopLoss", "trailingStop"), money),
        **dict.fromkeys(("unrealisedPnl", "curRealisedPnl", "cumRealisedPnl"), money),
    }


def wallet_row(pairs: Iterable[PairAccount], wallet_usdt: float, available_usdt: float) -> Row:
    """The unified wallet: one coin. Account-wide rates are 0, as they mean nothing for isolated margin."""
    owned = list(pairs)
    upl = sum(own.unrealized_usdt() for own in owned)
    money = {name: number_text(value) for name, value in _totals(owned, wallet_usdt, available_usdt, upl).items()}
    rates = ("accountIMRate", "accountIMRateByMp", "accountMMRate", "accountMMRateByMp", "accountLTV")
    return {
        **dict.fromkeys(rates, "0"),
        **money,
        "totalInitialMarginByMp": money["totalInitialMargin"],
        "totalMaintenanceMarginByMp": money["totalMaintenanceMargin"],
        "accountType": "UNIFIED",
        "coin": [_coin(owned, wallet_usdt, upl)],
    }


def _totals(owned: list[PairAccount], wallet: float, available: float, upl: float) -> dict[str, float]:
    return {
        "totalEquity": wallet + upl,
        "totalWalletBalance": wallet,
        "totalMarginBalance": wallet + upl,
        "totalAvailableBalance": max(0.0, available),
        "totalPerpUPL": upl,
        "totalInitialMargin": sum(own.position_margin_usdt() + own.order_margin_usdt() for own in owned),
        "totalMaintenanceMargin": sum(own.maintenance_margin_usdt() for own in owned),
    }


def _coin(owned: list[PairAccount], wallet: float, upl: float) -> dict[str, Any]:
    return {
        "coin": COIN,
        "equity": number_text(wallet + upl),
        "usdValue": number_text(wallet + upl),
        "walletBalance": number_text(wallet),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": number_text(sum(own.order_margin_usdt() for own in owned)),
        "totalPositionIM": number_text(sum(own.position_margin_usdt() for own in owned)),
        "totalPositionMM": number_text(sum(own.maintenance_margin_usdt() for own in owned)),
        "unrealisedPnl": number_text(upl),
        "cumRealisedPnl": number_text(sum(own.story.total_realised for own in owned)),
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "locked": "0",
        "spotHedgingQty": "0",
        "spotBorrow": "0",
    }


def _risk(own: PairAccount) -> Row:
    tiers = own.pair.tiers
    row = tiers[own.tier()] if tiers else {"id": 1, "riskLimitValue": ""}
    return {"riskId": row["id"], "riskLimitValue": str(row["riskLimitValue"])}


def _margins(own: PairAccount) -> Row:
    held = own.sim.position
    base = own.position_margin_usdt() - (held.extra_margin_usdt if held else 0.0)
    initial, maintenance = number_text(base), number_text(own.maintenance_margin_usdt())
    return {
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "positionIM": initial,
        "positionIMByMp": initial,
    }


def _liquidation(pair: Pair, ticks: float) -> str:
    """Empty where no price reaches it."""
    band = pair.item["priceFilter"]
    lowest, highest = pair.ticks_of(band["minPrice"]), pair.ticks_of(band["maxPrice"])
    return exact_price(pair, ticks) if lowest < ticks < highest else ""


def _break_even(own: PairAccount) -> str:
    held = own.sim.position
    if held is None:
        return ""
    quantity = held.lots * own.pair.contract.lot_size
    entry = held.entry_ticks * own.pair.contract.tick_size
    rate = max(own.sim.terms.taker_fee_rate, _LEAST_TAKER_RATE)
    return number_text((entry * quantity - own.story.current_realised) / (quantity - abs(quantity) * rate))
