"""Numbers and moments as people read them: UTC, signs on what can be lost, words for units."""

from __future__ import annotations

from datetime import datetime, timezone

from your_short_trade_margin_call.domain.spans import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS


def moment(time_ms: int) -> str:
    """``2025-06-29 14:03`` (UTC)."""
    return _utc(time_ms).strftime("%Y-%m-%d %H:%M")


def short_moment(time_ms: int) -> str:
    """``06-29 14:03`` (UTC), where the year is plain."""
    return _utc(time_ms).strftime("%m-%d %H:%M")


def clock_time(time_ms: int) -> str:
    """``14:03`` (UTC), where the day is plain."""
    return _utc(time_ms).strftime("%H:%M")


def span(duration_ms: float) -> str:
    """A duration by its two largest units: ``2 d 3 h``, ``24 h``, ``12 min``, ``45 s``; days from two on."""
    left = max(0, round(duration_ms / SECOND_MS) * SECOND_MS)
    units = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s"))
    words = []
    for unit_ms, unit in units if left >= 2 * DAY_MS else units[1:]:
        count, left = divmod(left, unit_ms)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def usdt(amount: float) -> str:
    """``1,234.50 USDT``."""
    return f"{_cents(amount):,.2f} USDT"


def signed_usdt(amount: float) -> str:
    """``+3.20 USDT``: a profit or a loss."""
    return f"{_cents(amount):+,.2f} USDT"


def signed_percent(value: float, digits: int = 2) -> str:
    """``+0.68 %`` of a value already in percent."""
    return f"{round(value, digits) + 0.0:+.{digits}f} %"


def percent(fraction: float) -> str:
    """``0.44 %`` of a fraction, without needless zeros."""
    return f"{100 * fraction:.6g} %"


def size(number: float) -> str:
    """Bytes as ``43 MB``: two digits and the unit that disks are sold in."""
    for unit, worth in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= worth:
            return f"{number / worth:.2g} {unit}" if number < 100 * worth else f"{number / worth:,.0f} {unit}"
    return f"{number:,.0f} bytes"


def price(value: float, decimals: int) -> str:
    """``104,123.4`` with the instrument's decimals."""
    return f"{value:,.{decimals}f}"


def quantity(value: float) -> str:
    """``0.012`` base coins, no needless zeros."""
    return f"{value:,.8f}".rstrip("0").rstrip(".")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 trade``, ``2 trades``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(counts: dict[str, int]) -> str:
    """``position_open 4, paused 1``: the largest first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,}" for name, count in ordered) or "none"


def _utc(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / SECOND_MS, tz=timezone.utc)


def _cents(amount: float) -> float:
    """Rounded to cents, with minus zero as zero: a loss of nothing is not shown with a minus."""
    return round(amount, 2) + 0.0
