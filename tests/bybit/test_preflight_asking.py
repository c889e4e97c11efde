"""Which questions the checks ask, in which order, and what they do when an answer does not come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec
import pytest

from your_short_trade_margin_call.adapters.bybit.preflight import (
    ClockFacts,
    Findings,
    Terms,
    ensure_leverage,
    preflight,
)
from your_short_trade_margin_call.adapters.bybit.preflight_account import Ours
from your_short_trade_margin_call.domain.checks import Check, CheckStatus, failures
from your_short_trade_margin_call.domain.errors import (
    ExchangeError,
    KeyRefusedError,
    OrderRefusedError,
    UnknownPairError,
)
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.settings import Settings

T = TypeVar("T")
URL = "https://api.bybit.com"
KEY = {"readOnly": 0, "permissions": {"ContractTrade": ["Order", "Position"]}, "ips": ["203.0.113.7"], "uta": 1,
       "isMaster": False}  # fmt: skip
FLAT = {"symbol": "BTCUSDT", "side": "", "size": "0", "positionIdx": 0, "leverage": "3"}


@dataclass
class FakeRest:
    """Answers by path; an error is raised, a list is given out page by page."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def sync_clock(self) -> None:
        self._given("/v5/market/time")

    async def get(self, path: str, params: Any, kind: type[T], *, signed: bool = False) -> T:
        assert signed
        self.asked.append((path, dict(params)))
        return msgspec.convert(self._given(path, params), kind)

    async def post(self, path: str, body: dict[str, object], kind: type[T], *, is_exit: bool) -> T:
        self.posted.append((path, body))
        self.answers["leverage"] = body["sellLeverage"]
        return msgspec.convert(self._given(path), kind)

    def _given(self, path: str, params: dict[str, Any] | None = None) -> Any:
        answer = self.answers.get(path, USUAL.get(path, {}))
        if isinstance(answer, Exception):
            raise answer
        if path == "/v5/position/list" and params and "symbol" in params:
            return {"list": [{**FLAT, "leverage": self.answers.get("leverage", "3"), **self.answers.get("own", {})}]}
        if isinstance(answer, list):
            page = int((params or {}).get("cursor", 0))
            more = str(page + 1) if page + 1 < len(answer) else ""
            return {"list": answer[page], "nextPageCursor": more}
        return answer

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


USUAL: dict[str, Any] = {
    "/v5/user/query-api": KEY,
    "/v5/account/info": {"marginMode": "ISOLATED_MARGIN", "unifiedMarginStatus": 5},
    "/v5/account/wallet-balance": {"list": [{"coin": [{"coin": "USDT", "walletBalance": "500"}]}]},
    "/v5/position/list": [[]],
    "/v5/order/realtime": [[]],
    "/v5/account/fee-rate": {"list": [{"symbol": "BTCUSDT", "takerFeeRate": "0.001", "makerFeeRate": "0.0004"}]},
}


@dataclass
class FakeMarket:
    error: Exception | None = None

    async def instrument(self, symbol: str) -> tuple[Instrument, dict[str, Any]]:
        if self.error is not None:
            raise self.error
        found = replace(find_instrument(symbol), tiers_source="exchange")
        return found, {"symbol": symbol, "status": "Trading", "deliveryTime": "0"}


CLOCK = ClockFacts(lambda: 1_750_000_000_000, lambda: 3.0, lambda: 20.0, 500.0, is_look_alike=False)
TERMS = Terms(Account.MAINNET, "BTCUSDT", Settings(), needed_usdt=472.0, leverage=3.0)


def ask(rest: FakeRest, terms: Terms = TERMS, market: FakeMarket | None = None, has_keys: bool = True) -> Findings:
    return asyncio.run(preflight(URL, rest, market or FakeMarket(), CLOCK, terms, has_keys=has_keys))


def named(findings: Findings, name: str) -> Check:
    return next(check for check in findings.checks if check.name == name)


def test_all_is_asked_and_all_is_well() -> None:
    rest = FakeRest()
    findings = ask(rest)
    assert failures(findings.checks) == ()
    names = [check.name for check in findings.checks]
    assert names == ["endpoint", "clock", "instrument", "risk tiers", "key", "permissions", "IP binding", "expiry",
                     "own account", "unified", "margin mode", "wallet", "position mode", "positions", "orders",
                     "leverage", "fees"]  # fmt: skip
    assert rest.posted == []


def test_without_keys_only_the_market_is_asked() -> None:
    rest = FakeRest()
    assert [check.name for check in ask(rest, has_keys=False).checks] == [
        "endpoint",
        "clock",
        "instrument",
        "risk tiers",
    ]
    assert rest.asked == []


def test_an_exchange_that_is_silent_is_asked_nothing_more() -> None:
    rest = FakeRest({"/v5/market/time": ExchangeError("no route", "Look.")})
    findings = ask(rest)
    assert not findings.is_reached
    assert [check.name for check in findings.checks] == ["endpoint"]
    assert rest.asked == []


