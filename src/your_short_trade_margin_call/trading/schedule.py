"""When to optimise again: every so often, counted from the moment the last run was due."""

from __future__ import annotations


def next_due_ms(last_due_ms: int, every_ms: int, now_ms: int) -> int:
    """The first due moment after `now_ms` on the grid that starts at `last_due_ms`.

    A program that slept through several runs makes up for one, not for all.
    """
    missed = max(0, now_ms - last_due_ms) // every_ms
    return last_due_ms + (missed + 1) * every_ms
