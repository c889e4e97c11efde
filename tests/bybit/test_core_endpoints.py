"""Addresses: one kind of account never meets another kind's, and only this computer is talked to in the clear."""

from __future__ import annotations

import pytest

from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for
from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.words import Account


@pytest.mark.parametrize(
    ("account", "override", "rest", "public", "private"),
    [
        (Account.PAPER, None, "https://api.bybit.com", "wss://stream.bybit.com", "wss://stream.bybit.com"),
        (Account.MAINNET, "", "https://api.bybit.com", "wss://stream.bybit.com", "wss://stream.bybit.com"),
        (
            Account.TESTNET,
            None,
            "https://api-testnet.bybit.com",
            "wss://stream-testnet.bybit.com",
            "wss://stream-testnet.bybit.com",
        ),
        (Account.DEMO, None, "https://api-demo.bybit.com", "wss://stream.bybit.com", "wss://stream-demo.bybit.com"),
        (
            Account.MAINNET,
            "https://api.bytick.com/",
            "https://api.bytick.com",
            "wss://stream.bytick.com",
            "wss://stream.bytick.com",
        ),
        (
            Account.DEMO,
            "https://api-demo.bytick.com",
            "https://api-demo.bytick.com",
            "wss://stream.bytick.com",
            "wss://stream-demo.bytick.com",
        ),
        (
            Account.MAINNET,
            "https://api.bybit.eu:8443",
            "https://api.bybit.eu:8443",
            "wss://stream.bybit.eu:8443",
            "wss://stream.bybit.eu:8443",
        ),
    ],
)
def test_addresses_on_the_network(account: Account, override: str | None, rest: str, public: str, private: str) -> None:
    endpoint = endpoint_for(account, override)
    assert endpoint.account is account
    assert endpoint.rest == rest
    assert endpoint.public_stream == f"{public}/v5/public/linear"
    assert endpoint.private_stream == f"{private}/v5/private"
    assert not endpoint.is_loopback


@pytest.mark.parametrize("account", list(Account))
@pytest.mark.parametrize(
    ("override", "stream"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080"),
        ("http://127.8.9.1:80", "ws://127.8.9.1:80"),
        ("http://localhost:8080/", "ws://localhost:8080"),
        ("http://[::1]:8080", "ws://[::1]:8080"),
        ("https://127.0.0.1:8443", "wss://127.0.0.1:8443"),
    ],
)
def test_any_account_may_live_on_this_computer(account: Account, override: str, stream: str) -> None:
    endpoint = endpoint_for(account, override)
    assert endpoint.is_loopback
    assert endpoint.rest == override.rstrip("/")
    assert endpoint.public_stream == f"{stream}/v5/public/linear"
    assert endpoint.private_stream == f"{stream}/v5/private"


@pytest.mark.parametrize(
    ("account", "override", "says"),
    [
        (Account.MAINNET, "http://api.bybit.com", "not encrypted"),
        (Account.MAINNET, "http://192.168.1.5:8080", "not encrypted"),
        (Account.MAINNET, "http://127.0.0.1.evil.example", "not encrypted"),
        (Account.MAINNET, "http://localhost.evil.example", "not encrypted"),
        (Account.MAINNET, "https://api-testnet.bybit.com", "no address of a mainnet"),
        (Account.TESTNET, "https://api.bybit.com", "no address of a testnet"),
        (Account.DEMO, "https://api.bybit.com", "no address of a demo"),
        (Account.PAPER, "https://example.org", "no address of a paper"),
        (Account.PAPER, "https://api.localhost", "no address"),
        (Account.PAPER, "api.bybit.com", "cannot be read"),
        (Account.PAPER, "ftp://api.bybit.com", "cannot be read"),
        (Account.PAPER, "https://user:pass@api.bybit.com", "cannot be read"),
        (Account.PAPER, "https://api.bybit.com/v5", "cannot be read"),
        (Account.PAPER, "https://api.bybit.com?x=1", "cannot be read"),
        (Account.PAPER, "https://", "cannot be read"),
        (Account.PAPER, "http://127.0.0.1:99999", "cannot be read"),
        (Account.PAPER, "http://127.0.0.1:0", "cannot be read"),
    ],
)
def test_other_addresses_are_refused_with_a_cure(account: Account, override: str, says: str) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        endpoint_for(account, override)
    assert caught.value.cure
    assert "pass@" not in str(caught.value)
