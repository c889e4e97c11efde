"""Leverage, modes, the position's stop and margin: what may change when, and the codes of what may not."""

from __future__ import annotations

from typing import Any

import pytest

from your_short_trade_margin_call.adapters.bybit_server.account_config import AccountConfig

from .trader import CALM, SYMBOL, Trader


def leverage(trader: Trader, value: str) -> int:
    return trader.post("position/set-leverage", buyLeverage=value, sellLeverage=value)[0]


def test_leverage() -> None:
    trader = Trader()
    assert trader.rows("position/symbol-info", symbol=SYMBOL)[0]["leverage"] == "10"
    assert leverage(trader, "10") == 110043
    assert leverage(trader, "3") == 0
    assert leverage(trader, "3") == 110043
    assert leverage(trader, "101") == 110013
    assert leverage(trader, "0.5") == 10001
    assert trader.post("position/set-leverage", buyLeverage="3", sellLeverage="4")[0] == 10001
    trader.short()
    assert trader.position()["leverage"] == "3"
    assert float(trader.position()["positionIM"]) == pytest.approx(1_000 / 3 + 0.55 * (1 + 1 / 3))
    assert leverage(trader, "3") == 110043, "the same again is harmless, with a position too"


def test_leverage_of_an_open_position() -> None:
    trader = Trader()
    trader.short()
    trader.short("0.50", "rests", orderType="Limit", price="1010.00")
    trader.told()
    assert leverage(trader, "5") == 0
    assert trader.words() == ["position 1.00", "wallet"]
    position, (wallet,) = trader.position(), trader.rows("account/wallet-balance", accountType="UNIFIED")
    margin, reserved = 200 + 0.55 * 1.2, 505 / 5 + 505 * 0.00055 + 505 * 1.2 * 0.00055
    assert (position["leverage"], position["liqPrice"]) == ("5", "1194.00")
    assert float(position["positionIM"]) == pytest.approx(margin)
    assert float(wallet["coin"][0]["totalOrderIM"]) == pytest.approx(reserved)
    assert float(wallet["totalAvailableBalance"]) == pytest.approx(999.45 - margin - reserved)
    assert trader.rows("position/symbol-info", symbol=SYMBOL)[0]["leverage"] == "5"
    assert trader.short("0.10", "more")[0] == 0, "what follows has the new leverage"
    assert leverage(trader, "1") == 110012
    assert trader.position()["leverage"] == "5"


def test_another_leverage_gives_added_margin_back() -> None:
    trader = Trader()
    trader.short()
    liquidation = trader.position()["liqPrice"]
    trader.post("position/add-margin", margin="50")
    assert (leverage(trader, "5"), leverage(trader, "10")) == (0, 0)
    assert trader.position()["liqPrice"] == liquidation
    assert trader.post("position/add-margin", margin="-1")[0] == 110078


def test_a_leverage_that_tier_or_price_forbid() -> None:
    trader = Trader((1000.0, 1100.0, 1000.0, 1100.0), (1100.0,) * 4, settings=CALM.replace(starting_balance=1e6))
    leverage(trader, "5")
    trader.short("95.00")
    trader.world.step(1)
    assert leverage(trader, "6") == 110013, "104,500 USDT belong to a tier of 5x"
    trader.close("45.00")
    code, result = trader.post("position/set-leverage", buyLeverage="10", sellLeverage="10")
    assert (code, result["text"]) == (110011, "Liquidation will be triggered immediately by this adjustment")
    assert trader.position()["leverage"] == "5"
    assert leverage(trader, "6") == 0


def test_position_mode() -> None:
    trader = Trader()
    assert trader.post("position/switch-mode", mode=0)[0] == 110025
    assert trader.post("position/switch-mode", mode=7)[0] == 10001
    trader.post("order/create", side="Sell", orderType="Limit", price="1010.00", qty="0.10", orderLinkId="rests")
    assert trader.post("position/switch-mode", mode=3)[0] == 110028
    trader.short("0.10")
    assert trader.post("position/switch-mode", mode=3)[0] == 110024
    trader.close("0.10")
    trader.post("order/cancel-all")
    assert trader.post("position/switch-mode", mode=3)[0] == 0
    assert trader.account.config.position_mode == 3


def test_margin_mode() -> None:
    trader = Trader()
    assert trader.get("account/info")[1]["marginMode"] == "ISOLATED_MARGIN"
    assert trader.post("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN") == (0, {"reasons": []})
    assert trader.post("account/set-margin-mode", setMarginMode="NONE")[0] == 10001
    assert trader.post("account/set-margin-mode", setMarginMode="REGULAR_MARGIN")[0] == 0
    code, result = trader.post("position/switch-isolated", tradeMode=1)
    assert (code, result["text"]) == (100028, "unified account is forbidden")


