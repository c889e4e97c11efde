"""What the exchange has and this server has nothing behind: an answer all the same, and never a broken connection."""

from __future__ import annotations

from typing import Any

import pytest

from your_short_trade_margin_call.domain.spans import MINUTE_MS

from .serving import T0, Client, small_world, with_server
from .signed import Signed
from .trader import OTHER, SYMBOL, Trader

PAIR = {"category": "linear", "symbol": "BTCUSDT"}


@pytest.mark.parametrize(
    ("path", "query", "empty"),
    [
        ("open-interest", {**PAIR, "intervalTime": "1h", "endTime": "1700000000000"}, "list"),
        ("account-ratio", {**PAIR, "period": "1d"}, "list"),
        ("premium-index-price-kline", {**PAIR, "interval": "3"}, "list"),
        ("delivery-price", {"category": "linear"}, "list"),
        ("insurance", {}, "list"),
        ("adlAlert", {}, "list"),
        ("new-delivery-price", {"category": "linear", "baseCoin": "BTC"}, "list"),
        ("index-price-components", {"indexName": "BTCUSDT"}, "components"),
        ("fee-group-info", {"productType": "contract"}, "list"),
    ],
)
def test_what_nobody_recorded_has_no_rows(path: str, query: dict[str, str], empty: str) -> None:
    async def talk(client: Client) -> None:
        result = await client.get(f"/v5/market/{path}", **query)
        assert result[empty] == []

    with_server(small_world(), talk)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("open-interest", {**PAIR, "intervalTime": "2h"}),
        ("open-interest", {"category": "linear", "symbol": "NOPEUSDT", "intervalTime": "1h"}),
        ("account-ratio", PAIR),
        ("premium-index-price-kline", {**PAIR, "interval": "4"}),
        ("historical-volatility", {"category": "option"}),
    ],
)
def test_a_wrong_question_about_it_is_a_10001(path: str, query: dict[str, str]) -> None:
    async def talk(client: Client) -> None:
        code, text = await client.refusal(f"/v5/market/{path}", **query)
        assert code == 10001
        assert text

    with_server(small_world(), talk)


def test_the_open_interest_is_that_of_the_ticker() -> None:
    async def talk(client: Client) -> None:
        client.server.world.step(2)
        (row,) = (await client.get("/v5/market/open-interest", **PAIR, intervalTime="5min"))["list"]
        (ticker,) = (await client.get("/v5/market/tickers", **PAIR))["list"]
        assert row == {"openInterest": ticker["openInterest"], "timestamp": str(T0 + 35 * MINUTE_MS)}

    with_server(small_world(), talk)


def test_no_news_are_announced() -> None:
    async def talk(client: Client) -> None:
        assert await client.get("/v5/announcements/index", locale="en-US") == {"total": 0, "list": []}

    with_server(small_world(), talk)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v5/asset/transfer/query-account-coins-balance"),
        ("GET", "/v5/asset/deposit/query-record"),
        ("POST", "/v5/asset/withdraw/create"),
        ("GET", "/v5/user/query-sub-members"),
        ("POST", "/v5/account/borrow"),
        ("POST", "/v5/order/disconnected-cancel-all"),
        ("POST", "/v5/order/pre-check"),
        ("GET", "/v5/spot-margin-trade/data"),
        ("GET", "/v5/earn/product"),
        ("POST", "/v5/rfq/create-rfq"),
    ],
)
def test_a_key_for_contracts_may_do_nothing_else(method: str, path: str) -> None:
    async def talk(client: Client) -> None:
        answer = await Signed(client).send(method, path, body="{}" if method == "POST" else "")
        assert (answer["retCode"], answer["result"]) == (10005, {})
        assert "permissions" in answer["retMsg"]

    with_server(Trader().world, talk)


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("account/borrow-history", {"list": [], "nextPageCursor": ""}),
        ("account/collateral-info", {"list": []}),
        ("account/query-dcp-info", {"dcpInfos": []}),
        ("account/smp-group", {"smpGroup": 0}),
        ("position/move-history", {"list": [], "nextPageCursor": ""}),
    ],
)
def test_an_account_that_only_traded_contracts(path: str, result: dict[str, Any]) -> None:
    assert Trader().get(path) == (0, result)


def test_an_account_knows_its_pairs_and_what_could_leave_it() -> None:
    trader = Trader(symbols=(SYMBOL, OTHER))
    own = {"category": "linear"}
    assert [row["symbol"] for row in trader.get("account/instruments-info", **own)[1]["list"]] == [OTHER, SYMBOL]
    (row,) = trader.get("account/instruments-info", **own, symbol=SYMBOL)[1]["list"]
    assert row == trader.world.pairs[SYMBOL].item
    assert trader.get("account/instruments-info", category="spot")[1]["list"] == []
    free = f"{trader.account.available_usdt:g}"
    assert trader.get("account/withdrawal", coinName="USDT,BTC") == (
        0,
        {"availableWithdrawal": free, "availableWithdrawalMap": {"USDT": free, "BTC": "0"}},
    )


@pytest.mark.parametrize("setting", ["set-risk-limit", "set-tpsl-mode"])
def test_settings_of_the_time_before_unified_accounts(setting: str) -> None:
    code, result = Trader().post(f"position/{setting}", riskId=1)
    assert (code, result["text"]) == (100028, "unified account is forbidden")


def test_other_peoples_keys_are_refused_before_that() -> None:
    async def talk(client: Client) -> None:
        answer = await Signed(client, secret="wrong").send("GET", "/v5/asset/deposit/query-record")
        assert answer["retCode"] == 10004

    with_server(Trader().world, talk)
