"""Reading a pair's name as people write it: BTC, btc/usdt, BTCUSDT.P and the like all mean BTCUSDT."""

from __future__ import annotations

import re
from typing import NoReturn

from your_short_trade_margin_call.domain.errors import UnknownPairError

_LONGEST_TEXT = 40
_LONGEST_BASE = 20
_BASE = re.compile(r"[A-Z0-9]*[A-Z][A-Z0-9]*")
_DIGITS = re.compile(r"[0-9]{1,9}")
"""A coin may be named so; but a bare number is a slip, and needs its quote to be taken for one."""
_DATED = re.compile(r"\d{1,2}[A-Z]{3}\d{2}|\d{6}|\d{8}")
_INVERSE_FUTURE = re.compile(r"(?P<base>[A-Z0-9]+)USD[FGHJKMNQUVXZ]\d{2}")
_PERPETUAL_WORDS = {"SWAP", "PERP", "PERPETUAL", "LINEAR"}
_ONLY = "This program trades Bybit's USDT perpetuals only"


def parse_symbol(text: str) -> str:
    """Bybit's name of the USDT perpetual that `text` means.

    Understood, in any case and with blanks around: ``btc``, ``BTCUSDT``, ``BTC/USDT:USDT``, ``BTC/USDT``, ``BTC-USDT``,
    ``BTC_USDT``, ``BTCUSDT.P``, ``BYBIT:BTCUSDT.P``, ``BTC-USDT-SWAP``, ``1000PEPE``.

    Raises:
        UnknownPairError: empty, nonsense, or another kind of contract (inverse, USDC, dated); says which.
    """
    name = text.strip().upper()
    if not name:
        raise UnknownPairError("No pair is named.", "Name one, such as BTCUSDT.")
    if not text.isascii() or len(name) > _LONGEST_TEXT:
        _refuse(text, "is not a pair's name")
    name = name.removeprefix("BYBIT:").removesuffix(".P")
    name, colon, settle = name.partition(":")
    if colon and "/" not in name:
        _refuse_exchange(name, settle, text)
    base, quote = _split(name, text)
    if settle and _DATED.search(settle):
        _refuse(text, "is a dated future", base)
    _check_quote(quote, text, base)
    if colon:
        _check_settle(settle, text, base)
    return _joined(base, text)


def _split(name: str, text: str) -> tuple[str, str]:
    """Base and quote of a name without prefix and settlement coin."""
    parts = re.split(r"[/_-]", name)
    if len(parts) > 1 and _DATED.fullmatch(parts[-1]):
        _refuse(text, "is a dated future", parts[0])
    if len(parts) > 1 and parts[-1] in _PERPETUAL_WORDS:
        parts.pop()
        if len(parts) == 1 and not _ends_in_quote(parts[0]):
            _refuse(text, "is Bybit's USDC perpetual", parts[0])
    if len(parts) == 1:
        return _split_plain(parts[0], text)
    if len(parts) != 2 or not all(parts):
        _refuse(text, "is not a pair's name")
    return parts[0], parts[1]


def _split_plain(name: str, text: str) -> tuple[str, str]:
    """``BTCUSDT`` or ``BTC``; a bare coin is quoted in USDT."""
    if match := _INVERSE_FUTURE.fullmatch(name):
        _refuse(text, "is a dated inverse future", match["base"])
    if len(name) > 4 and name.endswith("PERP"):
        _refuse(text, "is Bybit's USDC perpetual", name[:-4])
    for quote in ("USDT", "USDC", "USD"):
        if len(name) > len(quote) and name.endswith(quote):
            return name[: -len(quote)], quote
    return name, "USDT"


def _ends_in_quote(name: str) -> bool:
    return len(name) > 4 and name.endswith(("USDT", "USDC", "USD"))


def _refuse_exchange(exchange: str, rest: str, text: str) -> NoReturn:
    """``BINANCE:BTCUSDT``: the same coin, but other prices and fees."""
    try:
        base = parse_symbol(rest).removesuffix("USDT")
    except UnknownPairError:
        _refuse(text, "is not a pair's name")
    _refuse(text, f"names another exchange, {exchange[:_LONGEST_BASE]}", base)


def _check_quote(quote: str, text: str, base: str) -> None:
    if quote == "USD":
        _refuse(text, f"is the inverse contract, margined in {base[:_LONGEST_BASE]}", base)
    if quote == "USDC":
        _refuse(text, "is quoted in USDC", base)
    if quote != "USDT":
        _refuse(
            text, f"is quoted in {quote[:_LONGEST_BASE]}" if _BASE.fullmatch(quote) else "is not a pair's name", base
        )


def _check_settle(settle: str, text: str, base: str) -> None:
    if settle != "USDT":
        _refuse(text, "is not settled in USDT" if settle.isalnum() else "is not a pair's name", base)


def _joined(base: str, text: str) -> str:
    is_coin = _BASE.fullmatch(base) or (_DIGITS.fullmatch(base) and "USDT" in text.upper())
    if not is_coin or len(base) > _LONGEST_BASE or base.endswith("USDT"):
        _refuse(text, "is not a pair's name")
    return f"{base}USDT"


def _refuse(text: str, reason: str, base: str = "") -> NoReturn:
    shown = text.strip()[:_LONGEST_TEXT]
    sane = bool(_BASE.fullmatch(base)) and len(base) <= _LONGEST_BASE and not base.endswith("USDT")
    example = f"{base}USDT" if sane else "BTCUSDT"
    raise UnknownPairError(f"{shown!r} {reason}.", f"{_ONLY}: write {example}, for example.")
