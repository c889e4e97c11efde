"""Checks of the outside before any key is used: the endpoint, the clock, the instrument. Pure: facts in, checks out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from your_short_trade_margin_call.domain.checks import Check, failed, passed, warned
from your_short_trade_margin_call.domain.errors import ForbiddenError, ShortestPeakError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.reporting.text import moment

ENDPOINT, CLOCK, INSTRUMENT, TIERS = "endpoint", "clock", "instrument", "risk tiers"

SLOW_ROUND_TRIP_MS = 1_000.0
"""From here on an order is likely to meet another price than the one it was decided on."""

_CLOCK_CURE = (
    "Let the computer set its clock by the network: `timedatectl set-ntp true` on Linux, `w32tm /resync` on Windows, "
    "date and time settings on a Mac."
)


def check_reached(url: str) -> Check:
    """The endpoint answered."""
    return passed(ENDPOINT, f"{url} answers")


def check_not_reached(url: str, error: ShortestPeakError) -> Check:
    """The endpoint did not answer, or not as it should."""
    if isinstance(error, ForbiddenError):
        return failed(
            ENDPOINT,
            f"{url} refuses this address (HTTP 403): rate limit, or Bybit refuses this country",
            "Wait ten minutes. If it stays, Bybit does not serve your country from this address; another endpoint "
            "of Bybit's may (--endpoint).",
        )
    cure = getattr(error, "cure", "") or "Check the network, the address and any proxy, then try again."
    return failed(ENDPOINT, f"{url} cannot be reached: {error.message}", cure)


def check_clock(offset_ms: float, round_trip_ms: float, limit_ms: float, is_look_alike: bool) -> Check:
    """This computer's clock against the server's; `offset_ms` is server minus computer."""
    if is_look_alike:
        return passed(CLOCK, f"a look-alike's own time; round trip {round_trip_ms:,.0f} ms")
    found = f"{abs(offset_ms):,.0f} ms {'behind' if offset_ms > 0 else 'ahead of'} the server, "
    found += f"round trip {round_trip_ms:,.0f} ms"
    if abs(offset_ms) > limit_ms:
        return failed(CLOCK, f"{found}; at most {limit_ms:,.0f} ms", _CLOCK_CURE)
    if round_trip_ms > SLOW_ROUND_TRIP_MS:
        return warned(CLOCK, found, "Orders would arrive late: use a faster connection, or a computer nearer to Bybit.")
    return passed(CLOCK, found)


def check_instrument(item: Mapping[str, Any], instrument: Instrument) -> tuple[Check, ...]:
    """The pair as the exchange describes it: is it traded, is its end announced, are its tiers known?"""
    return _traded(item), check_tiers(instrument)


def check_instrument_unknown(symbol: str, error: ShortestPeakError) -> Check:
    """The exchange does not describe the pair."""
    return failed(INSTRUMENT, f"{symbol}: {error.message}", error.cure or "Name a USDT perpetual that Bybit lists.")


def check_tiers(instrument: Instrument) -> Check:
    """Without the exchange's tiers the liquidation price is a guess."""
    count, source = len(instrument.tiers), instrument.tiers_source
    if source == "exchange":
        return passed(TIERS, f"{count}, up to {instrument.max_leverage:g}x")
    return failed(TIERS, f"{source}, not from the exchange", "Try again: without them no liquidation price is certain.")


def _traded(item: Mapping[str, Any]) -> Check:
    symbol, status = str(item.get("symbol")), str(item.get("status"))
    delivery_ms = _whole(item.get("deliveryTime"))
    if status != "Trading":
        return failed(INSTRUMENT, f"{symbol} has the status {status}, not Trading", "Choose another pair.")
    if delivery_ms:
        return failed(
            INSTRUMENT,
            f"{symbol} is being delisted: its last moment is {moment(delivery_ms)} UTC",
            "Choose another pair, and close what is open in this one.",
        )
    return passed(INSTRUMENT, f"{symbol} is trading")


def _whole(text: object) -> int:
    """A moment in ms as the exchange writes it; 0 for none."""
    digits = str(text or "0")
    return int(digits) if digits.isdigit() else 0
