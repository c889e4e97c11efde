"""How people write a pair, and what is refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from your_short_trade_margin_call.domain.errors import UnknownPairError
from your_short_trade_margin_call.market.symbols import parse_symbol

UNDERSTOOD = {
    "btc": "BTCUSDT",
    "BTC": "BTCUSDT",
    " btcusdt\n": "BTCUSDT",
    "BTCUSDT": "BTCUSDT",
    "BTC/USDT:USDT": "BTCUSDT",
    "BTC/USDT": "BTCUSDT",
    "btc-usdt": "BTCUSDT",
    "BTC_USDT": "BTCUSDT",
    "BTCUSDT.P": "BTCUSDT",
    "btcusdt.p": "BTCUSDT",
    "BYBIT:BTCUSDT.P": "BTCUSDT",
    "bybit:btcusdt": "BTCUSDT",
    "BTC-USDT-SWAP": "BTCUSDT",
    "BTCUSDT-PERP": "BTCUSDT",
    "BTC-USDT-PERP": "BTCUSDT",
    "BTCUSDT-LINEAR": "BTCUSDT",
    "1000PEPE": "1000PEPEUSDT",
    "1000PEPE/USDT:USDT": "1000PEPEUSDT",
    "10000000AIDOGEUSDT": "10000000AIDOGEUSDT",
    "1000000BABYDOGEUSDT": "1000000BABYDOGEUSDT",
    "1INCH": "1INCHUSDT",
    "4USDT": "4USDT",
    "4/USDT:USDT": "4USDT",
    "PERP": "PERPUSDT",
    "PERPUSDT": "PERPUSDT",
    "USDC": "USDCUSDT",
    "USDCUSDT": "USDCUSDT",
    "JUP": "JUPUSDT",
    "XUSDT": "XUSDT",
}

REFUSED = {
    "": "No pair is named",
    "   ": "No pair is named",
    "BTCUSD": "inverse contract, margined in BTC",
    "BTC/USD:BTC": "inverse",
    "BTC-USD-SWAP": "inverse",
    "BTCUSD_PERP": "inverse",
    "BTCPERP": "USDC perpetual",
    "BTC-PERP": "USDC perpetual",
    "BTCUSDC": "quoted in USDC",
    "BTC/USDC:USDC": "quoted in USDC",
    "BTC/EUR": "quoted in EUR",
    "ETH/BTC": "quoted in BTC",
    "BTC/USDT:BTC": "not settled in USDT",
    "BTCUSDT-27JUN25": "dated future",
    "BTC-27JUN25": "dated future",
    "BTC/USDT:USDT-250627": "dated future",
    "BTCUSDM25": "dated inverse future",
    "hello world": "not a pair's name",
    "!!": "not a pair's name",
    "BTC/": "not a pair's name",
    "/USDT": "not a pair's name",
    "USDT": "not a pair's name",
    "USDTUSDT": "not a pair's name",
    "BTCUSDTUSDT": "not a pair's name",
    "BTC/USDT:": "not a pair's name",
    "BTC//USDT": "not a pair's name",
    "A-B-C-D": "not a pair's name",
    "BINANCE:ETHUSDT.P": "names another exchange, BINANCE",
    "BTC:": "not a pair's name",
    ":::": "not a pair's name",
    "1000": "not a pair's name",
    "4": "not a pair's name",
    "1234567890USDT": "not a pair's name",
    "BTC\u200b": "not a pair's name",
    "l\u0131nk": "not a pair's name",
    "\uff22\uff34\uff23": "not a pair's name",
    "B" * 21: "not a pair's name",
    "B" * 500: "not a pair's name",
    "../../etc": "not a pair's name",
    "BTC\x00": "not a pair's name",
}


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_usual_spellings_are_understood(text: str) -> None:
    assert parse_symbol(text) == UNDERSTOOD[text]


@pytest.mark.parametrize("text", REFUSED, ids=repr)
def test_the_rest_is_refused_with_a_reason_and_a_cure(text: str) -> None:
    with pytest.raises(UnknownPairError) as caught:
        parse_symbol(text)
    assert REFUSED[text] in caught.value.message
    assert "BTCUSDT" in caught.value.cure or "USDT" in caught.value.cure
    assert len(str(caught.value)) < 300


def test_the_cure_names_the_pair_that_was_probably_meant() -> None:
    with pytest.raises(UnknownPairError, match="write ETHUSDT"):
        parse_symbol("ETH-PERP")
    with pytest.raises(UnknownPairError, match="write SOLUSDT"):
        parse_symbol("SOL/USD:SOL")
    with pytest.raises(UnknownPairError, match="write ETHUSDT"):
        parse_symbol("BINANCE:ETHUSDT.P")


@given(st.text(max_size=50))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        symbol = parse_symbol(text)
    except UnknownPairError:
        return
    assert symbol.isascii()
    assert symbol.isalnum()
    assert symbol.endswith("USDT")
    assert parse_symbol(symbol) == symbol