def test_the_stop_of_the_position() -> None:
    trader = Trader()
    assert trader.stop("1100.00") == (10001, {"text": "can not set tp/sl/ts for zero position"})
    trader.short()
    trader.told()
    assert trader.stop("1100.00")[0] == 0
    assert trader.words() == ["order Untriggered", "position 1.00"]
    assert trader.stop("1100.00") == (34040, {"text": "not modified"})
    (first,) = trader.rows("order/realtime", symbol=SYMBOL)
    assert trader.stop("1090.00")[0] == 0
    (moved,) = trader.rows("order/realtime", symbol=SYMBOL)
    assert (moved["orderId"], moved["triggerPrice"]) == (first["orderId"], "1090.00")
    code, result = trader.stop("990.00")
    assert code == 10001
    assert "should greater base_price" in result["text"]
    assert trader.position()["stopLoss"] == "1090.00"
    assert trader.stop("0")[0] == 0
    assert trader.position()["stopLoss"] == "0.00"
    assert trader.stop("0")[0] == 34040


@pytest.mark.parametrize(
    "body",
    [
        {"takeProfit": "1000.00"},
        {"takeProfit": "900.00", "tpslMode": "Partial", "tpSize": "0.50", "slSize": "0.50"},
        {"takeProfit": "900.00", "tpOrderType": "Limit"},
        {"takeProfit": "900.00", "tpTriggerBy": "Nobody"},
        {"trailingStop": "5.00"},
        {"positionIdx": 1, "stopLoss": "1100.00"},
        {"positionIdx": None, "stopLoss": "1100.00"},
        {"tpslMode": "Half", "stopLoss": "1100.00"},
        {"stopLoss": 1100},
    ],
)
def test_refused_stops(body: dict[str, Any]) -> None:
    trader = Trader()
    trader.short()
    assert trader.post("position/trading-stop", **{"tpslMode": "Full", "positionIdx": 0, **body})[0] == 10001


def test_another_kind_of_trigger_is_a_change() -> None:
    trader = Trader()
    trader.short(stopLoss="1100.00")
    (stop,) = trader.rows("order/realtime", symbol=SYMBOL)
    assert stop["triggerBy"] == "LastPrice", "the exchange's default"
    assert trader.stop("1100.00")[0] == 0
    (stop,) = trader.rows("order/realtime", symbol=SYMBOL)
    assert stop["triggerBy"] == "MarkPrice"
    assert trader.stop("1100.00")[0] == 34040


def test_added_margin() -> None:
    trader = Trader()
    assert trader.post("position/add-margin", margin="10")[0] == 110033
    trader.short()
    before = trader.position()
    code, row = trader.post("position/add-margin", margin="50")
    assert code == 0
    assert float(row["liqPrice"]) > float(before["liqPrice"]) + 45
    assert float(trader.position()["positionBalance"]) == pytest.approx(float(before["positionBalance"]) + 50)
    (wallet,) = trader.rows("account/wallet-balance", accountType="UNIFIED")
    assert float(wallet["coin"][0]["totalPositionIM"]) == pytest.approx(150.605)
    assert float(wallet["totalAvailableBalance"]) == pytest.approx(999.45 - 150.605)
    codes = [trader.post("position/add-margin", margin=text)[0] for text in ("0", "5000", "-51", "0.12345", "-50")]
    assert codes == [110027, 110014, 110078, 10001, 0]
    trader.account.config.margin_mode = "REGULAR_MARGIN"
    assert trader.post("position/add-margin", margin="10")[0] == 110015


def test_margin_is_never_added_by_itself() -> None:
    trader = Trader()
    assert trader.post("position/set-auto-add-margin", autoAddMargin=1)[0] == 10001
    assert trader.post("position/set-auto-add-margin", autoAddMargin=0)[0] == 0


def test_fee_rates_are_those_of_the_account() -> None:
    trader = Trader(config=AccountConfig(taker_fee_rate=0.000649))
    (row,) = trader.rows("account/fee-rate", symbol=SYMBOL)
    assert row == {"symbol": SYMBOL, "takerFeeRate": "0.000649", "makerFeeRate": "0.0002"}
    trader.short()
    assert trader.rows("execution/list", symbol=SYMBOL)[0]["execFee"] == "0.649"
    trader.account.config.demo = True
    assert trader.get("account/fee-rate", symbol=SYMBOL)[0] == 10001


def test_what_the_key_may_do() -> None:
    trader = Trader(config=AccountConfig(read_only=True, ips=[], is_master=True, expires_at="2026-12-01T00:00:00Z"))
    _, row = trader.get("user/query-api")
    assert (row["readOnly"], row["ips"], row["isMaster"], row["uta"], row["unified"]) == (1, ["*"], True, 1, 0)
    assert row["secret"] == ""
    assert trader.account.secret not in repr(trader.account)


def test_the_coin_that_clients_ask_for_at_the_start() -> None:
    _, result = Trader().get("asset/coin/query-info")
    assert [row["coin"] for row in result["rows"]] == ["USDT"]


def test_the_wallet_counts_what_rests() -> None:
    trader = Trader(settings=CALM)
    trader.post("order/create", side="Sell", orderType="Limit", price="1010.00", qty="1.00", orderLinkId="rests")
    (wallet,) = trader.rows("account/wallet-balance", accountType="UNIFIED")
    reserved = 1010 / 10 + 1010 * 0.00055 + 1010 * 1.1 * 0.00055
    assert float(wallet["coin"][0]["totalOrderIM"]) == pytest.approx(reserved)
    assert float(wallet["totalAvailableBalance"]) == pytest.approx(1_000 - reserved)
    assert trader.rows("account/wallet-balance", accountType="UNIFIED", coin="BTC")[0]["coin"] == []
