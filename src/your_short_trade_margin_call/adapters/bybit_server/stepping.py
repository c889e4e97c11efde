"""Stepping a market that stands still: one phase, then silence, then the next."""

from __future__ import annotations

from your_short_trade_margin_call.adapters.bybit_server.phases import Phase
from your_short_trade_margin_call.adapters.bybit_server.streams import Streams
from your_short_trade_margin_call.adapters.bybit_server.world import Group, World
from your_short_trade_margin_call.domain.errors import SettingError

QUIET_MS = 50
"""Real milliseconds without a request after which clients are taken to have dealt with what they were told."""
_SHORTEST_NAP_S = 0.001
_LONGEST_WAIT_S = 10.0
"""Nobody is waited for longer: a client that has stopped reading must not hold up the market."""


class Stepper:
    """Moves the world on, and lets clients deal with each phase that told them anything.

    Raises:
        SettingError: the market runs by itself.
    """

    def __init__(self, world: World, streams: Streams) -> None:
        if not world.timeline.is_stepped:
            raise SettingError("This market runs by itself and cannot be stepped.", "Start it with --step.")
        self._world, self._streams = world, streams

    async def phase(self, quiet_ms: int = QUIET_MS) -> Group | None:
        """Do the next phase of all pairs it is due for; None when the candles have run out."""
        before = self._world.published
        group = self._world.step_phase()
        if self._world.published != before:
            await self.silence(quiet_ms)
        return group

    async def candles(self, count: int = 1, quiet_ms: int = QUIET_MS) -> int:
        """Cross so many boundaries; how many there were."""
        for done in range(count):
            while (group := await self.phase(quiet_ms)) is not None and group.phase is not Phase.QUOTE:
                pass
            if group is None:
                return done
        return count

    async def silence(self, quiet_ms: int = QUIET_MS) -> None:
        """Wait until everything is written to the sockets and no request has come for so many real milliseconds."""
        log, nap, watch = self._world.requests, self._world.timeline.nap, self._world.timeline.stopwatch_s
        log.touch()
        end_s = watch() + _LONGEST_WAIT_S
        while watch() < end_s and not (self._streams.is_served and log.quiet_s * 1_000.0 >= quiet_ms):
            await nap(max(_SHORTEST_NAP_S, quiet_ms / 1_000.0 - log.quiet_s))

    def push(self, pairs: int) -> int:
        """Close the running candle of so many pairs and open the next, all at once; when, on the monotonic clock.

        The moment (ns) is the one before the first closed candle is announced.
        """
        chosen = [pair for pair in self._world.pairs.values() if not pair.is_over][:pairs]
        pushed_ns = 0
        for phase in Phase:
            if phase is Phase.CLOSE:
                pushed_ns = self._world.requests.now_ns()
            for pair in chosen:
                if pair.phase.next is phase:
                    self._world.do_phase(pair)
        return pushed_ns
