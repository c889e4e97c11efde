"""From the options of a command line to a `Request`, every value checked before anything is done."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from your_short_trade_margin_call.commands.endpoint import ENDPOINT_VARIABLE
from your_short_trade_margin_call.commands.options import Access, Common, Market, Stake, Trading
from your_short_trade_margin_call.commands.typed import (
    make_settings,
    parse_amount,
    parse_number,
    parse_speed,
    parse_time,
    parse_timerange,
)
from your_short_trade_margin_call.composition import Request
from your_short_trade_margin_call.domain.errors import BadInputError
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.paths import Paths
from your_short_trade_margin_call.settings import ParameterGrid


def make_request(
    symbol: str,
    common: Common,
    market: Market,
    trading: Trading | None = None,
    *,
    grid: Path | None = None,
    days: float | None = None,
    access: Access | None = None,
    stake: Stake | None = None,
) -> Request:
    """The request of a command line; `days` is the window to optimise on. With `trading`, it is one that trades.

    Raises:
        BadInputError: a value cannot be used; says which and how it is written.
    """
    access, stake = access or Access(), stake or Stake()
    request = Request(
        symbol=symbol,
        settings=make_settings(common, trading, days=days),
        grid=ParameterGrid() if grid is None else ParameterGrid.from_toml(grid),
        market=market.market,
        account=access.account,
        paths=Paths.default(),
        candles=market.candles,
        mark=market.mark,
        funding=market.funding,
        minutes=market.minutes,
        timerange_ms=None if market.timerange is None else parse_timerange(market.timerange),
        instrument=common.instrument,
        speed=parse_speed(trading.speed) if trading else None,
        wall_ms=parse_time(trading.wall_time, "--for") if trading and trading.wall_time is not None else None,
        trades=trading is not None,
        endpoint=endpoint_named(market.endpoint),
        keys=access.keys,
    )
    return _staked(request, stake)


@dataclass(frozen=True)
class Typed:
    """The options of a command that trades, as they were typed."""

    common: Common
    market: Market
    trading: Trading
    access: Access
    stake: Stake

    def request(self, symbol: str, grid: Path | None = None) -> Request:
        """The request of a command line that trades.

        Raises:
            BadInputError: a value cannot be used; says which and how it is written.
        """
        return make_request(
            symbol, self.common, self.market, self.trading, grid=grid, access=self.access, stake=self.stake
        )


def endpoint_named(typed: str | None) -> str | None:
    """The address from the command line, else from the environment; None for the account's usual one."""
    return typed or os.environ.get(ENDPOINT_VARIABLE) or None


def _staked(request: Request, stake: Stake) -> Request:
    """With what may be at stake; a risk fraction that was typed is the only one tried."""
    fraction = None if stake.risk_fraction is None else parse_number(stake.risk_fraction, "--risk-fraction")
    if fraction is not None and not 0 < fraction <= 1:
        raise BadInputError(f"--risk-fraction {stake.risk_fraction} cannot be.", "Give 0.1 or 10%, at most 1.")
    grid = request.grid
    if fraction is not None:
        grid = ParameterGrid(**{**grid.__dict__, "risk_fraction": (fraction,)})
    return replace(
        request,
        grid=grid,
        risk_fraction=fraction,
        capital_usdt=parse_amount(stake.capital, "--capital"),
        max_notional_usdt=_largest(request, stake),
        despite_evidence=stake.despite_evidence,
    )


def _largest(request: Request, stake: Stake) -> float | None:
    """The cap of a position. Real money without evidence takes the smallest quantity (0) unless told otherwise."""
    if stake.max_notional is None and stake.despite_evidence and request.account is Account.MAINNET:
        return 0.0
    return parse_amount(stake.max_notional, "--max-notional")
