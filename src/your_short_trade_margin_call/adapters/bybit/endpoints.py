"""Where Bybit (or something that speaks like it) answers: one set of addresses an account."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from yarl import URL

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.words import Account

_API_NAME = {Account.PAPER: "api", Account.MAINNET: "api", Account.TESTNET: "api-testnet", Account.DEMO: "api-demo"}
_DEFAULT_DOMAIN = "bybit.com"
_PUBLIC, _PRIVATE, _TRADE = "/v5/public/linear", "/v5/private", "/v5/trade"
_TAKES_ORDERS_BY_STREAM = (Account.MAINNET, Account.TESTNET)
"""Demo accounts take none, and on paper nothing leaves this computer."""
_CURE = "Give an address such as https://api.bybit.com, https://api.bytick.com or http://127.0.0.1:8080."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The addresses of one account.

    `rest` has no path and no slash at its end (``https://api.bybit.com``); the streams are whole addresses
    (``wss://stream.bybit.com/v5/public/linear``); `trade_stream`, for orders, is empty where the account has none.
    `is_loopback`: it answers on this computer.
    """

    account: Account
    rest: str
    public_stream: str
    private_stream: str
    trade_stream: str
    is_loopback: bool


def endpoint_for(account: Account, override: str | None = None) -> Endpoint:
    """The addresses of an account, on Bybit's own domain or on another one of its domains, or on this computer.

    The kind of account stands in the name (``api``, ``api-testnet``, ``api-demo``), so an address of another kind is
    refused: the safeguards of one kind of account never meet the money of another.

    Args:
        account: whose money is at stake; paper reads mainnet's public data.
        override: another address, such as ``https://api.bytick.com`` or ``http://127.0.0.1:8080``.

    Raises:
        SettingError: the address is unreadable, not encrypted outside this computer, or belongs to another kind.
    """
    if not override:
        return _on_domain(account, _DEFAULT_DOMAIN, "")
    url = _parsed(override)
    host = url.host or ""
    port = f":{url.explicit_port}" if url.explicit_port else ""
    if is_loopback(host):
        return _on_this_computer(account, url, port)
    if url.scheme != "https":
        raise SettingError(f"{override} is not encrypted.", "Use https; plain http only reaches this computer.")
    name, _, domain = host.partition(".")
    if name != _API_NAME[account] or "." not in domain:
        raise SettingError(
            f"{override} is no address of a {account} account.",
            f"Its name must begin with {_API_NAME[account]}, as {_API_NAME[account]}.{_DEFAULT_DOMAIN} does.",
        )
    return _on_domain(account, domain, port)


def is_loopback(host: str) -> bool:
    """Whether a host is this computer: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parsed(override: str) -> URL:
    try:
        url = URL(override.strip())
        readable = url.scheme in ("http", "https") and bool(url.host) and (url.port or 0) > 0
    except ValueError:
        readable, url = False, URL()
    if not readable or url.user or url.password or url.path not in ("", "/") or url.query_string or url.fragment:
        raise SettingError("The address of the exchange cannot be read.", _CURE)
    return url


def _on_domain(account: Account, domain: str, port: str) -> Endpoint:
    api = _API_NAME[account]
    public = api.replace("demo", "").rstrip("-")  # demo accounts trade on mainnet's prices
    private_host = f"wss://{api.replace('api', 'stream')}.{domain}{port}"
    return Endpoint(
        account=account,
        rest=f"https://{api}.{domain}{port}",
        public_stream=f"wss://{public.replace('api', 'stream')}.{domain}{port}{_PUBLIC}",
        private_stream=f"{private_host}{_PRIVATE}",
        trade_stream=f"{private_host}{_TRADE}" if account in _TAKES_ORDERS_BY_STREAM else "",
        is_loopback=False,
    )


def _on_this_computer(account: Account, url: URL, port: str) -> Endpoint:
    host = url.host or ""
    place = f"[{host}]{port}" if ":" in host else f"{host}{port}"
    stream = f"{'wss' if url.scheme == 'https' else 'ws'}://{place}"
    return Endpoint(
        account=account,
        rest=f"{url.scheme}://{place}",
        public_stream=stream + _PUBLIC,
        private_stream=stream + _PRIVATE,
        trade_stream=stream + _TRADE if account in _TAKES_ORDERS_BY_STREAM else "",
        is_loopback=True,
    )
