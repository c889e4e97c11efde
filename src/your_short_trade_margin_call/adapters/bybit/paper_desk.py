"""The simulated exchange of a paper account together with its file: nothing is told before it is written."""

from __future__ import annotations

import math
from collections.abc import Callable

from your_short_trade_margin_call.adapters.bybit.paper_account import PaperAccountFile, PaperState
from your_short_trade_margin_call.adapters.bybit.past_market import Past
from your_short_trade_margin_call.domain.errors import ArtefactError, DiskError
from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.domain.messages import Candle, Event
from your_short_trade_margin_call.domain.words import BlockReason, ExecutionKind, Side
from your_short_trade_margin_call.exchange.simulated_exchange import SimulatedExchange
from your_short_trade_margin_call.rules.terms import make_contract, make_terms
from your_short_trade_margin_call.settings import Settings

_FAR = 1 << 62
_DISK = "disk"


class PaperDesk:
    """Holds the account. Whoever changes it calls `flush` before he answers.

    Args:
        instrument: the pair.
        settings: fees, luck, starting balance.
        store: the file.
        tell: given every event, after it is on the disk.
        note: told when the disk fails (a reason) and when it works again (no reason).
    """

    def __init__(
        self,
        instrument: Instrument,
        settings: Settings,
        store: PaperAccountFile,
        tell: Callable[[Event], None],
        note: Callable[[BlockReason, str, str], None],
    ) -> None:
        self._symbol = instrument.symbol
        self._contract = make_contract(instrument)
        self._terms = make_terms(settings, instrument.symbol)
        self._step = settings.candle_ms
        self._store = store
        self._tell = tell
        self._note = note
        self.exchange = SimulatedExchange(self._contract, self._terms, settings.starting_balance, self._step)
        self.lived_ms = 0
        """Everything before this moment (UTC ms) has acted on the account."""

    def load(self) -> None:
        """Take the account from its file, or begin a new one.

        Raises:
            ArtefactError: it cannot be read, or is another pair's.
            DiskError: the file could not be read or, for a new account, written.
        """
        state = self._store.load()
        if state is None:
            self._save()
            return
        if state.symbol != self._symbol:
            raise ArtefactError(
                f"{self._store.path} is the paper account of {state.symbol}, not of {self._symbol}.",
                "Name the right pair, or move the file away.",
            )
        self.exchange = SimulatedExchange.from_state(state.exchange, self._contract, self._terms)
        self.lived_ms = state.lived_ms
        self.flush()

    @property
    def has_stake(self) -> bool:
        """Whether the market can do anything to the account: a position, or an order that rests."""
        return self.exchange.position is not None or bool(self.exchange.account(_FAR).open_orders)

    def entered_ms(self) -> int:
        """When the account last sold to open (UTC ms); 0 if never."""
        sold = (e.time_ms for e in reversed(self.exchange.executions) if _is_entry(e.kind, e.side))
        return next(sold, 0)

    def flush(self) -> None:
        """Write the account if something happened to it, then tell what happened.

        A disk that fails forbids entries until it works again; exits go on, in memory.
        """
        if events := self.exchange.drain():
            self._save_or_note()
            for event in events:
                self._tell(event)

    def lived(self, moment_ms: int) -> None:
        """The account has lived through the market up to here; written down while something is at stake."""
        self.lived_ms = max(self.lived_ms, moment_ms)
        if self.has_stake:
            self._save_or_note()

    def relive(self, candles: list[Candle], past: Past) -> None:
        """Run missed candles (oldest first) through the account: settlements before each, then its whole path."""
        for candle in candles:
            self._settle(past, candle.open_time_ms, candle.open)
            mark = past.mark(candle.open_time_ms)
            prices = (candle.open, candle.high, candle.low, candle.close)
            self.exchange.run_candle(candle.open_time_ms, *prices, mark.open, mark.high, mark.close)
        last = candles[-1]
        self._settle(past, last.open_time_ms + self._step, last.close)
        self.lived_ms = max(self.lived_ms, last.open_time_ms + self._step)
        self.flush()

    def last_mark(self, otherwise: float | None) -> float:
        """The mark price the account saw last, in ticks."""
        quote = self.exchange.quote
        return quote.mark_ticks if quote is not None else otherwise or math.nan

    def _settle(self, past: Past, until_ms: int, last_ticks: float) -> None:
        for moment_ms, rate in past.due(self.exchange.funding_settled_ms, until_ms):
            mark = past.mark(moment_ms - 1 - (moment_ms - 1) % self._step).close
            self.exchange.settle_funding(moment_ms, rate, last_ticks if math.isnan(mark) else mark)

    def _save_or_note(self) -> None:
        try:
            self._save()
        except DiskError as error:
            self._note(BlockReason.EXCHANGE_ERROR, error.message, _DISK)
        else:
            self._note(BlockReason.EXCHANGE_ERROR, "", _DISK)

    def _save(self) -> None:
        self._store.save(PaperState(self._symbol, self.lived_ms, self.exchange.to_state()))


def _is_entry(kind: ExecutionKind, side: Side) -> bool:
    return kind is ExecutionKind.TRADE and side is Side.SELL
