"""Instruments in Bybit's own shapes: parsed, read from a file, or taken from the small table of the package."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from your_short_trade_margin_call.domain.errors import BadInputError, UnknownPairError
from your_short_trade_margin_call.domain.instrument import Instrument, RiskTier
from your_short_trade_margin_call.market.symbols import parse_symbol

ASSUMED = "assumed"
"""`tiers_source` of an instrument whose tiers nobody gave: MMR 0.005 and no deduction, without limit."""

FILE_SHAPE = '{"instrument": one item of Bybit\'s instruments-info, "risk_limit": its tiers, or null}'
"""What a file for `--instrument` looks like."""

_ASSUMED_MMR = 0.005
_NO_LIMIT_USDT = 1e18
_CURE = "Give the answer of Bybit's /v5/market/instruments-info and /v5/market/risk-limit unchanged."


def parse_instrument(
    item: Mapping[str, Any], risk_limit: Sequence[Mapping[str, Any]] | None, source: str
) -> Instrument:
    """One instrument from one item of instruments-info and its rows of risk-limit, numbers as decimal strings.

    `source` (`exchange`, `file`, `package`) tells where they come from. Without tiers, `tiers_source` is `assumed`.
    An instrument that is not `Trading`, or has a delivery date, is not trading.

    Raises:
        BadInputError: a field is missing or makes no sense; says which.
    """
    symbol = _perpetual(item)
    lots = _section(item, "lotSizeFilter", symbol)
    max_leverage = float(_positive(_section(item, "leverageFilter", symbol), "maxLeverage", symbol))
    tiers = parse_tiers(risk_limit, symbol) if risk_limit else (assumed_tier(max_leverage),)
    minimum, step = _positive(lots, "minOrderQty", symbol), _positive(lots, "qtyStep", symbol)
    largest = _positive(lots, "maxMktOrderQty", symbol)
    if largest < minimum:
        raise _bad(symbol, "maxMktOrderQty", largest, "is below minOrderQty")
    return Instrument(
        symbol=symbol,
        tick_size=_positive(_section(item, "priceFilter", symbol), "tickSize", symbol),
        qty_step=step,
        min_order_qty=minimum,
        max_market_order_qty=largest,
        min_notional_usdt=float(_positive(lots, "minNotionalValue", symbol)),
        max_leverage=max_leverage,
        tiers=tiers,
        tiers_source=source if risk_limit else ASSUMED,
        is_trading=item.get("status", "Trading") == "Trading" and str(item.get("deliveryTime") or "0") == "0",
        funding_interval_minutes=_whole_minutes(item, symbol),
        source=source,
    )


def parse_tiers(rows: Sequence[Mapping[str, Any]], symbol: str) -> tuple[RiskTier, ...]:
    """Risk tiers from rows of risk-limit, lowest first; rows of other pairs are left out.

    Raises:
        BadInputError: a number makes no sense, or the tiers do not rise.
    """
    own = [row for row in _rows(rows, symbol) if row.get("symbol", symbol) == symbol]
    if not own:
        raise BadInputError(f"The risk_limit rows are not about {symbol}.", _CURE)
    tiers = tuple(sorted((_tier(row, symbol) for row in own), key=lambda tier: tier.limit_usdt))
    for lower, upper in pairwise(tiers):
        if upper.limit_usdt == lower.limit_usdt:
            raise _bad(symbol, "riskLimitValue", upper.limit_usdt, "occurs twice")
        if upper.maintenance_margin_rate < lower.maintenance_margin_rate:
            raise _bad(symbol, "maintenanceMargin", upper.maintenance_margin_rate, "is below that of a lower tier")
        if upper.deduction_usdt < lower.deduction_usdt:
            raise _bad(symbol, "mmDeduction", upper.deduction_usdt, "is below that of a lower tier")
    return tiers


def assumed_tier(max_leverage: float) -> RiskTier:
    """The one tier of an instrument whose tiers are unknown."""
    return RiskTier(_NO_LIMIT_USDT, _ASSUMED_MMR, max_leverage, 0.0)


def read_instrument_file(path: str | Path, symbol: str) -> Instrument:
    """The instrument of `symbol` from a JSON file of `FILE_SHAPE`; REST envelopes in place of either part are fine.

    Raises:
        BadInputError: the file cannot be read, or a field makes no sense.
        UnknownPairError: the file is about other pairs.
    """
    symbol, path = parse_symbol(symbol), Path(path)
    content = _read_json(path)
    items = _listed(content.get("instrument", content), path)
    own = [item for item in items if item.get("symbol") == symbol]
    if not own:
        found = ", ".join(str(item.get("symbol")) for item in items[:5]) or "nothing"
        raise UnknownPairError(f"{path.name} is about {found}, not {symbol}.", f"Its shape is {FILE_SHAPE}.")
    risk_limit = content.get("risk_limit")
    return parse_instrument(own[0], None if risk_limit is None else _listed(risk_limit, path), "file")


def find_instrument(symbol: str) -> Instrument:
    """The package's own instrument of a pair.

    Raises:
        UnknownPairError: the table does not have it; says how to pass one.
    """
    symbol = parse_symbol(symbol)
    try:
        return package_instruments()[symbol]
    except KeyError:
        raise UnknownPairError(
            f"Nothing is known about {symbol} here; the package knows {', '.join(package_instruments())}.",
            f"Pass it with --instrument FILE.json, of the shape {FILE_SHAPE}.",
        ) from None


@cache
def package_instruments() -> Mapping[str, Instrument]:
    """The table shipped with the package, by symbol: public facts with a date, for use without a network."""
    text = files("your_short_trade_margin_call.market").joinpath("instruments.json").read_text(encoding="utf-8")
    entries = json.loads(text)["instruments"]
    parsed = [parse_instrument(entry["instrument"], entry["risk_limit"], "package") for entry in entries]
    return MappingProxyType({instrument.symbol: instrument for instrument in parsed})


# ---- reading without trust ----------------------------------------------------------------------


def _perpetual(item: Mapping[str, Any]) -> str:
    """The symbol, if this is a USDT perpetual as far as it says."""
    if not isinstance(item, Mapping) or not isinstance(item.get("symbol"), str):
        raise BadInputError("The instrument has no symbol.", f"Its shape is {FILE_SHAPE}.")
    symbol = str(item["symbol"])
    for field, wanted in (("contractType", "LinearPerpetual"), ("quoteCoin", "USDT"), ("settleCoin", "USDT")):
        if item.get(field, wanted) != wanted:
            raise _bad(symbol, field, item[field], f"is not {wanted}: only USDT perpetuals are traded")
    return symbol


def _tier(row: Mapping[str, Any], symbol: str) -> RiskTier:
    tier = RiskTier(
        limit_usdt=float(_positive(row, "riskLimitValue", symbol)),
        maintenance_margin_rate=float(_positive(row, "maintenanceMargin", symbol)),
        max_leverage=float(_positive(row, "maxLeverage", symbol)),
        deduction_usdt=float(_decimal(row, "mmDeduction", symbol, empty=Decimal(0))),
    )
    # Inverse tables are in percent: 0.5 there is 0.005. At full leverage such a position is liquidated at birth.
    if tier.maintenance_margin_rate * tier.max_leverage >= 1:
        raise _bad(symbol, "maintenanceMargin", tier.maintenance_margin_rate, "is no fraction, or too high")
    if tier.deduction_usdt < 0:
        raise _bad(symbol, "mmDeduction", tier.deduction_usdt, "is negative")
    return tier


def _decimal(part: Mapping[str, Any], field: str, symbol: str, empty: Decimal | None = None) -> Decimal:
    value = part.get(field)
    if value in (None, "") and empty is not None:
        return empty
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise _bad(symbol, field, value, "is missing or no number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _bad(symbol, field, value, "is no number") from None
    # As a float too: 1e999 and 1e-999 are fine decimals.
    if not number.is_finite() or not math.isfinite(float(number)) or (number != 0 and float(number) == 0):
        raise _bad(symbol, field, value, "is not finite")
    return number


def _positive(part: Mapping[str, Any], field: str, symbol: str) -> Decimal:
    number = _decimal(part, field, symbol)
    if number <= 0:
        raise _bad(symbol, field, number, "must be above 0")
    return number


def _whole_minutes(item: Mapping[str, Any], symbol: str) -> int:
    minutes = _decimal(item, "fundingInterval", symbol, empty=Decimal(480))
    if minutes <= 0 or minutes != int(minutes):
        raise _bad(symbol, "fundingInterval", minutes, "is no number of minutes")
    return int(minutes)


def _section(item: Mapping[str, Any], name: str, symbol: str) -> Mapping[str, Any]:
    part = item.get(name)
    if not isinstance(part, Mapping):
        raise _bad(symbol, name, part, "is missing or no table")
    return part


def _rows(rows: Any, symbol: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise _bad(symbol, "risk_limit", type(rows).__name__, "is no list of tiers")
    return rows


def _bad(symbol: str, field: str, value: object, reason: str) -> BadInputError:
    return BadInputError(f"{symbol}: {field} {str(value)[:40]!r} {reason}.", _CURE)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is not valid JSON: {error}.", f"Its shape is {FILE_SHAPE}.") from None
    if not isinstance(content, dict):
        raise BadInputError(f"{path} holds no JSON object.", f"Its shape is {FILE_SHAPE}.")
    return content


def _listed(part: Any, path: Path) -> list[dict[str, Any]]:
    """The items of a part: of a REST envelope, of a list, or the one object itself."""
    if isinstance(part, dict) and isinstance(part.get("result"), dict):
        part = part["result"].get("list")
    if isinstance(part, dict):
        part = [part]
    if not isinstance(part, list) or not all(isinstance(item, dict) for item in part):
        raise BadInputError(f"{path.name} does not have the expected shape.", f"Its shape is {FILE_SHAPE}.")
    return part
