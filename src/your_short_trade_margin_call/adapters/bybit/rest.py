"""Requests to Bybit: reads are repeated until they are answered, writes are sent once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn, Protocol, TypeVar

import aiohttp
import msgspec

from your_short_trade_margin_call.adapters.bybit.budget import Budget, RequestKind, kind_of
from your_short_trade_margin_call.adapters.bybit.clock import Sample, ServerClock
from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint
from your_short_trade_margin_call.adapters.bybit.keys import Keys
from your_short_trade_margin_call.adapters.bybit.ret_codes import Verdict, refusal_code_of, row_of, verdict_of
from your_short_trade_margin_call.adapters.bybit.signing import Signer, body_bytes, query_text
from your_short_trade_margin_call.adapters.bybit.timing import Timing
from your_short_trade_margin_call.adapters.bybit.transport import Answer, Transport, open_session
from your_short_trade_margin_call.domain.errors import (
    ExchangeError,
    ForbiddenError,
    KeyRefusedError,
    OrderRefusedError,
    OutcomeUnknownError,
)
from your_short_trade_margin_call.domain.words import BlockReason

T = TypeVar("T")

_CLOCK, _TOO_MANY = 10002, 10006
_SYNC_SAMPLES = 5
_REPEATS = 2
_LONGEST_RESET_S = 5.0
_TRY_LATER = "Check the network and Bybit's status page, then try again."


class Way(Protocol):
    """How a write may travel besides: one that is open already."""

    @property
    def is_up(self) -> bool:
        """Whether it can be taken now."""

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a write once; `body` goes on the wire as it is."""


