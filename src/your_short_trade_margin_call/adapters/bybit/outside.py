"""What outside the market forbids entries: a wrong clock, a full budget, a pair that leaves, a key in trouble."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from your_short_trade_margin_call.adapters.bybit.account_rows import LINEAR
from your_short_trade_margin_call.adapters.bybit.rest import Rest
from your_short_trade_margin_call.adapters.bybit.wire import InstrumentList
from your_short_trade_margin_call.adapters.bybit.wire_account import ApiKeyInfo
from your_short_trade_margin_call.domain.errors import ExchangeError, KeyRefusedError
from your_short_trade_margin_call.domain.messages import ConditionChanged
from your_short_trade_margin_call.domain.spans import DAY_MS, HOUR_MS
from your_short_trade_margin_call.domain.words import BlockReason

_KEY = "key"
_LOOKS_PER_SYNC = 60
"""How often clock and budget are looked at between two questions for the time."""


class Outside:
    """Looks at conditions again and again, and tells when one begins or ends.

    Args:
        rest: asked for time, instrument and key; its clock and budget are watched.
        symbol: the pair.
        tell: told what changed.
        has_key: whether there is a key to look after.
    """

    def __init__(self, rest: Rest, symbol: str, tell: Callable[[ConditionChanged], None], *, has_key: bool) -> None:
        self._rest = rest
        self._symbol = symbol
        self._tell = tell
        self._has_key = has_key
        self._causes: dict[BlockReason, dict[str, str]] = {}
        self._hour = self._day = -1
        self._unanswered = False

    async def watch(self) -> None:
        """Look until cancelled. An exchange that does not answer changes nothing: the streams tell that."""
        timing = self._rest.timing
        looks = 0
        while True:
            await self._look_at_rows()
            self._look_at_numbers()
            await self._rest.clock.pause_s(timing.resync_every_s / _LOOKS_PER_SYNC)
            looks = (looks + 1) % _LOOKS_PER_SYNC
            if not looks:
                await self._ask(self._rest.sync_clock())
                if self._unanswered:
                    self._unanswered, self._hour, self._day = False, -1, -1

    def note(self, condition: BlockReason, why: str, about: str = "") -> None:
        """A cause of a condition holds (`why`), or does not (empty); told when the first begins or the last ends."""
        causes = self._causes.setdefault(condition, {})
        was_on = bool(causes)
        if why:
            causes[about] = why
        else:
            causes.pop(about, None)
        if was_on != bool(causes):
            self._tell(ConditionChanged(self._rest.clock.now_ms(), condition, not was_on, why))

    # ---- inside ----------------------------------------------------------------------------------

    def _look_at_numbers(self) -> None:
        clock, limit_ms = self._rest.clock, self._rest.timing.max_skew_ms
        skewed = f"the clock is {clock.skew_ms} ms off" if clock.is_skewed(limit_ms) else ""
        self.note(BlockReason.CLOCK_SKEW, skewed)
        full = "the exchange takes no more requests for a while" if self._rest.budget.would_block() else ""
        self.note(BlockReason.RATE_LIMITED, full)

    async def _look_at_rows(self) -> None:
        """The instrument at the start and with every new hour, the key with every new day."""
        now_ms = self._rest.clock.now_ms()
        if now_ms // HOUR_MS != self._hour:
            self._hour = now_ms // HOUR_MS
            await self._ask(self._look_at_instrument())
        if self._has_key and now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            await self._ask(self._look_at_key())

    async def _ask(self, question: Coroutine[Any, Any, None]) -> None:
        """A question whose failure changes nothing, unless it is the key that is refused."""
        try:
            await question
        except KeyRefusedError as error:
            self.note(BlockReason.EXCHANGE_ERROR, error.message, _KEY)
        except ExchangeError:
            self._unanswered = True

    async def _look_at_instrument(self) -> None:
        params: dict[str, str | int | None] = {"category": LINEAR, "symbol": self._symbol}
        answer = await self._rest.get("/v5/market/instruments-info", params, InstrumentList)
        rows = [row for row in answer.rows if row.get("symbol") == self._symbol]
        self.note(BlockReason.INSTRUMENT_NOT_TRADING, why_not_trading(rows[0] if rows else None, self._symbol))

    async def _look_at_key(self) -> None:
        info = await self._rest.get("/v5/user/query-api", {}, ApiKeyInfo, signed=True)
        self.note(BlockReason.EXCHANGE_ERROR, trouble_with_key(info), _KEY)


def why_not_trading(row: Mapping[str, object] | None, symbol: str) -> str:
    """Why nothing may be opened on a pair, by its row of instruments-info; empty when it trades."""
    if row is None:
        return f"{symbol} is no longer listed"
    status = str(row.get("status") or "Trading")
    if status != "Trading":
        return f"{symbol} is not trading: {status}"
    delivery = str(row.get("deliveryTime") or "0")
    return "" if delivery == "0" else f"{symbol} leaves the exchange (delivery time {delivery})"


def trouble_with_key(info: ApiKeyInfo) -> str:
    """Why a key may not open anything; empty when it may."""
    if info.read_only:
        return "the key may only read"
    if any("Withdraw" in right for rights in info.permissions.values() for right in rights):
        return "the key may withdraw: replace it by one that may not"
    return ""
