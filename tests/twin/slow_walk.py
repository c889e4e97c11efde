"""The slow twins of a walk through changing parameters, and of chance shorts: the slow backtest, told when to enter.

Stretches say which candles' closes take which parameters; a position keeps those of its entry. Equity charges what it
would cost to buy the open position back at each close: half the spread, the usual slippage, the taker fee.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.twin.slow_backtest import (
    TEN_THOUSAND,
    TwinParams,
    TwinTrade,
    Walk,
    are_contiguous,
    exact_arithmetic,
    round_up,
)


@dataclass(frozen=True)
class TwinStretch:
    """Closes of candles first..end-1 take these parameters; nothing is entered where `may_enter` is False."""

    first: int
    end: int
    params: TwinParams
    may_enter: bool


@dataclass(frozen=True)
class TwinWalked:
    """Trades, equity at each close, and whether a position was open in each candle."""

    trades: list[TwinTrade]
    equity: list[Decimal]
    held: list[bool]


class SlowWalk(Walk):
    """One account, walked through stretches."""

    def __init__(self, stretches: Sequence[TwinStretch], usual_slippage_bps: Decimal, *inputs: Any) -> None:
        candles, instrument, settings, *others = inputs
        super().__init__(candles, instrument, settings, stretches[0].params, *others)
        self.stretches = stretches
        self.usual_slippage_bps = usual_slippage_bps
        self.held: list[bool] = []

    def walk(self) -> TwinWalked:
        with exact_arithmetic():
            result = self.run()
        return TwinWalked(result.trades, result.equity, self.held)

    def act_on_signal(self, i: int, open_at_the_close: bool) -> None:
        """Only a flat account takes new parameters: they are those of its next position."""
        stretch = self.stretch_of(i)
        if stretch is None or open_at_the_close:
            return
        self.params = stretch.params
        super().act_on_signal(i, open_at_the_close)

    def stretch_of(self, i: int) -> TwinStretch | None:
        return next((s for s in self.stretches if s.first <= i < s.end and s.may_enter), None)

    def equity_at_close(self, j: int) -> Decimal:
        closed_here = bool(self.trades) and self.trades[-1].exit_time == self.candles[j].ts
        self.held.append(self.position is not None or closed_here)
        at_the_end = closed_here and self.trades[-1].exit_reason == "end_of_data"
        if self.position is not None:
            entry_price, quantity = self.position.entry_price, self.position.quantity
            return self.wallet + self.buying_back(entry_price, quantity, j)
        if at_the_end:  # still open, but for the end of what is known
            last = self.trades[-1]
            before = last.balance_after - last.pnl_value - last.entry_fee + last.funding
            return before + self.buying_back(last.entry_price, last.quantity, j)
        return self.wallet

    def buying_back(self, entry_price: Decimal, quantity: Decimal, j: int) -> Decimal:
        """What it would bring to buy back at the close of `j`, with the usual slippage."""
        cost = (self.settings.spread_bps / 2 + self.usual_slippage_bps) / TEN_THOUSAND
        price = round_up(self.candles[j].close * (1 + cost), self.instrument.tick_size)
        return quantity * (entry_price - price) - quantity * price * self.settings.taker_fee_rate


class SlowChance(SlowWalk):
    """A short-seller who enters where `is_drawn` says so, each time with the starting balance."""

    def __init__(self, is_drawn: Callable[[int, int], bool], *inputs: Any) -> None:
        super().__init__(*inputs)
        self.is_drawn = is_drawn

    def returns(self) -> tuple[list[Decimal], list[bool]]:
        """The change of equity in each candle, a fraction of the starting balance; and where a short was held."""
        made: list[Decimal] = []
        self.before = self.settings.starting_balance
        self.made = made
        walked = self.walk()
        return made, walked.held

    def act_on_signal(self, i: int, open_at_the_close: bool) -> None:
        stretch = self.stretch_of(i)
        if stretch is None or open_at_the_close or not self.is_drawn(self.stretches.index(stretch), self.candles[i].ts):
            return
        lookback = stretch.params.lookback
        if i < lookback or not are_contiguous(self.candles[i - lookback : i + 2], self.settings.candle_ms):
            return
        self.params = stretch.params
        self.forget()
        self.try_to_enter(i, self.candles[i + 1])

    def forget(self) -> None:
        """A new account."""
        self.wallet = self.peak_wallet = self.before = self.settings.starting_balance
        self.wallet_history, self.last_losing_exit_time = [], None

    def equity_at_close(self, j: int) -> Decimal:
        equity = super().equity_at_close(j)
        self.made.append((equity - self.before) / self.settings.starting_balance if self.held[-1] else Decimal(0))
        self.before = equity
        return equity