class Rest:
    """Requests to one endpoint, with one account's keys or without.

    Args:
        session: where connections are kept (`open` makes one).
        endpoint: whom to ask.
        clock: the exchange's time; every answer refines it.
        budget: how many requests may leave.
        timing: how long to wait for what.
        keys: needed for signed reads and for all writes.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        clock: ServerClock,
        budget: Budget,
        timing: Timing,
        keys: Keys | None = None,
    ) -> None:
        self.session = session
        self.endpoint = endpoint
        self.clock = clock
        self.budget = budget
        self.timing = timing
        self._has_keys = keys is not None
        signer = None if keys is None else Signer(keys, timing.recv_window_ms)
        self._transport = Transport(session, endpoint, clock, timing, signer)

    @staticmethod
    @asynccontextmanager
    async def open(
        endpoint: Endpoint, timing: Timing, clock: ServerClock, keys: Keys | None = None
    ) -> AsyncIterator[Rest]:
        """A client with a session and a budget of its own, closed at the end."""
        budget = Budget(
            clock.stopwatch_s, clock.pause_s, forbidden_s=timing.forbidden_s, probe_every_s=timing.probe_every_s
        )
        async with open_session(endpoint) as session:
            yield Rest(session, endpoint, clock, budget, timing, keys)

    # ---- reads -----------------------------------------------------------------------------------

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int | None],
        kind: type[T],
        *,
        signed: bool = False,
        is_exit: bool = False,
    ) -> T:
        """Ask until there is an answer, a few times, with growing waits.

        Args:
            path: such as ``/v5/market/kline``.
            params: the query; None is left out.
            kind: what `result` is decoded into.
            signed: whether it is about the account.
            is_exit: whether an exit waits for it: it may use the places reserved for exits.

        Raises:
            ExchangeError: no usable answer came, or the request was refused.
            KeyRefusedError: the exchange does not accept the key.
            ForbiddenError: HTTP 403, now or a while ago.
        """
        if signed:
            self._need_keys(path)
        query = query_text(params)
        waits = [*self.timing.retry_s]
        while True:
            await self.budget.take(kind_of(path), is_exit=is_exit)
            answer = self._heard(path, await self._transport.get(path, query, signed=signed))
            verdict = _verdict(answer, path)
            if verdict is Verdict.DONE:
                return self._result(answer, path, kind)
            if verdict is Verdict.REFUSE or not waits:
                raise ExchangeError(f"Bybit did not answer GET {path}: {_why(answer)}", _cure(answer))
            await self._before_repeat(path, answer, waits.pop(0), is_exit=is_exit)

    async def sync_clock(self) -> None:
        """Ask for the exchange's time, several times, and believe the answer with the shortest round trip.

        Raises:
            ExchangeError: the time cannot be had.
            ForbiddenError: HTTP 403, now or a while ago.
        """
        samples, why = await self._time_samples(is_exit=False)
        if not samples:
            raise ExchangeError(f"Bybit did not tell its time: {why.rstrip('.')}.", _TRY_LATER)

    async def _time_samples(self, *, is_exit: bool) -> tuple[list[Sample], str]:
        """What was told, and why not more."""
        samples: list[Sample] = []
        failed, why = 0, ""
        while len(samples) < _SYNC_SAMPLES and failed < _REPEATS:
            await self.budget.take(RequestKind.MARKET, is_exit=is_exit)
            answer = await self._transport.get("/v5/market/time", "", signed=False)
            if answer.status == 403:
                self._forbidden()
            if answer.sample is None:
                failed, why = failed + 1, _why(answer) or "its answer holds none"
            else:
                samples.append(answer.sample)
        self.clock.resync(samples)
        return samples, why

    # ---- writes ----------------------------------------------------------------------------------

    async def post(
        self,
        path: str,
        body: Mapping[str, object],
        kind: type[T],
        *,
        is_exit: bool,
        patience_s: float | None = None,
        way: Way | None = None,
    ) -> T:
        """Send a write. It is repeated only when it certainly was not carried out, and only while it is young.

        Args:
            path: such as ``/v5/order/create``.
            body: what is sent as JSON; None is left out.
            kind: what `result` is decoded into; it must be makeable from an empty result.
            is_exit: whether it makes the position smaller or safer: it may use the places reserved for exits.
            patience_s: how old it may get before it is first carried out, in real seconds; the default is that of
                the timing for exits or entries.
            way: taken instead of a request while it is up.

        Raises:
            OrderRefusedError: it was not carried out; `code` is a `RefusalCode` or a `BlockReason`.
            OutcomeUnknownError: it may have been carried out: look it up, never send it again.
            KeyRefusedError: the exchange does not accept the key; it was not carried out.
            ForbiddenError: HTTP 403, now or a while ago; it was not carried out.
        """
        self._need_keys(path)
        if patience_s is None:
            patience_s = self.timing.exit_patience_s if is_exit else self.timing.entry_patience_s
        give_up_s = self.clock.stopwatch_s() + patience_s
        content = body_bytes(body)
        repeats = _REPEATS
        while True:
            left_s = give_up_s - self.clock.stopwatch_s()
            if not await self.budget.take(kind_of(path), is_exit=is_exit, patience_s=max(0.0, left_s)):
                raise OrderRefusedError("Too many requests: it would be too late.", BlockReason.RATE_LIMITED.value)
            taken = self._transport if way is None or not way.is_up else way
            answer = self._heard(path, await taken.post(path, content))
            verdict = _verdict(answer, path)
            if verdict is Verdict.DONE:
                return self._acknowledged(answer, path, kind)
            if verdict is Verdict.UNKNOWN:
                raise OutcomeUnknownError(f"POST {path} may have been carried out: {_why(answer)}", _cure(answer))
            if verdict is Verdict.RETRY and repeats:
                repeats -= 1
                await self._before_repeat(path, answer, self.timing.retry_s[0], is_exit=is_exit)
                if self.clock.stopwatch_s() < give_up_s:
                    continue
            self._refuse(answer)

    def _refuse(self, answer: Answer) -> NoReturn:
        code, text = _code(answer), _text(answer)
        refusal = refusal_code_of(code, text) if code else BlockReason.EXCHANGE_ERROR.value
        raise OrderRefusedError(_why(answer), refusal, ret_code=code or None)

    def _acknowledged(self, answer: Answer, path: str, kind: type[T]) -> T:
        """The result of a write that was carried out; what cannot be read leaves its outcome open."""
        raw = b"{}" if answer.envelope is None or answer.envelope.ret_code else bytes(answer.envelope.result)
        found, why = _decoded(raw, kind)
        if found is None:
            raise OutcomeUnknownError(f"The answer to POST {path} cannot be read: {why}", _TRY_LATER)
        return found

    # ---- what both need --------------------------------------------------------------------------

    def _need_keys(self, path: str) -> None:
        if not self._has_keys:
            raise KeyRefusedError(f"{path} needs an API key.", "Give the keys of the account.")

    def _heard(self, path: str, answer: Answer) -> Answer:
        """Learn from an answer; stop where nothing more may or can be asked."""
        if answer.news is not None:
            self.budget.learn(kind_of(path), answer.news)
        if answer.sample is not None and _code(answer) != _CLOCK:
            self.clock.observe(*answer.sample)
        verdict = _verdict(answer, path)
        if verdict is Verdict.FORBIDDEN:
            self._forbidden()
        if answer.envelope is not None:
            self.budget.allow_again(answer.sent_s)
        if verdict is Verdict.STOP:
            raise KeyRefusedError(f"Bybit does not accept the API key: {_why(answer)}", _cure(answer))
        return answer

    def _forbidden(self) -> NoReturn:
        self.budget.forbid()
        raise ForbiddenError(
            "Bybit answered HTTP 403: rate limit, or Bybit refuses this country.",
            f"Everything but exits waits {self.timing.forbidden_s / 60:.0f} minutes; "
            "stop other programs on this address, or trade from a country that Bybit serves.",
        )

    async def _before_repeat(self, path: str, answer: Answer, wait_s: float, *, is_exit: bool) -> None:
        """Remove the cause where we can, else wait."""
        code = _code(answer)
        if code == _CLOCK:
            await self._time_samples(is_exit=is_exit)
        elif code == _TOO_MANY:
            self.budget.penalty(kind_of(path), min(max(self._reset_s(answer), wait_s), _LONGEST_RESET_S))
        else:
            await self.clock.pause_s(wait_s)

    def _reset_s(self, answer: Answer) -> float:
        """How long the limit that was met still lasts, in real seconds."""
        reset_ms = None if answer.news is None else answer.news.reset_ms
        if reset_ms is None or self.clock.speed != 1.0:  # limits are counted in real time, whatever the market's
            return self.timing.reset_s
        return self.clock.real_s_until(reset_ms)

    def _result(self, answer: Answer, path: str, kind: type[T]) -> T:
        raw = b"{}" if answer.envelope is None or answer.envelope.ret_code else bytes(answer.envelope.result)
        found, why = _decoded(raw, kind)
        if found is None:
            raise ExchangeError(f"The answer to GET {path} cannot be read: {why}", "Look for a newer version.")
        return found


def _decoded(raw: bytes, kind: type[T]) -> tuple[T | None, str]:
    try:
        return msgspec.json.decode(raw, type=kind), ""
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, str(error)


def _verdict(answer: Answer, path: str) -> Verdict:
    """What an answer means; without one, whether the request left decides."""
    if answer.status == 403:
        return Verdict.FORBIDDEN
    if answer.status == 401:
        return Verdict.STOP
    if answer.envelope is None:
        return _verdict_of_status(answer)
    if answer.status == 200 or (answer.envelope.ret_code and 400 <= answer.status < 500):
        return verdict_of(answer.envelope.ret_code, path)
    return _verdict_of_status(answer)


def _verdict_of_status(answer: Answer) -> Verdict:
    if not answer.was_sent:
        return Verdict.RETRY
    refused = 400 <= answer.status < 500 and answer.status not in (408, 425, 429)
    return Verdict.REFUSE if refused else Verdict.UNKNOWN


def _code(answer: Answer) -> int:
    return 0 if answer.envelope is None else answer.envelope.ret_code


def _text(answer: Answer) -> str:
    """Bybit's own words, on one line."""
    return "" if answer.envelope is None else " ".join((answer.envelope.ret_msg or "").split())[:300]


def _why(answer: Answer) -> str:
    code = _code(answer)
    if code:
        return f"{_text(answer) or row_of(code).meaning} (code {code})"
    if answer.status not in (0, 200):
        return f"HTTP {answer.status}"
    return answer.trouble


def _cure(answer: Answer) -> str:
    if answer.status == 404:
        return "Check the address of the exchange (--endpoint) and the kind of account."
    if answer.status == 401:
        return row_of(10003).cure
    return row_of(_code(answer)).cure or _TRY_LATER
