"""Values as people type them: settings, days, ranges, speeds, durations, fractions. Each is checked and named."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Any

from your_short_trade_margin_call.commands.options import Common, Trading
from your_short_trade_margin_call.domain.errors import BadInputError, SettingError
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.settings import (
    Settings,
    load_settings,
    parse_assignments,
    parse_duration_ms,
    parse_fraction,
)

MOST_DAYS = 10_000
FOREVER_MS = 1 << 53

_DAY = re.compile(r"\d{8}")


def make_settings(common: Common, trading: Trading | None = None, *, days: float | None = None) -> Settings:
    """Settings from file, environment, `--set`, and the options that are settings too; the later wins.

    Raises:
        SettingError: a setting is unknown, of the wrong type or out of range.
    """
    assignments: dict[str, Any] = parse_assignments(common.assignments or [])
    if common.seed is not None:
        assignments["seed"] = common.seed
    if trading is not None and trading.reoptimize is not None:
        assignments |= parse_assignments([f"reoptimize={trading.reoptimize}"])
    if trading is not None and trading.adopt is not None:
        assignments["adopt"] = trading.adopt
    if days is not None:
        assignments["window"] = days_ms(days)
    return load_settings(common.config, assignments)


def check_settings(common: Common) -> None:
    """For commands that no setting changes: a wrong one is named all the same.

    Raises:
        SettingError: a setting is unknown, of the wrong type or out of range.
    """
    if common.config is not None or common.assignments or common.seed is not None:
        make_settings(common)


def days_ms(days: float) -> int:
    """`--days` in milliseconds.

    Raises:
        SettingError: not above 0, or absurdly long.
    """
    if not 0 < days <= MOST_DAYS:
        raise SettingError(f"--days {days:g} cannot be.", f"Give a number above 0, at most {MOST_DAYS:,}: --days 1.")
    return round(days * DAY_MS)


def parse_timerange(text: str) -> tuple[int, int]:
    """``20250529-20250629`` as UTC ms: from the start of the first day up to the start of the last (exclusive).

    Either side may be empty. (freqtrade reads it the same way.)

    Raises:
        SettingError: it is not of that form, or holds no day.
    """
    start, dash, end = text.partition("-")
    if not dash or not (start or end):
        raise SettingError(f"--timerange {text!r} cannot be read.", "Write 20250529-20250629, 20250529- or -20250629.")
    start_ms = _day_ms(start) if start else 0
    end_ms = _day_ms(end) if end else FOREVER_MS
    if end_ms <= start_ms:
        raise SettingError(f"--timerange {text} holds no time.", "The end is exclusive: one day is 20250529-20250530.")
    return start_ms, end_ms


def _day_ms(text: str) -> int:
    try:
        if not _DAY.fullmatch(text):
            raise ValueError("eight digits")
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise SettingError(f"{text!r} is no day of a --timerange.", "Write days as 20250529, in UTC.") from None
    return int(day.timestamp()) * 1_000


def parse_speed(text: str | None) -> float | None:
    """`--speed`: times real time; infinity for ``max``, None for the market's own.

    Raises:
        SettingError: it is no number above 0.
    """
    if text is None:
        return None
    try:
        speed = math.inf if text.strip().lower() == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise SettingError(f"--speed {text} cannot be.", "Give a number above 0, such as 600, or max.")
    return speed


def parse_time(text: str, option: str) -> int:
    """A duration as typed (``60s``, ``90m``, ``2h``) in ms.

    Raises:
        SettingError: it has no unit, or is 0.
    """
    try:
        duration = parse_duration_ms(text)
    except ValueError:
        duration = None
    if not isinstance(duration, int) or duration <= 0:
        raise SettingError(f"{option} {text} cannot be read.", "Write a number with its unit: 30s, 90m, 2h or 1d.")
    return duration


def parse_number(text: str, option: str) -> float:
    """A fraction as typed: ``0.0044`` or ``0.44%``.

    Raises:
        BadInputError: it is no number.
    """
    try:
        return float(str(parse_fraction(text)))
    except ValueError:
        raise BadInputError(f"{option} {text} is no number.", "Write 0.0044 or 0.44%.") from None


def parse_amount(amount: float | None, option: str) -> float | None:
    """An amount of USDT.

    Raises:
        BadInputError: it is not above 0, or no number.
    """
    if amount is not None and not 0 < amount < 1e12:
        raise BadInputError(f"{option} {amount:g} cannot be.", "Give an amount of USDT above 0.")
    return amount
