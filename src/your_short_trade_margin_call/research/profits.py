"""What every trial of a grid made, and nothing else: for those who repeat a sweep a thousand times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from your_short_trade_margin_call.domain.instrument import Instrument
from your_short_trade_margin_call.market.candles import Candles
from your_short_trade_margin_call.market.instruments import find_instrument
from your_short_trade_margin_call.research.running import run_trials
from your_short_trade_margin_call.research.survey import make_field
from your_short_trade_margin_call.research.sweep_tasks import require_candles, sweep_inputs
from your_short_trade_margin_call.research.trials import Trials
from your_short_trade_margin_call.rules.market_arrays import MarketArrays
from your_short_trade_margin_call.rules.terms import Contract, Terms
from your_short_trade_margin_call.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flag = NDArray[np.bool_]


class Account(NamedTuple):
    """Whatever a backtest needs besides candles and parameters; `starting_balance` in USDT."""

    contract: Contract
    terms: Terms
    starting_balance: float


def prepare(
    windows: Sequence[Candles], settings: Settings, lookback: int, instrument: Instrument | None = None
) -> tuple[list[MarketArrays], Account]:
    """The windows of one pair as kernels take them, and the account that trades there.

    Raises:
        TooFewCandlesError: a window is too short for the lookback.
        UnknownPairError: the package does not know the pair, and no instrument was given.
    """
    for candles in windows:
        require_candles(candles, lookback)
    traded = instrument or find_instrument(windows[-1].symbol)
    inputs = [sweep_inputs(candles, traded, settings) for candles in windows]
    account = Account(inputs[-1].contract, inputs[-1].terms, settings.starting_balance)
    return [one.market for one in inputs], account


@dataclass(frozen=True)
class Profits:
    """The profit of every trial in one window, in percent of the starting balance, in grid order."""

    params: Trials
    pnl_pct: Floats

    @cached_property
    def columns(self) -> Mapping[str, Floats]:
        """As a sweep's columns: `pnl_pct` alone."""
        return {"pnl_pct": self.pnl_pct}


class StoppedError(Exception):
    """Somebody raised the stop flag."""


def profits(market: MarketArrays, account: Account, trials: Trials, stop: Flag | None = None) -> Profits:
    """Try every parameter set in the calling thread: the `pnl_pct` of a sweep, bit for bit.

    Raises:
        StoppedError: `stop` (bool[1]) was raised.
    """

    def look(_done: int, _all: int) -> None:
        if stop is not None and stop[0]:
            raise StoppedError

    start = account.starting_balance
    field = make_field(market, account.contract, account.terms, min(trials.highest_high_lookback))
    final = np.empty(len(trials))
    for chunk in run_trials(field, trials, start, look, workers=1):
        final[chunk.trials] = chunk.summary["final_balance"]
    return Profits(trials, (final - start) * (100.0 / start))
