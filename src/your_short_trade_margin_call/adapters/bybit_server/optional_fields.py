"""Fields that the exchange has been seen to leave out, or may one day: a client must live without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_NAMES = (
    # instruments and tickers
    "symbolId launchTime deliveryFeeRate priceScale unifiedMarginTrade copyTrading upperFundingRate lowerFundingRate "
    "isPreListing preListingInfo riskParameters symbolType leverageStep minLeverage postOnlyMaxOrderQty "
    "tickDirection price24hPcnt prevPrice24h highPrice24h lowPrice24h prevPrice1h openInterest openInterestValue "
    "turnover24h volume24h predictedDeliveryPrice basisRate basisRateYear basis preOpenPrice preQty "
    "curPreListingPhase fundingIntervalHour fundingCap "
    # the book and public trades
    "seq cts u isBlockTrade isRPITrade BT RPI L "
    # orders
    "blockTradeId isLeverage cancelType rejectReason orderIv lastPriceOnCreated smpType smpGroup smpOrderId "
    "tpLimitPrice slLimitPrice placeType parentOrderLinkId cumFeeDetail cumExecFee closeOnTrigger ocoTriggerBy "
    "marketUnit slippageTolerance slippageToleranceType closedPnl feeCurrency leavesValue cumExecValue tpslMode "
    "takeProfit tpTriggerBy bboSideType bboLevel "
    # executions
    "tradeIv markIv indexPrice underlyingPrice extraFees execPnl closedSize execValue feeRate orderPrice "
    "orderQty leavesQty "
    # positions
    "isReduceOnly adlRankIndicator bustPrice positionBalance sessionAvgPrice riskId riskLimitValue autoAddMargin "
    "tradeMode trailingStop mmrSysUpdatedTime leverageSysUpdatedTime breakEvenPrice openTime positionIMByMp "
    "positionMMByMp cumRealisedPnl curRealisedPnl unrealisedPnl positionStatus createdTime "
    # wallets
    "bonus accruedInterest borrowAmount availableToBorrow availableToWithdraw spotHedgingQty colRes spotBorrow "
    "marginCollateral collateralSwitch usdValue accountIMRate accountMMRate accountLTV accountIMRateByMp "
    "accountMMRateByMp totalPerpUPL totalInitialMarginByMp totalMaintenanceMarginByMp"
)
OPTIONAL_FIELDS = frozenset(_NAMES.split())
"""What `missing_fields` takes away when it is not told which."""


def without(value: Any, names: Collection[str]) -> Any:
    """Rows, however deep they lie, without these fields."""
    if isinstance(value, Mapping):
        return {name: without(own, names) for name, own in value.items() if name not in names}
    if isinstance(value, list):
        return [without(own, names) for own in value]
    return value


def message_without(message: Mapping[str, Any], part: str, names: Collection[str]) -> dict[str, Any]:
    """A message whose part (`result` of an answer, `data` of a stream) has lost these fields; all optional by default.

    What the envelope itself says stays.
    """
    lost = names or OPTIONAL_FIELDS
    return {name: without(value, lost) if name == part else value for name, value in message.items()}
