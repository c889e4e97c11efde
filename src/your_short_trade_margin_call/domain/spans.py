"""Lengths of time, in milliseconds."""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
CANDLE_MS = 3 * MINUTE_MS
"""The one candle length of the strategy."""
