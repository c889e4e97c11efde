"""What happens without the program, and what goes wrong inside the exchange on purpose."""

from __future__ import annotations

import pytest

from your_short_trade_margin_call.domain.errors import BadInputError, OrderRefusedError
from your_short_trade_margin_call.exchange.faults import Fault

from .trader import FLAT, OTHER, SYMBOL, Trader


def test_somebody_closes_by_hand() -> None:
    trader = Trader()
    with pytest.raises(BadInputError, match="no position"):
        trader.account.manual_close(SYMBOL)
    trader.short(stopLoss="1100.00")
    trader.told()
    trader.account.manual_close(SYMBOL, 40)
    (row,) = trader.told("execution")
    assert (row["orderLinkId"], row["execType"], row["execQty"]) == ("", "Trade", "0.40")
    trader.account.manual_close(SYMBOL)
    assert trader.position()["size"] == "0"


def test_somebody_else_trades_on_the_account() -> None:
    trader = Trader(symbols=(SYMBOL, OTHER))
    order_id = trader.account.foreign_order(SYMBOL)
    (row,) = trader.rows("order/realtime", symbol=SYMBOL)
    assert (row["orderId"], row["orderLinkId"], row["side"]) == (order_id, "", "Sell")
    assert row["orderStatus"] == "New"
    trader.account.foreign_position(OTHER)
    trader.account.foreign_position("ELSEUSDT")
    rows = trader.rows("position/list", settleCoin="USDT")
    assert {row["symbol"] for row in rows} == {OTHER, "ELSEUSDT"}
    assert trader.rows("position/list", symbol="ELSEUSDT")[0]["side"] == "Sell"
    assert trader.post("position/switch-mode", mode=3)[0] == 110024
    with pytest.raises(OrderRefusedError):
        trader.account.foreign_position(SYMBOL, 100_000)


def test_the_venue_deleverages() -> None:
    trader = Trader()
    trader.short(stopLoss="1100.00")
    trader.told()
    trader.account.adl(SYMBOL, 30)
    execution, order = (trader.told("execution", "order"))[:2]
    assert (execution["execType"], execution["orderLinkId"], execution["execQty"]) == ("AdlTrade", "", "0.30")
    assert (order["createType"], order["orderStatus"]) == ("CreateByAdl_PassThrough", "Filled")
    assert trader.position()["size"] == "0.70"
    assert trader.rows("account/transaction-log")[0]["type"] == "ADL"
    trader.account.adl(SYMBOL)
    assert trader.position()["size"] == "0"


def test_the_venue_liquidates_when_told() -> None:
    trader = Trader()
    trader.short()
    trader.account.liquidation_now(SYMBOL)
    assert trader.rows("execution/list", symbol=SYMBOL)[0]["execType"] == "BustTrade"


def test_an_entry_is_refused_once() -> None:
    trader = Trader()
    trader.account.arm(Fault.REJECT)
    assert trader.short()[0] == 110066
    assert trader.short()[0] == 0
    trader.account.arm(Fault.REJECT)
    assert trader.close()[0] == 0, "exits are not meant"
    trader.account.disarm()
    assert trader.short(link_id="again")[0] == 0


def test_acknowledged_and_then_rejected() -> None:
    trader = Trader()
    trader.account.arm(Fault.LATE_REJECT)
    assert trader.short()[0] == 0
    assert trader.words() == ["order Rejected", "position 0"]
    assert trader.order("entry")["orderStatus"] == "Rejected"
    assert trader.short()[0] == 110072


def test_filled_in_part_and_then_cancelled() -> None:
    trader = Trader()
    trader.account.arm(Fault.PARTIAL_THEN_CANCEL)
    trader.short()
    row = trader.order("entry")
    assert row["orderStatus"] == "Cancelled"
    assert 0 < float(row["cumExecQty"]) < 1
    assert trader.position()["size"] == row["cumExecQty"]


def test_filled_in_parts() -> None:
    trader = Trader()
    trader.account.arm(Fault.PARTIAL_FILL)
    trader.short()
    words = trader.words()
    assert words[:3] == ["order New", "execution Trade", "order PartiallyFilled"]
    assert words.count("order Filled") == 1
    assert trader.order("entry")["cumExecQty"] == "1.00"


def test_messages_come_twice_and_out_of_order() -> None:
    trader = Trader()
    trader.account.arm(Fault.DUPLICATE_EVENT)
    trader.short("0.10", "a")
    assert trader.words()[:3] == ["order New", "order New", "execution Trade"]
    trader.account.arm(Fault.REORDERED_EVENT)
    trader.short("0.10", "b")
    assert trader.words()[:2] == ["execution Trade", "order New"]
    assert len(trader.rows("execution/list", symbol=SYMBOL)) == 2


def test_the_same_run_tells_the_same() -> None:
    """Ids too are made, not drawn."""

    def run() -> list[dict[str, object]]:
        trader = Trader((1000.0, 1120.0, 950.0, 960.0), FLAT, funding=[(1, 0.001)])
        trader.short(stopLoss="1080.00")
        trader.target("960.00", "0.50")
        trader.world.step(2)
        return trader.told()

    assert run() == run()


def test_quotes_inside_a_candle_move_market_orders_only() -> None:
    trader = Trader((1000.0, 1030.0, 970.0, 1000.0))
    trader.short("0.50", stopLoss="1020.00")
    trader.target("980.00", "0.50")
    trader.told()
    market = trader.pair
    candle_ms = market.open_ms(market.cursor)
    trader.account.quote(market, candle_ms + 1_000, 10_250.0, 10_250.0, candle_ms)
    trader.account.quote(market, candle_ms + 2_000, 9_750.0, 9_750.0, candle_ms)
    assert trader.told() == []
    trader.short("0.10", "second")
    (fill,) = trader.told("execution")
    assert (fill["execPrice"], fill["execTime"]) == ("975.00", str(candle_ms + 2_000))
