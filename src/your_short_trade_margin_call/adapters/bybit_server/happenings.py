"""What happens to an account without its program: by somebody's hand, or by the venue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from your_short_trade_margin_call.adapters.bybit_server.order_rows import Row
from your_short_trade_margin_call.adapters.bybit_server.orders import OrderRecord
from your_short_trade_margin_call.adapters.bybit_server.pair_account import PairAccount
from your_short_trade_margin_call.adapters.bybit_server.position_rows import foreign_position_row
from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import OrderType, Purpose, Side

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount

FOREIGN_QUANTITY, FOREIGN_PRICE = "1", "10"
"""What is held of a pair nobody knows here."""
_ABOVE_THE_MARKET = 1.02
"""Where somebody else's entry rests: so far above the mid that it rests for a while."""


def manual_close(account: TradingAccount, symbol: str, lots: int | None) -> None:
    """Buy (a part of) the position back by market, without an id of ours.

    Raises:
        BadInputError: there is no position.
    """
    own = _with_position(account, symbol)
    lots = own.lots if lots is None else lots
    _place(account, own, Side.BUY, OrderType.MARKET, lots, "CreateByClosing", reduce_only=True)


def foreign_order(account: TradingAccount, symbol: str, lots: int | None, price: str | None) -> str:
    """A limit entry above the market that no program of ours knows; returns its order id.

    Raises:
        OrderRefusedError: the account cannot afford it.
    """
    own = account.own(symbol)
    ticks = int(own.pair.mid_ticks * _ABOVE_THE_MARKET) if price is None else int(own.pair.ticks_of(price))
    size = _smallest(own) if lots is None else lots
    return _place(account, own, Side.SELL, OrderType.LIMIT, size, "CreateByUser", price_ticks=ticks)


def foreign_position(account: TradingAccount, symbol: str, lots: int | None) -> None:
    """A short that no program of ours opened; of a pair that is not traded here it is a row and nothing more.

    Raises:
        OrderRefusedError: the account cannot afford it.
    """
    if symbol not in account.pairs:
        row = foreign_position_row(symbol, FOREIGN_QUANTITY, FOREIGN_PRICE, account.now_ms())
        account.foreign_rows.append(row)
        return
    own = account.own(symbol)
    size = _smallest(own) if lots is None else lots
    _place(account, own, Side.SELL, OrderType.MARKET, size, "CreateByUser")


def adl(account: TradingAccount, symbol: str, lots: int | None) -> None:
    """Auto-deleveraging: the venue closes (a part of) the position at the mark price.

    Raises:
        BadInputError: there is no position.
    """
    own = _with_position(account, symbol)
    lots = own.lots if lots is None else lots
    own.sim.auto_deleverage(account.now_ms(), lots, round(own.pair.mark_ticks))
    account.flush(own)


def liquidation_now(account: TradingAccount, symbol: str) -> None:
    """The venue takes the position over now.

    Raises:
        BadInputError: there is no position.
    """
    own = _with_position(account, symbol)
    own.sim.take_over(account.now_ms())
    account.flush(own)


def foreign_rows(account: TradingAccount, symbol: str) -> list[Row]:
    """Positions of pairs that are not traded here; of one pair, or all."""
    return [row for row in account.foreign_rows if symbol in ("", row["symbol"])]


def _place(
    account: TradingAccount,
    own: PairAccount,
    side: Side,
    order_type: OrderType,
    lots: int,
    create_type: str,
    *,
    price_ticks: int | None = None,
    reduce_only: bool = False,
) -> str:
    order_id = account.ids.next()
    sim_link = f"~{account.ids.made}"
    record = OrderRecord(
        order_id,
        own.symbol,
        side,
        lots,
        account.now_ms(),
        sim_link=sim_link,
        order_type="Limit" if price_ticks else "Market",
        price_ticks=float(price_ticks or 0),
        time_in_force="GTC" if price_ticks else "IOC",
        reduce_only=reduce_only,
        create_type=create_type,
    )
    purpose = Purpose.CLOSE if reduce_only else Purpose.ENTRY
    leverage = None if reduce_only else account.leverage_of(own.symbol)
    own.sim.place(
        OrderRequest(sim_link, purpose, side, order_type, lots, price_ticks, None, reduce_only, None, leverage)
    )
    account.orders.add(record)
    account.flush(own)
    return order_id


def _with_position(account: TradingAccount, symbol: str) -> PairAccount:
    own = account.own(symbol)
    if own.position is None:
        raise BadInputError(f"The account has no position of {symbol}.", "Open one first.")
    return own


def _smallest(own: PairAccount) -> int:
    """The smallest order the pair allows at its price."""
    contract = own.pair.contract
    lot_value = contract.lot_size * own.pair.mid_ticks * contract.tick_size
    return max(contract.min_lots, int(contract.min_notional_usdt / lot_value) + 1)