def test_a_refused_key_ends_the_questions() -> None:
    rest = FakeRest({"/v5/user/query-api": KeyRefusedError("API key is invalid.", "Make a new one.")})
    findings = ask(rest)
    assert findings.is_reached
    assert [check.name for check in failures(findings.checks)] == ["key"]
    assert rest.paths() == ["/v5/user/query-api"]


def test_an_unknown_pair_fails_its_check_and_no_other() -> None:
    findings = ask(FakeRest(), market=FakeMarket(UnknownPairError("There is no XUSDT.", "Did you mean XRPUSDT?")))
    assert [check.name for check in failures(findings.checks)] == ["instrument"]


def test_what_is_not_told_fails_its_own_check() -> None:
    error = ExchangeError("server error", "Try again.")
    paths = {"/v5/account/info": "margin mode", "/v5/account/wallet-balance": "wallet",
             "/v5/order/realtime": "positions", "/v5/account/fee-rate": "fees"}  # fmt: skip
    for path, name in paths.items():
        findings = ask(FakeRest({path: error}))
        assert [check.name for check in failures(findings.checks)] == [name], path
        assert "server error" in named(findings, name).found


# ---- what is open --------------------------------------------------------------------------------


def test_every_market_of_the_account_is_looked_at() -> None:
    """A unified account may hold USDC and inverse contracts, options and spot orders too."""
    rest = FakeRest()
    ask(rest)
    markets = {(path.rpartition("/")[2], query.get("category"), query.get("settleCoin")) for path, query in rest.asked}
    for category, coin in (("linear", "USDT"), ("linear", "USDC"), ("inverse", None), ("option", None)):
        assert {("list", category, coin), ("realtime", category, coin)} <= markets
    assert ("realtime", "spot", None) in markets


def test_every_page_of_positions_and_orders_is_read() -> None:
    foreign = {**FLAT, "symbol": "ETHUSDT", "side": "Buy", "size": "1"}
    row = {"orderId": "a", "symbol": "SOLUSDT", "side": "Buy", "qty": "1", "orderStatus": "New", "orderType": "Limit"}
    ours = {**FLAT, "side": "Sell", "size": "0.02"}
    rest = FakeRest(
        {"/v5/position/list": [[ours], [foreign]], "/v5/order/realtime": [[row], [{**row, "orderId": "b"}]]}
    )
    findings = ask(rest, replace(TERMS, ours=Ours(quantity=0.02)))
    assert named(findings, "positions").found == "not this program's: ETHUSDT Buy 1"
    assert named(findings, "orders").found.count("SOLUSDT Buy 1 Limit") == 2
    filters = [params["orderFilter"] for path, params in rest.asked if path == "/v5/order/realtime"]
    assert filters == ["Order", "Order", "StopOrder", "StopOrder"] * 5


# ---- leverage ------------------------------------------------------------------------------------


def ensured(rest: FakeRest, wanted: float = 3.0) -> Check:
    return asyncio.run(ensure_leverage(rest, "BTCUSDT", wanted))


def test_leverage_is_set_and_read_back_only_before_trading() -> None:
    rest = FakeRest({"leverage": "10"})
    assert named(ask(rest), "leverage").found == "10x; trading sets it to 3x"
    assert rest.posted == []
    assert ensured(rest).found == "3x"
    body = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "3", "sellLeverage": "3"}
    assert rest.posted == [("/v5/position/set-leverage", body)]
    assert ensured(rest).found == "3x"
    assert len(rest.posted) == 1, "what fits is left alone"


def test_leverage_is_not_above_the_instrument_s() -> None:
    assert "to 100x" in named(ask(FakeRest(), replace(TERMS, leverage=150.0)), "leverage").found


def test_leverage_is_left_alone_under_a_position() -> None:
    rest = FakeRest({"own": {"side": "Sell", "size": "0.02"}, "leverage": "10"})
    assert "while a position is open" in ensured(rest).found
    assert rest.posted == []


def test_leverage_that_cannot_be_set_is_an_error() -> None:
    rest = FakeRest({"leverage": "10", "/v5/position/set-leverage": OrderRefusedError("risk limit (code 110013)")})
    with pytest.raises(OrderRefusedError):
        ensured(rest, 4.25)
    assert rest.posted[0][1]["buyLeverage"] == "4.25"


# ---- fees ----------------------------------------------------------------------------------------


def test_the_account_s_fees_replace_those_of_the_settings() -> None:
    settings = ask(FakeRest()).settings(Settings())
    assert (settings.taker_fee_rate, settings.maker_fee_rate) == (0.001, 0.0004)


def test_a_demo_account_does_not_tell_its_fees() -> None:
    rest = FakeRest({"/v5/account/fee-rate": ExchangeError("parameter error (code 10001)")})
    findings = ask(rest, replace(TERMS, account=Account.DEMO))
    assert named(findings, "fees").status is CheckStatus.WARN
    assert findings.settings(Settings()) == Settings()
