"""What time it is on the exchange, as well as it can be known from here."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from your_short_trade_margin_call.adapters.system_clock import pause_s

# A computer's stopwatch and the exchange's clock drift apart by less than this (fraction of the time passed).
_DRIFT = 5e-4
# Servers behind one address agree with each other to about this (ms).
_GRAIN_MS = 5.0
# A small correction backwards is hidden: time waits until it has caught up (ms of real time).
_HIDDEN_STEP_MS = 250.0
_LONGEST_NAP_S = 1.0


class Sample(NamedTuple):
    """One look at the exchange's clock: what it said, and when (stopwatch) we asked and had the answer."""

    server_ms: int
    sent_s: float
    received_s: float
    speed: float | None = None


class _Estimate(NamedTuple):
    """`base_ms` was the server time at stopwatch `base_s`, give or take `doubt_ms`, running at `speed`."""

    base_ms: float
    base_s: float
    doubt_ms: float
    speed: float

    def at(self, moment_s: float) -> float:
        return self.base_ms + (moment_s - self.base_s) * 1_000.0 * self.speed

    def doubt_at(self, moment_s: float) -> float:
        return self.doubt_ms + abs(moment_s - self.base_s) * 1_000.0 * self.speed * _DRIFT


class ServerClock:
    """The exchange's time, estimated. Implements `ports.Clock`.

    Of all answers the one with the shortest round trip tells the time best: the server looked at its clock somewhere
    on the way (Cristian's algorithm). Between answers a stopwatch carries the time on, so a corrected or wrong clock
    of this computer does no harm. One answer that contradicts the estimate is only noted (`skew_ms`); a second one
    that agrees with the first replaces it. Before the first answer this computer's clock stands in.

    On a look-alike exchange time may run `speed` times as fast, or stand still (`speed` 0): then it is the latest
    moment the server has shown.

    Args:
        wall_ms: this computer's clock, UTC ms.
        stopwatch_s: seconds that never go back.
        sleep: how to wait some real seconds.
    """

    def __init__(
        self,
        wall_ms: Callable[[], int],
        stopwatch_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = pause_s,
    ) -> None:
        self._wall_ms = wall_ms
        self.stopwatch_s = stopwatch_s
        self.pause_s = sleep
        self._estimate: _Estimate | None = None
        self._rival: _Estimate | None = None
        self._skew_ms = 0.0
        self._shown_ms: int | None = None

    # ---- reading ---------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The present moment on the exchange."""
        if self._estimate is None:
            return self._wall_ms()
        now = math.floor(self._estimate.at(self.stopwatch_s()))
        shown = self._shown_ms
        if shown is not None and 0 < shown - now <= _HIDDEN_STEP_MS * max(1.0, self._estimate.speed):
            return shown
        self._shown_ms = now
        return now

    async def sleep_until_ms(self, moment_ms: int) -> None:
        """Return at or after `moment_ms` on the exchange; when it has passed, others get one turn.

        Where time stands still it sleeps the difference in real time, once, and returns.
        """
        await self.pause_s(0.0)
        left_ms = moment_ms - self.now_ms()
        while left_ms > 0 and self.speed > 0:
            await self.pause_s(min(left_ms / 1_000.0 / self.speed, _LONGEST_NAP_S))
            left_ms = moment_ms - self.now_ms()
        if left_ms > 0:
            await self.pause_s(left_ms / 1_000.0)

    def real_s_until(self, moment_ms: int) -> float:
        """How many real seconds from now to a moment on the exchange; 0 when it has passed or time stands still."""
        return max(0.0, (moment_ms - self.now_ms()) / 1_000.0 / self.speed) if self.speed > 0 else 0.0

    @property
    def speed(self) -> float:
        """How many times faster than real time the exchange's clock runs: 1, or what a look-alike announced."""
        return 1.0 if self._estimate is None else self._estimate.speed

    @property
    def is_synced(self) -> bool:
        """Whether the exchange has told its time yet."""
        return self._estimate is not None

    @property
    def offset_ms(self) -> int:
        """By how much the exchange's clock is ahead of this computer's (negative: behind)."""
        return self.now_ms() - self._wall_ms()

    @property
    def doubt_ms(self) -> float:
        """By how much the estimate may be wrong, in ms of the exchange's time."""
        return 0.0 if self._estimate is None else self._estimate.doubt_at(self.stopwatch_s())

    @property
    def skew_ms(self) -> int:
        """By how much the latest answer contradicted the estimate, beyond all doubt, in ms of real time (signed)."""
        return round(self._skew_ms)

    def is_skewed(self, limit_ms: int) -> bool:
        """Whether the latest answer contradicted the estimate by more than `limit_ms`."""
        return abs(self._skew_ms) > limit_ms

    # ---- learning --------------------------------------------------------------------------------

    def observe(self, server_ms: int, sent_s: float, received_s: float, speed: float | None = None) -> None:
        """Learn from an answer to a request of ours.

        Args:
            server_ms: the time in the answer.
            sent_s: stopwatch when the request left.
            received_s: stopwatch when the answer had come.
            speed: what a look-alike exchange announced; None keeps what is known.
        """
        fresh = self._estimate_of(Sample(server_ms, sent_s, received_s, speed))
        known = self._estimate
        if known is None or known.speed != fresh.speed:
            self._adopt(fresh)
        elif not fresh.speed:
            self._advance_stepped(known, server_ms)
        else:
            self._weigh(known, fresh)

    def advance(self, server_ms: int, received_s: float) -> None:
        """Learn from a stream's message: it was made in the past, so the exchange's time is at least `server_ms`."""
        known = self._estimate
        if known is None:
            self._adopt(_Estimate(float(server_ms), received_s, math.inf, self.speed))
        elif not known.speed:
            self._advance_stepped(known, server_ms)
        elif server_ms > known.at(received_s):
            ahead_ms = server_ms - known.at(received_s)
            if ahead_ms <= max(known.doubt_at(received_s), _GRAIN_MS * known.speed):
                self._estimate = known._replace(base_ms=known.base_ms + ahead_ms)
            else:  # contradicted; no doubt of its own is known, so it only counts with a witness
                self._weigh(known, _Estimate(float(server_ms), received_s, _HIDDEN_STEP_MS * known.speed, known.speed))

    def resync(self, samples: Iterable[Sample]) -> None:
        """Forget the estimate and believe the sample with the shortest round trip; time may step back.

        `skew_ms` afterwards says by how much the forgotten estimate was wrong.
        """
        found = [self._estimate_of(sample) for sample in samples]
        if not found:
            return
        best = min(found, key=lambda each: (each.doubt_ms, -each.base_s))
        known = self._estimate
        self._skew_ms = 0.0 if known is None or known.speed != best.speed else _contradiction(known, best)
        self._adopt(best)

    def _estimate_of(self, sample: Sample) -> _Estimate:
        speed = self.speed if sample.speed is None else sample.speed
        half_ms = max(0.0, sample.received_s - sample.sent_s) / 2.0 * 1_000.0 * speed
        return _Estimate(sample.server_ms + half_ms, sample.received_s, half_ms + speed, speed)

    def _weigh(self, known: _Estimate, fresh: _Estimate) -> None:
        """Believe the surer of two estimates that agree; of two that do not, the one with a witness."""
        self._skew_ms = _contradiction(known, fresh)
        if not self._skew_ms:
            self._rival = None
            if fresh.doubt_ms <= known.doubt_at(fresh.base_s):
                self._estimate = fresh
        elif self._rival is not None and not _contradiction(self._rival, fresh):
            self._adopt(min(fresh, self._rival, key=lambda each: each.doubt_at(fresh.base_s)))
        else:
            self._rival = fresh

    def _adopt(self, estimate: _Estimate) -> None:
        self._estimate, self._rival, self._shown_ms = estimate, None, None

    def _advance_stepped(self, known: _Estimate, server_ms: int) -> None:
        if server_ms > known.base_ms:
            self._estimate = known._replace(base_ms=float(server_ms))


def _contradiction(known: _Estimate, fresh: _Estimate) -> float:
    """How far `fresh` lies outside of what `known` allows, in ms of real time; 0 if they agree or time stands still."""
    if not fresh.speed:
        return 0.0
    error = fresh.at(fresh.base_s) - known.at(fresh.base_s)
    beyond = abs(error) - fresh.doubt_ms - known.doubt_at(fresh.base_s) - _GRAIN_MS * fresh.speed
    return math.copysign(beyond / fresh.speed, error) if beyond > 0.0 else 0.0
