"""Bybit's decimal strings as whole ticks and lots, and back: exact, never through a binary fraction on the way out."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.rules import grid
from your_short_trade_margin_call.rules.interpreted import uncompiled

snap = uncompiled(grid.snap)

_TOLERANCE = Decimal("1e-9")
"""A number within this many steps of a step is on it (DESIGN 7)."""

_SMALLEST, _LARGEST = -30, 24
"""Powers of ten between which every number of a market lies; beyond them arithmetic would take for ever."""


def decimal_of(text: str) -> Decimal | None:
    """A decimal string as an exact number; None for an empty string, which is how Bybit says "none".

    Raises:
        ExchangeError: it is no finite number.
    """
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or (number and not _SMALLEST <= number.adjusted() <= _LARGEST):
        raise ExchangeError(f"Bybit sent {text[:40]!r} where a number belongs.", "Try again; if it stays, report it.")
    return number


def float_of(text: str, default: float = 0.0) -> float:
    """A decimal string as a float; `default` for an empty string.

    Raises:
        ExchangeError: it is no finite number.
    """
    number = decimal_of(text)
    return default if number is None else float(number)


def int_of(text: str, default: int = 0) -> int:
    """A whole number, such as a time in milliseconds; `default` for an empty string.

    Raises:
        ExchangeError: it is no whole number.
    """
    number = decimal_of(text)
    if number is None:
        return default
    if number != int(number):
        raise ExchangeError(f"Bybit sent {text[:40]!r} where a whole number belongs.", "Try again.")
    return int(number)


def plain(number: Decimal) -> str:
    """A number without an exponent and without zeros at its end: ``0.00001``, ``500``."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Grid:
    """One instrument's grid of prices and quantities."""

    __slots__ = ("_qty_step", "_tick", "_tick_float")

    def __init__(self, instrument: Instrument) -> None:
        self._tick = instrument.tick_size
        self._qty_step = instrument.qty_step
        self._tick_float = float(instrument.tick_size)

    def ticks(self, text: str) -> float:
        """A price in ticks, as the rules see recorded prices: on a tick when within 1e-9 of it, else between two.

        Raises:
            ExchangeError: it is no number, or empty.
        """
        number = decimal_of(text)
        if number is None:
            raise ExchangeError("Bybit sent no price where one belongs.", "Try again; if it stays, report it.")
        return float(snap(float(number) / self._tick_float))

    def whole_ticks(self, text: str) -> int | None:
        """A price in whole ticks; None when there is none (empty) or it lies between two ticks.

        Raises:
            ExchangeError: it is no number.
        """
        number = decimal_of(text)
        return None if number is None else _whole(number / self._tick)

    def price_text(self, ticks: int) -> str:
        """`ticks` as the exact decimal string of a price."""
        return plain(ticks * self._tick)

    def lots(self, text: str) -> int:
        """A quantity in lots; an empty string is 0.

        Raises:
            ExchangeError: it is no number, or no whole number of lots.
        """
        number = decimal_of(text) or Decimal(0)
        lots = _whole(number / self._qty_step)
        if lots is None:
            raise ExchangeError(
                f"Bybit sent the quantity {text[:40]}, which is no multiple of {self._qty_step}.",
                "The pair's lot size may have changed: start again, so that it is read anew.",
            )
        return lots

    def qty_text(self, lots: int) -> str:
        """`lots` as the exact decimal string of a quantity."""
        return plain(lots * self._qty_step)


def _whole(steps: Decimal) -> int | None:
    nearest = steps.to_integral_value()
    return int(nearest) if abs(steps - nearest) <= _TOLERANCE else None
