"""Never naked: a short whose stop the exchange has not confirmed within two seconds gets it again, or is closed."""

from __future__ import annotations

from your_short_trade_margin_call.domain.words import Purpose
from your_short_trade_margin_call.trading import commands as c
from your_short_trade_margin_call.trading.exits import wanted_stop
from your_short_trade_margin_call.trading.ids import link_id
from your_short_trade_margin_call.trading.order_desk import OrderDesk
from your_short_trade_margin_call.trading.state import EngineState, Entering, Open

NAKED_MS = 2_000
"""How long a short may be without a confirmed stop, and how long between tries to set it (market time)."""
TRIES = 3
"""Tries to set the stop before the short is closed instead."""


class StopWatch:
    """Watches the stop of the short that is open.

    A stop counts as confirmed once the exchange has acknowledged or shown it; the one that travelled inside an entry
    once the entry has filled, until the account is seen without it.
    """

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk
        self._tries = 0
        self.next_ms: int | None = None
        """When something must be done about a missing stop; None when none is missing."""

    async def look(self, now_ms: int) -> None:
        """Look, and act when it is time to."""
        state = self._desk.books.state
        trigger = wanted_stop(self._desk.books.context, state)
        if trigger is None or self._is_confirmed(state) or _is_closing(state):
            self.next_ms, self._tries = None, 0
        elif self.next_ms is None:
            self.next_ms = now_ms + NAKED_MS
        elif now_ms >= self.next_ms:
            self.next_ms = now_ms + NAKED_MS
            self._tries += 1
            await self._act(trigger)

    async def _act(self, trigger: int) -> None:
        desk = self._desk
        desk.books.note_once("naked", self._candle_ms(desk.books.state), {"trigger_ticks": trigger})
        if self._tries <= TRIES:
            await desk.amend_stop(trigger)
        else:
            await desk.apply(c.StopRefused(trigger, "the exchange did not confirm it", None))

    def _is_confirmed(self, state: EngineState) -> bool:
        candle_ms = self._candle_ms(state)
        if candle_ms is None or self._desk.stop_seen_for == candle_ms:
            return True
        entry = self._desk.books.entries.get(link_id(self._desk.books.context.symbol, candle_ms, Purpose.ENTRY))
        has_travelled = entry is not None and entry[0].attached_stop_ticks is not None
        return has_travelled and self._desk.stop_missing_for != candle_ms

    def _candle_ms(self, state: EngineState) -> int | None:
        return state.book.candle_ms if isinstance(state.book, Open | Entering) else None


def _is_closing(state: EngineState) -> bool:
    return isinstance(state.book, Open) and state.book.close_id is not None
