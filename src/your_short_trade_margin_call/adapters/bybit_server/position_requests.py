"""Requests that change a position, a pair's leverage or the account's modes. Each returns the answer's `result`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from your_short_trade_margin_call.adapters.bybit_server.account_config import (
    HEDGE,
    ISOLATED,
    ONE_WAY,
    PORTFOLIO,
    REGULAR,
)
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError, RetCode, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.order_form import (
    check_index,
    read_attached,
)
from your_short_trade_margin_call.adapters.bybit_server.order_requests import (
    Answer,
    Body,
    carry_out,
    pair_of,
    triggers_of,
)
from your_short_trade_margin_call.adapters.bybit_server.orders import OrderRecord
from your_short_trade_margin_call.adapters.bybit_server.pair import is_nothing, value_usdt
from your_short_trade_margin_call.adapters.bybit_server.pair_account import PairAccount
from your_short_trade_margin_call.adapters.bybit_server.position_rows import add_margin_row
from your_short_trade_margin_call.adapters.bybit_server.request_fields import Fields
from your_short_trade_margin_call.exchange.refusals import RefusalCode
from your_short_trade_margin_call.rules.margin import tier_of
from your_short_trade_margin_call.rules.terms import TIER_MAX_LEVERAGE

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount

_OF_MARGIN = {
    RefusalCode.NO_POSITION: (RetCode.NO_POSITION, "no position to add margin to"),
    RefusalCode.INSUFFICIENT_BALANCE: (RetCode.NO_MARGIN_TO_ADD, "insufficient available balance to add margin"),
}

_OF_LEVERAGE = {
    RefusalCode.INSUFFICIENT_BALANCE: (RetCode.NO_BALANCE_TO_CHANGE, "Insufficient available balance."),
    RefusalCode.WOULD_LIQUIDATE: (
        RetCode.WOULD_LIQUIDATE,
        "Liquidation will be triggered immediately by this adjustment",
    ),
}


def set_leverage(account: TradingAccount, body: Body) -> Answer:
    """Set a pair's leverage; an open position and resting entries take it over, and their margin moves.

    Raises:
        ApiError: 110043 unchanged, 110013 above the risk tier, 110012 not enough balance, 110011 liquidated at once.
    """
    own, fields = pair_of(account, body)
    fields.needed("buyLeverage"), fields.needed("sellLeverage")
    leverage, other = fields.number("sellLeverage"), fields.number("buyLeverage")
    if leverage is None or leverage != other:
        bad_parameter("buy leverage and sell leverage must be equal in one-way mode")
    entries = [record for record in account.orders.open(own.symbol) if not record.reduce_only]
    cap = _most_leverage(own, entries)
    if leverage < 1.0:
        bad_parameter("params error: leverage invalid")
    too_high = f"cannot set leverage [{leverage * 100:.0f}] gt maxLeverage [{cap * 100:.0f}] by risk limit"
    if leverage > cap:
        raise ApiError(RetCode.LEVERAGE_TOO_HIGH, too_high)
    if leverage == account.leverage_of(own.symbol):
        raise ApiError(RetCode.LEVERAGE_UNCHANGED, "leverage not modified")
    if own.lots or entries:
        codes = {**_OF_LEVERAGE, RefusalCode.LEVERAGE: (RetCode.LEVERAGE_TOO_HIGH, too_high)}
        carry_out(lambda: own.sim.change_leverage(leverage), codes)
    account.leverages[own.symbol] = own.leverage = leverage
    account.flush(own, touched=True)
    return {}


def _most_leverage(own: PairAccount, entries: list[OrderRecord]) -> float:
    """What the risk tier of the position and the open entries allows, valued at the mark."""
    contract = own.pair.contract
    lots = own.lots + sum(record.lots - record.filled_lots for record in entries)
    tier = contract.tiers[tier_of(contract.tiers, value_usdt(own.pair, lots, own.pair.mark_ticks))]
    return min(contract.max_leverage, float(tier[TIER_MAX_LEVERAGE]))


def trading_stop(account: TradingAccount, body: Body) -> Answer:
    """Attach, move or ("0") remove the position's stop and take profit.

    Raises:
        ApiError: 34040 unchanged, 10001 without a position or on the wrong side.
    """
    own, fields = pair_of(account, body)
    fields.needed("tpslMode")
    if fields.whole("positionIdx") is None:
        bad_parameter("params error: positionIdx is missing")
    check_index(fields, account.config.position_mode)
    if not is_nothing(fields.text("trailingStop")):
        bad_parameter("trailingStop is not supported here")
    now = own.triggers
    wanted = read_attached(fields, own.pair, now)
    if own.position is None:
        bad_parameter("can not set tp/sl/ts for zero position")
    changed = [None if wish == held else wish for wish, held in zip(wanted, now, strict=True)]
    if changed == [None, None]:
        raise ApiError(RetCode.NOT_MODIFIED, "not modified")
    carry_out(lambda: own.sim.amend_attached(triggers_of(*changed)), _of_wrong_side(fields))
    for attached, wish in zip((own.stop, own.take_profit), changed, strict=True):
        if wish is not None and wish.ticks:
            attached.triggered_by(wish.by)
    account.flush(own, touched=True)
    return {}


def _of_wrong_side(fields: Fields) -> dict[RefusalCode, tuple[RetCode, str]]:
    stop, take_profit = fields.text("stopLoss"), fields.text("takeProfit")
    return {
        RefusalCode.STOP_WRONG_SIDE: (
            RetCode.PARAMETER,
            f"StopLoss:{stop} set for Sell position should greater base_price",
        ),
        RefusalCode.TAKE_PROFIT_WRONG_SIDE: (
            RetCode.PARAMETER,
            f"TakeProfit:{take_profit} set for Sell position should be lower than base_price",
        ),
    }


def add_margin(account: TradingAccount, body: Body) -> Answer:
    """Add margin to an isolated position, or (negative) take back what was added.

    Raises:
        ApiError: 110015 cross margin, 110027 unchanged, 110033 no position, 110014, 110078, 110011.
    """
    own, fields = pair_of(account, body)
    check_index(fields, account.config.position_mode)
    if account.config.margin_mode != ISOLATED:
        raise ApiError(RetCode.POSITION_IS_CROSS, "the position is in cross margin")
    margin = fields.number("margin")
    if margin is None:
        bad_parameter("params error: margin is missing")
    if len(fields.text("margin").partition(".")[2]) > 4:
        bad_parameter("params error: margin has at most 4 decimals")
    if not margin:
        raise ApiError(RetCode.MARGIN_UNCHANGED, "margin not modified")
    carry_out(lambda: own.sim.add_margin(margin), _OF_MARGIN)
    account.flush(own, touched=True)
    return add_margin_row(own)


def set_auto_add_margin(account: TradingAccount, body: Body) -> Answer:
    """Only "off" can be set: this server adds no margin by itself.

    Raises:
        ApiError: 10001.
    """
    _, fields = pair_of(account, body)
    if fields.whole("autoAddMargin") != 0:
        bad_parameter("This server does not add margin by itself")
    return {}


def switch_mode(account: TradingAccount, body: Body) -> Answer:
    """One-way (0) or hedge (3).

    Raises:
        ApiError: 110025 unchanged, where one pair is named; 110024 with a position, 110028 with an order. Asked of
            all pairs of a coin, to be as they are is no error: clients ask so at every start.
    """
    fields = Fields(body)
    fields.check_category()
    if not (fields.text("symbol") or fields.text("coin")):
        bad_parameter("params error: symbol or coin is missing")
    mode = fields.whole("mode")
    if mode not in (ONE_WAY, HEDGE):
        bad_parameter("params error: mode invalid")
    if mode == account.config.position_mode:
        if not fields.text("symbol"):
            return {}
        raise ApiError(RetCode.MODE_UNCHANGED, "Position mode is not modified")
    if has_position(account):
        raise ApiError(
            RetCode.SWITCH_HAS_POSITION, "You have an existing position, so position mode cannot be switched"
        )
    if any(account.orders.open()):
        raise ApiError(RetCode.SWITCH_HAS_ORDERS, "You have existing orders, so position mode cannot be switched")
    account.config.position_mode = mode
    return {}


def not_unified(account: TradingAccount, body: Body) -> Answer:
    """Refused: margin modes belong to the whole unified account, its risk limits follow the position by themselves.

    Raises:
        ApiError: 100028, always.
    """
    raise ApiError(RetCode.NOT_FOR_UNIFIED, "unified account is forbidden")


def set_margin_mode(account: TradingAccount, body: Body) -> Answer:
    """Isolated, regular (cross) or portfolio margin, for the whole account.

    Raises:
        ApiError: 3400045 with a position or an order. To ask for what is set already is no error, unlike elsewhere.
    """
    mode = Fields(body).choice("setMarginMode", (ISOLATED, REGULAR, PORTFOLIO))
    if mode == account.config.margin_mode:
        return {"reasons": []}
    if has_position(account) or any(account.orders.open()):
        reason = {"reasonCode": "3400001", "reasonMsg": "You have open positions or orders"}
        raise ApiError(RetCode.MARGIN_MODE_FAILED, "Set margin mode failed", {"reasons": [reason]})
    account.config.margin_mode, account.mode_changed_ms = mode, account.now_ms()
    return {"reasons": []}


def has_position(account: TradingAccount) -> bool:
    """Whether anything is open on the account, foreign positions too."""
    owned: list[PairAccount] = list(account.owned.values())
    return bool(account.foreign_rows) or any(own.lots for own in owned)
