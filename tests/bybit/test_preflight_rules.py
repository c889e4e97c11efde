"""How the answers before trading are judged: rows in, checks out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from your_short_trade_margin_call.adapters.bybit import preflight_account as of_account
from your_short_trade_margin_call.adapters.bybit import preflight_market as of_market
from your_short_trade_margin_call.adapters.bybit.preflight_account import Ours
from your_short_trade_margin_call.adapters.bybit.wire import (
    AccountInfo,
    ApiKeyInfo,
    FeeRateRow,
    OrderRow,
    PositionRow,
    Wallet,
)
from your_short_trade_margin_call.domain.checks import Check, CheckStatus
from your_short_trade_margin_call.domain.errors import ExchangeError, ForbiddenError, KeyRefusedError
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.market.instruments import find_instrument

PASS, WARN, FAIL = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL
NOW = 1_750_000_000_000
DAY = 86_400_000
TRADES = {"ContractTrade": ["Order", "Position"], "Spot": []}


def key(**fields: Any) -> ApiKeyInfo:
    usual = {"readOnly": 0, "permissions": TRADES, "ips": ["203.0.113.7"], "isMaster": False, "uta": 1}
    return msgspec.convert({**usual, "expiredAt": "1970-01-01T00:00:00Z", **fields}, ApiKeyInfo)


def position(**fields: Any) -> PositionRow:
    usual = {"symbol": "BTCUSDT", "side": "Sell", "size": "0.021", "positionIdx": 0, "leverage": "3"}
    return msgspec.convert({**usual, **fields}, PositionRow)


def order(**fields: Any) -> OrderRow:
    usual = {"orderId": "a", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.021", "orderStatus": "New"}
    return msgspec.convert({**usual, "orderType": "Limit", **fields}, OrderRow)


def stands(check: Check, status: CheckStatus, *said: str) -> bool:
    """Whether a check ended so and says these words; one that needs something done says what."""
    text = f"{check.found} {check.cure}"
    missing = [word for word in said if word not in text]
    assert not missing, f"{missing} not in: {text}"
    assert bool(check.cure) == (check.status is not PASS)
    return check.status is status


# ---- the market ----------------------------------------------------------------------------------


def test_an_endpoint_that_refuses_this_address_is_told_apart() -> None:
    url = "https://api.bybit.com"
    assert stands(of_market.check_reached(url), PASS, url)
    forbidden = of_market.check_not_reached(url, ForbiddenError("HTTP 403"))
    assert stands(forbidden, FAIL, "rate limit, or Bybit refuses this country")
    assert stands(of_market.check_not_reached(url, ExchangeError("refused", "Look.")), FAIL, "refused", "Look.")
    assert stands(of_market.check_not_reached(url, ExchangeError("refused")), FAIL, "Check the network")


@pytest.mark.parametrize(
    ("offset_ms", "trip_ms", "look_alike", "status"),
    [
        (0, 20, False, PASS),
        (500, 20, False, PASS),
        (501, 20, False, FAIL),
        (-501, 20, False, FAIL),
        (3, 1_500, False, WARN),
        (-9e10, 1, True, PASS),
    ],
)
def test_a_clock_may_be_half_a_second_off(
    offset_ms: float, trip_ms: float, look_alike: bool, status: CheckStatus
) -> None:
    assert stands(of_market.check_clock(offset_ms, trip_ms, 500, look_alike), status, "round trip")


def test_a_clock_that_is_late_is_said_to_be_late() -> None:
    assert "700 ms behind the server" in of_market.check_clock(700, 20, 500, False).found
    assert "700 ms ahead of the server" in of_market.check_clock(-700, 20, 500, False).found


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, PASS, "is trading"),
        ({"status": "Closed"}, FAIL, "status Closed"),
        ({"deliveryTime": str(NOW)}, FAIL, "delisted"),
        ({"deliveryTime": ""}, PASS, "is trading"),
    ],
)
def test_a_pair_must_be_trading_and_stay(fields: dict[str, str], status: CheckStatus, said: str) -> None:
    instrument = replace(find_instrument("BTCUSDT"), tiers_source="exchange")
    item = {"symbol": "BTCUSDT", "status": "Trading", "deliveryTime": "0", **fields}
    traded, tiers = of_market.check_instrument(item, instrument)
    assert stands(traded, status, said)
    assert stands(tiers, PASS, "100x")


def test_tiers_must_be_the_exchange_s() -> None:
    assert stands(of_market.check_tiers(find_instrument("BTCUSDT")), FAIL, "not from the exchange")


# ---- the key -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, PASS, "no withdrawals"),
        ({"permissions": {**TRADES, "Wallet": ["AccountTransfer", "Withdraw"]}}, FAIL, "Wallet: Withdraw"),
        ({"permissions": {**TRADES, "Odd": ["withdraw_all"]}, "readOnly": 1}, FAIL, "withdraw_all"),
        ({"readOnly": 1}, FAIL, "only reads"),
        ({"permissions": {"ContractTrade": ["Order"]}}, FAIL, "Contract Position missing"),
        ({"permissions": {}}, FAIL, "Order and Position"),
    ],
)
def test_what_a_key_may_do(fields: dict[str, Any], status: CheckStatus, said: str) -> None:
    assert stands(of_account.check_permissions(key(**fields)), status, said)


@pytest.mark.parametrize(("ips", "status"), [(["203.0.113.7"], PASS), ([], WARN), (["*"], WARN), ([""], WARN)])
def test_a_key_should_be_bound_to_an_address(ips: list[str], status: CheckStatus) -> None:
    assert stands(of_account.check_binding(key(ips=ips)), status)


@pytest.mark.parametrize(
    ("expired_at", "status", "said"),
    [
        ("1970-01-01T00:00:00Z", PASS, "none"),
        ("", PASS, "none"),
        ("2025-06-29T15:06:41Z", PASS, "14 days"),
        ("2025-06-29T15:06:39Z", WARN, "13 days"),
        ("2025-06-14T00:00:00Z", FAIL, "ended"),
    ],
)
def test_a_key_that_ends_soon(expired_at: str, status: CheckStatus, said: str) -> None:
    assert stands(of_account.check_expiry(key(expiredAt=expired_at), NOW), status, said)


@pytest.mark.parametrize(
    ("is_master", "account", "status"),
    [
        (False, Account.MAINNET, PASS),
        (True, Account.MAINNET, WARN),
        (None, Account.TESTNET, WARN),
        (True, Account.DEMO, PASS),
    ],
)
def test_an_account_of_its_own(is_master: bool | None, account: Account, status: CheckStatus) -> None:
    assert stands(of_account.check_own_account(key(isMaster=is_master), account), status)


def test_a_refused_key_may_be_of_another_kind_of_account() -> None:
    check = of_account.check_key_refused(Account.DEMO, KeyRefusedError("API key is invalid. (code 10003)", "New one."))
    assert stands(check, FAIL, "10003", "BYBIT_DEMO_API_KEY", "never interchangeable", "New one.")


# ---- the account ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "uta", "ends"), [(5, 1, PASS), (6, 1, PASS), (4, 1, FAIL), (1, 0, FAIL), (5, 0, FAIL)]
)
def test_the_account_must_be_unified(status: int, uta: int, ends: CheckStatus) -> None:
    info = AccountInfo(margin_mode="ISOLATED_MARGIN", unified_margin_status=status)
    assert stands(of_account.check_unified(info, key(uta=uta)), ends)


@pytest.mark.parametrize(
    ("mode", "status", "said"),
    [
        ("ISOLATED_MARGIN", PASS, "isolated"),
        ("REGULAR_MARGIN", FAIL, "cross"),
        ("PORTFOLIO_MARGIN", FAIL, "portfolio"),
        ("", FAIL, "never switches it"),
    ],
)
def test_margin_must_be_isolated_already(mode: str, status: CheckStatus, said: str) -> None:
    info = AccountInfo(margin_mode=mode, unified_margin_status=5)
    assert stands(of_account.check_margin_mode(info), status, said)


def test_one_way_mode() -> None:
    assert stands(of_account.check_position_mode([position()]), PASS)
    assert stands(of_account.check_position_mode([]), PASS)
    hedged = [position(positionIdx=1), position(positionIdx=2, symbol="ETHUSDT")]
    assert stands(of_account.check_position_mode(hedged), FAIL, "hedge", "never switches it")


@pytest.mark.parametrize(
    ("held", "needed", "is_first", "status"),
    [
        ("100", 100.0, True, PASS),
        ("99.98", 100.0, True, FAIL),
        ("99.98", 100.0, False, WARN),
        ("", 100.0, True, FAIL),
    ],
)
def test_the_wallet_holds_the_capital(held: str, needed: float, is_first: bool, status: CheckStatus) -> None:
    wallet = msgspec.convert({"coin": [{"coin": "USDT", "walletBalance": held}, {"coin": "BTC", "walletBalance": "9"}]},
                             Wallet)  # fmt: skip
    assert stands(of_account.check_wallet([wallet], needed, is_first), status, "needed 100.00 USDT")
    assert stands(of_account.check_wallet([], 1.0, True), FAIL)


# ---- what is open --------------------------------------------------------------------------------

HOLDS = Ours(quantity=0.021, link_ids=frozenset({"BTCUSDT-1-T0"}), is_first=False)


@pytest.mark.parametrize(
    ("row", "ours", "status", "said"),
    [
        (position(size="0", side=""), Ours(), PASS, "none"),
        (position(), Ours(), FAIL, "BTCUSDT Sell 0.021"),
        (position(), HOLDS, PASS, "as the journal says"),
        (position(size="0.022"), HOLDS, FAIL, "0.022"),
        (position(size="0.02"), HOLDS, PASS, "0.021 by the journal"),
        (position(size="0.022"), replace(HOLDS, unbooked=0.001), PASS, "0.021 by the journal"),
        (position(size="0.023"), replace(HOLDS, unbooked=0.001), FAIL, "0.023"),
        (position(side="Buy"), HOLDS, FAIL, "BTCUSDT Buy"),
        (position(symbol="ETHUSDT"), HOLDS, FAIL, "ETHUSDT Sell"),
        (position(), Ours(may_be_entering=True), PASS, "0.021"),
    ],
)
def test_foreign_positions(row: PositionRow, ours: Ours, status: CheckStatus, said: str) -> None:
    assert stands(of_account.check_positions([row], "BTCUSDT", ours), status, said)


@pytest.mark.parametrize(
    ("row", "ours", "status", "said"),
    [
        (order(orderLinkId="BTCUSDT-1-T0"), HOLDS, PASS, "1 order"),
        (order(orderLinkId="BTCUSDT-1-T0"), Ours(), FAIL, "another journal of this program"),
        (order(orderLinkId="mine"), HOLDS, FAIL, "BTCUSDT Buy 0.021 Limit"),
        (order(), HOLDS, FAIL, "Limit"),
        (order(stopOrderType="StopLoss"), HOLDS, PASS, "1 order"),
        (order(stopOrderType="StopLoss"), Ours(), FAIL, "BTCUSDT Buy 0.021 StopLoss"),
        (order(symbol="ETHUSDT", stopOrderType="StopLoss"), HOLDS, FAIL, "ETHUSDT"),
    ],
)
def test_foreign_orders(row: OrderRow, ours: Ours, status: CheckStatus, said: str) -> None:
    assert stands(of_account.check_orders([row], "BTCUSDT", ours), status, said)


def test_without_orders() -> None:
    assert stands(of_account.check_orders([], "BTCUSDT", Ours()), PASS, "none in any market")


# ---- leverage and fees ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "will_be_set", "is_open", "status", "said"),
    [
        ("3", False, False, PASS, "3x"),
        ("3.00", True, False, PASS, "3x"),
        ("10", True, False, PASS, "trading sets it to 3x"),
        ("10", False, False, FAIL, "after it was set"),
        ("10", False, True, PASS, "while a position is open"),
        ("", False, False, FAIL, "not told"),
    ],
)
def test_leverage(shown: str, will_be_set: bool, is_open: bool, status: CheckStatus, said: str) -> None:
    assert stands(of_account.check_leverage(shown, 3.0, will_be_set, is_open), status, said)


def test_fees() -> None:
    def fees(taker: str) -> FeeRateRow:
        return FeeRateRow("BTCUSDT", taker, "0.0002")

    assert stands(of_account.check_fees(fees("0.00055"), 0.00055, 0.0002), PASS, "taker 0.055 %")
    other = of_account.check_fees(fees("0.000649"), 0.00055, 0.0002)
    assert stands(other, PASS, "taker 0.0649 %", "instead of the settings' taker 0.055 %")
    assert stands(of_account.check_fees(None, 0.00055, 0.0002), WARN, "does not tell")
