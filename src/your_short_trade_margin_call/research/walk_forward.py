"""The record of the procedure: one account walks the history, choosing as the live cycle chooses (DESIGN 9).

At every step the sweep is repeated on the window before it, and its winner takes the entries from the next close on;
positions keep their exits. A fold's return is the change of equity, the open position marked and its exit cost
charged: closed trades alone flatter, since losers stay open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from your_short_trade_margin_call.domain.errors import TooFewCandlesError
from your_short_trade_margin_call.domain.words import ExitReason
from your_short_trade_margin_call.research.account_kernel import ACCOUNT, N_TRADE_COLUMNS, TRADE_COLUMNS
from your_short_trade_margin_call.research.procedure import Choice, Choosing, Procedure, choose_all
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.threads import Progress
from your_short_trade_margin_call.research.walk_kernel import STRETCH, mark_account, walk
from your_short_trade_margin_call.rules.market_arrays import MarketArrays, cut
from your_short_trade_margin_call.rules.terms import Contract, Terms, make_trial

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

    from your_short_trade_margin_call.research.survey import Field

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_EXIT_REASON, _EXIT_INDEX, _ENTRY_INDEX, _BALANCE_AFTER, _PNL = (
    TRADE_COLUMNS.index(name) for name in ("exit_reason", "exit_index", "entry_index", "balance_after", "pnl_value")
)


@dataclass(frozen=True)
class WalkForward:
    """One account over the folds of a history.

    `firsts[k]` is the first candle of fold k; the last element is the end of the last fold. `equity` and `held` have
    an element for each candle: equity at its close in USDT, and 1.0 where a position was open. `trades` are rows of
    TRADE_COLUMNS; the last may have been closed only because the history ended.
    """

    procedure: Procedure
    ground: Field = field(repr=False)
    start_wallet: float
    firsts: Integers
    starts_ms: Integers
    choices: tuple[Choice, ...]
    stretches: NDArray[np.void] = field(repr=False)
    trades: Floats = field(repr=False)
    equity: Floats = field(repr=False)
    held: Floats = field(repr=False)

    @cached_property
    def returns(self) -> Floats:
        """Change of equity over each fold, as a fraction; 0 where nothing was left."""
        at = self.equity[self.firsts - 1]
        return _changes(at)

    @cached_property
    def candle_returns(self) -> Floats:
        """Change of equity over each candle from the first fold on, as a fraction of the balance before the trade.

        That balance, not the equity left, is what a bettor knows beforehand and can be held to: a short that has lost
        most of it is no bet on the rest.
        """
        base = np.concatenate((self.equity[:1], self.equity[:-1]))
        balance = self.trades[:, _BALANCE_AFTER] - self.trades[:, _PNL]
        for trade, before in zip(self.trades, balance, strict=True):
            base[int(trade[_ENTRY_INDEX]) : int(trade[_EXIT_INDEX]) + 1] = before
        change, first = np.diff(self.equity), int(self.firsts[0])
        return change[first - 1 :] / np.where(base[first:] > 0.0, base[first:], np.inf)

    @property
    def closed_trades(self) -> int:
        """How many trades closed by themselves, not because the history ended."""
        return int(np.count_nonzero(self.trades[:, _EXIT_REASON] != ExitReason.END_OF_DATA.code))

    @property
    def promised_pct(self) -> float:
        """What the winners made where they were chosen, on average, in percent of the balance; NaN without any."""
        made = [choice.promised_pct for choice in self.choices if choice.params is not None]
        return float(np.mean(made)) if made else float("nan")

    def count(self, *reasons: ExitReason) -> int:
        """How many trades left for one of these reasons."""
        return int(np.isin(self.trades[:, _EXIT_REASON], [reason.code for reason in reasons]).sum())

    @property
    def held_ms(self) -> Integers:
        """How long each trade was held: from the opening of its entry candle to the close of its exit candle."""
        candles = self.trades[:, _EXIT_INDEX] - self.trades[:, _ENTRY_INDEX] + 1
        held: Integers = (candles * self.ground.market.candle_ms).astype(np.int64)
        return held

    @cached_property
    def folds(self) -> polars.DataFrame:
        """One row a fold: when, what was chosen and promised, what the account made, equity at its end."""
        import polars as pl

        columns = ("highest_high_lookback", "exit_type", "risk_fraction", "take_profit_pct")
        params = [choice.params for choice in self.choices]
        exits = self.trades[:, _EXIT_INDEX]
        in_market = fold_sums(self.held, self.firsts)
        return pl.DataFrame(
            {
                "start_time": self.starts_ms,
                **{name: [None if p is None else _plain(getattr(p, name)) for p in params] for name in columns},
                "promised_pct": pl.Series([choice.promised_pct for choice in self.choices], nan_to_null=True),
                "has_edge": [choice.has_edge for choice in self.choices],
                "adopted": [choice.adopted for choice in self.choices],
                "return_pct": self.returns * 100.0,
                "trades_closed": np.diff(np.searchsorted(exits, self.firsts)),
                "in_market_pct": in_market / np.maximum(1, np.diff(self.firsts)) * 100.0,
                "equity": self.equity[self.firsts[1:] - 1],
            }
        )


def fold_sums(values: Floats, firsts: Integers) -> Floats:
    """The sum over each fold of a column with an element for each candle; 0 where a gap swallowed the fold."""
    sums = np.concatenate((np.zeros(1), np.cumsum(values)))
    return np.asarray(np.diff(sums[firsts]))


def _plain(value: object) -> object:
    return value if isinstance(value, int | float) else str(value)


def _changes(equity: Floats) -> Floats:
    before = np.where(equity[:-1] > 0.0, equity[:-1], np.inf)
    return np.where(np.isinf(before), 0.0, equity[1:] / before - 1.0)


def walk_forward(
    market: MarketArrays,
    contract: Contract,
    terms: Terms,
    procedure: Procedure,
    start_wallet: float,
    progress: Progress | None = None,
    workers: int | None = None,
) -> WalkForward:
    """Walk the history with one account: the first window is only looked at, whole steps after it are folds.

    Raises:
        TooFewCandlesError: the history is shorter than a window and a step.
    """
    starts_ms, firsts = _folds(market, procedure)
    market = cut(market, 0, int(firsts[-1]))
    choices = choose_all(Choosing(market, contract, terms, procedure, start_wallet), starts_ms[:-1], progress, workers)
    stretches = _stretches(choices, firsts, len(market.time_ms))
    ground = make_field(market, contract, terms, min(procedure.trials.highest_high_lookback))
    trades = np.empty((len(market.time_ms), N_TRADE_COLUMNS))
    count = walk(*ground, stretches, start_wallet, np.empty(1, dtype=ACCOUNT), trades)
    trades = trades[:count].copy()
    equity, held = np.empty(len(market.time_ms)), np.zeros(len(market.time_ms))
    mark_account(market, contract, terms, trades, start_wallet, equity, held)
    return WalkForward(
        procedure, ground, start_wallet, firsts, starts_ms[:-1], choices, stretches, trades, equity, held
    )


def _folds(market: MarketArrays, procedure: Procedure) -> tuple[Integers, Integers]:
    """The moments at which folds start, and the last end; and their candles."""
    start_ms, end_ms = int(market.time_ms[0]), int(market.time_ms[-1]) + market.candle_ms
    count = (end_ms - start_ms - procedure.window_ms) // procedure.step_ms
    if count < 1:
        needed = (procedure.window_ms + procedure.step_ms) // market.candle_ms
        raise TooFewCandlesError(
            f"There are {len(market.time_ms):,} candles, but a walk-forward needs {needed:,}: a window and a step.",
            "Give a longer history, or shorten the window or the step.",
        )
    moments = start_ms + procedure.window_ms + procedure.step_ms * np.arange(count + 1, dtype=np.int64)
    return moments, np.searchsorted(market.time_ms, moments).astype(np.int64)


def _stretches(choices: tuple[Choice, ...], firsts: Integers, n_candles: int) -> NDArray[np.void]:
    """The choices for the kernel that walks them."""
    stretches = np.zeros(len(choices), dtype=STRETCH)
    for k, choice in enumerate(choices):
        end = min(int(firsts[k + 1]), n_candles - 1)
        if choice.params is None:
            stretches[k] = (firsts[k], end, 1, 0, 0.0, 0.0, np.nan, 0, 0)
        else:
            trial = make_trial(choice.params)
            stretches[k] = (firsts[k], end, *trial, choice.has_edge)
    return stretches
